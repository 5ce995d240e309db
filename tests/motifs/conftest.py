"""Crystals with published parameters, and their motif graphs, found once a session."""

from collections.abc import Callable
from functools import cache

import pytest
from pymatgen.core import Lattice, Structure

from matembed.motifs import Engine, MotifGraph, find_motifs

# Space group, lattice in Å, sites: experimental, at room temperature.
PARAMETERS = {
    "NaCl": ("Fm-3m", Lattice.cubic(5.6402), {"Na": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}),
    "SrTiO3": ("Pm-3m", Lattice.cubic(3.905), {"Sr": [0, 0, 0], "Ti": [0.5, 0.5, 0.5], "O": [0.5, 0.5, 0]}),
    "TiO2": ("P4_2/mnm", Lattice.tetragonal(4.5937, 2.9587), {"Ti": [0, 0, 0], "O": [0.3048, 0.3048, 0]}),
    "ZnS": ("F-43m", Lattice.cubic(5.4093), {"Zn": [0, 0, 0], "S": [0.25, 0.25, 0.25]}),
    "CaF2": ("Fm-3m", Lattice.cubic(5.4626), {"Ca": [0, 0, 0], "F": [0.25, 0.25, 0.25]}),
    "BaNiO3": (
        "P6_3/mmc",
        Lattice.hexagonal(5.629, 4.811),
        {"Ba": [1 / 3, 2 / 3, 0.75], "Ni": [0, 0, 0], "O": [0.1462, 0.2924, 0.25]},
    ),
    "Al2O3": ("R-3c", Lattice.hexagonal(4.7589, 12.991), {"Al": [0, 0, 0.3522], "O": [0.3063, 0, 0.25]}),
    "NiAs": ("P6_3/mmc", Lattice.hexagonal(3.619, 5.034), {"Ni": [0, 0, 0], "As": [1 / 3, 2 / 3, 0.25]}),
    "Cu": ("Fm-3m", Lattice.cubic(3.615), {"Cu": [0, 0, 0]}),
    "NiAl": ("Pm-3m", Lattice.cubic(2.887), {"Ni": [0, 0, 0], "Al": [0.5, 0.5, 0.5]}),
}
CELLS = ("primitive", "conventional", "supercell", "sheared")


@cache
def crystal(name: str, cell: str = "conventional") -> Structure:
    spacegroup, lattice, sites = PARAMETERS[name]
    conventional = Structure.from_spacegroup(spacegroup, lattice, list(sites), list(sites.values()))
    match cell:
        case "primitive":
            return conventional.get_primitive_structure()
        case "supercell":
            return conventional * (2, 2, 2)
        case "sheared":
            return conventional.get_primitive_structure() * [[1, 1, 0], [0, 2, 1], [1, 0, 1]]
    return conventional


@pytest.fixture(scope="session")
def structure_of() -> Callable[..., Structure]:
    return lambda name, cell="conventional": crystal(name, cell).copy()


@pytest.fixture(scope="session")
def graph_of() -> Callable[..., MotifGraph]:
    @cache
    def graph(name: str, cell: str = "conventional", engine: Engine = "numba") -> MotifGraph:
        return find_motifs(crystal(name, cell), engine=engine)

    return graph
