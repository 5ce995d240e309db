"""Shards of graphs -> a folder that `AtomMotifGraphs.read` opens, a column of a shard at a time."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matembed.corpus._row_tables import row_tables
from matembed.corpus._shards import Summary, read_part, read_values
from matembed.corpus.ragged import starts
from matembed.graphs.atom_motif import TABLES, WIDTHS, count_graphs, mapped_arrays

__all__ = ["merge_graphs", "pack_graphs"]

_Arrays = Mapping[str, NDArray[Any]]


def pack_graphs(columns: _Arrays, ends: _Arrays, names: Iterable[str]) -> dict[str, bytes]:
    """Write the graphs of a shard as the parts of its file: columns, rows of each crystal by table, and tokens."""
    parts = {name: column.tobytes() for name, column in columns.items()}
    parts |= {f"{table}_rows": np.diff(begin).tobytes() for table, begin in ends.items()}
    return parts | {"names.json": json.dumps(list(names)).encode()}


def merge_graphs(shards: Mapping[Path, Summary], folder: Path, *, merge: bool) -> dict[str, int]:
    """Write the graphs and the tables with a row for each crystal, and count what there is."""
    counts: Counter[str] = Counter()
    ids, formulas = [], []
    with row_tables(folder, "structures", shards.values(), counts) as add:
        for values in (values for path in shards for values in read_values(path)):
            if add(values):
                ids.append(values["id"])
                formulas.append(values["formula"])
    filled = [path for path, summary in shards.items() if summary.n_kept]
    names: dict[str, int] = {}
    codes = {}  # in all graphs, by that in the shard
    for path in filled:
        own = json.loads(read_part(path, "names.json"))
        codes[path] = np.array([names.setdefault(one, len(names)) for one in own], dtype=np.int32)
    ends: dict[str, NDArray[np.int64]] = {}
    kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    for table, columns in TABLES.items():
        n_rows = [np.frombuffer(read_part(path, f"{table}_rows"), np.int64) for path in filled]
        ends[table] = starts(np.concatenate(n_rows))
        wanted = columns if merge or table != "bonds" else columns | {"bond_vectors": np.float32}
        for name, kind in wanted.items():
            kinds[name] = (np.dtype(kind), (int(ends[table][-1]), *WIDTHS.get(name, ())))

    whole = {f"{table}_ends": begin for table, begin in ends.items()}
    kinds |= {name: (begin.dtype, begin.shape) for name, begin in whole.items()}

    def pieces(name: str) -> Iterator[NDArray[Any]]:
        if name in whole:
            yield whole[name]
            return
        for path in filled:
            piece = np.frombuffer(read_part(path, name), kinds[name][0])
            yield codes[path][piece] if name == "motif_tokens" else piece

    _write_arrays(folder / "graphs.safetensors", kinds, pieces)
    texts = {"ids": ids, "formulas": formulas, "names": list(names)}
    (folder / "materials.json").write_text(json.dumps(texts, ensure_ascii=False) + "\n", encoding="utf-8")
    told = {name: counts[name] for name in ("read", "kept", "rejected", "rewritten")}
    return told | count_graphs(mapped_arrays(folder / "graphs.safetensors"), ends)


def _write_arrays(
    path: Path,
    kinds: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
    pieces: Callable[[str], Iterable[NDArray[Any]]],
) -> None:
    """Write a safetensors file of arrays of some types and shapes, each in pieces that follow one another."""
    order = sorted(kinds, key=lambda name: -kinds[name][0].itemsize)  # each starts at a multiple of its width
    header, start = {}, 0
    for name in order:
        kind, shape = kinds[name]
        end = start + kind.itemsize * math.prod(shape)
        code = f"{kind.kind.upper()}{8 * kind.itemsize}"
        header[name] = {"dtype": code, "shape": shape, "data_offsets": (start, end)}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            for piece in pieces(name):
                file.write(piece.tobytes())
