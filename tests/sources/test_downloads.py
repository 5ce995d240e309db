"""The folder of a download: the same entries give the same bytes, and nothing is half there."""

import gzip
import json
import subprocess
import sys

import pytest

from matembed._http import HttpError
from matembed._lock import held
from matembed.sources import read_structures
from matembed.sources._partial import partial_of
from matembed.sources.downloads import Page, is_download, make_download, read_download, with_properties

REQUEST = {"source": "A database", "query": "all", "fields": ["gap"]}
FACTS = {"url": "https://x/v1", "version": "7", "licence": "CC-BY-4.0", "citation": ["A paper"]}


def crystal(name, **properties):
    cell = {"lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "species": ["Cs", "Cl"]}
    return with_properties({"id": name, **cell, "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}, properties)


ENTRIES = [
    crystal("a", gap=1.5),
    {"id": "b", "reason": "is no crystal"},
    crystal("c", note="Å\u2028\n"),
    crystal("a", gap=9.0),
    crystal("ö", gap=2.5),
]


class Database:
    """Gives its entries `per_page` at a time, and fails before the pages of `faults`."""

    def __init__(self, entries=ENTRIES, per_page=2, faults=None):
        self.entries, self.per_page, self.faults = entries, per_page, dict(faults or {})
        self.asked = []

    def pages(self, then):
        start = then or 0
        while start < len(self.entries):
            self.asked.append(start)
            if start in self.faults:
                raise self.faults.pop(start)
            stop = start + self.per_page
            more = stop if stop < len(self.entries) else None
            yield Page(self.entries[start:stop], more, FACTS, len(self.entries))
            start = stop


def make(database, out, *, request=REQUEST, **options):
    return make_download(out, request, database.pages, **{"progress": False} | options)


def parts_of(path):
    return [(path / name).read_bytes() for name in ("crystals.jsonl.gz", "dropped.jsonl.gz")]


def test_what_is_kept_what_is_dropped_and_what_is_said(tmp_path):
    path = make(Database(), tmp_path / "x")
    rows = read_download(path)
    assert (rows.kind, rows.name, rows.n_rows) == ("structures", "x", 3)
    assert [(row.row, row.id, row.properties) for row in rows] == [
        (1, "a", {"gap": 1.5}),
        (2, "c", {"note": "Å"}),
        (3, "ö", {"gap": 2.5}),
    ]
    assert [len(row.to_structure()) for row in rows] == [2] * 3
    dropped = [json.loads(line) for line in gzip.decompress(parts_of(path)[1]).splitlines()]
    assert dropped == [ENTRIES[1], {"id": "a", "reason": "the id came before, in entry 1"}]
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["counts"] == {"offered": 5, "kept": 3, "dropped": 2}
    assert (REQUEST | FACTS).items() <= manifest.items()
    assert manifest["date"].endswith("+00:00")
    card = rows.card
    assert (card.licence, card.citation) == ("CC-BY-4.0", ("A paper",))
    assert all(part in card.source for part in ("https://x/v1", "version 7", "all", manifest["date"][:10], "2 dropped"))
    assert sorted(one.name for one in path.iterdir()) == ["crystals.jsonl.gz", "dropped.jsonl.gz", "manifest.json"]
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("per_page", [1, 3, 100])
def test_the_pages_leave_no_trace(tmp_path, per_page):
    assert parts_of(make(Database(per_page=per_page), tmp_path / "x")) == parts_of(make(Database(), tmp_path / "y"))


@pytest.mark.parametrize(
    "fault", [HttpError("gone", status=503), KeyboardInterrupt(), OSError(28, "no space"), ValueError("odd")]
)
def test_the_same_call_goes_on_after_a_fault(tmp_path, fault):
    database = Database(faults={2: fault})
    with pytest.raises(type(fault)):
        make(database, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert database.asked == [0, 2]
    assert parts_of(make(database, tmp_path / "x")) == parts_of(make(Database(), tmp_path / "y"))
    assert database.asked == [0, 2, 2, 4]


@pytest.mark.parametrize("fault", [HttpError("gone", status=503), KeyboardInterrupt()])
def test_a_fault_says_where_what_came_is(tmp_path, fault):
    with pytest.raises(type(fault), match=r"2 entries are kept in .*x\.partial, and the same call goes on from there"):
        make(Database(faults={2: fault}), tmp_path / "x")


def test_a_fault_before_the_first_page_leaves_nothing(tmp_path):
    with pytest.raises(HttpError, match=r"^gone$"):
        make(Database(faults={0: HttpError("gone")}), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_kill_between_a_page_and_its_state_is_mended(tmp_path):
    database = Database(faults={2: HttpError("gone")})
    with pytest.raises(HttpError):
        make(database, tmp_path / "x")
    (partial_of(tmp_path / "x") / "page-000001.jsonl").write_text('{"id": "half')
    assert parts_of(make(database, tmp_path / "x")) == parts_of(make(Database(), tmp_path / "y"))


def test_a_kill_before_the_last_rename_asks_for_no_page_again(tmp_path, monkeypatch):
    database = Database()
    with monkeypatch.context() as patch:
        patch.setattr("matembed.sources.downloads._assemble", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            make(database, tmp_path / "x")
    assert [one.name for one in tmp_path.iterdir()] == ["x.partial"]
    database.asked.clear()
    assert parts_of(make(database, tmp_path / "x")) == parts_of(make(Database(), tmp_path / "y"))
    assert database.asked == []


def test_a_download_that_is_there_is_not_made_again(tmp_path):
    database = Database()
    path = make(database, tmp_path / "x")
    database.asked.clear()
    assert make(database, tmp_path / "x") == path
    assert database.asked == []
    make(Database([crystal("new")]), tmp_path / "x", overwrite=True)
    assert [row.id for row in read_download(path)] == ["new"]


def test_another_download_is_not_gone_on_with(tmp_path):
    with pytest.raises(HttpError):
        make(Database(faults={2: HttpError("gone")}), tmp_path / "x")
    other = REQUEST | {"query": "oxides"}
    with pytest.raises(FileExistsError, match="another download that was begun, of another query; choose another path"):
        make(Database(), tmp_path / "x", request=other)
    database = Database()
    make(database, tmp_path / "x", request=other, overwrite=True)
    assert database.asked == [0, 2, 4]
    with pytest.raises(FileExistsError, match="overwrite=True"):
        make(Database(), tmp_path / "x")


def test_nothing_else_is_overwritten(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.tex").write_text("...")
    with pytest.raises(FileExistsError, match="not overwritten"):
        make(Database(), tmp_path / "x", overwrite=True)
    assert (tmp_path / "x" / "thesis.tex").read_text() == "..."


def test_two_processes_do_not_write_the_same_folder(tmp_path):
    with held(tmp_path / "x", work="download"):
        code = (
            "from matembed.sources.downloads import make_download; "
            f"make_download({str(tmp_path / 'x')!r}, {{'source': 'A'}}, lambda then: iter([]))"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"RuntimeError: another download is writing {tmp_path / 'x'}" in found.stderr


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_a_limit_keeps_the_first_entries(tmp_path, limit):
    database = Database()
    path = make(database, tmp_path / "x", limit=limit)
    assert json.loads((path / "manifest.json").read_text())["counts"]["offered"] == min(limit, 5)
    assert len(database.asked) == min((limit + 1) // 2, 3)


def test_a_database_without_entries_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="A database has no entries for 'all'"):
        make(Database([]), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["crystals.jsonl.gz", "dropped.jsonl.gz"])
def test_a_changed_file_is_told(tmp_path, name):
    path = make(Database(), tmp_path / "x")
    (path / name).write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(ValueError, match=rf"{name} is not the file that was downloaded"):
        read_download(path)
    (path / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is not the file that was downloaded.*with overwrite=True"):
        read_download(path)
    assert len(list(read_download(make(Database(), path, overwrite=True)))) == 3


@pytest.mark.parametrize("text", [None, "", '{"type": "Down'])
def test_a_download_without_its_manifest_is_not_read_unchecked(tmp_path, text):
    path = make(Database(), tmp_path / "x")
    (path / "manifest.json").unlink() if text is None else (path / "manifest.json").write_text(text)
    with pytest.raises(FileNotFoundError, match=r"holds no download of crystals.*copy the whole folder"):
        read_structures(path)


def test_a_folder_of_downloads_holds_what_they_kept(tmp_path, monkeypatch):
    make(Database(), tmp_path / "x")
    assert [row.id for row in read_structures(tmp_path)] == ["a", "c", "ö"]
    monkeypatch.chdir(tmp_path / "x")
    assert (read_structures(".").name, read_structures(".").card.name) == ("x", "x")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"schema": 2}, "upgrade matembed"), ({"counts": 7}, "is damaged"), ({"sha256": None}, "is damaged")],
)
def test_a_manifest_that_cannot_be_read_is_told(tmp_path, changes, said):
    path = make(Database(), tmp_path / "x")
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | changes))
    with pytest.raises(ValueError, match=said):
        read_download(path)


def test_a_folder_that_is_no_download(tmp_path):
    assert not is_download(tmp_path)
    assert not is_download(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("[]")
    assert not is_download(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no download of crystals"):
        read_download(tmp_path)


def test_values_that_json_cannot_hold_are_left_out():
    values = {"a": float("nan"), "b": float("-inf"), "c": 2**70, "d": True, "e": None, "f": {"x": 1}}
    assert with_properties({"id": "x"}, values)["properties"] == {"c": float(2**70), "d": True}
