"""MaskedSet: a small transformer that guesses the hidden token of a set from the others and their fractions."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from matembed._optional import import_extra
from matembed.cards import Card
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import (
    Sentences,
    check_count,
    check_number,
    not_fitted,
    one_thread,
    read_sentences,
    row_tokens,
    training_card,
    warm_then_cosine,
)
from matembed.tokens import Kind
from matembed.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MaskedSet"]

_CENTRES = np.linspace(0, 1, 32)  # of the Gaussians that encode a fraction
_WIDTH = 1 / 32  # standard deviation of each, about their distance
_WARM_UP = 0.05  # of all steps: the learning rate rises
_START = 0.02  # standard deviation of the first token vectors: small, since what is left of them at the end is noise
_BETAS = (0.9, 0.98)  # of AdamW
_PAIRS = 1 << 20  # pairs of positions in a batch, at most: a batch of long sets has fewer of them


@dataclass(kw_only=True, eq=False)
class MaskedSet:
    """Hide one token of a set and learn to name it from the others and all fractions.

    A sentence is a multiset: [Sr, Ti, O, O, O] is read as 1/5 Sr, 1/5 Ti and 3/5 O, whatever the order, and so is its
    double. The view for formulas is ``"amounts"``. Each token enters as its vector plus an encoding of its fraction,
    without a position; a pre-norm transformer [1]_ mixes them, and where a token was hidden, leaving its fraction,
    the product of the outcome with every vector says which one it was [2]_. The same vectors thus serve at both
    ends, and they are the embeddings.

    The same seed gives the same bytes on the same machine, however many threads there are and in whatever order the
    sentences come.

    Parameters
    ----------
    dim : int, default 64
        Length of the vectors, a multiple of `n_heads`.
    n_layers : int, default 1
        Layers of attention and feed-forward network. With a second, hidden tokens are guessed better, but the vectors
        are no better and take twice as long.
    n_heads : int, default 4
        Attention heads of each layer.
    feed_forward : int, default 128
        Width of the feed-forward networks.
    epochs : int, default 10
        Passes over the sets; in each, one token of every set is hidden. The default suits some 100,000 sets; the
        fewer there are, the more passes it takes.
    batch_size : int, default 256
        Sets in a step.
    learning_rate : float, default 0.01
        At its highest: it rises over the first 5 % of the steps, then falls to zero along half a cosine.
    weight_decay : float, default 0.01
        Of AdamW [3]_; biases and scales are exempt.
    distinct : bool, default True
        Train on each set once an epoch, so that a formula with ten polymorphs counts like one with a single
        structure. Otherwise a set counts as often as it comes.
    min_count : int, default 1
        Leave out tokens seen fewer times, before fractions are taken. Small corpora need every token; with
        100,000 formulas, 5 keeps accidents of rare tokens out of the neighbours.
    rows : kind or sequence of kinds, optional
        Kinds of token that get a vector; all tokens are trained. By default every kind but environments and
        connections, which say nothing by themselves.
    seed : int, default 0
        Starts the weights, the order of the sets and the choice of what is hidden.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Tokens that have a vector, with their counts, most frequent first. A token that is never seen beside another
        has none.
    vectors_ : float32 array, shape (n_tokens, dim)
        What stands for each token, as trained.
    loss_ : float array, shape (epochs,)
        Mean cross-entropy of the hidden tokens in each epoch, in nats, before each step learned from them.
    card_ : Card
        Corpus, settings, seed and versions.

    See Also
    --------
    matembed.ContextSVD : Deterministic, and done in seconds.
    matembed.Word2Vec : Sees tokens in pairs.

    Notes
    -----
    Time grows with the size of the vocabulary, since each guess is scored against all of it, and with the square of
    the number of distinct tokens of a set. A set of one token has no context and is skipped.

    References
    ----------
    .. [1] A. Vaswani et al., Adv. Neural Inf. Process. Syst. 30, 5998 (2017); R. Xiong et al., arXiv:2002.04745.
    .. [2] J. Devlin et al., arXiv:1810.04805 (2018).
    .. [3] I. Loshchilov, F. Hutter, arXiv:1711.05101 (2017).

    Examples
    --------
    >>> sentences = [["Li", "Cl"], ["Na", "Cl"], ["Li", "Br"], ["Na", "Br"], ["Ti", "O", "O"], ["Si", "O", "O"]]
    >>> sentences += [["Li", "Li", "O"], ["Na", "Na", "O"]]
    >>> table = MaskedSet(dim=8, epochs=200).fit(sentences).embeddings()
    >>> table.nearest("Li", n=1)[0].token
    'Na'
    """

    dim: int = 64
    n_layers: int = 1
    n_heads: int = 4
    feed_forward: int = 128
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    distinct: bool = True
    min_count: int = 1
    rows: Kind | Sequence[Kind] | None = None
    seed: int = 0
    progress: bool = False
    vocabulary_: Vocabulary = field(init=False, repr=False)
    vectors_: NDArray[np.float32] = field(init=False, repr=False)
    loss_: NDArray[np.float64] = field(init=False, repr=False)
    card_: Card = field(init=False, repr=False)

    def fit(self, sentences: Sentences) -> Self:
        """Train on the sentences.

        Parameters
        ----------
        sentences : Corpus, or re-iterable of sequence of str
            Token lists; read twice.

        Returns
        -------
        MaskedSet
            Itself, fitted.

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        TypeError
            If a sentence is no list of tokens, or the sentences can be read only once.
        ValueError
            If a setting makes no sense, or no two tokens share a sentence.
        """
        for name in ("dim", "n_layers", "n_heads", "feed_forward", "epochs", "batch_size"):
            check_count(name, getattr(self, name))
        if self.dim % self.n_heads:
            msg = f"dim must be a multiple of n_heads={self.n_heads}, got {self.dim}"
            raise ValueError(msg)
        check_count("seed", self.seed, least=0)
        check_number("learning_rate", self.learning_rate, positive=True)
        check_number("weight_decay", self.weight_decay)
        torch: Any = import_extra("torch", extra="transformer")
        reading = read_sentences(sentences, min_count=self.min_count)
        known = reading.vocabulary
        sets = _read_sets(sentences, known, distinct=self.distinct)
        if not sets:
            msg = "no two tokens share a sentence, so there is no context to learn from; choose another view"
            raise ValueError(msg)
        met = np.unique(np.concatenate([np.unique(group.ids) for group in sets]))
        tokens = row_tokens([known.tokens[idx] for idx in met], self.rows)
        with one_thread(torch), torch.inference_mode(mode=False), torch.enable_grad():
            vectors, self.loss_ = _train(self, sets, len(known), torch)
        rows_idx = known.ids(tokens)
        self.vectors_ = vectors[rows_idx]
        self.vocabulary_ = Vocabulary(tuple(tokens), tuple(known.counts[idx] for idx in rows_idx))
        what = f"Masked-set transformer vectors of {len(tokens)} tokens, {self.dim} dimensions."
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


@dataclass(frozen=True, eq=False)
class _Sets:
    """Sets of one size, in an order of their own: the numbers of their tokens, and how often each set came."""

    ids: NDArray[np.int64]  # (n_sets, size)
    counts: NDArray[np.int64]  # (n_sets, size)
    n_times: NDArray[np.int64]  # (n_sets,)

    def fractions(self) -> NDArray[np.float64]:
        """Divide counts by their sum: shape (n_sets, size)."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)

    def batches(self, batch_size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Shuffle the sets and cut them into batches; each is an index array of sets."""
        order = rng.permutation(np.repeat(np.arange(len(self.ids)), self.n_times))
        n_rows = min(batch_size, max(1, _PAIRS // self.ids.shape[1] ** 2))
        return [order[start : start + n_rows] for start in range(0, len(order), n_rows)]


def _read_sets(sentences: Sentences, vocabulary: Vocabulary, *, distinct: bool) -> list[_Sets]:
    """Find the different sets of two or more known tokens, by size."""
    seen: Counter[bytes] = Counter()  # bytes of ids and counts: much smaller than tuples of them
    for sentence in sentences:
        members = sorted(Counter(vocabulary.ids(sentence)).items())
        if len(members) > 1:
            divisor = math.gcd(*(count for _, count in members))
            ids_then_counts = [idx for idx, _ in members] + [count // divisor for _, count in members]
            seen[np.array(ids_then_counts, dtype=np.int64).tobytes()] += 1
    by_size: dict[int, list[bytes]] = {}
    for key in sorted(seen):
        by_size.setdefault(len(key) // 16, []).append(key)
    sets = []
    for size, keys in sorted(by_size.items()):
        numbers = np.frombuffer(b"".join(keys), dtype=np.int64).reshape(len(keys), 2, size)
        n_times = np.array([1 if distinct else seen[key] for key in keys])
        sets.append(_Sets(numbers[:, 0], numbers[:, 1], n_times))
    return sets


def _train(
    encoder: MaskedSet, sets: Sequence[_Sets], n_tokens: int, torch: Any
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Train a network; return its token vectors, shape (n_tokens, dim), and the mean loss of each epoch."""
    rng = np.random.default_rng(encoder.seed)
    fractions = np.unique(np.concatenate([np.unique(group.fractions()) for group in sets]))
    fractions_idx = [np.searchsorted(fractions, group.fractions()) for group in sets]
    network = _Network(encoder, n_tokens, fractions, rng, torch)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.matrices, "weight_decay": encoder.weight_decay},
            {"params": network.others, "weight_decay": 0.0},
        ],
        betas=_BETAS,
        fused=True,
    )
    n_sets = sum(int(group.n_times.sum()) for group in sets)
    loss_of_epochs = np.zeros(encoder.epochs)
    with tqdm(total=encoder.epochs * n_sets, unit=" sets", unit_scale=True, disable=not encoder.progress) as bar:
        for epoch in range(encoder.epochs):
            batches = [(idx, rows) for idx, group in enumerate(sets) for rows in group.batches(encoder.batch_size, rng)]
            for n_done, batch in enumerate(rng.permutation(len(batches))):
                idx, rows = batches[batch]
                hidden_first = _one_first(len(rows), sets[idx].ids.shape[1], rng)
                ids = np.take_along_axis(sets[idx].ids[rows], hidden_first, axis=1)
                coded = np.take_along_axis(fractions_idx[idx][rows], hidden_first, axis=1)
                loss = network.loss(torch.from_numpy(ids), torch.from_numpy(coded))
                done = (epoch + n_done / len(batches)) / encoder.epochs
                for settings in optimizer.param_groups:
                    settings["lr"] = encoder.learning_rate * warm_then_cosine(
                        done + 1 / (encoder.epochs * len(batches)), _WARM_UP
                    )
                optimizer.zero_grad()
                (loss / encoder.batch_size).backward()  # a set weighs the same in a batch that was cut short
                optimizer.step()
                loss_of_epochs[epoch] += loss.item() / n_sets
                bar.update(len(rows))
    return network.tokens.detach().numpy(), loss_of_epochs


def _one_first(n_sets: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose a member of each set and bring it to the front: index arrays, shape (n_sets, size)."""
    chosen = rng.integers(size, size=n_sets)
    order = np.tile(np.arange(size), (n_sets, 1))
    order[np.arange(n_sets), chosen] = 0
    order[:, 0] = chosen
    return order


class _Network:
    """The transformer, in plain tensors: PyTorch is imported by `fit`, so no class here can derive from its classes.

    Every weight starts from a NumPy generator and is copied into PyTorch's own aligned memory, since what a product
    rounds to can depend on where its factors lie.
    """

    def __init__(
        self, encoder: MaskedSet, n_tokens: int, fractions: NDArray[np.float64], rng: np.random.Generator, torch: Any
    ) -> None:
        self.torch, self.functional, self.rng = torch, torch.nn.functional, rng
        self.matrices: list[Tensor] = []  # with weight decay
        self.others: list[Tensor] = []  # without
        self.n_heads = encoder.n_heads
        dim, wide = encoder.dim, encoder.feed_forward
        into = (2 * encoder.n_layers) ** -0.5  # so that the sum over layers starts near the size of one
        self.tokens = self._matrix(n_tokens, dim, scale=_START)
        self.hidden = self._matrix(1, dim, scale=_START)
        self.token_bias = self._vector(n_tokens)
        gaussians = np.exp(-(((fractions[:, None] - _CENTRES) / _WIDTH) ** 2) / 2)
        encoded = np.column_stack([gaussians, np.log(fractions)])
        self.fractions = torch.tensor(encoded, dtype=torch.float32, device="cpu")
        self.fraction = self._linear(encoded.shape[1], dim)
        self.layers = [
            {
                "before": self._scales(dim),
                "query": self._linear(dim, dim),
                "key_value": self._linear(dim, 2 * dim),
                "mixed": self._linear(dim, dim, gain=into),
                "between": self._scales(dim),
                "wide": self._linear(dim, wide, gain=2**0.5),
                "narrow": self._linear(wide, dim, gain=into),
            }
            for _ in range(encoder.n_layers)
        ]
        self.after = self._scales(dim)

    def loss(self, ids: "Tensor", fractions_idx: "Tensor") -> "Tensor":
        """Sum the cross-entropies, in nats, of the first member of each set given the others: shape (n_sets, size)."""
        torch, linear = self.torch, self.functional.linear
        others = self.functional.embedding(ids[:, 1:], self.tokens)
        members = torch.cat([self.hidden.expand(len(ids), 1, -1), others], dim=1)
        members = members + linear(self.fractions[fractions_idx], *self.fraction)
        for layer in self.layers[:-1]:
            members = self._layer(members, members, layer)
        first = self._layer(members[:, :1], members, self.layers[-1])[:, 0]  # no guess needs the rest
        scores = linear(self._normalize(first, self.after), self.tokens, self.token_bias)
        return self.functional.cross_entropy(scores, ids[:, 0], reduction="sum")

    def _layer(self, asking: "Tensor", members: "Tensor", layer: dict[str, tuple["Tensor", "Tensor"]]) -> "Tensor":
        """Update those that ask, shape (n_sets, n_asking, dim), by all members, shape (n_sets, size, dim)."""
        linear = self.functional.linear
        n_sets, n_asking, dim = asking.shape
        heads = (n_sets, -1, self.n_heads, dim // self.n_heads)
        normal = self._normalize(members, layer["before"])
        query = normal if asking is members else self._normalize(asking, layer["before"])
        query = linear(query, *layer["query"]).view(heads).transpose(1, 2)
        both = linear(normal, *layer["key_value"]).view(n_sets, -1, 2, *heads[2:])
        key, value = both.unbind(2)
        weights = self.torch.softmax(query @ key.permute(0, 2, 3, 1) * heads[-1] ** -0.5, dim=-1)
        mixed = (weights @ value.transpose(1, 2)).transpose(1, 2).reshape(n_sets, n_asking, dim)
        asking = asking + linear(mixed, *layer["mixed"])
        wide = self.functional.relu(linear(self._normalize(asking, layer["between"]), *layer["wide"]))
        return asking + linear(wide, *layer["narrow"])

    def _normalize(self, vectors: "Tensor", scales: tuple["Tensor", "Tensor"]) -> "Tensor":
        return self.functional.layer_norm(vectors, vectors.shape[-1:], *scales)

    def _matrix(self, *shape: int, scale: float) -> "Tensor":
        self.matrices.append(self._weight(scale * self.rng.standard_normal(shape)))
        return self.matrices[-1]

    def _vector(self, length: int, value: float = 0.0) -> "Tensor":
        self.others.append(self._weight(np.full(length, value)))
        return self.others[-1]

    def _linear(self, n_in: int, n_out: int, gain: float = 1.0) -> tuple["Tensor", "Tensor"]:
        return self._matrix(n_out, n_in, scale=gain * n_in**-0.5), self._vector(n_out)

    def _scales(self, dim: int) -> tuple["Tensor", "Tensor"]:
        return self._vector(dim, 1.0), self._vector(dim)

    def _weight(self, values: NDArray[np.float64]) -> "Tensor":
        return self.torch.tensor(values, dtype=self.torch.float32, device="cpu", requires_grad=True)
