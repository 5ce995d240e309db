"""Bonds of the coordination shells: of any number of neighbours, and none for the sake of a motif."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed.downstream.bond_network import BondNetworkFeaturizer
from matembed.graphs import atom_motif_graphs
from matembed.motifs import Crystal, find_motif_arrays
from matembed.motifs.bonds import shell_bonds
from matembed.sources.prototypes import read_prototypes


@pytest.fixture(scope="module")
def hexaboride():
    return Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.157), ["La", "B"], [[0, 0, 0], [0.1993, 0.5, 0.5]])


def test_a_shell_too_large_for_a_motif_has_bonds(hexaboride):
    bonds = shell_bonds(Crystal.from_structure(hexaboride))
    of_lanthanum = bonds[bonds[:, 0] == 0]
    assert len(of_lanthanum) == 24
    assert len(np.unique(of_lanthanum, axis=0)) == 24
    images = hexaboride.frac_coords[of_lanthanum[:, 1]] + of_lanthanum[:, 2:]
    lengths = np.linalg.norm(images @ hexaboride.lattice.matrix, axis=1)
    np.testing.assert_allclose(lengths, hexaboride.get_distance(0, 1), rtol=1e-6)


def test_graphs_and_springs_reach_every_atom(hexaboride):
    graph = atom_motif_graphs([hexaboride])[0]
    assert set(np.unique(graph.bond_atoms)) == set(range(len(graph.numbers)))
    assert graph.n_bonds == 24 + 12 + 3  # La-B, and B-B inside and between the octahedra
    featurizer = BondNetworkFeaturizer()
    names, row = featurizer.get_feature_names_out().tolist(), featurizer.transform([hexaboride])[0]
    assert row[names.index("bond_network: min site frequency by cube")] > 50  # 1/cm, of La
    np.testing.assert_allclose(featurizer.transform([hexaboride * (2, 1, 1)])[0], row, rtol=1e-6)


def test_smaller_shells_are_those_of_motifs():
    for row in read_prototypes(limit=30):
        crystal = Crystal.from_structure(row.to_structure())
        found, bonds = find_motif_arrays(crystal, valences="none"), shell_bonds(crystal)
        for motif in found.to_graph(engine="numba", strategy="simplest").motifs:
            ligands = {(site, *image) for site, image in motif.ligands}
            assert {tuple(bond[1:]) for bond in bonds[bonds[:, 0] == motif.site].tolist()} == ligands
