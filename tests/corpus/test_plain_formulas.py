"""Formulas read in bulk and one by one give the same amounts."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from matembed.corpus.formulas import ELECTRONEGATIVITIES, amounts_of
from matembed.corpus.plain_formulas import SYMBOLS, read_plain_formulas

UNIT = re.compile(r"([A-Z][a-z]?)((?:[1-9][0-9]{0,5})?)")
NUMBERS = st.one_of(st.just(""), st.integers(1, 12).map(str), st.integers(1, 999_999).map(str))
PLAIN = st.dictionaries(st.sampled_from(SYMBOLS), NUMBERS, min_size=1, max_size=7).map(
    lambda amounts: "".join(symbol + number for symbol, number in amounts.items())
)
NEARLY_PLAIN = st.lists(st.sampled_from([*"HOSTDJXxc019.\n", "Ac", "Na", "Uue", "1234567"]), max_size=8).map("".join)
ODD = st.one_of(
    NEARLY_PLAIN,
    st.text(max_size=6),
    st.sampled_from(["Ca(OH)2", "CuSO4·5H2O", "Fe₂O₃", "Na+", " NaCl", None, float("nan"), 3, b"NaCl", "\ud800", ""]),
    st.just(Composition("NaCl")),
)


def amounts_by_definition(formula: object) -> dict[str, float] | None:
    """Read a plain formula symbol by symbol; None for all others."""
    if not isinstance(formula, str) or not re.fullmatch(f"(?:{UNIT.pattern})+", formula):
        return None
    units = UNIT.findall(formula)
    amounts = {symbol: float(number or 1) for symbol, number in units}
    is_plain = len(amounts) == len(units) and amounts.keys() <= ELECTRONEGATIVITIES.keys() and "OAc" not in formula
    return amounts if is_plain else None


def amounts_in_bulk(formulas: list[object]) -> list[dict[str, float] | None]:
    plain = read_plain_formulas(formulas)
    assert len(plain.n_elements) == len(formulas)
    assert len(plain.element_idx) == len(plain.amounts) == plain.n_elements.sum()
    entries = zip(plain.element_idx.tolist(), plain.amounts.tolist(), strict=True)
    read = []
    for n in plain.n_elements.tolist():
        rows = [next(entries) for _ in range(n)]
        assert rows == sorted(rows)
        read.append({SYMBOLS[idx]: amount for idx, amount in rows} or None)
    return read


@given(formulas=st.lists(st.one_of(PLAIN, ODD), max_size=12))
@example(formulas=[])
@example(formulas=["O"])
@example(formulas=["NaCl", "Na\nCl", "ClNa", "NaCl"])
@example(formulas=["OAc", "OAcNa", "AcO", "CoAc", "O1Ac", "O", "Ac"])
@example(formulas=["Fe999999", "Fe1000000", "Fe0", "Fe01", "1Fe", "fe", "FeO2O", "Na1Na"])
@example(formulas=["".join(f"{symbol}999999" for symbol in SYMBOLS), "H" * 5000, "x"])
@settings(max_examples=500, deadline=None)
def test_bulk_reads_plain_formulas_as_one_by_one_and_leaves_the_others_out(formulas):
    assert amounts_in_bulk(formulas) == [amounts_by_definition(formula) for formula in formulas]


@given(formula=st.one_of(PLAIN, NEARLY_PLAIN))
@settings(max_examples=500, deadline=None)
def test_what_is_plain_means_what_it_means_alone(formula):
    (amounts,) = amounts_in_bulk([formula])
    assert amounts is None or amounts == amounts_of(formula)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_element_is_read(symbol):
    plain = read_plain_formulas([symbol, f"{symbol}12"])
    assert [SYMBOLS[idx] for idx in plain.element_idx] == [symbol, symbol]
    np.testing.assert_array_equal(plain.amounts, [1, 12])
