"""ContextSVD: count contexts, in one view or several, and cut the counts down by a singular value decomposition."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, svds
from threadpoolctl import threadpool_limits

from matembed.cards import Card, package_versions
from matembed.corpus.context_counts import ContextCounts
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import (
    Reading,
    Sentences,
    check_count,
    check_number,
    not_fitted,
    plain_settings,
    read_sentences,
    row_tokens,
    training_card,
)
from matembed.tokens import Kind
from matembed.vocabulary import Vocabulary

__all__ = ["ContextSVD", "Weighting"]

Weighting = Literal["ppmi", "hellinger", "frequency"]
View = ContextCounts | EmbeddingTable

_CHUNK = 1 << 18  # tokens counted at a time
_ROUNDING = 1e-9  # entries this far below the largest are rounding: float64 sums of float64 products, and some
_DENSE = 2000  # largest matrix side that LAPACK takes whole; beyond it ARPACK finds the leading part


@dataclass(kw_only=True, eq=False)
class ContextSVD:
    """Count which tokens meet which contexts, and keep the leading part of the counts.

    Each view becomes a matrix with a row for each token and a column for each context:

    =========== =====================================================================================================
    "ppmi"      ``max(0, log P(i, j) / (P(i) P(j)) - shift)``, the positive pointwise mutual information of token i
                and context j, with the chance of a context raised to a power, ``P(j) ~ n(j)^smoothing`` [1]_; each
                row is scaled to unit length, so that rare tokens weigh as much as frequent ones
    "hellinger" ``sqrt(n(i, j) / n(i))``: the distance of two rows is that of Hellinger between their distributions
                over contexts [2]_; good where contexts are few and counts dense
    "frequency" ``n(i, j)``, each row scaled to unit length, as in Atom2Vec [4]_; the most frequent contexts decide
    =========== =====================================================================================================

    Several views stand side by side, each scaled so that the mean square of its rows is its weight; an embedding table
    is a view too, of its vectors. The leading left singular vectors, each times its singular value to a power, are the
    embeddings [3]_. With environments of formulas as contexts, weighted by "frequency", that is Atom2Vec [4]_;
    `matembed.encoders.preset` has its settings.

    The same input gives the same bytes on the same machine, in whatever order sentences come and however many threads
    there are.

    Parameters
    ----------
    dim : int, default 64
        Length of the vectors. They are shorter if the rank of the matrix is smaller than this.
    weighting : {"ppmi", "hellinger", "frequency"} or mapping of view to these, default "ppmi"
        What counts become. A mapping names the views that are not "ppmi".
    weights : mapping of view to float, optional
        How much each view counts, 1 by default. A view of weight 0 is left out, and so are tokens that no other has.
    centre : bool, default False
        Subtract from each column its mean over the tokens of the view, and from the whole its mean row: what all tokens
        share then takes no part in cosines. A token that a view lacks stands at that view's centre.
    window : int, optional
        Of sentences: tokens at most this far apart are each other's context, all alike. By default all tokens of a
        sentence are.
    power : float, default 1
        Singular values to this power scale the columns: 0 makes them alike, 1 keeps the cosines of the rows of the
        matrix as well as `dim` columns can, more gives weight to what many tokens share.
    smoothing : float, default 0.75
        Power of the context counts; below 1 it tempers the high scores of rare contexts.
    shift : float, default 0
        Subtracted from the mutual information, in nats; log k is like k negative samples in word2vec.
    min_count : int, default 1
        Leave out tokens seen fewer times, before contexts are counted; of `ContextCounts`, tokens of less total weight.
        Small corpora need every token; with 100,000 formulas, 5 is faster and keeps accidents of rare tokens out of the
        neighbours.
    min_tokens : int, default 1
        Leave out contexts met by fewer different tokens: a context of one token alone says nothing about others.
    rows : kind or sequence of kinds, optional
        Kinds of token that get a vector; all tokens are contexts. By default every kind but environments and
        connections, which say nothing by themselves. Asking for elements *and* environments at once mixes two
        copies of the same spectrum, since either is the only context of the other.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Tokens that have a vector, most frequent first, with their counts (total weights, rounded up). A token that is
        never seen beside another has none.
    vectors_ : float32 array, shape (n_tokens, dim)
        Columns by falling singular value; in each, the entry of largest size is positive. A token that meets
        no other more often than by chance has zeros.
    singular_values_ : float array, shape (dim,)
        Before `power` is applied.
    card_ : Card
        Corpus, settings and versions.

    See Also
    --------
    matembed.count_contexts, matembed.count_formula_contexts : Make views.
    matembed.Word2Vec : Learns from sentences by stochastic gradient descent.

    Notes
    -----
    Sentences are read twice and never held. In memory are the distinct tokens with their counts, and a count for each
    context that a token with a vector was met in; ``benchmarks/scale.md`` has what 50 million sentences take.

    References
    ----------
    .. [1] O. Levy, Y. Goldberg, I. Dagan, Trans. Assoc. Comput. Linguist. 3, 211 (2015).
    .. [2] R. Lebret, R. Collobert, EACL 2014, 482.
    .. [3] J. A. Bullinaria, J. P. Levy, Behav. Res. Methods 44, 890 (2012).
    .. [4] Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018).

    Examples
    --------
    >>> sentences = [["Li", "Cl"], ["Na", "Cl"], ["Li", "Br"], ["Na", "Br"], ["Ti", "O"], ["Si", "O"]]
    >>> table = ContextSVD(dim=4).fit(sentences).embeddings()
    >>> table.nearest("Li", n=1)
    [Neighbour(token='Na', similarity=1.00)]

    Several views, counted in formulas:

    >>> from matembed import count_formula_contexts
    >>> views = count_formula_contexts(["LiCl", "NaCl", "LiBr", "NaBr", "TiO2", "SiO2"], ["rest", "templates"])
    >>> encoder = ContextSVD(dim=4, weighting={"templates": "hellinger"}, weights={"templates": 0.5}).fit(views)
    >>> encoder.embeddings().nearest("Li", n=1)[0].token
    'Na'
    """

    dim: int = 64
    weighting: Weighting | Mapping[str, Weighting] = "ppmi"
    weights: Mapping[str, float] | None = None
    centre: bool = False
    window: int | None = None
    power: float = 1.0
    smoothing: float = 0.75
    shift: float = 0.0
    min_count: int = 1
    min_tokens: int = 1
    rows: Kind | Sequence[Kind] | None = None
    vocabulary_: Vocabulary = field(init=False, repr=False)
    vectors_: NDArray[np.float32] = field(init=False, repr=False)
    singular_values_: NDArray[np.float64] = field(init=False, repr=False)
    card_: Card = field(init=False, repr=False)

    def fit(self, sentences: Sentences | View | Mapping[str, View]) -> Self:
        """Weight the counts and factor them.

        Parameters
        ----------
        sentences : Corpus, re-iterable of sequence of str, ContextCounts, or mapping of view to ContextCounts or table
            Token lists, read twice; or contexts that are counted already, in one view or several, among which may
            be embedding tables.

        Returns
        -------
        ContextSVD
            Itself, fitted.

        Raises
        ------
        TypeError
            If a sentence is no list of tokens, the sentences can be read only once, or a view is none.
        ValueError
            If a setting makes no sense, no two tokens share a sentence, or none meet more often than by chance.
        """
        self._check_settings()
        views = _named_views(sentences)
        unknown = {
            *(self.weighting if isinstance(self.weighting, Mapping) else ()),
            *(self.weights or ()),
        } - views.keys()
        if unknown:
            known_views = ", ".join(map(repr, views)) or "sentences"
            msg = f"weighting or weights name the view {min(unknown)!r}, which is not among {known_views}"
            raise ValueError(msg)
        known = self._read(sentences) if not views else self._put_together(views)
        if not any(block.matrix.nnz for block in known.blocks):
            settings = f"shift={self.shift} and min_tokens={self.min_tokens}"
            msg = f"no two tokens meet more often than by chance with {settings}; smaller ones may help"
            raise ValueError(msg)
        stacked = _Stacked(known.blocks, centre=self.centre)
        with threadpool_limits(limits=1):  # another number of threads, another order of sums, other bytes
            left, self.singular_values_ = _leading_vectors(stacked, self.dim)
        if (self.singular_values_**2).sum() <= _ROUNDING * (stacked.matrix.data**2).sum():
            msg = "all tokens have the same contexts, so that centring leaves nothing; pass centre=False or add a view"
            raise ValueError(msg)
        vectors = left * self.singular_values_**self.power
        vectors[np.abs(vectors) < _ROUNDING * np.abs(vectors).max()] = 0  # or it would pass for information
        self.vectors_ = vectors.astype(np.float32)
        self.vocabulary_ = Vocabulary(known.tokens, known.counts)
        n_contexts = sum(block.matrix.shape[1] for block in known.blocks)
        shape = f"{n_contexts} contexts, {self.vectors_.shape[1]} dimensions"
        what = f"Context vectors of {len(known.tokens)} tokens: {shape}."
        if known.reading is None:
            self.card_ = self._card(views, what)
        else:
            self.card_ = training_card(
                self, cast(Sentences, sentences), known.reading, n_rows=len(known.tokens), what=what
            )
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

    def _check_settings(self) -> None:
        check_count("dim", self.dim)
        check_count("min_count", self.min_count)
        check_count("min_tokens", self.min_tokens)
        if self.window is not None:
            check_count("window", self.window)
        check_number("power", self.power)
        check_number("smoothing", self.smoothing, positive=True)
        check_number("shift", self.shift)
        asked = self.weighting.values() if isinstance(self.weighting, Mapping) else [self.weighting]
        wrong = [weighting for weighting in asked if weighting not in get_args(Weighting)]
        if wrong:
            choices = ", ".join(map(repr, get_args(Weighting)))
            msg = f"weighting must be one of {choices}, of all views or by view, got {wrong[0]!r}"
            raise ValueError(msg)
        for view, weight in (self.weights or {}).items():
            check_number(f"weights[{view!r}]", weight)

    def _read(self, sentences: Any) -> "_Known":
        """Count the tokens of sentences as each other's contexts."""
        reading = read_sentences(sentences, min_count=self.min_count)
        vocabulary = reading.vocabulary
        chosen = row_tokens(vocabulary.tokens, self.rows)
        counts = _count_pairs(sentences, vocabulary, self.window, np.array(vocabulary.ids(chosen)))
        met = np.flatnonzero(counts.sum(axis=1))
        if not len(met):
            msg = "no two tokens share a sentence, so there is no context to learn from; choose another view or window"
            raise ValueError(msg)
        tokens = tuple(chosen[idx] for idx in met)
        matrix = self._weighted(counts[met], "")
        seen = tuple(vocabulary.counts[idx] for idx in vocabulary.ids(tokens))
        return _Known(tokens, seen, (_Block(matrix, np.ones(len(tokens), dtype=bool)),), reading)

    def _put_together(self, views: Mapping[str, View]) -> "_Known":
        """Weight each view, and line their rows up."""
        weights = {name: 1.0 if self.weights is None else float(self.weights.get(name, 1)) for name in views}
        counted = {name: _totals(view) for name, view in views.items() if weights[name] > 0}
        if not counted:
            msg = f"weights leave no view; give one of {', '.join(map(repr, views))} a weight of more than 0"
            raise ValueError(msg)
        totals: dict[str, float] = {}
        for of_view in counted.values():
            for token, total in of_view.items():
                totals[token] = max(totals.get(token, 0), total)
        if any(isinstance(views[name], ContextCounts) for name in counted):
            totals = {token: total for token, total in totals.items() if total >= self.min_count or total == 0}
        ranked = sorted(totals, key=lambda token: (-totals[token], token))
        if not ranked:
            msg = f"min_count={self.min_count} leaves no token; nothing can be learned"
            raise ValueError(msg)
        tokens = row_tokens(ranked, self.rows)
        place = {token: row for row, token in enumerate(tokens)}
        blocks = []
        for name, of_view in counted.items():
            view = views[name]
            here = [row for row, token in enumerate(view.tokens) if token in place and token in of_view]
            if not here:
                continue
            if isinstance(view, EmbeddingTable):
                matrix = sparse.csr_array(view.vectors[here].astype(np.float64))
            else:
                matrix = self._weighted(view.counts[here], name)
            rows = [place[view.tokens[row]] for row in here]
            blocks.append(_block(matrix, rows, len(tokens), weights[name], self.centre))
        counts = tuple(int(np.ceil(totals[token])) for token in tokens)
        return _Known(tuple(tokens), counts, tuple(blocks), None)

    def _weighted(self, counts: sparse.csr_array, view: str) -> sparse.csr_array:
        weighting = self.weighting.get(view, "ppmi") if isinstance(self.weighting, Mapping) else self.weighting
        counts = sparse.csr_array(counts)
        counts.sum_duplicates()
        counts.eliminate_zeros()
        if self.min_tokens > 1:
            counts = counts[:, np.flatnonzero(np.diff(counts.tocsc().indptr) >= self.min_tokens)]
        if weighting == "hellinger":
            return _hellinger(counts)
        if weighting == "frequency":
            return _unit_rows(counts.tocoo())
        return _positive_information(counts, smoothing=self.smoothing, shift=self.shift)

    def _card(self, views: Mapping[str, View], what: str) -> Card:
        cards = {name: view.card for name, view in views.items()}
        settings = {"encoder": "ContextSVD"} | plain_settings(self)
        settings["weights"] = {name: float((self.weights or {}).get(name, 1)) for name in views}
        del settings["window"]  # of sentences
        return Card(
            name="-".join(("contextsvd", *views)),
            what=what,
            source="; ".join(dict.fromkeys(filter(None, (card.source for card in cards.values())))),
            licence=" AND ".join(dict.fromkeys(filter(None, (card.licence for card in cards.values())))),
            citation=tuple(dict.fromkeys(cited for card in cards.values() for cited in card.citation)),
            corpus=_said(cards),
            counts={"vectors": len(self.vocabulary_.tokens)},
            settings=settings,
            versions=package_versions(),
        )


def _said(cards: Mapping[str, Card]) -> dict[str, Any]:
    """Repeat what tells one view from another, once for views that are alike but for their seed.

    Source, licence and versions are on the card of the table.
    """
    alike: dict[str, list[str]] = {}
    for name, card in cards.items():
        seedless = {key: value for key, value in card.settings.items() if key != "seed"}
        alike.setdefault(name if card.seed is None else repr((card.name, card.counts, seedless)), []).append(name)
    said = {}
    for names in alike.values():
        card, seeds = cards[names[0]], [cards[name].seed for name in names]
        facts: dict[str, Any] = {"name": card.name, "counts": dict(card.counts), "settings": dict(card.settings)}
        if len(names) > 1:
            facts["settings"].pop("seed", None)
        if card.seed is not None:
            facts["seed"] = seeds if len(names) > 1 else card.seed
        said[", ".join(names)] = facts
    return said


class _Block(NamedTuple):
    """The matrix of one view, rows lined up with all tokens, and which of them it knows."""

    matrix: sparse.csr_array
    known: NDArray[np.bool_]


class _Known(NamedTuple):
    """Tokens that get a vector, how often they were seen, and what is known of them."""

    tokens: tuple[str, ...]
    counts: tuple[int, ...]
    blocks: tuple[_Block, ...]
    reading: Reading | None


def _named_views(data: Any) -> dict[str, View]:
    """List the views of what was passed; none of sentences."""
    if isinstance(data, ContextCounts):
        return {data.view: data}
    if isinstance(data, EmbeddingTable):
        return {data.card.name: data}
    if not isinstance(data, Mapping):
        return {}
    wrong = [name for name, view in data.items() if not isinstance(view, ContextCounts | EmbeddingTable)]
    if wrong or not data:
        got = f"{type(data[wrong[0]]).__name__} as {wrong[0]!r}" if wrong else "none"
        msg = f"views must be ContextCounts or EmbeddingTables by name, got {got}"
        raise TypeError(msg)
    return dict(data)


def _totals(view: View) -> dict[str, float]:
    """Add up the weight of each token that a view knows; sums of shares of 1, such as six sixths, are 1 again."""
    if isinstance(view, EmbeddingTable):
        return {token: 0.0 for token in view.tokens if token not in view.backed_off}
    return dict(zip(view.tokens, view.counts.sum(axis=1).round(9).tolist(), strict=True))


def _block(matrix: sparse.csr_array, rows: Sequence[int], n_rows: int, weight: float, centre: bool) -> _Block:
    """Line a view up with all tokens, and scale it so that the mean square of its rows is the weight."""
    known = np.zeros(n_rows, dtype=bool)
    known[rows] = True
    place = sparse.coo_array((np.ones(len(rows)), (rows, range(len(rows)))), shape=(n_rows, len(rows))).tocsr()
    square = about_zero = float((matrix.data**2).sum())
    if centre:  # what is left of the sum of squares about the mean
        square -= float((matrix.mean(axis=0) ** 2).sum()) * len(rows)
    scale = np.sqrt(weight * len(rows) / square) if square > _ROUNDING * about_zero else 0.0
    return _Block(sparse.csr_array(place @ matrix) * scale, known)


class _Stacked:
    """Views side by side, centred or not, without writing out what centring fills in: ``matrix - known @ means``."""

    def __init__(self, blocks: Sequence[_Block], *, centre: bool) -> None:
        self.matrix = sparse.csr_array(sparse.hstack([block.matrix for block in blocks], format="csr"))
        n_rows, n_columns = self.matrix.shape
        self.known = np.zeros((n_rows, 0))
        self.means = np.zeros((0, n_columns))
        if not centre:
            return
        self.known = np.column_stack([*(block.known for block in blocks), np.ones(n_rows)]).astype(np.float64)
        self.means = np.zeros((len(blocks) + 1, n_columns))
        start = 0
        for row, block in enumerate(blocks):
            stop = start + block.matrix.shape[1]
            self.means[row, start:stop] = block.matrix.sum(axis=0) / block.known.sum()
            start = stop
        self.means[-1] = (self.matrix.sum(axis=0) - self.known.sum(axis=0) @ self.means) / n_rows

    @property
    def shape(self) -> tuple[int, int]:
        n_rows, n_columns = self.matrix.shape
        return int(n_rows), int(n_columns)

    def row_gram(self) -> NDArray[np.float64]:
        cross = (self.matrix @ self.means.T) @ self.known.T
        within = self.known @ (self.means @ self.means.T) @ self.known.T
        return np.asarray((self.matrix @ self.matrix.T).toarray() - cross - cross.T + within)

    def column_gram(self) -> NDArray[np.float64]:
        cross = (self.matrix.T @ self.known) @ self.means
        within = self.means.T @ (self.known.T @ self.known) @ self.means
        return np.asarray((self.matrix.T @ self.matrix).toarray() - cross - cross.T + within)

    def times(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.matrix @ columns - self.known @ (self.means @ columns))

    def transposed_times(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.matrix.T @ rows - self.means.T @ (self.known.T @ rows))

    def operator(self) -> LinearOperator:
        pair = {"matvec": self.times, "rmatvec": self.transposed_times}
        return LinearOperator(self.shape, matmat=self.times, rmatmat=self.transposed_times, dtype=np.float64, **pair)


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


def _count_pairs(
    sentences: Sentences, vocabulary: Vocabulary, window: int | None, rows_idx: NDArray[np.int64]
) -> sparse.csr_array:
    """Count pairs of positions of a sentence at most `window` apart: int64, shape (n_rows, n_tokens)."""
    n_tokens = len(vocabulary)
    place = np.full(n_tokens, -1)
    place[rows_idx] = np.arange(len(rows_idx))
    # Sums of chunks, each at least twice as large as the next: then no count is added more than log(n_chunks) times.
    sums = [sparse.csr_array((len(rows_idx), n_tokens), dtype=np.int64)]
    for ids, sentence in _chunks(sentences, vocabulary):
        if window is None:
            sums.append(_pairs_anywhere(ids, sentence, place, rows_idx))
        else:
            sums.append(_pairs_within(ids, sentence, place, len(rows_idx), window))
        while len(sums) > 1 and sums[-2].nnz < 2 * sums[-1].nnz:
            sums[-2:] = [sums[-2] + sums[-1]]
    while len(sums) > 1:
        sums[-2:] = [sums[-2] + sums[-1]]
    counts = sums[0]
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


def _pairs_anywhere(
    ids: NDArray[np.int64], sentence: NDArray[np.int64], place: NDArray[np.int64], rows_idx: NDArray[np.int64]
) -> sparse.csr_array:
    n_sentences = int(sentence[-1]) + 1
    present = sparse.coo_array((np.ones_like(ids), (sentence, ids)), shape=(n_sentences, len(place))).tocsr()
    of_row = place[ids] >= 0
    rows, within = place[ids[of_row]], sentence[of_row]
    having = sparse.coo_array((np.ones_like(rows), (rows, within)), shape=(len(rows_idx), n_sentences)).tocsr()
    own = np.bincount(rows, minlength=len(rows_idx))
    itself = sparse.coo_array((own, (np.arange(len(rows_idx)), rows_idx)), shape=(len(rows_idx), len(place)))
    return sparse.csr_array(having @ present - itself.tocsr())


def _pairs_within(
    ids: NDArray[np.int64], sentence: NDArray[np.int64], place: NDArray[np.int64], n_rows: int, window: int
) -> sparse.csr_array:
    counts = sparse.csr_array((n_rows, len(place)), dtype=np.int64)
    for distance in range(1, window + 1):
        together = sentence[distance:] == sentence[:-distance]
        if not together.any():
            break
        ends = ids[:-distance][together], ids[distance:][together]
        for one, other in (ends, ends[::-1]):
            of_row = place[one] >= 0
            rows, columns = place[one[of_row]], other[of_row]
            counts = counts + sparse.coo_array((np.ones_like(rows), (rows, columns)), shape=counts.shape).tocsr()
    return counts


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
    return _unit_rows(sparse.coo_array((information, (row, column)), shape=pairs.shape))


def _unit_rows(matrix: sparse.coo_array) -> sparse.csr_array:
    """Scale each row to unit length, unless it is zero."""
    lengths = np.sqrt(np.bincount(matrix.row, weights=matrix.data**2, minlength=matrix.shape[0]))
    entries = (matrix.data / lengths[matrix.row], (matrix.row, matrix.col))
    return sparse.coo_array(entries, shape=matrix.shape).tocsr()


def _hellinger(counts: sparse.csr_array) -> sparse.csr_array:
    """Turn counts into square roots of the distribution of each row, of unit length or zero."""
    pairs = counts.tocoo()
    row_sums = counts.sum(axis=1)
    roots = np.sqrt(pairs.data / row_sums[pairs.row])
    return sparse.coo_array((roots, (pairs.row, pairs.col)), shape=pairs.shape).tocsr()


def _leading_vectors(stacked: _Stacked, dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find left singular vectors and values, largest first, `dim` of them or as many as the rank."""
    n_rows, n_columns = stacked.shape
    smaller = min(n_rows, n_columns)
    if smaller > _DENSE and 2 * dim < smaller:
        start = np.random.default_rng(0).standard_normal(smaller)
        left, values, _ = svds(stacked.operator(), k=dim, v0=start)
    else:
        wide = n_rows <= n_columns
        gram = stacked.row_gram() if wide else stacked.column_gram()
        squares, side = linalg.eigh(gram, subset_by_index=(max(0, smaller - dim), smaller - 1))
        values = np.sqrt(np.maximum(squares, 0))
        left = side if wide else stacked.times(side / np.where(values > 0, values, 1))
    # Rounding of squares, with room to spare: of those before centring, which may leave far smaller ones.
    before = (stacked.matrix**2).sum(axis=1 if n_rows <= n_columns else 0)
    largest = max(values.max(), np.sqrt(before.max()))
    noise = np.sqrt(10 * smaller * np.finfo(np.float64).eps) * largest
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > noise]
    left, values = left[:, order], values[order]
    leading = left[np.argmax(np.abs(left), axis=0), np.arange(left.shape[1])]
    return left * np.sign(leading), values
