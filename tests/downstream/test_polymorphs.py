import math

import numpy as np
import pytest

from matembed import Card, EmbeddingTable, FormulaError, evaluate, polymorph_order
from matembed.downstream.polymorphs import proportion_labels

FORMULAS = ["TiO2", "Ti2O4", "TiO2", "SiO2", "SiO2", "NaCl"]
TARGET = np.array([1.0, 2.0, 3.0, 5.0, 9.0, 0.0])


def test_right_wrong_and_tied_orders_by_hand() -> None:
    assert polymorph_order(FORMULAS, TARGET, TARGET * 7 - 3).share == 1
    assert polymorph_order(FORMULAS, TARGET, -TARGET).share == 0
    # TiO2: (1,2) right, (1,3) right, (2,3) tied: 2.5 of 3. SiO2: wrong.
    order = polymorph_order(FORMULAS, TARGET, [1.0, 2.0, 2.0, 4.0, 3.0, 8.0])
    assert order.share == pytest.approx((2.5 / 3 + 0) / 2)
    assert order.standard_error == pytest.approx(2.5 / 6)  # half the distance of two numbers
    assert (order.n_pairs, order.n_formulas) == (4, 2)


def test_constant_predictions_are_right_half_of_the_time() -> None:
    order = polymorph_order(FORMULAS, TARGET, np.full(6, 3.7))
    assert (order.share, order.standard_error) == (0.5, 0.0)


@pytest.mark.parametrize("model", ["ridge", "kernel_ridge", "extra_trees"])
def test_predictions_from_the_composition_are_right_half_of_the_time(model: str) -> None:
    rng = np.random.default_rng(0)
    formulas = [f"{c}{n * m}{a}{n}" for c in ("Li", "Na", "K") for a in ("F", "Cl") for m in (1, 2) for n in (1, 2, 3)]
    table = EmbeddingTable(("Li", "Na", "K", "F", "Cl"), rng.standard_normal((5, 3)), Card("any"))
    target = rng.standard_normal(len(formulas))
    predictions = evaluate(table, formulas, target, splits="formula", n_splits=3, model=model, n_random=1).predictions
    for features in ("any", "one_hot_elements", "random_elements_3", "dummy"):
        assert polymorph_order(formulas, target, predictions[features]).share == 0.5


def test_pairs_that_differ_little_are_not_compared() -> None:
    order = polymorph_order(FORMULAS, TARGET, TARGET, min_difference=1.0)
    assert (order.n_pairs, order.n_formulas) == (2, 2)
    order = polymorph_order(FORMULAS, TARGET, TARGET, min_difference=2.0)
    assert (order.n_pairs, order.n_formulas) == (1, 1)
    assert math.isnan(order.standard_error)


def test_proportions_not_spelling_make_polymorphs() -> None:
    one, other, different = proportion_labels(["SrTiO3", {"O": 6, "Ti": 2, "Sr": 2}, "SrTiO4"])
    assert one == other != different


def test_what_cannot_be_ordered_is_refused() -> None:
    with pytest.raises(ValueError, match=r"for each of 6 formulas, got \(6,\), \(5,\)"):
        polymorph_order(FORMULAS, TARGET, TARGET[:5])
    with pytest.raises(ValueError, match="1 of 6 targets or predictions are not finite"):
        polymorph_order(FORMULAS, TARGET, [np.nan, *TARGET[1:]])
    with pytest.raises(ValueError, match="min_difference must be 0 or more, got -1"):
        polymorph_order(FORMULAS, TARGET, TARGET, min_difference=-1)
    with pytest.raises(ValueError, match="targets more than 4 apart; lower min_difference"):
        polymorph_order(FORMULAS, TARGET, TARGET, min_difference=4)
    with pytest.raises(FormulaError, match="position 1"):
        polymorph_order(["NaCl", "Xx"], [1.0, 2.0], [1.0, 2.0])
