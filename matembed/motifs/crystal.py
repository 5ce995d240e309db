"""Crystal: a structure as arrays, checked once, for code that meets many of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from matembed.elements import ATOMIC_NUMBERS, SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

__all__ = ["Crystal", "MotifError"]

# No two atoms of a crystal are nearer: the shortest bond there is, H-H, measures 0.74 Å.
_NEAREST = 0.5
# No cell is longer, in Å.
_LONGEST = 1e6
_SPECIES = re.compile(r"(?P<symbol>[A-Z][a-z]?)(?:(?P<size>\d+(?:\.\d+)?)?(?P<sign>[+-]))?")


class MotifError(ValueError):
    """A structure has no motif graph; the message is the reason, in one line."""


@dataclass(frozen=True, eq=False, slots=True)
class Crystal:
    """A crystal structure as arrays: ordered, periodic in three dimensions, its atoms apart.

    Attributes
    ----------
    lattice : float64 array, shape (3, 3)
        Rows are lattice vectors, in Å.
    frac_coords : float64 array, shape (n_sites, 3)
        Fractional coordinates as they were given, in the cell or not.
    numbers : int64 array, shape (n_sites,)
        Atomic numbers.
    valences : float64 array, shape (n_sites,), or None
        Oxidation states in units of e that the structure itself states; None unless it states one of every site.

    Raises
    ------
    MotifError
        If it is no crystal: no sites, values that are not finite, an unknown element, a flat cell, or atoms nearer
        to each other than 0.5 Å.

    See Also
    --------
    matembed.find_motifs : Takes crystals as well as pymatgen's structures.

    Examples
    --------
    >>> Crystal(4.21 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17])
    Crystal(CsCl, 2 sites)
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    numbers: NDArray[np.int64]
    valences: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        try:
            lattice = np.array(self.lattice, dtype=np.float64, order="C")
            frac_coords = np.array(self.frac_coords, dtype=np.float64, order="C")
            numbers = np.array(self.numbers)
            if numbers.ndim != 1 or (numbers != np.floor(numbers)).any():
                msg = f"wanted whole atomic numbers, one for each site, got {self.numbers!r:.60}"
                raise ValueError(msg)
            numbers = numbers.astype(np.int64)
            valences = None if self.valences is None else np.array(self.valences, dtype=np.float64) + 0.0
        except (TypeError, ValueError) as error:
            msg = f"lattice, coordinates and atomic numbers must be numbers: {error}"
            raise MotifError(msg) from None
        for name, value in (
            ("lattice", lattice),
            ("frac_coords", frac_coords),
            ("numbers", numbers),
            ("valences", valences),
        ):
            object.__setattr__(self, name, value)
        reason = self._unsound()
        if reason is not None:
            raise MotifError(reason)

    def _unsound(self) -> str | None:
        n_sites = len(self.numbers)
        if self.lattice.shape != (3, 3):
            return f"the lattice must have shape (3, 3), got {self.lattice.shape}"
        if n_sites == 0:
            return "the structure has no sites"
        if self.frac_coords.shape != (n_sites, 3):
            return f"frac_coords must have shape ({n_sites}, 3), a row for each site, got {self.frac_coords.shape}"
        if self.valences is not None and (self.valences.shape != (n_sites,) or not np.isfinite(self.valences).all()):
            return f"valences must be {n_sites} finite numbers, one for each site"
        unknown = (self.numbers < 1) | (self.numbers >= len(SYMBOLS))
        if unknown.any():
            return f"site {unknown.argmax()} holds {self.numbers[unknown.argmax()]}, which is no atomic number"
        if not (np.isfinite(self.lattice).all() and np.isfinite(self.frac_coords).all()):
            return "the lattice or the coordinates hold values that are not finite"
        if np.abs(self.lattice).max() > _LONGEST:
            return f"a lattice vector is longer than {_LONGEST:,.0f} Å; are these ångströms?"
        if self.volume < n_sites * _NEAREST**3 / 2:
            return f"the cell of {self.volume:.2g} Å³ is too small for {n_sites} atoms"
        if np.abs(self.frac_coords).max() > 1e6:
            return "the coordinates are more than a million cells away from the origin"
        from matembed.motifs._numba import closest_pair

        first, second, distance = closest_pair(self.lattice, self.frac_coords, _NEAREST)
        return f"sites {first} and {second} are {distance:.2g} Å apart" if first >= 0 else None

    @classmethod
    def from_structure(cls, structure: "IStructure") -> Self:
        """Take the arrays of a pymatgen structure.

        Parameters
        ----------
        structure : Structure
            Ordered, of chemical elements with or without oxidation states, periodic in three dimensions.

        Returns
        -------
        Crystal
            Deuterium and tritium are hydrogen.

        Raises
        ------
        MotifError
            If it is a molecule, disordered, or no crystal of chemical elements.
        TypeError
            If `structure` is no pymatgen structure.
        """
        from pymatgen.core.periodic_table import DummySpecies
        from pymatgen.core.structure import IMolecule, IStructure

        if isinstance(structure, IMolecule):
            msg = "a molecule has no lattice; motifs are found in crystals"
            raise MotifError(msg)
        if not isinstance(structure, IStructure):
            msg = f"a pymatgen Structure is wanted, got {type(structure).__name__}; read files with Structure.from_file"
            raise TypeError(msg)
        if not all(structure.lattice.pbc):
            msg = "the structure is not periodic in three dimensions"
            raise MotifError(msg)
        states: list[float | None] = []
        for idx, site in enumerate(structure):
            if not site.is_ordered:
                msg = f"site {idx} is disordered ({site.species_string}); order the structure first"
                raise MotifError(msg)
            if isinstance(site.specie, DummySpecies):
                msg = f"site {idx} holds {site.specie.symbol!r}, which is not a chemical element"
                raise MotifError(msg)
            states.append(getattr(site.specie, "oxi_state", None))
        return cls(
            lattice=structure.lattice.matrix,
            frac_coords=structure.frac_coords,
            numbers=np.array([site.specie.Z for site in structure], dtype=np.int64),
            valences=_all_known(states),
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read a crystal from plain values, such as a line of JSON, without pymatgen.

        Parameters
        ----------
        record : mapping
            ``lattice`` (Å, rows are vectors), ``species`` (a symbol a site, such as ``"Ti"`` or ``"Ti4+"``) and
            ``frac_coords``; other keys are not looked at.

        Returns
        -------
        Crystal
            Deuterium and tritium are hydrogen.

        Raises
        ------
        MotifError
            If a key is missing, a species is no element, or it is no crystal.

        Examples
        --------
        >>> cell = {"lattice": np.eye(3) * 4.12, "species": ["Cs+", "Cl-"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}
        >>> Crystal.from_record(cell).valences
        array([ 1., -1.])
        """
        missing = [key for key in ("lattice", "species", "frac_coords") if key not in record]
        if missing:
            msg = f"no {' or '.join(map(repr, missing))} in it"
            raise MotifError(msg)
        known: dict[str, tuple[int, float | None]] = {}
        species = record["species"]
        if not isinstance(species, list | tuple):
            msg = f"'species' must be a list of symbols, one for each site, got {species!r:.40}"
            raise MotifError(msg)
        for site, one in enumerate(species):
            if not isinstance(one, str) or one not in known:
                found = _SPECIES.fullmatch(one) if isinstance(one, str) else None
                if found is None or found["symbol"] not in ATOMIC_NUMBERS:
                    msg = f"site {site} holds {one!r:.40}, which is not a chemical element"
                    raise MotifError(msg)
                state = float(f"{found['sign']}{found['size'] or 1}") if found["sign"] else None
                known[one] = ATOMIC_NUMBERS[found["symbol"]], state
        return cls(
            lattice=record["lattice"],
            frac_coords=record["frac_coords"],
            numbers=np.array([known[one][0] for one in species], dtype=np.int64),
            valences=_all_known([known[one][1] for one in species]) if len(species) else None,
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbol of every site."""
        return tuple([SYMBOLS[number] for number in self.numbers.tolist()])

    @property
    def volume(self) -> float:
        """Volume of the cell, in Å^3."""
        (a, b, c), (d, e, f), (g, h, i) = self.lattice.tolist()
        return float(abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)))

    @property
    def reduced_formula(self) -> str:
        """Reduced formula, as pymatgen writes it."""
        numbers, counts = np.unique(self.numbers, return_counts=True)
        return _reduced_formula(tuple(numbers.tolist()), tuple(counts.tolist()))

    def to_structure(self) -> "Any":
        """Make a pymatgen structure of bare elements.

        Returns
        -------
        Structure
            With the coordinates as they stand.
        """
        from pymatgen.core.structure import Structure

        return Structure(self.lattice, list(self.symbols), self.frac_coords)

    def __repr__(self) -> str:
        return f"Crystal({self.reduced_formula}, {len(self.numbers)} sites)"


@lru_cache(maxsize=4096)
def _reduced_formula(numbers: tuple[int, ...], counts: tuple[int, ...]) -> str:
    from pymatgen.core.composition import Composition

    return Composition({SYMBOLS[z]: n for z, n in zip(numbers, counts, strict=True)}).reduced_formula


def _all_known(states: list[float | None]) -> NDArray[np.float64] | None:
    known = np.array([np.nan if state is None else state for state in states], dtype=np.float64)
    return known if np.isfinite(known).all() else None
