"""Fetching from registries: whole and verified or not at all, whatever the network and the disk do."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from faulty_server import Fault, FaultyServer

import matembed as me
from matembed._atomic import sha256_of
from matembed.pretrained import build_registry, fetch
from matembed.pretrained.cache import cache_folder


@pytest.fixture
def server(folder):
    with FaultyServer() as one:
        serve(one, folder)
        yield one


@pytest.fixture
def large(folder):
    """Add a table of a megabyte, so that there is something to cut."""
    vectors = np.random.default_rng(0).standard_normal((1000, 256))
    card = me.Card("large", licence="CC0-1.0")
    table = me.EmbeddingTable(tuple(f"t{row}" for row in range(1000)), vectors, card)
    table.write(folder / "large")
    build_registry(folder)
    return table


def serve(server, folder):
    server.files = {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same(one, other):
    return one.tokens == other.tokens and np.array_equal(one.vectors, other.vectors)


def wholes(cache):
    """Return the folders in the cache that can be loaded."""
    return sorted(path.parent for path in cache.rglob("config.json") if not path.parent.name.startswith("."))


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_what_is_loaded_is_what_was_published(kind, folder, server, table, cache):
    registry = folder if kind == "folder" else server.url
    loaded = me.load("oxides", registry=registry)
    assert same(loaded, table)
    assert loaded.card.licence == "CC0-1.0"
    assert [path.name for path in wholes(cache)] == [me.available(registry=registry)["oxides"].revision]
    assert me.available(registry=registry)["oxides"].where == "cached"
    assert not list(cache.rglob("*.part"))


def test_transformers_are_fetched_and_opened(folder, server):
    pytest.importorskip("transformers")
    model = me.MaskedLM(dim=16, n_layers=1, n_heads=2, feed_forward=32, epochs=1).fit(me.formula_sets(["NaCl", "LiBr"]))
    model.save_pretrained(folder / "salts")
    build_registry(folder)
    serve(server, folder)
    loaded = me.load("salts", registry=server.url)
    salt = me.formula_sets(["LiBr"])
    assert np.array_equal(loaded.encode(salt), model.encode(salt))


def test_the_variable_names_the_registry(folder, table, monkeypatch):
    monkeypatch.setenv("MATEMBED_REGISTRY", str(folder))
    assert same(me.load("oxides"), table)


@pytest.mark.parametrize("ending", ["", "/", "/registry.json"])
def test_urls_of_the_same_registry_share_a_cache(server, ending, cache):
    fetch("oxides", registry=server.url)
    asked = len(server.requests)
    fetch("oxides", registry=server.url + ending)
    assert len(server.requests) == asked


@pytest.mark.parametrize("ending", ["", "/", "/registry.json"])
def test_the_index_of_a_folder_stands_for_the_folder(folder, ending):
    assert fetch("oxides", registry=f" {folder}{ending} ") == fetch("oxides", registry=folder)


def test_what_comes_with_the_package_can_be_pinned(folder):
    revision = me.available()["elements"].revision
    assert fetch(f"elements@{revision}") == fetch("elements")
    with pytest.raises(ValueError, match=f"comes with elements@{revision}, wanted {'0' * 16}; install the version"):
        fetch(f"elements@{'0' * 16}", registry=folder)


def test_what_is_cached_needs_no_network(server, table, monkeypatch):
    me.load("oxides", registry=server.url)
    server.standing = Fault(status=404)
    monkeypatch.setenv("MATEMBED_OFFLINE", "1")
    assert same(me.load("oxides", registry=server.url), table)
    with pytest.raises(OSError, match="MATEMBED_OFFLINE forbids the network") as refused:
        me.load("sulfides", registry=server.url)
    assert "\n" not in str(refused.value)


def test_a_server_is_asked_for_its_list_only_if_wanted(server):
    assert "oxides" not in me.available(registry=server.url)
    assert server.requests == []
    entry = me.available(registry=server.url, online=True)["oxides"]
    assert (entry.where, entry.what, entry.licence) == ("registry", "Two elements.", "CC0-1.0")
    assert list(me.available(registry=server.url, online=True))[:2] == ["elements", "elements-from-formulas"]


def test_a_new_revision_is_a_new_folder_and_the_old_one_stays(folder, table):
    old = fetch("oxides", registry=folder)
    newer = me.EmbeddingTable(("Ti", "Zr", "Hf"), [[1.0, 0], [2, 0], [3, 0]], table.card)
    newer.write(folder / "oxides", overwrite=True)
    build_registry(folder)
    assert fetch("oxides", registry=folder) == old
    new = fetch("oxides", registry=folder, update=True)
    assert new != old
    assert fetch("oxides", registry=folder) == new
    assert same(me.load("oxides", registry=folder), newer)
    assert same(me.load(f"oxides@{old.name}", registry=folder), table)
    with pytest.raises(ValueError, match=f"oxides@{'0' * 16} is not cached, and the registry .* has {new.name}"):
        fetch(f"oxides@{'0' * 16}", registry=folder)


def test_registries_with_the_same_name_do_not_mix(folder, table, tmp_path):
    other = me.EmbeddingTable(("Ti",), [[3.0]], me.Card("other"))
    other.write(tmp_path / "elsewhere" / "registry" / "oxides")
    build_registry(tmp_path / "elsewhere" / "registry")
    assert same(me.load("oxides", registry=folder), table)
    assert same(me.load("oxides", registry=tmp_path / "elsewhere" / "registry"), other)
    assert same(me.load("oxides", registry=folder), table)


def test_a_registry_that_moved_is_followed(server, table):
    with FaultyServer() as old:
        names = [file.path for file in me.available(registry=server.url, online=True)["oxides"].files]
        moved = [f"{server.url}/{path}" for path in ["registry.json", *names]]
        old.faults.extend(Fault(status=301, headers={"Location": url}) for url in moved)
        assert same(me.load("oxides", registry=old.url), table)


def test_a_cut_download_goes_on_where_it_was_cut(server, folder, large, cache):
    serve(server, folder)
    names = [file.name for file in me.available(registry=folder)["large"].files]
    server.faults.extend([*[None] * (1 + names.index("vectors.safetensors")), Fault(cut=700_000)])
    server.standing = Fault(status=503)
    with pytest.raises(OSError, match=r"vectors\.safetensors: .*503.* given up") as failed:
        me.load("large", registry=server.url)
    assert "\n" not in str(failed.value)
    assert wholes(cache) == []
    server.standing = None
    server.requests.clear()
    assert same(me.load("large", registry=server.url), large)
    ranges = [request.headers["Range"] for request in server.requests if "Range" in request.headers]
    assert len(ranges) == 1
    start = int(ranges[0].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 700_000
    again = [request.path for request in server.requests if request.path.startswith("/large/")]
    assert again == ["/large/vectors.safetensors", "/large/vocab.json"]  # what was whole is not asked for again


@pytest.mark.parametrize(
    "faults", [[Fault(status=500)] * 2, [None, Fault(status=502), Fault(cut=10)], [None, Fault(status=429)]], ids=str
)
def test_faults_that_pass_are_got_over(server, table, faults):
    server.faults.extend(faults)
    assert same(me.load("oxides", registry=server.url), table)


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (Fault(spoil=True), "has the SHA-256 .* the file was changed or damaged"),
        (Fault(status=404), "404.*check the address"),
        (Fault(status=200, body=b"x" * 10_000_000), "bytes, wanted .*: the file was changed"),
        (Fault(status=200, body=b"x" * 10_000_000, length=False), "more than the .* bytes that are allowed"),
    ],
    ids=["spoilt", "missing", "too long", "endless"],
)
def test_faults_that_stay_are_told_in_a_line_and_nothing_of_them_is_kept(server, table, cache, fault, match):
    server.faults.append(None)
    server.standing = fault
    with pytest.raises((OSError, ValueError), match=match) as refused:
        me.load("oxides", registry=server.url)
    assert "\n" not in str(refused.value)
    assert wholes(cache) == []
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size]
    server.standing = None
    assert same(me.load("oxides", registry=server.url), table)


def test_a_server_that_falls_silent_is_given_up(server, monkeypatch):
    from matembed import _http

    monkeypatch.setattr(_http.download, "__kwdefaults__", {**_http.download.__kwdefaults__, "silence": 0.2})
    monkeypatch.setattr(_http, "_TRIES", 2)
    server.faults.append(None)
    server.standing = Fault(stall=5)
    started = time.monotonic()
    with pytest.raises(OSError, match=r"no answer within 0\.2 s; given up"):
        me.load("oxides", registry=server.url)
    assert time.monotonic() - started < 10


def test_no_server_is_told_in_a_line(server, monkeypatch):
    url = server.url
    server.__exit__()
    with pytest.raises(OSError, match=r"registry\.json: the connection was refused; given up") as refused:
        me.load("oxides", registry=url)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["folder", "server"])
@pytest.mark.parametrize(
    ("number", "match"),
    [
        (errno.ENOSPC, "the cache .* has no space left; make room"),
        (errno.EROFS, "the cache .* is not writable"),
        (errno.ENOENT, "the cache .* cannot be made"),
    ],
)
def test_a_cache_that_cannot_be_written_is_told_in_a_line(
    kind, number, match, folder, server, table, cache, monkeypatch
):
    registry = folder if kind == "folder" else server.url
    opened = Path.open

    def full(path, mode="r", *args, **kwargs):
        if mode[0] in "aw" and "oxides" in str(path) and path.name.endswith(".part"):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, mode, *args, **kwargs)

    def copy(source, target):
        raise OSError(number, os.strerror(number), str(target))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        patched.setattr(shutil, "copyfile", copy)
        with pytest.raises(OSError, match=match) as refused:
            me.load("oxides", registry=registry)
        assert "\n" not in str(refused.value)
        assert "set MATEMBED_CACHE to another folder" in str(refused.value)
    assert wholes(cache) == []
    assert same(me.load("oxides", registry=registry), table)


def test_a_home_that_is_not_there_is_told(folder, monkeypatch):
    monkeypatch.setenv("MATEMBED_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(OSError, match=r"no home folder is found .* set MATEMBED_CACHE to the whole path"):
        me.load("oxides", registry=folder)


def test_a_file_in_place_of_the_cache_is_told(folder, cache):
    cache.write_text("")
    with pytest.raises(OSError, match=r"the cache .* is no folder; .*set MATEMBED_CACHE"):
        me.load("oxides", registry=folder)


def test_a_cache_that_others_filled_is_only_read(folder, table, monkeypatch):
    fetch("oxides", registry=folder)

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "not writable")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    assert same(me.load("oxides", registry=folder), table)
    assert fetch("oxides", registry=folder, update=True).is_dir()


@pytest.mark.parametrize("change", ["file", "link", "foreign"])
@pytest.mark.parametrize("how", ["by name", "update", "no note"])
def test_what_was_changed_in_the_cache_is_refused(folder, tmp_path, change, how):
    path = fetch("oxides", registry=folder)
    if change == "file":
        (path / "README.md").write_text("changed")
    elif change == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        (path / "model.pkl").write_bytes(b"")
    if how == "no note":
        (path.parent / "latest.json").unlink()
    with pytest.raises(ValueError, match="were changed after they were fetched; remove that folder and fetch oxides"):
        fetch("oxides", registry=folder, update=how == "update")


def parts_of(folder):
    """Return where files of the table come before they are whole."""
    path = fetch("oxides", registry=folder)
    shutil.rmtree(path)
    return path.with_name(f".{path.name}.part")


def test_a_copy_that_was_killed_keeps_nobody_out(folder, table):
    parts = parts_of(folder)
    parts.mkdir()
    (parts / ".vocab.json.1a2b3c4d.part").write_text("half a")
    assert same(me.load("oxides", registry=folder), table)
    assert {path.name for path in fetch("oxides", registry=folder).iterdir()} == {
        path.name for path in (folder / "oxides").iterdir()
    }


@pytest.mark.parametrize("level", ["folder", "file"])
@pytest.mark.parametrize("kind", ["folder", "server"])
def test_links_in_the_cache_are_not_written_through(folder, server, table, tmp_path, level, kind):
    registry = folder if kind == "folder" else server.url
    parts, precious = parts_of(registry), tmp_path / "precious"
    precious.mkdir()
    (precious / "vocab.json").write_text("precious")
    if level == "folder":
        parts.symlink_to(precious)
    else:
        parts.mkdir()
        digest = sha256_of(folder / "oxides" / "vocab.json")
        for name in ("vocab.json", f".vocab.json.{digest[:16]}.part"):
            (parts / name).symlink_to(precious / "vocab.json")
    assert same(me.load("oxides", registry=registry), table)
    assert [(path.name, path.read_text()) for path in precious.iterdir()] == [("vocab.json", "precious")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_cache_is_not_waited_for(folder, table, cache):
    fetch("oxides", registry=folder)
    (note,) = cache.rglob("latest.json")
    note.unlink()
    os.mkfifo(note)
    assert same(me.load("oxides", registry=folder), table)


def test_a_damaged_note_in_the_cache_is_written_anew(folder, table, cache):
    fetch("oxides", registry=folder)
    (note,) = cache.rglob("latest.json")
    for text in ("{", "[" * 100_000, "{}"):
        note.write_text(text)
        assert same(me.load("oxides", registry=folder), table)
        assert json.loads(note.read_text())["name"] == "oxides"


def test_eight_processes_leave_one_copy_and_all_have_it(server, folder, large, cache):
    serve(server, folder)
    code = (
        "import sys, matembed as me; print(me.load('large', registry=sys.argv[1]).card.sha256['vectors.safetensors'])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert said == [(f"{sha256_of(folder / 'large' / 'vectors.safetensors')}\n", "")] * 8
    assert len(wholes(cache)) == 1
    assert not list(cache.rglob(".*"))
    fetched = [request.path for request in server.requests if request.path.startswith("/large/")]
    assert len(fetched) == len(set(fetched)) == 4


def test_a_process_that_was_killed_keeps_nobody_out(server, folder, large, cache):
    serve(server, folder)
    n_files = 1 + [file.name for file in me.available(registry=folder)["large"].files].index("vectors.safetensors")
    server.faults.extend([*[None] * n_files, Fault(stall=300_000)])
    code = "import sys, matembed as me; me.load('large', registry=sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", code, server.url])
    until = time.monotonic() + 60
    while not [path for path in cache.rglob(".vectors*.part") if path.stat().st_size] and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert wholes(cache) == []
    assert same(me.load("large", registry=server.url), large)


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"MATEMBED_CACHE": "/data/cache", "XDG_CACHE_HOME": "/other"}, "/data/cache"),
        ("linux", {"XDG_CACHE_HOME": "/data/cache"}, "/data/cache/matembed"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/her/.cache/matembed"),
        ("linux", {}, "/home/her/.cache/matembed"),
        ("darwin", {"XDG_CACHE_HOME": "/other"}, "/home/her/Library/Caches/matembed"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/matembed"),
        ("win32", {}, "/home/her/AppData/Local/matembed"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(monkeypatch, platform, environment, expected):
    for name in ("MATEMBED_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/her", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder().as_posix() == expected


def test_unknown_names_say_where_was_looked(folder, tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match=r"called 'mat2vec': it is not in the package \(elements, .* set MATEMBED_REGISTRY"
    ):
        me.load("mat2vec")
    with pytest.raises(ValueError, match=r"called 'mat2vec': .* nor is it in the registry .* \(oxides\)"):
        me.load("mat2vec", registry=folder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"a folder is read with EmbeddingTable\.read\('mine'\)"):
        me.load("mine")


@pytest.mark.parametrize(
    "name", ["some/folder", "..", "../elements", "a b", "elements@", "elements@main", "", "C:\\x", "x\n"]
)
def test_what_is_no_name_is_refused_before_anything_is_asked(server, name):
    with pytest.raises(ValueError, match=r"a name such as 'elements'.* read a folder with EmbeddingTable\.read"):
        me.load(name, registry=server.url)
    assert server.requests == []


def test_a_path_is_no_name(folder):
    with pytest.raises(TypeError, match=r"read a folder with EmbeddingTable\.read"):
        me.load(folder / "oxides")
