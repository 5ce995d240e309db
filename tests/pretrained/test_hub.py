"""The Hugging Face hub, in the person of a local server that speaks the part of its language that is needed."""

import base64
import hashlib
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from faulty_server import Answer, FaultyServer
from huggingface_hub import constants

import matembed as me
from matembed.pretrained import fetch, push_to_hub

TOKEN = "hf_right"


class Hub:
    """Repositories with one branch each; those of ``secret`` are seen with the right token only."""

    def __init__(self, server):
        self.server = server
        self.commits = {}  # repository -> commit -> file -> bytes; the last commit is main
        server.handlers["/"] = self.answer

    def commit(self, repository, files):
        history = self.commits.setdefault(repository, {})
        files = {**(history[max(history, key=list(history).index)] if history else {}), **files}
        oid = hashlib.sha1(repr((len(history), sorted(files.items()))).encode()).hexdigest()
        history[oid] = files
        return oid

    def answer(self, request):
        parts = request.path.strip("/").split("/")
        is_known = request.headers.get("authorization", request.headers.get("Authorization")) == f"Bearer {TOKEN}"
        if parts[:2] == ["api", "validate-yaml"]:
            return as_json({"errors": [], "warnings": []})
        if request.method == "POST" and not is_known:
            return Answer(b"", 401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        if parts[:3] == ["api", "repos", "create"]:
            asked = json.loads(request.body)
            repository = f"{asked.get('organization') or 'someone'}/{asked['name']}"
            self.commits.setdefault(repository, {})
            return as_json({"url": f"{self.server.url}/{repository}", "name": repository})
        is_api = parts[:2] == ["api", "models"]
        repository, rest = "/".join(parts[2:4] if is_api else parts[:2]), parts[4:] if is_api else parts[2:]
        if repository not in self.commits or (repository.startswith("secret/") and not is_known):
            return Answer(b"", 404 if is_known else 401, {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["preupload"]:
            names = [file["path"] for file in json.loads(request.body)["files"]]
            return as_json(
                {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
            )
        if rest[:1] == ["commit"]:
            lines = [json.loads(line) for line in request.body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            oid = self.commit(repository, files)
            return as_json(
                {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/{repository}/commit/{oid}"}
            )
        history = self.commits[repository]
        revision = rest[1] if len(rest) > 1 else "main"
        oid = list(history)[-1] if revision == "main" else revision
        if oid not in history:
            return Answer(b"", 404, {"X-Error-Code": "RevisionNotFound"})
        return self.read(repository, history[oid], oid, rest)

    def read(self, repository, files, oid, rest):
        if rest[:1] == ["tree"]:
            return as_json([{"type": "file", "path": n, "size": len(d), "oid": sha1(d)} for n, d in files.items()])
        if rest[:1] == ["resolve"]:
            data = files.get("/".join(rest[2:]))
            if data is None:
                return Answer(b"", 404, {"X-Error-Code": "EntryNotFound"})
            return Answer(data, headers={"X-Repo-Commit": oid, "ETag": f'"{sha1(data)}"'})
        siblings = [{"rfilename": name, "size": len(data), "blobId": sha1(data)} for name, data in files.items()]
        return as_json({"id": repository, "modelId": repository, "sha": oid, "siblings": siblings, "tags": []})


def as_json(values):
    return Answer(json.dumps(values).encode(), headers={"Content-Type": "application/json"})


def sha1(data):
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with FaultyServer() as server:
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield Hub(server)


@pytest.fixture
def published(hub, folder):
    """Commit the table of the registry, beside files that are not to be fetched."""
    files = {path.name: path.read_bytes() for path in (folder / "oxides").iterdir()}
    return hub.commit("lab/oxides", files | {"pytorch_model.bin": pickle.dumps({}), "big.parquet": b"x" * 100_000})


def test_a_table_that_was_pushed_is_loaded_with_its_card(hub, table):
    address = push_to_hub(table, "lab/oxides", half=False)
    assert address.startswith(f"{hub.server.url}/lab/oxides/commit/")
    (files,) = hub.commits["lab/oxides"].values()
    assert set(files) == {"config.json", "vectors.safetensors", "vocab.json", "README.md"}
    assert files["README.md"].decode() == me.EmbeddingTable.read(fetch("hf:lab/oxides")).card.to_markdown()
    loaded = me.load("hf:lab/oxides")
    assert loaded.tokens == table.tokens
    assert np.array_equal(loaded.vectors, table.vectors)
    assert loaded.card.licence == "CC0-1.0"


def test_half_precision_is_pushed(hub, table):
    push_to_hub(table, "lab/oxides", half=True)
    assert np.array_equal(me.load("hf:lab/oxides").vectors, table.vectors.astype(np.float16).astype(np.float32))


def test_a_transformer_is_pushed_and_loaded(hub):
    pytest.importorskip("transformers")
    model = me.MaskedLM(dim=16, n_layers=1, n_heads=2, feed_forward=32, epochs=1).fit(me.formula_sets(["NaCl", "LiBr"]))
    push_to_hub(model, "lab/salts")
    salt = me.formula_sets(["LiBr"])
    assert np.array_equal(me.load("hf:lab/salts").encode(salt), model.encode(salt))


def test_only_files_of_ours_are_fetched_and_the_folder_names_the_commit(hub, published):
    path = fetch("hf:lab/oxides")
    assert path.name == published
    assert {each.name for each in path.iterdir()} == {"config.json", "vectors.safetensors", "vocab.json", "README.md"}
    fetched = [request.path for request in hub.server.requests if "/resolve/" in request.path]
    assert not [name for name in fetched if name.endswith((".bin", ".parquet"))]


def test_what_is_cached_stays_until_an_update_is_asked_for(hub, published, table):
    old = fetch("hf:lab/oxides")
    n_asked = len(hub.server.requests)
    assert fetch("hf:lab/oxides") == fetch(f"hf:lab/oxides@{published}") == old
    assert len(hub.server.requests) == n_asked
    push_to_hub(me.EmbeddingTable(("Hf",), [[1.0]], table.card), "lab/oxides")
    assert me.load("hf:lab/oxides").tokens == table.tokens
    assert fetch("hf:lab/oxides", update=True) != old
    assert me.load("hf:lab/oxides").tokens == ("Hf",)
    assert me.load(f"hf:lab/oxides@{published}").tokens == table.tokens


@pytest.mark.parametrize("switch", ["MATEMBED_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_loads_what_is_cached_and_says_what_is_not(hub, published, table, monkeypatch, switch):
    fetch("hf:lab/oxides")
    n_asked = len(hub.server.requests)
    if switch == "MATEMBED_OFFLINE":
        monkeypatch.setenv(switch, "1")
    else:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert me.load("hf:lab/oxides").tokens == table.tokens
    with pytest.raises(OSError, match=r"hf:lab/nitrides is not cached, .*HF_HUB_OFFLINE") as refused:
        me.load("hf:lab/nitrides")
    assert "\n" not in str(refused.value)
    assert len(hub.server.requests) == n_asked


@pytest.mark.parametrize(
    ("name", "token", "match"),
    [
        ("hf:lab/nothing", TOKEN, "hf:lab/nothing is not there, or is private; check the name, or set HF_TOKEN"),
        ("hf:lab/nothing", "hf_wrong", "check the name, or set HF_TOKEN"),
        ("hf:secret/oxides", "hf_wrong", "is not there, or is private; .* set HF_TOKEN"),
        ("hf:lab/oxides@v9", TOKEN, "hf:lab/oxides@v9 has no such revision"),
    ],
)
def test_what_cannot_be_had_is_told_in_a_line(hub, published, monkeypatch, name, token, match):
    hub.commits["secret/oxides"] = hub.commits["lab/oxides"]
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(OSError, match=match) as refused:
        me.load(name)
    assert "\n" not in str(refused.value)


def test_a_wrong_token_cannot_push(hub, table, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(OSError, match=r"hf:lab/oxides is refused \(401\); set HF_TOKEN") as refused:
        push_to_hub(table, "lab/oxides")
    assert "\n" not in str(refused.value)
    assert hub.commits == {}


def test_a_hub_that_is_gone_is_told_in_a_line(hub):
    hub.server.__exit__()
    with pytest.raises(OSError, match=r"hf:lab/oxides is not (cached, and the hub is not )?reached") as refused:
        me.load("hf:lab/oxides")
    assert "\n" not in str(refused.value)


def test_repositories_of_others_are_refused_before_their_weights_are_fetched(hub):
    bert = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x" * 1000, "tokenizer.json": b"{}"}
    hub.commit("lab/bert", bert)
    with pytest.raises(ValueError, match="holds no EmbeddingTable or MaskedLM of matembed"):
        me.load("hf:lab/bert")
    hub.commit("lab/pickle", {"pytorch_model.bin": pickle.dumps({}), "README.md": b""})
    with pytest.raises(ValueError, match=r"holds nothing pretrained with matembed: there is no config\.json"):
        me.load("hf:lab/pickle")
    fetched = [request.path.rpartition("/")[2] for request in hub.server.requests if "/resolve/" in request.path]
    assert set(fetched) == {"config.json"}


def test_a_pickle_in_place_of_vectors_is_refused(hub, published):
    hub.commit("lab/oxides", {"vectors.safetensors": pickle.dumps({})})
    with pytest.raises(ValueError, match=r"is no safetensors file, .* a pickle least of all"):
        me.load("hf:lab/oxides")


def test_what_is_too_large_is_refused_before_any_of_it_is_fetched(hub, published):
    with pytest.raises(ValueError, match=r"hf:lab/oxides has [\d,]+ bytes, more than 100; pass max_bytes="):
        fetch("hf:lab/oxides", max_bytes=100)
    assert not [request for request in hub.server.requests if "/resolve/" in request.path]


@pytest.mark.parametrize(
    "name", ["hf:", "hf:oxides", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b@", "hf:a/b@../../c", "hf:a/b\n"]
)
def test_names_that_are_none_are_refused(hub, name):
    with pytest.raises(ValueError, match="a name on the Hugging Face hub is hf:owner/name"):
        me.load(name)
    assert hub.server.requests == []


def test_what_is_neither_table_nor_transformer_is_not_pushed(hub):
    with pytest.raises(TypeError, match="an EmbeddingTable or a MaskedLM can be uploaded, got dict"):
        push_to_hub({}, "lab/oxides")


def test_another_hub_is_chosen_by_its_own_variable(hub, published, tmp_path):
    environment = os.environ | {"HF_ENDPOINT": hub.server.url, "HF_HOME": str(tmp_path / "home")}
    code = "import matembed; print(matembed.load('hf:lab/oxides').tokens)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert ran.stdout.strip() == "('Ti', 'Zr')", ran.stderr
