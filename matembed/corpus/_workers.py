"""Run shards on worker processes of this machine, and survive the death of one."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

from matembed.corpus._heap import freeze_heap
from matembed.corpus._shards import Recipe, Record, Shard, Summary, record_of, rejected, run_shard, write_shard

__all__ = ["DIED", "run_shards"]

DIED = "the process died of it: memory ran out, or compiled code crashed"


def run_shards(
    shards: Iterable[Shard], recipe: Recipe, folder: Path, workers: int
) -> Generator[tuple[Path, Summary], None, None]:
    """Run shards and yield the file and the summary of each as it is done, in any order.

    With one worker the work is done in this process. Otherwise at most two shards a worker are in memory. Where a
    process dies, as it does when memory runs out, the rows it may have died of are run again one by one, and the one
    that kills a process once more is rejected.
    """
    if workers == 1:
        for shard in shards:
            yield shard.path(folder), run_shard(shard, recipe, folder)
        return
    waiting = iter(shards)
    first = next(waiting, None)
    waiting, exhausted = chain([first] if first else [], waiting), first is None
    while not exhausted:
        lost: list[Shard] = []
        with _processes(workers, recipe) as pool:
            running: dict[Future[Summary], Shard] = {}
            while not lost:
                while not exhausted and len(running) < 2 * workers:
                    following = next(waiting, None)
                    if following is None:
                        exhausted = True
                    else:
                        running[_submit(pool, following, recipe, folder)] = following
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    if isinstance(future.exception(), BrokenProcessPool):
                        lost = list(running.values())
                        break
                    yield running.pop(future).path(folder), future.result()
        yield from _run_row_by_row(lost, recipe, folder)


def _submit(pool: ProcessPoolExecutor, shard: Shard, recipe: Recipe, folder: Path) -> "Future[Summary]":
    try:
        with _ctrl_c_waits():
            return pool.submit(run_shard, shard, recipe, folder)
    except BrokenProcessPool as error:
        failed: Future[Summary] = Future()
        failed.set_exception(error)
        return failed


def _run_row_by_row(
    shards: Iterable[Shard], recipe: Recipe, folder: Path
) -> Generator[tuple[Path, Summary], None, None]:
    waiting = iter(shards)
    shard, records = next(waiting, None), list[Record]()
    while shard is not None:
        with _processes(1, recipe) as pool:
            alive = True
            while alive and shard is not None:
                row = shard.rows[len(records)]
                try:
                    records.append(pool.submit(record_of, row, recipe).result())
                except BrokenProcessPool:
                    alive = False
                    records.append(rejected(row, DIED))
                if len(records) == len(shard.rows):
                    yield shard.path(folder), write_shard(shard, records, recipe, folder)
                    shard, records = next(waiting, None), []


@contextmanager
def _processes(workers: int, recipe: Recipe) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool whose processes end with the block, however it ends, and with this process, however that ends.

    Processes are spawned, not forked: a fork of a process with threads (a notebook, a progress bar, BLAS) can hang.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with ExitStack() as stack:
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(receiver, recipe))
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(receiver.close)
        stack.callback(sender.close)
        try:
            with _ctrl_c_waits():
                started = pool.submit(os.getpid)
            started.result()
        except BrokenProcessPool as error:
            msg = (
                "worker processes cannot start; in a script, start builds under `if __name__ == '__main__':`, "
                "or pass workers=1"
            )
            raise RuntimeError(msg) from error
        yield pool


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach before `_begin`, and let it in here only when they are started.

    They inherit that it is blocked. Another thread may still receive it and have it handled by the main one.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _begin(receiver: Connection, recipe: Recipe) -> None:
    """Leave Ctrl-C to the parent, end as soon as its end of the pipe is closed, by it or by its death; get ready."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        receiver.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(Exception):  # raised again by the first shard, and told from there
        recipe.prepare()
    freeze_heap()
