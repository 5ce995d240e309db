"""Crystals that are objects: pymatgen structures, dictionaries, lines of JSON, entries of a mapping."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from matembed.sources._source_file import SourceFile, without_suffix
from matembed.sources._text import holds_json_array, json_items
from matembed.sources.optimade_records import OPTIMADE_KEYS, record_of
from matembed.sources.rows import (
    ID_KEYS,
    Row,
    Rows,
    StructureRow,
    UnreadableRow,
    bare_suffix,
    is_structure_text,
    present,
    properties_of,
    shortened,
)

__all__ = ["STRUCTURE_KEYS", "is_structure_object", "object_rows", "row_of_object", "rows_of_values"]

_CELL_KEYS = ("lattice", "frac_coords", "sites")
# Keys of the forms a crystal is written in; other keys beside them are properties.
STRUCTURE_KEYS = frozenset(
    ("structure", "cif", *_CELL_KEYS, "species", "charge", "properties", "formula", *OPTIMADE_KEYS)
)


def is_structure_object(value: Mapping[Any, Any]) -> bool:
    """Tell whether an object is written as a crystal is, not whether it is a sound one.

    Parameters
    ----------
    value : mapping
        An object of JSON or a row of a table.

    Returns
    -------
    bool
        Whether it has a lattice, sites or coordinates of its own, or a ``structure`` or ``cif`` that has.

    Examples
    --------
    >>> is_structure_object({"lattice_vectors": []}), is_structure_object({"formula": "NaCl", "structure": "rocksalt"})
    (True, False)
    """
    if not {*_CELL_KEYS, "lattice_vectors"}.isdisjoint(value):
        return True
    written = [value[key] for key in ("structure", "cif") if key in value]
    return any(not isinstance(one, str) or is_structure_text(one) for one in written)


def object_rows(file: SourceFile) -> Iterator[Row]:
    """Read the crystals of JSON lines, or of a JSON array.

    Parameters
    ----------
    file : SourceFile
        Lines that are objects, or one array of objects.

    Yields
    ------
    StructureRow or UnreadableRow
        As `row_of_object` makes them; a broken line is an `UnreadableRow`.
    """
    is_array = bare_suffix(file.path) == ".json" and holds_json_array(file.path)
    unit = "entry" if is_array else "line"
    for row, item in enumerate(json_items(file.path), start=file.n_before + 1):
        if isinstance(item, UnreadableRow):
            yield UnreadableRow(row, file.id_of(row), file.place(f"{unit} {item.row}: {item.input}"), item.reason)
        else:
            yield row_of_object(row, item[1], file.place(f"{unit} {item[0]}"), unnamed=file.id_of(row))


def rows_of_values(values: Iterable[Any]) -> Rows:
    """Make rows of crystals in Python.

    Parameters
    ----------
    values : iterable
        Structures, paths, objects as `row_of_object` takes them, or pairs of an id and one of these.

    Returns
    -------
    Rows
        A row for each value.

    Examples
    --------
    >>> [row.reason for row in rows_of_values([7])]
    ['a pymatgen Structure was wanted, got int']
    """
    n_rows = len(values) if isinstance(values, Sequence) else None
    return Rows("structures", "structures", n_rows, lambda: map(_row_of_value, count(1), values))


def row_of_object(row: int, value: Any, where: str, given: object = None, *, unnamed: object = None) -> Row:
    """Make a row of a crystal that is written as an object.

    Parameters
    ----------
    row : int
        The number of the row.
    value : object
        A mapping with ``lattice`` (Å, rows are vectors), ``species`` and ``frac_coords``; or in pymatgen's form; or
        with the attributes of OPTIMADE; or with one of these, its JSON, a Structure or the text of a CIF as
        ``structure``; or with the text of a CIF as ``cif``.
    where : str
        What a person would look for.
    given : object, optional
        The id. By default that of the object itself.
    unnamed : object, optional
        The id where there is none; by default the row.

    Returns
    -------
    StructureRow or UnreadableRow
        What is not part of the crystal becomes properties, and so does what is in ``properties``.

    Examples
    --------
    >>> row_of_object(3, {"material_id": "mp-1", "cif": "data_CsCl ...", "gap": 5.0}, "line 3").properties
    {'gap': 5.0}
    """
    unnamed = row if unnamed is None else unnamed
    if not isinstance(value, Mapping):
        return UnreadableRow(row, str(unnamed), shortened(f"{where}: {value}"), "is no JSON object of a structure")
    id_key = next((key for key in ID_KEYS if present(value.get(key)) is not None), None)
    found = shortened(given if given is not None else value[id_key] if id_key else unnamed)
    formula = next((value[key] for key in ("formula", "chemical_formula_reduced") if value.get(key)), None)
    seen = shortened(f"{where} ({formula})" if formula else where)
    try:
        payload = _payload(value, found)
    except ValueError as error:
        return UnreadableRow(row, found, seen, str(error))
    beside = {
        str(name): other
        for name, other in value.items()
        if name != id_key and name not in STRUCTURE_KEYS and not str(name).startswith("@")
    }
    labels = value.get("properties")
    properties = properties_of(beside | dict(labels if isinstance(labels, Mapping) else {}))
    return StructureRow(row, found, seen, payload, properties)


def _payload(value: Mapping[str, Any], found: str) -> Any:
    """Take the crystal alone out of an object; ValueError where there is none."""
    for key in ("structure", "cif"):
        nested = present(value.get(key))
        if hasattr(nested, "lattice"):
            return nested
        if nested is not None:
            return {key: nested}
    if "lattice_vectors" in value:
        return record_of(value, found)
    if {"structure", "cif"} & value.keys() and value.keys().isdisjoint(_CELL_KEYS):
        msg = "there is no structure in this row"
        raise ValueError(msg)
    return value


def _row_of_value(row: int, value: Any) -> Row:
    given = None
    if isinstance(value, tuple) and len(value) == 2:
        given, value = value
    if isinstance(value, str | os.PathLike):
        path = Path(value).absolute()
        name = shortened(without_suffix(path.name) if given is None else given)
        if not path.is_file():
            return UnreadableRow(row, name, shortened(path.name), "there is no such file")
        return StructureRow(row, name, shortened(path.name), path)
    if isinstance(value, Mapping):
        return row_of_object(row, value, f"structure {row}", given)
    name = str(row) if given is None else shortened(given)
    if not hasattr(value, "lattice"):
        return UnreadableRow(
            row, name, shortened(value), f"a pymatgen Structure was wanted, got {type(value).__name__}"
        )
    return StructureRow(row, name, shortened(f"structure {row} ({value.reduced_formula})"), value)
