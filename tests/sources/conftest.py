"""Shared by the tests of sources: a few real crystals, which every reader must read alike."""

import pytest
from pymatgen.core import Lattice, Structure


@pytest.fixture(scope="session")
def crystals() -> dict[str, Structure]:
    """Return textbook crystals by name: cubic, tetragonal, hexagonal, rhombohedral, monoclinic, triclinic."""
    cubic, hexagonal = Lattice.cubic, Lattice.hexagonal
    from_group = Structure.from_spacegroup
    return {
        "rock salt": from_group("Fm-3m", cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "caesium chloride": from_group("Pm-3m", cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "rutile": from_group("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
        "perovskite": from_group("Pm-3m", cubic(3.905), ["Sr", "Ti", "O"], [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0]]),
        "spinel": from_group("Fd-3m", cubic(8.083), ["Mg", "Al", "O"], [[0] * 3, [0.625] * 3, [0.3874] * 3])
        .get_primitive_structure()
        .get_sorted_structure(),
        "fluorite": from_group("Fm-3m", cubic(5.463), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
        "wurtzite": from_group(
            "P6_3mc", hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]]
        ),
        "corundum": from_group("R-3c", hexagonal(4.759, 12.991), ["Al", "O"], [[0, 0, 0.35216], [0.30624, 0, 0.25]])
        .get_primitive_structure()
        .get_sorted_structure(),
        "baddeleyite": from_group(
            "P2_1/c",
            Lattice.monoclinic(5.1505, 5.2116, 5.3173, 99.23),
            ["Zr", "O", "O"],
            [[0.2754, 0.0395, 0.2083], [0.07, 0.3317, 0.3447], [0.4496, 0.7569, 0.4792]],
        ),
        "triclinic NaAlO2, made up": from_group(
            "P-1",
            Lattice.from_parameters(5.1, 5.9, 7.3, 84.0, 78.0, 71.0),
            ["Na", "Al", "O", "O"],
            [[0.1, 0.2, 0.3], [0.6, 0.7, 0.2], [0.35, 0.45, 0.1], [0.8, 0.9, 0.4]],
        ),
    }
