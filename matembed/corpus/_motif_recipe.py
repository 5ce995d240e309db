"""Rows -> motifs: the recipe of motif tables, and the files its shards are put together as."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from matembed.corpus._motif_columns import pack_columns, table_names, write_columns
from matembed.corpus._row_tables import crystal_values, row_tables
from matembed.corpus._shards import Record, Summary, prepare_engine, read_values, speed_of
from matembed.motifs.arrays import MotifArrays
from matembed.motifs.find import Engine, Search, Strategy, find_motif_arrays
from matembed.motifs.valences import ValenceMethod
from matembed.sources.rows import FormulaRow, SourceKind, StructureRow
from matembed.tokens import species_token

__all__ = ["MotifRecipe", "merge_motifs"]


@dataclass(frozen=True, slots=True)
class MotifRecipe:
    """What the motifs of a row depend on, besides the row."""

    engine: Engine
    strategy: Strategy
    search: Search
    valences: ValenceMethod | None
    symmetrise: bool
    time_limit: float

    @property
    def kind(self) -> SourceKind:
        """What the rows hold."""
        return "structures"

    @property
    def speed(self) -> str:
        """How many rows make a shard."""
        return speed_of("structures", self.engine, self.search)

    def prepare(self) -> None:
        """Have the engine compiled."""
        prepare_engine(self.engine, self.strategy, self.search, self.valences)

    def make(self, row: FormulaRow | StructureRow) -> Record:
        """Find the motifs of a crystal."""
        if isinstance(row, FormulaRow):
            msg = "a formula has no motifs; give a crystal"
            raise ValueError(msg)
        crystal, rewrites = row.read_crystal()
        found = find_motif_arrays(
            crystal,
            engine=self.engine,
            strategy=self.strategy,
            search=self.search,
            valences=self.valences,
            symmetrise=self.symmetrise,
        )
        return Record(crystal_values(row, rewrites, found) | {"sites": _sites(found)}, found)

    def pack(self, records: Sequence[Record]) -> Mapping[str, bytes]:
        """Write the columns of all tables as streams of Arrow."""
        ids = [record.values["id"] for record in records]
        return pack_columns(ids, [record.found for record in records], self.strategy)


def _sites(found: MotifArrays) -> str:
    """Write what is on each site: "Sr2+ Ti4+ O2- O2- O2-", or elements where oxidation states are not known."""
    symbols = found.crystal.symbols
    if found.oxidations is None:
        return " ".join(symbols)
    pairs = list(zip(symbols, found.oxidations.round(2).tolist(), strict=True))
    tokens = {pair: species_token(*pair) for pair in set(pairs)}
    return " ".join(tokens[pair] for pair in pairs)


def merge_motifs(shards: Mapping[Path, Summary], folder: Path, recipe: MotifRecipe, workers: int) -> dict[str, int]:
    """Write each table on its own, a shard and a group of rows at a time, and count what there is."""
    counts: Counter[str] = Counter()
    # Threads are enough: Arrow does the work without Python.
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(write_columns, shards, folder, name) for name in table_names(recipe.strategy)]
        with row_tables(folder, "structures", shards.values(), counts, more={"sites": "text"}) as add:
            for path in shards:
                for values in read_values(path):
                    add(values)
        for future in running:
            future.result()
    return {name: counts[name] for name in ("read", "kept", "rejected", "rewritten", "motifs", "connections")}
