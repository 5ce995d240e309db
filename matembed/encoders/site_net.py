"""SiteNet: element vectors from which a small network tells how each element sits in a compound."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from matembed._optional import import_extra
from matembed.cards import Card, package_versions
from matembed.corpus.site_statistics import SiteStatistics
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import (
    check_count,
    check_number,
    not_fitted,
    one_thread,
    plain_settings,
    warm_then_cosine,
)
from matembed.vocabulary import Vocabulary

__all__ = ["SiteNet"]

_WARM_UP = 0.1  # of the steps
_FARTHEST = 4.0  # standard deviations that a value may be off the mean


@dataclass(kw_only=True, eq=False)
class SiteNet:
    """Learn to tell from a formula how each of its elements sits in the crystal.

    No property is learned but what structures themselves hold: coordination numbers, bond lengths, geometries,
    oxidation states and the volume per atom. Each element has a vector; a compound is the mean and the standard
    deviation of the vectors of its elements, weighted by atomic fraction [1]_, as a property model would pool them; and
    a network with two hidden layers predicts, from the element's own vector, its fraction and the compound, the
    statistics of its sites.
    What the vectors of elements have to hold for that is what they have in common as atoms: size, valence, the company
    they keep.

    The same seed gives the same bytes on the same machine.

    Parameters
    ----------
    dim : int, default 64
        Length of the vectors.
    hidden : int, default 128
        Width of the hidden layers.
    epochs : int, default 5
        Passes over the compounds. The default suits some 100,000.
    batch_size : int, default 512
        Compounds in a step.
    learning_rate : float, default 0.003
        At its highest: it rises over the first tenth of the steps, then falls to zero along half a cosine.
    weight_decay : float, default 0.01
        Of AdamW [2]_.
    start : float, default 0.01
        Standard deviation of the numbers that vectors start from. Small, so that what is never needed stays small.
    seed : int, default 0
        Starts the weights and the order of the compounds.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    vocabulary_ : Vocabulary
        Elements with the number of formulas that hold each, most frequent first.
    vectors_ : float32 array, shape (n_elements, dim)
        As trained; `EmbeddingTable.rebase` brings them into a better basis.
    loss_ : float array, shape (epochs,)
        Mean Huber loss of the standardised statistics in each epoch.
    card_ : Card
        Source, settings, seed and versions.

    See Also
    --------
    matembed.count_sites : Makes the statistics.
    matembed.MaskedSet : Learns from formulas alone.

    References
    ----------
    .. [1] M. Zaheer et al., Adv. Neural Inf. Process. Syst. 30, 3391 (2017), Deep Sets.
    .. [2] I. Loshchilov, F. Hutter, arXiv:1711.05101 (2017).
    """

    dim: int = 64
    hidden: int = 128
    epochs: int = 5
    batch_size: int = 512
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    start: float = 0.01
    seed: int = 0
    progress: bool = False
    vocabulary_: Vocabulary = field(init=False, repr=False)
    vectors_: NDArray[np.float32] = field(init=False, repr=False)
    loss_: NDArray[np.float64] = field(init=False, repr=False)
    card_: Card = field(init=False, repr=False)

    def fit(self, statistics: SiteStatistics) -> Self:
        """Train on the statistics of sites.

        Parameters
        ----------
        statistics : SiteStatistics
            What `matembed.count_sites` makes.

        Returns
        -------
        SiteNet
            Itself, fitted.

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        TypeError
            If they are no SiteStatistics.
        ValueError
            If a setting makes no sense.
        """
        if not isinstance(statistics, SiteStatistics):
            msg = f"wanted SiteStatistics, from count_sites(tables), got {type(statistics).__name__}"
            raise TypeError(msg)
        for name in ("dim", "hidden", "epochs", "batch_size"):
            check_count(name, getattr(self, name))
        check_count("seed", self.seed, least=0)
        for name in ("learning_rate", "start"):
            check_number(name, getattr(self, name), positive=True)
        check_number("weight_decay", self.weight_decay)
        torch: Any = import_extra("torch", extra="transformer")
        seen = Counter(statistics.elements)
        elements = sorted(seen, key=lambda element: (-seen[element], element))
        with one_thread(torch), torch.inference_mode(mode=False), torch.enable_grad():
            self.vectors_, self.loss_ = _train(self, statistics, elements, torch)
        self.vocabulary_ = Vocabulary(tuple(elements), tuple(seen[element] for element in elements))
        behind, settings = statistics.card, plain_settings(self)
        self.card_ = Card(
            name=f"sitenet-{behind.name}",
            what=f"Vectors of {len(elements)} elements from how they sit in crystals, {self.dim} dimensions.",
            source=behind.source,
            licence=behind.licence,
            citation=behind.citation,
            corpus=behind.to_dict(),
            counts={"formulas": len(statistics.formulas), "vectors": len(elements)},
            settings={"encoder": "SiteNet", "statistics": list(statistics.names)} | settings,
            seed=settings["seed"],
            versions=package_versions(),
        )
        return self

    def embeddings(self) -> EmbeddingTable:
        """Hand out what was learned.

        Returns
        -------
        EmbeddingTable
            Most frequent element first.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        """
        if not hasattr(self, "card_"):
            raise not_fitted(self)
        return EmbeddingTable(self.vocabulary_.tokens, self.vectors_, self.card_)


def _train(
    encoder: SiteNet, statistics: SiteStatistics, elements: list[str], torch: Any
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Train a network; return its element vectors, shape (n_elements, dim), and the mean loss of each epoch."""
    rng = np.random.default_rng(encoder.seed)
    place = {element: idx for idx, element in enumerate(elements)}
    element_idx = torch.from_numpy(np.array([place[element] for element in statistics.elements], dtype=np.int64))
    fractions = torch.from_numpy(statistics.fractions.astype(np.float32))[:, None]
    known = np.isfinite(statistics.values)
    targets = torch.from_numpy(_standardised(statistics.values))
    mask = torch.from_numpy(known.astype(np.float32))
    starts = np.searchsorted(statistics.formula_idx, np.arange(len(statistics.formulas) + 1))
    network = _Network(encoder, len(elements), targets.shape[1], rng, torch)
    optimizer = torch.optim.AdamW(network.weights, weight_decay=encoder.weight_decay)
    n_steps = encoder.epochs * math.ceil(len(statistics.formulas) / encoder.batch_size)
    losses = np.zeros(encoder.epochs)
    step = 0
    with tqdm(total=n_steps, unit=" steps", disable=not encoder.progress) as bar:
        for epoch in range(encoder.epochs):
            order = rng.permutation(len(statistics.formulas))
            for begin in range(0, len(order), encoder.batch_size):
                chosen = order[begin : begin + encoder.batch_size]
                sizes = starts[chosen + 1] - starts[chosen]
                rows = np.arange(sizes.sum()) + np.repeat(starts[chosen] - (np.cumsum(sizes) - sizes), sizes)
                compound = torch.from_numpy(np.repeat(np.arange(len(chosen)), sizes))
                rows_idx = torch.from_numpy(rows)
                predicted = network.predict(element_idx[rows_idx], fractions[rows_idx], compound, len(chosen))
                errors = torch.nn.functional.smooth_l1_loss(predicted, targets[rows_idx], reduction="none")
                loss = (errors * mask[rows_idx]).sum() / mask[rows_idx].sum()
                for group in optimizer.param_groups:
                    group["lr"] = encoder.learning_rate * warm_then_cosine((step + 1) / n_steps, _WARM_UP)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[epoch] += loss.item() * len(chosen) / len(order)
                step += 1
                bar.update()
    return network.elements.detach().numpy().copy(), losses


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bring each column to mean 0 and variance 1, cut off what is far out, and put 0 for what is unknown."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values, 0)
    mean = filled.sum(axis=0) / count
    off = np.where(known, values - mean, 0)
    deviation = np.sqrt((off**2).sum(axis=0) / count)
    return np.clip(off / np.where(deviation > 0, deviation, 1), -_FARTHEST, _FARTHEST).astype(np.float32)


class _Network:
    """Element vectors and two hidden layers, in plain tensors: PyTorch is imported by `fit`."""

    def __init__(self, encoder: SiteNet, n_elements: int, n_targets: int, rng: np.random.Generator, torch: Any) -> None:
        self.torch = torch
        sizes = (3 * encoder.dim + 1, encoder.hidden, encoder.hidden, n_targets)
        self.elements = self._weight(rng.standard_normal((n_elements, encoder.dim)) * encoder.start)
        self.layers = []
        for n_in, n_out in itertools.pairwise(sizes):
            bound = 1 / math.sqrt(n_in)
            matrix, bias = (rng.uniform(-bound, bound, shape) for shape in ((n_in, n_out), n_out))
            self.layers.append((self._weight(matrix), self._weight(bias)))
        self.weights = [self.elements, *(weight for layer in self.layers for weight in layer)]

    def _weight(self, values: NDArray[np.float64]) -> Any:
        return self.torch.tensor(values.astype(np.float32), requires_grad=True)

    def predict(self, element_idx: Any, fractions: Any, compound: Any, n_compounds: int) -> Any:
        """Predict the statistics of each row: shape (n_rows, n_targets)."""
        vectors = self.elements[element_idx]
        empty = vectors.new_zeros((n_compounds, vectors.shape[1]))
        mean = empty.index_add(0, compound, vectors * fractions)
        variance = empty.index_add(0, compound, fractions * (vectors - mean[compound]) ** 2)
        deviation = self.torch.sqrt(variance + 1e-6)  # its slope at zero is finite
        values = self.torch.cat([vectors, mean[compound], deviation[compound], fractions], dim=1)
        for weight, bias in self.layers[:-1]:
            values = self.torch.nn.functional.silu(values @ weight + bias)
        weight, bias = self.layers[-1]
        return values @ weight + bias
