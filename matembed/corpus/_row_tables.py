"""The tables with a row for each row of the input: those kept, rejected, and read otherwise than written."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from matembed.corpus._shards import Summary, as_kind, merged_kind, read_values
from matembed.motifs.arrays import MotifArrays
from matembed.sources.rows import SourceKind, StructureRow

__all__ = ["crystal_values", "row_tables", "write_rejected"]

_ROWS_AT_ONCE = 10_000
_REJECTED = {"id": "text", "row": "int", "input": "text", "reason": "text"}
_REWRITTEN = {"id": "text", "row": "int", "input": "text", "formula": "text", "rewrites": "text"}
_FORMULA = {"id": "text", "row": "int", "formula": "text", "chemsys": "text", "n_elements": "int"}
_STRUCTURE = _FORMULA | {
    "n_sites": "int",
    "n_motifs": "int",
    "n_connections": "int",
    "valences": "text",
    "volume_per_atom": "float",
}
# What differs between reasons of one kind: quoted text and numbers.
_PARTICULARS = re.compile(r"""'[^']*'|"[^"]*"|[0-9]+""")

Add = Callable[[dict[str, Any]], None]


def crystal_values(row: StructureRow, rewrites: Sequence[str], found: MotifArrays) -> dict[str, Any]:
    """Tell of a crystal, in which motifs were found, what its row of ``materials.parquet`` holds."""
    crystal = found.crystal
    symbols = sorted(set(crystal.symbols))
    return {
        "id": row.id,
        "row": row.row,
        "formula": crystal.reduced_formula,
        "input": row.input,
        "rewrites": rewrites,
        "chemsys": "-".join(symbols),
        "n_elements": len(symbols),
        "n_sites": len(crystal.numbers),
        "n_motifs": len(found.centres),
        "n_connections": len(found.connections),
        "valences": found.valences,
        "volume_per_atom": crystal.volume / len(crystal.numbers),
        "properties": row.properties,
    }


@contextmanager
def row_tables(
    folder: Path,
    kind: SourceKind,
    summaries: Iterable[Summary],
    counts: Counter[str],
    *,
    more: Mapping[str, str] | None = None,
) -> Iterator[Callable[[dict[str, Any]], bool]]:
    """Yield what adds the values of a row to ``materials``, ``rejected`` and ``rewritten.parquet`` and counts them.

    It returns whether the row was kept. All rows come in the order of the input; properties become columns. `more`
    names further columns of ``materials.parquet`` and what they hold.
    """
    own = (_STRUCTURE if kind == "structures" else _FORMULA) | dict(more or {})
    properties = _property_columns(summaries)
    names = _column_names(properties, own)
    with ExitStack() as stack:
        columns = own | {names[name]: found for name, found in properties.items()}
        add_material = stack.enter_context(_table(folder / "materials.parquet", columns))
        add_rejected = stack.enter_context(_table(folder / "rejected.parquet", _REJECTED))
        add_rewritten = stack.enter_context(_table(folder / "rewritten.parquet", _REWRITTEN))

        def add(values: dict[str, Any]) -> bool:
            counts["read"] += 1
            if "reason" in values:
                counts["rejected"] += 1
                add_rejected(values)
                return False
            counts["kept"] += 1
            given = {names[name]: _as(properties[name], value) for name, value in values["properties"].items()}
            add_material({name: values[name] for name in own} | given)
            if values.get("rewrites"):
                counts["rewritten"] += 1
                add_rewritten(values | {"rewrites": "; ".join(values["rewrites"])})
            if kind == "structures":
                counts["motifs"] += values["n_motifs"]
                counts["connections"] += values["n_connections"]
            return True

        yield add


def write_rejected(shards: Iterable[Path], path: Path) -> list[tuple[int, int, str]]:
    """Write the rejected rows alone; return (how many, first row, its reason) by kind, commonest first."""
    found: dict[str, tuple[int, int, str]] = {}
    with _table(path, _REJECTED) as add:
        for values in (values for shard in shards for values in read_values(shard)):
            if "reason" in values:
                add(values)
                kind = _PARTICULARS.sub("", values["reason"])
                n_rows, row, reason = found.get(kind, (0, values["row"], values["reason"]))
                found[kind] = (n_rows + 1, row, reason)
    return sorted(found.values(), key=lambda one: -one[0])


def _property_columns(summaries: Iterable[Summary]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for summary in summaries:
        for name, kind in summary.properties.items():
            kinds[name] = merged_kind(kinds.get(name, ""), kind)
    return {name: kinds[name] or "text" for name in sorted(kinds)}


def _column_names(properties: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    """Name the column of each property: its own name, or with ``input_`` before it as often as it takes."""
    reserved = set(own)
    taken = reserved | set(properties)
    columns: dict[str, str] = {}
    for name in properties:
        column = name
        if name in reserved:
            while column in taken:
                column = f"input_{column}"
            taken.add(column)
        columns[name] = column
    return columns


def _as(kind: str, value: bool | int | float | str) -> bool | int | float | str | None:
    if kind == "text" or kind == "bool":
        return str(value) if kind == "text" else value
    if as_kind(value) == "":
        return None
    return int(value) if kind == "int" else float(value)


@contextmanager
def _table(path: Path, columns: Mapping[str, str]) -> Iterator[Add]:
    """Yield what adds a row to a Parquet file; missing values become nulls, other keys are left out."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    rows: list[dict[str, Any]] = []
    with path.open("wb") as file, ParquetWriter(file, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()

        def add(row: dict[str, Any]) -> None:
            rows.append(row)
            if len(rows) == _ROWS_AT_ONCE:
                flush()

        yield add
        flush()
