"""How good predictions are: sample by sample, and as training sets grow."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from matembed.downstream.plots._checks import finite_vector
from matembed.downstream.plots._style import (
    INK,
    PALETTE,
    SEQUENTIAL,
    color_and_marker,
    in_house_style,
    new_figure,
    set_title,
    with_unit,
    wrap,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["learning_curve", "parity"]

_DENSE = 1000
_MAX_UNIT = 16  # letters; a longer unit stands on the axes only


@in_house_style
def parity(
    target: ArrayLike, predicted: ArrayLike, *, unit: str = "", label: str = "property", title: str = ""
) -> Figure:
    """Draw predictions against the truth, with the line on which both are equal and the scores.

    Parameters
    ----------
    target : array-like of float, shape (n_samples,)
        True values.
    predicted : array-like of float, shape (n_samples,)
        Predictions, in the same order and unit.
    unit : str, default ""
        Unit of both.
    label : str, default "property"
        Name of the property.
    title : str, default ""
        Title of the figure.

    Returns
    -------
    Figure
        Mean absolute error (MAE), root mean square error (RMSE), coefficient of determination (R², where the targets
        differ) and number of samples stand in a corner. Over 1,000 samples are drawn as densities.

    Raises
    ------
    ValueError
        If there is no sample, the lengths differ, or a value is not a finite number.

    Examples
    --------
    >>> figure = parity([0.0, 1.0, 2.0], [0.5, 1.0, 2.0], unit="eV", label="band gap")
    >>> figure.axes[0].texts[0].get_text().splitlines()[0]
    'MAE = 0.167 eV'
    """
    truth, guess = finite_vector(target, "target"), finite_vector(predicted, "predicted")
    if len(truth) != len(guess):
        msg = f"target and predicted must have one value per sample each, got {len(truth):,} and {len(guess):,}"
        raise ValueError(msg)
    if not len(truth):
        msg = "target and predicted are empty; there is nothing to draw"
        raise ValueError(msg)
    error = guess - truth
    spread = float(np.sum((truth - truth.mean()) ** 2))
    r2 = _plain(1 - float(np.sum(error**2)) / spread) if spread > 0 else "undefined"
    measured = f" {unit}" if 0 < len(unit) <= _MAX_UNIT else ""
    scores = (
        f"MAE = {_plain(float(np.abs(error).mean()))}{measured}\n"
        f"RMSE = {_plain(math.sqrt(float(np.mean(error**2))))}{measured}\n"
        f"R² = {r2}\n"
        f"n = {len(truth):,}"
    )
    low, high = float(min(truth.min(), guess.min())), float(max(truth.max(), guess.max()))
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    low, high = low - margin, high + margin

    figure = new_figure(5.6 if len(truth) > _DENSE else 5, 4.8)
    axes = figure.add_subplot(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(wrap(with_unit(f"true {label}", unit), 45))
    axes.set_ylabel(wrap(with_unit(f"predicted {label}", unit), 45))
    if len(truth) > _DENSE:
        bins = axes.hexbin(
            truth, guess, gridsize=55, extent=(low, high, low, high), mincnt=1, cmap=SEQUENTIAL, norm=LogNorm()
        )
        bins.set_linewidth(0.1)
        bar = figure.colorbar(bins, ax=axes, shrink=0.8, aspect=25, ticks=LogLocator(subs=(1, 2, 5)), format="%d")
        bar.set_label("samples")
        bar.outline.set_visible(False)
    else:
        axes.scatter(truth, guess, s=14, color=PALETTE[0], alpha=0.75 if len(truth) < 200 else 0.4, linewidths=0)
    axes.axline((low, low), (high, high), color=INK, linewidth=0.9, linestyle="--")
    place = (np.column_stack([truth, guess]) - low) / (high - low)
    n_above, n_below = (
        int(np.sum((corner < (0.4, 0.3)).all(axis=1))) for corner in (abs(place - (0, 1)), abs(place - (1, 0)))
    )
    above = n_above <= n_below  # the box stands in the emptier corner off the line
    axes.annotate(
        scores,
        (0, 1) if above else (1, 0),
        (8, -8) if above else (-8, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left" if above else "right",
        va="top" if above else "bottom",
        fontsize=8.5,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "#cccccc", "alpha": 0.9},
    )
    set_title(figure, title)
    return figure


@in_house_style
def learning_curve(
    scores: "pd.DataFrame | Mapping[str, Sequence[Any]]",
    *,
    score: str = "mae",
    unit: str = "",
    label: str | None = None,
    title: str = "",
) -> Figure:
    """Draw an error against the number of training samples, one line per feature set.

    Points are means over the rows (folds) of the same features and size; bars are standard errors of these means. Both
    axes are logarithmic, as errors tend to fall with a power of the size [1]_; the score axis is linear for ``"r2"``
    and for scores that reach 0. Baselines are dashed and grey.

    Parameters
    ----------
    scores : DataFrame, or mapping of columns
        One row per fitted model, with columns ``features`` (name of the feature set), ``n_train`` (samples trained on)
        and `score`; if there is a column ``kind``, features whose kind is "baseline" are drawn as such. Or the summary
        of a `LearningCurve`, whose standard errors are drawn as they are.
    score : str, default "mae"
        Column to draw.
    unit : str, default ""
        Unit of the score.
    label : str, optional
        Name of the score; `score` in capitals by default.
    title : str, default ""
        Title of the figure.

    Returns
    -------
    Figure
        8 inches wide. The legend has the order of the lines at their right ends.

    Raises
    ------
    ValueError
        If a column is missing, there is no row, or a number is not finite or a size not positive.

    References
    ----------
    .. [1] C. Cortes et al., Adv. Neural Inf. Process. Syst. 6, 327 (1994).

    Examples
    --------
    >>> rows = {"features": ["a", "a", "b", "b"], "n_train": [10, 100, 10, 100], "mae": [0.9, 0.3, 0.8, 0.5]}
    >>> [text.get_text() for text in learning_curve(rows, unit="eV").legends[0].get_texts()]
    ['b', 'a']
    """
    import pandas as pd

    frame = pd.DataFrame(scores)
    if frame.index.names == ["features", "size"]:
        frame = frame.reset_index().rename(columns={"size": "n_train"})
    missing = [column for column in ("features", "n_train", score) if column not in frame]
    if missing:
        msg = f"scores needs the columns features, n_train and {score}; missing: {', '.join(missing)}"
        raise ValueError(msg)
    if frame.empty:
        msg = "scores has no row; there is nothing to draw"
        raise ValueError(msg)
    sizes = finite_vector(frame["n_train"], "n_train")
    if sizes.min() <= 0:
        msg = f"n_train must be 1 or more, got {sizes.min():g}"
        raise ValueError(msg)
    clean = pd.DataFrame({"features": frame["features"].astype(str).to_numpy(), "n_train": sizes})
    clean["score"] = finite_vector(frame[score], score)
    points = clean.groupby(["features", "n_train"], sort=True)["score"].agg(["mean", "sem"]).reset_index()
    if f"{score}_se" in frame:
        clean["sem"] = frame[f"{score}_se"].to_numpy(dtype=np.float64)
        points["sem"] = clean.groupby(["features", "n_train"], sort=True)["sem"].first().to_numpy()
    last = points.groupby("features")["mean"].last().sort_values(ascending=False, kind="stable")

    figure = new_figure(8, 4.6)
    axes = figure.add_subplot(xscale="log", xlim=(sizes.min() / 1.15, sizes.max() * 1.15), xlabel="training samples")
    axes.set_ylabel(wrap(with_unit(label or {"r2": "R²"}.get(score, score.upper().replace("_", " ")), unit), 50))
    kinds = dict(zip(clean["features"], frame["kind"], strict=True)) if "kind" in frame else {}
    names = sorted(dict.fromkeys(clean["features"]), key=lambda name: kinds.get(name) == "baseline")
    style_of = {name: color_and_marker(idx) for idx, name in enumerate(names)}
    for name in last.index:
        line = points[points["features"] == name]
        color, marker = style_of[name]
        baseline = kinds.get(name) == "baseline"
        axes.errorbar(
            line["n_train"],
            line["mean"],
            yerr=line["sem"].fillna(0),
            label=wrap(name, 30),
            color="#8c8c8c" if baseline else color,
            marker=marker,
            markersize=5,
            linestyle="--" if baseline else "-",
            linewidth=1.1 if baseline else 1.8,
            zorder=2 if baseline else 3,
            capsize=2.5,
            elinewidth=1,
        )
    half_bars = points["sem"].fillna(0)
    low, high = float((points["mean"] - half_bars).min()), float((points["mean"] + half_bars).max())
    if score != "r2" and low > 0:
        axes.set(yscale="log", ylim=(low / 1.15, high * 1.15))
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1, 2, 5)) if high / low > 8 else MaxNLocator(6, steps=[1, 2, 5, 10])
        )
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ticks = _spaced(sizes)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper", title="features")
    set_title(figure, title)
    return figure


def _plain(value: float) -> str:
    """Write three significant digits, without an exponent for everyday sizes."""
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _spaced(sizes: NDArray[np.float64]) -> list[float]:
    """Leave out sizes whose labels would touch on a logarithmic axis, the largest never."""
    kept: list[float] = []
    unique = np.unique(sizes)[::-1]
    for size in unique.tolist():
        if not kept or math.log(kept[-1] / size) >= math.log(unique[0] / unique[-1]) / 12:
            kept.append(size)
    return kept
