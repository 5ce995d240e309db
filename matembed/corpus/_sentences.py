"""Rows -> sentences: the recipe of a corpus, and the files its shards are put together as."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matembed.corpus._row_tables import row_tables
from matembed.corpus._shards import Record, Summary, prepare_engine, read_part, read_values, speed_of
from matembed.sources.rows import FormulaRow, SourceKind, StructureRow, shortened

if TYPE_CHECKING:
    from matembed.corpus.contexts import FormulaView
    from matembed.corpus.walks import Mixtures, MotifView
    from matembed.motifs.find import Engine, Search, Strategy
    from matembed.motifs.valences import ValenceMethod

__all__ = ["SentenceRecipe", "merge_sentences"]

_GRAPHS = "motif_graphs.jsonl"


@dataclass(frozen=True, slots=True)
class SentenceRecipe:
    """What the sentences of a row depend on, besides the row."""

    kind: SourceKind
    motif_views: tuple["MotifView", ...]
    formula_views: tuple["FormulaView", ...]
    engine: "Engine"
    strategy: "Strategy"
    search: "Search"
    valences: "ValenceMethod | None"
    mixtures: "Mixtures"
    oxidation: bool
    n_walks: int
    walk_length: int
    seed: int
    time_limit: float

    @property
    def views(self) -> tuple[str, ...]:
        """All views, those of motifs first."""
        return (*self.motif_views, *self.formula_views)

    @property
    def speed(self) -> str:
        """How many rows make a shard."""
        return speed_of(self.kind, self.engine, self.search)

    def prepare(self) -> None:
        """Have the engine compiled, if there are crystals."""
        if self.kind == "structures":
            prepare_engine(self.engine, self.strategy, self.search, self.valences)

    def make(self, row: FormulaRow | StructureRow) -> Record:
        """Make the sentences of a row, and the motif graph of a crystal as a line of JSON."""
        return self._of_formula(row) if isinstance(row, FormulaRow) else self._of_crystal(row)

    def pack(self, records: Sequence[Record]) -> Mapping[str, bytes]:
        """Write the motif graphs of crystals, a line each."""
        if self.kind == "formulas":
            return {}
        return {_GRAPHS: "".join(f"{record.found}\n" for record in records).encode()}

    def _of_formula(self, row: FormulaRow) -> Record:
        from matembed.corpus.contexts import formula_sentences
        from matembed.corpus.formulas import parse_formula

        parsed = parse_formula(row.formula)
        return Record(
            {
                "id": row.id,
                "row": row.row,
                "formula": parsed.formula,
                "chemsys": parsed.composition.chemical_system,
                "n_elements": len(parsed.composition),
                "input": shortened(row.formula),
                "rewrites": parsed.rewrites,
                "properties": row.properties,
                "sentences": {view: _lines(formula_sentences(parsed, view)) for view in self.formula_views},
            }
        )

    def _of_crystal(self, row: StructureRow) -> Record:
        from pymatgen.core.composition import Composition

        from matembed.corpus.contexts import formula_sentences
        from matembed.corpus.walks import motif_sentences
        from matembed.motifs import find_motifs

        crystal, rewrites = row.read_crystal()
        graph = find_motifs(
            crystal, engine=self.engine, strategy=self.strategy, search=self.search, valences=self.valences
        )
        composition = Composition(Counter(crystal.symbols))
        sentences: dict[str, list[list[str]]] = {
            view: motif_sentences(
                graph,
                view,
                mixtures=self.mixtures,
                oxidation=self.oxidation,
                n_walks=self.n_walks,
                walk_length=self.walk_length,
                seed=self.seed,
            )
            for view in self.motif_views
        }
        sentences |= {view: formula_sentences(composition, view) for view in self.formula_views}
        values = {
            "id": row.id,
            "row": row.row,
            "formula": graph.formula,
            "input": row.input,
            "rewrites": rewrites,
            "chemsys": composition.chemical_system,
            "n_elements": len(composition),
            "n_sites": graph.n_sites,
            "n_motifs": len(graph.motifs),
            "n_connections": len(graph.connections),
            "valences": graph.valences,
            "volume_per_atom": crystal.volume / graph.n_sites,
            "properties": row.properties,
            "sentences": {view: _lines(found) for view, found in sentences.items()},
        }
        return Record(values, json.dumps({"id": row.id} | graph.to_dict(), separators=(",", ":")))


def _lines(sentences: Iterable[Sequence[str]]) -> list[str]:
    return [" ".join(sentence) for sentence in sentences if sentence]


def merge_sentences(shards: Mapping[Path, Summary], folder: Path, recipe: SentenceRecipe) -> dict[str, int]:
    """Write sentences, motif graphs and tables into a folder, holding one shard at a time, and count what there is."""
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        (folder / "sentences").mkdir()
        texts = {
            view: stack.enter_context((folder / "sentences" / f"{view}.txt").open("w", encoding="utf-8", newline="\n"))
            for view in recipe.views
        }
        graphs = stack.enter_context(_gzip(folder / f"{_GRAPHS}.gz")) if recipe.kind == "structures" else None
        add = stack.enter_context(row_tables(folder, recipe.kind, shards.values(), counts))
        for path in shards:
            for values in read_values(path):
                for view, lines in values["sentences"].items() if add(values) else ():
                    texts[view].writelines(f"{line}\n" for line in lines)
                    counts[f"{view} sentences"] += len(lines)
                    counts[f"{view} tokens"] += sum(line.count(" ") + 1 for line in lines)
            if graphs is not None:
                graphs.write(read_part(path, _GRAPHS))
    totals = [f"{view} {what}" for view in recipe.views for what in ("sentences", "tokens")]
    motifs = ["motifs", "connections"] if recipe.kind == "structures" else []
    return {name: counts[name] for name in ("read", "kept", "rejected", "rewritten", *motifs, *totals)}


@contextmanager
def _gzip(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a gzip file whose header holds no name and no time."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        yield packed
