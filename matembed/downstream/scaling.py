"""Scaling: features that a linear model can trust outside its training rows."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["ClippedScaler"]

_RESOLUTION = 1e-9  # of a column's magnitude; vectors are float32, which tells numbers 6e-8 apart


class ClippedScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Clip each column to its training range and standardise it; columns that are constant in training become zero.

    A column that is all but constant in the training rows would otherwise carry a linear model off in the test
    rows. Constant means a range of at most 1e-9 of the column's magnitude, so that rounding is no information.

    Parameters
    ----------
    magnitude : array-like, shape (n_columns,), optional
        Magnitude of the numbers that each column was computed from, for columns in which large numbers may
        cancel. By default, and where it is smaller, the largest absolute value in training counts.

    Attributes
    ----------
    low_, range_ : float array, shape (n_columns,)
        Smallest value in training, and the distance to the largest.
    constant_ : bool array, shape (n_columns,)
        Whether a column is constant.
    mean_, std_ : float array, shape (n_columns,)
        Of the training rows, with each column scaled to 0 to 1.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> scaler = ClippedScaler().fit([[1.0, 0.3], [3.0, 0.1 + 0.2]])
    >>> scaler.transform([[2.0, 0.3], [9.0, 9.0]])
    array([[0., 0.],
           [1., 0.]])
    """

    def __init__(self, magnitude: ArrayLike | None = None) -> None:
        self.magnitude = magnitude

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Learn the ranges of the training rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Training rows; finite.
        y : object, optional
            Ignored.

        Returns
        -------
        ClippedScaler
            This transformer.

        Raises
        ------
        ValueError
            If there is no row, or a number is not finite.
        """
        rows = validate_data(self, X, dtype=np.float64)
        self.low_, self.range_ = rows.min(axis=0), np.ptp(rows, axis=0)
        magnitude = np.abs(rows).max(axis=0)
        if self.magnitude is not None:
            magnitude = np.maximum(magnitude, np.asarray(self.magnitude))
        self.constant_ = self.range_ <= _RESOLUTION * magnitude
        scaled = self._scaled(rows)
        self.mean_, self.std_ = scaled.mean(axis=0), np.where(self.constant_, 1, scaled.std(axis=0))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Clip and standardise rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        float64 array, shape (n_rows, n_columns)
            Of mean 0 and variance 1 over the training rows; zero where a column is constant.

        Raises
        ------
        ValueError
            If there is another number of columns than in training, or a number is not finite.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        return (self._scaled(rows) - self.mean_) / self.std_

    def _scaled(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        above = np.clip(rows - self.low_, 0, self.range_)
        scaled: NDArray[np.float64] = np.where(self.constant_, 0, above) / np.where(self.constant_, 1, self.range_)
        return scaled
