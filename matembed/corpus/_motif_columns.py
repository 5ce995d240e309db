"""Motif arrays -> columns of tables, a shard at a time and without an object for each motif."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matembed.corpus._shards import read_part
from matembed.elements import SYMBOLS
from matembed.motifs.arrays import MotifArrays
from matembed.motifs.geometry import LARGEST_CN, model_geometries
from matembed.tokens import motif_token

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ROWS_PER_GROUP", "pack_columns", "table_names", "write_columns"]

# Rows that are compressed together; so many are in memory at once.
ROWS_PER_GROUP = {"motifs": 100_000, "environments": 100_000, "connections": 500_000}
_SHARINGS = ("corner", "edge", "face")
_DECIMALS = 6


def table_names(strategy: str) -> tuple[str, ...]:
    """Name the tables of motifs; sites between several environments have one for these too."""
    return ("motifs", "environments", "connections") if strategy == "multi_weights" else ("motifs", "connections")


def _schema(table: str) -> "pa.Schema":
    import pyarrow as pa

    shell = [
        ("ligands", pa.list_(pa.int32())),
        ("images", pa.list_(pa.list_(pa.int32(), 3))),
        ("lengths", pa.list_(pa.float32())),
    ]
    label = [("geometry", pa.string()), ("cn", pa.int32()), ("csm", pa.float64()), ("fraction", pa.float64())]
    place = [("id", pa.string()), ("motif", pa.int32()), ("site", pa.int32())]
    columns = {
        "motifs": [
            *place,
            ("element", pa.string()),
            ("oxidation", pa.float64()),
            *label,
            ("token", pa.string()),
            *shell,
        ],
        "environments": [*place, *label, ("token", pa.string()), *shell],
        "connections": [
            ("id", pa.string()),
            ("source", pa.int32()),
            ("target", pa.int32()),
            *((f"image_{axis}", pa.int32()) for axis in "abc"),
            ("sharing", pa.string()),
            ("n_shared", pa.int32()),
        ],
    }
    return pa.schema(columns[table])


# A shard -> Arrow ----------------------------------------------------------------------------------------------------


def pack_columns(ids: Sequence[str], found: Sequence[MotifArrays], strategy: str) -> dict[str, bytes]:
    """Write the tables of some crystals as streams of Arrow, strings in dictionaries."""
    import pyarrow as pa

    packed = {}
    tables = {"motifs": _motifs, "environments": _environments, "connections": _connections}
    together = _Together(ids, found)
    for name in table_names(strategy):
        columns = tables[name](together)
        batch = pa.record_batch(list(columns.values()), names=list(columns))
        sink = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
            stream.write_batch(batch)
        packed[f"{name}.arrow"] = sink.getvalue()
    return packed


class _Together:
    """The arrays of several crystals end to end, positions counted on."""

    def __init__(self, ids: Sequence[str], found: Sequence[MotifArrays]) -> None:
        self.ids = ids
        self.n_motifs = np.array([len(one.centres) for one in found], dtype=np.int64)
        self.n_environments = np.array([len(one.geometries) for one in found], dtype=np.int64)
        self.n_connections = np.array([len(one.connections) for one in found], dtype=np.int64)
        first_environments = _starts(self.n_environments)
        first_ligands = _starts(np.array([len(one.ligands) for one in found], dtype=np.int64))
        self.sites = _joined([one.centres for one in found])
        # Position of each motif in its crystal, and of its likeliest environment among all of them.
        self.motifs = np.arange(len(self.sites)) - np.repeat(_starts(self.n_motifs), self.n_motifs)
        self.likeliest = _joined(
            [one.environment_starts[:-1] + first for one, first in zip(found, first_environments.tolist(), strict=True)]
        )
        self.elements = _joined([one.crystal.numbers[one.centres] for one in found])
        self.oxidations = _joined(
            [
                np.full(len(one.centres), np.nan) if one.oxidations is None else one.oxidations[one.centres]
                for one in found
            ],
            np.float64,
        )
        self.geometries = _joined([one.geometries for one in found])
        self.csms = _joined([one.csms for one in found], np.float64)
        self.fractions = _joined([one.fractions for one in found], np.float64)
        spans = [one.ligand_spans + first for one, first in zip(found, first_ligands.tolist(), strict=True)]
        self.spans = _joined(spans, shape=(0, 2))
        self.ligands = _joined([one.ligands for one in found], shape=(0, 4))
        self.lengths = _joined([one.lengths() for one in found], np.float64)
        self.ligand_elements = _joined([one.crystal.numbers[one.ligands[:, 0]] for one in found])
        self.connections = _joined([one.connections for one in found], shape=(0, 6))
        self.n_shared = _joined([one.n_shared for one in found])


def _joined(arrays: Sequence[NDArray[Any]], dtype: Any = np.int64, shape: tuple[int, ...] = (0,)) -> NDArray[Any]:
    return np.concatenate([np.zeros(shape, dtype), *arrays])


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts) - counts


def _motifs(all_: _Together) -> dict[str, Any]:
    import pyarrow as pa

    shells = _shells(all_, all_.likeliest, all_.elements)
    return {
        "id": _named(np.repeat(np.arange(len(all_.ids)), all_.n_motifs), all_.ids),
        "motif": pa.array(all_.motifs.astype(np.int32)),
        "site": pa.array(all_.sites.astype(np.int32)),
        "element": _named(all_.elements, SYMBOLS),
        "oxidation": pa.array(all_.oxidations + 0.0, from_pandas=True),
        **shells,
    }


def _environments(all_: _Together) -> dict[str, Any]:
    import pyarrow as pa

    each = np.diff(np.append(all_.likeliest, len(all_.geometries)))
    shells = _shells(all_, np.arange(len(all_.geometries)), np.repeat(all_.elements, each))
    return {
        "id": _named(np.repeat(np.arange(len(all_.ids)), all_.n_environments), all_.ids),
        "motif": pa.array(np.repeat(all_.motifs, each).astype(np.int32)),
        "site": pa.array(np.repeat(all_.sites, each).astype(np.int32)),
        **shells,
    }


def _shells(all_: _Together, rows: NDArray[np.int64], elements: NDArray[np.int64]) -> dict[str, Any]:
    """Make columns of some environments around centres of given elements."""
    import pyarrow as pa

    starts, ends = all_.spans[rows].T
    cns = ends - starts
    offsets = np.append(0, np.cumsum(cns))
    ligands = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], cns)
    known = model_geometries().symbols
    names = (*known, *(f"UNKNOWN:{cn}" for cn in range(LARGEST_CN + 1)))
    models = all_.geometries[rows]
    named = np.where(models >= 0, models, len(known) + cns)
    csms = np.where(models >= 0, _rounded(all_.csms[rows]), np.nan)
    images = pa.FixedSizeListArray.from_arrays(pa.array(all_.ligands[ligands, 1:].astype(np.int32).ravel()), 3)
    where = pa.array(offsets.astype(np.int32))
    return {
        "geometry": _named(named, names),
        "cn": pa.array(cns.astype(np.int32)),
        "csm": pa.array(csms, from_pandas=True),
        "fraction": pa.array(_rounded(all_.fractions[rows])),
        "token": _tokens(elements, named, cns, all_.ligand_elements[ligands], names),
        "ligands": pa.ListArray.from_arrays(where, pa.array(all_.ligands[ligands, 0].astype(np.int32))),
        "images": pa.ListArray.from_arrays(where, images),
        "lengths": pa.ListArray.from_arrays(where, pa.array(np.round(all_.lengths[ligands], 4).astype(np.float32))),
    }


def _tokens(
    elements: NDArray[np.int64],
    geometries: NDArray[np.int64],
    cns: NDArray[np.int64],
    ligand_elements: NDArray[np.int64],
    names: Sequence[str],
) -> Any:
    """Name each motif; those of the same elements and geometry are named once."""
    n_motifs = len(cns)
    keys = np.zeros((n_motifs, 2 + LARGEST_CN), dtype=np.uint8)
    rows = np.repeat(np.arange(n_motifs), cns)
    keys[rows, np.arange(len(rows)) - np.repeat(_starts(cns), cns)] = ligand_elements
    keys.sort(axis=1)  # zeros first
    keys[:, 0], keys[:, 1] = elements, geometries
    _, first, inverse = np.unique(keys.view(np.dtype((np.void, keys.shape[1]))), return_index=True, return_inverse=True)
    named = []
    for element, geometry, *around in keys[first].tolist():
        counts = Counter(SYMBOLS[number] for number in around if number)
        named.append(motif_token(SYMBOLS[element], counts, names[geometry]))
    return _named(inverse.ravel(), named)


def _connections(all_: _Together) -> dict[str, Any]:
    import pyarrow as pa

    columns = np.ascontiguousarray(all_.connections[:, :5].T.astype(np.int32))
    names = ("source", "target", "image_a", "image_b", "image_c")
    return {
        "id": _named(np.repeat(np.arange(len(all_.ids)), all_.n_connections), all_.ids),
        **{name: pa.array(column) for name, column in zip(names, columns, strict=True)},
        "sharing": _named(np.minimum(all_.n_shared, 3) - 1, _SHARINGS),
        "n_shared": pa.array(all_.n_shared.astype(np.int32)),
    }


def _named(positions: NDArray[np.int64], names: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(positions.astype(np.int32)), pa.array(list(names), pa.string()))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as Python does, which NumPy does not: numbers here are those of a `MotifGraph`."""
    return np.array([round(value, _DECIMALS) for value in values.tolist()], dtype=np.float64) + 0.0


# Shards -> Parquet ---------------------------------------------------------------------------------------------------


def write_columns(shards: Iterable[Path], folder: Path, table: str) -> None:
    """Put a table of all shards together as ``<table>.parquet``, in groups of rows that do not depend on the shards."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema, most = _schema(table), ROWS_PER_GROUP[table]
    waiting = schema.empty_table()
    with ParquetWriter(folder / f"{table}.parquet", schema, compression="zstd", store_schema=False) as writer:
        for path in shards:
            found = pa.ipc.open_stream(read_part(path, f"{table}.arrow")).read_all()
            waiting = pa.concat_tables([waiting, found.cast(schema)])
            while len(waiting) >= most:
                writer.write_table(waiting.slice(0, most).combine_chunks(), row_group_size=most)
                waiting = waiting.slice(most)
        writer.write_table(waiting.combine_chunks(), row_group_size=most)
