"""Run shards on a Dask cluster, and survive the death of a worker."""

import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from matembed._optional import import_extra
from matembed.cards import package_versions
from matembed.corpus._shards import (
    Recipe,
    Record,
    Shard,
    Summary,
    read_summary,
    record_of,
    rejected,
    run_shard,
    write_shard,
)
from matembed.corpus._workers import DIED
from matembed.sources.rows import Row

__all__ = ["run_on_dask"]

_SECONDS_TO_FIND_WORKERS = 60


def run_on_dask(
    shards: Iterable[Shard], recipe: Recipe, folder: Path, workers: int, address: str | None = None
) -> Generator[tuple[Path, Summary], None, None]:
    """Run shards on a Dask cluster; yield the file and the summary of each as it is done, in any order.

    Each shard is one task: the same pure function that worker processes call. The worker writes its file, so `folder`
    must be on a file system that all of them share. A shard whose worker dies is run again; one that takes more
    workers with it is run row by row, and the row that does it is rejected. At most two shards a worker are in memory.

    Parameters
    ----------
    shards : iterable of Shard
        What to run.
    recipe : Recipe
        What to make of each row.
    folder : Path
        Where the files of results belong.
    workers : int
        Processes of a cluster on this machine; not used with an address.
    address : str, optional
        Address of a scheduler that runs elsewhere.

    Yields
    ------
    (Path, Summary)
        The file of a shard and its summary.

    Raises
    ------
    ImportError
        If Dask is not installed.
    OSError
        If there is no scheduler at the address.
    RuntimeError
        If the cluster has no workers, other versions of packages, or another file system.
    """
    distributed = import_extra("distributed", extra="dask")
    waiting = iter(shards)
    shard = next(waiting, None)
    if shard is None:
        return
    with _client(distributed, workers, address) as client:
        _refuse_other_versions(client)
        running: dict[Any, Shard] = {}
        while shard is not None or running:
            while shard is not None and len(running) < 2 * max(1, sum(client.nthreads().values())):
                future = client.submit(run_shard, shard, recipe, folder, pure=False)
                running[future] = shard
                shard = next(waiting, None)
            future = _first_done(list(running), client, distributed)
            finished = running.pop(future)
            try:
                summary: Summary = _result(future, client)
            except distributed.KilledWorker:
                summary = _run_row_by_row(finished, recipe, folder, client, distributed)
            path = finished.path(folder)
            if read_summary(path) != summary:
                msg = f"a worker wrote {path}, which is not to be seen here; choose a folder that all workers share"
                raise RuntimeError(msg)
            yield path, summary


def _first_done(futures: list[Any], client: Any, distributed: Any) -> Any:
    """Wait for the first of some futures to be done, as long as there are workers that can do them."""
    while True:
        try:
            return distributed.wait(futures, _SECONDS_TO_FIND_WORKERS, return_when="FIRST_COMPLETED").done.pop()
        except TimeoutError:
            _wait_for_workers(client)


def _result(future: Any, client: Any) -> Any:
    """Wait for a result, as long as there are workers; one that is lost with its worker is made again."""
    while True:
        try:
            return future.result(_SECONDS_TO_FIND_WORKERS)
        except TimeoutError:
            if future.status == "error":  # the task's own
                raise
            _wait_for_workers(client)


def _run_row_by_row(shard: Shard, recipe: Recipe, folder: Path, client: Any, distributed: Any) -> Summary:
    records: list[Record] = []
    for row in shard.rows:
        try:
            records.append(_result(client.submit(_prepared, row, recipe, pure=False), client))
        except distributed.KilledWorker:
            records.append(rejected(row, DIED))
    return write_shard(shard, records, recipe, folder)


def _prepared(row: Row, recipe: Recipe) -> Record:
    recipe.prepare()
    return record_of(row, recipe)


@contextmanager
def _client(distributed: Any, workers: int, address: str | None) -> Iterator[Any]:
    import dask

    with ExitStack() as stack:
        if address is None:
            # A shard, and then each of its rows, has one more try: a worker may die of something else.
            with dask.config.set({"distributed.scheduler.allowed-failures": 1}), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Port 8787 is already in use")  # of a page that nobody asked for
                cluster = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    worker_dashboard_address=None,
                    silence_logs="CRITICAL",
                )
            client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        else:
            client = stack.enter_context(distributed.Client(address))
        _wait_for_workers(client)
        yield client


def _wait_for_workers(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=_SECONDS_TO_FIND_WORKERS)
    except TimeoutError:
        msg = f"the Dask cluster at {client.scheduler.address} has no workers; start some and run again"
        raise RuntimeError(msg) from None


def _refuse_other_versions(client: Any) -> None:
    here = package_versions()
    for worker, there in client.run(package_versions).items():
        for name in sorted(here.keys() | there.keys()):
            if here.get(name) != there.get(name):
                msg = f"{name} is {here.get(name)} here and {there.get(name)} on the worker {worker}; install the same"
                raise RuntimeError(msg)
