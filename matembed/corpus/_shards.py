"""What becomes of a shard of rows: one file of results, a pure function of the rows and a recipe."""

import hashlib
import json
import math
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from matembed._atomic import sha256_of, whole_file
from matembed.corpus._time_limit import TookTooLongError, within_cpu_time
from matembed.motifs.crystal import Crystal
from matembed.sources.rows import FormulaRow, Row, SourceKind, StructureRow, UnreadableRow, shortened

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from matembed.motifs.find import Engine, Search, Strategy
    from matembed.motifs.valences import ValenceMethod
    from matembed.sources.rows import Property

__all__ = [
    "ROWS_PER_SHARD",
    "Recipe",
    "Record",
    "Shard",
    "Summary",
    "as_kind",
    "make_shard",
    "merged_kind",
    "prepare_engine",
    "read_part",
    "read_summary",
    "read_values",
    "record_of",
    "rejected",
    "run_shard",
    "speed_of",
    "write_shard",
]

_SCHEMA = 3
# Few enough that little is lost to an interruption, enough that hashing and writing cost nothing beside.
ROWS_PER_SHARD = {"formulas": 5000, "structures": 250, "structures, slowly": 16}
# Codes such as 007 and digits beyond the precision of a float are text.
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_MISSING = {"nan", "NaN", "NA", "N/A", "<NA>", "None", "null", "NULL"}


class Record(NamedTuple):
    """The result of a row: plain values for JSON, with a reason if it was rejected; and what a recipe packs apart."""

    values: dict[str, Any]
    found: Any = None


class Recipe(Protocol):
    """What is made of rows: a frozen dataclass of settings that travels to other processes."""

    @property
    def kind(self) -> SourceKind:
        """What the rows hold."""

    @property
    def time_limit(self) -> float:
        """CPU seconds a row may take."""

    @property
    def speed(self) -> str:
        """A key of `ROWS_PER_SHARD`."""

    def prepare(self) -> None:
        """Do once a process what no row should be charged for, as compiling is."""

    def make(self, row: FormulaRow | StructureRow) -> Record:
        """Make the record of a row, a pure function of row and settings; ValueError if none can be made."""

    def pack(self, records: Sequence[Record]) -> Mapping[str, bytes]:
        """Write what was found in rows that were kept, as the parts of a file by name."""


def speed_of(kind: SourceKind, engine: str, search: str) -> str:
    """Tell how many rows make a shard, as a key of `ROWS_PER_SHARD`."""
    slowly = kind == "structures" and (engine != "numba" or search == "certified")
    return f"{kind}, slowly" if slowly else kind


@cache
def prepare_engine(engine: "Engine", strategy: "Strategy", search: "Search", valences: "ValenceMethod | None") -> None:
    """Find motifs once, so that what an engine compiles or loads at first takes none of a row's time."""
    from matembed.motifs import Crystal, MotifError, find_motif_arrays

    lattice = [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]]
    salt = Crystal.from_record({"lattice": lattice, "species": ["Cs", "Cl"], "frac_coords": [[0, 0, 0], [0.5] * 3]})
    with suppress(MotifError):  # the salt states no oxidation states
        find_motif_arrays(salt, engine=engine, strategy=strategy, search=search, valences=valences)


@dataclass(frozen=True, slots=True)
class Shard:
    """Neighbouring rows, and the SHA-256 of all that their results depend on."""

    position: int
    rows: tuple[Row, ...]
    fingerprint: str

    def path(self, folder: Path) -> Path:
        """Where the results belong."""
        return folder / f"shard-{self.position:06d}.zip"


class Summary(NamedTuple):
    """The first part of a file of results; `properties` says what kind of values each has."""

    fingerprint: str
    n_kept: int
    n_rejected: int
    properties: dict[str, str]


def make_shard(position: int, rows: Sequence[Row], recipe: Recipe, versions: Mapping[str, str]) -> Shard:
    """Take the fingerprint of rows, contents of files and versions of packages included."""
    digest = hashlib.sha256()
    for value in (_SCHEMA, versions, type(recipe).__name__, asdict(recipe)):  # type: ignore[call-overload]
        digest.update(json.dumps(value, sort_keys=True).encode())
    for row in rows:
        values = {name: getattr(row, name) for name in row.__dataclass_fields__}
        if isinstance(row, StructureRow):
            values["payload"] = _plain(row.payload)
        digest.update(json.dumps(values, sort_keys=True, default=str).encode("utf-8", "surrogatepass") + b"\n")
    return Shard(position, tuple(rows), digest.hexdigest())


def _plain(payload: "Path | Mapping[str, Any] | Crystal | Structure") -> object:
    if isinstance(payload, Path):
        return sha256_of(payload) if payload.is_file() else "missing"
    if isinstance(payload, Crystal):
        arrays = (payload.lattice, payload.frac_coords, payload.numbers, payload.valences)
        return [None if array is None else array.tolist() for array in arrays]
    return payload if isinstance(payload, Mapping) else payload.as_dict()


def run_shard(shard: Shard, recipe: Recipe, folder: Path) -> Summary:
    """Make the record of every row and write them as one file, whole or not at all."""
    recipe.prepare()
    return write_shard(shard, [record_of(row, recipe) for row in shard.rows], recipe, folder)


def record_of(row: Row, recipe: Recipe) -> Record:
    """Make the record of a row, or say why there is none."""
    if isinstance(row, UnreadableRow):
        return rejected(row, row.reason)
    try:
        if isinstance(row, FormulaRow):
            return recipe.make(row)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks of pymatgen's parsers; what matters is in the record
            return within_cpu_time(recipe.time_limit, recipe.make, row)
    except TookTooLongError:
        return rejected(row, f"took more than {recipe.time_limit:g} s of CPU time; raise time_limit")
    except MemoryError:
        return rejected(row, "ran out of memory")
    except ValueError as error:
        return rejected(row, str(error) or "bad value")
    except Exception as error:  # one bad row must not end a build; what it was is in the row of rejects
        return rejected(row, f"{type(error).__name__}: {error}")


def rejected(row: Row, reason: str) -> Record:
    """Make the record of a row that cannot be used."""
    found = row.formula if isinstance(row, FormulaRow) else row.input
    text = "" if found is None else shortened(found)
    return Record({"id": row.id, "row": row.row, "input": text, "reason": shortened(reason, 300)})


# Files of results ----------------------------------------------------------------------------------------------------


def write_shard(shard: Shard, records: Sequence[Record], recipe: Recipe, folder: Path) -> Summary:
    """Write results as one file: the summary, the values of each row, and the parts that the recipe packs."""
    kinds: dict[str, str] = {}
    kept = [record for record in records if "reason" not in record.values]
    for values, _ in kept:
        for name, value in values["properties"].items():
            kinds[name] = merged_kind(kinds.get(name, ""), as_kind(value))
    summary = Summary(shard.fingerprint, len(kept), len(records) - len(kept), kinds)
    lines = "".join(json.dumps(values, separators=(",", ":")) + "\n" for values, _ in records)
    parts = {"summary.json": json.dumps(summary._asdict()).encode(), "rows.jsonl": lines.encode()}
    with whole_file(shard.path(folder)) as partial, zipfile.ZipFile(partial, "w") as file:
        for name, data in (parts | dict(recipe.pack(kept))).items():
            packed = zipfile.ZIP_DEFLATED if name.endswith(".jsonl") else zipfile.ZIP_STORED
            file.writestr(name, data, packed, compresslevel=1)
    return summary


def read_summary(path: Path) -> Summary | None:
    """Read the summary of a file of results; None if there is no such file or any of it is damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            return Summary(**json.loads(file.read("summary.json"))) if file.testzip() is None else None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, LookupError, ValueError, TypeError):
        return None


def read_values(path: Path) -> Iterator[dict[str, Any]]:
    """Read the values of each row of a shard, in the order of its rows."""
    yield from map(json.loads, read_part(path, "rows.jsonl").splitlines())


def read_part(path: Path, name: str) -> bytes:
    """Read a part of a file of results."""
    with zipfile.ZipFile(path) as file:
        return file.read(name)


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
