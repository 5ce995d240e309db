"""Recipes: from prototypes to tables, with and without networks."""

import pytest

from matembed import build_motif_tables, read_prototypes
from matembed.elements import SYMBOLS
from matembed.recipes import fit_elements, fit_formula_elements, fit_motifs, fit_species


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    rows = read_prototypes(limit=60)
    return build_motif_tables(rows, tmp_path_factory.mktemp("tables") / "motifs", max_rejected=1, progress=False)


def test_elements_have_vectors_to_lawrencium_and_say_which_are_made(tables):
    table = fit_elements(tables, n_networks=0, dim=40)
    assert set(table.tokens) == set(SYMBOLS[1:104])
    assert table.dim == 40
    seen = {token.rstrip("0123456789.+-") for sites in tables.materials()["sites"] for token in sites.split()}
    assert seen - table.backed_off
    assert not (set(table.tokens) - seen) - table.backed_off  # what no crystal holds is flagged


@pytest.mark.parametrize("make", ["crystals", "formulas"])
def test_networks_vote_and_repeat(tables, make):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    formulas = tables.materials()["formula"].tolist()

    def fit(seed):
        if make == "crystals":
            return fit_elements(tables, n_networks=2, dim=16, seed=seed)
        return fit_formula_elements(formulas, n_networks=2, dim=16, seed=seed)

    first = fit(0)
    assert first.vectors.tobytes() == fit(0).vectors.tobytes()
    assert first.vectors.tobytes() != fit(7).vectors.tobytes()
    views = first.card.corpus
    assert views["masked 0, masked 1"]["seed"] == [0, 1]  # what they share is said once
    assert ("sites 0, sites 1" in views) == (make == "crystals")
    assert first.card.settings["weights"].keys() >= {"masked 0", "masked 1"}


def test_excluded_formulas_teach_nothing(tables):
    formulas = tables.materials()["formula"]
    lithium = [formula for formula in formulas if "Li" in formula.replace("Lu", "")]
    assert lithium
    kept = fit_elements(tables, n_networks=0, dim=16, exclude=lithium)
    assert "Li" in kept.backed_off
    assert "Li" not in fit_elements(tables, n_networks=0, dim=16).backed_off


def test_species_and_motifs(tables):
    species = fit_species(tables, dim=16)
    assert set(species.kinds) == {"species"}
    assert "O2-" in species
    motifs = fit_motifs(tables, dim=16)
    assert set(motifs.kinds) == {"motif"}
    assert "TiO6:O:6" in motifs
    assert fit_motifs(tables, dim=16).vectors.tobytes() == motifs.vectors.tobytes()
    charged = fit_motifs(tables, dim=16, species=True)
    assert "Ti4+O6:O:6" in charged


def test_undone_tables_can_be_turned_later(tables):
    plain = fit_elements(tables, n_networks=0, dim=None)
    whole = fit_elements(tables, n_networks=0, dim=16, seed=3)
    again = plain.rebase(1.0, seed=3).widen(16, seed=3)
    # made vectors take no part in turning, so learned ones agree to float32
    learned = [token for token in whole.tokens if token not in whole.backed_off]
    assert again.subset(learned).vectors == pytest.approx(whole.subset(learned).vectors, abs=1e-5)
