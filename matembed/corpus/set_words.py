"""Which words are there? WORDS, of which the tokens of materials are made, whatever the materials."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.corpus._set_columns import frozen
from matembed.corpus.symmetry import CRYSTAL_SYSTEMS, POINT_GROUPS
from matembed.elements import SYMBOLS
from matembed.motifs.geometry import LARGEST_CN, model_geometries
from matembed.tokens import SHARINGS

__all__ = [
    "GEOMETRIES",
    "STATES",
    "TOKEN_KINDS",
    "WORDS",
    "WORD_PARTS",
    "TokenKind",
    "WordPart",
    "WordVocabulary",
]

TokenKind = Literal["element", "species", "motif", "connection", "ligand", "site", "space_group"]
TOKEN_KINDS: tuple[TokenKind, ...] = get_args(TokenKind)
WordPart = Literal["special", "kind", "element", "oxidation", "geometry", "cn", "ligand", "sharing", "symmetry"]
WORD_PARTS: tuple[WordPart, ...] = get_args(WordPart)

STATES = range(-4, 10)
"""Oxidation states that have a word, in units of e."""

GEOMETRIES = (*model_geometries().symbols, *(f"UNKNOWN:{cn}" for cn in range(1, LARGEST_CN + 1)))
"""ChemEnv symbols that have a word, and for each coordination number one for what has none."""


@dataclass(frozen=True, eq=False)
class WordVocabulary:
    """The words that tokens are made of.

    Attributes
    ----------
    words : tuple of str, length n_words
        Unique; a word's id is its position.
    part : int8 array, shape (n_words,)
        What each word tells: position in `WORD_PARTS`.

    Raises
    ------
    ValueError
        If a word comes twice, or there are not as many parts as words.

    Examples
    --------
    >>> len(WORDS), WORDS.id("Ti"), WORDS.words[:2], [WORDS.words[n] for n in WORDS.ids("sharing")]
    (637, 33, ('[PAD]', '[CLS]'), ['corner', 'edge', 'face'])
    """

    words: tuple[str, ...]
    part: NDArray[np.int8]

    def __post_init__(self) -> None:
        part = frozen(self.part, np.int8)
        if len(set(self.words)) < len(self.words) or part.shape != (len(self.words),):
            msg = f"wanted words that differ and a part of each, got {len(self.words)} and {part.shape}; see WORDS"
            raise ValueError(msg)
        object.__setattr__(self, "part", part)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"WordVocabulary({len(self)} words)"

    def id(self, word: str) -> int:
        """Look up a word.

        Parameters
        ----------
        word : str
            One of `words`.

        Returns
        -------
        int
            Its id.

        Raises
        ------
        KeyError
            If there is no such word.
        """
        if word not in self.words:
            msg = f"no word {word!r} among {len(self)}; see .words"
            raise KeyError(msg)
        return self.words.index(word)

    def ids(self, part: WordPart) -> NDArray[np.int64]:
        """List the words that tell one thing.

        Parameters
        ----------
        part : str
            One of `WORD_PARTS`.

        Returns
        -------
        int array, shape (n_words_of_part,)
            Ids, ascending.

        Raises
        ------
        ValueError
            If there is no such part.
        """
        if part not in WORD_PARTS:
            msg = f"part must be one of {', '.join(map(repr, WORD_PARTS))}, got {part!r}"
            raise ValueError(msg)
        return np.flatnonzero(self.part == WORD_PARTS.index(part))


def _all_words() -> WordVocabulary:
    listed: tuple[Sequence[str], ...] = (
        ("[PAD]", "[CLS]", "[HIDDEN element]", "[HIDDEN oxidation]", "[HIDDEN geometry]"),
        [f"<{kind.replace('_', ' ')}>" for kind in TOKEN_KINDS],
        SYMBOLS[1:],
        [*(f"ox{state:+d}" for state in STATES), "ox?"],
        GEOMETRIES,
        [f"cn{cn}" for cn in range(LARGEST_CN + 1)],
        [f"ligand {symbol}" for symbol in SYMBOLS[1:]],
        SHARINGS,
        [*(f"sg {n}" for n in range(1, 231)), *CRYSTAL_SYSTEMS, *(f"sym {group}" for group in POINT_GROUPS)],
    )
    part = np.repeat(np.arange(len(listed)), [len(words) for words in listed])
    return WordVocabulary(tuple(chain.from_iterable(listed)), part.astype(np.int8))


WORDS: WordVocabulary = _all_words()
"""All words there are, whatever the materials: what was learned from some can be applied to any."""
