"""The grammar of tokens: formatting and parsing are inverses, and kinds cannot collide."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymatgen.core import Element, Species

from matembed import tokens
from matembed.tokens import (
    SHARINGS,
    Token,
    connection_token,
    element_token,
    environment_token,
    geometry_token,
    kind_of,
    motif_token,
    parse_token,
    species_token,
)

SYMBOLS = sorted(element.symbol for element in Element)
elements = st.sampled_from(SYMBOLS)
oxidations = st.integers(-900, 900).map(lambda hundredths: hundredths / 100)
amounts = st.integers(1, 10**9).map(lambda millionths: millionths / 10**6)
geometries = st.builds("{}:{}".format, st.from_regex(r"[A-Z][A-Z0-9_]{0,6}", fullmatch=True), st.integers(1, 20))


@st.composite
def motifs(draw):
    ligands = draw(st.dictionaries(elements, st.integers(1, 12), min_size=1, max_size=4))
    shape = draw(st.from_regex(r"[A-Z][A-Z0-9_]{0,6}", fullmatch=True))
    oxidation = draw(st.none() | oxidations)
    return motif_token(draw(elements), ligands, f"{shape}:{sum(ligands.values())}", oxidation)


BY_KIND = {
    "element": elements.map(element_token),
    "species": st.builds(species_token, elements, oxidations),
    "motif": motifs(),
    "geometry": geometries.map(geometry_token),
    "connection": st.sampled_from(SHARINGS).map(connection_token),
    "environment": st.builds(environment_token, amounts, st.dictionaries(elements, amounts, max_size=5)),
}
some_token = st.one_of(*BY_KIND.values())


@given(some_token)
def test_format_undoes_parse(text):
    assert str(parse_token(text)) == text


@given(elements, oxidations)
def test_parse_undoes_format_of_species(element, oxidation):
    token = parse_token(species_token(element, oxidation))
    assert (token.kind, token.element, token.oxidation) == ("species", element, oxidation)


@given(amounts, st.dictionaries(elements, amounts, max_size=5))
def test_parse_undoes_format_of_environments(amount, rest):
    token = parse_token(environment_token(amount, rest))
    assert (token.kind, token.amount, dict(token.ligands)) == ("environment", amount, rest)


@given(elements, st.dictionaries(elements, st.integers(1, 9), min_size=1, max_size=3), st.none() | oxidations)
def test_parse_undoes_format_of_motifs(element, ligands, oxidation):
    cn = sum(ligands.values())
    token = parse_token(motif_token(element, ligands, f"O:{cn}", oxidation))
    assert (token.kind, token.element, token.oxidation, token.cn) == ("motif", element, oxidation, cn)
    assert dict(token.ligands) == ligands


@pytest.mark.parametrize("kind", BY_KIND)
def test_kinds_cannot_collide(kind):
    @given(BY_KIND[kind])
    def each(text):
        assert kind_of(text) == kind
        matching = [name for name, pattern in tokens._PATTERNS.items() if pattern.fullmatch(text)]
        assert matching == [kind]

    each()


@pytest.mark.parametrize("kind", BY_KIND)
def test_no_text_fits_two_patterns(kind):
    @given(st.from_regex(tokens._PATTERNS[kind], fullmatch=True))
    def each(text):
        assert [name for name, pattern in tokens._PATTERNS.items() if pattern.fullmatch(text)] == [kind]

    each()


@given(some_token)
def test_tokens_hold_no_white_space_or_comma(text):
    assert text.split() == [text]
    assert "," not in text


@given(st.text(alphabet="TiOFe0123456789+-:()._cornerdgfa", max_size=12) | st.text(max_size=8))
@example("Ti4+\n")
@example("٣")
@example("Ti٣+")
def test_whatever_parses_is_canonical(text):
    try:
        token = parse_token(text)
    except ValueError:
        assert kind_of(text) is None
    else:
        assert str(token) == text
        assert kind_of(text) == token.kind


@given(elements, oxidations.filter(lambda oxidation: oxidation != 0))
def test_pymatgen_reads_species_tokens(element, oxidation):
    species = Species.from_str(species_token(element, oxidation))
    assert (species.symbol, species.oxi_state) == (element, pytest.approx(oxidation))


@given(motifs() | BY_KIND["species"])
def test_without_oxidation_forgets_only_the_charge(text):
    token = parse_token(text)
    bare = token.without_oxidation()
    assert bare.oxidation is None
    assert bare == parse_token(str(bare))
    assert (bare.element, bare.ligands, bare.geometry) == (token.element, token.ligands, token.geometry)
    assert bare.without_oxidation() is bare


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("Ti", Token("element", element="Ti")),
        ("Ti4+", Token("species", element="Ti", oxidation=4)),
        ("O2-", Token("species", element="O", oxidation=-2)),
        ("Na+", Token("species", element="Na", oxidation=1)),
        ("Cl-", Token("species", element="Cl", oxidation=-1)),
        ("Fe2.67+", Token("species", element="Fe", oxidation=2.67)),
        ("Au0+", Token("species", element="Au", oxidation=0)),
        ("TiO6:O:6", Token("motif", element="Ti", ligands=(("O", 6),), geometry="O:6")),
        ("Ti4+F2O4:O:6", Token("motif", element="Ti", oxidation=4, ligands=(("F", 2), ("O", 4)), geometry="O:6")),
        ("CO3:TL:3", Token("motif", element="C", ligands=(("O", 3),), geometry="TL:3")),
        ("HO:S:1", Token("motif", element="H", ligands=(("O", 1),), geometry="S:1")),
        ("CsCl8:C:8", Token("motif", element="Cs", ligands=(("Cl", 8),), geometry="C:8")),
        ("LaO14:UNKNOWN:14", Token("motif", element="La", ligands=(("O", 14),), geometry="UNKNOWN:14")),
        ("TT_1:9", Token("geometry", geometry="TT_1:9")),
        ("-edge-", Token("connection", sharing="edge")),
        ("(2)Se3", Token("environment", amount=2, ligands=(("Se", 3),))),
        ("(0.5)", Token("environment", amount=0.5)),
        ("(1)O3Ti", Token("environment", amount=1, ligands=(("O", 3), ("Ti", 1)))),
    ],
)
def test_by_hand(text, token):
    assert parse_token(text) == token
    assert str(token) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ti",
        "Xx",
        "Xx2+",
        "Ti 4+",
        "Ti+4",
        "Na1+",
        "Ti04+",
        "Fe2.670+",
        "Fe2.667+",
        "Ti--",
        "Ti0-",
        "TiO6",
        "TiO6:O",
        "TiO5:O:6",
        "TiO4F2:O:6",
        "TiO3O3:O:6",
        "TiO1F5:O:6",
        "TiO0F6:O:6",
        "XxO6:O:6",
        "TiXx6:O:6",
        "O:0",
        "O:06",
        "o:6",
        "-Corner-",
        "-corner",
        "-vertex-",
        "()O2",
        "(0)O2",
        "(1.0)O2",
        "(1)O1",
        "(1)O2O",
        "(1)TiO",
        "(-1)O2",
        "(1)Xx",
        pytest.param(f"CuO{'9' * 400}:O:6", id="more ligands than a float holds"),
        pytest.param(f"({'9' * 400})O", id="more atoms than a float holds"),
    ],
)
def test_refused(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_token(text)
    assert kind_of(text) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: element_token("Xx"),
        lambda: element_token("Ti4+"),
        lambda: species_token("Xx", 2),
        lambda: species_token("Ti", math.nan),
        lambda: species_token("Ti", math.inf),
        lambda: motif_token("Ti", {"O": 5}, "O:6"),
        lambda: motif_token("Ti4+", {"O": 6}, "O:6"),
        lambda: environment_token(1e-9, {"O": 2}),
        lambda: motif_token("Ti", {}, "O:6"),
        lambda: motif_token("Ti", {"O": 7, "F": -1}, "O:6"),
        lambda: motif_token("Ti", {"O": 6}, "octahedron"),
        lambda: motif_token("Ti", {"O": 6}, "O:6", oxidation=math.inf),
        lambda: geometry_token("octahedron"),
        lambda: connection_token("vertex"),
        lambda: environment_token(0, {"O": 2}),
        lambda: environment_token(-1, {"O": 2}),
        lambda: environment_token(1, {"O": 0}),
        lambda: environment_token(1, {"O": -2}),
        lambda: environment_token(1, {"Xx": 2}),
        lambda: environment_token(math.nan, {"O": 2}),
        lambda: environment_token(1, {"O": math.inf}),
    ],
)
def test_what_cannot_be_is_not_formatted(make):
    with pytest.raises(ValueError):
        make()


def test_ligand_order_does_not_matter():
    assert motif_token("Ti", {"O": 4, "F": 2}, "O:6") == motif_token("Ti", {"F": 2, "O": 4}, "O:6") == "TiF2O4:O:6"


def test_amounts_are_kept_to_a_millionth():
    # rounding of sums such as 0.1 + 0.2 must make no new token
    assert environment_token(0.1 + 0.2, {"O": 1 + 1e-12}) == environment_token(0.3, {"O": 1}) == "(0.3)O"
    assert environment_token(1 - 1e-12, {"O": 3 - 1e-12}) == "(1)O3"


def test_charges_are_kept_to_a_hundredth():
    assert species_token("Fe", 8 / 3) == "Fe2.67+"
    assert species_token("Na", 1 + 1e-12) == "Na+"
    assert species_token("Au", -1e-12) == species_token("Au", 0) == "Au0+"


def test_every_chemenv_geometry_is_a_token():
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries

    symbols = [geometry.mp_symbol for geometry in AllCoordinationGeometries().get_geometries()]
    symbols = [symbol for symbol in symbols if symbol not in ("UNKNOWN", "UNCLEAR")]  # not geometries
    assert len(symbols) > 60
    for symbol in symbols:
        token = parse_token(geometry_token(symbol))
        assert token.geometry == symbol


def test_a_word_of_prose_has_no_kind():
    assert [kind_of(word) for word in ("thermoelectric", "band_gap", "LiCoO2", "the")] == [None] * 4
