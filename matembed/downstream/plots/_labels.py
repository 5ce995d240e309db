"""Which labels a map has, and where they stand without overlapping."""

from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from matembed.downstream.plots._categories import DENSE, OTHER, Category
from matembed.downstream.plots._style import INK
from matembed.embeddings import EmbeddingTable
from matembed.tokens import kind_of

__all__ = ["place_labels", "tokens_to_label"]

# How many labels "auto" writes, in a dense map how many of each category, where they may stand, how many points one may
# cover, up to how many are written larger, and after how many without room to stop.
_N_LABELS, _N_PER_CATEGORY = 40, 3
_DIRECTIONS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)], dtype=np.float64)
_REACHES = np.array([0, 9, 20, 32])  # typographic points
_MAX_COVERED = 2
_SPACE = np.array([1.5, 0.4])  # around a text, in typographic points: those beside each other must not read as one
_FEW, _GIVE_UP = 30, 100


def tokens_to_label(
    table: EmbeddingTable, labels: Literal["auto"] | bool | Collection[str], categories: Sequence[Category]
) -> list[str]:
    """Choose the tokens to label, in the order in which they take their places."""
    if isinstance(labels, bool):
        return list(table.tokens) if labels else []
    if not isinstance(labels, str):
        return [table.tokens[table.row(token)] for token in dict.fromkeys(labels)]
    if labels != "auto":
        msg = f'labels must be "auto", True, False or a collection of tokens, got {labels!r}'
        raise ValueError(msg)
    if len(table) > DENSE:
        firsts = [sorted(style.rows)[:_N_PER_CATEGORY] for style in categories if style.name != OTHER]
        return [table.tokens[row] for rank in zip_longest(*firsts) for row in rank if row is not None]
    return [token for row, token in enumerate(table.tokens) if row < _N_LABELS or kind_of(token) == "element"]


def place_labels(
    axes: Axes, points: NDArray[np.float64], wanted: Sequence[tuple[int, str]], *, clearance: float
) -> None:
    """Write (row, text) beside the points, the first ones first, where they meet no label before them.

    A label takes the place that covers the fewest points, near its own if possible, else at the end of a thin line.
    Places are measured in pixels on the finished layout; `clearance` is the radius of a point in typographic points.
    """
    pixel = axes.figure.dpi / 72
    gap = (clearance + 1.2) * pixel
    anchors = axes.transData.transform(points)
    frame = np.array(axes.get_window_extent().extents)
    taken, obstacles, leaders, n_failed = np.empty((0, 4)), anchors, [], 0
    for row, name in wanted:
        label = axes.annotate(
            name,
            points[row],
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8.5 if len(wanted) <= _FEW else 7,
            color=INK,
            parse_math=False,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "alpha": 0.7, "linewidth": 0},
        )
        label.set_in_layout(False)
        half = np.array(label.get_window_extent().size) / 2 + _SPACE * pixel
        reach = gap + np.repeat(_REACHES * pixel, len(_DIRECTIONS))
        toward = np.tile(_DIRECTIONS, (len(_REACHES), 1))
        step = toward / np.linalg.norm(toward, axis=1, keepdims=True) * reach[:, None] + toward * half
        centres = anchors[row] + step
        boxes = np.hstack([centres - half, centres + half])
        tips = np.clip(anchors[row], boxes[:, :2], boxes[:, 2:])
        lines = anchors[row] + np.linspace(0, 1, 9)[:, None, None] * (tips - anchors[row])

        others = np.delete(obstacles, row, axis=0)
        n_covered = _inside(others, np.hstack([centres - half - gap, centres + half + gap])).sum(axis=1)
        cost = (
            n_covered
            + 0.03 * np.repeat(_REACHES, len(_DIRECTIONS))
            + 0.01 * np.tile(range(len(_DIRECTIONS)), len(_REACHES))
        )
        cost[(boxes[:, :2] < frame[:2]).any(axis=1) | (boxes[:, 2:] > frame[2:]).any(axis=1)] = np.inf
        apart = (boxes[:, None, :2] >= taken[:, 2:]) | (boxes[:, None, 2:] <= taken[:, :2])
        cost[~np.all(apart.any(axis=2), axis=1)] = np.inf
        crossed = _inside(lines.reshape(-1, 2), taken).reshape(len(taken), *lines.shape[:2])
        cost[crossed.any(axis=(0, 1))] = np.inf
        best = int(np.argmin(cost))
        if cost[best] > _MAX_COVERED:
            label.remove()
            n_failed += 1
            if n_failed == _GIVE_UP:
                break
            continue
        label.set_position(tuple(step[best] / pixel))
        taken = np.vstack([taken, boxes[best]])
        if best >= len(_DIRECTIONS):
            leaders.append(axes.transData.inverted().transform([anchors[row], tips[best]]))
            obstacles = np.vstack([obstacles, lines[1:, best]])
    if leaders:
        axes.add_collection(LineCollection(leaders, colors="#8c8c8c", linewidths=0.5, zorder=1.5), autolim=False)


def _inside(points: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points lie in which boxes (left, bottom, right, top): bool array, shape (n_boxes, n_points)."""
    beyond_lower = (points > boxes[:, None, :2]).all(axis=2)
    return np.asarray(beyond_lower & (points < boxes[:, None, 2:]).all(axis=2))
