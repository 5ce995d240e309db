"""PPMI: positive pointwise mutual information of tokens and contexts, cut down by a singular value decomposition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from matembed.cards import Card
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import (
    Sentences,
    check_count,
    check_number,
    not_fitted,
    read_sentences,
    row_tokens,
    training_card,
)
from matembed.tokens import Kind
from matembed.vocabulary import Vocabulary

__all__ = ["PPMI"]

_CHUNK = 1 << 18  # tokens counted at a time
_ROUNDING = 1e-9  # entries this far below the largest are rounding: float64 sums of float64 products, and some
_DENSE = 2000  # largest matrix side that LAPACK takes whole; beyond it ARPACK finds the leading part


@dataclass(kw_only=True, eq=False)
class PPMI:
    """Count which tokens meet, and how much more often than by chance.

    Entry (i, j) of the matrix is ``max(0, log P(i, j) / (P(i) P(j)) - shift)`` for token i and context j, with the
    chance of a context raised to a power, ``P(j) ~ n(j)^smoothing`` [1]_. Each row is scaled to unit length, so that
    rare tokens weigh as much as frequent ones. The leading left singular vectors, each times its singular value to
    a power, are the embeddings [2]_. With the view ``"environments"`` the matrix has a row for each element and
    a column for each environment, as in Atom2Vec [3]_.

    The same sentences give the same bytes on the same machine, in whatever order they come and however many threads
    there are.

    Parameters
    ----------
    dim : int, default 64
        Length of the vectors. They are shorter if the rank of the matrix is smaller than this.
    window : int, optional
        Tokens at most this far apart in a sentence are each other's context, all alike. By default all tokens of
        a sentence are.
    power : float, default 1
        Singular values to this power scale the columns: 0 makes them alike, 1 keeps the cosines of the rows of the
        matrix as well as `dim` columns can, more gives weight to what many tokens share.
    smoothing : float, default 0.75
        Power of the context counts; below 1 it tempers the high scores of rare contexts.
    shift : float, default 0
        Subtracted from the mutual information, in nats; log k is like k negative samples in word2vec.
    min_count : int, default 1
        Leave out tokens seen fewer times, before contexts are counted. Small corpora need every token; with
        100,000 formulas, 5 is faster and keeps accidents of rare tokens out of the neighbours.
    rows : kind or sequence of kinds, optional
        Kinds of token that get a vector; all tokens are contexts. By default every kind but environments and
        connections, which say nothing by themselves. Asking for elements *and* environments at once mixes two
        copies of the same spectrum, since either is the only context of the other.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Tokens that have a vector, with their counts, most frequent first. A token that is never seen beside another
        has none.
    vectors_ : float32 array, shape (n_tokens, dim)
        Columns by falling singular value; in each, the entry of largest size is positive. A token that meets
        no other more often than by chance has zeros.
    singular_values_ : float array, shape (dim,)
        Before `power` is applied.
    card_ : Card
        Corpus, settings and versions.

    See Also
    --------
    matembed.Word2Vec : Learns from the same sentences by stochastic gradient descent.

    References
    ----------
    .. [1] O. Levy, Y. Goldberg, I. Dagan, Trans. Assoc. Comput. Linguist. 3, 211 (2015).
    .. [2] J. A. Bullinaria, J. P. Levy, Behav. Res. Methods 44, 890 (2012).
    .. [3] Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018).

    Examples
    --------
    >>> sentences = [["Li", "Cl"], ["Na", "Cl"], ["Li", "Br"], ["Na", "Br"], ["Ti", "O"], ["Si", "O"]]
    >>> table = PPMI(dim=4).fit(sentences).embeddings()
    >>> table.nearest("Li", n=1)
    [Neighbour(token='Na', similarity=1.00)]
    """

    dim: int = 64
    window: int | None = None
    power: float = 1.0
    smoothing: float = 0.75
    shift: float = 0.0
    min_count: int = 1
    rows: Kind | Sequence[Kind] | None = None
    vocabulary_: Vocabulary = field(init=False, repr=False)
    vectors_: NDArray[np.float32] = field(init=False, repr=False)
    singular_values_: NDArray[np.float64] = field(init=False, repr=False)
    card_: Card = field(init=False, repr=False)

    def fit(self, sentences: Sentences) -> Self:
        """Count the sentences and factor the matrix.

        Parameters
        ----------
        sentences : Corpus, or re-iterable of sequence of str
            Token lists; read twice.

        Returns
        -------
        PPMI
            Itself, fitted.

        Raises
        ------
        TypeError
            If a sentence is no list of tokens, or the sentences can be read only once.
        ValueError
            If a setting makes no sense, no two tokens share a sentence, or none meet more often than by chance.
        """
        check_count("dim", self.dim)
        if self.window is not None:
            check_count("window", self.window)
        check_number("power", self.power)
        check_number("smoothing", self.smoothing, positive=True)
        check_number("shift", self.shift)
        reading = read_sentences(sentences, min_count=self.min_count)
        known = reading.vocabulary
        counts = _count_pairs(sentences, known, self.window)
        met = np.flatnonzero(counts.sum(axis=1))
        if not len(met):
            msg = "no two tokens share a sentence, so there is no context to learn from; choose another view or window"
            raise ValueError(msg)
        tokens = row_tokens([known.tokens[idx] for idx in met], self.rows)
        rows_idx = known.ids(tokens)
        matrix = _positive_information(counts[rows_idx], smoothing=self.smoothing, shift=self.shift)
        if not matrix.nnz:
            msg = f"no two tokens meet more often than by chance, less shift={self.shift}; a smaller shift may help"
            raise ValueError(msg)
        with threadpool_limits(limits=1):  # another number of threads, another order of sums, other bytes
            left, self.singular_values_ = _leading_vectors(matrix, self.dim)
        vectors = left * self.singular_values_**self.power
        vectors[np.abs(vectors) < _ROUNDING * np.abs(vectors).max()] = 0  # or it would pass for information
        self.vectors_ = vectors.astype(np.float32)
        self.vocabulary_ = Vocabulary(tuple(tokens), tuple(known.counts[idx] for idx in rows_idx))
        what = f"PPMI vectors of {len(tokens)} tokens: {matrix.shape[1]} contexts, {self.vectors_.shape[1]} dimensions."
        self.card_ = training_card(self, sentences, reading, n_rows=len(tokens), what=what)
        return self

    def embeddings(self) -> EmbeddingTable:
        """Hand out what was learned.

        Returns
        -------
        EmbeddingTable
            Most frequent token first.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        """
        if not hasattr(self, "card_"):
            raise not_fitted(self)
        return EmbeddingTable(self.vocabulary_.tokens, self.vectors_, self.card_)


def _chunks(sentences: Sentences, vocabulary: Vocabulary) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (ids, sentence of each id) for runs of whole sentences."""
    ids: list[int] = []
    lengths: list[int] = []
    for sentence in sentences:
        known = vocabulary.ids(sentence)
        ids += known
        lengths.append(len(known))
        if len(ids) >= _CHUNK:
            yield np.array(ids), np.repeat(np.arange(len(lengths)), lengths)
            ids, lengths = [], []
    if ids:
        yield np.array(ids), np.repeat(np.arange(len(lengths)), lengths)


def _count_pairs(sentences: Sentences, vocabulary: Vocabulary, window: int | None) -> sparse.csr_array:
    """Count ordered pairs of positions of a sentence at most `window` apart: int64, shape (n_tokens, n_tokens)."""
    n_tokens = len(vocabulary)
    counts = sparse.csr_array((n_tokens, n_tokens), dtype=np.int64)
    for ids, sentence in _chunks(sentences, vocabulary):
        if window is None:
            counts = counts + _pairs_anywhere(ids, sentence, n_tokens)
        else:
            half = _pairs_within(ids, sentence, n_tokens, window)
            counts = counts + half + half.T
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


def _pairs_anywhere(ids: NDArray[np.int64], sentence: NDArray[np.int64], n_tokens: int) -> sparse.csr_array:
    shape = (int(sentence[-1]) + 1, n_tokens)
    present = sparse.coo_array((np.ones_like(ids), (sentence, ids)), shape=shape).tocsr()
    own = np.bincount(ids, minlength=n_tokens)
    return sparse.csr_array(present.T @ present - sparse.diags_array(own, dtype=np.int64))


def _pairs_within(ids: NDArray[np.int64], sentence: NDArray[np.int64], n_tokens: int, window: int) -> sparse.csr_array:
    half = sparse.csr_array((n_tokens, n_tokens), dtype=np.int64)
    for distance in range(1, window + 1):
        together = sentence[distance:] == sentence[:-distance]
        if not together.any():
            break
        first, second = ids[:-distance][together], ids[distance:][together]
        half = half + sparse.coo_array((np.ones_like(first), (first, second)), shape=half.shape).tocsr()
    return half


def _positive_information(counts: sparse.csr_array, *, smoothing: float, shift: float) -> sparse.csr_array:
    """Turn counts (rows, all tokens) into PPMI (rows, contexts seen beside a row), rows of unit length or zero."""
    row_sums = counts.sum(axis=1)
    column_sums = counts.sum(axis=0)
    contexts = np.flatnonzero(column_sums)
    pairs = counts[:, contexts].tocoo()
    chance = column_sums[contexts] ** smoothing
    information = np.log(pairs.data * chance.sum() / (row_sums[pairs.row] * chance[pairs.col])) - shift
    kept = information > 0
    row, column, information = pairs.row[kept], pairs.col[kept], information[kept]
    lengths = np.sqrt(np.bincount(row, weights=information**2, minlength=pairs.shape[0]))
    return sparse.coo_array((information / lengths[row], (row, column)), shape=pairs.shape).tocsr()


def _leading_vectors(matrix: sparse.csr_array, dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find left singular vectors and values, largest first, `dim` of them or as many as the rank."""
    n_rows, n_columns = matrix.shape
    smaller = min(n_rows, n_columns)
    if smaller > _DENSE and 2 * dim < smaller:
        start = np.random.default_rng(0).standard_normal(smaller)
        left, values, _ = svds(matrix, k=dim, v0=start)
    else:
        wide = n_rows <= n_columns
        gram = (matrix @ matrix.T if wide else matrix.T @ matrix).toarray()
        squares, side = linalg.eigh(gram, subset_by_index=(max(0, smaller - dim), smaller - 1))
        values = np.sqrt(np.maximum(squares, 0))
        left = side if wide else matrix @ (side / np.where(values > 0, values, 1))
    noise = np.sqrt(10 * smaller * np.finfo(np.float64).eps) * values.max()  # rounding of squares, with room to spare
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > noise]
    left, values = left[:, order], values[order]
    largest = left[np.argmax(np.abs(left), axis=0), np.arange(left.shape[1])]
    return left * np.sign(largest), values
