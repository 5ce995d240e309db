"""Read formulas, or properties alone, from tables, JSON lines and Python objects, as text and row by row."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matembed.sources._source_file import files_below
from matembed.sources._table_files import TABLE_FILE_SUFFIXES, open_table
from matembed.sources._text import count_lines, holds_json_array, json_items
from matembed.sources.rows import (
    ID_KEYS,
    FormulaRow,
    Property,
    Row,
    Rows,
    UnreadableRow,
    bare_suffix,
    present,
    properties_of,
    shortened,
)

__all__ = ["TABLE_SUFFIXES", "read_formulas", "read_properties"]

TABLE_SUFFIXES = (*TABLE_FILE_SUFFIXES, ".jsonl", ".ndjson")

_FORMULA_COLUMNS = (
    "formula",
    "pretty_formula",
    "formula_pretty",
    "reduced_formula",
    "chemical_formula_reduced",
    "chemical_formula",
    "composition",
    "compound",
    "material",
)
_Choose = Callable[[Sequence[Any], Any, Any, str], tuple[Any, Any]]


def read_formulas(
    source: Any, *, column: str | None = None, id_column: str | None = None, limit: int | None = None
) -> Rows:
    """Read formulas, always as text: the formula NaN stays sodium nitride.

    Parameters
    ----------
    source : path-like, DataFrame, Series or iterable of str
        A table (``.csv``, ``.tsv``, ``.parquet``), JSON lines (``.jsonl``, of objects or of strings) or a JSON array
        (``.json``), the text ones also as ``.gz``, ``.bz2`` or ``.xz``; a folder of Parquet files, which are read as
        one table in order of name; or formulas in Python. A named index of a DataFrame or Series counts as a column.
    column : str, optional
        Column with the formulas. By default the first there is of: formula, pretty_formula, formula_pretty,
        reduced_formula, chemical_formula_reduced, chemical_formula, composition, compound, material; in any case.
    id_column : str, optional
        Column with the ids. By default the first there is of: id, material_id, mp_id, mpid, mb_id, entry_id,
        task_id, immutable_id, auid, _id; else, and where it is empty, the row.
    limit : int, optional
        Only the first rows.

    Returns
    -------
    Rows
        A `FormulaRow` for each row and an `UnreadableRow` for each that is damaged: cells that do not fit the
        header, broken JSON, bytes that are not UTF-8. Of a text file, rows are numbered by line, the header being
        line 1. Numbers, booleans and short text of other columns, and those of ``properties``, become properties.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source is no file, table or iterable.
    ValueError
        If the source is empty, is of an unknown form, or the column is not there, cannot be guessed or shares its
        name with another.

    Examples
    --------
    >>> [(row.id, row.formula) for row in read_formulas(["NaN", "TiO2"])]
    [('1', 'NaN'), ('2', 'TiO2')]
    """
    pandas = sys.modules.get("pandas")
    if isinstance(source, str | os.PathLike):
        rows = _from_file(Path(source), column, id_column, _choose)
    elif pandas is not None and isinstance(source, pandas.Series):
        name = "formula" if source.name is None else source.name
        rows = _from_frame(source.to_frame(name), name, id_column)
    elif pandas is not None and isinstance(source, pandas.DataFrame):
        rows = _from_frame(source, column, id_column)
    elif isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
        rows = _from_values(source, column, id_column)
    else:
        msg = f"formulas are read from a file, a DataFrame, a Series or a list of text, got {type(source).__name__}"
        raise TypeError(msg)
    return rows.first(limit)


def read_properties(path: str | os.PathLike[str], *, id_column: str | None = None) -> dict[str, dict[str, Property]]:
    r"""Read what a table says of materials that are named by id; it need not hold formulas.

    Parameters
    ----------
    path : path-like
        A table as `read_formulas` reads it: ``.csv``, ``.tsv``, ``.parquet``, ``.jsonl``.
    id_column : str, optional
        Column with the ids. By default the first there is of those that `read_formulas` knows.

    Returns
    -------
    dict of str to dict
        Properties by name, by id, in the order of the file. Ids are text; missing values are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty or of an unknown form, the column of ids is not there or cannot be guessed, a row is
        damaged or has no id, or two rows have the same.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "gaps.csv"
    ...     _ = file.write_text("material_id,gap\nmp-22862,5.0\n")
    ...     read_properties(file)
    {'mp-22862': {'gap': '5.0'}}
    """
    path = Path(path)
    properties: dict[str, dict[str, Property]] = {}
    first_rows: dict[str, int] = {}
    for row in _from_file(path, None, id_column, _choose_ids):
        if isinstance(row, UnreadableRow):
            msg = f"{path.name}, row {row.row}: {row.reason}"
            raise ValueError(msg)
        if isinstance(row, FormulaRow) and row.formula is None:
            msg = f"{path.name}, row {row.row}: there is no id"
            raise ValueError(msg)
        if row.id in properties:
            msg = f"{path.name}: id {row.id!r} is that of row {first_rows[row.id]} and of row {row.row}; keep one"
            raise ValueError(msg)
        first_rows[row.id] = row.row
        properties[row.id] = dict(row.properties)
    return properties


def _from_values(values: Iterable[Any], column: str | None, id_column: str | None) -> Rows:
    if column is not None or id_column is not None:
        msg = f"column and id_column are for tables; a {type(values).__name__} has none"
        raise ValueError(msg)

    def read() -> Iterator[Row]:
        return (FormulaRow(row, str(row), present(value)) for row, value in enumerate(values, start=1))

    return Rows("formulas", "formulas", len(values) if isinstance(values, Sequence) else None, read)


def _from_frame(frame: Any, column: Any, id_column: str | None) -> Rows:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = list(frame.columns)
    chosen = _choose(names, column, id_column, "the table")

    def read() -> Iterator[Row]:
        cells = frame.itertuples(index=False, name=None)
        return (_row(row, dict(zip(names, values, strict=True)), *chosen) for row, values in enumerate(cells, start=1))

    return Rows("formulas", "formulas", len(frame), read)


def _from_file(path: Path, column: str | None, id_column: str | None, choose: _Choose) -> Rows:
    if not path.exists():
        msg = f"there is no file {str(path)!r}; give the path of a table, or formulas as a list"
        raise FileNotFoundError(msg)
    if path.is_dir():
        return _from_folder(path, column, id_column, choose)
    suffix = bare_suffix(path)
    endings = (suffix,) if suffix == ".parquet" else (suffix, ".gz", ".bz2", ".xz")
    if suffix not in (*TABLE_SUFFIXES, ".json") or path.suffix.lower() not in endings:
        msg = (
            f"a table is read from .csv, .tsv, .parquet, .jsonl or .json (the text ones also packed), got {path.name!r}"
        )
        raise ValueError(msg)
    if path.stat().st_size == 0:
        msg = f"{path.name} is empty; wanted a table with a header and rows"
        raise ValueError(msg)
    name = path.name[: path.name.lower().index(suffix)]
    if suffix in TABLE_FILE_SUFFIXES:
        return _from_tables([path], name, column, id_column, choose)
    array = suffix == ".json"
    if array and not holds_json_array(path):
        msg = f"{path.name} holds no JSON array; write [...] of objects or formulas, or JSON lines (.jsonl)"
        raise ValueError(msg)
    n_rows = None if array else count_lines(path)
    return Rows("formulas", name, n_rows, lambda: _json_rows(path, column, id_column, choose))


def _from_folder(folder: Path, column: str | None, id_column: str | None, choose: _Choose) -> Rows:
    from matembed.sources.hub_tables import is_hub_table, open_hub_table

    if is_hub_table(folder):
        fetched = open_hub_table(folder)
        rows = _from_folder(fetched.files, column, id_column, choose)
        return replace(rows, name=folder.resolve().name, card=fetched.card)
    paths = [path for path in files_below(folder) if bare_suffix(path) == ".parquet"]
    if not paths:
        msg = f"a folder of formulas holds Parquet files (.parquet), the parts of one table; {folder.name!r} holds none"
        raise ValueError(msg)
    return _from_tables(paths, folder.resolve().name, column, id_column, choose)


def _from_tables(paths: Sequence[Path], name: str, column: str | None, id_column: str | None, choose: _Choose) -> Rows:
    tables = [open_table(path) for path in paths]
    chosen = [choose(table.columns, column, id_column, path.name) for table, path in zip(tables, paths, strict=True)]
    counts = [table.count_rows() for table in tables]

    def read() -> Iterator[Row]:
        n_before = 0
        for table, names, n_rows in zip(tables, chosen, counts, strict=True):
            for item in table.read([other for other in table.columns if other in table.flat or other in names]):
                if isinstance(item, UnreadableRow):
                    row = n_before + item.row
                    yield replace(item, row=row, id=str(row))
                else:
                    yield _row(n_before + item[0], item[1], *names)
            n_before += n_rows

    return Rows("formulas", name, sum(counts), read)


def _json_rows(path: Path, column: str | None, id_column: str | None, choose: _Choose) -> Iterator[Row]:
    names: list[str] = []
    chosen: tuple[str, str | None] | None = None
    for item in json_items(path):
        if isinstance(item, UnreadableRow):
            yield item
        elif isinstance(item[1], dict):
            if chosen is None or names != list(item[1]):
                # An object may lack a key that others have: the formula is then missing, the id is the row.
                names = list(item[1])
                lacking = {chosen[0], id_column} - {None, *names} if chosen else ()
                chosen = choose([*names, *lacking], chosen[0] if chosen else column, id_column, path.name)
            yield _row(item[0], item[1], *chosen)
        elif isinstance(item[1], str):
            yield FormulaRow(item[0], str(item[0]), item[1])
        else:
            yield UnreadableRow(item[0], str(item[0]), shortened(item[1]), "is neither a JSON object nor a string")


def _choose(names: Sequence[Any], column: Any, id_column: Any, where: str) -> tuple[Any, Any]:
    """Choose the formula column and the id column, if there is one; ValueError where that cannot be done."""
    listed = _listed(names)
    _refuse_repeated(names, where)
    for wanted, argument in ((column, "column"), (id_column, "id_column")):
        if wanted is not None and wanted not in names:
            msg = f"{where} has no column {wanted!r}; pass {argument}= one of: {listed}"
            raise ValueError(msg)
    if column is None:
        column = _first_of(_FORMULA_COLUMNS, names)
    if column is None:
        msg = f"which column of {where} holds the formulas? pass column= (command line: --column) one of: {listed}"
        raise ValueError(msg)
    if id_column is None:
        id_column = _first_of(ID_KEYS, names)
    return column, id_column


def _choose_ids(names: Sequence[Any], column: Any, id_column: Any, where: str) -> tuple[Any, Any]:
    """Choose the id column as that of the formulas too; ValueError where that cannot be done."""
    _refuse_repeated(names, where)
    chosen = column or id_column or _first_of(ID_KEYS, names)
    if chosen is None:
        msg = f"which column of {where} holds the ids? pass id_column= (command line: --id-column) one of: "
        raise ValueError(msg + _listed(names))
    if chosen not in names:
        msg = f"{where} has no column {chosen!r}; pass id_column= (command line: --id-column) one of: {_listed(names)}"
        raise ValueError(msg)
    return chosen, chosen


def _first_of(known: Iterable[str], names: Sequence[Any]) -> Any:
    by_name: dict[str, Any] = {}
    for name in names:
        by_name.setdefault(str(name).strip().lower().replace(" ", "_").replace("-", "_"), name)
    return next((by_name[name] for name in known if name in by_name), None)


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(repr(shortened(name, 40)) for name in names[:20]) + (", ..." if len(names) > 20 else "")


def _refuse_repeated(names: Sequence[Any], where: str) -> None:
    repeated = [name for name, n_columns in Counter(names).items() if n_columns > 1 and name != ""]
    if repeated:
        msg = f"{where} has more than one column {repeated[0]!r}; rename or remove all but one"
        raise ValueError(msg)


def _row(row: int, cells: Mapping[Any, Any], column: Any, id_column: Any) -> FormulaRow:
    given = present(cells.get(id_column))
    others = {str(name): value for name, value in cells.items() if name not in (column, id_column)}
    labels = cells.get("properties")
    others |= labels if isinstance(labels, Mapping) else {}
    return FormulaRow(
        row, str(row) if given is None else shortened(given), present(cells.get(column)), properties_of(others)
    )
