"""Read formulas from tables, JSON lines and Python objects, as text and row by row."""

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matembed.sources._text import count_lines, csv_lines, json_lines, open_text
from matembed.sources.rows import FormulaRow, Row, Rows, UnreadableRow, bare_suffix, properties_of, shortened

__all__ = ["TABLE_SUFFIXES", "read_formulas"]

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")

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
_ID_COLUMNS = ("id", "material_id", "mp_id", "mpid", "mb_id", "entry_id", "task_id", "auid", "_id")


def read_formulas(
    source: Any, *, column: str | None = None, id_column: str | None = None, limit: int | None = None
) -> Rows:
    """Read formulas, always as text: the formula NaN stays sodium nitride.

    Parameters
    ----------
    source : path-like, DataFrame, Series or iterable of str
        A table (``.csv``, ``.tsv``, ``.parquet``) or JSON lines (``.jsonl``, of objects or of strings), ``.gz`` of
        the text ones too; or formulas in Python. A named index of a DataFrame or Series counts as a column.
    column : str, optional
        Column with the formulas. By default the first there is of: formula, pretty_formula, formula_pretty,
        reduced_formula, chemical_formula_reduced, chemical_formula, composition, compound, material; in any case.
    id_column : str, optional
        Column with the ids. By default the first there is of: id, material_id, mp_id, mpid, mb_id, entry_id,
        task_id, auid, _id; else, and where it is empty, the row.
    limit : int, optional
        Only the first rows.

    Returns
    -------
    Rows
        A `FormulaRow` for each row and an `UnreadableRow` for each that is damaged: cells that do not fit the
        header, broken JSON, bytes that are not UTF-8. Of a text file, rows are numbered by line, the header being
        line 1. Numbers, booleans and short text of other columns become properties.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source is no file, table or iterable.
    ValueError
        If the source is empty, is of an unknown form, or the column is not there or cannot be guessed.

    Examples
    --------
    >>> [(row.id, row.formula) for row in read_formulas(["NaN", "TiO2"])]
    [('1', 'NaN'), ('2', 'TiO2')]
    """
    pandas = sys.modules.get("pandas")
    if isinstance(source, str | os.PathLike):
        rows = _from_file(Path(source), column, id_column)
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


def _from_values(values: Iterable[Any], column: str | None, id_column: str | None) -> Rows:
    if column is not None or id_column is not None:
        msg = f"column and id_column are for tables; a {type(values).__name__} has none"
        raise ValueError(msg)

    def read() -> Iterator[Row]:
        return (FormulaRow(row, str(row), _cell(value)) for row, value in enumerate(values, start=1))

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


def _from_file(path: Path, column: str | None, id_column: str | None) -> Rows:
    if not path.exists():
        msg = f"there is no file {str(path)!r}; give the path of a table, or formulas as a list"
        raise FileNotFoundError(msg)
    suffix = bare_suffix(path)
    endings = (suffix,) if suffix == ".parquet" else (suffix, ".gz")
    if path.is_dir() or suffix not in TABLE_SUFFIXES or path.suffix.lower() not in endings:
        found = "a folder" if path.is_dir() else repr(path.name)
        msg = f"formulas are read from .csv, .tsv, .parquet or .jsonl (the text ones also .gz), got {found}"
        raise ValueError(msg)
    if path.stat().st_size == 0:
        msg = f"{path.name} is empty; wanted a table with a column of formulas"
        raise ValueError(msg)
    name = path.name[: path.name.lower().index(suffix)]
    match suffix:
        case ".parquet":
            return _from_parquet(path, name, column, id_column)
        case ".csv" | ".tsv":
            return _from_csv(path, name, column, id_column)
        case _:
            n_rows = count_lines(path)
            return Rows("formulas", name, n_rows, lambda: _json_rows(path, column, id_column))


def _from_csv(path: Path, name: str, column: str | None, id_column: str | None) -> Rows:
    with open_text(path) as file:
        first = file.readline()
    delimiter = "\t" if bare_suffix(path) == ".tsv" else max(",;\t", key=first.count)
    header = next(csv_lines(path, delimiter), None)
    if header is None or isinstance(header, UnreadableRow):
        why = f"it {header.reason}" if header else "there is none"
        msg = f"the header of {path.name} cannot be read: {why}"
        raise ValueError(msg)
    names = [cell.strip() for cell in header[1]]
    chosen = _choose(names, column, id_column, path.name)

    def read() -> Iterator[Row]:
        lines = csv_lines(path, delimiter)
        next(lines)
        for line in lines:
            yield (
                line
                if isinstance(line, UnreadableRow)
                else _row(line[0], dict(zip(names, line[1], strict=True)), *chosen)
            )

    return Rows("formulas", name, count_lines(path) - 1, read)


def _from_parquet(path: Path, name: str, column: str | None, id_column: str | None) -> Rows:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            names, n_rows = file.schema_arrow.names, file.metadata.num_rows
    except (ArrowException, OSError) as error:
        msg = f"{path.name} cannot be read as Parquet: {shortened(error)}"
        raise ValueError(msg) from error
    chosen = _choose(names, column, id_column, path.name)

    def read() -> Iterator[Row]:
        with ParquetFile(path) as file:
            records = (cells for batch in file.iter_batches(batch_size=4096) for cells in batch.to_pylist())
            for row, cells in enumerate(records, start=1):
                yield _row(row, cells, *chosen)

    return Rows("formulas", name, n_rows, read)


def _json_rows(path: Path, column: str | None, id_column: str | None) -> Iterator[Row]:
    names: list[str] = []
    chosen: tuple[str, str | None] | None = None
    for item in json_lines(path):
        if isinstance(item, UnreadableRow):
            yield item
        elif isinstance(item[1], dict):
            if chosen is None or names != list(item[1]):
                # An object may lack a key that others have: the formula is then missing, the id is the row.
                names = list(item[1])
                lacking = {chosen[0], id_column} - {None, *names} if chosen else ()
                chosen = _choose([*names, *lacking], chosen[0] if chosen else column, id_column, path.name)
            yield _row(item[0], item[1], *chosen)
        elif isinstance(item[1], str):
            yield FormulaRow(item[0], str(item[0]), item[1])
        else:
            yield UnreadableRow(item[0], str(item[0]), shortened(item[1]), "is neither a JSON object nor a string")


def _choose(names: Sequence[Any], column: Any, id_column: Any, where: str) -> tuple[Any, Any]:
    """Choose the formula column and the id column, if there is one; ValueError where that cannot be done."""
    listed = ", ".join(repr(shortened(name, 40)) for name in names[:20]) + (", ..." if len(names) > 20 else "")
    for wanted, argument in ((column, "column"), (id_column, "id_column")):
        if wanted is not None and list(names).count(wanted) != 1:
            found = "more than one column" if wanted in names else "no column"
            msg = f"{where} has {found} {wanted!r}; pass {argument}= one of: {listed}"
            raise ValueError(msg)
    by_name: dict[str, Any] = {}
    for name in names:
        by_name.setdefault(str(name).strip().lower().replace(" ", "_").replace("-", "_"), name)
    if column is None:
        column = next((by_name[name] for name in _FORMULA_COLUMNS if name in by_name), None)
    if column is None:
        msg = f"which column of {where} holds the formulas? pass column= (command line: --column) one of: {listed}"
        raise ValueError(msg)
    if id_column is None:
        id_column = next((by_name[name] for name in _ID_COLUMNS if name in by_name), None)
    return column, id_column


def _row(row: int, cells: Mapping[Any, Any], column: Any, id_column: Any) -> FormulaRow:
    given = _cell(cells.get(id_column))
    others = {str(name): value for name, value in cells.items() if name not in (column, id_column)}
    return FormulaRow(
        row, str(row) if given is None else shortened(given), _cell(cells.get(column)), properties_of(others)
    )


def _cell(value: Any) -> Any:
    """None for a cell with nothing in it: None, NaN, NA, empty or blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if type(value).__name__ in ("NAType", "NaTType") else value
