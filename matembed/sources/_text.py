"""Read lines of CSV and JSON, plain or compressed, one bad line at a time."""

import bz2
import csv
import gzip
import json
import lzma
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from matembed.sources.rows import UnreadableRow, shortened

__all__ = ["BREAKS_OFF", "count_lines", "csv_lines", "holds_json_array", "json_items", "json_lines", "open_text"]

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BREAKS_OFF = (EOFError, OSError, zlib.error, lzma.LZMAError)
# Most characters in a cell of CSV. Python allows 2^17 by default, which the CIF of a large crystal exceeds.
_LONGEST_CELL = 2**22
_NOT_UTF8 = "is not UTF-8 text; save the file as UTF-8"


def open_text(path: Path) -> IO[str]:
    """Open UTF-8 text, unpacked if named ``.gz``, ``.bz2`` or ``.xz``; bytes not UTF-8 become lone surrogates."""
    opener = _OPENERS.get(path.suffix.lower(), open)
    text: IO[str] = opener(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return text


def count_lines(path: Path) -> int:
    """Count lines, up to where a damaged file breaks off."""
    opener = _OPENERS.get(path.suffix.lower(), open)
    n_lines, last = 0, b"\n"
    with opener(path, "rb") as file:
        try:
            while chunk := file.read(1 << 20):
                n_lines += chunk.count(b"\n")
                last = chunk[-1:]
        except BREAKS_OFF:
            pass
    return n_lines + (last != b"\n")


def json_lines(path: Path) -> Iterator[tuple[int, Any] | UnreadableRow]:
    """Yield (line, value), or what is wrong with the line; empty lines are passed over."""
    line = 0
    with open_text(path) as file:
        try:
            for line, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                if not _is_utf8(text):
                    yield UnreadableRow(line, str(line), shortened(text), _NOT_UTF8)
                    continue
                try:
                    value = json.loads(text)
                except (ValueError, RecursionError) as error:
                    yield UnreadableRow(line, str(line), shortened(text), f"is not JSON: {shortened(error)}")
                    continue
                yield line, value
        except BREAKS_OFF as error:
            yield _broken_off(path, line + 1, error)


def holds_json_array(path: Path) -> bool:
    """Tell whether a file of JSON holds an array."""
    with open_text(path) as file:
        try:
            return file.read(1000).lstrip().startswith("[")
        except BREAKS_OFF:
            return False


def json_items(path: Path) -> Iterator[tuple[int, Any] | UnreadableRow]:
    """Yield (position, value) of an array, counted from 1, or else of JSON lines; or what is wrong."""
    if not holds_json_array(path):
        yield from json_lines(path)
        return
    with open_text(path) as file:
        try:
            values = json.load(file)
        except (ValueError, RecursionError, *BREAKS_OFF) as error:
            yield UnreadableRow(1, "1", path.name, f"is not JSON: {shortened(error)}")
            return
    yield from enumerate(values, start=1)


def csv_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]] | UnreadableRow]:
    """Yield (line, cells), the header first, or what is wrong with the line.

    A cell in quotes may run over several lines. Where a quote is not closed, or swallows lines until the cells
    are not those of the header, only its first line is given up; the others are read again.
    """
    given_back: deque[str] = deque()
    taken: list[str] = []

    def feed(lines: Iterator[str]) -> Iterator[str]:
        while (text := given_back.popleft() if given_back else next(lines, None)) is not None:
            taken.append(text)
            yield text

    line, n_columns = 1, None
    with open_text(path) as file:
        while True:
            taken.clear()
            problem = None
            try:
                cells = _next_cells(feed(file), delimiter)
            except csv.Error as error:
                cells, problem = [], f"is not a line of CSV: {shortened(error)}"
            except BREAKS_OFF as error:
                yield _broken_off(path, line + len(taken), error)
                return
            if cells is None:
                return
            if problem is None and cells and n_columns not in (None, len(cells)):
                problem = f"{len(cells)} cells where the header has {n_columns}; quote a cell that holds {delimiter!r}"
            if problem is None and not all(map(_is_utf8, cells)):
                problem = _NOT_UTF8
            if problem is not None:
                given_back.extendleft(reversed(taken[1:]))
                del taken[1:]
                yield UnreadableRow(line, str(line), shortened(taken[0]), problem)
            elif cells:
                n_columns = n_columns or len(cells)
                yield line, cells
            line += len(taken)


def _next_cells(lines: Iterator[str], delimiter: str) -> list[str] | None:
    """Read the cells of one row of CSV; None at the end."""
    allowed = csv.field_size_limit(_LONGEST_CELL)  # for all that reads CSV, so it is put back
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), None)
    finally:
        csv.field_size_limit(allowed)


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _broken_off(path: Path, line: int, error: Exception) -> UnreadableRow:
    return UnreadableRow(line, str(line), path.name, f"the file breaks off here: {shortened(error)}")
