"""One bad row costs one row; an interruption costs nothing; the same input gives the same bytes."""

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from interrupted import Interrupting
from pymatgen.core import Lattice, Structure

from matembed import Card
from matembed.corpus import _resumable
from matembed.corpus._shards import ROWS_PER_SHARD
from matembed.corpus.build import TooManyRejectedError, build_corpus
from matembed.sources.rows import FormulaRow, Rows, StructureRow

NAMES = ("Na", "K", "Rb", "Cs", "Li")


def cell(metal, a=4.1, **others):
    """A crystal of the caesium chloride type, as a line of JSON holds it."""
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return {"lattice": lattice, "species": [metal, "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]} | others


def crystals(*payloads):
    rows = [StructureRow(i, f"x{i}", f"line {i}", payload, {"n": i}) for i, payload in enumerate(payloads, start=1)]
    return Rows("structures", "crystals", len(rows), lambda: iter(rows))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


class Endless(dict):
    """A crystal that is never done, and swallows exceptions as libraries do."""

    def get(self, key, default=None):
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue


class Deadly(str):
    """A formula that kills the process that reads it."""

    def strip(self, *_):
        os._exit(9)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What an uninterrupted build of five crystals with one worker writes, whatever the size of a shard."""
    folder = tmp_path_factory.mktemp("reference") / "corpus"
    build_corpus(crystals(*map(cell, NAMES)), folder, progress=False)
    return contents(folder)


def test_the_files_are_those_of_a_corpus(reference):
    assert set(reference) == {
        *(
            "README.md",
            "config.json",
            "materials.parquet",
            "motif_graphs.jsonl.gz",
            "rejected.parquet",
            "rewritten.parquet",
        ),
        *(f"sentences/{view}.txt" for view in ("links", "walks", "elements", "amounts", "environments")),
    }


def test_two_workers_write_the_same_bytes(reference, tmp_path, two_rows_a_shard):
    build_corpus(crystals(*map(cell, NAMES)), tmp_path / "corpus", workers=2, progress=False)
    assert gc.get_freeze_count() == 0
    assert contents(tmp_path / "corpus") == reference
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_a_path_through_a_folder_that_is_not_there(tmp_path):
    corpus = build_corpus(["NaCl"], tmp_path / "absent" / ".." / "corpus", progress=False)
    assert corpus.path == tmp_path / "corpus"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_waits_while_workers_start(tmp_path, two_rows_a_shard, monkeypatch):
    blocked = []

    def start(process):
        blocked.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        signal.getsignal(signal.SIGINT)(signal.SIGINT, None)  # as if another thread had received it
        blocked.append("went on")
        raise OSError("no process")

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        with pytest.raises(KeyboardInterrupt, match=r"^interrupted; nothing was done yet$"):
            build_corpus(crystals(*map(cell, NAMES)), tmp_path / "corpus", workers=2, progress=False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert blocked == [True, "went on"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


def test_an_interrupted_build_goes_on_to_the_same_bytes(reference, tmp_path, two_rows_a_shard, monkeypatch):
    source = crystals(cell("Na"), cell("K"), cell("Rb"), Interrupting(cell("Cs")), cell("Li"))
    Interrupting.pressed = False
    with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
        build_corpus(source, tmp_path / "corpus", progress=False)
    assert not (tmp_path / "corpus").exists()
    assert [path.name for path in (tmp_path / "corpus.partial").iterdir()] == ["shard-000000.zip"]

    read = []
    read_crystal = StructureRow.read_crystal
    monkeypatch.setattr(StructureRow, "read_crystal", lambda row: read.append(row.id) or read_crystal(row))
    build_corpus(source, tmp_path / "corpus", progress=False)
    assert read == ["x3", "x4", "x5"]
    assert contents(tmp_path / "corpus") == reference
    assert not (tmp_path / "corpus.partial").exists()


FORMULAS = [f"Na{i}Cl{i + 1}" if i % 10 else "Xx" for i in range(20_000)]
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from matembed import build_corpus
formulas = [f"Na{i}Cl{i + 1}" if i % 10 else "Xx" for i in range(20_000)]
if __name__ == "__main__":
    build_corpus(formulas, sys.argv[1], workers=int(sys.argv[2]), progress=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("name", "workers"), [("SIGKILL", "1"), ("SIGKILL", "2"), ("SIGINT", "2")])
def test_a_killed_build_goes_on_to_the_same_bytes_and_leaves_no_orphan(whole, tmp_path, name, workers):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, tmp_path / "killed", workers]
    root = Path(__file__).parents[2]
    killed = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True)
    partial = tmp_path / "killed.partial"
    deadline = time.monotonic() + 60
    while not any(partial.glob("shard-*")) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    children = _children(killed.pid)
    if name == "SIGINT":
        os.killpg(killed.pid, signal.SIGINT)  # as a terminal does on Ctrl-C: to the parent and its workers
    else:
        killed.kill()
    stderr = killed.communicate()[1]
    assert killed.returncode != 0
    assert ("the same call goes on from there" in stderr) == (name == "SIGINT")
    assert any(partial.glob("shard-*"))
    assert not (tmp_path / "killed").exists()
    deadline = time.monotonic() + 20
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, children))

    corpus = build_corpus(FORMULAS, tmp_path / "killed", progress=False)
    assert contents(tmp_path / "killed") == whole
    assert corpus.card.counts["rejected"] == 2_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted build of the formulas writes."""
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    build_corpus(FORMULAS, folder, progress=False)
    return contents(folder)


def _children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_changed_rows_settings_and_files_are_not_taken_from_unfinished_work(tmp_path, two_rows_a_shard):
    for name, metal in zip("abcd", NAMES, strict=False):
        (tmp_path / f"{name}.json").write_text(json.dumps(Structure(*cell(metal).values()).as_dict()))
    paths = [tmp_path / f"{name}.json" for name in "abcd"]
    paths[3].write_text("{}")
    with pytest.raises(TooManyRejectedError):
        build_corpus(paths, tmp_path / "corpus", max_rejected=0, progress=False)
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "corpus.partial").glob("shard-*")}

    paths[3].write_text(json.dumps(Structure(*cell("Li").values()).as_dict()))
    with pytest.raises(TooManyRejectedError):
        build_corpus([*paths, 7], tmp_path / "corpus", kind="structures", max_rejected=0, progress=False)
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "corpus.partial").glob("shard-*")}
    assert again["shard-000000.zip"] == stamps["shard-000000.zip"]
    assert again["shard-000001.zip"] != stamps["shard-000001.zip"]

    corpus = build_corpus(paths, tmp_path / "corpus", max_rejected=0, views=["elements"], progress=False)
    assert corpus.views == ("elements",)
    assert list(corpus) == [["Na", "Cl"], ["K", "Cl"], ["Rb", "Cl"], ["Li", "Cl"]]


def test_every_bad_crystal_is_a_row_of_rejects(tmp_path):
    good = tmp_path / "good"
    good.mkdir()
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt.to(good / "salt.cif")
    disordered = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    disordered.to(good / "disordered.cif")
    (good / "empty.cif").write_text("")
    (good / "text.cif").write_text("not a crystal at all")
    (good / "POSCAR").write_text("half a\nPOSCAR\n")
    lines = [
        json.dumps(cell("K", id="ok", properties={"gap": 7.0})),
        '{"id": "cut off", "lattice": [[1',
        json.dumps(cell("Xx", id="dummy")),
        json.dumps(cell("K", id="empty") | {"species": [], "frac_coords": []}),
        json.dumps(cell("K", a=float("nan"), id="nan")),
        json.dumps(cell("K", a=0.1, id="crushed")),
        json.dumps(cell("K", id="ok")),
    ]
    (good / "more.jsonl").write_text("\n".join(lines))
    corpus = build_corpus(good, tmp_path / "corpus", max_rejected=0.9, progress=False)
    assert corpus.materials()["id"].to_list() == ["ok", "salt"]
    assert corpus.materials()["gap"].to_list()[0] == 7.0
    rejected = corpus.rejected().set_index("id")
    assert list(rejected.index) == [
        "POSCAR",
        "disordered",
        "empty",
        "more:2",
        "dummy",
        "empty",
        "nan",
        "crushed",
        "ok",
        "text",
    ]
    assert rejected.loc["ok", "reason"] == "id 'ok' is that of row 4"
    assert rejected.loc["more:2", "input"].startswith("more.jsonl, line 2")
    assert "order" in rejected.loc["disordered", "reason"]
    for reason in rejected["reason"]:
        assert reason
        assert "\n" not in reason
        assert str(tmp_path) not in reason


def test_every_bad_formula_is_a_row_of_rejects_and_none_is_lost(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(
        "id,formula,gap\na,NaN,1\nb,Xx2,2\nc,,3\nd,TiO2,4\nd,ZnO,5\ne,Fe2O3\nf,CuSO4·5H2O,6\n".encode()
        + b"g,\xff,7\nh,Ti\xe2\x82\x82O,8\n"
    )
    corpus = build_corpus(path, tmp_path / "corpus", progress=False, max_rejected=0.6)
    materials = corpus.materials()
    assert materials[["id", "row", "formula", "gap"]].to_numpy().tolist() == [
        ["a", 2, "NaN", 1],
        ["d", 5, "TiO2", 4],
        ["f", 8, "CuH10SO9", 6],
        ["h", 10, "Ti2O", 8],
    ]
    rejected = corpus.rejected()
    assert rejected["row"].to_list() == [3, 4, 6, 7, 9]
    assert rejected["reason"][2] == "id 'd' is that of row 5"
    assert corpus.card.counts["read"] == 9


def test_too_many_rejects_end_the_build_and_lose_nothing(tmp_path, monkeypatch):
    formulas = ["NaCl", "Xx2", "Xx3", "Yy", ""]
    with pytest.raises(TooManyRejectedError) as error:
        build_corpus(formulas, tmp_path / "corpus", progress=False)
    text = str(error.value)
    assert "4 of 5 rows were rejected; max_rejected=0.5 allows 2" in text
    assert "as in row 2: " in text
    assert "pass max_rejected=1.0" in text
    assert not (tmp_path / "corpus").exists()
    assert (tmp_path / "corpus.partial" / "rejected.parquet").exists()
    assert error.value.exit_status == 1

    monkeypatch.setattr(_resumable, "run_shards", lambda shards, *_: (pytest.fail("done before") for _ in shards))
    corpus = build_corpus(formulas, tmp_path / "corpus", max_rejected=1.0, progress=False)
    assert corpus.card.counts["rejected"] == 4


def test_nothing_kept_is_an_error_whatever_is_allowed(tmp_path):
    with pytest.raises(TooManyRejectedError, match="2 of 2 rows were rejected; none is left") as error:
        build_corpus(["Xx", "Yy"], tmp_path / "corpus", max_rejected=1.0, progress=False)
    assert "max_rejected" not in str(error.value)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no CPU timer on Windows")
def test_a_crystal_that_takes_too_long_is_rejected_and_the_next_one_is_not(tmp_path):
    source = crystals(Endless(cell("Na")), cell("K"))
    corpus = build_corpus(source, tmp_path / "corpus", time_limit=2, progress=False)
    assert corpus.rejected()["reason"].to_list() == ["took more than 2 s of CPU time; raise time_limit"]
    assert corpus.materials()["id"].to_list() == ["x2"]
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_a_row_that_kills_its_process_is_rejected_and_no_other(tmp_path, two_rows_a_shard):
    formulas = ["NaCl", "KCl", "RbCl", Deadly("?"), Deadly("!"), "LiCl", "LiF"]
    rows = [FormulaRow(i, str(i), formula) for i, formula in enumerate(formulas, start=1)]
    source = Rows("formulas", "some", len(rows), lambda: iter(rows))
    corpus = build_corpus(source, tmp_path / "corpus", workers=2, progress=False)
    assert corpus.rejected()["id"].to_list() == ["4", "5"]
    assert "process died" in corpus.rejected()["reason"][0]
    assert corpus.materials()["formula"].to_list() == ["NaCl", "KCl", "RbCl", "LiCl", "LiF"]


def test_a_script_without_its_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    command = [sys.executable, script, tmp_path / "corpus", "2"]
    finished = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert finished.returncode == 1
    assert "under `if __name__ == '__main__':`" in finished.stderr.splitlines()[-1]


def test_an_existing_folder_is_kept_unless_told_otherwise(tmp_path):
    build_corpus(["NaCl"], tmp_path / "corpus", progress=False)
    before = contents(tmp_path / "corpus")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        build_corpus(["KCl"], tmp_path / "corpus", progress=False)
    assert contents(tmp_path / "corpus") == before
    corpus = build_corpus(["KCl"], tmp_path / "corpus", overwrite=True, progress=False)
    assert corpus.materials()["formula"].to_list() == ["KCl"]


def test_only_a_corpus_is_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="is not overwritten; choose another path"):
        build_corpus(["KCl"], tmp_path, overwrite=True, progress=False)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_corpus_is_not_written_into_the_folder_that_is_read(tmp_path):
    Structure(*cell("Na").values()).to(tmp_path / "salt.cif")
    with pytest.raises(ValueError, match="choose a place outside of it"):
        build_corpus(tmp_path, tmp_path / "corpus", progress=False)


def test_a_relative_path_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build_corpus(["KCl"], "corpus", progress=False).path == Path("corpus")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be"),
        ({"n_walks": 0}, "n_walks must be"),
        ({"walk_length": 1.5}, "walk_length must be"),
        ({"time_limit": 0}, "time_limit must be"),
        ({"max_rejected": 50}, "max_rejected is a share"),
        ({"engine": "magic"}, "engine must be"),
        ({"strategy": "magic"}, "strategy must be"),
        ({"valences": "magic"}, "valences must be"),
        ({"valences": [1, -1]}, "valences must be"),
        ({"views": ["links"]}, "views of formulas are some of elements, amounts, environments"),
        ({"views": []}, "views of formulas"),
        ({"limit": 0}, "limit must be"),
        ({"seed": None}, "seed must be"),
    ],
)
def test_settings_out_of_range_are_refused_before_any_work(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        build_corpus(["NaCl"], tmp_path / "corpus", progress=False, **options)
    assert not any(tmp_path.iterdir())


def test_no_rows_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds no formulas"):
        build_corpus([], tmp_path / "corpus", progress=False)
    assert not any(tmp_path.iterdir())


def test_settings_may_be_numbers_of_numpy(tmp_path):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    settings = {"n_walks": 3, "walk_length": 4, "seed": 5, "limit": 1, "workers": 1}
    one = build_corpus([salt, salt], tmp_path / "one", progress=False, **settings)
    of_numpy = {name: np.int64(number) for name, number in settings.items()}
    two = build_corpus([salt, salt], tmp_path / "two", progress=False, oxidation=np.False_, **of_numpy)
    assert two.card == one.card


def test_limit_and_card(tmp_path):
    card = Card("demo", what="Salts.", source="a book", licence="CC0-1.0", citation=("Anon., 1900",))
    corpus = build_corpus((f"Na{i}Cl" for i in range(1, 100)), tmp_path / "corpus", limit=3, card=card, progress=False)
    assert corpus.card.counts["read"] == 3
    assert (corpus.card.name, corpus.card.licence, corpus.card.citation) == ("demo", "CC0-1.0", ("Anon., 1900",))
    assert corpus.card.settings["limit"] == 3


def test_properties_become_columns_of_one_kind_each(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(
        "formula,whole,mixed,number,text,code,n_elements\n"
        "NaCl,1,1,1.50,1,007,x\nKCl,-2,2.5,nan,a,008,y\nLiF,,x,1e3,,009,z\n"
    )
    corpus = build_corpus(path, tmp_path / "corpus", progress=False)
    import pyarrow.parquet as pq

    table = pq.read_table(corpus.path / "materials.parquet").to_pydict()
    assert table["whole"] == [1, -2, None]
    assert table["mixed"] == ["1", "2.5", "x"]
    assert table["number"] == [1.5, None, 1000.0]
    assert table["text"] == ["1", "a", None]
    assert table["code"] == ["007", "008", "009"]
    assert table["n_elements"] == [2, 2, 2]
    assert table["input_n_elements"] == ["x", "y", "z"]


def test_the_progress_bar_shows_the_rejected_and_can_be_silenced(tmp_path, capsys):
    build_corpus(["NaCl", "Xx", "KCl"], tmp_path / "a")
    assert "rejected=1" in capsys.readouterr().err
    build_corpus(["NaCl", "Xx", "KCl"], tmp_path / "b", progress=False)
    assert capsys.readouterr().err == ""


def test_memory_does_not_grow_with_the_input(tmp_path):
    def live():
        gc.collect()
        return sum(isinstance(one, StructureRow) for one in gc.get_objects())

    peak = []

    def read():
        for i in range(1, 1200):
            if i % 100 == 0:
                peak.append(live())
            yield StructureRow(i, f"x{i}", f"line {i}", cell("Na") if i == 1 else {})

    rows = Rows("structures", "crystals", None, read)
    build_corpus(rows, tmp_path / "corpus", max_rejected=1, progress=False)
    assert max(peak) <= 2 * ROWS_PER_SHARD["structures"] + 1


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:-1], lambda _: b""])
def test_a_damaged_shard_is_done_again(tmp_path, two_rows_a_shard, damage):
    formulas = ["NaCl", "KCl", "RbCl", "CsCl", "Xx"]
    whole = contents(build_corpus(formulas, tmp_path / "whole", progress=False).path)
    with pytest.raises(TooManyRejectedError):
        build_corpus(formulas, tmp_path / "corpus", max_rejected=0, progress=False)
    shard = tmp_path / "corpus.partial" / "shard-000001.zip"
    shard.write_bytes(damage(shard.read_bytes()))
    assert contents(build_corpus(formulas, tmp_path / "corpus", progress=False).path) == whole


def test_a_second_build_of_the_same_folder_is_refused(tmp_path):
    refusals = []

    def formulas():
        yield "NaCl"
        with pytest.raises(RuntimeError) as error:
            build_corpus(["KCl"], tmp_path / "corpus", progress=False)
        refusals.append(str(error.value))
        yield "LiF"

    corpus = build_corpus(formulas(), tmp_path / "corpus", progress=False)
    assert refusals == [f"another build is writing {tmp_path / 'corpus'}; wait for it, or choose another path"]
    assert corpus.materials()["formula"].to_list() == ["NaCl", "LiF"]
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_properties_whose_names_are_taken_keep_apart(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("formula,row,input_row,chemsys\nNaCl,7,8,x\n")
    materials = build_corpus(path, tmp_path / "corpus", progress=False).materials()
    assert materials.iloc[0].to_dict() == {
        "id": "2",
        "row": 2,
        "formula": "NaCl",
        "chemsys": "Cl-Na",
        "n_elements": 2,
        "input_chemsys": "x",
        "input_row": 8,
        "input_input_row": 7,
    }


def test_versions_of_packages_are_looked_up_twice_whatever_the_number_of_shards(
    tmp_path, two_rows_a_shard, monkeypatch
):
    looked_up = []
    versions = _resumable.package_versions
    monkeypatch.setattr(_resumable, "package_versions", lambda: looked_up.append(1) or versions())
    build_corpus(["NaCl", "KCl", "RbCl", "CsCl", "LiF"], tmp_path / "corpus", progress=False)
    assert len(looked_up) == 2


def test_deuterium_of_a_crystal_is_reported(tmp_path):
    deuteride = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.07), ["Li", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    corpus = build_corpus({"LiD": deuteride}, tmp_path / "corpus", progress=False)
    assert corpus.rewritten()[["id", "formula", "rewrites"]].values.tolist() == [["LiD", "LiH", "D read as H"]]
