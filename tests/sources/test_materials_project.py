"""The Materials Project's client against a local server that answers in the shapes of the real one."""

import gzip
import json

import pytest
from faulty_server import Answer, Fault, FaultyServer
from pymatgen.core import Lattice, Structure

from matembed._http import HttpError
from matembed.sources._partial import partial_of
from matembed.sources.downloads import read_download
from matembed.sources.materials_project import fetch_materials_project

MPRester = pytest.importorskip("mp_api.client", reason='needs mp-api; run: pip install "matembed[mp]"').MPRester

KEY = "k" * 32
JSON = {"Content-Type": "application/json"}
SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ALLOY = Structure(Lattice.cubic(4), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])


def document(number):
    structure = ALLOY if number == 3 else SALT.copy().scale_lattice(170 + number)
    return {
        "material_id": f"mp-{number}",
        "formula_pretty": structure.reduced_formula,
        "structure": structure.as_dict(),
        "band_gap": number / 10,
        "formation_energy_per_atom": -1.5,
        "energy_above_hull": None,
        "is_stable": number % 2 == 0,
        "is_metal": False,
        "theoretical": True,
        "symmetry": {"number": 225},
    }


class MaterialsProject:
    """Answers heartbeat and summaries as the interface does."""

    def __init__(self, server, n_documents=12):
        self.documents = {f"mp-{number}": document(number) for number in range(1, n_documents + 1)}
        self.version = "2026.11.1"
        self.server = server
        server.handlers["/heartbeat"] = self.heartbeat
        server.handlers["/materials/summary/"] = self.summary

    def heartbeat(self, request):
        beat = {"status": "OK", "version": "0.87.3", "db_version": self.version, "access_controlled_batch_ids": []}
        return Answer(json.dumps(beat).encode(), headers=JSON)

    def summary(self, request):
        if request.headers.get("x-api-key") != KEY:
            return Answer(b'{"message": "Invalid authentication credentials"}', 401, JSON)
        query = request.query
        ids = query["material_ids"].split(",") if "material_ids" in query else list(self.documents)
        if len(ids) > 10:
            return Answer(b"", 414)
        return self.listed([one for one in reversed(ids) if one in self.documents], query)

    def listed(self, ids, query):
        skip, limit = int(query.get("_skip", 0)), int(query["_limit"])
        wanted = query["_fields"].split(",")
        data = [{name: self.documents[one][name] for name in wanted} for one in ids[skip : skip + limit]]
        body = {"data": data, "meta": {"api_version": "0.87.3", "total_doc": len(ids)}}
        return Answer(json.dumps(body).encode(), headers=JSON)


@pytest.fixture
def project(monkeypatch):
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.002)
    monkeypatch.setattr("matembed.sources.materials_project._IDS_PER_REQUEST", 5)
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.delenv("MP_API_ENDPOINT", raising=False)
    MPRester.get_emmet_version.cache_clear()  # by endpoint, and a port may come again
    MPRester._get_heartbeat_info.cache_clear()
    with FaultyServer() as server:
        yield MaterialsProject(server, n_documents=9)


def fetch(project, out, **options):
    return fetch_materials_project(
        out, **{"endpoint": project.server.url, "page_limit": 4, "progress": False} | options
    )


def crystals_of(path):
    return (path / "crystals.jsonl.gz").read_bytes()


def test_crystals_properties_and_the_version_of_the_database(project, tmp_path):
    path = fetch(project, tmp_path / "x")
    rows = {row.id: row for row in read_download(path)}
    assert list(rows) == [f"mp-{number}" for number in range(1, 10)]
    assert rows["mp-1"].to_structure().matches(SALT.copy().scale_lattice(171), scale=False)
    assert rows["mp-3"].to_structure() == ALLOY
    assert rows["mp-2"].properties == {
        "formula_pretty": "NaCl",
        "band_gap": 0.2,
        "formation_energy_per_atom": -1.5,
        "is_stable": True,
        "is_metal": False,
        "theoretical": True,
    }
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["version"], manifest["licence"]) == ("2026.11.1", "CC-BY-4.0")
    assert manifest["query"] == {"deprecated": False, "include_gnome": False}
    assert manifest["counts"] == {"offered": 9, "kept": 9, "dropped": 0}


def test_the_key_is_written_nowhere(project, tmp_path):
    path = fetch(project, tmp_path / "x")
    assert all(KEY.encode() not in file.read_bytes() for file in path.iterdir())
    assert not any(KEY in request.target for request in project.server.requests)


def test_the_query_reaches_the_server(project, tmp_path):
    fetch(
        project, tmp_path / "x", query={"elements": ["Na"], "band_gap": (0, 2), "is_stable": True}, fields=["band_gap"]
    )
    asked = next(request.query for request in project.server.requests if "elements" in request.query)
    terms = {"elements": "Na", "band_gap_min": "0", "band_gap_max": "2", "is_stable": "True", "deprecated": "False"}
    assert terms.items() <= asked.items()
    assert "gnome" in asked["batch_id_not_eq"]
    assert asked["_fields"] == "material_id"


FAULTS = {
    "throttled": Fault(status=429, headers={"Retry-After": "0"}),
    "server error": Fault(status=500),
    "bad gateway": Fault(status=502, body=b"<html>", headers={"Content-Type": "text/html"}),
    "cut": Fault(cut=20),
    "silent": Fault(stall=20),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_leave_no_trace(project, tmp_path, fault):
    clean = crystals_of(fetch(project, tmp_path / "clean"))
    project.server.faults.extend([fault, None, fault, None, fault, fault, None, fault])
    assert crystals_of(fetch(project, tmp_path / "x", timeout=0.3)) == clean
    assert not project.server.faults


def test_a_download_that_was_given_up_goes_on(project, tmp_path):
    clean = crystals_of(fetch(project, tmp_path / "clean"))
    n_before = len(project.server.requests)
    fetch(project, tmp_path / "clean")
    assert len(project.server.requests) == n_before
    project.server.faults.extend([None] * 4)  # the heartbeat, two pages of ids, one of documents
    project.server.standing = Fault(status=503)
    with pytest.raises(HttpError, match=r"503.*4 entries are kept in .*x\.partial, and the same call goes on"):
        fetch(project, tmp_path / "x")
    project.server.standing = None
    project.server.requests.clear()
    assert crystals_of(fetch(project, tmp_path / "x")) == clean
    asked = [request.query.get("material_ids") for request in project.server.requests]
    assert asked == [None] * 3 + ["mp-5,mp-6,mp-7,mp-8", "mp-9"]


def test_two_versions_of_the_database_are_not_mixed(project, tmp_path):
    project.server.faults.extend([None] * 6)  # three heartbeats, two pages of ids, one of documents
    project.server.standing = Fault(status=400)
    with pytest.raises(HttpError, match="400"):
        fetch(project, tmp_path / "x")
    project.server.standing, project.version = None, "2027.1.1"
    with pytest.raises(RuntimeError, match=r"is 2027\.1\.1 now and was 2026\.11\.1 .* remove .*x\.partial"):
        fetch(project, tmp_path / "x")
    assert partial_of(tmp_path / "x").is_dir()


def test_a_limit_takes_the_first_ids(project, tmp_path):
    rows = read_download(fetch(project, tmp_path / "x", limit=5))
    assert [row.id for row in rows] == [f"mp-{number}" for number in range(1, 6)]


def test_what_has_no_structure_is_dropped_with_a_reason(project, tmp_path):
    project.documents["mp-2"]["structure"] = None
    project.documents["mp-4"]["structure"] = {"lattice": {}}
    summary = project.summary

    def without_one(request):
        answer = summary(request)
        found = json.loads(answer.body)
        if "material_ids" in request.query:
            found["data"] = [one for one in found["data"] if one["material_id"] != "mp-7"]
        return Answer(json.dumps(found).encode(), headers=JSON)

    project.server.handlers["/materials/summary/"] = without_one
    path = fetch(project, tmp_path / "x")
    lines = gzip.decompress((path / "dropped.jsonl.gz").read_bytes()).splitlines()
    dropped = {one["id"]: one["reason"] for one in map(json.loads, lines)}
    assert set(dropped) == {"mp-2", "mp-4", "mp-7"}
    assert dropped["mp-7"] == "the server sent no document"
    assert "no structure that can be read" in dropped["mp-2"]


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "asks for a key"), ("a" * 16, "retired interface, those of today have 32"), ("a" * 40, "has 40 characters")],
)
def test_a_key_of_another_form_is_told_without_asking(project, tmp_path, monkeypatch, key, said):
    monkeypatch.setenv("MP_API_KEY", key)
    with pytest.raises(ValueError, match=rf"{said}.*materialsproject\.org/api, and set MP_API_KEY"):
        fetch(project, tmp_path / "x")
    assert project.server.requests == []


def test_a_key_that_is_refused(project, tmp_path):
    with pytest.raises(HttpError, match=r"refuses the key \(401\); get one at") as caught:
        fetch(project, tmp_path / "x", api_key="z" * 32)
    assert "z" * 32 not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_key_does_not_follow_a_redirect(project, tmp_path):
    with FaultyServer() as elsewhere:
        moved = Answer(b"", 302, {"Location": elsewhere.url + "/materials/summary/"})
        project.server.handlers["/materials/summary/"] = lambda request: moved
        with pytest.raises(HttpError, match="Exceeded 0 redirects"):
            fetch(project, tmp_path / "x")
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"query": {"colour": "red"}}, ValueError, "the query asks for 'colour'; known are band_gap, "),
        ({"fields": ["colour"]}, ValueError, "cannot be asked this: invalid fields requested"),
        ({"query": {"has_props": ["colour"]}}, ValueError, "'colour' is not a valid property"),
        ({"page_limit": 0}, ValueError, "page_limit must be 1 or more"),
        ({"limit": 0}, ValueError, "limit must be 1 or more"),
    ],
)
def test_a_question_that_cannot_be_asked_is_one_line(project, tmp_path, options, error, said):
    with pytest.raises(error, match=said) as caught:
        fetch(project, tmp_path / "x", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_match_is_told(project, tmp_path):
    project.documents.clear()
    with pytest.raises(RuntimeError, match="Materials Project has no entries for"):
        fetch(project, tmp_path / "x")
