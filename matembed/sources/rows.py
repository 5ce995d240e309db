"""Rows: one formula or one crystal of an input, as small values that can be handed to another process."""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from matembed.cards import Card
from matembed.motifs.crystal import Crystal, MotifError

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

__all__ = [
    "ID_KEYS",
    "FormulaRow",
    "ReadCrystal",
    "Row",
    "Rows",
    "SourceKind",
    "StructureRow",
    "UnreadableRow",
    "bare_suffix",
    "is_structure_text",
    "present",
    "properties_of",
    "shortened",
]

SourceKind = Literal["formulas", "structures"]
Property = bool | int | float | str

# The names of ids, the likelier first.
ID_KEYS = ("id", "material_id", "mp_id", "mpid", "mb_id", "entry_id", "task_id", "immutable_id", "auid", "_id")

_COMPRESSED = (".gz", ".bz2", ".xz", ".z")
_LONGEST_TEXT = 200
_LARGEST_INTEGER = 2**53
_LINES = re.IGNORECASE | re.MULTILINE
# What follows the symbol in the name of a species.
_STATE = re.compile(r"[^A-Za-z].*")


@dataclass(frozen=True, slots=True)
class FormulaRow:
    """A formula as it was found, not yet parsed.

    Attributes
    ----------
    row : int
        Line of a text file, else position in the input; counted from 1.
    id : str
        The input's own id, or the row as text.
    formula : object
        What stood there: text, or None where nothing did.
    properties : mapping of str to (bool, int, float or str)
        The other values of the row.
    """

    row: int
    id: str
    formula: object
    properties: Mapping[str, Any] = field(default_factory=dict)


class ReadCrystal(NamedTuple):
    """A crystal, and what was read otherwise than it was written.

    Attributes
    ----------
    crystal : Crystal
        The arrays.
    rewrites : tuple of str
        Such as ``"D read as H"``.
    """

    crystal: Crystal
    rewrites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StructureRow:
    """A crystal as it was found, not yet parsed.

    Attributes
    ----------
    row : int
        Position in the input, counted from 1.
    id : str
        The input's own id, the name of the file, or the row as text.
    input : str
        What a person would look for: a file name, a line, a formula. Never an absolute path.
    payload : Path, mapping, Structure or Crystal
        A file, a JSON object (with the text of a CIF as ``cif``, or of pymatgen's JSON or a CIF as ``structure``, if
        it holds no lattice of its own), or the structure itself.
    properties : mapping of str to (bool, int, float or str)
        Labels that came with the crystal.
    """

    row: int
    id: str
    input: str
    payload: "Path | Mapping[str, Any] | Crystal | Structure"
    properties: Mapping[str, Any] = field(default_factory=dict)

    def to_structure(self) -> "Structure":
        """Parse the crystal.

        Returns
        -------
        Structure
            The pymatgen structure; of a file with the steps of a calculation, the last; of a `Crystal`, one of bare
            elements.

        Raises
        ------
        ValueError
            If it cannot be read, or is a CIF with more than one structure; one line says why.

        Examples
        --------
        >>> cell = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
        >>> StructureRow(1, "po", "line 1", cell).to_structure().volume
        27.0
        """
        try:
            if isinstance(self.payload, Path):
                return _from_file(self.payload)
            if isinstance(self.payload, Mapping):
                return _from_record(self.payload)
        except Exception as error:  # pymatgen's parsers raise whatever they meet
            raise ValueError(self._reason(error)) from error
        return self.payload.to_structure() if isinstance(self.payload, Crystal) else self.payload

    def to_crystal(self) -> Crystal:
        """Parse the crystal to arrays; a plain JSON object without pymatgen, which is some ten times faster.

        Returns
        -------
        Crystal
            Deuterium and tritium are hydrogen.

        Raises
        ------
        ValueError
            If it cannot be read, as `to_structure` says, or is no ordered crystal of chemical elements; one line
            says why.

        Examples
        --------
        >>> cell = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
        >>> StructureRow(1, "po", "line 1", cell).to_crystal()
        Crystal(Po, 1 sites)
        """
        return self.read_crystal().crystal

    def read_crystal(self) -> ReadCrystal:
        """Parse the crystal, and say what was read otherwise than it was written.

        Returns
        -------
        ReadCrystal
            What `to_crystal` returns, and the isotopes that were read as hydrogen.

        Raises
        ------
        ValueError
            As `to_crystal` does.
        """
        if isinstance(self.payload, Crystal):
            return ReadCrystal(self.payload, ())
        cell = _plain_cell(self.payload)
        if cell is None:
            structure = self.to_structure()
            names = {site.specie.name for site in structure if site.is_ordered and site.specie.symbol == "H"}
            return ReadCrystal(Crystal.from_structure(structure), _rewrites(names))
        try:
            return ReadCrystal(Crystal.from_record(cell), _rewrites({_STATE.sub("", one) for one in cell["species"]}))
        except MotifError:
            raise
        except Exception as error:  # whatever odd values lead to
            raise ValueError(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        found = str(error) or type(error).__name__
        if isinstance(self.payload, Path):
            found = found.replace(str(self.payload), self.payload.name)
        return f"cannot be read as a structure: {shortened(found)}"


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row of the input that holds neither a formula nor a crystal.

    Attributes
    ----------
    row : int
        As of the rows around it.
    id : str
        The input's own id where one could be read, else the row as text.
    input : str
        What stood there, shortened.
    reason : str
        Why it cannot be used, in one line.
    """

    row: int
    id: str
    input: str
    reason: str


Row = FormulaRow | StructureRow | UnreadableRow


@dataclass(frozen=True)
class Rows:
    """The rows of one input, in order; can be iterated again unless they came from a generator.

    Attributes
    ----------
    kind : {"formulas", "structures"}
        What the readable rows hold.
    name : str
        Short name of the input: a file or folder without its path.
    n_rows : int or None
        How many rows to expect, for a progress bar; None where that is not known beforehand.
    read : callable
        Starts reading and returns an iterator of rows.
    card : Card or None
        What the input says of itself: source, licence, citation. A corpus made of the rows takes it over.

    Raises
    ------
    ValueError
        On iterating, if there is not one row.
    """

    kind: SourceKind
    name: str
    n_rows: int | None
    read: Callable[[], Iterator[Row]] = field(repr=False)
    card: Card | None = field(default=None, repr=False)

    def __iter__(self) -> Iterator[Row]:
        row = None
        for row in self.read():
            yield row
        if row is None:
            msg = f"{self.name} holds no {self.kind}: it has no rows"
            raise ValueError(msg)

    def first(self, n: int | None) -> Self:
        """Keep the first rows.

        Parameters
        ----------
        n : int or None
            How many; None for all.

        Returns
        -------
        Rows
            At most `n` rows.

        Raises
        ------
        ValueError
            If `n` is not positive.
        """
        if n is None:
            return self
        if n < 1:
            msg = f"limit must be 1 or more, or None for all rows; got {n}"
            raise ValueError(msg)
        return replace(
            self,
            n_rows=n if self.n_rows is None else min(n, self.n_rows),
            read=lambda: islice(self.read(), n),
        )


def shortened(value: object, width: int = 120) -> str:
    r"""Write a value as one short line of valid text.

    Parameters
    ----------
    value : object
        Anything.
    width : int, default 120
        Most characters to keep.

    Returns
    -------
    str
        The text, white space run together, cut with an ellipsis.

    Examples
    --------
    >>> shortened("Na\n  Cl"), shortened("NaCl" * 3, width=6)
    ('Na Cl', 'NaClN…')
    """
    text = str(value)[: 16 * width].encode("utf-8", "replace").decode()
    text = " ".join(text.replace("\0", "?").split())
    return text if len(text) <= width else text[: width - 1] + "…"


def bare_suffix(path: Path) -> str:
    """Tell what kind of file a name speaks of, whether compressed or not.

    Parameters
    ----------
    path : Path
        A file name.

    Returns
    -------
    str
        The suffix in lower case, without that of a compression.

    Examples
    --------
    >>> bare_suffix(Path("oxides.CIF.gz")), bare_suffix(Path("POSCAR"))
    ('.cif', '')
    """
    name = path.name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return Path(name).suffix


def is_structure_text(text: str) -> bool:
    """Tell whether text is that of a structure, by what it begins with or must hold.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    bool
        Whether it looks like JSON of pymatgen or like a CIF.

    Examples
    --------
    >>> is_structure_text("data_NaCl _cell_length_a 5.64"), is_structure_text("rocksalt")
    (True, False)
    """
    return '"lattice"' in text if text.lstrip().startswith("{") else "_cell_length_a" in text


def present(value: object) -> Any:
    """Give None for a cell of a table with nothing in it.

    Parameters
    ----------
    value : object
        What stands in the cell.

    Returns
    -------
    object
        None for None, NaN, pandas' NA and NaT, and empty or blank text; else the value.

    Examples
    --------
    >>> present(" "), present(float("nan")), present("NaN")
    (None, None, 'NaN')
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def properties_of(values: Mapping[str, Any]) -> dict[str, Property]:
    """Keep the values that a column of a table can hold.

    Parameters
    ----------
    values : mapping of str to object
        Anything, by name.

    Returns
    -------
    dict of str to (bool, int, float or str)
        Booleans, numbers (NumPy's too; whole ones beyond 2^53 as floats) and text of up to 200 characters.
        Missing values and everything else are left out.

    Examples
    --------
    >>> properties_of({"gap": 1.5, "icsd": True, "sites": [1, 2], "note": ""})
    {'gap': 1.5, 'icsd': True}
    """
    kept: dict[str, Property] = {}
    for name, value in values.items():
        plain = value.item() if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 else value
        if isinstance(plain, str):
            text = shortened(plain, _LONGEST_TEXT + 1)
            if 0 < len(text) <= _LONGEST_TEXT:
                kept[name] = text
        elif isinstance(plain, bool) or (isinstance(plain, float) and plain == plain):
            kept[name] = plain
        elif isinstance(plain, int):
            kept[name] = plain if abs(plain) <= _LARGEST_INTEGER else float(plain)
    return kept


def _from_file(path: Path) -> "Structure":
    from pymatgen.core.structure import Structure

    if bare_suffix(path) in (".cif", ".mcif"):
        _refuse_several(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A POSCAR of VASP 4 names no elements; pymatgen would take H, He, Li, ... for them.
        warnings.filterwarnings("error", message="Elements in POSCAR cannot be determined")
        try:
            structure = Structure.from_file(path)
        except UserWarning as error:
            msg = "no line of it names the elements; add one above the line of their numbers"
            raise ValueError(msg) from error
    if not isinstance(structure, Structure):
        msg = f"holds a {type(structure).__name__}"
        raise TypeError(msg)
    return structure


def _refuse_several(path: Path) -> None:
    """Refuse a CIF of several structures, of which pymatgen would take the first."""
    from monty.io import zopen

    with zopen(path, "rt", encoding="utf-8", errors="replace") as file:
        n_structures = _n_structures(str(file.read()))
    if n_structures > 1:
        msg = f"holds {n_structures} structures; split the file, one structure each"
        raise ValueError(msg)


def _n_structures(cif: str) -> int:
    blocks = re.split(r"^data_", cif, flags=_LINES)
    return sum(re.search(r"^\s*_atom_site[._]fract_x\b", block, _LINES) is not None for block in blocks)


def _plain_cell(payload: object) -> Mapping[str, Any] | None:
    """Take lattice, symbols and coordinates out of a JSON object; None of anything else, which pymatgen reads."""
    if not isinstance(payload, Mapping):
        return None
    nested = payload.get("structure")
    cell: Mapping[str, Any] = nested if isinstance(nested, Mapping) else payload
    if isinstance(nested, str) or "sites" in cell or not all(key in cell for key in ("lattice", "frac_coords")):
        return None
    species = cell.get("species")
    return cell if isinstance(species, list | tuple) and all(isinstance(one, str) for one in species) else None


def _rewrites(names: set[str]) -> tuple[str, ...]:
    return tuple(f"{name} read as H" for name in sorted(names & {"D", "T"}))


def _from_record(record: Mapping[str, Any]) -> "Structure":
    from pymatgen.core.structure import Structure

    nested = record.get("structure", record.get("cif"))
    if isinstance(nested, str):
        return _from_text(nested)
    cell: dict[str, Any] = dict(nested if isinstance(nested, Mapping) else record)
    if "sites" in cell:
        return Structure.from_dict(cell)
    missing = [key for key in ("lattice", "species", "frac_coords") if key not in cell]
    if missing:
        msg = f"no {' or '.join(map(repr, missing))} in it"
        raise ValueError(msg)
    return Structure(cell["lattice"], cell["species"], cell["frac_coords"])


def _from_text(text: str) -> "Structure":
    from pymatgen.core.structure import Structure

    if not is_structure_text(text):
        msg = "the structure in it is text that is neither pymatgen's JSON nor CIF"
        raise ValueError(msg)
    if text.lstrip().startswith("{"):
        return _from_record({"structure": json.loads(text)})
    n_structures = _n_structures(text)
    if n_structures > 1:
        msg = f"the CIF holds {n_structures} structures; give one each"
        raise ValueError(msg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure.from_str(text, fmt="cif")
