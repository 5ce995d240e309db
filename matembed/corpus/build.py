"""Build a corpus from formulas or crystals: row by row, resumable, the same bytes however it was run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matembed.cards import Card, plain
from matembed.corpus._folder import write_config
from matembed.corpus._resumable import (
    TooManyRejectedError,
    build_folder,
    check_choices,
    check_numbers,
    filled_in,
)
from matembed.corpus._sentences import SentenceRecipe, merge_sentences
from matembed.corpus._shards import Summary
from matembed.corpus.contexts import FORMULA_VIEWS
from matembed.corpus.corpus import SCHEMA, Corpus
from matembed.corpus.walks import MIXTURES, MOTIF_VIEWS, Mixtures
from matembed.motifs.find import ENGINES, SEARCHES, STRATEGIES, Engine, Search, Strategy
from matembed.motifs.valences import VALENCE_METHODS, ValenceMethod
from matembed.sources.files import read_rows
from matembed.sources.rows import SourceKind

__all__ = ["TooManyRejectedError", "build_corpus"]

_VIEWS: dict[SourceKind, tuple[str, ...]] = {"structures": (*MOTIF_VIEWS, *FORMULA_VIEWS), "formulas": FORMULA_VIEWS}
_DEFAULT_VIEW: dict[SourceKind, str] = {"structures": "links", "formulas": "environments"}


def build_corpus(
    source: Any,
    out: str | os.PathLike[str],
    *,
    kind: SourceKind | None = None,
    column: str | None = None,
    id_column: str | None = None,
    limit: int | None = None,
    views: Sequence[str] | None = None,
    engine: Engine = "numba",
    strategy: Strategy = "simplest",
    search: Search = "fast",
    valences: ValenceMethod | None = None,
    mixtures: Mixtures = "likeliest",
    oxidation: bool = False,
    n_walks: int = 2,
    walk_length: int = 8,
    seed: int = 0,
    workers: int = 1,
    scheduler: str = "processes",
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
    engine, strategy, search, valences : str
        As in `find_motifs`.
    mixtures : {"likeliest", "drawn"}
        How a site that strategy "multi_weights" finds between several environments is written: as the likeliest,
        or at every mention as one drawn by its fraction. See `motif_sentences`.
    oxidation : bool, default False
        Motif tokens with oxidation states: ``Ti4+O6:O:6``.
    n_walks, walk_length : int
        Walks from each motif, and motifs in each.
    seed : int, default 0
        Of the walks, and of the draws.
    workers : int, default 1
        Processes. With 1 the work is done in this one. In a script, more need ``if __name__ == "__main__":``.
    scheduler : str, default "processes"
        ``"processes"`` of this machine, ``"dask"`` for the same on a Dask cluster of this machine, or the address of
        a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``, whose workers then count instead of `workers`. Workers
        write ``<out>.partial`` and read files of the source, so both are on a file system that all share.
    time_limit : float, default 300
        CPU seconds a crystal may take. Not enforced on Windows.
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
        If another build is writing `out`, or workers cannot start.
    ImportError
        If `scheduler` asks for Dask, which is not installed.
    KeyboardInterrupt
        On Ctrl-C; the worker processes end, and what was done is kept.

    See Also
    --------
    Corpus : What is made.
    find_motifs : The motifs of one crystal.

    Notes
    -----
    A row whose id came before is rejected. A row that takes all memory or crashes compiled code kills its process; with
    two workers or more, or Dask, it is found and rejected.

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
    recipe = SentenceRecipe(
        kind=rows.kind,
        motif_views=tuple(view for view in MOTIF_VIEWS if view in chosen),
        formula_views=tuple(view for view in FORMULA_VIEWS if view in chosen),
        engine=engine,
        strategy=strategy,
        search=search,
        valences=valences,
        mixtures=mixtures,
        oxidation=bool(oxidation),
        n_walks=plain(n_walks),
        walk_length=plain(walk_length),
        seed=plain(seed),
        time_limit=float(time_limit),
    )
    _check(recipe)
    check_numbers(time_limit, max_rejected, scheduler, workers=workers, n_walks=n_walks, walk_length=walk_length)
    choice = {"column": column, "id_column": id_column, "limit": limit}
    described = filled_in(card, rows, f"Sentences from {rows.kind}.", *_settings(recipe, choice))

    def write(folder: Path, shards: Mapping[Path, Summary]) -> None:
        counts = merge_sentences(shards, folder, recipe)
        default = _DEFAULT_VIEW[recipe.kind]
        view = default if default in recipe.views else recipe.views[0]
        write_config(folder, described, counts, schema=SCHEMA, type="Corpus", view=view, views=list(recipe.views))

    folder = build_folder(
        rows,
        recipe,
        out,
        write,
        kind="Corpus",
        source=source,
        workers=workers,
        scheduler=scheduler,
        max_rejected=max_rejected,
        progress=progress,
        overwrite=overwrite,
    )
    return Corpus.read(folder)


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


def _check(recipe: SentenceRecipe) -> None:
    check_choices(
        engine=(recipe.engine, ENGINES),
        strategy=(recipe.strategy, STRATEGIES),
        search=(recipe.search, SEARCHES),
        valences=(recipe.valences, (None, *VALENCE_METHODS)),
        mixtures=(recipe.mixtures, MIXTURES),
    )
    if recipe.search == "certified" and recipe.engine != "numba":
        msg = f"search='certified' goes with engine='numba', got engine={recipe.engine!r}"
        raise ValueError(msg)
    if recipe.mixtures == "drawn" and recipe.strategy != "multi_weights":
        msg = f"mixtures='drawn' goes with strategy='multi_weights', got strategy={recipe.strategy!r}"
        raise ValueError(msg)
    if not isinstance(recipe.seed, int):
        msg = f"seed must be a whole number, got {recipe.seed!r}"
        raise ValueError(msg)


def _settings(recipe: SentenceRecipe, choice: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Choose the settings for the card, those that the rows depend on, and the seed."""
    used: dict[str, Any] = {"kind": recipe.kind, "views": list(recipe.views)}
    seed = None
    if recipe.kind == "structures":
        passed = asdict(recipe)
        seed = passed.pop("seed")
        used |= {name: passed[name] for name in passed if name not in ("kind", "motif_views", "formula_views")}
    return used | {name: value for name, value in choice.items() if value is not None}, seed
