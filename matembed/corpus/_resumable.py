"""Build a folder from rows: what an interrupted build did is kept, and the folder appears whole or not at all."""

import math
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

from matembed._atomic import refuse_occupied, whole_folder
from matembed._lock import held
from matembed.cards import Card, package_versions, plain
from matembed.corpus._first_rows import FirstRows
from matembed.corpus._heap import frozen_heap
from matembed.corpus._row_tables import write_rejected
from matembed.corpus._shards import ROWS_PER_SHARD, Recipe, Shard, Summary, make_shard, read_summary
from matembed.corpus._workers import run_shards
from matembed.sources.rows import FormulaRow, Row, Rows, StructureRow, UnreadableRow, shortened

__all__ = ["SCHEDULERS", "TooManyRejectedError", "build_folder", "check_choices", "check_numbers", "filled_in"]

SCHEDULERS = ("processes", "dask")


class TooManyRejectedError(RuntimeError):
    """So many rows could not be used that the input must be wrong."""

    exit_status = 1


def check_choices(**options: tuple[Any, tuple[Any, ...]]) -> None:
    """Refuse an option, given with all it can be, that is none of them."""
    for name, (value, known) in options.items():
        if not (value is None or isinstance(value, str)) or value not in known:
            msg = f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}"
            raise ValueError(msg)


def check_numbers(time_limit: float, max_rejected: float, scheduler: str, **counts: int) -> None:
    """Refuse numbers out of range, and a scheduler that is neither a name nor an address."""
    for name, number in counts.items():
        if not isinstance(number, Integral) or number < 1:
            msg = f"{name} must be a whole number, 1 or more; got {number!r}"
            raise ValueError(msg)
    if not time_limit > 0 or math.isinf(time_limit):
        msg = f"time_limit must be a positive number of seconds, got {time_limit!r}"
        raise ValueError(msg)
    if not 0 <= max_rejected <= 1:
        msg = f"max_rejected is a share between 0 and 1, got {max_rejected!r}"
        raise ValueError(msg)
    if not isinstance(scheduler, str) or (scheduler not in SCHEDULERS and "://" not in scheduler):
        known = ", ".join(map(repr, SCHEDULERS))
        msg = f"scheduler must be {known} or an address such as 'tcp://10.0.0.1:8786'; got {scheduler!r}"
        raise ValueError(msg)


def filled_in(card: Card | None, rows: Rows, what: str, settings: Mapping[str, Any], seed: int | None = None) -> Card:
    """Fill in what is known before the rows are counted; settings that are None are left out."""
    base = card or rows.card or Card(name=rows.name, source=rows.name)
    return replace(base, what=base.what or what, settings=plain(settings), seed=seed, versions=package_versions())


def build_folder(
    rows: Rows,
    recipe: Recipe,
    out: str | os.PathLike[str],
    write: Callable[[Path, Mapping[Path, Summary]], None],
    *,
    kind: str,
    source: Any,
    workers: int,
    scheduler: str,
    max_rejected: float,
    progress: bool,
    overwrite: bool,
) -> Path:
    """Run a recipe over rows in shards, then `write` a folder from their files, in row order; the path of the folder.

    `kind` is the type in the folder's ``config.json``. Finished shards are kept in ``<out>.partial`` until all is
    done. KeyboardInterrupt says so; the other errors are those of `build_corpus`.
    """
    folder = Path(out).resolve()
    if isinstance(source, str | os.PathLike) and folder.is_relative_to(Path(source).resolve()):
        msg = f"{folder} lies in the folder that is read; choose a place outside of it"
        raise ValueError(msg)
    refuse_occupied(folder, kind=kind, overwrite=overwrite)
    work = folder.with_name(f"{folder.name}.partial")
    if scheduler == "processes" and workers == 1:
        recipe.prepare()
    with held(folder), frozen_heap():
        try:
            shards = _run(rows, recipe, work, workers, scheduler, progress)
        except KeyboardInterrupt:
            done = f"what was done is in {work}, and the same call goes on from there"
            msg = f"interrupted; {done if work.exists() else 'nothing was done yet'}"
            raise KeyboardInterrupt(msg) from None
        _refuse_too_many(shards, work, max_rejected)
        with whole_folder(folder, kind=kind, overwrite=overwrite) as partial:
            write(partial, shards)
        shutil.rmtree(work)
    return Path(out) if Path(out).is_dir() else folder  # "absent/../name" does not lead there


def _run(rows: Rows, recipe: Recipe, work: Path, workers: int, scheduler: str, progress: bool) -> dict[Path, Summary]:
    """Run what is not done yet; the summary of every shard by its file, in row order."""
    from tqdm import tqdm

    summaries: dict[Path, Summary] = {}
    n_rejected = 0
    unit = rows.kind.removesuffix("s")
    with tqdm(total=rows.n_rows, desc=rows.name, unit=f" {unit}", disable=not progress, smoothing=0.05) as bar:

        def unfinished() -> Iterator[Shard]:
            for shard in _shards(rows, recipe):
                path = shard.path(work)
                summary = read_summary(path)
                if summary is None or summary.fingerprint != shard.fingerprint:
                    summaries[path] = Summary(shard.fingerprint, 0, 0, {})
                    yield shard
                else:
                    summaries[path] = summary
                    if not bar.disable:
                        bar.initial += len(shard.rows)  # done before: left out of the rate and the remaining time
                    advance(summary)

        def advance(summary: Summary) -> None:
            nonlocal n_rejected
            n_rejected += summary.n_rejected
            bar.set_postfix(rejected=n_rejected, refresh=False)
            bar.update(summary.n_kept + summary.n_rejected)

        with closing(_scheduled(unfinished(), recipe, work, workers, scheduler)) as done:
            for path, summary in done:
                summaries[path] = summary
                advance(summary)
    return summaries


def _scheduled(
    shards: Iterator[Shard], recipe: Recipe, work: Path, workers: int, scheduler: str
) -> Generator[tuple[Path, Summary], None, None]:
    if scheduler == "processes":
        return run_shards(shards, recipe, work, workers)
    from matembed.corpus.distributed import run_on_dask

    return run_on_dask(shards, recipe, work, workers, None if scheduler == "dask" else scheduler)


def _shards(rows: Iterable[Row], recipe: Recipe) -> Iterator[Shard]:
    seen = FirstRows()
    versions = package_versions()
    waiting = iter(rows)
    position = 0
    while some := list(islice(waiting, ROWS_PER_SHARD[recipe.speed])):
        yield make_shard(position, _without_repeated_ids(some, seen), recipe, versions)
        position += 1


def _without_repeated_ids(rows: Sequence[Row], seen: FirstRows) -> list[Row]:
    """Replace each row whose id came before by one that says so."""
    readable = [row for row in rows if not isinstance(row, UnreadableRow)]
    first = iter(seen.add([row.id for row in readable], [row.row for row in readable]))
    return [row if isinstance(row, UnreadableRow) else _checked(row, next(first)) for row in rows]


def _checked(row: FormulaRow | StructureRow, first: int) -> Row:
    if first == row.row:
        return row
    shown = row.input if isinstance(row, StructureRow) else str(row.formula)
    return UnreadableRow(row.row, row.id, shortened(shown), f"id {row.id!r} is that of row {first}")


def _refuse_too_many(shards: dict[Path, Summary], work: Path, max_rejected: float) -> None:
    n_kept = sum(summary.n_kept for summary in shards.values())
    n_rejected = sum(summary.n_rejected for summary in shards.values())
    n_rows = n_kept + n_rejected
    if n_kept > 0 and n_rejected <= max_rejected * n_rows:
        return
    reasons = write_rejected(shards, work / "rejected.parquet")
    commonest = "; ".join(f"{n:,} as in row {row}: {reason}" for n, row, reason in reasons[:3])
    more = f"; and {len(reasons) - 3} other reasons" if len(reasons) > 3 else ""
    remedy = (
        "mend the input and run again"
        if n_kept == 0
        else "mend the input, or pass max_rejected=1.0 (command line: --max-rejected 1) to do without them"
    )
    allowed = "none is left" if n_kept == 0 else f"max_rejected={max_rejected:g} allows {int(max_rejected * n_rows):,}"
    msg = (
        f"{n_rejected:,} of {n_rows:,} rows were rejected; {allowed}. {commonest}{more}. "
        f"All of them are in {work / 'rejected.parquet'}: {remedy}"
    )
    raise TooManyRejectedError(msg)
