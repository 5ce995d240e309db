"""Build a corpus from formulas or crystals: row by row, resumable, the same bytes however it was run."""

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from matembed._atomic import refuse_occupied, sha256_of, whole_folder
from matembed.cards import Card, package_versions
from matembed.corpus._lock import held
from matembed.corpus._merge import merge_shards, write_rejected
from matembed.corpus._shards import Settings, Shard, Summary, make_shard, read_summary
from matembed.corpus._workers import run_shards
from matembed.corpus.contexts import FORMULA_VIEWS
from matembed.corpus.corpus import SCHEMA, Corpus
from matembed.corpus.walks import MOTIF_VIEWS
from matembed.motifs.find import ENGINES, Engine
from matembed.motifs.valences import VALENCE_METHODS
from matembed.sources.files import read_rows
from matembed.sources.rows import Row, Rows, SourceKind, StructureRow, UnreadableRow, shortened

__all__ = ["TooManyRejectedError", "build_corpus"]

# Few enough that little is lost to an interruption, enough that reading, hashing and writing cost nothing beside.
_ROWS_PER_SHARD: dict[SourceKind, int] = {"structures": 16, "formulas": 5000}
_VIEWS: dict[SourceKind, tuple[str, ...]] = {"structures": (*MOTIF_VIEWS, *FORMULA_VIEWS), "formulas": FORMULA_VIEWS}
_DEFAULT_VIEW: dict[SourceKind, str] = {"structures": "links", "formulas": "environments"}


class TooManyRejectedError(RuntimeError):
    """So many rows could not be used that the input must be wrong."""

    exit_status = 1


def build_corpus(
    source: Any,
    out: str | os.PathLike[str],
    *,
    kind: SourceKind | None = None,
    column: str | None = None,
    id_column: str | None = None,
    limit: int | None = None,
    views: Sequence[str] | None = None,
    engine: Engine = "chemenv",
    strategy: Literal["simplest"] = "simplest",
    valences: Literal["structure", "bond_valence", "composition", "none"] | None = None,
    oxidation: bool = False,
    n_walks: int = 2,
    walk_length: int = 8,
    seed: int = 0,
    workers: int = 1,
    time_limit: float = 300.0,
    max_rejected: float = 0.5,
    card: Card | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Corpus:
    """Turn formulas or crystals into a corpus of sentences.

    A row that cannot be used becomes a row of ``rejected.parquet`` with the reason; a formula that was read otherwise
    than written, a row of ``rewritten.parquet``. Finished work is kept in ``<out>.partial`` until all is done, so
    the same call goes on where an interrupted one stopped. The files depend on the rows, the settings and the
    versions of the packages, not on interruptions or the number of workers.

    Parameters
    ----------
    source : path-like, DataFrame, Series, mapping, iterable or Rows
        Formulas, as `matembed.sources.read_formulas` reads them: a list, a pandas column, CSV, Parquet, JSON lines.
        Or crystals, as `matembed.sources.read_structures` reads them: a folder of CIF, POSCAR, ...; JSON lines;
        pymatgen Structures.
    out : path-like
        Folder to make. It appears whole or not at all.
    kind : {"formulas", "structures"}, optional
        What the source holds; guessed by default.
    column, id_column : str, optional
        Columns of a table with the formulas and the ids; known names are found by default.
    limit : int, optional
        Only the first rows.
    views : sequence of str, optional
        Which sentences to make: "elements", "amounts", "environments", and of crystals "links", "walks". All by
        default.
    engine, strategy : str
        As in `find_motifs`.
    valences : {"structure", "bond_valence", "composition", "none"}, optional
        As in `find_motifs`.
    oxidation : bool, default False
        Motif tokens with oxidation states: ``Ti4+O6:O:6``.
    n_walks, walk_length : int
        Walks from each motif, and motifs in each.
    seed : int, default 0
        Of the walks.
    workers : int, default 1
        Processes. With 1 the work is done in this one. In a script, more need ``if __name__ == "__main__":``.
    time_limit : float, default 300
        CPU seconds a crystal may take. Not enforced on Windows or outside the main thread.
    max_rejected : float, default 0.5
        Share of rejected rows, 0 to 1, beyond which the build is refused.
    card : Card, optional
        Name, what, source, licence and citation of the data; counts, settings and versions are filled in.
    progress : bool, default True
        Show a bar on standard error.
    overwrite : bool, default False
        Replace a corpus that is already there.

    Returns
    -------
    Corpus
        The corpus, read from `out`.

    Raises
    ------
    TooManyRejectedError
        If more rows than `max_rejected` were rejected, or all were. The message names the commonest reasons and where
        the rows are; what was done is kept, so with a larger `max_rejected` the same call ends at once.
    FileExistsError
        If `out` is there and `overwrite` is false, or what is there is no corpus.
    FileNotFoundError
        If the source is not there.
    ValueError
        If the source holds no rows, `out` lies in the folder that is read, or a setting is out of range.
    RuntimeError
        If another build is writing `out`, or worker processes cannot start.
    KeyboardInterrupt
        On Ctrl-C; the worker processes end, and what was done is kept.

    See Also
    --------
    Corpus : What is made.
    find_motifs : The motifs of one crystal.

    Notes
    -----
    A row whose id came before is rejected. A row that takes all memory or crashes compiled code kills its process; with
    two workers or more it is found and rejected.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus = build_corpus(["NaCl", "CuSO4.5H2O", "NaN"], f"{folder}/salts", progress=False)
    ...     print(corpus.materials()[["id", "formula"]].to_string(index=False))
    id  formula
     1     NaCl
     2 CuH10SO9
     3      NaN
    """
    rows = read_rows(source, kind=kind, column=column, id_column=id_column, limit=limit)
    chosen = _checked_views(views, rows.kind)
    settings = Settings(
        kind=rows.kind,
        motif_views=tuple(view for view in MOTIF_VIEWS if view in chosen),
        formula_views=tuple(view for view in FORMULA_VIEWS if view in chosen),
        engine=engine,
        strategy=strategy,
        valences=valences,
        oxidation=oxidation,
        n_walks=n_walks,
        walk_length=walk_length,
        seed=seed,
        time_limit=float(time_limit),
    )
    _check(settings, workers, max_rejected)
    folder = Path(out).resolve()
    _check_out(folder, source, overwrite)
    work = folder.with_name(f"{folder.name}.partial")
    choice = {"column": column, "id_column": id_column, "limit": limit}
    with held(folder):
        try:
            shards = _run(rows, settings, work, workers, progress)
        except KeyboardInterrupt:
            msg = f"interrupted; what was done is in {work}, and the same call goes on from there"
            raise KeyboardInterrupt(msg) from None
        _refuse_too_many(shards, work, max_rejected)
        with whole_folder(folder, kind="Corpus", overwrite=overwrite) as partial:
            _write(partial, shards, settings, _describe(card, rows, settings, choice))
        shutil.rmtree(work)
    return Corpus.read(out)


def _checked_views(views: Sequence[str] | None, kind: SourceKind) -> tuple[str, ...]:
    if views is None:
        return _VIEWS[kind]
    asked = [views] if isinstance(views, str) else list(views)
    unknown = [view for view in asked if view not in _VIEWS[kind]]
    if unknown or not asked or len(set(asked)) < len(asked):
        found = f"{unknown[0]!r}" if unknown else f"{asked}"
        msg = f"views of {kind} are some of {', '.join(_VIEWS[kind])}, each once; got {found}"
        raise ValueError(msg)
    return tuple(asked)


def _check(settings: Settings, workers: int, max_rejected: float) -> None:
    for name, value, known in (
        ("engine", settings.engine, ENGINES),
        ("strategy", settings.strategy, ("simplest",)),
        ("valences", settings.valences, (None, *VALENCE_METHODS)),
    ):
        if not (value is None or isinstance(value, str)) or value not in known:
            msg = f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}"
            raise ValueError(msg)
    for name, number in (("workers", workers), ("n_walks", settings.n_walks), ("walk_length", settings.walk_length)):
        if not isinstance(number, int) or number < 1:
            msg = f"{name} must be a whole number, 1 or more; got {number!r}"
            raise ValueError(msg)
    if not isinstance(settings.seed, int):
        msg = f"seed must be a whole number, got {settings.seed!r}"
        raise ValueError(msg)
    if not settings.time_limit > 0 or math.isinf(settings.time_limit):
        msg = f"time_limit must be a positive number of seconds, got {settings.time_limit!r}"
        raise ValueError(msg)
    if not 0 <= max_rejected <= 1:
        msg = f"max_rejected is a share between 0 and 1, got {max_rejected!r}"
        raise ValueError(msg)


def _check_out(folder: Path, source: Any, overwrite: bool) -> None:
    if isinstance(source, str | os.PathLike) and folder.is_relative_to(Path(source).resolve()):
        msg = f"{folder} lies in the folder that is read; choose a place outside of it"
        raise ValueError(msg)
    refuse_occupied(folder, kind="Corpus", overwrite=overwrite)


def _run(rows: Rows, settings: Settings, work: Path, workers: int, progress: bool) -> dict[Path, Summary]:
    """Run what is not done yet; the summary of every shard by its file, in row order."""
    from tqdm import tqdm

    summaries: dict[Path, Summary] = {}
    n_rejected = 0
    unit = rows.kind.removesuffix("s")
    with tqdm(total=rows.n_rows, desc=rows.name, unit=f" {unit}", disable=not progress, smoothing=0.05) as bar:

        def unfinished() -> Iterator[Shard]:
            for shard in _shards(rows, settings):
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

        with closing(run_shards(unfinished(), settings, work, workers)) as done:
            for path, summary in done:
                summaries[path] = summary
                advance(summary)
    return summaries


def _shards(rows: Iterable[Row], settings: Settings) -> Iterator[Shard]:
    first_rows: dict[str, int] = {}

    def unique() -> Iterator[Row]:
        for row in rows:
            if isinstance(row, UnreadableRow) or (first := first_rows.setdefault(row.id, row.row)) == row.row:
                yield row
            else:
                shown = row.input if isinstance(row, StructureRow) else str(row.formula)
                yield UnreadableRow(row.row, row.id, shortened(shown), f"id {row.id!r} is that of row {first}")

    versions = package_versions()
    waiting = unique()
    position = 0
    while some := tuple(islice(waiting, _ROWS_PER_SHARD[settings.kind])):
        yield make_shard(position, some, settings, versions)
        position += 1


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


def _describe(card: Card | None, rows: Rows, settings: Settings, choice: dict[str, Any]) -> Card:
    """Fill in what is known before the rows are counted."""
    used: dict[str, Any] = {"kind": settings.kind, "views": list(settings.views)}
    seed = None
    if settings.kind == "structures":
        passed = asdict(settings)
        seed = passed.pop("seed")
        used |= {name: passed[name] for name in passed if name not in ("kind", "motif_views", "formula_views")}
    base = card or Card(name=rows.name, source=rows.name)
    what = base.what or f"Sentences from {settings.kind}."
    chosen = {name: value for name, value in choice.items() if value is not None}
    return replace(base, what=what, settings=used | chosen, seed=seed, versions=package_versions())


def _write(folder: Path, shards: Mapping[Path, Summary], settings: Settings, card: Card) -> None:
    counts = merge_shards(shards, folder, settings.kind, settings.views)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sha256 = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    card = replace(card, counts=counts, sha256=sha256)
    default = _DEFAULT_VIEW[settings.kind]
    view = default if default in settings.views else settings.views[0]
    config = {"schema": SCHEMA, "type": "Corpus", "view": view, "views": list(settings.views), "card": card.to_dict()}
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(card.to_markdown(), encoding="utf-8", newline="\n")
