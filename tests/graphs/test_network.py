"""AtomMotifNetwork: what atoms start from, how far it can read, and who hears whom."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

import matembed as me
from matembed.downstream.baselines import one_hot_table, random_table
from matembed.graphs import AtomMotifRegressor, TensorRegressor, atom_motif_graphs
from matembed.graphs.regressor import make_body

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")
torch.set_num_threads(1)

SETTINGS = {"branches": "atoms", "width": 16, "n_layers": 1, "dropout": 0, "validation_fraction": 0, "batch_size": 4}
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]
)
QUARTZ = Structure.from_spacegroup(
    "P3_221", Lattice.hexagonal(4.914, 5.406), ["Si", "O"], [[0.47, 0, 2 / 3], [0.413, 0.267, 0.786]]
)

MOVED = 1e-5  # float32; what hears of a change moves by much more, and what does not by nothing


def salt(cation, anion, length):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_an_element_not_met_in_training_is_its_vector_and_nothing_else():
    vectors = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    vectors[2] = vectors[1]
    card = me.Card(name="twins", what="two elements alike")
    table = me.EmbeddingTable(("K", "Rb", "Cs", "Na", "F", "Cl"), vectors, card)
    learned = [salt("K", anion, length) for anion in ("F", "Cl") for length in (5.3, 5.6, 6.0)]
    model = AtomMotifRegressor(**SETTINGS, elements=table, max_epochs=20).fit(learned, np.arange(6.0))
    met, one, twin, other = model.predict([salt(cation, "F", 5.4) for cation in ("K", "Rb", "Cs", "Na")])
    assert one == twin
    assert met != pytest.approx(one, abs=1e-3)
    assert other != pytest.approx(one, abs=1e-3)
    state = model.members_[0].body.elements
    assert state.met[[9, 17, 19], 0].all()
    assert int(state.met.sum()) == 3
    with torch.no_grad():
        numbers = torch.tensor([19, 37])
        kept = state.learned(numbers) * state.met[numbers]
    assert kept[0].abs().sum() > 0
    assert kept[1].abs().sum() == 0


@pytest.mark.parametrize("table", [None, one_hot_table(["K", "Na", "F", "Cl"])], ids=["alone", "one-hot"])
def test_elements_of_which_nothing_was_learned_are_named(table):
    learned = [salt("K", anion, length) for anion in ("F", "Cl") for length in (5.3, 5.6)]
    model = AtomMotifRegressor(**SETTINGS, elements=table, max_epochs=1).fit(learned, np.arange(4.0))
    with pytest.warns(UserWarning, match="nothing was learned of Na; predictions of materials that hold them"):
        model.predict([salt("Na", "F", 4.6)])


def test_elements_with_vectors_like_others_are_no_guess():
    learned = [salt("K", anion, length) for anion in ("F", "Cl") for length in (5.3, 5.6)]
    model = AtomMotifRegressor(**SETTINGS, elements=me.load("elements"), max_epochs=1).fit(learned, np.arange(4.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict([salt("Na", "F", 4.6)])


def test_long_bonds_are_told_apart():
    crystals = [
        Structure.from_spacegroup("Im-3m", Lattice.cubic(a), ["K"], [[0, 0, 0]]) for a in np.arange(4, 6.6, 0.2)
    ]
    volumes = np.array([crystal.volume / 2 for crystal in crystals])
    model = AtomMotifRegressor(**SETTINGS, max_epochs=200).fit(crystals, volumes)
    assert np.abs(model.predict(crystals) - volumes).mean() < 0.2 * np.abs(volumes - np.median(volumes)).mean()


def test_lengths_beyond_the_last_centre_are_read_as_that():
    from matembed.graphs._layers import Bumps

    bumps = Bumps(1.0, 3.0, 5)
    written = bumps(torch.tensor([3.0, 3.7, 99.0, 1.0, 0.2, torch.nan]))
    assert torch.equal(written[0], written[1])
    assert torch.equal(written[0], written[2])
    assert torch.equal(written[3], written[4])
    assert written[:5].amax(dim=1).tolist() == [1.0] * 5
    assert torch.equal(written[5], torch.zeros(5))


@pytest.fixture(scope="module")
def graphs():
    """Rutile, eight motifs of which each is connected with four others, and quartz; no two atoms are alike."""
    found = atom_motif_graphs([RUTILE * (1, 1, 4), QUARTZ], merge=False)
    oxidations = np.linspace(-3, 5, len(found.columns["numbers"]), dtype=np.float32)
    return replace(found, columns=dict(found.columns) | {"oxidations": oxidations})


@pytest.fixture(scope="module")
def members(graphs):
    """Of each motif of rutile: its centre and its ligands."""
    rutile = graphs[0]
    of_motif = [{centre} for centre in rutile.motif_centres.tolist()]
    for motif, atom in rutile.ligand_ends.tolist():
        of_motif[motif].add(atom)
    return of_motif


def one_layer(**settings):
    """Make a network of one layer, always with the same weights, that has met all elements."""
    torch.manual_seed(0)
    network = make_body(AtomMotifRegressor(width=8, n_layers=1, dropout=0, **settings), "invariant").eval()
    network.elements.met.fill_(True)
    return network


def changed(graphs, name, row, value):
    column = graphs.columns[name].copy()
    column[row] = value
    return replace(graphs, columns=dict(graphs.columns) | {name: column})


@torch.inference_mode()
def moved(network, graphs, other_graphs, other_network=None):
    """Find the atoms and the motifs whose last states differ."""
    _, atoms, _, motifs = network.states(graphs)
    _, other_atoms, _, other_motifs = (other_network or network).states(other_graphs)
    pairs = (atoms, other_atoms), (motifs, other_motifs)
    return tuple(set((one - other).abs().amax(dim=1).gt(MOVED).nonzero()[:, 0].tolist()) for one, other in pairs)


def having(members, atoms):
    """List the motifs that have one of the atoms as centre or ligand."""
    return {motif for motif, of_motif in enumerate(members) if of_motif & atoms}


def ends_of(graphs, name, row):
    return set(graphs.columns[name][row].tolist())


@pytest.mark.parametrize(("name", "value"), [("numbers", 9), ("oxidations", 6.0)])
@pytest.mark.parametrize("element", [22, 8])
def test_an_atom_is_heard_by_its_neighbours_and_its_motifs(graphs, members, name, value, element):
    atom = int(np.flatnonzero(graphs.columns["numbers"] == element)[0])
    neighbours = set().union(*(ends for ends in map(set, graphs[0].bond_atoms.tolist()) if atom in ends))
    blind = one_layer(coupling="readout", connections=False)
    assert 1 < len(neighbours) < len(graphs[0].numbers)
    assert moved(blind, graphs, changed(graphs, name, atom, value)) == (neighbours, having(members, {atom}))


def test_the_length_of_a_bond_is_heard_by_its_atoms_and_their_motifs(graphs, members):
    longer = changed(graphs, "bond_lengths", 0, 3.0)
    atoms = ends_of(graphs, "bond_atoms", 0)
    assert moved(one_layer(connections=False), graphs, longer) == (atoms, having(members, atoms))
    assert moved(one_layer(coupling="readout"), graphs, longer) == (atoms, set())


def test_the_csm_of_a_motif_is_heard_by_its_atoms_and_connected_motifs(graphs, members):
    assert graphs.columns["measure_motifs"][0] == 0
    distorted = changed(graphs, "measure_csms", 0, 5.0)
    connected = set().union(*(ends for ends in map(set, graphs[0].link_motifs.tolist()) if 0 in ends))
    assert 1 < len(connected) < len(members)
    assert moved(one_layer(connections=False), graphs, distorted) == (members[0], {0})
    assert moved(one_layer(coupling="readout"), graphs, distorted) == (set(), connected)
    atoms = set().union(*(members[motif] for motif in connected))
    assert moved(one_layer(), graphs, distorted) == (atoms, connected)
    assert moved(one_layer(motif_labels=False), graphs, distorted) == (set(), set())


@pytest.mark.parametrize(("name", "value"), [("link_shared", 3), ("link_lengths", 5.0), ("link_angles", 170.0)])
def test_a_connection_is_heard_by_its_motifs_and_their_atoms(graphs, members, name, value):
    other = changed(graphs, name, 0, value)
    motifs = ends_of(graphs, "link_motifs", 0)
    atoms = set().union(*(members[motif] for motif in motifs))
    assert moved(one_layer(), graphs, other) == (atoms, motifs)
    assert moved(one_layer(coupling="readout"), graphs, other) == (set(), motifs)
    assert moved(one_layer(connections=False), graphs, other) == (set(), set())


def test_a_motif_hears_which_atoms_are_its_ligands(graphs, members):
    motif, ligand = graphs.columns["ligand_ends"][0].tolist()
    stranger = next(atom for atom in np.flatnonzero(graphs[0].numbers == 8).tolist() if atom not in members[motif])
    other = changed(graphs, "ligand_ends", 0, [motif, stranger])
    assert moved(one_layer(coupling="readout", connections=False), graphs, other) == (set(), {motif})
    assert ligand in members[motif]
    assert moved(one_layer(connections=False), graphs, other) == (members[motif] | {stranger}, {motif})


@pytest.mark.parametrize(
    ("name", "value"), [("ligand_lengths", 3.0), ("motif_csms", 5.0), ("motif_geometries", 0), ("motif_tokens", 1)]
)
def test_what_is_told_in_other_columns_too_is_not_read_twice(graphs, name, value):
    assert moved(one_layer(), graphs, changed(graphs, name, 0, value)) == (set(), set())


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("elements", ["Ti", "Zr", "Si", "O"]), ("motifs", ["Ti4+O6:O:6", "Zr4+O6:O:6", "Si4+O4:T:4"])],
)
def test_the_vector_of_a_token_is_heard_where_it_is(graphs, name, tokens):
    table = random_table(tokens, 4, seed=0)
    exchanged = replace(table, vectors=table.vectors[[1, 0, *range(2, len(tokens))]])
    network, other = (one_layer(**{name: one}) for one in (table, exchanged))
    rutile = set(range(len(graphs[0].numbers))), set(range(len(graphs[0].motif_centres)))
    assert moved(network, graphs, graphs, other) == rutile


@pytest.mark.parametrize(("name", "value", "of_motifs"), [("bond_lengths", 3.0, False), ("measure_csms", 5.0, True)])
def test_a_crystal_is_read_as_its_atoms_and_its_motifs(graphs, name, value, of_motifs):
    network = one_layer(coupling="readout")
    with torch.inference_mode():
        missed = network(graphs) - network(changed(graphs, name, 0, value))
    told = missed.abs().amax(dim=1) > MOVED
    assert told.tolist() == [True, False]
    halves = missed[0].split([network.read_atoms.width, network.read_motifs.width])
    assert [bool(half.any()) for half in halves] == [not of_motifs, of_motifs]


def test_tensors_hear_motifs(graphs):
    pytest.importorskip("e3nn")
    from matembed.graphs._equivariant import TensorReadout

    torch.manual_seed(0)
    body = make_body(TensorRegressor(width=8, n_layers=2, dropout=0), "equivariant")
    network = TensorReadout(body, 8).eval()
    with torch.inference_mode():
        missed = (network(graphs) - network(changed(graphs, "measure_csms", 0, 5.0))).abs()
    isotropic, directed = missed[:, 0], missed[:, 1:].amax(dim=1)
    assert (isotropic > MOVED).tolist() == (directed > MOVED).tolist() == [True, False]
