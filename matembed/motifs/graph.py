"""MotifGraph: the coordination polyhedra of a crystal and how they share corners, edges and faces."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from matembed.tokens import Sharing, connection_token, kind_of, motif_token, parse_token

__all__ = ["Connection", "Environment", "Ligand", "Motif", "MotifGraph"]

Image = tuple[int, int, int]


class Ligand(NamedTuple):
    """An atom of a motif's shell: a site, and the periodic image of it in lattice vectors."""

    site: int
    image: Image


class Environment(NamedTuple):
    """One of the coordination environments of a site that is between several.

    Attributes
    ----------
    geometry : str
        ChemEnv symbol, such as ``"O:6"``.
    csm : float or None
        Continuous symmetry measure, 0 (ideal) to 100; None if unknown.
    fraction : float
        Share of this environment, above 0 and up to 1.
    ligands : tuple of Ligand
        Sorted by (site, image); environments of one site may differ in them.
    """

    geometry: str
    csm: float | None
    fraction: float
    ligands: tuple[Ligand, ...]


@dataclass(frozen=True, slots=True)
class Motif:
    """A coordination polyhedron.

    Attributes
    ----------
    site : int
        Index of the centre in the structure; the centre is in image (0, 0, 0).
    element : str
        Element symbol of the centre.
    oxidation : float or None
        Oxidation state of the centre in units of e; None where it is not known.
    geometry : str
        ChemEnv symbol, such as ``"O:6"``; ``"UNKNOWN:n"`` where no model polyhedron has n vertices.
    csm : float or None
        Continuous symmetry measure against the ideal polyhedron, 0 (ideal) to 100; None if unknown.
    ligands : tuple of Ligand, length cn
        Sorted by (site, image).
    ligand_elements : tuple of str, length cn
        Element symbols, in the order of `ligands`.
    mixture : tuple of Environment
        Every environment of a site that has several, likeliest first, which `geometry`, `csm` and `ligands` repeat;
        empty for a site that has one.

    Raises
    ------
    ValueError
        If a part is none of these: a negative site, no element, no geometry, another number of ligands than the
        geometry has vertices, a mixture that does not begin with the geometry or whose fractions exceed 1.

    See Also
    --------
    matembed.find_motifs : Finds the motifs of a structure.
    """

    site: int
    element: str
    oxidation: float | None
    geometry: str
    csm: float | None
    ligands: tuple[Ligand, ...]
    ligand_elements: tuple[str, ...]
    mixture: tuple[Environment, ...] = ()

    def __post_init__(self) -> None:
        wrong = None
        if not isinstance(self.site, int) or self.site < 0:
            wrong = f"site must be 0 or more, got {self.site!r}"
        elif kind_of(self.element) != "element":
            wrong = f"{self.element!r} is not a chemical element"
        elif self.oxidation is not None and not math.isfinite(self.oxidation):
            wrong = f"oxidation must be a finite number or None, got {self.oxidation!r}"
        elif kind_of(self.geometry) != "geometry":
            wrong = f"geometry must be a ChemEnv symbol such as 'O:6', got {self.geometry!r}"
        elif self.csm is not None and not 0 <= self.csm <= 100:
            wrong = f"csm must be from 0 to 100 or None, got {self.csm!r}"
        elif not len(self.ligands) == len(self.ligand_elements) == parse_token(self.geometry).cn:
            got = f"{len(self.ligands)} ligands and {len(self.ligand_elements)} ligand_elements"
            wrong = f"{self.geometry} needs as many ligands as it has vertices, with an element each, got {got}"
        elif self.mixture and self.mixture[0].geometry != self.geometry:
            wrong = f"the mixture must begin with {self.geometry}, got {self.mixture[0].geometry!r}"
        elif not 0 <= sum(environment.fraction for environment in self.mixture) <= 1 + 1e-4:  # each is rounded
            wrong = f"fractions of a mixture add up to 1, got {[one.fraction for one in self.mixture]}"
        if wrong:
            msg = f"no motif: {wrong}"
            raise ValueError(msg)

    @property
    def cn(self) -> int:
        """Coordination number: how many ligands there are."""
        return len(self.ligands)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Every environment of the site, likeliest first; that of the motif alone, of fraction 1, if there is one."""
        return self.mixture or (Environment(self.geometry, self.csm, 1.0, self.ligands),)

    @property
    def token(self) -> str:
        """The motif as a token without oxidation state, such as ``TiO6:O:6``."""
        return motif_token(self.element, Counter(self.ligand_elements), self.geometry)

    @property
    def species_token(self) -> str:
        """The motif as a token with the oxidation state of its centre where known, such as ``Ti4+O6:O:6``."""
        return motif_token(self.element, Counter(self.ligand_elements), self.geometry, self.oxidation)


@dataclass(frozen=True, slots=True)
class Connection:
    """Two motifs that share ligands.

    Attributes
    ----------
    source, target : int
        Positions in ``graph.motifs``, source <= target. The source is in image (0, 0, 0).
    image : tuple of 3 int
        Image of the target, in lattice vectors. Where source == target it is the positive one of the two
        directions, so a motif that meets its own image has two neighbours by one such connection.
    ligands : tuple of Ligand
        *All* shared ligands, sorted, as seen from the source.

    Raises
    ------
    ValueError
        If source and target are not in order, the image is not three integers, or nothing is shared.
    """

    source: int
    target: int
    image: Image
    ligands: tuple[Ligand, ...]

    def __post_init__(self) -> None:
        wrong = None
        if not 0 <= self.source <= self.target:
            wrong = f"wanted 0 <= source <= target, got {self.source!r}, {self.target!r}"
        elif len(self.image) != 3 or not all(isinstance(step, int) for step in self.image):
            wrong = f"image must be three integers, got {self.image!r}"
        elif self.source == self.target and self.image <= (0, 0, 0):
            wrong = f"a motif meets its own image in the positive direction, got {self.image!r}"
        elif not self.ligands:
            wrong = "two motifs share one ligand or more, got none"
        if wrong:
            msg = f"no connection: {wrong}"
            raise ValueError(msg)

    @property
    def sharing(self) -> Sharing:
        """``"corner"`` for one shared ligand, ``"edge"`` for two, ``"face"`` for three or more."""
        return ("corner", "edge", "face")[min(len(self.ligands), 3) - 1]


@dataclass(frozen=True, slots=True)
class MotifGraph:
    """The motifs of one crystal and their connections.

    Attributes
    ----------
    formula : str
        Reduced formula of the crystal.
    elements : tuple of str, length n_sites
        Element symbol of every site.
    motifs : tuple of Motif, length n_motifs
        Sorted by site.
    connections : tuple of Connection, length n_connections
        Each pair of motifs that share ligands once, sorted by (source, target, image).
    engine : str
        What found the motifs: ``"numba"``, ``"numpy"`` or ``"chemenv"``.
    strategy : str
        How neighbours were chosen: ``"simplest"``, ``"multi_weights"``, or ``"bonds"`` where they were given.
    valences : str
        Where oxidation states came from: ``"given"``, ``"structure"``, ``"bond_valence"``, ``"composition"``,
        ``"signs"``, ``"bv_analyzer"`` or ``"none"``; with ``"none"`` every site is the centre of a motif.

    See Also
    --------
    matembed.find_motifs : Makes a graph from a structure.
    """

    formula: str
    elements: tuple[str, ...]
    motifs: tuple[Motif, ...]
    connections: tuple[Connection, ...]
    engine: str
    strategy: str
    valences: str

    @property
    def n_sites(self) -> int:
        """Number of sites of the crystal's cell."""
        return len(self.elements)

    def neighbours(self, motif: int) -> list[tuple[Sharing, int]]:
        """List what a motif is connected to.

        Parameters
        ----------
        motif : int
            Position in `motifs`.

        Returns
        -------
        list of (sharing, int)
            What is shared and the position of the neighbour; once for every periodic image.
        """
        found: list[tuple[Sharing, int]] = []
        for connection in self.connections:
            if connection.source == motif:
                found.append((connection.sharing, connection.target))
            if connection.target == motif:
                found.append((connection.sharing, connection.source))
        return found

    def per_formula_unit(self) -> dict[str, float]:
        """Count motifs and connections per formula unit, which no choice of cell changes.

        Returns
        -------
        dict of str to float
            By motif token, and for connections by both tokens with the sharing between them, in alphabetical order.

        Examples
        --------
        >>> oxygen = tuple(Ligand(1, (0, 0, z)) for z in (-1, 0))
        >>> motif = Motif(0, "Cu", 2.0, "L:2", 0.0, oxygen, ("O", "O"))
        >>> chain = MotifGraph("CuO", ("Cu", "O"), (motif,), (Connection(0, 0, (0, 0, 1), oxygen[1:]),), "", "", "")
        >>> chain.per_formula_unit()
        {'CuO2:L:2': 1.0, 'CuO2:L:2 -corner- CuO2:L:2': 1.0}
        """
        n_units = math.gcd(*Counter(self.elements).values())
        tokens = [motif.token for motif in self.motifs]
        counts = Counter(tokens)
        for link in self.connections:
            first, second = sorted((tokens[link.source], tokens[link.target]))
            counts[f"{first} {connection_token(link.sharing)} {second}"] += 1
        return {key: counts[key] / n_units for key in sorted(counts)}

    def to_dict(self) -> dict[str, Any]:
        """Turn the graph into plain values for JSON.

        Returns
        -------
        dict
            What `from_dict` reads.
        """
        return {
            "formula": self.formula,
            "elements": list(self.elements),
            "engine": self.engine,
            "strategy": self.strategy,
            "valences": self.valences,
            "motifs": [
                [m.site, m.oxidation, m.geometry, m.csm, _listed(m.ligands)]
                + ([[[*one[:3], _listed(one.ligands)] for one in m.mixture]] if m.mixture else [])
                for m in self.motifs
            ],
            "connections": [[c.source, c.target, *c.image, _listed(c.ligands)] for c in self.connections],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a graph from what `to_dict` wrote.

        Parameters
        ----------
        values : mapping
            Plain values.

        Returns
        -------
        MotifGraph
            The graph; equal to the one that was written.
        """
        elements = tuple(values["elements"])
        motifs = []
        for site, oxidation, geometry, csm, listed, *mixed in values["motifs"]:
            ligands = _as_ligands(listed)
            symbols = tuple(elements[ligand.site] for ligand in ligands)
            mixture = tuple(
                Environment(symbol, value, fraction, _as_ligands(shell))
                for symbol, value, fraction, shell in (mixed[0] if mixed else ())
            )
            motifs.append(Motif(site, elements[site], oxidation, geometry, csm, ligands, symbols, mixture))
        connections = tuple(
            Connection(i, j, (a, b, c), _as_ligands(shared)) for i, j, a, b, c, shared in values["connections"]
        )
        return cls(
            formula=values["formula"],
            elements=elements,
            motifs=tuple(motifs),
            connections=connections,
            engine=values["engine"],
            strategy=values["strategy"],
            valences=values["valences"],
        )

    def to_json(self) -> str:
        """Write the graph as one line of JSON.

        Returns
        -------
        str
            One line, no newline at the end; the same graph gives the same bytes.
        """
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def __repr__(self) -> str:
        return f"MotifGraph({self})"

    def __str__(self) -> str:
        geometries = Counter(motif.token for motif in self.motifs)
        sharings = Counter(connection.sharing for connection in self.connections)
        motifs = ", ".join(f"{n} {token}" for token, n in geometries.most_common(5)) or "no motifs"
        links = ", ".join(f"{n} {sharing}" for sharing, n in sharings.most_common()) or "no"
        return f"{self.formula}: {motifs}; {links} connections"


def _listed(ligands: tuple[Ligand, ...]) -> list[list[int]]:
    return [[site, *image] for site, image in ligands]


def _as_ligands(listed: list[list[int]]) -> tuple[Ligand, ...]:
    return tuple(Ligand(site, (a, b, c)) for site, a, b, c in listed)
