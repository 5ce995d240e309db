"""ContextCounts: how often each token was met in each of its contexts, seen one way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from matembed.cards import Card

__all__ = ["ContextCounts", "ContextTally"]

_MOST_CELLS = 1 << 23  # beyond so many possible pairs they are sorted rather than laid out


@dataclass(frozen=True, eq=False)
class ContextCounts:
    """How often tokens were met in contexts, in one view of a set of materials.

    Attributes
    ----------
    view : str
        What the contexts are, such as ``"partners"``.
    tokens : tuple of str, length n_tokens
        In alphabetical order.
    contexts : tuple of str, length n_contexts
        In words, such as ``"6 O"``; in alphabetical order.
    counts : float64 sparse array, shape (n_tokens, n_contexts)
        Weights, summed over materials; none negative.
    card : Card
        Source, licence and citation of the materials, and how they were weighted.

    Raises
    ------
    ValueError
        If the shape of the counts does not fit, or a count is negative or not finite.

    See Also
    --------
    matembed.count_contexts : Counts them in motif tables.
    matembed.count_formula_contexts : Counts them in formulas.
    matembed.ContextSVD : Learns vectors from them.

    Examples
    --------
    >>> table = sparse.csr_array([[2.0, 1.0], [0.0, 3.0]])
    >>> counts = ContextCounts("pairs", ("Na", "Ti"), ("Cl", "O"), table, Card("demo"))
    >>> counts
    ContextCounts('pairs', 2 tokens, 2 contexts)
    >>> counts.commonest("Na")
    [('Cl', 2.0), ('O', 1.0)]
    """

    view: str
    tokens: tuple[str, ...]
    contexts: tuple[str, ...]
    counts: sparse.csr_array
    card: Card

    def __post_init__(self) -> None:
        counts = sparse.csr_array(self.counts).astype(np.float64)
        if counts.shape != (len(self.tokens), len(self.contexts)):
            wanted = f"({len(self.tokens)}, {len(self.contexts)})"
            msg = f"counts must have a row for each token and a column for each context, {wanted}, got {counts.shape}"
            raise ValueError(msg)
        if counts.nnz and not (np.isfinite(counts.data).all() and counts.data.min() >= 0):
            msg = "counts must be finite and not negative"
            raise ValueError(msg)
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "contexts", tuple(self.contexts))
        object.__setattr__(self, "counts", counts)

    def __repr__(self) -> str:
        return f"ContextCounts({self.view!r}, {len(self.tokens):,} tokens, {len(self.contexts):,} contexts)"

    def commonest(self, token: str, n: int = 10) -> list[tuple[str, float]]:
        """List the contexts that a token is met in most.

        Parameters
        ----------
        token : str
            One of the tokens.
        n : int, default 10
            How many to list.

        Returns
        -------
        list of (str, float)
            Context and weight, largest first; ties in alphabetical order.

        Raises
        ------
        KeyError
            If there is no such token.
        """
        if token not in self.tokens:
            msg = f"no counts for {token!r} among {len(self.tokens):,} tokens; see .tokens"
            raise KeyError(msg)
        row = self.counts[[self.tokens.index(token)]].toarray()[0]
        order = np.argsort(-row, kind="stable")[:n]
        return [(self.contexts[column], float(row[column])) for column in order if row[column] > 0]


class ContextTally:
    """Adds up weights of (token, context) pairs that come a chunk at a time, each named by a string."""

    def __init__(self) -> None:
        self._names: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._pairs: list[NDArray[np.int64]] = []
        self._weights: list[NDArray[np.float64]] = []

    def add(
        self,
        names: tuple[Sequence[str], Callable[..., str]],
        codes: Sequence[NDArray[np.int64]],
        weights: NDArray[np.float64],
    ) -> None:
        """Add pairs: a column of tokens, as positions in their names, and columns of whole numbers to be put in words.

        Pairs that are alike are added up before they are named.
        """
        if not len(weights):
            return
        tokens, write = names
        lows = [int(column.min()) for column in codes]
        widths = [int(column.max()) - low + 1 for column, low in zip(codes, lows, strict=True)]
        packed = np.ravel_multi_index([column - low for column, low in zip(codes, lows, strict=True)], widths)
        if np.prod(widths, dtype=np.float64) < _MOST_CELLS:
            totals = np.bincount(packed, weights)
            distinct = np.flatnonzero(totals)
            summed = totals[distinct]
        else:
            distinct, inverse = np.unique(packed, return_inverse=True)
            summed = np.bincount(inverse, weights)
        rows = [part + low for part, low in zip(np.unravel_index(distinct, widths), lows, strict=True)]
        known_tokens, known_contexts = self._names
        token_codes = [known_tokens.setdefault(tokens[code], len(known_tokens)) for code in rows[0].tolist()]
        contexts = list(zip(*(row.tolist() for row in rows[1:]), strict=True))
        words = {context: write(*context) for context in set(contexts)}
        context_codes = [known_contexts.setdefault(words[context], len(known_contexts)) for context in contexts]
        self._pairs.append(np.array(token_codes, dtype=np.int64) << 32 | np.array(context_codes, dtype=np.int64))
        self._weights.append(np.asarray(summed, dtype=np.float64))

    def counts(self, view: str, card: Card) -> ContextCounts:
        """Put together what was added."""
        pairs = np.concatenate([np.zeros(0, dtype=np.int64), *self._pairs])
        tokens, contexts = (np.array(list(names), dtype=object) for names in self._names)
        token_order, context_order = np.argsort(tokens, kind="stable"), np.argsort(contexts, kind="stable")
        place_of_token, place_of_context = np.argsort(token_order), np.argsort(context_order)
        shape = (len(tokens), len(contexts))
        rows, columns = place_of_token[pairs >> 32], place_of_context[pairs & 0xFFFFFFFF]
        weights = np.concatenate([np.zeros(0), *self._weights])
        counts = sparse.coo_array((weights, (rows, columns)), shape=shape).tocsr()
        counts.sum_duplicates()
        return ContextCounts(view, tuple(tokens[token_order]), tuple(contexts[context_order]), counts, card)
