"""A Dask cluster writes what one process writes, and loses nothing when a worker dies."""

import importlib
import subprocess
import sys
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


@pytest.fixture
def deadly(monkeypatch):
    """Crystals of a module that workers find, too."""
    folder = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder)
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module("deadly_crystals")


@pytest.fixture
def two_rows_a_shard(monkeypatch):
    monkeypatch.setattr(_resumable, "ROWS_PER_SHARD", dict.fromkeys(ROWS_PER_SHARD, 2))


def test_a_cluster_writes_the_same_bytes_though_a_worker_dies(tmp_path, two_rows_a_shard, deadly):
    payloads = [cell(metal) for metal in ("Na", "K", "Rb", "Cs", "Li", "Ag", "Tl")]
    build_motif_tables(crystals(*payloads), tmp_path / "one", progress=False)
    payloads[3] = deadly.DeadlyOnce(payloads[3], mark=str(tmp_path / "mark"))
    build_motif_tables(crystals(*payloads), tmp_path / "cluster", scheduler="dask", workers=2, progress=False)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "one")
    assert (tmp_path / "mark").exists()


def test_a_row_that_kills_its_worker_or_never_ends_is_rejected_and_no_other(tmp_path, two_rows_a_shard, deadly):
    source = crystals(cell("Na"), deadly.Deadly(cell("K")), cell("Rb"), deadly.Endless(cell("Cs")), cell("Li"))
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


def test_a_cluster_whose_last_worker_is_gone_is_an_error_and_not_a_wait(
    tmp_path, two_rows_a_shard, monkeypatch, deadly
):
    monkeypatch.setattr(distributed, "_SECONDS_TO_FIND_WORKERS", 2)
    import distributed as dask_distributed

    source = crystals(cell("Na"), cell("Rb"), deadly.Deadly(cell("K")))
    options = {"n_workers": 0, "dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with dask_distributed.LocalCluster(**options) as cluster:
        code = "from distributed.cli.dask_worker import main; main()"
        worker = subprocess.Popen(
            [sys.executable, "-c", code, cluster.scheduler_address, "--no-nanny", "--nthreads", "1"]
        )
        try:
            with dask_distributed.Client(cluster) as client:
                client.wait_for_workers(1, timeout=60)
            with pytest.raises(RuntimeError, match="has no workers; start some and run again"):
                build_motif_tables(source, tmp_path / "motifs", scheduler=cluster.scheduler_address, progress=False)
            assert worker.wait(10) == 9
        finally:
            worker.kill()
            worker.wait()
