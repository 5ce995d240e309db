"""Contexts in formulas: what is counted, and that spelling and repetition change nothing."""

import pytest
from pymatgen.core import Composition

from matembed import Card, count_formula_contexts
from matembed.corpus import formula_contexts
from matembed.corpus.formula_contexts import FORMULA_CONTEXTS


def test_views_of_a_formula():
    counts = count_formula_contexts(["SrTiO3"], FORMULA_CONTEXTS)
    assert counts["rest"].commonest("Ti") == [("(1)O3Sr", 1.0)]
    assert dict(counts["ratios"].commonest("O")) == pytest.approx({"0.3333 Sr": 1.0, "0.3333 Ti": 1.0})
    assert counts["templates"].commonest("Sr") == counts["templates"].commonest("Ti") == [("(1)1,3", 1.0)]


def test_spelling_and_repetition_do_not_matter():
    once = count_formula_contexts(["SrTiO3", "NaCl"], FORMULA_CONTEXTS)
    often = count_formula_contexts(["NaCl", "Sr2Ti2O6", Composition("TiSrO3"), "Na2Cl2", "NaCl"], FORMULA_CONTEXTS)
    for view in FORMULA_CONTEXTS:
        assert once[view].tokens == often[view].tokens
        assert once[view].contexts == often[view].contexts
        assert (once[view].counts != often[view].counts).nnz == 0


def test_how_many_formulas_are_counted_at_a_time_does_not_matter(monkeypatch):
    formulas = ["SrTiO3", "BaTiO3", "NaCl", "Fe", "Sr2Ti2O6", "KCl", "TiO2", "KCl", "NaCl"]
    whole = count_formula_contexts(formulas, FORMULA_CONTEXTS, exclude=["TiO2"])
    monkeypatch.setattr(formula_contexts, "_AT_ONCE", 2)
    parts = count_formula_contexts(iter(formulas), FORMULA_CONTEXTS, exclude=["TiO2"])
    for view in FORMULA_CONTEXTS:
        assert whole[view].card == parts[view].card
        assert whole[view].card.counts == {"formulas": 4, "excluded": 1}
        assert (whole[view].tokens, whole[view].contexts) == (parts[view].tokens, parts[view].contexts)
        assert (whole[view].counts != parts[view].counts).nnz == 0


def test_excluded_formulas_are_left_out_in_any_spelling():
    counts = count_formula_contexts(["SrTiO3", "NaCl"], exclude=["Cl2Na2"])["rest"]
    assert "Na" not in counts.tokens
    assert counts.card.counts == {"formulas": 1, "excluded": 1}


def test_card_is_that_of_the_formulas():
    card = Card("mine", source="a list", licence="CC0-1.0", citation=("Nobody",))
    found = count_formula_contexts(["NaCl"], card=card)["rest"].card
    assert (found.source, found.licence, found.citation) == ("a list", "CC0-1.0", ("Nobody",))


def test_pure_elements_and_unknown_views_are_refused():
    with pytest.raises(ValueError, match="wanted formulas of two elements or more"):
        count_formula_contexts(["Fe", "O2"])
    with pytest.raises(ValueError, match="views must be one or more of rest, ratios, templates; got 'amounts'"):
        count_formula_contexts(["NaCl"], "amounts")
