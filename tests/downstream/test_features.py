import pickle

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Species, Structure
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from matembed import Card, EmbeddingTable, Motif, MotifGraph, UnknownTokenError, back_off, find_motifs
from matembed.corpus.formulas import FormulaError
from matembed.downstream.features import FormulaFeaturizer, StructureFeaturizer, motif_level
from matembed.downstream.pooling import STATISTICS

FORMULAS = ["SrTiO3", "NaCl", "H2O", "Fe0.5Ni0.5", "O2", "NaN"]


def table_of(*tokens: str, dim: int = 4, seed: int = 0) -> EmbeddingTable:
    return EmbeddingTable(tokens, np.random.default_rng(seed).standard_normal((len(tokens), dim)), Card("test"))


@pytest.fixture
def elements() -> EmbeddingTable:
    return table_of("H", "O", "Na", "Cl", "Sr", "Ti", "Fe", "Ni", "N", "Ti4+", "TiO6:O:6")


def motif(site: int, element: str, ligand: str, geometry: str, oxidation: float | None = None) -> Motif:
    cn = int(geometry.split(":")[1])
    return Motif(site, element, oxidation, geometry, 0.0, tuple((1, (0, 0, n)) for n in range(cn)), (ligand,) * cn)


def graph_of(*motifs: Motif, elements: tuple[str, ...] = ("Ti", "O", "O")) -> MotifGraph:
    return MotifGraph("TiO2", elements, motifs, (), "chemenv", "simplest", "none")


def vectors(table: EmbeddingTable, **settings: object) -> StructureFeaturizer:
    return StructureFeaturizer(table, blocks="vectors", **settings)


OCTAHEDRON = motif(0, "Ti", "O", "O:6", 4)
TETRAHEDRON = motif(1, "Si", "O", "T:4")


# What every scikit-learn transformer must do. -----------------------------------------------------------------

FORMULA_CASE = (FormulaFeaturizer, table_of("H", "O", "Na", "Cl"), ["H2O", "NaCl", "NaOH"], ["O2", "ClO2"])
STRUCTURE_CASE = (
    vectors,
    table_of("TiO6:O:6", "SiO4:T:4"),
    [graph_of(OCTAHEDRON), graph_of(OCTAHEDRON, TETRAHEDRON)],
    [graph_of(TETRAHEDRON), graph_of(TETRAHEDRON, OCTAHEDRON)],
)
both = pytest.mark.parametrize(("kind", "table", "X", "other"), [FORMULA_CASE, STRUCTURE_CASE])


@both
def test_settings_are_stored_untouched(kind, table, X, other) -> None:
    pooling = ["mean", "not checked yet"]
    featurizer = kind(table, pooling=pooling, on_missing="nor this")
    assert featurizer.get_params()["pooling"] is pooling
    assert featurizer.get_params()["embeddings"] is table
    assert not any(name.endswith("_") and not name.startswith("_") for name in vars(featurizer))
    assert featurizer.set_params(pooling="max").pooling == "max"


@both
def test_a_clone_and_a_pickle_give_the_same_rows(kind, table, X, other) -> None:
    featurizer = kind(table, pooling=["mean", "std"]).fit(X)
    rows = featurizer.transform(X)
    assert np.array_equal(clone(featurizer).fit(other).transform(X), rows)
    assert np.array_equal(pickle.loads(pickle.dumps(featurizer)).transform(X), rows)


@both
def test_unfitted_is_an_error(kind, table, X, other) -> None:
    for call in (lambda: kind(table).transform(X), lambda: kind(table).get_feature_names_out()):
        with pytest.raises(NotFittedError):
            call()


@both
def test_columns_are_named_and_the_index_kept(kind, table, X, other) -> None:
    featurizer = kind(table, pooling=("mean", "max")).set_output(transform="pandas")
    frame = featurizer.fit_transform(pd.Series(X, index=range(10, 10 + len(X))))
    assert list(frame.columns) == list(featurizer.get_feature_names_out())
    assert list(frame.columns) == [f"{s}_{n}" for s in ("mean", "max") for n in range(4)]
    assert list(frame.index) == list(range(10, 10 + len(X)))
    assert frame.shape[1] == featurizer.n_features_out_


@both
def test_a_row_depends_on_its_material_alone(kind, table, X, other) -> None:
    featurizer = kind(table, pooling=STATISTICS).fit(other)
    alone = np.vstack([featurizer.transform([material]) for material in X])
    assert np.array_equal(featurizer.transform(X), alone)
    assert np.array_equal(kind(table, pooling=STATISTICS).fit_transform(X), alone)


@both
def test_an_empty_column_gives_no_rows(kind, table, X, other) -> None:
    assert kind(table, pooling=["mean", "std"]).fit_transform([]).shape == (0, 8)


@both
def test_grid_search_over_pooling_and_tables(kind, table, X, other) -> None:
    materials, y = X * 4, np.arange(4.0 * len(X))
    step = type(kind(table)).__name__.lower()
    grid = {
        f"{step}__pooling": ["mean", ("mean", "std"), ("min", "max")],
        f"{step}__embeddings": [table, table.normalize()],
    }
    search = GridSearchCV(make_pipeline(kind(table), Ridge()), grid, cv=2, error_score="raise").fit(materials, y)
    assert len(search.cv_results_["params"]) == 6
    assert search.predict(other).shape == (len(other),)


@both
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "median"}, "pooling must be one or more of mean, std, .*got 'median'"),
        ({"pooling": []}, "pooling must be"),
        ({"pooling": ["mean", "mean"]}, "each once"),
        (
            {"on_missing": "ignore"},
            "on_missing must be one of error, nan, mean, neighbours, back_off, zero, got 'ignore'",
        ),
    ],
)
def test_unknown_settings_are_refused_by_fit(kind, table, X, other, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        kind(table, **settings).fit(X)


@both
def test_a_table_that_is_none_is_refused(kind, table, X, other) -> None:
    with pytest.raises(TypeError, match="embeddings must be an EmbeddingTable, got str 'mat2vec'"):
        kind("mat2vec").fit(X)


# Formulas. ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", STATISTICS)
def test_multiples_and_other_orders_of_a_formula_pool_alike(statistic: str, elements: EmbeddingTable) -> None:
    rows = FormulaFeaturizer(elements, pooling=statistic).fit_transform(["SrTiO3", "Sr2Ti2O6", "O3TiSr", "TiO2SrO"])
    assert (rows == rows[0]).all()


def test_proportions_are_what_counts_for_fractional_formulas(elements: EmbeddingTable) -> None:
    featurizer = FormulaFeaturizer(elements, pooling=["mean", "std", "min", "max", "range", "mode"])
    whole, fractional = featurizer.fit_transform(["SrTiO3", "Sr0.5Ti0.5O1.5"])
    assert np.array_equal(whole, fractional)


def test_the_kernel_mean_of_a_table_does_not_depend_on_its_unit(elements: EmbeddingTable) -> None:
    larger = EmbeddingTable(elements.tokens, 8 * elements.vectors, Card("test"))
    rows, same = (
        FormulaFeaturizer(table, pooling="kernel_mean").fit_transform(["H2O", "NaCl"]) for table in (elements, larger)
    )
    np.testing.assert_allclose(same, rows, atol=1e-12)  # rounding
    assert np.abs(rows[0] - rows[1]).max() > 0.05


def test_water_by_hand() -> None:
    table = EmbeddingTable(("H", "O"), [[1.0], [4.0]], Card("test"))
    by_hand = ["mean", "std", "min", "max", "range", "sum", "mode"]
    row = FormulaFeaturizer(table, pooling=by_hand).fit_transform(["H2O"])[0]
    # Fractions 2/3 and 1/3: mean 2, variance 2/3 * 1 + 1/3 * 4 = 2.
    np.testing.assert_allclose(row, [2, np.sqrt(2), 1, 4, 3, 6, 1], rtol=1e-15)


def test_text_and_compositions_give_the_same_rows(elements: EmbeddingTable) -> None:
    featurizer = FormulaFeaturizer(elements).fit()
    read = [Composition(formula) for formula in FORMULAS]
    assert np.array_equal(featurizer.transform(FORMULAS), featurizer.transform(read))


@pytest.mark.parametrize("column", ["formula", ["formula"]])
def test_in_a_column_transformer(column: str | list[str], elements: EmbeddingTable) -> None:
    frame = pd.DataFrame({"formula": FORMULAS, "temperature": 300.0}, index=list("abcdef"))
    both_columns = ColumnTransformer(
        [("elements", FormulaFeaturizer(elements), column), ("rest", "passthrough", ["temperature"])]
    ).set_output(transform="pandas")
    out = both_columns.fit_transform(frame)
    assert list(out.columns) == [*(f"elements__mean_{n}" for n in range(4)), "rest__temperature"]
    assert list(out.index) == list("abcdef")


def test_in_cross_validation(elements: EmbeddingTable) -> None:
    model = make_pipeline(FormulaFeaturizer(elements, pooling=["mean", "std"]), Ridge())
    predicted = cross_val_predict(model, pd.Series(FORMULAS), np.arange(6.0), cv=3)
    assert predicted.shape == (6,)


def test_an_unreadable_formula_is_an_error_whatever_the_policy(elements: EmbeddingTable) -> None:
    with pytest.raises(FormulaError, match="formula at position 1: "):
        FormulaFeaturizer(elements, on_missing="zero").fit().transform(["H2O", "Xx2"])


def test_a_missing_element_is_named_with_its_formula(elements: EmbeddingTable) -> None:
    with pytest.raises(UnknownTokenError) as error:
        FormulaFeaturizer(elements).fit().transform(["H2O", "PoAtO2", "NaCl", "PoO2", "XeO3"])
    message = str(error.value)
    assert message.startswith("no vector for At, Po in PoAtO2 (position 1) and in 2 more of 5 materials; 9 are known")
    assert 'on_missing="mean"' in message


def test_missing_elements_are_listed(elements: EmbeddingTable) -> None:
    featurizer = FormulaFeaturizer(elements)
    assert featurizer.missing(["H2O", "PoAtO2"]) == [(), ("At", "Po")]


@pytest.mark.parametrize("policy", ["nan", "mean", "neighbours", "back_off", "zero"])
def test_only_materials_with_a_missing_element_are_touched(policy: str, elements: EmbeddingTable) -> None:
    featurizer = FormulaFeaturizer(elements, pooling=STATISTICS, on_missing=policy).fit()
    rows = featurizer.transform(["H2O", "PoO2", "NaCl"])
    assert np.array_equal(rows[[0, 2]], FormulaFeaturizer(elements, pooling=STATISTICS).fit_transform(["H2O", "NaCl"]))
    assert np.isnan(rows[1]).all() == (policy == "nan")
    assert np.isfinite(rows[1]).all() == (policy != "nan")


def test_what_stands_in_for_a_missing_element() -> None:
    table = EmbeddingTable(("O", "S", "Na", "TiO6:O:6"), [[2.0], [4.0], [9.0], [1000.0]], Card("test"))

    def row(policy: str, formula: str = "SeTe") -> float:
        return float(FormulaFeaturizer(table, on_missing=policy).fit_transform([formula])[0, 0])

    assert row("zero") == 0
    assert row("mean") == 5  # the mean of the elements; the motif is no part of it
    assert row("neighbours") == 4  # S, nearest in the group
    assert row("back_off") == 4


def test_backed_off_vectors_are_used_and_counted_as_missing() -> None:
    table = back_off(EmbeddingTable(("O", "S"), [[2.0], [4.0]], Card("test")), ["Se"])
    featurizer = FormulaFeaturizer(table)
    assert featurizer.fit_transform(["Se"]).tolist() == [[4.0]]
    assert featurizer.missing(["Se", "SO2"]) == [("Se",), ()]


def test_unknown_motifs_are_made_from_their_parts() -> None:
    tokens = ("TiO6:O:6", "VO6:O:6", "TiO4:T:4", "VS6:O:6", "TiS6:O:6")
    table = EmbeddingTable(tokens, np.eye(5), Card("test"))
    unknown = graph_of(motif(0, "V", "O", "T:4"))
    expected = back_off(table, ["VO4:T:4"])["VO4:T:4"]
    row = vectors(table, on_missing="back_off").fit_transform([unknown])[0]
    assert row == pytest.approx(expected)
    nothing = MotifGraph("He", ("He",), (), (), "numba", "simplest", "none")
    assert vectors(table, on_missing="back_off").fit_transform([nothing])[0] == pytest.approx(np.full(5, 0.2))


@pytest.mark.parametrize(
    ("missing", "known", "nearest"),
    [
        ("Tc", ["Mn", "Re", "Mo", "Ru"], ["Mn", "Re"]),  # the group, one period up and down
        ("Po", ["O", "S", "Bi"], ["S"]),  # the nearest of the group, though not adjacent
        ("Pm", ["Ce", "Nd", "Sm", "Eu", "Y", "Pu"], ["Nd", "Sm"]),  # lanthanides by atomic number
        ("Am", ["Pu", "U", "Eu"], ["Pu"]),  # actinides among themselves
        ("Y", ["Sc", "La", "Zr"], ["Sc"]),  # lanthanides are no part of group 3
        ("He", ["H", "Li", "O"], ["H", "Li"]),  # no noble gas is known: by atomic number
    ],
)
def test_the_neighbours_of_an_element(missing: str, known: list[str], nearest: list[str]) -> None:
    table = table_of(*known)
    row = FormulaFeaturizer(table, on_missing="neighbours").fit_transform([missing])[0]
    # The vectors are float32 and their mean is float64: only the order of a sum of two may differ.
    np.testing.assert_allclose(row, np.mean([table[token] for token in nearest], axis=0, dtype=float), rtol=1e-12)


@pytest.mark.parametrize("tokens", [("Ti4+", "O2-"), ("TiO6:O:6",)])
def test_a_table_without_elements_is_refused(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"holds no element, only \d (species|motif) tokens"):
        FormulaFeaturizer(table_of(*tokens)).fit()


# Structures. --------------------------------------------------------------------------------------------------


def test_supercells_and_site_order_do_not_matter() -> None:
    perovskite = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    )
    supercell = perovskite.make_supercell([2, 1, 1], in_place=False)
    shuffled = Structure.from_sites([supercell[n] for n in np.random.default_rng(0).permutation(len(supercell))])
    graphs = [find_motifs(structure) for structure in (perovskite, supercell, shuffled)]
    table = table_of("SrO12:C:12", "TiO6:O:6")
    rows = vectors(table, pooling=STATISTICS).fit_transform(graphs)
    assert (rows == rows[0]).all()
    means = vectors(table).fit_transform([perovskite])
    np.testing.assert_allclose(means[0], table.vectors.mean(axis=0, dtype=float), rtol=1e-12)


def test_each_motif_counts_once() -> None:
    table = EmbeddingTable(("TiO6:O:6", "SiO4:T:4"), [[1.0], [4.0]], Card("test"))
    graph = graph_of(OCTAHEDRON, OCTAHEDRON, TETRAHEDRON, elements=("Ti", "Ti", "Si", "Si", *["O"] * 8))
    row = vectors(table, pooling=["mean", "sum"]).fit_transform([graph])[0]
    assert row.tolist() == [2.0, 3.0]  # two formula units of TiSiO4 share the sum of 6


@pytest.mark.parametrize(
    ("tokens", "level", "used"),
    [
        (("Ti4+O6:O:6", "TiO6:O:6", "O:6"), "species_motifs", "Ti4+O6:O:6"),
        (("TiO6:O:6", "O:6", "Ti"), "motifs", "TiO6:O:6"),
        (("O:6", "Ti", "Ti4+"), "geometries", "O:6"),
    ],
)
def test_the_table_decides_which_token_of_a_motif_is_looked_up(tokens, level, used) -> None:
    table = table_of(*tokens)
    assert motif_level(table) == level
    assert np.array_equal(vectors(table).fit_transform([graph_of(OCTAHEDRON)])[0], table[used].astype(float))


def test_there_is_no_silent_step_to_a_less_specific_token() -> None:
    table = table_of("Ti4+O6:O:6", "O:6")
    trivalent = graph_of(motif(0, "Ti", "O", "O:6", 3))
    with pytest.raises(UnknownTokenError, match=r"no vector for Ti3\+O6:O:6 in TiO2 \(position 1\)"):
        vectors(table).fit().transform([graph_of(OCTAHEDRON), trivalent])


@pytest.mark.parametrize(
    ("wanted", "stand_ins"),
    [
        (motif(0, "Ti", "N", "O:6"), ["TiO6:O:6", "TiF6:O:6"]),  # same centre and geometry
        (motif(0, "Zr", "O", "O:6"), ["TiO6:O:6", "TiF6:O:6", "MgO6:O:6"]),  # same geometry
        (motif(0, "Zr", "O", "T:6"), ["TiO6:O:6", "TiF6:O:6", "MgO6:O:6"]),  # same coordination number
        (motif(0, "Zr", "O", "C:8"), ["TiO6:O:6", "TiF6:O:6", "MgO6:O:6", "SiO4:T:4"]),  # all
    ],
)
def test_the_neighbours_of_a_motif(wanted: Motif, stand_ins: list[str]) -> None:
    table = table_of("TiO6:O:6", "TiF6:O:6", "MgO6:O:6", "SiO4:T:4", "O:6")
    row = vectors(table, on_missing="neighbours").fit_transform([graph_of(wanted)])[0]
    np.testing.assert_allclose(row, np.mean([table[token] for token in stand_ins], axis=0, dtype=float), rtol=1e-12)


def test_a_cell_without_motifs_may_be_of_any_size() -> None:
    table = EmbeddingTable(("TiO6:O:6", "SiO4:T:4"), [[1.0], [4.0]], Card("test"))
    salt = Structure(Lattice.cubic(4), [Species("O", -2), Species("Cl", -1)], [[0, 0, 0], [0.5, 0.5, 0.5]])
    rows = vectors(table, pooling="sum", on_missing="mean").fit_transform([salt, salt * (2, 1, 1), salt * (2, 2, 2)])
    assert rows.tolist() == [[2.5]] * 3


def test_a_structure_without_motifs_is_missing() -> None:
    table = EmbeddingTable(("TiO6:O:6", "SiO4:T:4"), [[1.0], [4.0]], Card("test"))
    bare = graph_of()
    assert vectors(table).missing([bare, graph_of(OCTAHEDRON)]) == [("(no motifs)",), ()]
    with pytest.raises(UnknownTokenError, match=r"\(no motifs\) in TiO2 \(position 0\)"):
        vectors(table).fit_transform([bare])
    pooled = {
        policy: vectors(table, on_missing=policy).fit_transform([bare])[0, 0]
        for policy in ("nan", "mean", "neighbours", "zero")
    }
    assert np.isnan(pooled.pop("nan"))
    assert pooled == {"mean": 2.5, "neighbours": 2.5, "zero": 0.0}


def test_a_table_without_motifs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no motif \(TiO6:O:6\) and no geometry \(O:6\), only 2 element tokens"):
        vectors(table_of("Ti", "O")).fit()


def test_the_default_needs_no_table_and_names_its_columns() -> None:
    featurizer = StructureFeaturizer().set_output(transform="pandas")
    frame = featurizer.fit_transform(pd.Series([graph_of(OCTAHEDRON), graph_of(TETRAHEDRON)], index=["a", "b"]))
    assert list(frame.columns) == list(featurizer.get_feature_names_out())
    assert frame.columns.is_unique
    assert frame.shape == (2, featurizer.n_features_out_)
    assert list(frame.index) == ["a", "b"]
    assert frame["centres: cn of lightest centre"].tolist() == [6, 4]
    assert frame["geometries: T:4"].tolist() == [0, 1]


def test_blocks_stand_side_by_side_in_the_order_asked_for() -> None:
    table, graphs = table_of("TiO6:O:6", "SiO4:T:4"), [graph_of(OCTAHEDRON), graph_of(TETRAHEDRON)]
    alone = [vectors(table).fit_transform(graphs), StructureFeaturizer(blocks="geometries").fit_transform(graphs)]
    together = StructureFeaturizer(table, blocks=["vectors", "geometries"]).fit(graphs)
    assert np.array_equal(together.transform(graphs), np.hstack(alone))
    assert list(together.get_feature_names_out()[:5]) == [
        "mean_0",
        "mean_1",
        "mean_2",
        "mean_3",
        "geometries: without motifs",
    ]


@pytest.mark.parametrize("blocks", ["bonds", [], ["centres", "centres"]])
def test_unknown_blocks_are_refused_by_fit(blocks: object) -> None:
    with pytest.raises(
        ValueError, match=r"blocks must be one or more of centres, geometries, .*, vectors, each once; got"
    ):
        StructureFeaturizer(blocks=blocks).fit()


def test_a_table_that_no_block_uses_is_refused() -> None:
    with pytest.raises(ValueError, match="embeddings are used by the block 'vectors', got blocks="):
        StructureFeaturizer(table_of("TiO6:O:6")).fit()
    with pytest.raises(TypeError, match="embeddings must be an EmbeddingTable, got NoneType"):
        StructureFeaturizer(blocks="vectors").fit()


def test_graphs_have_no_lengths() -> None:
    with pytest.raises(ValueError, match="a MotifGraph has none; pass Structure, Crystal or MotifArrays"):
        StructureFeaturizer(blocks="bond_lengths").fit_transform([graph_of(OCTAHEDRON)])


def test_what_cannot_be_read_is_named_by_its_position() -> None:
    good = graph_of(OCTAHEDRON)
    with pytest.raises(TypeError, match="structure at position 1500: "):
        StructureFeaturizer().fit_transform([good] * 1500 + ["NaCl"])
