"""Open a table of CSV, TSV or Parquet: the names of its columns at once, its rows one after another."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matembed.sources._text import BREAKS_OFF, count_lines, csv_lines, open_text
from matembed.sources.rows import UnreadableRow, bare_suffix, shortened

__all__ = ["TABLE_FILE_SUFFIXES", "TableFile", "open_table"]

TABLE_FILE_SUFFIXES = (".csv", ".tsv", ".parquet")
# Few rows, since one with a crystal may take some kilobytes.
_BATCH = 1024

_Cells = tuple[int, dict[str, Any]]


class TableFile(NamedTuple):
    """A table on disk: its columns, those of numbers and text alone, how to count its rows and how to read them.

    Reading takes the names of the columns wanted, None for all, and yields (row, cells by column), the rows counted by
    line in text and from 1 in Parquet, or what is wrong with a row.
    """

    columns: tuple[str, ...]
    flat: frozenset[str]
    count_rows: Callable[[], int]
    read: Callable[[Sequence[str] | None], Iterator[_Cells | UnreadableRow]]


def open_table(path: Path) -> TableFile:
    """Open a table; ValueError where it has no header that can be read."""
    return _open_parquet(path) if bare_suffix(path) == ".parquet" else _open_csv(path)


def _open_csv(path: Path) -> TableFile:
    try:
        with open_text(path) as file:
            first = file.readline()
    except PermissionError:
        raise
    except BREAKS_OFF as error:
        msg = f"{path} is damaged before its first line ends ({shortened(error)}); fetch or write it again"
        raise ValueError(msg) from error
    delimiter = "\t" if bare_suffix(path) == ".tsv" else max(",;\t", key=first.count)
    header = next(csv_lines(path, delimiter), None)
    if header is None or isinstance(header, UnreadableRow):
        why = f"it {header.reason}" if header else "there is none"
        msg = f"the header of {path.name} cannot be read: {why}"
        raise ValueError(msg)
    names = tuple(cell.strip() for cell in header[1])

    def read(columns: Sequence[str] | None) -> Iterator[_Cells | UnreadableRow]:
        lines = csv_lines(path, delimiter)
        next(lines)
        for line in lines:
            if isinstance(line, UnreadableRow):
                yield line
            else:
                cells = dict(zip(names, line[1], strict=True))
                yield line[0], cells if columns is None else {name: cells[name] for name in columns}

    return TableFile(names, frozenset(names), lambda: count_lines(path) - 1, read)


def _open_parquet(path: Path) -> TableFile:
    from pyarrow import ArrowException, types
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
    except (ArrowException, OSError) as error:
        msg = f"{path.name} cannot be read as Parquet: {shortened(error)}"
        raise ValueError(msg) from error

    def read(columns: Sequence[str] | None) -> Iterator[_Cells | UnreadableRow]:
        row = 0
        try:
            with ParquetFile(path) as file:
                batches = file.iter_batches(batch_size=_BATCH, columns=columns)
                for row, cells in enumerate((cells for batch in batches for cells in batch.to_pylist()), start=1):
                    yield row, cells
        except (ArrowException, OSError) as error:
            yield UnreadableRow(row + 1, str(row + 1), path.name, f"the file breaks off here: {shortened(error)}")

    flat = frozenset(field.name for field in schema if not types.is_nested(field.type))
    return TableFile(tuple(schema.names), flat, lambda: n_rows, read)
