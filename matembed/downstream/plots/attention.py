"""How much the tokens of a material take from each other."""

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from matembed.downstream.plots._style import in_house_style, lay_out, new_figure, set_title

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["attention_map"]

_MAX_TOKENS = 80


@in_house_style
def attention_map(attention: "pd.DataFrame", *, title: str | None = None) -> Figure:
    """Draw the attention of a transformer within a material.

    Parameters
    ----------
    attention : DataFrame, shape (n_tokens, n_tokens)
        As `matembed.MaskedLM.attention` tells it: each row is a token that reads, and its columns, what it takes from,
        sum to 1.
    title : str, optional
        None by default.

    Returns
    -------
    Figure
        As wide as the tokens need; rows read, columns are read from.

    Raises
    ------
    TypeError
        If it is no DataFrame.
    ValueError
        If it is no square table of 1 to 80 tokens whose rows sum to 1.

    Examples
    --------
    >>> import pandas as pd
    >>> weights = pd.DataFrame([[0.9, 0.1], [0.4, 0.6]], index=["Na", "Cl"], columns=["Na", "Cl"])
    >>> [label.get_text() for label in attention_map(weights).axes[0].get_yticklabels()]
    ['Na', 'Cl']
    """
    import pandas as pd

    if not isinstance(attention, pd.DataFrame):
        msg = f"attention must be a DataFrame, got {type(attention).__name__}; see MaskedLM.attention"
        raise TypeError(msg)
    values = np.asarray(attention, dtype=np.float64)
    n_tokens = len(values)
    if not 1 <= n_tokens <= _MAX_TOKENS or values.shape != (n_tokens, n_tokens):
        msg = f"wanted a square table of 1 to {_MAX_TOKENS} tokens, got shape {values.shape}; see MaskedLM.attention"
        raise ValueError(msg)
    if not np.allclose(values.sum(axis=1), 1, atol=1e-3):
        msg = "rows of attention must sum to 1; pass what MaskedLM.attention returns"
        raise ValueError(msg)
    names = [str(name) for name in attention.index]
    side, font_size = max(0.21 * n_tokens, 1.2), 8.0
    label_width = max(map(len, names)) * font_size * 0.58 / 72
    figure = new_figure(side + label_width + 1.2, side + label_width + 0.4)
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap=mpl.colormaps["Blues"], vmin=0, interpolation="nearest", aspect="equal")
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(n_tokens), names, rotation=90, fontsize=font_size, parse_math=False)
    axes.set_yticks(range(n_tokens), names, fontsize=font_size, parse_math=False)
    axes.tick_params(length=2, width=0.5, pad=2)
    bar = figure.colorbar(image, ax=axes, shrink=min(1, 2.4 / side), aspect=16)
    bar.set_label("share taken")
    bar.outline.set_visible(False)
    if title:
        set_title(figure, title)
    lay_out(figure)
    return figure
