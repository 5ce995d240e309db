"""OPTIMADE against the reference server, with a server of faults before it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import requests
from faulty_server import Answer, Fault, FaultyServer
from pymatgen.core import Lattice, Structure

from matembed._http import HttpError
from matembed.cli import main
from matembed.corpus.corpus import Corpus
from matembed.sources._partial import partial_of
from matembed.sources.downloads import read_download
from matembed.sources.optimade import fetch_optimade

ELEMENTS = ("Li", "Na", "K", "Rb", "Cs")
HALOGENS = ("F", "Cl", "Br", "I")
JSON = {"Content-Type": "application/json"}
FIELDS = ("_test_band_gap", "_test_stable", "_test_tags")


def crystals():
    made = {}
    for x, cation in enumerate(ELEMENTS):
        for y, anion in enumerate(HALOGENS):
            lattice = Lattice.from_parameters(4 + x / 10, 4, 4 + y / 10, 80 + x, 90, 100)
            made[f"test/{cation}{anion}"] = Structure(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5 + x / 100]])
    return made


def attributes(structure, number):
    symbols = [site.specie.symbol for site in structure]
    formula = "".join(sorted(symbols))
    return {
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species_at_sites": symbols,
        "species": [{"name": one, "chemical_symbols": [one], "concentration": [1.0]} for one in symbols],
        "nsites": 2,
        "nelements": 2,
        "elements": sorted(symbols),
        "elements_ratios": [0.5, 0.5],
        "chemical_formula_reduced": formula,
        "chemical_formula_descriptive": formula,
        "chemical_formula_anonymous": "AB",
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "structure_features": [],
        "last_modified": "2026-01-01T00:00:00Z",
        "immutable_id": str(number),
        "band_gap": number / 10,
        "stable": number % 2 == 0,
        "tags": ["made", "up"],
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    if find_spec("optimade") is None or find_spec("uvicorn") is None or find_spec("mongomock") is None:
        pytest.skip('the reference server is not installed; run: pip install "optimade[server]"')
    folder = tmp_path_factory.mktemp("optimade")
    entries = [attributes(structure, number) for number, structure in enumerate(crystals().values())]
    lines = [{"x-optimade": {"meta": {"api_version": "1.2.0"}}}]
    lines += [
        {"id": name, "type": "structures", "attributes": one} for name, one in zip(crystals(), entries, strict=True)
    ]
    slab = entries[0] | {"dimension_types": [1, 1, 0], "nperiodic_dimensions": 2, "immutable_id": "slab"}
    lines.insert(8, {"id": "test/slab", "type": "structures", "attributes": slab})
    (folder / "crystals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    environment = {name: value for name, value in os.environ.items() if not name.lower().startswith("optimade_")}
    environment["OPTIMADE_CONFIG_FILE"] = str(folder / "none.json")
    script = Path(__file__).with_name("optimade_server.py")
    command = [sys.executable, str(script), str(folder / "crystals.jsonl"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            port = next(line.split()[1] for line in running.stdout if line.startswith("port "))
            yield f"http://127.0.0.1:{port}"
        finally:
            running.kill()


@pytest.fixture
def server(reference, monkeypatch):
    """The reference server as seen through the server of faults."""
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.002)
    with FaultyServer() as server:

        def forward(request):
            answer = requests.get(reference + request.target, headers={"Host": server.url.removeprefix("http://")})
            return Answer(answer.content, answer.status_code, {"Content-Type": answer.headers["Content-Type"]})

        server.handlers["/"] = forward
        yield server


@pytest.fixture(scope="module")
def clean(reference, tmp_path_factory):
    return fetch_optimade(
        reference, tmp_path_factory.mktemp("clean") / "x", response_fields=FIELDS, page_limit=5, progress=False
    )


def fetch(server, out, **options):
    options = {"response_fields": FIELDS, "page_limit": 5, "progress": False} | options
    return fetch_optimade(server.url, out, **options)


def same_bytes(one, other):
    names = ("crystals.jsonl.gz", "dropped.jsonl.gz")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_crystals_and_properties_are_those_of_the_database(clean):
    rows = list(read_download(clean))
    assert [row.id for row in rows] == list(crystals())
    for number, (row, structure) in enumerate(zip(rows, crystals().values(), strict=True)):
        found = row.to_structure()
        # 1e-9: through cartesian positions and back
        assert np.allclose(found.lattice.matrix, structure.lattice.matrix, atol=1e-9)
        assert np.allclose(found.frac_coords, structure.frac_coords, atol=1e-9)
        assert found.species == structure.species
        assert row.properties["_test_band_gap"] == number / 10
        assert row.properties["_test_stable"] is (number % 2 == 0)
        assert "_test_tags" not in row.properties
        assert row.properties["chemical_formula_reduced"] == "".join(sorted(s.symbol for s in structure.species))


def test_the_manifest_says_where_the_crystals_come_from(clean, reference):
    manifest = json.loads((clean / "manifest.json").read_text())
    assert manifest["counts"] == {"offered": 21, "kept": 20, "dropped": 1}
    assert manifest["url"] == f"{reference}/v1"
    assert manifest["version"].startswith("API 1.2.0, OPTIMADE Python Tools ")
    assert manifest["database"] == "Made for tests"
    assert (manifest["query"], manifest["fields"]) == ("", list(FIELDS))
    assert "10.1038/s41597-021-00974-z" in manifest["citation"][0]
    dropped = [json.loads(line) for line in gzip.decompress((clean / "dropped.jsonl.gz").read_bytes()).splitlines()]
    assert [one["id"] for one in dropped] == ["test/slab"]
    assert "periodic" in dropped[0]["reason"]


@pytest.mark.parametrize("page_limit", [1, 7, 20])
def test_the_pages_leave_no_trace(server, clean, tmp_path, page_limit):
    assert same_bytes(fetch(server, tmp_path / "x", page_limit=page_limit), clean)


FAULTS = {
    "throttled": Fault(status=429, headers={"Retry-After": "0"}),
    "server error": Fault(status=500),
    "bad gateway": Fault(status=502),
    "cut": Fault(cut=1500),
    "cut before the page": Fault(cut=0),
    "silent": Fault(stall=700),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_leave_no_trace(server, clean, tmp_path, fault):
    server.faults.extend([fault, None, fault, None, fault, fault])
    assert same_bytes(fetch(server, tmp_path / "x", timeout=0.3), clean)
    assert not partial_of(tmp_path / "x").exists()
    assert not server.faults


def test_a_download_that_was_given_up_goes_on(server, clean, tmp_path):
    server.faults.extend([None] * 3)  # the description, and two pages
    server.standing = Fault(status=503)
    with pytest.raises(HttpError, match=r"503 .*10 entries are kept in .*x\.partial, and the same call goes on"):
        fetch(server, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    server.standing = None
    server.requests.clear()
    assert same_bytes(fetch(server, tmp_path / "x"), clean)
    assert len(server.requests) == 3


def test_a_client_that_was_killed_goes_on(server, clean, tmp_path):
    server.faults.extend([None] * 3)
    server.standing = Fault(stall=100)
    code = (
        "from matembed.sources.optimade import fetch_optimade; "
        f"fetch_optimade({server.url!r}, {str(tmp_path / 'x')!r}, response_fields={FIELDS!r}, page_limit=5)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as running:
        for _ in range(600):
            if len(server.requests) >= 4:
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    server.standing = None
    server.requests.clear()
    assert same_bytes(fetch(server, tmp_path / "x"), clean)
    assert len(server.requests) == 3


def test_a_download_that_is_there_is_not_fetched_again(server, tmp_path):
    path = fetch(server, tmp_path / "x", limit=7)
    server.requests.clear()
    assert fetch(server, tmp_path / "x", limit=7) == path
    assert server.requests == []
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        fetch(server, tmp_path / "x", limit=5)
    fetch(server, tmp_path / "x", limit=5, overwrite=True)
    assert read_download(path).n_rows == 5


def test_a_filter_and_a_limit(server, tmp_path):
    path = fetch(server, tmp_path / "x", filter='elements HAS "Cs"', limit=3)
    assert [row.id for row in read_download(path)] == ["test/CsF", "test/CsCl", "test/CsBr"]
    assert json.loads((path / "manifest.json").read_text())["query"] == 'elements HAS "Cs"'


def test_the_command_fetches_what_a_corpus_is_made_of(reference, tmp_path, capsys):
    out = tmp_path / "out"
    words = [
        "fetch-crystals",
        "optimade",
        reference,
        "--filter",
        'elements HAS "Na"',
        "--limit",
        "3",
        "--page-limit",
        "2",
    ]
    assert main([*words, "--fields", "_test_band_gap", "--out", str(out)]) == 0
    assert "3 kept" in capsys.readouterr().out
    assert main(["build", str(out), "--out", str(tmp_path / "corpus"), "--views", "elements", "--quiet"]) == 0
    corpus = Corpus.read(tmp_path / "corpus")
    assert corpus.card.counts["kept"] == 3
    assert reference in corpus.card.source
    assert corpus.materials()["_test_band_gap"].notna().all()


def test_what_the_server_says_is_wrong_is_one_line(server, tmp_path):
    with pytest.raises(HttpError, match="answers 400: Unable to parse filter nonsense x") as caught:
        fetch(server, tmp_path / "x", filter="nonsense x")
    assert "\n" not in str(caught.value)
    assert f"{server.url}/v1/structures: the server" in str(caught.value)  # without the question, which is long
    with pytest.raises(HttpError, match="answers 403: Max allowed page_limit is 20, you requested 1000"):
        fetch(server, tmp_path / "x", page_limit=1000)
    with pytest.raises(RuntimeError, match="has no entries for"):
        fetch(server, tmp_path / "x", filter='elements HAS "Xe"')
    with pytest.raises(HttpError, match="404"):
        fetch_optimade(server.url + "/nothing/v1", tmp_path / "x", progress=False)
    assert list(tmp_path.iterdir()) == []


# ---- servers that are not as they should be


def page(entries, then=None, **meta):
    body = {"data": entries, "meta": {"api_version": "1.1.0"} | meta, "links": {"next": then}}
    return Answer(json.dumps(body).encode(), headers=JSON)


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.002)
    with FaultyServer() as server:
        about = {"attributes": {"license": {"href": "https://x/licence"}, "available_licenses": ["CC-BY-4.0"]}}
        server.handlers["/v1/info"] = lambda request: page(about)
        yield server


def entries(*names):
    salt = crystals()["test/NaCl"]
    return [{"id": name, "attributes": attributes(salt, 1)} for name in names]


def test_a_server_that_stops_before_what_it_announced_is_told(odd, tmp_path):
    odd.handlers["/v1/structures"] = lambda request: page(entries("a", "b"), data_returned=5)
    with pytest.warns(UserWarning, match="announced 5 entries and sent 2"):
        out = fetch_optimade(odd.url, tmp_path / "x", progress=False)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["announced"], manifest["counts"]["offered"]) == (5, 2)


def test_a_link_may_be_an_object_and_relative_and_ids_may_repeat(odd, tmp_path):
    odd.handlers["/v1/structures"] = lambda request: page(entries("a", "b"), {"href": "/v1/more?x=1"})
    odd.handlers["/v1/more"] = lambda request: page([*entries("b", "c"), {"id": 7}, 8])
    path = fetch(odd, tmp_path / "x")
    assert [row.id for row in read_download(path)] == ["a", "b", "c"]
    assert read_download(path).card.licence == "CC-BY-4.0"
    dropped = [json.loads(line) for line in gzip.decompress((path / "dropped.jsonl.gz").read_bytes()).splitlines()]
    assert dropped[0] == {"id": "b", "reason": "the id came before, in entry 2"}
    assert [one["reason"] for one in dropped[1:]] == ["is no entry with an id and attributes"] * 2


@pytest.mark.parametrize(
    "link", ["ftp://127.0.0.1/v1/x", "file:///etc/passwd", "http://elsewhere.invalid/v1/x", "http://127.0.0.1:9/v1/x"]
)
def test_a_link_to_another_place_is_not_followed(odd, tmp_path, link):
    odd.handlers["/v1/structures"] = lambda request: page(entries("a"), link)
    with pytest.raises(HttpError, match="gives a link to another place"):
        fetch(odd, tmp_path / "x")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: page(entries("a"), request.target), "a page that was read before"),
        (lambda request: page(entries("a"), 7), "gives '7' as link"),
        (lambda request: page(entries("a"), more_data_available=True), "more data is available and gives no link"),
        (lambda request: page("text"), "answers str as data where list was wanted"),
        (lambda request: page(entries("a")[0]), "answers dict as data"),
        (lambda request: Answer(b"[1]", headers=JSON), "not OPTIMADE's"),
        (lambda request: Answer(b'{"errors": [{"title": "no"}]}', headers=JSON), "the server says: no"),
        (lambda request: Answer(b"<html>", headers={"Content-Type": "text/html"}), "no JSON but text/html"),
        (lambda request: Answer(b'{"data": [', headers=JSON), "breaks off"),
    ],
)
def test_answers_that_are_not_as_they_should_be_are_one_line(odd, tmp_path, answer, said):
    odd.handlers["/v1/structures"] = answer
    with pytest.raises(HttpError, match=said) as caught:
        fetch(odd, tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x").exists()


# ---- providers by id


@pytest.fixture
def index(odd, monkeypatch):
    pytest.importorskip("optimade")
    monkeypatch.setattr("matembed.sources.optimade._listed", lambda: {"lab": odd.url + "/index"})
    return odd


def child(name, url, kind="child"):
    return {"id": name, "attributes": {"base_url": url, "link_type": kind}}


def test_a_provider_is_found_by_its_id(index, tmp_path):
    links = [child("lab", index.url), child("other", "http://x", "external"), child("next", {"href": None}), 7]
    index.handlers["/index/v1/links"] = lambda request: page(links)
    index.handlers["/v1/structures"] = lambda request: page(entries("a"))
    path = fetch_optimade("lab", tmp_path / "x", progress=False)
    assert json.loads((path / "manifest.json").read_text())["url"] == index.url + "/v1"
    assert fetch_optimade("lab/lab", tmp_path / "y", progress=False).is_dir()


def test_a_provider_of_several_databases_names_them(index, tmp_path):
    index.handlers["/index/v1/links"] = lambda request: page([child("pbe", index.url), child("scan", index.url)])
    with pytest.raises(ValueError, match="'lab' is not one database; the provider has 'lab/pbe', 'lab/scan'"):
        fetch_optimade("lab", tmp_path / "x", progress=False)


def test_an_index_that_cannot_be_reached_says_what_to_do(index, tmp_path):
    index.standing = Fault(status=503)
    with pytest.raises(HttpError, match=r"index is needed to find 'lab'.*or give the base address"):
        fetch_optimade("lab", tmp_path / "x", progress=False)
    with pytest.raises(ValueError, match="'nobody' is no known OPTIMADE provider"):
        fetch_optimade("nobody", tmp_path / "x", progress=False)
    assert list(tmp_path.iterdir()) == []
