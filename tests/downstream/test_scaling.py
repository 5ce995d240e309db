"""Scaling: nothing leaves its training range, and rounding is no information."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from matembed.downstream.scaling import ClippedScaler

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(40, 5)) * [1e-20, 1e-3, 1, 1e3, 1e20] + [0, 1, 2, 3, 4]
TEST = RNG.normal(size=(30, 5)) * [1e-20, 1e-3, 1, 1e3, 1e20] * 3 + [0, 1, 2, 3, 4]


def test_columns_that_vary_are_clipped_and_standardised() -> None:
    scaler = ClippedScaler().fit(TRAIN)
    scaled = scaler.transform(TRAIN)
    # Rounding of a mean and of a variance of 40 numbers.
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-12)
    assert (scaler.transform(TEST) <= scaled.max(axis=0)).all()
    assert (scaler.transform(TEST) >= scaled.min(axis=0)).all()


def test_agrees_with_scikit_learn_where_no_column_is_constant() -> None:
    ordinary = [1, 2, 3]  # MinMaxScaler takes the range of the first for zero
    theirs = make_pipeline(MinMaxScaler(clip=True), StandardScaler()).fit(TRAIN[:, ordinary])
    ours = ClippedScaler().fit(TRAIN[:, ordinary])
    # x * scale + offset there, (x - low) / range here.
    np.testing.assert_allclose(ours.transform(TEST[:, ordinary]), theirs.transform(TEST[:, ordinary]), atol=1e-9)


@pytest.mark.parametrize(
    "column", [[0.5, 0.5, 0.5], [0.5, 0.5 + 5e-17, 0.5 - 6e-17], [1e6, 1e6 + 1e-4, 1e6], [0, 0, 0]], ids=str
)
def test_a_column_that_is_constant_but_for_rounding_is_zero_whatever_comes(column: list[float]) -> None:
    scaler = ClippedScaler().fit(np.array(column)[:, None])
    assert (scaler.transform([[0.5], [-1e30], [1e30], [column[1]]]) == 0).all()


def test_large_numbers_that_cancel_leave_nothing() -> None:
    left = [[5e-17], [0.0], [-6e-17]]
    assert (ClippedScaler(magnitude=[0.5]).fit(left).transform([[0.5], [1e-17]]) == 0).all()
    assert np.abs(ClippedScaler().fit(left).transform([[0.5]])) < 2  # clipped in any case
    assert ClippedScaler(magnitude=[1e-17]).fit(left).transform(left).std() == pytest.approx(1)


@pytest.mark.parametrize("rows", [TEST[:, :1], TEST[:, :4], np.full((1, 5), np.nan)], ids=["one", "four", "nan"])
def test_other_columns_than_in_training_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"features|NaN"):  # one column would pass for each of the five
        ClippedScaler().fit(TRAIN).transform(rows)


def test_columns_keep_their_names_in_a_pipeline() -> None:
    frame = pd.DataFrame(TRAIN, columns=list("abcde"), index=range(5, 45))
    scaled = make_pipeline(ClippedScaler(), StandardScaler()).set_output(transform="pandas").fit_transform(frame)
    assert scaled.columns.tolist() == list("abcde")
    assert scaled.index.equals(frame.index)


def test_it_can_be_cloned() -> None:
    assert clone(ClippedScaler(magnitude=[1.0, 2.0])).fit([[0.0, 0.0], [1.0, 1.0]]).transform([[1, 0]]).tolist() == [
        [1, -1]
    ]
