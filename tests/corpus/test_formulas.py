"""Formulas are read strictly: what is changed is reported, what is doubtful is refused with a remedy."""

import string
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Element, Lattice, Structure

from matembed.corpus.formulas import (
    ELECTRONEGATIVITIES,
    FormulaError,
    ParsedFormula,
    amounts_of,
    parse_formula,
    reduced_formulas,
)

UNCHANGED = {
    "Fe2O3": {"Fe": 2, "O": 3},
    "NaN": {"Na": 1, "N": 1},
    "Sr2Ti2O6": {"Sr": 2, "Ti": 2, "O": 6},
    "Fe0.5Ni0.5": {"Fe": 0.5, "Ni": 0.5},
    "Ag0.5Ge1Pb1.75S4": {"Ag": 0.5, "Ge": 1, "Pb": 1.75, "S": 4},
    "CH3CH2OH": {"C": 2, "H": 6, "O": 1},
    "FeOOH": {"Fe": 1, "O": 2, "H": 1},
    "Ca3(PO4)2": {"Ca": 3, "P": 2, "O": 8},
    "K4[Fe(CN)6]": {"K": 4, "Fe": 1, "C": 6, "N": 6},
    "{[(Fe0.5Ni0.5)2O]3}2S": {"Fe": 6, "Ni": 6, "O": 6, "S": 1},
    "Na0.5H2O": {"Na": 0.5, "H": 2, "O": 1},
    "Li10GeP2S12": {"Li": 10, "Ge": 1, "P": 2, "S": 12},
    "K(VI)2": {"K": 1, "V": 2, "I": 2},
    "TiIIn(OH)3": {"Ti": 1, "I": 1, "In": 1, "O": 3, "H": 3},
    "Ac2O3": {"Ac": 2, "O": 3},
    "ArO": {"Ar": 1, "O": 1},
    "Fe0.00001Ni": {"Fe": 0.00001, "Ni": 1},
    "Fe1000000Ni": {"Fe": 1e6, "Ni": 1},
}

REWRITTEN = {
    # Hydrates and other adducts.
    "CuSO4.5H2O": ("Cu S O9 H10", ". read as a separator of adducts: CuSO4 + 5 H2O"),
    "CuSO4.5(H2O)": ("Cu S O9 H10", ". read as a separator of adducts: CuSO4 + 5 (H2O)"),
    "CuSO4*5H2O": ("Cu S O9 H10", "* read as a separator of adducts: CuSO4 + 5 H2O"),
    "CuSO4•5H2O": ("Cu S O9 H10", "• read as a separator of adducts: CuSO4 + 5 H2O"),
    "CuSO4∙5H2O": ("Cu S O9 H10", "∙ read as a separator of adducts: CuSO4 + 5 H2O"),
    "CuSO4⋅5H2O": ("Cu S O9 H10", "⋅ read as a separator of adducts: CuSO4 + 5 H2O"),
    "CuSO4.5D2O": ("Cu S O9 H10", "D read as H; . read as a separator of adducts: CuSO4 + 5 D2O"),
    "CuSO4 . 5 H2O": ("Cu S O9 H10", "white space removed; . read as a separator of adducts: CuSO4 + 5 H2O"),
    "Ca(OH)2·2H2O": ("Ca O4 H6", "· read as a separator of adducts: Ca(OH)2 + 2 H2O"),
    "CaSO4·0.5H2O": ("Ca S O4.5 H", "· read as a separator of adducts: CaSO4 + 0.5 H2O"),
    "CaSO4.0.5H2O": ("Ca S O4.5 H", ". read as a separator of adducts: CaSO4 + 0.5 H2O"),
    "CaSO4·½H2O": ("Ca S O4.5 H", "½ read as 0.5; · read as a separator of adducts: CaSO4 + 0.5 H2O"),
    "CaSO4.H2O": ("Ca S O5 H2", ". read as a separator of adducts: CaSO4 + H2O"),
    "Na0.35CoO2.1.3H2O": ("Na0.35 Co O3.3 H2.6", ". read as a separator of adducts: Na0.35CoO2 + 1.3 H2O"),
    "Na0.5.2H2O": ("Na0.5 H4 O2", ". read as a separator of adducts: Na0.5 + 2 H2O"),
    "Na0.7CoO2.05.1.5H2O": ("Na0.7 Co O3.55 H3", ". read as a separator of adducts: Na0.7CoO2.05 + 1.5 H2O"),
    "NaCl.2H2O": ("Na Cl H4 O2", ". read as a separator of adducts: NaCl + 2 H2O"),
    "LiCl.1.5H2O": ("Li Cl H3 O1.5", ". read as a separator of adducts: LiCl + 1.5 H2O"),
    "3CdSO4.8H2O": ("Cd3 S3 O20 H16", ". read as a separator of adducts: 3 CdSO4 + 8 H2O"),
    "MgO.Al2O3": ("Mg Al2 O4", ". read as a separator of adducts: MgO + Al2O3"),
    "CO2.(NH3)2": ("C O2 N2 H6", ". read as a separator of adducts: CO2 + (NH3)2"),
    "CaCO3·MgO.H2O": ("Ca C O5 Mg H2", "· and . read as a separator of adducts: CaCO3 + MgO + H2O"),
    "2NaCl": ("Na2 Cl2", "leading 2 read as a multiplier: 2 NaCl"),
    "0.5Fe2O3": ("Fe O1.5", "leading 0.5 read as a multiplier: 0.5 Fe2O3"),
    # Isotopes.
    "D2O": ("H2 O", "D read as H"),
    "T": ("H", "T read as H"),
    "HDO": ("H2 O", "D read as H"),
    # Characters and mark-up.
    "Fe₂O₃": ("Fe2 O3", "subscript ₂ read as 2; subscript ₃ read as 3"),
    "Ｆｅ２Ｏ３": ("Fe2 O3", "full-width characters read as plain ones"),
    "Fe\u200b2O3\ufeff": ("Fe2 O3", "zero-width characters removed"),
    "Fe2\u00a0O3": ("Fe2 O3", "white space removed"),
    " NaCl\n": ("Na Cl", "white space removed"),
    "Fe2 O3": ("Fe2 O3", "white space removed"),
    "Fe 2 O 3": ("Fe2 O3", "white space removed"),
    "Na Cl": ("Na Cl", "white space removed"),
    "Fe_2O_3": ("Fe2 O3", "mark-up of subscripts and superscripts removed"),
    "Fe$_2$O$_{3}$": ("Fe2 O3", "mark-up of subscripts and superscripts removed"),
    "Fe<sub>2</sub>O<SUB>3</SUB>": ("Fe2 O3", "mark-up of subscripts and superscripts removed"),
    # Charges.
    "SO4^2-": ("S O4", "charge 2- dropped"),
    "SO4 2-": ("S O4", "white space removed; charge 2- dropped"),
    "(SO4)2-": ("S O4", "charge 2- dropped"),
    "SO₄²⁻": ("S O4", "subscript ₄ read as 4; charge 2- dropped"),
    "SO₄2-": ("S O4", "subscript ₄ read as 4; charge 2- dropped"),
    "SO$_4^{2-}$": ("S O4", "mark-up of subscripts and superscripts removed; charge 2- dropped"),
    "SO<sub>4</sub><sup>2-</sup>": ("S O4", "mark-up of subscripts and superscripts removed; charge 2- dropped"),
    "[Fe(CN)6]^3-": ("Fe C6 N6", "charge 3- dropped"),
    "[Fe(CN)6]3-": ("Fe C6 N6", "charge 3- dropped"),
    "[W12O40]^10-": ("W12 O40", "charge 10- dropped"),
    "NH4+": ("N H4", "charge + dropped"),
    "NO3−": ("N O3", "− read as a minus sign; charge - dropped"),
    "Fe3+": ("Fe", "charge 3+ dropped"),
    "Fe³⁺": ("Fe", "charge 3+ dropped"),
    "Fe+3": ("Fe", "charge 3+ dropped"),
    "Na+": ("Na", "charge + dropped"),
    "Ca++": ("Ca", "charge ++ dropped"),
}

REFUSED = {
    # Missing values and words.
    "": "missing formula",
    "   ": "missing formula",
    "nan": "missing value; sodium nitride is written NaN",
    "None": "missing value",
    "TIO2": "did you mean TiO2?",
    "NULL": "missing value",
    "NaT": "missing value",
    "quartz": "'quartz' is no element",
    "nacl": "did you mean NaCl?",
    "NACL": "did you mean NaCl?",
    "fe2o3": "did you mean Fe2O3?",
    "123": "no element",
    "TiO2 (rutile)": "'rutile' is no element",
    "Fe2O3 hematite": "write the formula alone",
    "CuSO4 x 5H2O": "· between the parts",
    "SiO2(s)": "label of the state, '(s)'",
    "α-Al2O3": "label of the phase, 'α-'",
    "δ-Bi2O3": "label of the phase, 'δ-'",
    # Elements that are none.
    "Xx2": "'Xx' is not a chemical element",
    "Zz3": "'Zz' is not a chemical element",
    "Ln2O3": "'Ln' is not a chemical element",
    "СO2": "cyrillic capital letter es",
    "Zn(OAc)2": "acetate or actinium",
    "NaOAc": "acetate or actinium",
    "C02": "begins with a zero",
    # Variable amounts.
    "SiO(2-x)": "variable amount 'x'",
    "SiOx": "variable amount 'x'",
    "YBa2Cu3O7-x": "variable amount 'x'",
    "YBa2Cu3O7-δ": "variable amount 'δ'",
    "LixCoO2": "variable amount 'x'",
    "HxWO3": "variable amount 'x'",
    "Fe1-xO": "variable amount 'x'",
    "La1-xSrxMnO3": "variable amount 'x'",
    "CuSO4·nH2O": "variable amount 'n'",
    # Dots and adducts with two readings.
    "Al2O3.2SiO2.2H2O": "write · between the parts",
    "Al2O3.2SiO2·2H2O": "write · between the parts",
    "Al2O3.2SiO2": "write · between the parts",
    "K2O.Al2O3.6SiO2": "write · between the parts",
    "MgSO4.7NH3": "write · between the parts",
    "Ca1.5H2O": "write · between the parts",
    "FeO1.5.2H2O": "write · between the parts",
    "Ca1.7SiO3.7H2O": "write · between the parts",
    "CuSO4.05H2O": "write · between the parts",
    "Fe1.2.3": "is no number",
    "Fe.5Ni.5": "write 0.5 for .5",
    "NaCl.": "a dot at the start, at the end",
    ".NaCl": "a dot at the start, at the end",
    "Na..Cl": "doubled",
    "NaCl·": "nothing before or after",
    "·NaCl": "nothing before or after",
    "CaO··H2O": "nothing before or after",
    "CaSO4 2H2O": "numbers apart in '4 2'",
    "CaSO₄2H₂O": "numbers apart in '4 2'",
    "CaSO<sub>4</sub>2H2O": "numbers apart in '4 2'",
    "Fe2 3": "numbers apart in '2 3'",
    "CaSO4·2½H2O": "numbers apart",
    "CaSO4(2H2O)": "write · before the number",
    # Charges with two readings, and signs where none belongs.
    "SO42-": "write the charge as in SO4^2-",
    "Hg22+": "write the charge as in SO4^2-",
    "VO2+": "write the charge as in SO4^2-",
    "Co(NH3)2+": "write the charge as in SO4^2-",
    "SO4-2": "sample numbers",
    "Fe3+2O3": "leave oxidation states out",
    "Na+Cl-": "leave oxidation states out",
    "TiO2-SiO2": "write · between the parts",
    "Fe2O³": "a superscript that is no charge",
    "¹³CO2": "leave mass numbers out",
    "Fe(III)2O3": "Roman numeral",
    "Fe(VI)": "Roman numeral",
    "CuII": "Roman numeral",
    # Brackets, amounts and foreign characters.
    "(Fe": "never closed",
    "Fe)": "closes no bracket",
    "[NaCl)": "closes no bracket",
    "Fe()": "an empty one",
    "(" * 30 + "Fe" + ")" * 30: "nested deeper than 20",
    "Fe0O": "an amount of 0",
    "0NaCl": "an amount of 0",
    "Fe0.000000001O": "an amount of 0.000000001",
    "Fe0.00000001O": "an amount of 0.00000001",
    "(Fe0.0001)0.0001": "1e-08 atoms of Fe",
    "Fe1000001": "an amount of 1000001",
    "(Fe1000)1001": "1.001e+06 atoms of Fe",
    "Fe" + "9" * 400: "an amount of 9999",
    "Fe1e3": "exponent",
    "Fe1e400": "exponent",
    "Fe0,5Ni0,5": "decimal point",
    "(Fe,Ni)S": "its amount",
    "CaSO4·1/2H2O": "write a decimal number for a fraction",
    "Y3N@C80": "'@' has no meaning",
    "Fe٣": "arabic-indic digit three",
    r"\ce{Fe2O3}": "mark-up",
    "Fe" * 5_000: "10,000 characters",
}


@pytest.mark.parametrize("text", UNCHANGED)
def test_plain_formula_is_read_as_it_stands(text):
    parsed = parse_formula(text)
    assert parsed.rewrites == ()
    assert parsed.composition.get_el_amt_dict() == pytest.approx(UNCHANGED[text])
    assert amounts_of(text) == pytest.approx(UNCHANGED[text])
    assert parsed.composition.almost_equals(Composition(text))


@pytest.mark.parametrize("text", REWRITTEN)
def test_rewritten_formula_says_what_was_changed(text):
    composition, rewrites = REWRITTEN[text]
    parsed = parse_formula(text)
    assert parsed.composition.almost_equals(Composition(composition))
    assert "; ".join(parsed.rewrites) == rewrites
    assert amounts_of(text) == parsed.composition.get_el_amt_dict()


@pytest.mark.parametrize("text", REFUSED)
def test_doubtful_formula_is_refused_with_a_reason(text):
    for read in (parse_formula, amounts_of):
        with pytest.raises(FormulaError) as caught:
            read(text)
        assert REFUSED[text] in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_missing_value_is_told_from_sodium_nitride(text):
    with pytest.raises(FormulaError, match="keep_default_na=False"):
        parse_formula(text)


@pytest.mark.parametrize("value", [5, 1.5, b"Fe", {"Fe": 1}, ["Fe"], True])
def test_other_types_are_refused_by_name(value):
    with pytest.raises(FormulaError, match=rf"a str or a pymatgen Composition, got {type(value).__name__}"):
        parse_formula(value)


def test_structure_is_refused_with_a_remedy():
    structure = Structure(Lattice.cubic(4.2), ["Po"], [[0, 0, 0]])
    with pytest.raises(FormulaError, match=r"got Structure; pass its \.composition"):
        parse_formula(structure)


@pytest.mark.parametrize(
    ("composition", "formula", "rewrites"),
    [
        (Composition("Sr2Ti2O6"), "SrTiO3", ()),
        (Composition({"Fe3+": 2, "O2-": 3}), "Fe2O3", ("oxidation states dropped",)),
        (Composition({"Fe2+": 1, "Fe3+": 2, "O2-": 4}), "Fe3O4", ("oxidation states dropped",)),
        (Composition({"D": 1, "H": 1, "O": 1}), "H2O", ("D read as H",)),
    ],
)
def test_composition_is_read_like_text(composition, formula, rewrites):
    parsed = parse_formula(composition)
    assert (parsed.formula, parsed.rewrites) == (formula, rewrites)
    assert all(isinstance(element, Element) for element in parsed.composition)


@pytest.mark.parametrize(
    ("composition", "reason"),
    [
        (Composition("Xx2O"), "'Xx' is not a chemical element"),
        (Composition({}), "empty composition"),
        (Composition({"Fe": -1}, allow_negative=True), "-1 atoms of Fe"),
        (Composition({"Fe": 1e12}), "1e\\+12 atoms of Fe"),
        (Composition({"Fe": 1e-8, "O": 1}), "1e-08 atoms of Fe"),
        (Composition({"Fe": float("inf")}), "atoms of Fe"),
    ],
)
def test_bad_composition_is_refused(composition, reason):
    with pytest.raises(FormulaError, match=reason):
        parse_formula(composition)


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("O3SrTi", "SrTiO3"),
        ("Fe2S3O12", "Fe2(SO4)3"),
        ("Fe0.5Ni0.5", "Fe0.5Ni0.5"),
        ("Li4O4", "Li2O2"),
        ("O", "O2"),
        ("S8", "S"),
        ("Fe0.00001Ni", "Fe0.00001Ni1"),
    ],
)
def test_canonical_formula_is_the_reduced_one_of_pymatgen_without_exponents(text, formula):
    assert parse_formula(text).formula == formula


SYMBOLS = st.sampled_from(sorted(ELECTRONEGATIVITIES))
NUMBERS = st.one_of(
    st.just(""),
    st.integers(1, 500).map(str),
    st.integers(1, 9_999_999).map(lambda n: f"{n / 10_000_000:.7f}".rstrip("0")),
    st.tuples(st.integers(1, 99), st.integers(1, 9_999)).map(lambda pair: f"{pair[0]}.{pair[1]:04d}"),
)
UNITS = st.lists(st.tuples(SYMBOLS, NUMBERS).map("".join), min_size=1, max_size=6).map("".join)
GROUPS = st.recursive(
    UNITS, lambda inner: st.tuples(inner, inner, st.integers(1, 9)).map(lambda t: f"{t[0]}({t[1]}){t[2]}"), max_leaves=4
)
CHARACTERS = "HCNOFeSICuVD" + "0123456789" + "..··()[]{}^+-−_ ₂²⁻xδ½"


@given(text=GROUPS)
@settings(max_examples=200, deadline=None)
def test_accepted_plain_formula_reads_as_in_pymatgen(text):
    try:
        amounts = amounts_of(text)
    except FormulaError:
        return
    assert amounts == pytest.approx(Composition(text).get_el_amt_dict())
    assert amounts == pytest.approx(amounts_of(f"[{text}]"))  # brackets take the way round the fast one


@given(amounts=st.dictionaries(SYMBOLS, NUMBERS, min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_no_formula_with_each_element_once_is_refused(amounts):
    text = "".join(symbol + number for symbol, number in amounts.items())
    if text.endswith(("H2O", "NH3")) or "OAc" in text:
        return
    assert parse_formula(text).rewrites == ()


@given(text=st.one_of(st.text(), st.text(CHARACTERS, max_size=20), st.text(string.printable, max_size=20), GROUPS))
@example("KV2I2")
@example("Fe0.0000001O")
@settings(max_examples=500, deadline=None)
def test_nothing_but_a_formula_error_and_canonical_forms_are_read_as_they_stand(text):
    try:
        parsed = parse_formula(text)
    except FormulaError as error:
        with pytest.raises(FormulaError) as caught:
            amounts_of(text)
        assert str(caught.value) == str(error)
        return
    again = parse_formula(parsed.formula)
    assert again.rewrites == ()
    assert again.formula == parsed.formula
    for element, amount in parsed.composition.items():
        fraction = amount / parsed.composition.num_atoms
        # Canonical amounts have 8 decimals, and those of the least formula, one atom in 1e7, differ by 5 %.
        assert again.composition.get_atomic_fraction(element) == pytest.approx(fraction, rel=0.05, abs=1e-7)


@pytest.mark.parametrize("unit", ["(", "((Fe)", "1", "1.", "Fe2.5", ".5", "+", "^2", " 1", "x", "n", "_1", "<sub>1"])
def test_long_nonsense_is_refused_at_once(unit):
    started = time.process_time()
    with pytest.raises(FormulaError):
        parse_formula("Fe" + (unit * 1_000)[:997])
    assert time.process_time() - started < 1  # milliseconds are needed; a formula that hangs takes minutes


def test_pymatgen_warnings_of_missing_electronegativities_are_not_shown(recwarn):
    parse_formula("HeNeArOg")
    assert not recwarn


def test_result_is_a_frozen_value():
    assert parse_formula("NaCl") == ParsedFormula(Composition("NaCl"), "NaCl", ())
    with pytest.raises(AttributeError):
        parse_formula("NaCl").formula = "KCl"


@pytest.mark.parametrize("name", ["matbench_composition_tasks.csv.gz", "mp_labels.csv.gz"])
def test_formulas_of_databases_are_read_unchanged(name, database_structures):
    formulas = pd.read_csv(database_structures / name, keep_default_na=False, usecols=["formula"])["formula"]
    for text in formulas[::20]:
        parsed = parse_formula(text)
        assert parsed.rewrites == ()
        assert parsed.composition.almost_equals(Composition(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Yy", "'Yy' is not a chemical element"),
        ("YyO2", "'Yy' is not a chemical element"),
        ("FeOy", "variable amount 'y'"),
        ("YBa2Cu3Ox", "variable amount 'x'"),
    ],
)
def test_a_symbol_that_is_none_is_told_from_a_variable_amount(text, reason):
    with pytest.raises(FormulaError, match=reason):
        parse_formula(text)


@pytest.mark.parametrize(
    "formula", ["Al0.5Ga0.5As1", "AlGaAs2", "Ga0.25Al0.25As0.5", "Si0.99999P0.00001", "Fe0.3333O0.6667"]
)
def test_formulas_to_leave_out_are_found_in_any_spelling(formula):
    amounts = amounts_of(formula)
    whole = {symbol: round(amount * 10**8) for symbol, amount in amounts.items()}
    found = reduced_formulas([formula])
    assert parse_formula(formula).formula in found
    assert Composition(whole).reduced_formula in found
    assert len(found) <= 2
    for spelling in found:
        assert parse_formula(spelling).composition.fractional_composition.almost_equals(
            Composition(amounts).fractional_composition
        )
