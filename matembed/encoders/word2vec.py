"""Word2Vec: skip-gram and CBOW with negative sampling, trained by gensim."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from matembed._gensim import gensim_models
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

__all__ = ["Word2Vec"]

_LONGEST = 10_000  # gensim drops what follows the 10,000th token of a sentence


@dataclass(kw_only=True, eq=False)
class Word2Vec:
    """Learn to tell the tokens around a token from random ones [1]_.

    The same seed gives the same bytes on the same machine with one worker, whatever PYTHONHASHSEED is.

    Parameters
    ----------
    dim : int, default 64
        Length of the vectors.
    window : int, optional
        Tokens at most this far apart in a sentence are each other's context, all alike. By default all tokens of
        a sentence are, at a cost that grows with the square of its length.
    algorithm : {"skip-gram", "cbow"}
        Predict each context from the token, or the token from the mean of its contexts.
    epochs : int, default 15
        Passes over the sentences. The default suits some hundred thousand tokens; the fewer there are, the more
        passes it takes to leave the random start behind.
    negative : int, default 5
        Random tokens told from each true one.
    alpha : float, default 0.025
        Learning rate at the start; it falls to 0.0001 along a line.
    subsample : float, default 0
        Skip tokens more frequent than this fraction of the corpus at random. Off by default: where tokens are
        elements, each is frequent.
    min_count : int, default 1
        Leave out tokens seen fewer times, before windows are laid. Small corpora need every token; with
        100,000 formulas, 5 is faster and keeps accidents of rare tokens out of the neighbours.
    rows : kind or sequence of kinds, optional
        Kinds of token that get a vector; all tokens are trained. By default every kind but environments and
        connections, which say nothing by themselves.
    seed : int, default 0
        Starts the first vectors and all sampling.
    workers : int, default 1
        Threads. With more than one they race, and no two runs give the same vectors.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Tokens that have a vector, with their counts, most frequent first. A token that is never seen beside another
        has none.
    vectors_ : float32 array, shape (n_tokens, dim)
        Input vectors of the network.
    card_ : Card
        Corpus, settings, seed and versions.

    See Also
    --------
    matembed.ContextSVD : Deterministic, and done in seconds.

    Notes
    -----
    A sentence longer than 10,000 tokens is trained in pieces of 10,000.

    Sentences are never held in memory. The distinct tokens are, and of those seen `min_count` times or more two vectors
    each; ``benchmarks/scale.md`` has what 50 million sentences take.

    References
    ----------
    .. [1] T. Mikolov et al., Adv. Neural Inf. Process. Syst. 26, 3111 (2013).

    Examples
    --------
    >>> sentences = [["Li", "Cl"], ["Na", "Cl"], ["Li", "Br"], ["Na", "Br"], ["Ti", "O"], ["Si", "O"]]
    >>> table = Word2Vec(dim=8, epochs=500, seed=1).fit(sentences).embeddings()
    >>> table.nearest("Li", n=1)[0].token
    'Na'
    """

    dim: int = 64
    window: int | None = None
    algorithm: Literal["skip-gram", "cbow"] = "skip-gram"
    epochs: int = 15
    negative: int = 5
    alpha: float = 0.025
    subsample: float = 0.0
    min_count: int = 1
    rows: Kind | Sequence[Kind] | None = None
    seed: int = 0
    workers: int = 1
    progress: bool = False
    vocabulary_: Vocabulary = field(init=False, repr=False)
    vectors_: NDArray[np.float32] = field(init=False, repr=False)
    card_: Card = field(init=False, repr=False)

    def fit(self, sentences: Sentences) -> Self:
        """Train on the sentences.

        Parameters
        ----------
        sentences : Corpus, or re-iterable of sequence of str
            Token lists; read `epochs` + 2 times.

        Returns
        -------
        Word2Vec
            Itself, fitted.

        Raises
        ------
        ImportError
            If gensim is not installed.
        TypeError
            If a sentence is no list of tokens, or the sentences can be read only once.
        ValueError
            If a setting makes no sense, or no two tokens share a sentence.
        """
        for name in ("dim", "epochs", "negative", "workers"):
            check_count(name, getattr(self, name))
        if self.window is not None:
            check_count("window", self.window)
        check_count("seed", self.seed, least=0)
        if self.seed >= 2**32:
            msg = f"seed must be less than {2**32}, got {self.seed}"
            raise ValueError(msg)
        check_number("alpha", self.alpha, positive=True)
        check_number("subsample", self.subsample)
        if self.algorithm not in ("skip-gram", "cbow"):
            msg = f'algorithm must be "skip-gram" or "cbow", got {self.algorithm!r}'
            raise ValueError(msg)
        models = gensim_models()
        reading = read_sentences(sentences, min_count=self.min_count)
        known = reading.vocabulary
        met = bytearray(len(known))
        for sentence in sentences:
            if len(ids := known.ids(sentence)) > 1:
                for idx in ids:
                    met[idx] = True
        if not any(met):
            msg = "no two tokens share a sentence, so there is no context to learn from; choose another view"
            raise ValueError(msg)
        tokens = row_tokens(list(compress(known.tokens, met)), self.rows)
        model = models.Word2Vec(
            vector_size=self.dim,
            window=min(self.window or reading.longest, _LONGEST),
            shrink_windows=False,
            sg=self.algorithm == "skip-gram",
            negative=self.negative,
            alpha=self.alpha,
            sample=self.subsample,
            min_count=1,
            sorted_vocab=0,
            seed=self.seed,
            workers=self.workers,
        )
        model.build_vocab_from_freq(dict(zip(known.tokens, known.counts, strict=True)))
        n_expected = self.epochs * reading.n_sentences
        with tqdm(total=n_expected, unit=" sentences", unit_scale=True, disable=not self.progress) as bar:
            passes = _Passes(sentences, bar)
            model.train(passes, total_words=reading.n_tokens, epochs=self.epochs)
        if passes.error is not None:
            raise passes.error
        rows_idx = known.ids(tokens)
        self.vectors_ = model.wv.vectors[rows_idx].astype(np.float32)
        self.vocabulary_ = Vocabulary(tuple(tokens), tuple(known.counts[idx] for idx in rows_idx))
        what = f"Word2vec vectors ({self.algorithm}) of {len(tokens)} tokens, {self.dim} dimensions."
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


class _Passes:
    """Sentences as gensim can take them: lists cut to length, counted on a bar, errors kept for the calling thread."""

    def __init__(self, sentences: Sentences, bar: "tqdm[Any]") -> None:
        self.sentences = sentences
        self.bar = bar
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[Sequence[str]]:
        try:
            for sentence in self.sentences:
                for start in range(0, len(sentence), _LONGEST):
                    yield list(sentence[start : start + _LONGEST])  # gensim's thread dies of an array, and ends no more
                self.bar.update()
        except Exception as error:
            self.error = error
