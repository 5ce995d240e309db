"""SiteNet: that it learns what sites have in common, the same each time."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from matembed.cards import Card
from matembed.corpus.site_statistics import SiteStatistics
from matembed.encoders.site_net import SiteNet

torch = pytest.importorskip("torch")

SIZES = {"Li": 0.6, "Na": 1.0, "K": 1.4, "Rb": 1.5, "F": 1.3, "Cl": 1.8, "Br": 2.0, "I": 2.2}


def salts():
    """Cations twice as strongly coordinated as anions are far; bond length is the sum of two radii."""
    pairs = [(cation, anion) for cation in ("Li", "Na", "K", "Rb") for anion in ("F", "Cl", "Br", "I")]
    elements = tuple(element for pair in pairs for element in pair)
    lengths = np.repeat([SIZES[a] + SIZES[b] for a, b in pairs], 2)
    role = np.tile([1.0, 0.0], len(pairs))
    unknown = np.where(role == 1, lengths, np.nan)
    return SiteStatistics(
        formulas=tuple(a + b for a, b in pairs),
        formula_idx=np.repeat(np.arange(len(pairs)), 2),
        elements=elements,
        fractions=np.full(len(elements), 0.5),
        names=("length", "role", "length of cations"),
        values=np.column_stack([lengths, role, unknown]),
        card=Card("salts", source="made up", licence="CC0-1.0", citation=("Nobody",)),
    )


@pytest.fixture(scope="module")
def fitted():
    torch.set_num_threads(1)
    return SiteNet(dim=8, hidden=32, epochs=400, batch_size=8, seed=0).fit(salts())


def test_it_learns(fitted):
    assert fitted.loss_[-1] < 0.02 * fitted.loss_[0]
    table = fitted.embeddings().rebase(1.0)
    for element, family in (("Na", {"Li", "K", "Rb"}), ("Br", {"F", "Cl", "I"})):
        assert table.nearest(element, 1)[0].token in family


def test_same_seed_same_bytes(fitted):
    settings = {"dim": 8, "hidden": 32, "epochs": 3, "batch_size": 8}
    first, second, other = (SiteNet(**settings, seed=seed).fit(salts()).vectors_.tobytes() for seed in (0, 0, 1))
    assert first == second
    assert first != other


def test_it_leaves_the_state_of_torch_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    SiteNet(dim=4, hidden=4, epochs=1).fit(salts())
    assert torch.equal(torch.rand(2), expected)


def test_card_names_settings_and_source(fitted):
    card = fitted.embeddings().card
    assert card.licence == "CC0-1.0"
    assert card.settings["encoder"] == "SiteNet"
    assert card.settings["dim"] == 8
    assert card.settings["statistics"] == ["length", "role", "length of cations"]


def test_wrong_use_is_refused():
    with pytest.raises(NotFittedError, match="call fit"):
        SiteNet().embeddings()
    with pytest.raises(TypeError, match=r"wanted SiteStatistics, from count_sites\(tables\), got list"):
        SiteNet().fit([["Na", "Cl"]])
    with pytest.raises(ValueError, match="dim must be a whole number, 1 or more, got 0"):
        SiteNet(dim=0).fit(salts())
