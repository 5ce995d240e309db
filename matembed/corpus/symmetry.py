"""Crystal -> Symmetry: its space group, and the site symmetry of each of its atoms as one of the 32 point groups."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matembed.cards import Card
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.corpus._resumable import build_folder, check_numbers, filled_in
from matembed.corpus._row_tables import write_rejected
from matembed.corpus._shards import Record, Summary, read_values
from matembed.motifs.crystal import Crystal
from matembed.sources.files import read_rows
from matembed.sources.rows import FormulaRow, SourceKind, StructureRow

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core.structure import IStructure

__all__ = [
    "CRYSTAL_SYSTEMS",
    "POINT_GROUPS",
    "Symmetry",
    "crystal_system",
    "find_symmetry",
    "read_symmetry",
    "symmetry_table",
]

CRYSTAL_SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
_LAST_NUMBERS = (2, 15, 74, 142, 167, 194, 230)
POINT_GROUPS: tuple[str, ...] = (
    *("1", "-1", "2", "m", "2/m", "222", "mm2", "mmm"),
    *("4", "-4", "4/m", "422", "4mm", "-42m", "4/mmm"),
    *("3", "-3", "32", "3m", "-3m"),
    *("6", "-6", "6/m", "622", "6mm", "-6m2", "6/mmm"),
    *("23", "m-3", "432", "-43m", "m-3m"),
)
"""The 32 crystallographic point groups by their Hermann-Mauguin symbols, by crystal system."""

# An operation leaves a site where it is, up to the rounding of idealised coordinates; in lattice vectors.
_IN_PLACE = 1e-4
_SCHEMA = 1
_TYPE = "SymmetryTable"
_FILES = {"symmetry.parquet", "rejected.parquet"}
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Symmetry:
    """The symmetry of a crystal, whatever cell it is given in.

    Attributes
    ----------
    space_group : int
        Number of the space-group type, 1 to 230.
    crystal_system : str
        One of `CRYSTAL_SYSTEMS`.
    site_symmetries : tuple of str, length n_sites
        Point group of each site, one of `POINT_GROUPS`.
    wyckoff_letters : tuple of str, length n_sites
        Letter of each site's Wyckoff position, which depends on the choice of origin.
    equivalent_atoms : tuple of int, length n_sites
        For each site, the first site that the space group makes equal to it.

    See Also
    --------
    find_symmetry : Finds it.
    """

    space_group: int
    crystal_system: str
    site_symmetries: tuple[str, ...]
    wyckoff_letters: tuple[str, ...]
    equivalent_atoms: tuple[int, ...]

    def __repr__(self) -> str:
        sites = ", ".join(f"{n} {group}" for group, n in sorted(Counter(self.site_symmetries).items()))
        return f"Symmetry({self.space_group}, {self.crystal_system}; sites: {sites})"


def crystal_system(space_group: int) -> str:
    """Tell the crystal system of a space group.

    Parameters
    ----------
    space_group : int
        Number, 1 to 230.

    Returns
    -------
    str
        One of `CRYSTAL_SYSTEMS`; rhombohedral ones are trigonal.

    Raises
    ------
    ValueError
        If there is no such space group.

    Examples
    --------
    >>> crystal_system(225), crystal_system(166)
    ('cubic', 'trigonal')
    """
    if not 1 <= space_group <= 230:
        msg = f"space groups are numbered 1 to 230, got {space_group!r}"
        raise ValueError(msg)
    return next(name for name, last in zip(CRYSTAL_SYSTEMS, _LAST_NUMBERS, strict=True) if space_group <= last)


def find_symmetry(structure: "IStructure | Crystal", *, symprec: float = 0.01) -> Symmetry:
    """Find the space group of a crystal and the site symmetry of its atoms [1]_.

    Atoms differ by element, not by oxidation state. The site symmetry is the point group of those operations of the
    space group that leave the atom in its place, in the standard setting with coordinates idealised.

    Parameters
    ----------
    structure : Structure or Crystal
        Of pymatgen, or as arrays: ordered, periodic in three dimensions; any cell.
    symprec : float, default 0.01
        How far atoms may be from where symmetry has them, in Å.

    Returns
    -------
    Symmetry
        Sites in the order of `structure`.

    Raises
    ------
    MotifError
        If the structure is not an ordered crystal of chemical elements with its atoms apart.
    ValueError
        If `symprec` is not positive, or no space group fits.

    References
    ----------
    .. [1] A. Togo, K. Shinohara, I. Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024), spglib.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> rutile = Structure.from_spacegroup(
    ...     "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    ... )
    >>> find_symmetry(rutile)
    Symmetry(136, tetragonal; sites: 4 mm2, 2 mmm)
    """
    crystal = structure if isinstance(structure, Crystal) else Crystal.from_structure(structure)
    _check_symprec(symprec)
    dataset = _dataset(crystal, symprec)
    if dataset is None:
        msg = f"no space group found for {crystal.reduced_formula} at symprec={symprec:g} Å; choose another symprec"
        raise ValueError(msg)
    standard = np.full(len(dataset.std_types), -1)  # of each atom of the primitive cell, one in the standard cell
    standard[dataset.std_mapping_to_primitive] = np.arange(len(dataset.std_types))
    orbits, of_site = np.unique(dataset.crystallographic_orbits, return_inverse=True)
    positions = dataset.std_positions[standard[dataset.mapping_to_primitive[orbits]]]
    groups = _site_symmetries(positions, *_operations(int(dataset.hall_number)))
    if not all(groups):
        msg = f"the sites of {crystal.reduced_formula} do not fit space group {dataset.number}; choose another symprec"
        raise ValueError(msg)
    return Symmetry(
        space_group=int(dataset.number),
        crystal_system=crystal_system(int(dataset.number)),
        site_symmetries=tuple([groups[orbit] for orbit in of_site.tolist()]),
        wyckoff_letters=tuple(dataset.wyckoffs),
        equivalent_atoms=tuple(dataset.crystallographic_orbits.tolist()),
    )


def _check_symprec(symprec: float) -> None:
    if not 0 < symprec < np.inf:
        msg = f"symprec must be a positive number of Å, got {symprec!r}"
        raise ValueError(msg)


def _dataset(crystal: Crystal, symprec: float) -> Any:
    """Symmetry of a cell as spglib finds it, or None."""
    import spglib

    cell: Any = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    with _quiet():
        try:
            return spglib.get_symmetry_dataset(cell, symprec)
        except Exception:  # where the search fails, older spglib returns None with a warning and newer raises
            return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep spglib from warning and, unless the user set this variable, its C code from printing: it looks each time."""
    silenced = "SPGLIB_WARNING" not in os.environ
    if silenced:
        os.environ["SPGLIB_WARNING"] = "OFF"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if silenced:
            os.environ.pop("SPGLIB_WARNING", None)


@lru_cache(maxsize=530)
def _operations(hall_number: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rotations and translations of a space group in a standard setting."""
    import spglib

    found: Any = spglib.get_symmetry_from_database(hall_number)
    return found["rotations"].astype(np.int64), found["translations"]


def _site_symmetries(
    positions: NDArray[np.float64], rotations: NDArray[np.int64], translations: NDArray[np.float64]
) -> list[str]:
    """Name the point group of the operations that leave each position where it is; empty where they are no group."""
    moves = positions @ rotations.transpose(0, 2, 1) + translations[:, None] - positions
    in_place = np.abs(moves - np.round(moves)).max(axis=2) < _IN_PLACE
    return [_point_group(rotations[stays].tobytes()) for stays in in_place.T]


@lru_cache(maxsize=4096)
def _point_group(rotations: bytes) -> str:
    import spglib

    with _quiet():
        try:
            found: Any = spglib.get_pointgroup(np.frombuffer(rotations, dtype=np.int64).reshape(-1, 3, 3))
        except Exception:  # of operations that are no group, older spglib returns None and newer raises
            return ""
    return "" if found is None else str(found[0]).strip()


# Many crystals -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SymmetryRecipe:
    """What the symmetry of a row depends on, besides the row."""

    symprec: float
    time_limit: float

    @property
    def kind(self) -> SourceKind:
        """What the rows hold."""
        return "structures"

    @property
    def speed(self) -> str:
        """How many rows make a shard."""
        return "structures"

    def prepare(self) -> None:
        """Nothing has to be compiled."""

    def make(self, row: FormulaRow | StructureRow) -> Record:
        """Find the symmetry of a crystal."""
        if isinstance(row, FormulaRow):
            msg = "a formula has no space group; give a crystal"
            raise ValueError(msg)
        crystal = row.to_crystal()
        found = find_symmetry(crystal, symprec=self.symprec)
        places = Counter(zip(crystal.symbols, found.site_symmetries, strict=True))
        kinds = sorted(places)
        values = {
            "id": row.id,
            "formula": crystal.reduced_formula,
            "space_group": found.space_group,
            "crystal_system": found.crystal_system,
            "elements": [element for element, _ in kinds],
            "site_symmetries": [group for _, group in kinds],
            "fractions": [places[kind] / len(crystal.numbers) for kind in kinds],
            "properties": {},
        }
        return Record(values)

    def pack(self, _: Sequence[Record]) -> Mapping[str, bytes]:
        """Nothing is packed apart: the values of rows hold all there is."""
        return {}


def symmetry_table(
    source: Any,
    out: str | os.PathLike[str],
    *,
    symprec: float = 0.01,
    limit: int | None = None,
    time_limit: float = 60.0,
    max_rejected: float = 0.5,
    card: Card | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> "pd.DataFrame":
    """Find the symmetry of many crystals, and write it as Parquet.

    One process does some 400 crystals of 30 sites a second. A crystal that cannot be used becomes a row of
    ``rejected.parquet`` with the reason. Finished work is kept in ``<out>.partial`` until all is done, so the same call
    goes on where an interrupted one stopped. Memory does not grow with the number of crystals, but for the table that
    is returned.

    Parameters
    ----------
    source : path-like, mapping, iterable, DataFrame or Rows
        Crystals, as `matembed.sources.read_structures` reads them.
    out : path-like
        Folder to make: ``config.json``, ``README.md`` (the card), ``symmetry.parquet`` and ``rejected.parquet``. It
        appears whole or not at all.
    symprec : float, default 0.01
        As in `find_symmetry`, in Å.
    limit : int, optional
        Only the first rows.
    time_limit : float, default 60
        CPU seconds a crystal may take. Not enforced on Windows.
    max_rejected : float, default 0.5
        Share of rejected rows, 0 to 1, beyond which the table is refused.
    card : Card, optional
        Name, what, source, licence and citation of the data; counts, settings and versions are filled in.
    progress : bool, default True
        Show a bar on standard error.
    overwrite : bool, default False
        Replace a table that is already there.

    Returns
    -------
    DataFrame, shape (n_materials, 7)
        As `read_symmetry` reads it.

    Raises
    ------
    TooManyRejectedError, FileExistsError, FileNotFoundError, KeyboardInterrupt
        As `build_motif_tables` does.
    ValueError
        If the source holds formulas or no rows, `out` lies in the folder that is read, or a setting is out of range.

    See Also
    --------
    find_symmetry : The same for one crystal.
    matembed.table_sets : Reads it beside motif tables.

    Examples
    --------
    >>> import tempfile
    >>> salt = {"id": "CsCl", "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]], "species": ["Cs", "Cl"]}
    >>> salt["frac_coords"] = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = symmetry_table([salt], f"{folder}/symmetry", progress=False)
    >>> table["space_group"].to_list(), list(table.loc[0, "elements"]), list(table.loc[0, "site_symmetries"])
    ([221], ['Cl', 'Cs'], ['m-3m', 'm-3m'])
    """
    _check_symprec(symprec)
    check_numbers(time_limit, max_rejected, "processes")
    rows = read_rows(source, limit=limit)
    if rows.kind != "structures":
        msg = f"symmetry is found in crystals, got formulas ({rows.name}); give structure files or a list of Structures"
        raise ValueError(msg)
    recipe = _SymmetryRecipe(float(symprec), float(time_limit))
    settings = asdict(recipe) | ({} if limit is None else {"limit": limit})
    described = filled_in(card, rows, "Space groups and site symmetries of crystals.", settings)

    def write(folder: Path, shards: Mapping[Path, Summary]) -> None:
        _write_table(shards, folder / "symmetry.parquet")
        n_rejected = sum(n for n, _, _ in write_rejected(shards, folder / "rejected.parquet"))
        n_kept = sum(summary.n_kept for summary in shards.values())
        counts = {"read": n_kept + n_rejected, "kept": n_kept, "rejected": n_rejected}
        write_config(folder, described, counts, schema=_SCHEMA, type=_TYPE)

    folder = build_folder(
        rows,
        recipe,
        out,
        write,
        kind=_TYPE,
        source=source,
        workers=1,
        scheduler="processes",
        max_rejected=max_rejected,
        progress=progress,
        overwrite=overwrite,
    )
    return read_symmetry(folder)


def _write_table(shards: Iterable[Path], path: Path) -> None:
    """Write the rows that were kept, in order."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    columns: dict[str, Any] = {"id": pa.string(), "formula": pa.string(), "space_group": pa.int16()}
    columns |= {"crystal_system": pa.string(), "elements": pa.list_(pa.string())}
    columns |= {"site_symmetries": pa.list_(pa.string()), "fractions": pa.list_(pa.float64())}
    schema = pa.schema(list(columns.items()))
    waiting: list[dict[str, Any]] = []
    with ParquetWriter(path, schema, compression="zstd") as writer:
        for shard in shards:
            waiting += [values for values in read_values(shard) if "reason" not in values]
            if len(waiting) >= _ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                waiting.clear()
        writer.write_table(pa.Table.from_pylist(waiting, schema=schema))


def read_symmetry(path: str | os.PathLike[str]) -> "pd.DataFrame":
    """Read the table that `symmetry_table` wrote.

    Parameters
    ----------
    path : path-like
        The folder.

    Returns
    -------
    DataFrame, shape (n_materials, 7)
        In the order of the input: id, formula (reduced), space_group (number), crystal_system; and lists of equal
        length, for each element on sites of each point group: elements, site_symmetries and fractions (of all atoms).

    Raises
    ------
    FileNotFoundError
        If the folder or one of its files is missing.
    ValueError
        If the folder holds something else, was written by a newer format, or a file was changed.
    """
    import pandas as pd

    noun = "symmetry table"
    folder, _, card = read_config(
        path,
        kind=_TYPE,
        schema=_SCHEMA,
        noun=noun,
        maker="symmetry_table",
        problem=lambda _, card: other_files(card, _FILES),
    )
    return pd.read_parquet(checked_file(folder, "symmetry.parquet", card, set(), noun))
