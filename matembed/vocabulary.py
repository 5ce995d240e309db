"""Vocabulary: tokens <-> ids, with counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in a fixed order, and how often each was seen.

    Attributes
    ----------
    tokens : tuple of str, length n_tokens
        Unique; the position is the id. Most frequent first, ties in alphabetical order.
    counts : tuple of int, length n_tokens
        Occurrences in the corpus.

    Examples
    --------
    >>> vocabulary = Vocabulary.from_sentences([["Ti", "O"], ["Si", "O"]])
    >>> vocabulary.tokens, vocabulary.counts, vocabulary.ids(["O", "Ti"])
    (('O', 'Si', 'Ti'), (2, 1, 1), [0, 2])
    """

    tokens: tuple[str, ...]
    counts: tuple[int, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.tokens):
            msg = f"{len(self.tokens)} tokens need as many counts, got {len(self.counts)}"
            raise ValueError(msg)
        ids = {token: idx for idx, token in enumerate(self.tokens)}
        if len(ids) != len(self.tokens):
            msg = f"tokens must be unique, got {len(self.tokens) - len(ids)} twice"
            raise ValueError(msg)
        bad = [token for token in self.tokens if token.split() != [token] or not token.isprintable()]
        if bad:
            msg = f"a token is one or more printable characters with no white space, got {bad[0]!r}"
            raise ValueError(msg)
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_sentences(cls, sentences: Iterable[Sequence[str]], *, min_count: int = 1) -> Self:
        """Count the tokens of a corpus.

        Parameters
        ----------
        sentences : iterable of sequence of str
            The corpus.
        min_count : int, default 1
            Leave out tokens seen fewer times.

        Returns
        -------
        Vocabulary
            Most frequent token first.
        """
        seen: Counter[str] = Counter()
        for sentence in sentences:
            seen.update(sentence)
        kept = sorted(((t, n) for t, n in seen.items() if n >= min_count), key=lambda pair: (-pair[1], pair[0]))
        return cls(tuple(t for t, _ in kept), tuple(n for _, n in kept))

    def ids(self, sentence: Iterable[str]) -> list[int]:
        """Turn the known tokens of a sentence into ids; unknown tokens are left out.

        Parameters
        ----------
        sentence : iterable of str
            Tokens.

        Returns
        -------
        list of int
            Ids, in the order of the sentence.
        """
        lookup = self._ids
        return [lookup[token] for token in sentence if token in lookup]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        few = ", ".join(self.tokens[:5]) + ", ..." * (len(self) > 5)
        return f"Vocabulary({len(self):,} tokens: {few})" if self.tokens else "Vocabulary(no tokens)"

    def __contains__(self, token: object) -> bool:
        return token in self._ids
