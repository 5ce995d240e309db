"""Which elements a network has learned from; others have random vectors, and are refused unless guesses are wanted."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_words import WORDS
from matembed.elements import SYMBOLS
from matembed.embeddings import UnknownTokenError

__all__ = ["OnMissing", "check_seen", "unseen_words"]

OnMissing = Literal["error", "guess"]


def unseen_words(seen: Mapping[str, int]) -> NDArray[np.int64]:
    """List the words of elements that no material held in training, themselves or as ligands."""
    unseen = [symbol for symbol in SYMBOLS[1:] if symbol not in seen]
    return np.array([WORDS.id(f"{part}{symbol}") for symbol in unseen for part in ("", "ligand ")], dtype=np.int64)


def check_seen(seen: Mapping[str, int], sets: MaterialSets, on_missing: OnMissing) -> None:
    """Raise UnknownTokenError if materials hold another element, or ValueError if `on_missing` is unknown."""
    if on_missing not in get_args(OnMissing):
        msg = f"on_missing must be one of {', '.join(get_args(OnMissing))}, got {on_missing!r}"
        raise ValueError(msg)
    missing = np.flatnonzero(np.isin(sets.words, unseen_words(seen))) if on_missing == "error" else np.zeros(0)
    if not len(missing):
        return
    symbols = {WORDS.words[word].removeprefix("ligand ") for word in sets.words[missing]}
    elements = sorted(symbols, key=SYMBOLS.index)
    tokens = np.searchsorted(sets.word_starts, missing, side="right") - 1
    rows = np.unique(np.searchsorted(sets.token_starts, tokens, side="right") - 1)
    names = [sets.formulas[row] for row in rows[:3]]
    others = f" and {len(rows) - 3:,} more of {len(sets):,} materials" if len(rows) > 3 else ""
    msg = (
        f"no vector was learned for {', '.join(elements)} in {', '.join(names)}{others}; "
        f"{len(seen)} elements are known: leave such materials out, "
        'or pass on_missing="guess" for answers from random vectors'
    )
    raise UnknownTokenError(msg)
