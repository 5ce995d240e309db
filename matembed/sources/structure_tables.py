"""Tables with a crystal in each row: the columns of OPTIMADE and LeMat-Bulk, of pymatgen, or the text of CIFs."""

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from matembed.sources._source_file import SourceFile
from matembed.sources._table_files import TableFile, open_table
from matembed.sources.rows import Row, Rows, UnreadableRow, is_structure_text, present, shortened
from matembed.sources.structure_objects import STRUCTURE_KEYS, is_structure_object, row_of_object

__all__ = ["count_table_rows", "frame_holds_structures", "rows_of_frame", "table_holds_structures", "table_rows"]

# The columns that make a table one of crystals, all of them; or one of the columns after, if a crystal is in it.
_CELLS = (
    {"lattice_vectors", "cartesian_site_positions", "species_at_sites"},
    {"lattice", "species", "frac_coords"},
)
_WHOLE = ("structure", "cif")
_WANTED = (
    "a table of structures has a column 'structure' or 'cif', or lattice_vectors, cartesian_site_positions and "
    "species_at_sites as OPTIMADE has them"
)
# How many rows are looked at for the first that is not empty.
_N_LOOKED_AT = 100


def table_holds_structures(path: Path) -> bool:
    """Tell whether a table plainly holds crystals.

    Parameters
    ----------
    path : Path
        A file of CSV, TSV or Parquet.

    Returns
    -------
    bool
        Whether it has the columns ``lattice_vectors``, ``cartesian_site_positions`` and ``species_at_sites``; or
        ``lattice``, ``species`` and ``frac_coords``; or crystals in a column ``structure`` or ``cif``.

    Raises
    ------
    ValueError
        If it has no header that can be read.
    """
    table = open_table(path)
    whole = [name for name in _WHOLE if name in table.columns]
    return _has_cells(table.columns) or (bool(whole) and _first_is_structure(_records(table, whole), whole))


def table_rows(file: SourceFile) -> Iterator[Row]:
    """Read the crystals of a table, a batch of rows at a time.

    Parameters
    ----------
    file : SourceFile
        A table that `table_holds_structures`. Lists in CSV are JSON, or as Python writes them. Lists beside the
        crystal, such as forces, are not read.

    Yields
    ------
    StructureRow or UnreadableRow
        One a row. The id is the first there is of: id, material_id, mp_id, mpid, mb_id, entry_id, task_id,
        immutable_id, auid, _id; else as `SourceFile.id_of` makes it.
    """
    try:
        table = open_table(file.path)
    except ValueError as error:
        row = file.n_before + 1
        yield UnreadableRow(row, file.id_of(row), shortened(file.name), shortened(error))
        return
    unit = "row" if file.path.suffix.lower() == ".parquet" else "line"
    wanted = [name for name in table.columns if name in table.flat or name in STRUCTURE_KEYS]
    for row, item in enumerate(table.read(wanted), start=file.n_before + 1):
        if isinstance(item, UnreadableRow):
            yield UnreadableRow(row, file.id_of(row), file.place(f"{unit} {item.row}: {item.input}"), item.reason)
        else:
            yield _row_of_cells(row, item[1], file.place(f"{unit} {item[0]}"), file.id_of(row))


def count_table_rows(path: Path) -> int | None:
    """Count the rows of a table.

    Parameters
    ----------
    path : Path
        A file of CSV, TSV or Parquet.

    Returns
    -------
    int or None
        None of text, where a crystal may take several lines.

    Raises
    ------
    ValueError
        If it cannot be read as Parquet.
    """
    if path.suffix.lower() != ".parquet":
        return None
    return open_table(path).count_rows()


def frame_holds_structures(frame: Any) -> bool:
    """Tell whether a DataFrame plainly holds crystals, as `table_holds_structures` does of a file.

    Parameters
    ----------
    frame : DataFrame
        Any table.

    Returns
    -------
    bool
        Whether it does.
    """
    whole = [name for name in _WHOLE if name in frame.columns]
    records = frame[whole].head(_N_LOOKED_AT).to_dict("records")
    return _has_cells(frame.columns) or _first_is_structure(records, whole)


def rows_of_frame(frame: Any) -> Rows:
    """Make rows of a DataFrame with a crystal in each row.

    Parameters
    ----------
    frame : DataFrame
        With a column ``structure`` of Structures or their dictionaries, or columns as `table_holds_structures` wants
        them. A named index counts as a column.

    Returns
    -------
    Rows
        One for each row.

    Raises
    ------
    ValueError
        If there are no such columns.
    """
    if not (_has_cells(frame.columns) or any(name in frame.columns for name in _WHOLE)):
        msg = f"{_WANTED}; got {', '.join(map(repr, frame.columns[:20]))}"
        raise ValueError(msg)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()

    def read() -> Iterator[Row]:
        names = [str(name) for name in frame.columns]
        for row, values in enumerate(frame.itertuples(index=False, name=None), start=1):
            yield _row_of_cells(row, dict(zip(names, values, strict=True)), f"structure {row}")

    return Rows("structures", "structures", len(frame), read)


def _has_cells(names: Iterable[Any]) -> bool:
    return any(wanted <= set(names) for wanted in _CELLS)


def _records(table: TableFile, names: list[str]) -> Iterator[dict[str, Any]]:
    return (item[1] for item in table.read(names) if not isinstance(item, UnreadableRow))


def _first_is_structure(records: Iterable[dict[str, Any]], names: list[str]) -> bool:
    for record in islice(records, _N_LOOKED_AT):
        for name in names:
            cell = present(record[name])
            if cell is not None:
                return is_structure_text(cell) if isinstance(cell, str) else _is_structure(cell)
    return False


def _is_structure(cell: Any) -> bool:
    return is_structure_object(cell) if isinstance(cell, Mapping) else hasattr(cell, "lattice")


def _row_of_cells(row: int, cells: dict[str, Any], where: str, unnamed: object = None) -> Row:
    if all(present(cells.get(name)) is None for name in _WHOLE):
        lists = STRUCTURE_KEYS.intersection(cells).difference(_WHOLE, ("formula", "properties"))
        cells = cells | {name: _parsed(present(cells[name])) for name in lists}
    return row_of_object(row, cells, where, unnamed=unnamed)


def _parsed(cell: Any) -> Any:
    """Read the text of a list; a cell that is none stays, and is refused for it later."""
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return cell
