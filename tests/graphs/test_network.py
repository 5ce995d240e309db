"""AtomMotifNetwork: what atoms start from, and how far it can read."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

import matembed as me
from matembed.graphs import AtomMotifRegressor

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")
torch.set_num_threads(1)

SETTINGS = {"branches": "atoms", "width": 16, "n_layers": 1, "dropout": 0, "validation_fraction": 0, "batch_size": 4}


def salt(cation, anion, length):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_an_element_not_met_in_training_is_its_vector_and_nothing_else():
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    vectors[2] = vectors[1]
    table = me.EmbeddingTable(("K", "Rb", "Cs", "F", "Cl"), vectors, me.Card(name="twins", what="two elements alike"))
    learned = [salt("K", anion, length) for anion in ("F", "Cl") for length in (5.3, 5.6, 6.0)]
    model = AtomMotifRegressor(**SETTINGS, elements=table, max_epochs=20).fit(learned, np.arange(6.0))
    met, one, twin = model.predict([salt(cation, "F", 5.4) for cation in ("K", "Rb", "Cs")])
    assert one == twin
    assert met != pytest.approx(one, abs=1e-3)
    state = model.members_[0].body.elements
    assert state.met[[9, 17, 19], 0].all()
    assert int(state.met.sum()) == 3
    with torch.no_grad():
        numbers = torch.tensor([19, 37])
        kept = state.learned(numbers) * state.met[numbers]
    assert kept[0].abs().sum() > 0
    assert kept[1].abs().sum() == 0


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
