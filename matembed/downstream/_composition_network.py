"""CompositionNetwork: a formula read by attention over its elements, and if wanted by statistics of their vectors."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matembed.downstream.compositions import Compositions
from matembed.elements import SYMBOLS

__all__ = ["CompositionNetwork"]

_N_WAVES = 16  # of a fraction, and of its logarithm
_LEAST_FRACTION = 1e-4
_FARTHEST = 5.0  # that a statistic may be from its mean, in standard deviations
_CONSTANT = 1e-6  # statistics that vary by less in training are not read
_AT_ONCE = 4096  # formulas whose statistics are made at once
_ATTENDED = 0.5  # share of the formulas, in training, that are read by attention too


class CompositionNetwork(nn.Module):
    """Read formulas by attention over their elements, and if wanted also by statistics of the vectors of these.

    In training half of the formulas, drawn anew each time, are then read by statistics alone, so that these are not
    left to what attention can learn by heart.

    Parameters
    ----------
    vectors : float32 array, shape (119, dim)
        By atomic number.
    train_vectors : bool
        Train them too.
    statistics : bool
        Read them too.
    width : int
        Numbers in the state of an element; a formula has twice as many, with statistics three times.
    n_layers, n_heads : int
        Of attention.
    dropout : float
        Share of numbers set to zero in training.
    """

    met: Tensor  # elements that formulas held in training, by atomic number

    def __init__(
        self,
        vectors: NDArray[np.float32],
        *,
        train_vectors: bool,
        statistics: bool,
        width: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.vectors = nn.Embedding.from_pretrained(torch.from_numpy(vectors.copy()), freeze=not train_vectors)
        self.register_buffer("met", torch.zeros(len(SYMBOLS), dtype=torch.bool))
        self.attention = _Attention(vectors.shape[1], width, n_layers, n_heads, dropout)
        self.statistics = _Statistics(vectors.shape[1], width, dropout) if statistics else None
        self.width = (3 if statistics else 2) * width

    def forward(self, compositions: Compositions) -> Tensor:
        """Describe formulas: shape (n_formulas, width)."""
        vectors, fractions = self._read(compositions)
        attended: Tensor = self.attention(vectors, fractions)
        if self.statistics is None:
            return attended
        if self.training:
            drawn = torch.rand(len(attended), 1, device=attended.device) < _ATTENDED
            attended = attended * drawn / _ATTENDED
        return torch.cat([attended, self.statistics(vectors, fractions)], dim=1)

    def _read(self, compositions: Compositions) -> tuple[Tensor, Tensor]:
        """Write formulas as vectors of elements and fractions, shapes (n_formulas, longest, dim) and without dim."""
        device = self.vectors.weight.device
        numbers, fractions = (torch.from_numpy(part).to(device) for part in compositions.padded())
        return self.vectors(numbers), fractions

    def meet(self, compositions: Compositions) -> None:
        """Note which elements there are to learn of, and how statistics of their vectors are distributed."""
        self.met[torch.from_numpy(np.unique(compositions.numbers)).to(self.met.device)] = True
        if self.statistics is None:
            return
        n_parts = math.ceil(len(compositions) / _AT_ONCE)
        with torch.no_grad():
            parts = [
                _columns(*self._read(compositions[rows]))
                for rows in np.array_split(np.arange(len(compositions)), n_parts)
            ]
            self.statistics.standardise(torch.cat(parts))

    def not_met(self, compositions: Compositions) -> list[str]:
        """List the elements that no formula held in training, if no vector of one that was points to the same side."""
        vectors = self.vectors.weight.detach()
        known = self.met | (vectors @ vectors[self.met].T > 0).any(dim=1)
        return [SYMBOLS[number] for number in np.unique(compositions.numbers) if not known[number]]


class _Attention(nn.Module):
    """Elements with their fractions hear each other [1]_; what they say is averaged by fractions, and by scores too.

    .. [1] A. Y.-T. Wang et al., npj Comput. Mater. 7, 77 (2021).
    """

    def __init__(self, dim: int, width: int, n_layers: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.of_vector = nn.Linear(dim, width)
        nn.init.normal_(self.of_vector.weight)  # vectors have about length 1
        self.of_fraction = nn.Linear(4 * _N_WAVES, width)
        layer = nn.TransformerEncoderLayer(
            width, n_heads, 4 * width, dropout, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, n_layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.score = nn.Linear(width, 1)

    def forward(self, vectors: Tensor, fractions: Tensor) -> Tensor:
        """Describe formulas: shape (n_formulas, 2 width)."""
        present = fractions > 0
        states = self.of_vector(vectors) + self.of_fraction(_waves(fractions))
        states = self.layers(states, src_key_padding_mask=~present)
        scores = self.score(states)[..., 0].masked_fill(~present, -torch.inf)
        attended = torch.softmax(scores + fractions.clamp_min(_LEAST_FRACTION).log(), dim=1)
        return torch.cat([(states * weights[..., None]).sum(dim=1) for weights in (fractions, attended)], dim=1)


class _Statistics(nn.Module):
    """A perceptron on the mean, standard deviation, least and greatest of each number of the vectors.

    Each is read in its standard deviations over what there is to learn from: the mean vectors of two steels differ by
    little, and by what counts.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(4 * dim))
        self.register_buffer("scale", torch.ones(4 * dim))
        self.layers = nn.Sequential(
            nn.Linear(4 * dim, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width), nn.GELU()
        )

    def standardise(self, columns: Tensor) -> None:
        """Measure columns of formulas, shape (n_formulas, 4 dim)."""
        std, self.centre = torch.std_mean(columns, dim=0, correction=0)
        self.scale = torch.where(std > _CONSTANT, 1 / std, 0)

    def forward(self, vectors: Tensor, fractions: Tensor) -> Tensor:
        """Describe formulas: shape (n_formulas, width)."""
        standard = (_columns(vectors, fractions) - self.centre) * self.scale
        return self.layers(standard.clamp(-_FARTHEST, _FARTHEST))


def _columns(vectors: Tensor, fractions: Tensor) -> Tensor:
    """Make the mean, standard deviation, least and greatest of vectors: shape (n_formulas, 4 dim)."""
    weights, absent = fractions[..., None], (fractions == 0)[..., None]
    mean = (vectors * weights).sum(dim=1)
    variance = ((vectors - mean[:, None]) ** 2 * weights).sum(dim=1)
    least = vectors.masked_fill(absent, torch.inf).amin(dim=1)
    greatest = vectors.masked_fill(absent, -torch.inf).amax(dim=1)
    return torch.cat([mean, variance.clamp_min(_CONSTANT**2).sqrt(), least, greatest], dim=1)


def _waves(fractions: Tensor) -> Tensor:
    """Write fractions, from 0 to 1, as sines and cosines of them and of their logarithms."""
    logs = 1 + fractions.clamp_min(_LEAST_FRACTION).log10() / 4
    angles = torch.stack([fractions, logs], dim=-1)[..., None] * (
        np.pi * 2 ** torch.linspace(-2, 6, _N_WAVES, dtype=fractions.dtype, device=fractions.device)
    )
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
