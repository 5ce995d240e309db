"""What becomes of a shard of rows: one file of results, a pure function of the rows and the settings."""

import gzip
import hashlib
import json
import math
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from matembed._atomic import sha256_of, whole_file
from matembed.corpus._time_limit import TookTooLongError, within_cpu_time
from matembed.sources.rows import FormulaRow, Row, SourceKind, StructureRow, shortened

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from matembed.corpus.contexts import FormulaView
    from matembed.corpus.walks import MotifView
    from matembed.motifs.find import Engine
    from matembed.motifs.valences import ValenceMethod
    from matembed.sources.rows import Property

__all__ = [
    "Record",
    "Settings",
    "Shard",
    "Summary",
    "as_kind",
    "make_shard",
    "merged_kind",
    "read_records",
    "read_summary",
    "record_of",
    "rejected",
    "run_shard",
    "write_shard",
]

_SCHEMA = 2
# Codes such as 007 and digits beyond the precision of a float are text.
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_MISSING = {"nan", "NaN", "NA", "N/A", "<NA>", "None", "null", "NULL"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sentences of a row depend on, besides the row."""

    kind: SourceKind
    motif_views: tuple["MotifView", ...]
    formula_views: tuple["FormulaView", ...]
    engine: "Engine"
    strategy: Literal["simplest"]
    valences: "ValenceMethod | None"
    oxidation: bool
    n_walks: int
    walk_length: int
    seed: int
    time_limit: float

    @property
    def views(self) -> tuple[str, ...]:
        """All views, those of motifs first."""
        return (*self.motif_views, *self.formula_views)


@dataclass(frozen=True, slots=True)
class Shard:
    """Neighbouring rows, and the SHA-256 of all that their results depend on."""

    position: int
    rows: tuple[Row, ...]
    fingerprint: str

    def path(self, folder: Path) -> Path:
        """Where the results belong."""
        return folder / f"shard-{self.position:06d}.jsonl.gz"


class Summary(NamedTuple):
    """The first line of a file of results; `properties` says what kind of values each has."""

    fingerprint: str
    n_kept: int
    n_rejected: int
    properties: dict[str, str]


class Record(NamedTuple):
    """The result of a row: plain values for JSON, with a reason if it was rejected; a crystal's motif graph as JSON."""

    values: dict[str, Any]
    graph: str | None = None


def make_shard(position: int, rows: Sequence[Row], settings: Settings, versions: Mapping[str, str]) -> Shard:
    """Take the fingerprint of rows, contents of files and versions of packages included."""
    digest = hashlib.sha256()
    for value in (_SCHEMA, versions, asdict(settings)):
        digest.update(json.dumps(value, sort_keys=True).encode())
    for row in rows:
        values = {name: getattr(row, name) for name in row.__dataclass_fields__}
        if isinstance(row, StructureRow):
            values["payload"] = _plain(row.payload)
        digest.update(json.dumps(values, sort_keys=True, default=str).encode("utf-8", "surrogatepass") + b"\n")
    return Shard(position, tuple(rows), digest.hexdigest())


def _plain(payload: "Path | Mapping[str, Any] | Structure") -> object:
    if isinstance(payload, Path):
        return sha256_of(payload) if payload.is_file() else "missing"
    return payload if isinstance(payload, Mapping) else payload.as_dict()


def run_shard(shard: Shard, settings: Settings, folder: Path) -> Summary:
    """Make the sentences of every row and write them as one file, whole or not at all."""
    return write_shard(shard, (record_of(row, settings) for row in shard.rows), folder)


def record_of(row: Row, settings: Settings) -> Record:
    """Make the sentences of a row, or say why there are none."""
    try:
        if isinstance(row, FormulaRow):
            return _formula_record(row, settings)
        if isinstance(row, StructureRow):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # remarks of pymatgen's parsers; what matters is in the record
                return within_cpu_time(settings.time_limit, _structure_record, row, settings)
    except TookTooLongError:
        return rejected(row, f"took more than {settings.time_limit:g} s of CPU time; raise time_limit")
    except MemoryError:
        return rejected(row, "ran out of memory")
    except ValueError as error:
        return rejected(row, str(error) or "bad value")
    except Exception as error:  # one bad row must not end a build; what it was is in the row of rejects
        return rejected(row, f"{type(error).__name__}: {error}")
    return rejected(row, row.reason)


def rejected(row: Row, reason: str) -> Record:
    """Make the record of a row that cannot be used."""
    found = row.formula if isinstance(row, FormulaRow) else row.input
    text = "" if found is None else shortened(found)
    return Record({"id": row.id, "row": row.row, "input": text, "reason": shortened(reason, 300)})


def _formula_record(row: FormulaRow, settings: Settings) -> Record:
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
            "sentences": {view: _lines(formula_sentences(parsed, view)) for view in settings.formula_views},
        }
    )


def _structure_record(row: StructureRow, settings: Settings) -> Record:
    from matembed.corpus.contexts import formula_sentences
    from matembed.corpus.walks import motif_sentences
    from matembed.motifs import find_motifs

    structure = row.to_structure()
    graph = find_motifs(structure, engine=settings.engine, strategy=settings.strategy, valences=settings.valences)
    composition = structure.composition.element_composition
    sentences: dict[str, list[list[str]]] = {
        view: motif_sentences(
            graph,
            view,
            oxidation=settings.oxidation,
            n_walks=settings.n_walks,
            walk_length=settings.walk_length,
            seed=settings.seed,
        )
        for view in settings.motif_views
    }
    sentences |= {view: formula_sentences(composition, view) for view in settings.formula_views}
    values = {
        "id": row.id,
        "row": row.row,
        "formula": graph.formula,
        "input": row.input,
        "rewrites": [f"{name} read as H" for name in sorted(_isotopes(structure))],
        "chemsys": composition.chemical_system,
        "n_elements": len(composition),
        "n_sites": graph.n_sites,
        "n_motifs": len(graph.motifs),
        "n_connections": len(graph.connections),
        "valences": graph.valences,
        "volume_per_atom": structure.volume / len(structure),
        "properties": row.properties,
        "sentences": {view: _lines(found) for view, found in sentences.items()},
    }
    return Record(values, json.dumps({"id": row.id} | graph.to_dict(), separators=(",", ":")))


def _isotopes(structure: "Structure") -> set[str]:
    """Names of deuterium and tritium, which pymatgen gives the symbol H."""
    return {site.specie.name for site in structure if site.specie.symbol == "H"} & {"D", "T"}


def _lines(sentences: Iterable[Sequence[str]]) -> list[str]:
    return [" ".join(sentence) for sentence in sentences if sentence]


# Files of results ----------------------------------------------------------------------------------------------------


def write_shard(shard: Shard, records: Iterable[Record], folder: Path) -> Summary:
    """Write results: a line for the summary, then one for each row, followed by that of its motif graph if any."""
    lines: list[str] = []
    kinds: dict[str, str] = {}
    n_rejected = 0
    for values, graph in records:
        n_rejected += "reason" in values
        for name, value in values.get("properties", {}).items():
            kinds[name] = merged_kind(kinds.get(name, ""), as_kind(value))
        lines.append(json.dumps(values, separators=(",", ":")))
        if graph is not None:
            lines.append(graph)
    summary = Summary(shard.fingerprint, len(shard.rows) - n_rejected, n_rejected, kinds)
    with whole_file(shard.path(folder)) as partial, gzip.open(partial, "wt", compresslevel=1, encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in (json.dumps(summary._asdict()), *lines))
    return summary


def read_summary(path: Path) -> Summary | None:
    """Read the first line of a file of results; None if there is no such file or any of it is damaged."""
    try:
        with gzip.open(path, "rb") as file:
            summary = Summary(**json.loads(file.readline()))
            while file.read(1 << 20):  # to the end, where gzip compares the checksum
                pass
            return summary
    except (OSError, EOFError, zlib.error, ValueError, TypeError):
        return None


def read_records(path: Path) -> Iterator[Record]:
    """Read the results of a shard, in the order of its rows."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            values = json.loads(line)
            yield Record(values, next(file).rstrip("\n") if "n_motifs" in values else None)


# Kinds of property ---------------------------------------------------------------------------------------------------


def as_kind(value: "Property") -> str:
    """Tell "bool", "int", "float" or "text"; text that is a number counts as one, "" is text for a missing value."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case _ if value in _MISSING:
            return ""
        case _ if _INTEGER.fullmatch(value):
            return "int"
        case _:
            decimal = _NUMBER.fullmatch(value) and not value.lstrip("+-").isdigit()
            return "float" if decimal and math.isfinite(float(value)) else "text"


def merged_kind(one: str, other: str) -> str:
    """Tell what kind of column holds values of two kinds."""
    if not one or not other or one == other:
        return one or other
    return "float" if {one, other} == {"int", "float"} else "text"
