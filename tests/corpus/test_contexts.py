"""Sentences of a formula depend on the ratios of its elements alone."""

from collections import Counter
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from matembed.corpus.contexts import FORMULA_VIEWS, formula_sentences
from matembed.corpus.formulas import ELECTRONEGATIVITIES, FormulaError, parse_formula
from matembed.tokens import parse_token

FORMULAS = st.dictionaries(st.sampled_from(sorted(ELECTRONEGATIVITIES)), st.integers(1, 60), min_size=1, max_size=6)


def written(amounts, scale=1):
    return "".join(f"{symbol}{amount * scale}" for symbol, amount in amounts.items())


def test_elements_by_electronegativity():
    assert formula_sentences("O3SrTi", "elements") == [["Sr", "Ti", "O"]]
    assert formula_sentences("HeOArFH", "elements") == [["H", "O", "F", "Ar", "He"]]  # without a value: last, by symbol
    assert formula_sentences("TeB", "elements") == [["B", "Te"]]
    assert formula_sentences("NiSe", "elements") == [["Ni", "Se"]]


def test_elements_of_equal_electronegativity_come_by_symbol():
    equal = [symbol for symbol, value in ELECTRONEGATIVITIES.items() if value == ELECTRONEGATIVITIES["Pd"]]
    assert len(equal) > 1
    assert formula_sentences("".join(sorted(equal, reverse=True)), "elements") == [sorted(equal)]


def test_amounts():
    assert formula_sentences("Fe2O3", "amounts") == [["Fe", "Fe", "O", "O", "O"]]
    assert formula_sentences("Ag0.5Ge1Pb1.75S4", "amounts") == [["Ag"] * 2 + ["Ge"] * 4 + ["Pb"] * 7 + ["S"] * 16]


def test_environments_are_the_rest_of_the_formula():
    assert formula_sentences("Bi2Se3", "environments") == [["Bi", "(2)Se3"], ["Se", "(3)Bi2"]]
    assert formula_sentences("SrTiO3", "environments") == [["Sr", "(1)O3Ti"], ["Ti", "(1)O3Sr"], ["O", "(3)SrTi"]]


@pytest.mark.parametrize("formula", ["Fe", "Fe4", "O2", "S8"])
def test_pure_element_has_one_atom_and_no_environment(formula):
    symbol = formula.rstrip("0123456789")
    assert formula_sentences(formula, "elements") == [[symbol]]
    assert formula_sentences(formula, "amounts") == [[symbol]]
    assert formula_sentences(formula, "environments") == []


@pytest.mark.parametrize("view", FORMULA_VIEWS)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sr2Ti2O6", "SrTiO3"),
        ("Fe0.5Ni0.5", "FeNi"),
        ("Li2O2", "LiO"),
        ("Fe0.3333Ni0.6667", "FeNi2"),
        ("Fe33.3Ni66.7", "FeNi2"),
        ("Fe0.33Ni0.67", "Fe33Ni67"),
        ("CuSO4·5H2O", "CuSO9H10"),
        ("Ba0.999Eu0.001", "Ba999Eu"),
    ],
)
def test_only_ratios_matter(view, one, other):
    assert formula_sentences(one, view) == formula_sentences(other, view)


@pytest.mark.parametrize("view", FORMULA_VIEWS)
@given(amounts=FORMULAS, scale=st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_multiples_order_and_decimals_change_nothing(view, amounts, scale):
    sentences = formula_sentences(written(amounts), view)
    backwards = dict(reversed(amounts.items()))
    assert formula_sentences(f"({written(backwards)}){scale}", view) == sentences
    assert formula_sentences(Composition({symbol: amount / 8 for symbol, amount in amounts.items()}), view) == sentences


@pytest.mark.parametrize("view", FORMULA_VIEWS)
@pytest.mark.parametrize("text", ["La0.7Sr0.3MnO3", "O6Sr2Ti2", "Ca(OH)2", "CuSO4·5D2O", "Fe0.3333Ni0.6667"])
def test_formula_may_be_text_parsed_or_a_composition(view, text):
    sentences = formula_sentences(text, view)
    assert formula_sentences(parse_formula(text), view) == sentences
    assert formula_sentences(parse_formula(parse_formula(text).formula), view) == sentences
    assert formula_sentences(parse_formula(text).composition, view) == sentences


@given(amounts=FORMULAS)
@settings(max_examples=200, deadline=None)
def test_at_most_100_atoms_each_within_one_of_its_share(amounts):
    (sentence,) = formula_sentences(written(amounts), "amounts")
    counts = Counter(sentence)
    assert counts.keys() == amounts.keys()
    assert len(sentence) <= 100
    divisor = gcd(*amounts.values())
    if sum(amounts.values()) <= 100 * divisor:
        assert counts == {symbol: amount // divisor for symbol, amount in amounts.items()}
    for symbol, amount in amounts.items():
        share = amount / sum(amounts.values()) * len(sentence)
        # Largest remainder rounds by less than one; lifting rare elements to one takes from the commonest.
        assert abs(counts[symbol] - share) < 1 + sum(1 for other in counts.values() if other == 1)


def test_rare_elements_keep_one_atom():
    counts = Counter(formula_sentences("Fe0.99Cr0.006Mo0.003V0.001", "amounts")[0])
    assert counts == {"Fe": 97, "Cr": 1, "Mo": 1, "V": 1}


def test_largest_remainder():
    # Shares of 100 atoms: 33.37, 33.31 and 33.32; the last atom goes to the largest remainder.
    counts = Counter(formula_sentences("Fe3337Co3331Ni3332", "amounts")[0])
    assert counts in ({"Fe": 34, "Co": 33, "Ni": 33}, {"Fe": 1, "Co": 1, "Ni": 1})


def test_every_element_at_once_keeps_each():
    text = "".join(ELECTRONEGATIVITIES)
    assert Counter(formula_sentences(text, "amounts")[0]) == dict.fromkeys(ELECTRONEGATIVITIES, 1)
    uneven = text.replace("Fe", "Fe500", 1)
    assert set(formula_sentences(uneven, "amounts")[0]) == set(ELECTRONEGATIVITIES)


@given(amounts=FORMULAS)
@settings(max_examples=100, deadline=None)
def test_tokens_are_of_the_grammar(amounts):
    for element, environment in formula_sentences(written(amounts), "environments"):
        assert parse_token(element).kind == "element"
        token = parse_token(environment)
        assert token.kind == "environment"
        assert {element, *(symbol for symbol, _ in token.ligands)} == set(amounts)


def test_unknown_view_names_the_views():
    with pytest.raises(ValueError, match="unknown view 'walks' of a formula; choose one of elements, amounts, env"):
        formula_sentences("Fe", "walks")


def test_bad_formula_is_refused():
    with pytest.raises(FormulaError, match="'Xx' is not a chemical element"):
        formula_sentences("Xx2", "elements")
