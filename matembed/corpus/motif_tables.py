"""MotifTables: the motifs and connections of many crystals as Parquet, built row by row like a corpus."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from matembed.cards import Card
from matembed.corpus._folder import checked_file, read_config, write_config
from matembed.corpus._motif_columns import table_names
from matembed.corpus._motif_recipe import MotifRecipe, merge_motifs
from matembed.corpus._resumable import build_folder, check_choices, check_numbers, filled_in
from matembed.corpus._shards import Summary
from matembed.motifs.find import ENGINES, SEARCHES, STRATEGIES, Engine, Search, Strategy
from matembed.motifs.valences import VALENCE_METHODS, ValenceMethod
from matembed.sources.files import read_rows
from matembed.sources.rows import Rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["MotifTables", "build_motif_tables", "check_tables"]

_SCHEMA = 1
_TYPE = "MotifTables"


@dataclass(frozen=True)
class MotifTables:
    """Tables of motifs in a folder, each read when it is asked for.

    Each file is checked when it is first read: one that is not the file that was built, by its SHA-256 in the card,
    raises a ValueError.

    Attributes
    ----------
    path : Path
        The folder: ``config.json``, ``README.md`` (the card), ``materials.parquet``, ``motifs.parquet``,
        ``connections.parquet``, ``rejected.parquet``, ``rewritten.parquet`` and, by strategy "multi_weights",
        ``environments.parquet``.
    card : Card
        Source, licence, counts, settings and hashes.

    See Also
    --------
    build_motif_tables : Makes them.
    matembed.Corpus : Sentences from the same motifs.

    Examples
    --------
    >>> import tempfile
    >>> salt = {"id": "CsCl", "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]], "species": ["Cs", "Cl"]}
    >>> salt["frac_coords"] = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tables = build_motif_tables([salt], f"{folder}/motifs", progress=False)
    ...     print(tables)
    ...     print(tables.motifs()[["id", "site", "token", "oxidation", "csm"]].to_string(index=False))
    ...     print(tables.connections()["sharing"].value_counts().to_dict())
    MotifTables('structures', 1 motifs and 13 connections of 1 materials)
      id  site     token  oxidation  csm
    CsCl     0 CsCl8:C:8        1.0  0.0
    {'edge': 6, 'corner': 4, 'face': 3}
    """

    path: Path
    card: Card
    _checked: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Open a folder of tables.

        Parameters
        ----------
        path : path-like
            Folder that `build_motif_tables` made.

        Returns
        -------
        MotifTables
            The tables, none of them read yet.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If the folder holds something else, or was written by a newer format.
        """
        folder, _, card = read_config(
            path,
            kind=_TYPE,
            schema=_SCHEMA,
            noun="set of motif tables",
            maker="build_motif_tables",
            problem=lambda _, card: _problem(card),
        )
        return cls(folder, card)

    def __repr__(self) -> str:
        counts = self.card.counts
        found = f"{counts['motifs']:,} motifs and {counts['connections']:,} connections"
        return f"MotifTables({self.card.name!r}, {found} of {counts['kept']:,} materials)"

    def materials(self) -> "pd.DataFrame":
        """Read the table of the crystals that were kept.

        Returns
        -------
        DataFrame, shape (n_materials, n_columns)
            In the order of the input: id, row, formula (reduced), chemsys, n_elements, n_sites, n_motifs,
            n_connections, valences (where they came from), volume_per_atom (Å^3) and sites (what is on each, in
            order: ``"Sr2+ Ti4+ O2- O2- O2-"``, or elements where oxidation states are not known); then the properties
            that came with the input, ``input_<name>`` where a name is taken.
        """
        return self._table("materials")

    def motifs(self, ids: Iterable[str] | None = None, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Read the table of motifs.

        Parameters
        ----------
        ids : iterable of str, optional
            Only those of these materials.
        columns : sequence of str, optional
            Only these columns.

        Returns
        -------
        DataFrame, shape (n_motifs, 13)
            By material in the order of the input, then by site: id, motif (position in the crystal, which connections
            refer to), site, element, oxidation (units of e, missing if not known), geometry (ChemEnv symbol), cn, csm
            (0 to 100 to 6 decimals, missing where no model has so many vertices), fraction, token, ligands (site of
            each), images (of each, three integers in lattice vectors) and lengths (distance of each from the centre,
            in Å to 4 decimals). Of a site between several environments, all this is that of the likeliest.
        """
        return self._table("motifs", ids, columns)

    def environments(self, ids: Iterable[str] | None = None, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Read the table of all environments of all motifs, which strategy "multi_weights" makes.

        Parameters
        ----------
        ids : iterable of str, optional
            Only those of these materials.
        columns : sequence of str, optional
            Only these columns.

        Returns
        -------
        DataFrame, shape (n_environments, 11)
            By motif, likeliest first: id, motif, site, geometry, cn, csm, fraction, token, ligands, images and
            lengths, as in `motifs`. Fractions of a motif add up to 1.

        Raises
        ------
        ValueError
            If the tables were built with another strategy.
        """
        if "environments.parquet" not in self.card.sha256:
            strategy = self.card.settings["strategy"]
            msg = f"strategy {strategy!r} gives one environment a site, see motifs(); build with 'multi_weights'"
            raise ValueError(msg)
        return self._table("environments", ids, columns)

    def connections(self, ids: Iterable[str] | None = None, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Read the table of connections between motifs.

        Parameters
        ----------
        ids : iterable of str, optional
            Only those of these materials.
        columns : sequence of str, optional
            Only these columns.

        Returns
        -------
        DataFrame, shape (n_connections, 8)
            By material in the order of the input, each pair of motifs once, as in `Connection`: id, source, target
            (positions of motifs), image_a, image_b, image_c (of the target, in lattice vectors), sharing (corner,
            edge, face) and n_shared (ligands).
        """
        return self._table("connections", ids, columns)

    def rejected(self) -> "pd.DataFrame":
        """Read the table of the rows that could not be used.

        Returns
        -------
        DataFrame, shape (n_rejected, 4)
            In the order of the input: id, row, input (shortened) and reason.
        """
        return self._table("rejected")

    def rewritten(self) -> "pd.DataFrame":
        """Read the table of the crystals that were read otherwise than they were written.

        Returns
        -------
        DataFrame, shape (n_rewritten, 5)
            In the order of the input: id, row, input, formula (reduced) and rewrites (what was changed).
        """
        return self._table("rewritten")

    def row_groups(self, name: str, columns: Sequence[str]) -> Iterator["pa.Table"]:
        """Read a table piece by piece, for work on more than fits in memory.

        Parameters
        ----------
        name : str
            ``"motifs"``, ``"connections"`` or another table of the folder.
        columns : sequence of str
            Columns to read.

        Yields
        ------
        pyarrow.Table
            A group of rows, in order.
        """
        from pyarrow.parquet import ParquetFile

        path = checked_file(self.path, f"{name}.parquet", self.card, self._checked, "set of motif tables")
        with ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=list(columns))

    def _table(
        self, name: str, ids: Iterable[str] | None = None, columns: Sequence[str] | None = None
    ) -> "pd.DataFrame":
        import pandas as pd

        path = checked_file(self.path, f"{name}.parquet", self.card, self._checked, "set of motif tables")
        filters = None if ids is None else [("id", "in", [ids] if isinstance(ids, str) else list(ids))]
        return pd.read_parquet(path, columns=None if columns is None else list(columns), filters=filters)


def check_tables(tables: object) -> None:
    """Raise TypeError unless it is a set of motif tables."""
    if not isinstance(tables, MotifTables):
        msg = f"wanted MotifTables, got {type(tables).__name__}; open a folder with MotifTables.read(path)"
        raise TypeError(msg)


def _problem(card: Card) -> str:
    """Say what is wrong with the files a card names."""
    wanted = _files(card.settings["strategy"])
    wrong = sorted(wanted ^ card.sha256.keys())
    return f"sha256 must name each file of motif tables and no other; see {wrong[0]!r}" if wrong else ""


def _files(strategy: str) -> set[str]:
    return {f"{name}.parquet" for name in ("materials", "rejected", "rewritten", *table_names(strategy))}


def build_motif_tables(
    source: Any,
    out: str | os.PathLike[str],
    *,
    engine: Engine = "numba",
    strategy: Strategy = "simplest",
    search: Search = "fast",
    valences: ValenceMethod | None = None,
    symmetrise: bool = False,
    limit: int | None = None,
    workers: int = 1,
    scheduler: str = "processes",
    time_limit: float = 300.0,
    max_rejected: float = 0.5,
    card: Card | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> MotifTables:
    """Find the motifs of many crystals, and write them and their connections as Parquet.

    A crystal that cannot be used becomes a row of ``rejected.parquet`` with the reason. Finished work is kept in
    ``<out>.partial`` until all is done, so the same call goes on where an interrupted one stopped. Tables are in the
    order of the input; their bytes depend on the rows, the settings and the versions of the packages, not on
    interruptions, the number of workers or the scheduler. Memory does not grow with the number of crystals.

    Parameters
    ----------
    source : path-like, mapping, iterable, DataFrame or Rows
        Crystals, as `matembed.sources.read_structures` reads them: JSON lines; a folder of CIF, POSCAR, ...; pymatgen
        Structures. JSON lines with ``lattice``, ``species`` and ``frac_coords`` are the fastest.
    out : path-like
        Folder to make. It appears whole or not at all.
    engine, strategy, search, valences, symmetrise
        As in `find_motifs`.
    limit : int, optional
        Only the first rows.
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
        Replace tables that are already there.

    Returns
    -------
    MotifTables
        The tables, read from `out`.

    Raises
    ------
    TooManyRejectedError, FileExistsError, FileNotFoundError, ImportError, RuntimeError, KeyboardInterrupt
        As `build_corpus` does.
    ValueError
        If the source holds formulas or no rows, `out` lies in the folder that is read, or a setting is out of range.

    See Also
    --------
    MotifTables : What is made, with an example.
    matembed.build_corpus : Sentences from motifs.
    """
    check_choices(
        engine=(engine, ENGINES),
        strategy=(strategy, STRATEGIES),
        search=(search, SEARCHES),
        valences=(valences, (None, *VALENCE_METHODS)),
    )
    if search == "certified" and engine != "numba":
        msg = f"search='certified' goes with engine='numba', got engine={engine!r}"
        raise ValueError(msg)
    check_numbers(time_limit, max_rejected, scheduler, workers=workers)
    rows = read_rows(source, limit=limit)
    if rows.kind != "structures":
        got = rows.name if isinstance(source, str | os.PathLike | Rows) else f"a {type(source).__name__}"
        msg = (
            f"motifs are found in crystals, got formulas ({got}); "
            "give a folder of structure files, JSON lines of crystals, or a list of Structures"
        )
        raise ValueError(msg)
    recipe = MotifRecipe(engine, strategy, search, valences, bool(symmetrise), float(time_limit))
    settings = asdict(recipe) | ({} if limit is None else {"limit": limit})
    described = filled_in(card, rows, "Motifs of crystals and their connections.", settings)

    def write(folder: Path, shards: Mapping[Path, Summary]) -> None:
        counts = merge_motifs(shards, folder, recipe, workers)
        write_config(folder, described, counts, schema=_SCHEMA, type=_TYPE)

    folder = build_folder(
        rows,
        recipe,
        out,
        write,
        kind=_TYPE,
        source=source,
        workers=workers,
        scheduler=scheduler,
        max_rejected=max_rejected,
        progress=progress,
        overwrite=overwrite,
    )
    return MotifTables.read(folder)
