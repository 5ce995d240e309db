"""Connections are shared atoms, counted with their periodic images."""

import pytest
from pymatgen.analysis.chemenv.connectivity.connectivity_finder import ConnectivityFinder
from pymatgen.analysis.chemenv.coordination_environments.chemenv_strategies import SimplestChemenvStrategy
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import LocalGeometryFinder
from pymatgen.analysis.chemenv.coordination_environments.structure_environments import LightStructureEnvironments

from matembed.motifs import Ligand, Motif, connect, find_motifs


def motif(site, *ligands):
    return Motif(site, "Ti", 4.0, f"O:{len(ligands)}", 0.0, tuple(Ligand(*a) for a in ligands), ("O",) * len(ligands))


HERE, RIGHT, LEFT = (0, 0, 0), (1, 0, 0), (-1, 0, 0)


ENGINES = ("numba", "numpy")


@pytest.mark.parametrize("symmetrise", [False, True])
@pytest.mark.parametrize("name", ["TiO2", "Al2O3", "NiAs", "Cu", "NiAl"])
def test_kernels_give_what_the_definition_gives(name, symmetrise, graph_of):
    motifs = graph_of(name, "sheared").motifs
    compiled, defined = (connect(motifs, engine=engine, symmetrise=symmetrise) for engine in ENGINES)
    assert compiled == defined
    assert compiled


def test_without_valences_symmetrised_connections_are_those_of_pymatgen(structure_of):
    structure = structure_of("BaNiO3")
    structure.perturb(0.2, seed=0)
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(valences="undefined", maximum_distance_factor=1.41)
    light = LightStructureEnvironments.from_structure_environments(SimplestChemenvStrategy(), environments)
    theirs = ConnectivityFinder().get_structure_connectivity(light).environment_subgraph()
    graph = find_motifs(structure, valences="none", symmetrise=True)
    n_shared = sum(len(connection.ligands) for connection in graph.connections)
    assert n_shared == sum(len(data["ligands"]) for *_, data in theirs.edges(data=True))
    once = find_motifs(structure, valences="none")
    assert n_shared > sum(len(connection.ligands) for connection in once.connections)


@pytest.mark.parametrize("engine", ENGINES)
def test_shared_ligands_are_counted(engine):
    a = motif(0, (4, HERE), (5, HERE), (6, HERE), (7, HERE))
    b = motif(1, (4, HERE))
    c = motif(2, (5, HERE), (6, HERE))
    d = motif(3, (4, HERE), (5, HERE), (7, HERE))
    found = {
        (c.source, c.target): (c.sharing, [ligand.site for ligand in c.ligands])
        for c in connect([a, b, c, d], engine=engine)
    }
    assert found == {
        (0, 1): ("corner", [4]),
        (0, 2): ("edge", [5, 6]),
        (0, 3): ("face", [4, 5, 7]),
        (1, 3): ("corner", [4]),
        (2, 3): ("corner", [5]),
    }


def test_the_same_site_in_another_image_is_another_atom():
    a, b = motif(0, (2, HERE)), motif(1, (2, RIGHT))
    (connection,) = connect([a, b])
    # b's ligand is one cell to the right, so the b that holds a's ligand is one cell to the left
    assert (connection.image, connection.ligands) == (LEFT, (Ligand(2, HERE),))


def test_a_motif_meets_its_own_image_once_with_a_positive_image():
    (connection,) = connect([motif(0, (1, LEFT), (1, HERE))])
    assert (connection.source, connection.target, connection.image) == (0, 0, RIGHT)
    assert connection.ligands == (Ligand(1, HERE),)


def test_nothing_shared_nothing_connected():
    assert connect([]) == ()
    assert connect([motif(0, (2, HERE)), motif(1, (3, HERE))]) == ()


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine must be 'numba' or 'numpy', got 'chemenv'"):
        connect([], engine="chemenv")


def test_two_motifs_on_one_centre_are_refused():
    with pytest.raises(ValueError, match="two on site 3"):
        connect([motif(3, (0, HERE)), motif(3, (1, HERE))])


@pytest.mark.parametrize("name", ["TiO2", "Al2O3", "NiAs"])
def test_connections_are_those_of_pymatgen(name, structure_of):
    structure = structure_of(name, "primitive")
    cations = {"Ti": 4, "Al": 3, "Ni": 3}
    valences = [cations.get(site.specie.symbol, -2) for site in structure]
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(valences=valences, maximum_distance_factor=1.41)
    light = LightStructureEnvironments.from_structure_environments(SimplestChemenvStrategy(), environments)
    theirs = ConnectivityFinder().get_structure_connectivity(light).environment_subgraph()
    expected = set()
    for _, _, data in theirs.edges(data=True):
        image = tuple(int(step) for step in data["delta"])
        back = tuple(-step for step in image)
        forward = (data["start"], data["end"], image), (data["end"], data["start"], back)
        same_site = data["start"] == data["end"]
        expected.add((*(max(forward) if same_site else min(forward)), len(data["ligands"])))
    graph = find_motifs(structure, valences=valences)
    sites = [motif.site for motif in graph.motifs]
    assert {(sites[c.source], sites[c.target], c.image, len(c.ligands)) for c in graph.connections} == expected


@pytest.mark.parametrize("name", ["SrTiO3", "Al2O3", "Cu"])
def test_shared_ligands_belong_to_both_shells(name, graph_of):
    graph = graph_of(name)
    for connection in graph.connections:
        source, target = graph.motifs[connection.source], graph.motifs[connection.target]
        seen_from_target = {
            (site, tuple(a - b for a, b in zip(image, connection.image, strict=True)))
            for site, image in connection.ligands
        }
        assert set(connection.ligands) <= set(source.ligands)
        assert seen_from_target <= set(target.ligands)
        assert connection.source < connection.target or connection.image > (0, 0, 0)
    keys = [(c.source, c.target, c.image) for c in graph.connections]
    assert keys == sorted(set(keys))
