"""Polymorphs: materials with the same proportions, and whether predictions put them in the right order."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from matembed.downstream.materials import Column, read_amounts

__all__ = ["PolymorphOrder", "polymorph_order", "proportion_labels"]

_RESOLUTION = 1e-9  # of the largest prediction; matrix products of equal rows differ by rounding


@dataclass(frozen=True)
class PolymorphOrder:
    """How many pairs of polymorphs are in the right order.

    Attributes
    ----------
    share : float
        Share of pairs in the right order, 0 to 1, averaged over formulas.
    standard_error : float
        Of that average, over formulas; NaN for a single one.
    n_pairs, n_formulas : int
        Pairs that were compared, and formulas that have any.
    """

    share: float
    standard_error: float
    n_pairs: int
    n_formulas: int


def polymorph_order(
    formulas: Column, target: ArrayLike, predicted: ArrayLike, *, min_difference: float = 0.0
) -> PolymorphOrder:
    """Measure how well predictions order materials of the same proportions.

    A prediction from the composition alone gives every polymorph of a formula the same number and scores exactly
    1/2, however good it is otherwise: what is above comes from the structure.

    Parameters
    ----------
    formulas : sequence of formulas, length n_materials
        As for `FormulaFeaturizer`; Sr2Ti2O6 and SrTiO3 are polymorphs.
    target : array-like of float, shape (n_materials,)
        True values.
    predicted : array-like of float, shape (n_materials,)
        Predictions in any unit, such as a column of ``Evaluation.predictions``. All polymorphs of a formula should
        be held out together: ``evaluate(..., splits="formula")``.
    min_difference : float, default 0
        Only pairs whose targets differ by more are compared, in the unit of the target: what is below is noise.

    Returns
    -------
    PolymorphOrder
        Pairs that are predicted alike, to 1e-9 of the largest prediction, count one half.

    Raises
    ------
    ValueError
        If the lengths differ, a number is not finite, `min_difference` is negative, or no pair can be compared.
    FormulaError
        If a formula cannot be read.

    Examples
    --------
    >>> formulas = ["TiO2", "Ti2O4", "SiO2", "SiO2"]
    >>> polymorph_order(formulas, [3.0, 3.2, 5.8, 8.9], [2.0, 2.5, 7.0, 6.0])
    PolymorphOrder(share=0.5, standard_error=0.5, n_pairs=2, n_formulas=2)
    """
    labels = np.array(proportion_labels(formulas))
    truth, guess = np.asarray(target, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if not labels.shape == truth.shape == guess.shape:
        msg = f"wanted a target and a prediction for each of {len(labels):,} formulas, got {truth.shape}, {guess.shape}"
        raise ValueError(msg)
    if not (np.isfinite(truth).all() and np.isfinite(guess).all()):
        n_bad = int((~np.isfinite(truth) | ~np.isfinite(guess)).sum())
        msg = f"{n_bad:,} of {len(labels):,} targets or predictions are not finite; leave these materials out"
        raise ValueError(msg)
    if not min_difference >= 0:
        msg = f"min_difference must be 0 or more, got {min_difference}"
        raise ValueError(msg)
    tie = _RESOLUTION * float(np.abs(guess).max(initial=0))
    shares, n_pairs = [], 0
    for rows in pd.Series(labels).groupby(labels).indices.values():
        true_gap, gap = (np.subtract.outer(values[rows], values[rows]) for values in (truth, guess))
        compared = true_gap > min_difference  # each pair once, the larger target first
        if compared.any():
            n_pairs += int(compared.sum())
            shares.append(_right(gap[compared], tie).mean())
    if not shares:
        msg = (
            f"no two of {len(labels):,} materials have the same proportions and targets more than {min_difference:g} "
            "apart; lower min_difference, or pass polymorphs"
        )
        raise ValueError(msg)
    spread = float(np.std(shares, ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else float("nan")
    return PolymorphOrder(float(np.mean(shares)), spread, n_pairs, len(shares))


def proportion_labels(formulas: Column) -> list[str]:
    """Name the proportions of each formula, so that polymorphs share a name.

    Parameters
    ----------
    formulas : sequence of formulas, length n_formulas
        As for `FormulaFeaturizer`.

    Returns
    -------
    list of str, length n_formulas
        Elements in alphabetical order with their atomic fractions, to 1e-6.

    Raises
    ------
    FormulaError
        If a formula cannot be read.

    Examples
    --------
    >>> proportion_labels(["Si2O4"])
    ['O0.666667 Si0.333333']
    """
    return [_label(amounts) for amounts in read_amounts(formulas)]


def _label(amounts: Mapping[str, float]) -> str:
    total = sum(amounts.values())
    return " ".join(f"{symbol}{amounts[symbol] / total:.6f}" for symbol in sorted(amounts))


def _right(gap: NDArray[np.float64], tie: float) -> NDArray[np.float64]:
    """Score predicted differences of which the true ones are positive: 1, 0, or 1/2 for a tie."""
    return np.where(np.abs(gap) <= tie, 0.5, gap > 0)
