"""Back-off: every token of the grammar gets a vector, learned ones stay, and the guesses are chemistry."""

from itertools import product

import numpy as np
import pytest

from matembed.backoff import BackOffCosines, PartsModel, back_off, back_off_error, nearest_elements
from matembed.cards import Card
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.tokens import parse_token

CARD = Card(name="demo", settings={"dim": 8})
DIM = 8
ELEMENTS = SYMBOLS[1:104]
CENTRES = ("Li", "Na", "Mg", "Al", "Si", "Ti", "V", "Fe", "Zn", "Zr")
LIGANDS = ("O", "F", "S", "Cl", "N")
GEOMETRIES = ("T:4", "S:4", "O:6", "T:6", "C:8", "I:12")
MOTIFS = tuple(f"{c}{x}{g[2:]}:{g}" for c, x, g in product(CENTRES, LIGANDS, GEOMETRIES))


def table_of(tokens, seed=0):
    return EmbeddingTable(tuple(tokens), np.random.default_rng(seed).standard_normal((len(tokens), DIM)), CARD)


def additive(tokens):
    """Vectors that are sums of random vectors of centre, oxidation state, geometry and ligands."""
    rng = np.random.default_rng(1)
    keys = [*SYMBOLS[1:], *(f"ligand {symbol}" for symbol in SYMBOLS[1:]), *GEOMETRIES, *range(-4, 8), None]
    parts = dict(zip(keys, rng.standard_normal((len(keys), DIM)), strict=True))

    def vector(text):
        token = parse_token(text)
        total = parts[token.element] + parts[token.oxidation]
        if token.geometry:
            ligands = sum(parts[f"ligand {symbol}"] * amount / token.cn for symbol, amount in token.ligands)
            total = total + parts[token.geometry] + ligands
        return total

    return EmbeddingTable(tuple(tokens), [vector(token) for token in tokens], CARD)


def cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


# Every token gets a vector


@pytest.mark.parametrize("known", [("Li",), ("O", "Fe", "Gd"), ELEMENTS[:89], ("Li+", "O2-", "Fe2+", "Fe3+")])
def test_every_element_to_lawrencium_gets_a_vector(known):
    table = table_of(known)
    whole = back_off(table, ELEMENTS)
    assert set(ELEMENTS) <= set(whole.tokens)
    assert whole.backed_off == set(ELEMENTS) - set(known)
    assert np.array_equal(whole.subset(known).vectors, table.vectors)


@pytest.mark.parametrize("known", [MOTIFS, MOTIFS[:1], ("Ti4+O6:O:6", "Fe3+O4:T:4"), ("Ti", "O"), ("O:6",), ("Ti4+",)])
def test_every_motif_gets_a_vector(known):
    asked = ["PoLr7:AC:7", "Po4+Lr7:AC:7", "TiF2O4:O:6", "Ti3+O6:O:6", "Fe2.67+O4:T:4", "UO20:UNKNOWN:20", "CsCl8:C:8"]
    whole = back_off(table_of(known), asked)
    assert whole.tokens == (*known, *asked)
    assert whole.backed_off == set(asked)


@pytest.mark.parametrize("known", [("Ti4+", "O2-"), ("Ti4+",), ("Ti", "O")])
def test_every_species_gets_a_vector(known):
    asked = ["Lr3+", "Ti3+", "O-", "Fe2.67+", "H-", "N5+"]
    assert back_off(table_of(known), asked).backed_off == set(asked)


@pytest.mark.parametrize("known", [("O:6", "T:4"), MOTIFS, (*MOTIFS, "O:6", "T:4", "C:8")])
def test_every_geometry_gets_a_vector(known):
    asked = ["TT_1:9", "S:1", "UNKNOWN:20", "I:12"]
    assert back_off(table_of(known), asked).backed_off == set(asked)


def test_what_is_known_changes_nothing():
    table = table_of(("Li", "Na", "-corner-"))
    assert back_off(table, ["Na", "-corner-"]) is table
    assert back_off(table, []) is table
    again = back_off(back_off(table, ["K"]), ["Na", "K"])
    assert again.card.settings["steps"] == [{"back_off": {"n_tokens": 1, "ridge": 1.0}}]


def test_asking_at_once_or_one_by_one_is_the_same():
    asked = ["K", "Rb", "Na+", "TiO6:O:6", "FeO4:T:4", "O:6"]
    table = table_of(("Li", "Cs", "Li+", "Cs+", "ZrO6:O:6", "VO4:T:4", "C:8", "T:4"))
    once, one_by_one = back_off(table, [*asked, *asked]), table
    for token in asked:
        one_by_one = back_off(one_by_one, [token])
    assert once.tokens == one_by_one.tokens
    assert once.backed_off == one_by_one.backed_off
    assert np.allclose(once.vectors, one_by_one.vectors, atol=1e-6)  # float32 rounding


def test_same_table_same_bytes():
    table = additive(MOTIFS[::2])
    assert back_off(table, MOTIFS).vectors.tobytes() == back_off(table, MOTIFS).vectors.tobytes()


def test_flags_survive_the_folder(tmp_path):
    whole = back_off(table_of(ELEMENTS[:89]), ELEMENTS)
    again = EmbeddingTable.read(whole.write(tmp_path / "table"))
    assert again.backed_off == whole.backed_off == set(ELEMENTS[89:])
    assert np.array_equal(again.vectors, whole.vectors)
    assert again.card.settings["steps"] == [{"back_off": {"n_tokens": 14, "ridge": 1.0}}]


@pytest.mark.parametrize(
    ("known", "asked", "says"),
    [
        (("Li",), "-corner-", "geometry, got '-corner-', a token of kind connection; leave it out"),
        (("Li",), "(2)O3", r"got '\(2\)O3'"),
        (("Li",), "perovskite", "got 'perovskite'"),
        (("Li",), "Li1+", "got 'Li1\\+'"),
        (("O:6",), "Li", "for 'Li': EmbeddingTable.* has learned no elements or species; choose another table"),
        (("O:6",), "Li+", "for 'Li\\+': .* has learned no species or elements"),
        (("Li",), "O:6", "for 'O:6': .* has learned no geometries or motifs"),
        (("-edge-",), "LiO6:O:6", "for 'LiO6:O:6': .* has learned no motifs, geometries, elements or species"),
    ],
)
def test_what_cannot_be_made_is_refused(known, asked, says):
    with pytest.raises(ValueError, match=says):
        back_off(table_of(known), [asked])


def test_a_single_text_is_refused():
    with pytest.raises(TypeError, match=r"tokens is a list of tokens, got the text 'Na'; pass \['Na'\] for one"):
        back_off(table_of(("Li",)), "Na")


# Elements


@pytest.mark.parametrize(
    ("symbol", "known", "nearest"),
    [
        ("Na", ("Li", "K", "Rb", "Mg"), ["Li", "K"]),
        ("Pm", ("Nd", "Gd", "Np"), ["Nd"]),
        ("Lr", ("Lu", "Cm", "Pu"), ["Cm"]),
        ("Tc", ("Mo", "Ru", "Ti"), ["Mo", "Ru"]),
        ("Li", ("Na", "Li"), ["Li"]),
        ("Li", (), []),
    ],
)
def test_nearest_elements(symbol, known, nearest):
    assert nearest_elements(symbol, known) == nearest


def test_an_element_is_the_mean_of_its_nearest():
    table = table_of(("Li", "K", "Mg", "Na+"))
    assert np.allclose(back_off(table, ["Na"])["Na"], (table["Li"] + table["K"]) / 2, atol=1e-6)


def test_an_element_of_species_is_their_mean():
    table = table_of(("Fe2+", "Fe3+", "Mn2+"))
    whole = back_off(table, ["Fe", "Tc"])
    assert np.allclose(whole["Fe"], (table["Fe2+"] + table["Fe3+"]) / 2, atol=1e-6)
    assert np.allclose(whole["Tc"], table["Mn2+"], atol=1e-6)


def test_made_vectors_are_not_built_upon():
    table = table_of(("Li", "Rb"))
    assert np.allclose(back_off(back_off(table, ["K"]), ["Na"])["Na"], back_off(table, ["Na"])["Na"])


# Species


def test_species_of_a_table_of_elements_are_their_elements():
    table = table_of(("Ti", "O", "K"))
    whole = back_off(table, ["Ti4+", "Ti3+", "Na+"])
    for token, element in (("Ti4+", "Ti"), ("Ti3+", "Ti"), ("Na+", "K")):
        assert np.array_equal(whole[token], table[element])


def test_sodium_left_out_is_an_alkali_metal():
    rng = np.random.default_rng(0)
    groups = (("Li", "Na", "K", "Rb"), ("Be", "Mg", "Ca", "Sr"), ("Ti", "Zr", "Hf"), ("F", "Cl", "Br", "I"))
    centre = {
        symbol: 2 * each + 0.3 * rng.standard_normal(DIM)
        for group in groups
        for each in [rng.standard_normal(DIM)]
        for symbol in group
    }
    state = {state: rng.standard_normal(DIM) for state in "+-"}
    vectors = {symbol + sign: centre[symbol] + state[sign] for symbol in centre for sign in "+-"}
    table = EmbeddingTable(tuple(vectors), list(vectors.values()), CARD)
    rest = table.subset([token for token in table.tokens if not token.startswith("Na")])
    found = back_off(rest, ["Na+"]).nearest("Na+", 3)
    assert {neighbour.token for neighbour in found} <= {"Li+", "K+", "Rb+"}
    assert cosine(back_off(rest, ["Na+"])["Na+"], table["Na+"]) > 0.9


def test_species_models_come_before_elements():
    table = additive(["Na", *(f"{symbol}{state}+" for symbol in ("Li", "K", "Ti", "Fe", "Zr") for state in (2, 3, 4))])
    made = back_off(table, ["Na2+"])["Na2+"]
    expected = additive(["Li2+", "K2+"]).vectors.mean(axis=0)
    assert cosine(made, expected) > 0.95
    assert cosine(made, expected) > cosine(made, table["Na"])


# Motifs


def test_an_additive_table_is_recovered():
    """The ridge holds back 1 / (n + 1) of a part seen n times; here n is 20 or more."""
    table = additive(MOTIFS)
    rest = table.subset([token for row, token in enumerate(MOTIFS) if row % 7])
    whole = back_off(rest, MOTIFS)
    made = sorted(whole.backed_off)
    assert len(made) == len(MOTIFS[::7])
    assert min(cosine(whole[token], table[token]) for token in made) > 0.98
    assert np.linalg.norm(whole.subset(made).vectors - table.subset(made).vectors, axis=1).max() < 0.7


def test_a_small_ridge_recovers_it_exactly():
    table = additive(MOTIFS)
    asked = ["TiF2O4:O:6", "ZrCl2F3S3:C:8"]
    made = PartsModel(ridge=1e-6).fit(table.tokens, table.vectors).predict(asked)
    assert np.allclose(made, additive(asked).vectors, atol=1e-4)


def test_the_same_motif_stands_in_where_a_table_has_the_other_spelling_only():
    plain = table_of(("TiO6:O:6", "ZrO6:O:6"))
    whole = back_off(plain, ["Ti4+O6:O:6", "Ti3+O6:O:6"])
    assert np.array_equal(whole["Ti4+O6:O:6"], plain["TiO6:O:6"])
    assert np.array_equal(whole["Ti3+O6:O:6"], plain["TiO6:O:6"])
    charged = table_of(("Fe2+O6:O:6", "Fe3+O6:O:6", "Zr4+O6:O:6"))
    made = back_off(charged, ["FeO6:O:6"])["FeO6:O:6"]
    assert np.allclose(made, (charged["Fe2+O6:O:6"] + charged["Fe3+O6:O:6"]) / 2, atol=1e-6)


def test_motifs_of_the_same_spelling_come_first():
    charged = additive([f"{c}4+{x}{g[2:]}:{g}" for c, x, g in product(CENTRES, LIGANDS, GEOMETRIES)])
    plain = table_of(MOTIFS)
    both = EmbeddingTable(charged.tokens + MOTIFS, np.vstack([charged.vectors, plain.vectors]), CARD)
    rest = both.subset([token for token in both.tokens if token != "Ti4+O6:O:6"])
    assert cosine(back_off(rest, ["Ti4+O6:O:6"])["Ti4+O6:O:6"], both["Ti4+O6:O:6"]) > 0.98


def test_an_unwritten_oxidation_state_stands_for_those_of_the_centre():
    motifs = [f"{c}{s}+{x}{g[2:]}:{g}" for c, s, x, g in product(("Ti", "V"), (3, 4), LIGANDS, GEOMETRIES)]
    model = PartsModel().fit(motifs, additive(motifs).vectors)
    asked = ["Ti3+Br6:O:6", "Ti4+Br6:O:6", "TiBr6:O:6"]
    three, four, unwritten = model.predict(asked)
    assert np.allclose(unwritten, (three + four) / 2)


def test_unseen_numbers_borrow_from_the_nearest():
    species = [f"{symbol}{state}+" for symbol in ("Ti", "V", "Cr") for state in (2, 3)]
    model = PartsModel().fit(species, additive(species).vectors)
    three, five, six = model.predict(["Ti3+", "Ti5+", "Ti6+"])
    # only the numeric column tells them apart, and evenly
    assert np.allclose(five - three, 2 * (six - five))


def test_motifs_without_motifs_are_their_geometry_or_elements():
    table = table_of(("O:6", "Ti", "O", "F"))
    whole = back_off(table, ["Ti4+O6:O:6", "TiFO3:T:4"])
    assert np.array_equal(whole["Ti4+O6:O:6"], table["O:6"])
    assert np.allclose(whole["TiFO3:T:4"], (table["Ti"] + 0.25 * table["F"] + 0.75 * table["O"]) / 2, atol=1e-6)
    lone = table_of(("O:6",))
    assert np.allclose(back_off(lone, ["TiO4:T:4"])["TiO4:T:4"], back_off(lone, ["T:4"])["T:4"])


# Geometries


def test_geometries_without_geometries_are_the_mean_of_their_motifs():
    table = table_of(("TiO6:O:6", "ZrO6:O:6", "LiO4:T:4", "TiO8:C:8"))
    whole = back_off(table, ["O:6", "T:6", "S:1"])
    assert np.allclose(whole["O:6"], (table["TiO6:O:6"] + table["ZrO6:O:6"]) / 2, atol=1e-6)
    assert np.array_equal(whole["O:6"], whole["T:6"])
    assert np.array_equal(whole["S:1"], table["LiO4:T:4"])


def test_motifs_help_to_make_a_geometry():
    geometries = ("T:4", "S:4", "SY:4", "O:6", "T:6", "PP:6", "C:8", "SA:8", "DD:8")
    rng = np.random.default_rng(3)
    vectors = dict(zip(geometries, rng.standard_normal((9, DIM)), strict=True))
    vectors |= {f"TiO{g[-1]}:{g}": vectors[g] + 0.1 * rng.standard_normal(DIM) for g in geometries}
    table = EmbeddingTable(tuple(vectors), list(vectors.values()), CARD)
    rest = table.subset([token for token in table.tokens if token != "PP:6"])
    helped = cosine(back_off(rest, ["PP:6"])["PP:6"], table["PP:6"])
    assert helped > 0.9
    assert helped > cosine(back_off(rest.subset(kind="geometry"), ["PP:6"])["PP:6"], table["PP:6"])


# The model and its measure


@pytest.mark.parametrize(
    ("tokens", "vectors", "ridge", "says"),
    [
        (["Li+"], [[1.0]], 0, "ridge must be a finite number, more than 0, got 0"),
        ([], np.ones((0, 1)), 1, "one kind at a time, got none"),
        (["Li"], [[1.0]], 1, r"tokens must be species, motifs or geometries, one kind at a time, got \['element'\]"),
        (["Li+", "O:6"], [[1.0], [2.0]], 1, r"one kind at a time, got \['geometry', 'species'\]"),
        (["Li+"], [1.0], 1, r"1 tokens need vectors of shape \(1, dim\), got \(1,\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(tokens, vectors, ridge, says):
    with pytest.raises(ValueError, match=says):
        PartsModel(ridge=ridge).fit(tokens, vectors)


def test_a_model_predicts_its_kind_once_fitted():
    from sklearn.exceptions import NotFittedError

    model = PartsModel()
    with pytest.raises(NotFittedError, match=r"call fit\(tokens, vectors\) first"):
        model.predict(["Li+"])
    with pytest.raises(ValueError, match="was fitted to species tokens, got 'O:6'; fit another"):
        model.fit(["Li+"], [[1.0]]).predict(["O:6"])
    assert model.predict([]).shape == (0, 1)


def test_the_measure_tells_structure_from_noise():
    good, noise = back_off_error(additive(MOTIFS), kind="motif"), back_off_error(table_of(MOTIFS), kind="motif")
    assert isinstance(good, BackOffCosines)
    assert good.backed_off > 0.98
    assert good.mean_vector < 0.8
    assert abs(noise.backed_off) < 0.3
    assert back_off_error(additive(MOTIFS), kind="motif") == good
    assert back_off_error(additive(MOTIFS), kind="motif", seed=1) != good


def test_the_measure_looks_at_learned_tokens_only():
    table = additive(MOTIFS[::2])
    assert back_off_error(back_off(table, MOTIFS), kind="motif") == back_off_error(table, kind="motif")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "connection"}, "kind must be .* got 'connection'"),
        ({"kind": "element"}, "two learned element tokens or more, got 1; choose another table"),
        ({"kind": "motif", "n_splits": 0}, "n_splits must be 1 or more, got 0"),
    ],
)
def test_the_measure_refuses_nonsense(settings, says):
    with pytest.raises(ValueError, match=says):
        back_off_error(table_of(("Li", *MOTIFS)), **settings)
