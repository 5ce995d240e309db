"""How OPTIMADE writes a crystal, and the record that it becomes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matembed.elements import ATOMIC_NUMBERS
from matembed.sources.rows import shortened

__all__ = ["OPTIMADE_KEYS", "record_of"]

# The attributes that a crystal is made of.
OPTIMADE_KEYS = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species_at_sites",
    "species",
    "dimension_types",
    "structure_features",
    "nsites",
)
_UNSUPPORTED_FEATURES = {
    "assemblies": "sites that exclude each other",
    "implicit_atoms": "atoms without a position",
    "site_attachments": "atoms attached to a site",
    "unknown_positions": "sites without a position",
}


def record_of(attributes: Mapping[str, Any], id: str) -> dict[str, Any]:  # noqa: A002
    """Make a record of the attributes of an OPTIMADE structure [1]_.

    Parameters
    ----------
    attributes : mapping of str to object
        ``lattice_vectors`` and ``cartesian_site_positions`` (Å, rows are vectors), ``species_at_sites`` and
        ``species``; ``dimension_types``, ``structure_features`` and ``nsites`` are looked at if they are there.
        Without ``species``, the names at the sites must be symbols of elements.
    id : str
        Of the record.

    Returns
    -------
    dict
        ``id``, ``lattice`` (Å, rows are vectors), ``species`` (a symbol a site) and ``frac_coords`` of an ordered
        crystal; of a disordered one ``id`` and ``structure``, the dictionary that pymatgen reads. Plain lists and
        numbers, ready for JSON.

    Raises
    ------
    ValueError
        If it is no crystal, periodic in three dimensions, of atoms that all have a position; one line says why.

    References
    ----------
    .. [1] C. W. Andersen et al., Sci. Data 8, 217 (2021), https://www.optimade.org/specification.

    Examples
    --------
    >>> cell = {"lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "species_at_sites": ["Cs", "Cl"]}
    >>> record_of(cell | {"cartesian_site_positions": [[0, 0, 0], [2, 2, 2]]}, "a")["frac_coords"]
    [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    """
    _refuse_features(attributes)
    lattice = _vectors(attributes, "lattice_vectors", "lattice vector {} holds no finite numbers")
    if len(lattice) != 3 or np.linalg.det(lattice) == 0:
        msg = f"lattice_vectors must be 3 vectors that span a cell, got {shortened(lattice.tolist(), 60)}"
        raise ValueError(msg)
    positions = _vectors(attributes, "cartesian_site_positions", "site {} has no position")
    names = _list(attributes, "species_at_sites")
    n_sites = attributes.get("nsites")
    if len(positions) != len(names) or n_sites not in (None, len(names)):
        msg = f"{len(positions)} cartesian_site_positions and {len(names)} species_at_sites"
        raise ValueError(msg if n_sites is None else f"{msg}, where nsites is {n_sites}")
    if not names:
        msg = "the structure has no sites"
        raise ValueError(msg)
    known = _species(attributes, names)
    for site, name in enumerate(names):
        if not isinstance(name, str) or name not in known:
            msg = f"site {site} holds {shortened(name, 40)!r}, which is not among the species"
            raise ValueError(msg)
    frac_coords = np.linalg.solve(lattice.T, positions.T).T.tolist()
    sites = [known[name] for name in names]
    if all(list(site.values()) == [1.0] for site in sites):
        species = [next(iter(site)) for site in sites]
        return {"id": id, "lattice": lattice.tolist(), "species": species, "frac_coords": frac_coords}
    mixed = [
        {"species": [{"element": symbol, "occu": part} for symbol, part in site.items()], "abc": abc}
        for site, abc in zip(sites, frac_coords, strict=True)
    ]
    return {"id": id, "structure": {"lattice": {"matrix": lattice.tolist()}, "sites": mixed}}


def _refuse_features(attributes: Mapping[str, Any]) -> None:
    dimensions = attributes.get("dimension_types")
    if dimensions is not None and list(dimensions) != [1, 1, 1]:
        msg = f"is not periodic in three dimensions: dimension_types is {shortened(list(dimensions), 40)}"
        raise ValueError(msg)
    features = attributes.get("structure_features")
    for feature in () if features is None else features:
        if feature in _UNSUPPORTED_FEATURES:
            msg = f"has {_UNSUPPORTED_FEATURES[feature]} (structure_features holds {feature!r})"
            raise ValueError(msg)


def _species(attributes: Mapping[str, Any], names: Sequence[Any]) -> dict[str, dict[str, float]]:
    """Tell how much of which elements a site of each species holds, by the name of the species."""
    if attributes.get("species") is None:
        return {name: {name: 1.0} for name in names if isinstance(name, str) and name in ATOMIC_NUMBERS}
    known: dict[str, dict[str, float]] = {}
    for species in _list(attributes, "species"):
        if not isinstance(species, Mapping) or not isinstance(species.get("name"), str):
            msg = f"a species must be an object with a name, got {shortened(species, 40)!r}"
            raise ValueError(msg)
        name = shortened(species["name"], 40)
        if species.get("attached") is not None and len(species["attached"]):
            msg = f"atoms without a position are attached to species {name!r}"
            raise ValueError(msg)
        symbols, parts = _list(species, "chemical_symbols"), _list(species, "concentration")
        if not symbols or len(symbols) != len(parts):
            msg = f"species {name!r} has {len(symbols)} chemical_symbols and {len(parts)} of concentration"
            raise ValueError(msg)
        occupants: dict[str, float] = {}
        for symbol, part in zip(symbols, parts, strict=True):
            if not isinstance(symbol, str) or symbol not in ATOMIC_NUMBERS:
                msg = f"species {name!r} holds {shortened(symbol, 40)!r}, which is not a chemical element"
                raise ValueError(msg)
            if not isinstance(part, int | float | np.number) or not 0 < part <= 1:
                msg = f"species {name!r} has a concentration of {shortened(part, 40)}; wanted one above 0, up to 1"
                raise ValueError(msg)
            occupants[symbol] = occupants.get(symbol, 0.0) + float(part)
        known[species["name"]] = occupants
    return known


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    found = values.get(key)
    if found is None:
        msg = f"there are no {key}"
        raise ValueError(msg)
    if isinstance(found, str) or not isinstance(found, Sequence | np.ndarray):
        msg = f"{key} must be a list, got {shortened(found, 40)!r}"
        raise ValueError(msg)
    return list(found)


def _vectors(attributes: Mapping[str, Any], key: str, reason: str) -> NDArray[np.float64]:
    # A vector that is null stands for three unknown numbers.
    rows = [[None] * 3 if row is None else row for row in _list(attributes, key)]
    try:
        lengths = {len(row) for row in rows}
        vectors = np.array([list(row) for row in rows], dtype=np.float64)
    except (TypeError, ValueError):
        lengths = {0}
    if lengths - {3}:
        msg = f"{key} must be vectors of three numbers"
        raise ValueError(msg)
    gaps = ~np.isfinite(vectors).all(axis=1) if rows else np.zeros(0, dtype=bool)
    if gaps.any():
        raise ValueError(reason.format(gaps.argmax()))
    return vectors
