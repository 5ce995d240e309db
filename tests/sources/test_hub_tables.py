"""Parquet files of a hub: a local server that speaks the few addresses of the hub that are needed."""

import hashlib
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_server import Answer, Fault, FaultyServer

from matembed._http import HashMismatchError, HttpError, OfflineError
from matembed.sources._partial import partial_of
from matembed.sources.hub_tables import fetch_hub_table, is_hub_table, open_hub_table

JSON = {"Content-Type": "application/json"}
REPO = "lab/crystals"


def table(names):
    return pa.table(
        {
            "immutable_id": names,
            "lattice_vectors": [[[4.0, 0, 0], [0, 4, 0], [0, 0, 4]]] * len(names),
            "cartesian_site_positions": [[[0.0, 0, 0], [2, 2, 2]]] * len(names),
            "species_at_sites": [["Cs", "Cl"]] * len(names),
        }
    )


class Hub:
    """A data set with two Parquet files, one of them listed with its SHA-256, and a page."""

    commit = "c" * 40

    def __init__(self, server, folder):
        self.server = server
        self.files = {"README.md": b"# Crystals\n"}
        for number, name in enumerate(("data/part-0.parquet", "data/part-1.parquet")):
            pq.write_table(table([f"a-{number}-{k}" for k in range(5)]), folder / "x.parquet")
            self.files[name] = (folder / "x.parquet").read_bytes()
        self.listed_only = []
        server.handlers[f"/api/datasets/{REPO}"] = self.about
        server.handlers[f"/datasets/{REPO}/resolve/{self.commit}/"] = self.resolve

    def about(self, request):
        if not request.path.endswith(("/revision/main", f"/revision/{self.commit}")):
            return Answer(b'{"error": "no"}', 404, JSON | {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": name, "size": len(body), **self.lfs(name)} for name, body in self.files.items()]
        siblings += [{"rfilename": name, "size": 1} for name in self.listed_only]
        about = {"id": REPO, "sha": self.commit, "siblings": siblings, "cardData": {"license": "cc-by-4.0"}}
        return Answer(
            json.dumps(about | {"private": False, "downloads": 0, "likes": 0, "tags": []}).encode(), headers=JSON
        )

    def lfs(self, name):
        if not name.endswith("0.parquet"):
            return {}
        body = self.files[name]
        return {"lfs": {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "pointerSize": 1}}

    def resolve(self, request):
        name = request.path.partition(f"{self.commit}/")[2]
        body = self.files[name]
        etag = hashlib.sha256(body).hexdigest()
        return Answer(body, headers={"X-Repo-Commit": self.commit, "ETag": f'"{etag}"'})


@pytest.fixture
def hub(monkeypatch, tmp_path_factory):
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.002)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.delenv("MATEMBED_OFFLINE", raising=False)
    with FaultyServer() as server:
        yield Hub(server, tmp_path_factory.mktemp("hub"))


def fetch(hub, out, **options):
    return fetch_hub_table(REPO, out, **{"endpoint": hub.server.url, "progress": False} | options)


def contents(path):
    return {
        file.relative_to(path).as_posix(): file.read_bytes() for file in (path / "files").rglob("*") if file.is_file()
    }


def test_the_files_arrive_with_the_commit_they_are_of(hub, tmp_path):
    path = fetch(hub, tmp_path / "x")
    assert contents(path) == {f"files/{name}": body for name, body in hub.files.items() if name != "README.md"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x"]
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["repo"], manifest["revision"], manifest["commit"]) == (REPO, "main", hub.commit)
    assert manifest["licence"] == "cc-by-4.0"
    body = hub.files["data/part-1.parquet"]
    assert manifest["files"]["data/part-1.parquet"] == {
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    files, card = open_hub_table(path)
    assert pq.read_table(files / "data").num_rows == 10
    assert (card.licence, hub.commit in card.source) == ("cc-by-4.0", True)


def test_a_pattern_chooses_files(hub, tmp_path):
    assert list(contents(fetch(hub, tmp_path / "x", pattern="data/*-1.parquet"))) == ["files/data/part-1.parquet"]
    with pytest.raises(ValueError, match=r"no file of lab/crystals is named '\*\.csv'; there are README\.md, data/"):
        fetch(hub, tmp_path / "y", pattern="*.csv")


def test_what_is_there_is_not_fetched_again(hub, tmp_path, monkeypatch):
    path = fetch(hub, tmp_path / "x")
    hub.server.requests.clear()
    monkeypatch.setenv("MATEMBED_OFFLINE", "1")
    assert fetch(hub, tmp_path / "x") == path
    assert hub.server.requests == []
    with pytest.raises(OfflineError, match="MATEMBED_OFFLINE"):
        fetch(hub, tmp_path / "y")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        fetch(hub, tmp_path / "x", pattern="*-1.parquet")


FAULTS = {
    "throttled": Fault(status=429),
    "server error": Fault(status=500),
    "bad gateway": Fault(status=502),
    "cut": Fault(cut=100),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_leave_no_trace(hub, tmp_path, fault):
    clean = contents(fetch(hub, tmp_path / "clean"))
    hub.server.faults.extend([fault, None, fault, None, fault, fault])
    assert contents(fetch(hub, tmp_path / "x")) == clean
    assert not hub.server.faults


def test_a_download_that_was_given_up_goes_on_at_its_commit(hub, tmp_path):
    hub.server.faults.extend([None] * 3)  # the list, and the first file
    hub.server.standing = Fault(status=503)
    with pytest.raises(HttpError, match=r"503.*kept in .*x\.partial, and the same call goes on") as caught:
        fetch(hub, tmp_path / "x")
    assert "\n" not in str(caught.value)
    hub.server.standing = None
    hub.server.requests.clear()
    path = fetch(hub, tmp_path / "x")
    assert len(contents(path)) == 2
    assert not partial_of(path).exists()
    assert not any("/api/" in request.path for request in hub.server.requests)


def test_a_file_other_than_the_hub_lists_is_not_kept(hub, tmp_path, monkeypatch):
    right = hub.files["data/part-0.parquet"]
    listed = hub.lfs("data/part-0.parquet")
    monkeypatch.setattr(hub, "lfs", lambda name: listed if name.endswith("0.parquet") else {})
    hub.files["data/part-0.parquet"] = right[:-1] + b"?"
    with pytest.raises(HashMismatchError, match=r"part-0\.parquet of lab/crystals is not the file"):
        fetch(hub, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    hub.files["data/part-0.parquet"] = right
    assert len(contents(fetch(hub, tmp_path / "x"))) == 2


@pytest.mark.parametrize(
    "name", ["../x.parquet", "/etc/x.parquet", "a/../../x.parquet", "..\\x.parquet", "C:x.parquet"]
)
def test_names_that_lead_out_of_the_folder_are_refused(hub, tmp_path, name):
    hub.listed_only = [name]
    with pytest.raises(ValueError, match="which is not fetched"):
        fetch(hub, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=404, headers={"X-Error-Code": "RepoNotFound"}), "no such data set, or it is private"),
        (Fault(status=404, headers={"X-Error-Code": "RevisionNotFound"}), "no such revision"),
        (Fault(status=403, headers={"X-Error-Code": "GatedRepo"}), "accept its conditions .* HF_TOKEN"),
        (Fault(status=503), "answers 503; given up after try 6"),
    ],
)
def test_what_the_hub_refuses_is_one_line(hub, tmp_path, fault, said):
    hub.server.standing = fault
    with pytest.raises(HttpError, match=said) as caught:
        fetch(hub, tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert caught.value.status == fault.status
    assert list(tmp_path.iterdir()) == []


def test_no_hub_there(tmp_path, monkeypatch):
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.002)
    with pytest.raises(HttpError, match="the hub cannot be reached"):
        fetch_hub_table(REPO, tmp_path / "x", endpoint="http://127.0.0.1:9", progress=False)


def test_the_switches_of_the_hub_are_heeded(hub, tmp_path):
    code = (
        "from matembed.sources.hub_tables import fetch_hub_table; "
        f"fetch_hub_table({REPO!r}, {str(tmp_path / 'x')!r}, progress=False)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.server.url, "HF_HOME": str(tmp_path / "home")}
    offline = subprocess.run(
        [sys.executable, "-c", code], env=environment | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
    )
    assert "OfflineError: lab/crystals is wanted of the Hugging Face hub, and HF_HUB_OFFLINE" in offline.stderr
    assert hub.server.requests == []
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert is_hub_table(tmp_path / "x")


def test_a_changed_file_is_told(hub, tmp_path):
    path = fetch(hub, tmp_path / "x")
    (path / "files" / "data" / "part-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"part-1\.parquet is not as it was fetched.*with overwrite=True"):
        open_hub_table(path)
    (path / "files" / "data" / "part-1.parquet").write_bytes(hub.files["data/part-1.parquet"])
    (path / "files" / "more.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"more\.parquet is not as it was fetched"):
        open_hub_table(path)
    with pytest.raises(FileNotFoundError, match="holds no data set"):
        open_hub_table(tmp_path)
