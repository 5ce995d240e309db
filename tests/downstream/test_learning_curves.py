import pickle

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pymatgen.core import Composition, Element
from sklearn.base import BaseEstimator, RegressorMixin

from matembed import Card, EmbeddingTable, Motif, MotifGraph, UnknownTokenError, learning_curve
from matembed.downstream.baselines import one_hot_table
from matembed.downstream.learning_curves import _trials
from matembed.downstream.tasks import read_labelled

CATIONS, ANIONS = ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn"], ["O", "S", "Se", "F", "Cl", "Br"]
FORMULAS = [f"{c}{n}{a}{m}" for c in CATIONS for a in ANIONS for n, m in ((1, 1), (2, 1), (1, 2), (2, 2))]
TARGET = np.array([Composition(formula).average_electroneg for formula in FORMULAS])
IONIC = TARGET > 2.3
CHEMISTRY = EmbeddingTable(
    tuple(CATIONS + ANIONS),
    [[Element(symbol).X, Element(symbol).row, Element(symbol).group] for symbol in CATIONS + ANIONS],
    Card("chemistry"),
)
SETTINGS = {"sizes": (10, 40), "n_test": 40, "repeats": 3}


class Recorder(RegressorMixin, BaseEstimator):
    """Remembers the targets that every copy was trained on."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.seen.append(tuple(y))
        return self

    def predict(self, X):
        return np.zeros(len(X))


def test_every_set_meets_the_same_rows() -> None:
    Recorder.seen.clear()
    other = one_hot_table(CATIONS + ANIONS)
    curve = learning_curve({"one": CHEMISTRY, "two": other}, FORMULAS, TARGET, model=Recorder(), **SETTINGS)
    seen = np.array(Recorder.seen, dtype=object).reshape(-1, 6)  # one, two, one-hot and two random sets
    assert len(seen) == 5
    assert all(row.tolist() == seen[0].tolist() for row in seen)
    assert [len(trained) for trained in seen[0]] == [10, 40] * 3
    assert len(set(seen[0])) == 6
    used = curve.scores[curve.scores["features"] != "dummy"]
    assert used.groupby(["size", "repeat"])["mae"].nunique().eq(1).all()


def test_no_formula_is_trained_on_and_tested() -> None:
    labelled = read_labelled(FORMULAS, TARGET)
    formulas = np.array([Composition(formula).reduced_formula for formula in FORMULAS])
    groups = np.unique(formulas, return_inverse=True)[1]
    trials = _trials(labelled, groups, (50, 100), repeats=4, n_test=60, seed=0)
    assert len({tuple(test_idx) for _, test_idx in trials}) == 4
    for pool_idx, test_idx in trials:
        assert len(set(test_idx)) == 60
        assert set(formulas[pool_idx]).isdisjoint(formulas[test_idx])
        # All others are left to be trained on.
        assert len(pool_idx) + np.isin(formulas, formulas[test_idx]).sum() == len(FORMULAS)
    with pytest.raises(ValueError, match=r"60 of them tested, leave 1\d\d to train on that share no formula"):
        learning_curve(CHEMISTRY, FORMULAS, TARGET, sizes=[180], n_test=60)


def test_groups_of_ones_own_are_kept_apart() -> None:
    cations = [formula[:2] for formula in FORMULAS]
    with pytest.raises(ValueError, match="leave 0 to train on"):
        learning_curve(CHEMISTRY, FORMULAS, TARGET, groups=cations, sizes=[10], n_test=150)
    curve = learning_curve(CHEMISTRY, FORMULAS, TARGET, groups=cations, sizes=[10], n_test=4, repeats=2)
    assert curve.settings["groups"] == "groups"


def test_what_a_table_knows_shows_most_where_rows_are_few() -> None:
    summary = learning_curve(CHEMISTRY, FORMULAS, TARGET, **SETTINGS).summary()
    known, one_hot = (summary["norm"].xs(name, level="features") for name in ("chemistry", "one_hot_elements"))
    assert (known < one_hot).all()
    assert known[40] < known[10]
    assert (summary["norm"].xs("dummy", level="features") == 1).all()


def test_summary_by_hand() -> None:
    curve = learning_curve(CHEMISTRY, FORMULAS, TARGET, n_random=2, **SETTINGS)
    scores, row = curve.scores, curve.summary(against="random_elements_3").loc[("chemistry", 40)]
    at_40 = scores[scores["size"] == 40]
    own = at_40.loc[at_40["features"] == "chemistry", "mae"].to_numpy()
    draws = at_40[at_40["features"] == "random_elements_3"].pivot(index="repeat", columns="draw", values="mae")
    gap = own - draws.mean(axis=1).to_numpy()
    assert row["mae"] == pytest.approx(own.mean())
    assert row["mae_se"] == pytest.approx(own.std(ddof=1) / np.sqrt(3))
    assert row["vs_random_elements_3"] == pytest.approx(gap.mean())
    assert row["vs_random_elements_3_se"] == pytest.approx(gap.std(ddof=1) / np.sqrt(3))
    with pytest.raises(ValueError, match=r"against must be one of chemistry, .*; got 'magpie'"):
        curve.summary(against="magpie")


def test_same_arguments_same_numbers_and_another_seed_other_rows() -> None:
    first, again, other = (learning_curve(CHEMISTRY, FORMULAS, TARGET, seed=seed, **SETTINGS) for seed in (1, 1, 2))
    assert first.scores.equals(again.scores)
    assert not first.scores["mae"].equals(other.scores["mae"])
    assert pickle.loads(pickle.dumps(first)).settings == again.settings


def test_sizes_do_not_change_each_other() -> None:
    both = learning_curve(CHEMISTRY, FORMULAS, TARGET, **SETTINGS).scores
    alone = learning_curve(CHEMISTRY, FORMULAS, TARGET, **{**SETTINGS, "sizes": [40]}).scores
    pd.testing.assert_frame_equal(both[both["size"] == 40].reset_index(drop=True), alone)


def test_classifications_and_figures() -> None:
    curve = learning_curve(CHEMISTRY, FORMULAS, IONIC, model="extra_trees", **{**SETTINGS, "repeats": 1})
    assert {"roc_auc", "norm"} < set(curve.scores)
    assert curve.summary().index.get_level_values("size").tolist() == [10] * 4 + [40] * 4
    assert isinstance(curve.plot(), Figure)
    assert isinstance(curve.plot(score="norm"), Figure)
    assert repr(curve) == "LearningCurve(classification, 10, 40 of 240 materials, 1 repeats)"
    with pytest.raises(ValueError, match=r"score must be one of roc_auc, .*; got 'mae'"):
        curve.plot(score="mae")
    with pytest.raises(ValueError, match="has one class among its 2 training rows"):
        learning_curve(CHEMISTRY, FORMULAS, IONIC, **{**SETTINGS, "sizes": [2], "repeats": 8})


def test_tables_of_motifs_meet_their_controls() -> None:
    ligands = {cn: tuple((1, (0, 0, n)) for n in range(cn)) for cn in (4, 6)}
    crystals, numbers = [], np.random.default_rng(0).choice([4, 6], size=60)
    for idx, cn in enumerate(numbers.tolist()):
        cation, anion = CATIONS[idx // 6], ANIONS[idx % 6]
        motif = Motif(0, cation, None, {4: "T:4", 6: "O:6"}[cn], 0.0, ligands[cn], (anion,) * cn)
        crystals.append(MotifGraph(f"{cation}{anion}", (cation, anion), (motif,), (), "chemenv", "simplest", "none"))
    table = EmbeddingTable(("T:4", "O:6"), [[4.0], [6.0]], Card("geometries"))
    settings = {"sizes": [10, 30], "n_test": 20, "repeats": 2, "n_random": 2}
    curve = learning_curve(table, crystals, numbers.astype(float), **settings)
    norm = curve.summary()["norm"]
    assert {"shuffled_geometries", "size_only"} < set(norm.index.get_level_values("features"))
    assert (norm["geometries"] < 0.2).all()
    assert (norm["shuffled_geometries"] > 0.8).all()
    draws = curve.scores.loc[curve.scores["features"] == "shuffled_geometries", "draw"]
    assert draws.value_counts().to_dict() == {0: 4, 1: 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": []}, "wanted one or more sizes of 2 or more"),
        ({"sizes": [1, 10]}, r"got sizes \(1, 10\)"),
        ({"n_test": 0}, "n_test 0"),
        ({"repeats": 0}, "repeats 0"),
        ({"sizes": [300]}, "240 materials, 40 of them tested"),
        ({"n_random": 0}, "n_random must be 1 or more"),
        ({"model": "svm"}, "model must be a scikit-learn estimator or one of ridge"),
        ({"on_missing": "drop"}, "on_missing must be one of"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_curve(CHEMISTRY, FORMULAS, TARGET, **{**SETTINGS, **arguments})


def test_missing_elements_are_refused() -> None:
    partial = CHEMISTRY.subset([token for token in CHEMISTRY if token != "Cs"])
    with pytest.raises(UnknownTokenError, match="table 'partial': no vector for Cs"):
        learning_curve({"partial": partial}, FORMULAS, TARGET, **SETTINGS)
