import numpy as np
import pandas as pd
import pytest
from pymatgen.core.periodic_table import Element
from sklearn.model_selection import GroupKFold, cross_val_predict

from matembed import Card, EmbeddingTable, make_model, probe
from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.probes import _property, _rectangles
from matembed.tokens import parse_token

SYMBOLS = [Element.from_Z(number).symbol for number in range(1, 84)]
PLACES = EmbeddingTable(
    tuple(SYMBOLS),
    [[Element(s).row / 2, *(3.0 * (Element(s).group == group) for group in range(1, 19))] for s in SYMBOLS],
    Card("places"),
)
SPECIES = [f"{s}{charge}+" for s in SYMBOLS[10:60] for charge in (2, 3, 4)]


def scores(tables, vectors: str = "table", **settings) -> pd.Series:
    asked = probe(tables, n_random=1, **settings)
    return asked[asked["vectors"] == vectors].set_index("probe")["score"]


@pytest.fixture(scope="module")
def places() -> pd.DataFrame:
    return probe(PLACES, n_random=2)


def test_the_frame_is_tidy(places: pd.DataFrame) -> None:
    assert list(places.columns) == ["table", "vectors", "probe", "score", "standard_error", "n"]
    assert places["vectors"].drop_duplicates().tolist() == ["table", "one_hot", "random"]
    assert places.groupby("vectors").size().tolist() == [10] * 3
    assert (places["table"] == "places").all()


def test_a_table_of_places_knows_groups(places: pd.DataFrame) -> None:
    known = places[places["vectors"] == "table"].set_index("probe")["score"]
    assert known["same_group@1"] > 0.8
    assert known["same_block@5"] > 0.8
    assert known["analogy@5"] > 0.8
    assert known["electronegativity"] > 0.5


def test_one_hot_and_random_vectors_know_what_chance_knows(places: pd.DataFrame) -> None:
    group = [57 if e.is_lanthanoid else e.group for e in map(Element, SYMBOLS)]
    others = [group.count(number) - 1 for number in group if group.count(number) > 1]
    chance = np.mean(others) / (len(SYMBOLS) - 1)
    floors = places.set_index(["vectors", "probe"])["score"]
    one_hot = floors["one_hot"]
    assert one_hot["same_group@1"] == pytest.approx(chance)
    assert one_hot["same_group@R"] == pytest.approx(chance)
    assert one_hot["analogy@1"] == pytest.approx(1 / (len(SYMBOLS) - 3))
    assert one_hot["analogy@5"] == pytest.approx(5 / (len(SYMBOLS) - 3))
    assert one_hot["effective_rank"] == pytest.approx(len(SYMBOLS) - 1)
    properties = ["electronegativity", "atomic_radius", "molar_volume", "melting_point"]
    assert (one_hot[properties] <= 0).all()
    assert (floors["random"][properties] < 0.1).all()  # two draws of 18 columns for 83 elements
    assert floors["random"]["same_group@1"] < 3 * chance


def test_the_order_and_the_scale_of_a_table_do_not_matter() -> None:
    table = random_table(SYMBOLS, 6, seed=1)
    shuffled = EmbeddingTable(table.tokens[::-1], table.vectors[::-1] * 4, Card("shuffled"))
    first, second = scores(table), scores(shuffled)
    # float32 vectors times a power of two are exact; sums are not.
    np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-9)


def test_same_seed_same_numbers() -> None:
    table = random_table(SYMBOLS, 4)
    first, again, other = (probe(table, n_random=1, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_r2_and_its_jackknife_are_those_of_the_definition() -> None:
    table = random_table(sorted(SYMBOLS), 3, seed=5)
    table = EmbeddingTable(table.tokens, table.vectors + PLACES.subset(table.tokens).vectors[:, :3], Card("noisy"))
    row = probe(table, n_random=1).iloc[0]
    y = np.array([_property(symbol, "electronegativity") for symbol in table.tokens])
    rows, y = table.vectors[np.isfinite(y)].astype(float), y[np.isfinite(y)]
    cv = GroupKFold(10, shuffle=True, random_state=0)
    predicted = cross_val_predict(make_model("ridge"), rows, y, groups=np.arange(len(y)), cv=cv)

    def r2(kept: np.ndarray) -> float:
        return 1 - ((predicted - y)[kept] ** 2).sum() / ((y[kept] - y[kept].mean()) ** 2).sum()

    without = np.array([r2(np.arange(len(y)) != idx) for idx in range(len(y))])
    jackknife = np.sqrt((len(y) - 1) / len(y) * ((without - without.mean()) ** 2).sum())
    assert row["probe"] == "electronegativity"
    assert row["score"] == pytest.approx(r2(np.ones(len(y), dtype=bool)))
    assert row["standard_error"] == pytest.approx(jackknife)
    assert row["n"] == len(y)


def test_properties_are_those_of_pymatgen() -> None:
    assert _property("Ti", "melting_point") == 1941
    assert _property("Ti", "atomic_radius") == 1.4
    assert np.isnan(_property("He", "electronegativity"))


def test_rectangles_are_of_neighbouring_groups_and_periods() -> None:
    rectangles = _rectangles()
    assert ("Na", "K", "Mg", "Ca") in rectangles
    assert ("Ca", "Mg", "K", "Na") in rectangles
    assert len(set(rectangles)) == len(rectangles) == 188
    for a, b, c, d in (map(Element, four) for four in rectangles):
        assert a.group == b.group
        assert c.group == d.group
        assert (a.row, b.row) == (c.row, d.row)
        assert abs(a.row - b.row) == 1


def test_species_are_asked_without_giving_the_element_away() -> None:
    tokens = [token for token in SPECIES if parse_token(token).element not in ("Ar", "Kr", "Xe")]
    charge = EmbeddingTable(tuple(tokens), [[parse_token(token).oxidation] for token in tokens], Card("charge"))
    known = scores(charge)
    assert known["species_oxidation_state"] > 0.99
    assert known["species_ionic_radius"] < 0.9
    # The element of a species, in so many columns, says nothing of an element that was never met.
    names = [parse_token(token).element for token in tokens]
    one_hot = np.equal.outer(names, sorted(set(names))).astype(float)
    element = scores(EmbeddingTable(tuple(tokens), one_hot, Card("element")))
    assert element["species_oxidation_state"] <= 0
    assert scores(charge, "one_hot").max() <= 0


def motif_table() -> EmbeddingTable:
    tokens = [
        f"{centre}{ligand}{cn}:{geometry}"
        for centre in ("Ti", "Zr", "Fe", "Mn", "Co", "Ni", "V", "Cr", "Al", "Ga", "In", "Sc")
        for ligand in ("O", "S", "F", "Cl")
        for cn, geometry in ((4, "T:4"), (6, "O:6"), (8, "C:8"))
    ]
    return EmbeddingTable(tuple(tokens), [[parse_token(t).cn, 1.0] for t in tokens], Card("motifs"))


def test_motifs_are_asked_about_geometry_and_coordination_number() -> None:
    table = motif_table()
    asked = probe(table, n_random=2).set_index(["vectors", "probe"])
    assert asked.loc[("table", "motif_geometry"), "score"] > 0.6  # of three on a line, the middle one is at the centre
    assert asked.loc[("table", "motif_cn"), "score"] > 0.99
    assert asked.loc[("one_hot", "motif_geometry"), "score"] == pytest.approx(1 / 3)
    assert asked.loc[("one_hot", "motif_cn"), "score"] <= 0
    assert "motif_oxidation_state" not in asked.index.get_level_values("probe")
    fewer = probe(table, n_random=1, max_motifs=80).set_index("probe")
    assert (fewer["n"] == 80).all()


def test_one_common_geometry_is_nothing_to_ask() -> None:
    tokens = [token for token in motif_table().tokens if token.endswith("O:6")]
    kept = [*tokens, "ZnO4:T:4", "CdO4:T:4"]
    asked = probe(EmbeddingTable(tuple(kept), np.eye(len(kept)), Card("octahedra")), n_random=1)
    assert "motif_cn" in set(asked["probe"])
    assert "motif_geometry" not in set(asked["probe"])


def test_the_centre_gives_no_geometry_away() -> None:
    tokens = motif_table().tokens
    centres = sorted({parse_token(token).element for token in tokens})
    cn = {centre: (4, 6, 8)[idx % 3] for idx, centre in enumerate(centres)}
    kept = [t for t in tokens if parse_token(t).cn == cn[parse_token(t).element]]
    kept += [t.replace("Ti", other) for t in tokens if t.startswith("Ti") for other in ("Y", "La", "Hf")]
    one_hot = np.equal.outer([parse_token(t).element for t in kept], [*centres, "Y", "La", "Hf"]).astype(float)
    asked = scores(EmbeddingTable(tuple(kept), one_hot, Card("centres")))
    assert asked["motif_geometry"] < 0.45
    assert asked["motif_cn"] <= 0


def test_several_tables_and_tables_of_nothing_to_ask() -> None:
    assert probe({"a": PLACES, "b": one_hot_table(SYMBOLS)}, n_random=1)["table"].unique().tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="table 'words' has too few elements, species or motifs to ask about"):
        probe({"words": one_hot_table(["perovskite", "Ti", "O"])})
    with pytest.raises(ValueError, match="n_random must be 1 or more, got 0"):
        probe(PLACES, n_random=0)
    with pytest.raises(ValueError, match="max_motifs must be 1 or more, got 0"):
        probe(PLACES, max_motifs=0)
    with pytest.raises(TypeError, match="tables must be an EmbeddingTable"):
        probe("mat2vec")
