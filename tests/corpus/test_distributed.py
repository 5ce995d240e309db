"""A Dask cluster writes what one process writes, and loses nothing when a worker dies."""

import os
from pathlib import Path

import pytest

from matembed.corpus import _resumable, distributed
from matembed.corpus._shards import ROWS_PER_SHARD
from matembed.corpus.motif_tables import build_motif_tables
from matembed.sources.rows import Rows, StructureRow

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")


def cell(metal, a=4.1):
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return {"lattice": lattice, "species": [metal, "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}


def crystals(*payloads):
    rows = [StructureRow(i, f"x{i}", f"line {i}", payload, {"n": i}) for i, payload in enumerate(payloads, start=1)]
    return Rows("structures", "crystals", len(rows), lambda: iter(rows))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class DeadlyOnce(dict):
    """A crystal that kills the process that reads it, the first time."""

    def get(self, key, default=None):
        mark = Path(self["mark"])
        if not mark.exists():
            mark.touch()
            os._exit(9)
        return super().get(key, default)


class Deadly(dict):
    """A crystal that kills every process that reads it."""

    def get(self, key, default=None):
        os._exit(9)


class Endless(dict):
    """A crystal that is never done, and swallows exceptions as libraries do."""

    def get(self, key, default=None):
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue


@pytest.fixture(autouse=True)
def workers_import_this_file(monkeypatch):
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.syspath_prepend(root)


@pytest.fixture
def two_rows_a_shard(monkeypatch):
    monkeypatch.setattr(_resumable, "ROWS_PER_SHARD", dict.fromkeys(ROWS_PER_SHARD, 2))


def test_a_cluster_writes_the_same_bytes_though_a_worker_dies(tmp_path, two_rows_a_shard):
    payloads = [cell(metal) for metal in ("Na", "K", "Rb", "Cs", "Li", "Ag", "Tl")]
    build_motif_tables(crystals(*payloads), tmp_path / "one", progress=False)
    payloads[3] = DeadlyOnce(payloads[3], mark=str(tmp_path / "mark"))
    build_motif_tables(crystals(*payloads), tmp_path / "cluster", scheduler="dask", workers=2, progress=False)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "one")
    assert (tmp_path / "mark").exists()


def test_a_row_that_kills_its_worker_or_never_ends_is_rejected_and_no_other(tmp_path, two_rows_a_shard):
    source = crystals(cell("Na"), Deadly(cell("K")), cell("Rb"), Endless(cell("Cs")), cell("Li"))
    settings = {"distributed.scheduler.allowed-failures": 0}
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": "CRITICAL"}
    import distributed as dask_distributed

    with dask.config.set(settings), dask_distributed.LocalCluster(**options) as cluster:
        tables = build_motif_tables(
            source, tmp_path / "motifs", scheduler=cluster.scheduler_address, time_limit=1, progress=False
        )
    assert tables.materials()["id"].to_list() == ["x1", "x3", "x5"]
    died, endless = tables.rejected()["reason"]
    assert "the process died of it" in died
    assert endless == "took more than 1 s of CPU time; raise time_limit"


def test_without_dask_the_pip_line_is_named(tmp_path, monkeypatch):
    def missing(module, *, extra):
        msg = f'{module!r} is not installed; run: pip install "matembed[{extra}]"'
        raise ImportError(msg)

    monkeypatch.setattr(distributed, "import_extra", missing)
    with pytest.raises(ImportError, match=r'pip install "matembed\[dask\]"'):
        build_motif_tables(crystals(cell("Na")), tmp_path / "motifs", scheduler="dask", progress=False)


def test_no_scheduler_at_the_address_is_an_error_of_one_line(tmp_path):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(OSError, match=r"127\.0\.0\.1") as error,
    ):
        build_motif_tables(crystals(cell("Na")), tmp_path / "motifs", scheduler="tcp://127.0.0.1:9", progress=False)
    assert len(str(error.value).splitlines()) == 1
