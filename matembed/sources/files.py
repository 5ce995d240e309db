"""Read crystals from files and folders: which file holds what, and which reader reads it."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, get_args

from matembed._optional import import_extra
from matembed.sources._source_file import JSON_LINES, SourceFile, files_below, names_a_crystal, without_suffix
from matembed.sources._table_files import TABLE_FILE_SUFFIXES
from matembed.sources._text import count_lines, holds_json_array, json_items
from matembed.sources.ase_files import count_database_rows, database_rows, frame_rows, is_json_database
from matembed.sources.rows import Row, Rows, SourceKind, StructureRow, UnreadableRow, bare_suffix, shortened
from matembed.sources.structure_objects import is_structure_object, object_rows, rows_of_values
from matembed.sources.structure_tables import (
    count_table_rows,
    frame_holds_structures,
    rows_of_frame,
    table_holds_structures,
    table_rows,
)
from matembed.sources.tables import TABLE_SUFFIXES, read_formulas

__all__ = ["read_formulas", "read_rows", "read_structures"]

# What a file holds: JSON lines or an array of objects; frames of extended XYZ; a database of ASE; a table; one crystal.
_Form = Literal["objects", "frames", "database", "table", "crystal"]

# What lies beside crystals in a folder and is passed over.
_OTHER_SUFFIXES = {
    *(".txt", ".md", ".rst", ".pdf", ".html", ".tex", ".bib", ".toml", ".ini", ".cfg"),
    *(".xls", ".xlsx", ".py", ".ipynb", ".sh", ".log", ".out", ".err"),
    *(".png", ".jpg", ".jpeg", ".svg", ".zip", ".tar", ".tgz"),
}
_OTHER_NAMES = {
    "readme",
    "license",
    "licence",
    "copying",
    "citation",
    "makefile",
    "manifest.json",
    "incar",
    "kpoints",
    "potcar",
    "outcar",
    "dropped.jsonl.gz",  # of a fetched folder
}

_WANTED = (
    "wanted CIF, POSCAR, CONTCAR, .vasp, vasprun.xml, .cssr, .xsf, .res, pymatgen's .json or .yaml, extended XYZ "
    "(.xyz, .extxyz), an ASE database (.db), JSON lines (.jsonl), or a table with structures (.parquet, .csv, .tsv)"
)


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
        What the source holds. By default lists of text hold formulas; folders, files of crystals, lists of paths (or
        of text that names structure files) and of structures hold structures. JSON lines, arrays and tables (``.csv``,
        ``.tsv``, ``.parquet``, DataFrames, a folder of nothing but Parquet files) are looked into: a table that has
        columns of structures, as `read_structures` knows them, holds structures, unless `column` is given; any other
        holds formulas.
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
    ImportError
        If a file is read through ASE, which is not installed.

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
        beginning = list(islice(source, 1))
        kind = kind or _kind_of(beginning)
        source = chain(beginning, source)
    if kind is None and column is not None and _is_of_tables(source):
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
        A file of a kind below, or a folder of them; a mapping of id to Structure, or a Series with a named index; an
        iterable of paths, of Structures, of (id, Structure) pairs or of objects as in JSON lines; or a DataFrame with
        the columns of a table below.
    limit : int, optional
        Only the first rows.

    Returns
    -------
    Rows
        A `StructureRow` for each crystal and an `UnreadableRow` for each damaged one or unknown kind of file. Rows are
        numbered from 1, through all files.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    TypeError
        If the source is one structure, or no path, mapping or iterable.
    ValueError
        If there is nothing to read.
    ImportError
        If a file is read through ASE, which is not installed: ``pip install "matembed[ase]"``.

    Notes
    -----
    Files that are read, each also as ``.gz``, ``.bz2`` or ``.xz`` but for Parquet and databases:

    - CIF, POSCAR, CONTCAR, vasprun.xml, ``.cssr``, ``.xsf``, ``.res``, pymatgen's own JSON or YAML: one crystal each,
      read by pymatgen. The id is the path below the folder without the suffix, or with it where two would be the same.
    - JSON lines (``.jsonl``) or a JSON array (``.json``) of objects with ``lattice`` (Å, rows are vectors), ``species``
      and ``frac_coords``; or of pymatgen's own form, itself or as ``structure``; or with the attributes of OPTIMADE.
    - Tables (``.parquet``, ``.csv``, ``.tsv``) with the columns ``lattice_vectors``, ``cartesian_site_positions`` and
      ``species_at_sites``, as OPTIMADE and LeMat-Bulk have them; or ``lattice``, ``species`` and ``frac_coords``; or
      ``structure`` (pymatgen's dictionary or its JSON, or a CIF as text); or ``cif`` (text). Parquet is read some
      rows at a time.
    - Extended XYZ (``.xyz``, ``.extxyz``), of one frame or many, and databases of ASE (``.db``, and ``.json`` that ASE
      wrote), with the extra ``ase``. SQLite is read row by row, in order of ASE's ids.

    The id of an object, frame or row is the first there is of id, material_id, mp_id, mpid, mb_id, entry_id, task_id,
    immutable_id, auid and _id. Else it is the number of the row, through all parts of a table; of a frame the name of
    the file, and its number if there are several (``slabs:3``); of a database ASE's own number. Beside other files,
    numbers follow the name of the file (``oqmd:7``). Numbers, booleans and short text beside the crystal, and those of
    ``properties``, become properties.

    A folder is read with all its subfolders, linked ones too, in order of name, so that a data set in several Parquet
    files is one source. Empty files and links that lead nowhere are rows that cannot be read. Hidden files and files
    that are plainly something else (text, tables without crystals, pictures, scripts, VASP's other files) are passed
    over. Of a folder that matembed fetched from a server, the files are checked, and the rows have its card.

    Examples
    --------
    >>> cell = {"id": "po", "lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> [row.id for row in read_structures([cell])]
    ['po']
    """
    if isinstance(source, Iterator):
        beginning = list(islice(source, 1))
        source = chain(beginning, source)
        if beginning and isinstance(beginning[0], str | os.PathLike):
            source = list(source)
    if isinstance(source, str | os.PathLike):
        path = _existing(Path(source))
        rows = _from_folder(path) if path.is_dir() else _from_file(path)
    elif _is_frame(source):
        rows = rows_of_frame(source)
    elif _is_structure(source) and not isinstance(source, tuple):
        msg = "one structure is no list of structures; pass [structure]"
        raise TypeError(msg)
    elif isinstance(source, Mapping) or _has_named_index(source):
        rows = rows_of_values(list(source.items()))
    elif isinstance(source, Sequence) and source and all(isinstance(value, str | os.PathLike) for value in source):
        paths = [_existing(Path(value)) for value in source]
        rows = _from_files(paths, Path(os.path.commonpath([path.absolute().parent for path in paths])), "structures")
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        rows = rows_of_values(source)
    else:
        msg = f"structures are read from a file, a folder, a mapping or an iterable, got {type(source).__name__}"
        raise TypeError(msg)
    return rows.first(limit)


def _kind_of(source: Any) -> SourceKind:
    if isinstance(source, str | os.PathLike):
        path = _existing(Path(source))
        if path.is_dir():
            return "formulas" if _is_of_tables(path) and not _files_of(path) else "structures"
        return _kind_of_file(path)
    if _is_frame(source):
        return "structures" if frame_holds_structures(source) else "formulas"
    if _is_structure(source) and not isinstance(source, tuple):
        return "structures"
    values = source.values() if isinstance(source, Mapping) else source
    return "structures" if isinstance(values, Iterable) and _is_structure(next(iter(values), None)) else "formulas"


def _kind_of_file(path: Path) -> SourceKind:
    match _form_of(path):
        case "objects":
            objects = (item[1] for item in json_items(path) if not isinstance(item, UnreadableRow))
            return "structures" if _is_structure(next(objects, None)) else "formulas"
        case "table":
            return "structures" if path.stat().st_size > 0 and table_holds_structures(path) else "formulas"
        case None:
            msg = f"cannot tell what {path.name!r} holds: {_WANTED}; or formulas as {', '.join(TABLE_SUFFIXES)}"
            raise ValueError(msg)
    return "structures"


def _form_of(path: Path) -> _Form | None:
    """Tell what a file holds, by its name; of JSON by a look into it; None where that is unknown."""
    suffix = bare_suffix(path)
    if suffix in JSON_LINES:
        return "objects"
    if suffix == ".json" and path.is_file():
        if holds_json_array(path):
            return "objects"
        return "database" if is_json_database(path) else "crystal"
    if suffix in (".xyz", ".extxyz"):
        return "frames"
    if suffix == ".db":
        return "database"
    if suffix in TABLE_FILE_SUFFIXES:
        return "table"
    return "crystal" if names_a_crystal(path) else None


def _is_structure(value: Any) -> bool:
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]
    if isinstance(value, Mapping):
        return is_structure_object(value)
    if isinstance(value, str):
        return _form_of(Path(value)) in ("objects", "frames", "database", "crystal")
    return isinstance(value, os.PathLike) or hasattr(value, "lattice")


def _is_of_tables(source: Any) -> bool:
    if not isinstance(source, str | os.PathLike):
        return _is_frame(source)
    path = Path(source)
    parts = files_below(path) if path.is_dir() else []
    return bare_suffix(path) in TABLE_FILE_SUFFIXES or any(bare_suffix(one) == ".parquet" for one in parts)


def _is_frame(source: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.DataFrame)


def _has_named_index(source: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.Series) and source.index.name is not None


def _existing(path: Path) -> Path:
    try:
        is_there = path.exists()
    except OSError:  # longer than a name may be
        is_there = False
    if not is_there:
        msg = f"there is no file or folder {shortened(path)!r}; give a path that exists, or formulas as a list"
        raise FileNotFoundError(msg)
    return path


def _from_file(path: Path) -> Rows:
    form = _form_of(path)
    if form is None:
        msg = f"{path.name!r} has no name of a structure file: {_WANTED}"
        raise ValueError(msg)
    if form == "table" and not table_holds_structures(path):
        msg = f"{path.name!r} has no column of structures: {_WANTED}"
        raise ValueError(msg)
    if form == "database" and bare_suffix(path) == ".db":
        count_database_rows(path)
    return _from_files([path], path.parent, without_suffix(path.name) or path.name)


def _from_folder(folder: Path) -> Rows:
    from matembed.sources.downloads import is_download, read_download
    from matembed.sources.hub_tables import is_hub_table, open_hub_table

    if is_download(folder):
        return read_download(folder)
    if is_hub_table(folder):
        fetched = open_hub_table(folder)
        return replace(_from_folder(fetched.files), name=folder.resolve().name, card=fetched.card)
    files = _files_of(folder)
    if not files:
        msg = f"the folder {folder.name!r} holds nothing to read: {_WANTED}"
        raise ValueError(msg)
    return _from_files(files, folder, folder.resolve().name)


def _files_of(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if not _is_passed_over(path)]


def _is_passed_over(path: Path) -> bool:
    if bare_suffix(path) in TABLE_FILE_SUFFIXES:
        try:
            return not table_holds_structures(path)
        except ValueError:
            return path.suffix.lower() != ".parquet"  # a damaged part of a data set is a row of rejects
    return bare_suffix(path) in _OTHER_SUFFIXES or path.name.lower() in _OTHER_NAMES


def _from_files(paths: Sequence[Path], root: Path, name: str) -> Rows:
    forms = [_form_of(path) if path.is_file() and path.stat().st_size > 0 else None for path in paths]
    if "frames" in forms or "database" in forms:
        import_extra("ase", extra="ase")
    files = _source_files([path.absolute() for path in paths], root.absolute())
    if forms in (["objects"], ["database"]) or set(forms) <= {"table", None}:  # numbers alone will do
        files = [file._replace(label=None) for file in files]
    counts = [_count_rows(file.path, form) for file, form in zip(files, forms, strict=True)]
    known = [n_rows for n_rows in counts if n_rows is not None]
    n_rows = sum(known) if len(known) == len(counts) else None
    return Rows("structures", name, n_rows, lambda: _rows_of_files(files, forms))


def _source_files(paths: Sequence[Path], root: Path) -> list[SourceFile]:
    names = [path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name for path in paths]
    bare = [without_suffix(name) for name in names]
    n_same = Counter(bare)
    return [
        SourceFile(path, name, short if n_same[short] == 1 else name)
        for path, name, short in zip(paths, names, bare, strict=True)
    ]


def _count_rows(path: Path, form: _Form | None) -> int | None:
    """Tell how many rows a file has, where that can be told without reading it through as a reader does."""
    try:
        match form:
            case "objects":
                return None if bare_suffix(path) == ".json" else count_lines(path)
            case "frames":
                return None
            case "database":
                return None if bare_suffix(path) == ".json" else count_database_rows(path)
            case "table":
                return count_table_rows(path)
    except ValueError:
        pass  # the reader makes one row of rejects of it
    return 1


def _rows_of_files(files: Sequence[SourceFile], forms: Sequence[_Form | None]) -> Iterator[Row]:
    n_before = 0
    for file, form in zip(files, forms, strict=True):
        for row in _READERS[form](file._replace(n_before=n_before)):
            yield row
            n_before = row.row


def _crystal_row(file: SourceFile) -> Iterator[Row]:
    yield StructureRow(file.n_before + 1, shortened(file.label or file.name), shortened(file.name), file.path)


def _unknown_row(file: SourceFile) -> Iterator[Row]:
    if not file.path.is_file():
        reason = "is no file: a folder in a list of files, or a link that leads nowhere"
    elif file.path.stat().st_size == 0:
        reason = "is empty"
    else:
        reason = f"has no name of a structure file: {_WANTED}"
    yield UnreadableRow(file.n_before + 1, shortened(file.label or file.name), shortened(file.name), reason)


_READERS: dict[_Form | None, Callable[[SourceFile], Iterator[Row]]] = {
    "objects": object_rows,
    "frames": frame_rows,
    "database": database_rows,
    "table": table_rows,
    "crystal": _crystal_row,
    None: _unknown_row,
}
