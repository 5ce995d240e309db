"""Crystals as ASE keeps them: frames of extended XYZ, rows of its databases."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from io import StringIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from matembed._optional import import_extra
from matembed.sources._source_file import SourceFile
from matembed.sources._text import BREAKS_OFF, open_text
from matembed.sources.rows import ID_KEYS, StructureRow, UnreadableRow, present, properties_of, shortened

__all__ = ["count_database_rows", "database_rows", "frame_rows", "is_json_database"]

_COUNT = re.compile(r"\s*\d{1,9}\s*")
_JSON_BEGINS = re.compile(r'\s*\{\s*"\d+":')
_JSON_ENDS = re.compile(r'"nextid": \d+\}\s*\Z')
# The columns that are read of a database: no forces, no data.
_COLUMNS = ("id", "numbers", "positions", "cell", "pbc", "energy", "free_energy", "magmom", "key_value_pairs")
_RESULTS = ("energy", "free_energy", "magmom")


class _NotACrystalError(ValueError):
    """What was read is no crystal; the message is the reason."""


def frame_rows(file: SourceFile) -> Iterator[StructureRow | UnreadableRow]:
    """Read the frames of extended XYZ, one after another.

    Parameters
    ----------
    file : SourceFile
        Frames with a ``Lattice``, in Å.

    Yields
    ------
    StructureRow or UnreadableRow
        One a frame. The id is that of the frame (``id``, ``material_id``, ...), else that of the file, with the number
        of the frame if there are several: ``slabs:3``. The other values of the frame are properties. A frame without
        a cell is a molecule, and an `UnreadableRow` as damaged ones are.

    Raises
    ------
    ImportError
        If ASE is not installed.
    """
    frames = _frames(file.path)
    first = list(islice(frames, 2))
    for number, (text, problem) in enumerate(chain(first, frames), start=1):
        row, where = file.n_before + number, file.place(f"frame {number}")
        label = file.label or file.name
        given = shortened(label if len(first) == 1 else f"{label}:{number}")
        if problem:
            yield UnreadableRow(row, given, where, problem)
        else:
            yield _frame_row(row, given, where, text)


def database_rows(file: SourceFile) -> Iterator[StructureRow | UnreadableRow]:
    """Read the rows of a database that ASE wrote, as SQLite one by one, as JSON all at once.

    Parameters
    ----------
    file : SourceFile
        A database (``.db``, ``.json``).

    Yields
    ------
    StructureRow or UnreadableRow
        One a row, in order of ASE's ids. The id is that among the key-value pairs (``material_id``, ...), else ASE's,
        after the label of the file if it has one. The other pairs, ``energy``, ``free_energy`` (eV) and ``magmom`` are
        properties.

    Raises
    ------
    ImportError
        If ASE is not installed.
    """
    row = file.n_before
    try:
        for id_, find in _entries(file.path):
            row += 1
            yield _database_row(row, id_, find, file)
    except Exception as error:  # ASE raises whatever it meets
        reason = shortened(error, 200) if row == file.n_before else f"the database breaks off: {shortened(error)}"
        yield UnreadableRow(row + 1, file.id_of(row + 1), shortened(file.name), reason)


def count_database_rows(path: Path) -> int:
    """Count the rows of an ASE database of SQLite, which is not changed.

    Parameters
    ----------
    path : Path
        A file ``.db``.

    Returns
    -------
    int
        How many there are.

    Raises
    ------
    ValueError
        If it is no ASE database.
    """
    try:
        with _sqlite(path) as connection:
            connection.execute("SELECT numbers, positions, cell FROM systems LIMIT 1")
            (n_rows,) = connection.execute("SELECT COUNT(*) FROM systems").fetchone()
    except sqlite3.Error as error:
        msg = f"{path.name} cannot be read as a database of ASE ({shortened(error)}); wanted SQLite, written by ase.db"
        raise ValueError(msg) from error
    return int(n_rows)


def is_json_database(path: Path) -> bool:
    """Tell whether a file of JSON is a database that ASE wrote, by how it begins and ends.

    Parameters
    ----------
    path : Path
        A file ``.json``.

    Returns
    -------
    bool
        Whether it begins with a numbered entry and ends with the next number.
    """
    with path.open("rb") as file:
        begins = file.read(100).decode("utf-8", "replace")
        file.seek(max(0, path.stat().st_size - 100))
        ends = file.read().decode("utf-8", "replace")
    return _JSON_BEGINS.match(begins) is not None and _JSON_ENDS.search(ends) is not None


def _frames(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (text of a frame, what is wrong with it); after lines that are no frame, go on at the next number."""
    is_lost = False
    with open_text(path) as lines:
        try:
            for line in lines:
                if _COUNT.fullmatch(line):
                    is_lost = False
                    frame = list(islice(lines, int(line) + 1))
                    short = f"the file ends after {max(len(frame) - 1, 0)} of the {int(line)} atoms of this frame"
                    yield "".join([line, *frame]), short if len(frame) < int(line) + 1 else ""
                elif line.strip() and not is_lost:
                    is_lost = True
                    yield line, f"wanted the number of atoms of a frame, got {shortened(line, 40)!r}"
        except BREAKS_OFF as error:
            yield "", f"the file breaks off here: {shortened(error)}"


def _frame_row(row: int, given: str, where: str, text: str) -> StructureRow | UnreadableRow:
    read_xyz = import_extra("ase.io.extxyz", extra="ase").read_xyz
    try:
        atoms = next(read_xyz(StringIO(text), 0))
        given = _own_id(atoms.info) or given
        _refuse_disorder(atoms.info.get("occupancy"))
        payload = _record(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    except _NotACrystalError as error:
        return UnreadableRow(row, given, where, str(error))
    except Exception as error:  # ASE raises whatever it meets
        return UnreadableRow(row, given, where, _cannot_be_read(error))
    results = atoms.calc.results if atoms.calc is not None else {}
    return StructureRow(row, given, where, payload, _properties(atoms.info, results))


def _entries(path: Path) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Yield ASE's id of each row and how to find the row, so that a damaged one costs no other."""
    connect = import_extra("ase.db", extra="ase").connect
    if path.suffix.lower() == ".json":
        for found in connect(str(path), type="json", use_lock_file=False, serial=True).select(include_data=False):
            yield found.id, partial(_itself, found)
        return
    count_database_rows(path)  # ASE would make a database of any other file
    with _sqlite(path) as ids, connect(str(path), type="db", use_lock_file=False, serial=True) as database:
        for (id_,) in ids.execute("SELECT id FROM systems ORDER BY id"):
            yield id_, partial(database.get, id_, include_data=False, columns=_COLUMNS)


def _itself(found: Any) -> Any:
    return found


def _sqlite(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))


def _database_row(row: int, id_: int, find: Callable[[], Any], file: SourceFile) -> StructureRow | UnreadableRow:
    given = shortened(id_ if file.label is None else f"{file.label}:{id_}")
    where = file.place(f"row {id_}")
    try:
        found = find()
        pairs = found.key_value_pairs
        given = _own_id(pairs) or given
        payload = _record(found.numbers, found.positions, found.cell, found.pbc)
    except _NotACrystalError as error:
        return UnreadableRow(row, given, where, str(error))
    except Exception as error:  # ASE raises whatever it meets
        return UnreadableRow(row, given, where, _cannot_be_read(error))
    properties = _properties(pairs, {name: found.get(name) for name in _RESULTS})
    return StructureRow(row, given, where, payload, properties)


def _record(numbers: Any, positions: Any, cell: Any, pbc: Any) -> dict[str, Any]:
    """Make a record of atomic numbers, positions and cell vectors, both in Å."""
    from ase.data import chemical_symbols

    cell, positions = np.asarray(cell, dtype=np.float64), np.asarray(positions, dtype=np.float64)
    if not (np.isfinite(cell).all() and np.isfinite(positions).all()):
        msg = "its cell or its positions hold values that are not finite"
        raise _NotACrystalError(msg)
    if not cell.any():
        msg = "has no cell: it is a molecule, not a crystal"
        raise _NotACrystalError(msg)
    if not all(pbc):
        msg = f"is not periodic in three dimensions: pbc is {' '.join('FT'[bool(one)] for one in pbc)}"
        raise _NotACrystalError(msg)
    if np.linalg.det(cell) == 0:
        msg = "its cell vectors lie in one plane"
        raise _NotACrystalError(msg)
    return {
        "lattice": cell.tolist(),
        "species": [chemical_symbols[number] for number in numbers],
        "frac_coords": np.linalg.solve(cell.T, positions.T).T.tolist(),
    }


def _refuse_disorder(occupancy: object) -> None:
    """Refuse what ASE reads from a disordered CIF: it keeps one atom a site and notes the others here."""
    sites = occupancy.values() if isinstance(occupancy, Mapping) else ()
    if any(isinstance(site, Mapping) and list(site.values()) != [1.0] for site in sites):
        msg = "is disordered: its occupancy names sites that are shared or partly empty"
        raise _NotACrystalError(msg)


def _own_id(values: Mapping[str, Any]) -> str | None:
    found = next((values[key] for key in ID_KEYS if present(values.get(key)) is not None), None)
    return None if found is None else shortened(found)


def _properties(values: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    id_key = next((key for key in ID_KEYS if present(values.get(key)) is not None), None)
    return properties_of({**{str(name): value for name, value in values.items() if name != id_key}, **results})


def _cannot_be_read(error: Exception) -> str:
    return f"cannot be read by ASE: {type(error).__name__}: {shortened(error)}"
