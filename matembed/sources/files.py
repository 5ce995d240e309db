"""Read crystals from files and folders, and tell crystals from formulas."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain, count
from pathlib import Path
from typing import Any, get_args

from matembed.sources._text import count_lines, holds_json_array, json_items
from matembed.sources.rows import (
    Row,
    Rows,
    SourceKind,
    StructureRow,
    UnreadableRow,
    bare_suffix,
    properties_of,
    shortened,
)
from matembed.sources.tables import TABLE_SUFFIXES, read_formulas

__all__ = ["read_formulas", "read_rows", "read_structures"]

_ID_KEYS = ("id", "material_id", "mp_id", "task_id", "entry_id", "_id")
_JSON_LINES = (".jsonl", ".ndjson")
_STRUCTURE_SUFFIXES = (".cif", ".mcif", ".vasp", ".cssr", ".xsf", ".res", ".json", ".yaml", ".yml")
_STRUCTURE_NAMES = ("*poscar*", "*contcar*", "chgcar*", "locpot*", "vasprun*.xml*")
_OTHER_SUFFIXES = {
    *(".txt", ".md", ".rst", ".pdf", ".html", ".tex", ".bib", ".toml", ".ini", ".cfg"),
    *(".csv", ".tsv", ".parquet", ".xls", ".xlsx", ".py", ".ipynb", ".sh", ".log", ".out", ".err"),
    *(".png", ".jpg", ".jpeg", ".svg", ".zip", ".tar", ".tgz"),
}
_OTHER_NAMES = {
    "readme",
    "license",
    "licence",
    "copying",
    "citation",
    "makefile",
    "incar",
    "kpoints",
    "potcar",
    "outcar",
}

_WANTED = (
    "wanted CIF, POSCAR, CONTCAR, .vasp, vasprun.xml, .cssr, .xsf, .res, pymatgen's .json or .yaml, "
    "or JSON lines (.jsonl)"
)
# Keys of the forms a crystal is written in; other keys beside them are properties.
_STRUCTURE_KEYS = {"structure", "lattice", "species", "frac_coords", "sites", "charge", "properties", "formula"}


def read_rows(
    source: Any,
    *,
    kind: SourceKind | None = None,
    column: str | None = None,
    id_column: str | None = None,
    limit: int | None = None,
) -> Rows:
    """Read formulas or crystals, whichever the source holds.

    Parameters
    ----------
    source : path-like, DataFrame, Series, mapping, iterable or Rows
        What `read_formulas` or `read_structures` take, or the rows that one of them returned.
    kind : {"formulas", "structures"}, optional
        What the source holds. By default tables and lists of text hold formulas; folders, other files, lists of
        paths (or of text that names structure files) and of structures hold structures; JSON lines and arrays are
        looked into. A table with structures in a column ``structure`` holds structures, unless `column` is given.
    column, id_column : str, optional
        As in `read_formulas`.
    limit : int, optional
        Only the first rows.

    Returns
    -------
    Rows
        The rows, in order.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    TypeError
        If the source is one structure, or nothing that can be read.
    ValueError
        If the source is empty, `kind` is unknown, or no rows can be made of the source.

    Examples
    --------
    >>> read_rows(["NaCl", "MgO"])
    Rows(kind='formulas', name='formulas', n_rows=2)
    """
    if kind not in (None, *get_args(SourceKind)):
        msg = f'kind must be "formulas" or "structures", got {kind!r}'
        raise ValueError(msg)
    if isinstance(source, Rows):
        if kind not in (None, source.kind):
            msg = f"{source.name} holds {source.kind}, not {kind}"
            raise ValueError(msg)
        return source.first(limit)
    if isinstance(source, Iterator):
        beginning = [value for _, value in zip(range(1), source, strict=False)]
        kind = kind or _kind_of(beginning)
        source = chain(beginning, source)
    if kind is None and column is not None and _is_table(source):
        kind = "formulas"
    if (kind or _kind_of(source)) == "formulas":
        return read_formulas(source, column=column, id_column=id_column, limit=limit)
    if column is not None or id_column is not None:
        msg = "column and id_column choose columns of a table of formulas; this source holds structures"
        raise ValueError(msg)
    return read_structures(source, limit=limit)


def read_structures(source: Any, *, limit: int | None = None) -> Rows:
    """Read crystals; each is parsed only when its row is asked for its structure.

    Parameters
    ----------
    source : path-like, mapping, iterable, Series or DataFrame
        A file that pymatgen reads (CIF, POSCAR, CONTCAR, vasprun.xml, its own JSON or YAML, ...); JSON lines
        (``.jsonl``, ``.jsonl.gz``) or a JSON array (``.json``) of objects with ``lattice`` (Å, rows are vectors),
        ``species`` and ``frac_coords``, or of pymatgen's own form, itself or as ``structure``, with ``id`` and
        ``properties`` if there are any; a folder of these, read with all its subfolders in order of name; a mapping
        of id to Structure, or a Series with a named index; an iterable of paths, of Structures, of (id, Structure)
        pairs or of such objects; or a table with a column ``structure``.
    limit : int, optional
        Only the first rows.

    Returns
    -------
    Rows
        A `StructureRow` for each crystal and an `UnreadableRow` for each damaged line or unknown kind of file.
        Properties are those of ``properties`` and the numbers, booleans and short text beside the structure.
        The id of a file is its path below the folder without the suffix, or with it where two would be the same.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    TypeError
        If the source is one structure, or no path, mapping or iterable.
    ValueError
        If there is nothing to read.

    Notes
    -----
    In a folder, hidden files and files that are plainly something else (text, tables, pictures, scripts, VASP's other
    files) are passed over.

    Examples
    --------
    >>> cell = {"id": "po", "lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> [row.id for row in read_structures([cell])]
    ['po']
    """
    if isinstance(source, str | os.PathLike):
        path = _existing(Path(source))
        rows = _from_folder(path) if path.is_dir() else _from_file(path)
    elif _is_table(source):
        rows = _from_table(source)
    elif _is_structure(source) and not isinstance(source, tuple):
        msg = "one structure is no list of structures; pass [structure]"
        raise TypeError(msg)
    elif isinstance(source, Mapping) or _has_named_index(source):
        rows = _from_values(list(source.items()))
    elif isinstance(source, Sequence) and source and all(isinstance(value, str | os.PathLike) for value in source):
        paths = [_existing(Path(value)) for value in source]
        rows = _from_files(paths, Path(os.path.commonpath([path.absolute().parent for path in paths])), "structures")
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        rows = _from_values(source)
    else:
        msg = f"structures are read from a file, a folder, a mapping or an iterable, got {type(source).__name__}"
        raise TypeError(msg)
    return rows.first(limit)


def _kind_of(source: Any) -> SourceKind:
    if isinstance(source, str | os.PathLike):
        path = _existing(Path(source))
        if path.is_dir():
            return "structures"
        if bare_suffix(path) in _JSON_LINES or _is_array(path):
            objects = (item[1] for item in json_items(path) if not isinstance(item, UnreadableRow))
            return "structures" if _is_structure(next(objects, None)) else "formulas"
        if bare_suffix(path) in TABLE_SUFFIXES:
            return "formulas"
        if _is_structure_file(path):
            return "structures"
        msg = f"cannot tell what {path.name!r} holds: {_WANTED}; or formulas as {', '.join(TABLE_SUFFIXES)}"
        raise ValueError(msg)
    if _is_table(source):
        first = next(iter(source["structure"]), None) if "structure" in source.columns else None
        return "formulas" if isinstance(first, str) or not _is_structure(first) else "structures"
    if _is_structure(source) and not isinstance(source, tuple):
        return "structures"
    values = source.values() if isinstance(source, Mapping) else source
    return "structures" if isinstance(values, Iterable) and _is_structure(next(iter(values), None)) else "formulas"


def _is_structure(value: Any) -> bool:
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    if isinstance(value, Mapping):
        return not {"lattice", "frac_coords", "sites", "structure"}.isdisjoint(value)
    if isinstance(value, str):
        return _is_structure_file(Path(value))
    return isinstance(value, os.PathLike) or hasattr(value, "lattice")


def _is_table(source: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _has_named_index(source: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.Series) and source.index.name is not None


def _is_array(path: Path) -> bool:
    return bare_suffix(path) == ".json" and path.is_file() and holds_json_array(path)


def _is_structure_file(path: Path) -> bool:
    if bare_suffix(path) in (*_STRUCTURE_SUFFIXES, *_JSON_LINES):
        return True
    return any(fnmatchcase(path.name.lower(), pattern) for pattern in _STRUCTURE_NAMES)


def _existing(path: Path) -> Path:
    if not path.exists():
        msg = f"there is no file or folder {str(path)!r}; give a path that exists, or formulas as a list"
        raise FileNotFoundError(msg)
    return path


def _from_file(path: Path) -> Rows:
    if not _is_structure_file(path):
        msg = f"{path.name!r} has no name of a structure file: {_WANTED}"
        raise ValueError(msg)
    name = path.name
    for suffix in (*_JSON_LINES, *_STRUCTURE_SUFFIXES):
        name = name[: name.lower().find(suffix)] if suffix in name.lower() else name
    return _from_files([path], path.parent, name or path.name)


def _from_folder(folder: Path) -> Rows:
    files = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        plainly_other = bare_suffix(path) in _OTHER_SUFFIXES or path.name.lower() in _OTHER_NAMES
        if path.is_file() and not plainly_other and not any(part.startswith(".") for part in parts):
            files.append(path)
    if not files:
        msg = f"the folder {folder.name!r} holds nothing to read: {_WANTED}"
        raise ValueError(msg)
    files.sort(key=lambda path: path.relative_to(folder).parts)
    return _from_files(files, folder, folder.resolve().name)


def _from_files(files: Sequence[Path], root: Path, name: str) -> Rows:
    n_rows = None
    if not any(map(_is_array, files)):
        n_rows = sum(count_lines(path) if bare_suffix(path) in _JSON_LINES else 1 for path in files)
    absolute = [path.absolute() for path in files]
    return Rows("structures", name, n_rows, lambda: _rows_of_files(absolute, root.absolute()))


def _rows_of_files(files: Sequence[Path], root: Path) -> Iterator[Row]:
    shown = [path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name for path in files]
    bare = [_without_suffix(name) for name in shown]
    n_same = Counter(bare)
    row = 0
    for path, name, short in zip(files, shown, bare, strict=True):
        if bare_suffix(path) in _JSON_LINES or _is_array(path):
            unit = "entry" if _is_array(path) else "line"
            for item in json_items(path):
                row += 1
                if isinstance(item, UnreadableRow):
                    yield UnreadableRow(row, str(row), f"{name}, {unit} {item.row}: {item.input}", item.reason)
                else:
                    yield _row_of_object(row, item[1], f"{name}, {unit} {item[0]}")
            continue
        row += 1
        given = shortened(short if n_same[short] == 1 else name)
        if _is_structure_file(path):
            yield StructureRow(row, given, shortened(name), path)
        else:
            yield UnreadableRow(row, given, shortened(name), f"has no name of a structure file: {_WANTED}")


def _without_suffix(name: str) -> str:
    path = Path(name)
    suffix = bare_suffix(path)
    if suffix not in _STRUCTURE_SUFFIXES:
        return name
    return name[: name.lower().rindex(suffix)]


def _from_values(values: Iterable[Any]) -> Rows:
    n_rows = len(values) if isinstance(values, Sequence) else None
    return Rows("structures", "structures", n_rows, lambda: map(_row_of_value, count(1), values))


def _from_table(table: Any) -> Rows:
    if "structure" not in table.columns:
        msg = f"a table of structures has a column 'structure'; got {', '.join(map(repr, table.columns[:20]))}"
        raise ValueError(msg)
    if any(name is not None for name in table.index.names):
        table = table.reset_index()

    def read() -> Iterator[Row]:
        names = [str(name) for name in table.columns]
        for row, values in enumerate(table.itertuples(index=False, name=None), start=1):
            yield _row_of_object(row, dict(zip(names, values, strict=True)), f"structure {row}")

    return Rows("structures", "structures", len(table), read)


def _row_of_value(row: int, value: Any) -> Row:
    given = None
    if isinstance(value, tuple) and len(value) == 2:
        given, value = value
    if isinstance(value, str | os.PathLike):
        path = Path(value).absolute()
        name = shortened(_without_suffix(path.name) if given is None else given)
        if not path.is_file():
            return UnreadableRow(row, name, shortened(path.name), "there is no such file")
        return StructureRow(row, name, shortened(path.name), path)
    if isinstance(value, Mapping):
        return _row_of_object(row, value, f"structure {row}", given)
    name = str(row) if given is None else shortened(given)
    if not hasattr(value, "lattice"):
        return UnreadableRow(
            row, name, shortened(value), f"a pymatgen Structure was wanted, got {type(value).__name__}"
        )
    return StructureRow(row, name, shortened(f"structure {row} ({value.reduced_formula})"), value)


def _row_of_object(row: int, value: Any, where: str, given: object = None) -> Row:
    if not isinstance(value, Mapping):
        return UnreadableRow(row, str(row), shortened(f"{where}: {value}"), "is no JSON object of a structure")
    id_key = next((key for key in _ID_KEYS if value.get(key) is not None), None)
    found = given if given is not None else value[id_key] if id_key else row
    formula = value.get("formula")
    beside = {
        str(name): other
        for name, other in value.items()
        if name != id_key and name not in _STRUCTURE_KEYS and not str(name).startswith("@")
    }
    labels = value.get("properties")
    nested: Any = value.get("structure")
    return StructureRow(
        row,
        shortened(found),
        shortened(f"{where} ({formula})" if formula else where),
        nested if hasattr(nested, "lattice") else value,
        properties_of(beside | dict(labels if isinstance(labels, Mapping) else {})),
    )
