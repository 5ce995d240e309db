"""Indexes of registries: the same folders, the same bytes; and nothing in them is trusted."""

import json
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from faulty_server import FaultyServer
from safetensors.numpy import save_file

import matembed as me
from matembed._atomic import sha256_of
from matembed.pretrained import build_registry, fetch
from matembed.pretrained.registry import find_registry


def rewrite(folder, change):
    """Change the index by hand, as whoever publishes a malicious one would."""
    index = json.loads((folder / "registry.json").read_text())
    change(index)
    (folder / "registry.json").write_text(json.dumps(index))


def first(index):
    return index["entries"][0]


def set_file(key, value):
    return lambda index: first(index)["files"][0].update({key: value})


def set_entry(key, value):
    return lambda index: first(index).update({key: value})


def refused(registry, match, cache, name="oxides"):
    """Load, and check that the refusal is one line and leaves nothing that could be loaded."""
    with pytest.raises((ValueError, OSError), match=match) as error:
        me.load(name, registry=registry)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 600
    assert not [path for path in cache.rglob("config.json") if not path.parent.name.startswith(".")]


def test_the_index_tells_what_cards_and_files_tell(folder, table):
    index = json.loads((folder / "registry.json").read_text())
    assert (index["schema"], index["type"], [entry["name"] for entry in index["entries"]]) == (
        1,
        "Registry",
        ["oxides"],
    )
    entry = first(index)
    assert (entry["kind"], entry["what"], entry["licence"]) == ("EmbeddingTable", table.card.what, table.card.licence)
    assert entry["citation"] == list(table.card.citation)
    assert entry["requires"] == "0.1.0"
    assert {file["path"]: file["size"] for file in entry["files"]} == {
        f"oxides/{path.name}": path.stat().st_size for path in (folder / "oxides").iterdir()
    }


def test_the_same_folders_give_the_same_bytes(folder, table, tmp_path):
    again = tmp_path / "again"
    (again / "notes").parent.mkdir()
    (again / "index.html").write_text("files beside the folders are left alone")
    (again / ".git").mkdir()
    table.write(again / "oxides")
    assert build_registry(again).read_bytes() == (folder / "registry.json").read_bytes()
    assert build_registry(again).read_bytes() == (folder / "registry.json").read_bytes()


def test_cards_of_several_lines_are_listed_in_one(tmp_path):
    card = me.Card("x", what="Two\nlines,\x1b[31m red.", licence="CC-BY-4.0\n", citation=["A.\u00a0Author"])
    me.EmbeddingTable(("Ti",), [[1.0]], card).write(tmp_path / "x")
    build_registry(tmp_path)
    entry = me.available(registry=tmp_path)["x"]
    assert (entry.what, entry.licence, entry.citation) == ("Two lines,[31m red.", "CC-BY-4.0", ("A. Author",))


def test_only_folders_of_tables_and_transformers_become_a_registry(folder, table, tmp_path):
    before = (folder / "registry.json").read_bytes()
    (folder / "other").mkdir()
    with pytest.raises(ValueError, match=r"other holds nothing pretrained with matembed: there is no config\.json"):
        build_registry(folder)
    (folder / "other" / "config.json").write_text('{"type": "Corpus"}')
    with pytest.raises(ValueError, match=r"other holds no EmbeddingTable or MaskedLM .* type 'Corpus'"):
        build_registry(folder)
    (folder / "other" / "config.json").unlink()
    (folder / "other").rmdir()
    (folder / "oxides" / "model.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match=r"'model\.pkl' does not belong there"):
        build_registry(folder)
    (folder / "oxides" / "model.pkl").unlink()
    for name in ("elements", "crystals", "my oxides", "café", "aux"):
        table.write(folder / name)
        with pytest.raises(ValueError, match=f"the name '{name}' .*; rename the folder"):
            build_registry(folder)
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        build_registry(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no folders of tables or transformers"):
        build_registry(tmp_path / "empty")
    assert (folder / "registry.json").read_bytes() == before


def test_links_do_not_become_part_of_a_registry(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "oxides" / "README.md").unlink()
    (folder / "oxides" / "README.md").symlink_to(secret)
    with pytest.raises(ValueError, match="is a link"):
        build_registry(folder)


@pytest.mark.parametrize("level", ["file", "folder"])
def test_links_in_a_registry_are_not_followed(folder, tmp_path, cache, level):
    os.renames(folder / "oxides", tmp_path / "outside")
    if level == "folder":
        (folder / "oxides").symlink_to(tmp_path / "outside")
    else:
        (folder / "oxides").mkdir()
        for path in (tmp_path / "outside").iterdir():
            (folder / "oxides" / path.name).symlink_to(path)
    refused(folder, "is missing, unreadable, or behind a link", cache)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/config.json",
        "../config.json",
        "oxides/../../config.json",
        "./config.json",
        "oxides//config.json",
        "oxides\\config.json",
        "C:/config.json",
        "C:config.json",
        "//server/share/config.json",
        "https://example.org/config.json",
        "oxides/config.json\x00",
        "oxides/con\nfig.json",
        "oxides/%2e%2e/config.json",
        "oxides/.hidden/config.json",
        "",
        "a/" * 200 + "config.json",
        None,
        7,
        ["oxides", "config.json"],
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["folder", "server"])
def test_paths_that_lead_elsewhere_are_refused(folder, cache, path, kind):
    rewrite(folder, set_file("path", path))
    if kind == "folder":
        refused(folder, "is refused: a path is made of folders and a file name below the registry", cache)
        return
    with FaultyServer() as server:
        server.files["/registry.json"] = (folder / "registry.json").read_bytes()
        refused(server.url, "is refused: a path is made of folders and a file name below the registry", cache)
        assert [request.path for request in server.requests] == ["/registry.json"]


@pytest.mark.parametrize(
    "name",
    [
        "../oxides",
        "/oxides",
        "a\\b",
        "C:",
        "",
        ".",
        "..",
        "a\x1b[2J",
        "x" * 101,
        "oxides.",
        "o@1",
        "con",
        "NUL.1",
        None,
        {},
    ],
    ids=repr,
)
def test_names_that_lead_elsewhere_are_refused(folder, cache, name):
    rewrite(folder, set_entry("name", name))
    refused(folder, "is refused: a name is letters", cache)


@pytest.mark.parametrize("size", [-1, 1.5, "12", True, None, [], float("nan")], ids=repr)
def test_sizes_that_are_none_are_refused(folder, cache, size):
    rewrite(folder, set_file("size", size))
    refused(folder, "the size of .* must be a number of bytes", cache)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "g" * 64, None, "0" * 64 + "\n"], ids=repr)
def test_hashes_that_are_none_are_refused(folder, cache, sha256):
    rewrite(folder, set_file("sha256", sha256))
    refused(folder, "must be 64 hexadecimal digits", cache)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_entry("kind", "Pickle"), "is of kind 'Pickle', wanted EmbeddingTable or MaskedLM"),
        (set_entry("kind", ["EmbeddingTable"]), "the kind of oxides must be a word"),
        (set_entry("kind", "MaskedLM"), "has not the files of one MaskedLM"),
        (set_entry("files", "config.json"), "must be a list of path, sha256 and size"),
        (set_entry("files", ["config.json"]), "must be a list of path, sha256 and size"),
        (set_entry("files", []), "missing"),
        (set_entry("what", "\x1b]0;owned\x07"), "must be lines of text"),
        (set_entry("licence", {"a": 1}), "must be lines of text"),
        (set_entry("citation", "one"), "must be a list of texts"),
        (set_entry("citation", [1]), "must be lines of text"),
        (set_entry("requires", "latest; rm -rf"), "must require a version"),
        (set_entry("requires", "9" * 5000), "must require a version"),
        (lambda index: index["entries"].append(first(index)), "lists 'oxides' twice"),
        (lambda index: index["entries"].append(first(index) | {"name": "Oxides"}), "lists 'Oxides' twice"),
        (lambda index: first(index)["files"].append(first(index)["files"][0]), "lists a file twice"),
        (set_file("path", "oxides/evil.pkl"), r"'evil\.pkl' does not belong there"),
        (
            lambda index: first(index)["files"].append(first(index)["files"][0] | {"path": "oxides/evil.pkl"}),
            r"'evil\.pkl' does not belong there",
        ),
        (lambda index: index.update(schema=2), "has format 2; wanted 1; run: pip install -U matembed"),
        (lambda index: index.update(schema=[[1]]), "has format"),
        (lambda index: index.update(type="Corpus"), "is no index of a registry"),
        (lambda index: index.update(entries={}), "is no index of a registry"),
        (lambda index: index.update(entries=[1]), "an entry is a mapping"),
    ],
)
def test_indexes_that_are_wrong_are_refused(folder, cache, change, match):
    rewrite(folder, change)
    refused(folder, match, cache)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "<html>", "[" * 200_000, '{"a":' * 200_000, "\x80\x04.", "1" * 5000]
)
@pytest.mark.parametrize("kind", ["folder", "server"])
def test_what_is_no_index_is_refused(folder, cache, text, kind):
    (folder / "registry.json").write_bytes(text.encode("latin-1"))
    if kind == "folder":
        refused(folder, "is no index of a registry", cache)
        return
    with FaultyServer() as server:
        server.files["/registry.json"] = text.encode("latin-1")
        refused(server.url, "is no index of a registry", cache)


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_an_index_that_is_huge_is_not_read(folder, cache, kind):
    text = b" " * 10_000_001
    (folder / "registry.json").write_bytes(text)
    if kind == "folder":
        refused(folder, "more than 10,000,000 bytes", cache)
        return
    with FaultyServer() as server:
        server.files["/registry.json"] = text
        refused(server.url, "more than the 10,000,000 bytes", cache)


def test_what_is_too_large_is_refused_unless_allowed(folder, cache):
    rewrite(folder, set_file("size", 3_000_000_000))
    refused(folder, r"oxides has 3,0.* bytes, more than 2,000,000,000; pass max_bytes=\d+ \(--max-bytes\)", cache)
    rewrite(folder, set_file("size", (folder / "oxides" / "README.md").stat().st_size))
    with pytest.raises(ValueError, match="more than 10; pass max_bytes"):
        fetch("oxides", registry=folder, max_bytes=10)
    assert fetch("oxides", registry=folder, max_bytes=10_000).is_dir()


def test_what_requires_a_newer_version_names_the_pip_line_and_hides_nothing_else(folder, table, cache):
    table.write(folder / "nitrides")
    build_registry(folder)
    rewrite(folder, lambda index: index["entries"][1].update(requires="99.1", kind="Quantum", files=[]))
    refused(folder, r'oxides requires a newer matembed; run: pip install "matembed>=99\.1"', cache)
    assert me.load("nitrides", registry=folder).tokens == table.tokens


def test_newer_indexes_may_say_more(folder, table):
    rewrite(folder, lambda index: [index.update(homepage="x"), first(index).update(doi="y")])
    assert me.load("oxides", registry=folder).tokens == table.tokens


def test_a_file_that_is_not_what_the_index_says_is_refused(folder, cache):
    (folder / "oxides" / "vocab.json").write_text("{}")
    refused(folder, r"vocab\.json is not the file that registry\.json names; run: matembed registry build", cache)
    (folder / "oxides" / "vocab.json").unlink()
    refused(folder, r"vocab\.json is missing, unreadable", cache)


def sign(folder):
    """Make an index fit changed files, as their own malicious publisher would."""

    def change(index):
        for file in first(index)["files"]:
            path = folder / file["path"]
            file.update(sha256=sha256_of(path), size=path.stat().st_size)

    rewrite(folder, change)


def write_config(**changes):
    def change(table):
        config = json.loads((table / "config.json").read_text()) | changes
        (table / "config.json").write_text(json.dumps(config))

    return change


def write_file(name, data):
    return lambda table: (table / name).write_bytes(data)


class Exploit:
    """Says so if it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def write_zip(table):
    with zipfile.ZipFile(table / "vectors.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Exploit()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            write_file("vectors.safetensors", pickle.dumps(Exploit())),
            "is no safetensors file, .* a pickle least of all",
        ),
        (write_zip, "is no safetensors file, .* a pickle least of all"),
        (write_file("vectors.safetensors", b""), "is no safetensors file"),
        (write_file("vectors.safetensors", b"\xff" * 100), "is no safetensors file"),
        (write_file("vectors.safetensors", (1 << 50).to_bytes(8, "little") + b"{}"), "is no safetensors file"),
        (write_file("config.json", b"[" * 200_000), r"config\.json is none of matembed: RecursionError"),
        (write_file("config.json", b"\x80\x04."), r"config\.json is none of matembed"),
        (write_file("config.json", b"[1]"), "wanted a mapping"),
        (write_config(dim=10**12), "but config.json tells of vectors"),
        (write_config(dim=10**30), "dim in config.json must be a whole number"),
        (write_config(dim="2"), "dim in config.json must be a whole number"),
        (write_config(n_tokens=-1), "n_tokens in config.json must be a whole number"),
        (write_config(n_tokens=3), r"tells of vectors \[3, 2\]"),
        (write_config(type=["EmbeddingTable"]), "has type"),
        (write_config(type="MaskedLM"), "model.safetensors missing"),
        (write_config(card=None), "has no card"),
        (write_config(card={"name": "x", "citation": 3}), "has no card"),
        (write_config(card={"name": "x", "settings": [1]}), "has no card"),
        (write_config(card={"name": "x", "licence": {}}), "licence or citation is no text"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "server"])
def test_folders_that_are_malicious_are_refused_although_their_hashes_fit(folder, cache, change, match, kind):
    change(folder / "oxides")
    sign(folder)
    if kind == "folder":
        refused(folder, match, cache)
        with pytest.raises(ValueError, match=match):
            build_registry(folder)
        return
    with FaultyServer() as server:
        server.files = {f"/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        refused(server.url, match, cache)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"auto_map": {"AutoModel": "evil.py"}}, "has the key 'auto_map', which no MaskedLM has"),
        ({"attn_implementation": "someone/kernels"}, "has the key 'attn_implementation'"),
        ({"_attn_implementation_internal": "someone/kernels"}, "has the key '_attn_implementation_internal'"),
        ({"quantization_config": {}}, "has the key 'quantization_config'"),
        ({"n_layers": 10**9}, "tells of a network of .* weights or more; its file has"),
        ({"dim": 10**6}, "tells of a network of"),
        ({"n_words": 10**10}, "tells of a network of"),
        ({"card": {"name": "salts", "settings": {"dim": 10**9}}}, "tells of a network of other sizes"),
        ({"feed_forward": "64"}, "feed_forward in config.json must be a whole number"),
        ({"n_heads": 0}, "n_heads in config.json must be a whole number"),
    ],
)
def test_networks_that_are_malicious_are_refused(tmp_path, cache, changes, match):
    sizes = {"dim": 4, "n_layers": 1, "n_heads": 2, "feed_forward": 8}
    small = {"type": "MaskedLM", "n_words": 3, **sizes, "card": {"name": "salts", "settings": sizes}}
    network = tmp_path / "networks" / "salts"
    network.mkdir(parents=True)
    save_file({"words.weight": np.zeros((100, 4), np.float32)}, network / "model.safetensors")
    (network / "config.json").write_text(json.dumps(small))
    build_registry(tmp_path / "networks")
    (network / "config.json").write_text(json.dumps(small | changes))
    with pytest.raises(ValueError, match=match):
        build_registry(tmp_path / "networks")
    sign(tmp_path / "networks")
    refused(tmp_path / "networks", match, cache, name="salts")


@pytest.mark.parametrize(
    "given",
    [
        *("ftp://example.org/r", "file:///srv/registry", "s3://bucket", "https://", "javascript://x", "hf:lab/oxides"),
        *("https:/lab.org/r", "http://[::1", "https://lab.org/r\ns", "~nobody-of-this-name/r", "r\0s"),
    ],
)
def test_addresses_of_other_kinds_are_refused(given):
    with pytest.raises(
        ValueError, match="a registry is a folder, or a URL that begins with https:// or http://"
    ) as error:
        me.load("oxides", registry=given)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "given", ["https://me:secret@lab.org/r", "https://lab.org/r?key=secret", "https://lab.org/r#secret"]
)
def test_passwords_in_addresses_are_refused_and_not_repeated(given):
    with pytest.raises(ValueError, match="holds no password, query or fragment") as refusal:
        me.load("oxides", registry=given)
    assert "secret" not in str(refusal.value)


def test_an_open_connection_is_warned_of_unless_it_stays_on_this_machine():
    with pytest.warns(UserWarning, match=r"connection to http://lab\.example/r is not encrypted"):
        find_registry("http://lab.example/r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for address in ("https://lab.example/r", "http://localhost:8000", "http://127.0.0.1:8000", "/srv/registry"):
            assert str(find_registry(address)) == address


def test_a_folder_without_an_index_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no registry\.json in .*; make one with: matembed registry build"):
        me.load("oxides", registry=tmp_path)
