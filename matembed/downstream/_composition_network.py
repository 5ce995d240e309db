"""CompositionNetwork: attention over the elements of a formula, weighted by their fractions."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matembed.downstream.compositions import Compositions

__all__ = ["CompositionNetwork"]

_N_WAVES = 16  # of a fraction, and of its logarithm
_LEAST_FRACTION = 1e-4


class CompositionNetwork(nn.Module):
    """Read formulas: the vector of an element and its fraction [1]_, layers of attention, and a mean by fractions.

    Parameters
    ----------
    vectors : float32 array, shape (119, dim)
        By atomic number.
    train_vectors : bool
        Train them too.
    width : int
        Numbers in the state of an element.
    n_layers, n_heads : int
        Of attention.
    dropout : float
        Share of numbers set to zero in training.

    References
    ----------
    .. [1] A. Y.-T. Wang et al., npj Comput. Mater. 7, 77 (2021).
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        *,
        train_vectors: bool,
        width: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.vectors = nn.Embedding.from_pretrained(torch.from_numpy(vectors.copy()), freeze=not train_vectors)
        self.of_vector = nn.Linear(vectors.shape[1], width)
        nn.init.normal_(self.of_vector.weight)  # vectors have about length 1
        self.of_fraction = nn.Linear(4 * _N_WAVES, width)
        layer = nn.TransformerEncoderLayer(
            width, n_heads, 4 * width, dropout, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, n_layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.score = nn.Linear(width, 1)
        self.width = 2 * width

    def forward(self, compositions: Compositions) -> Tensor:
        """Describe formulas: shape (n_formulas, width)."""
        device = self.vectors.weight.device
        numbers, fractions = (torch.from_numpy(part).to(device) for part in compositions.padded())
        present = fractions > 0
        states = self.of_vector(self.vectors(numbers)) + self.of_fraction(_waves(fractions))
        states = self.layers(states, src_key_padding_mask=~present)
        scores = self.score(states)[..., 0].masked_fill(~present, -torch.inf)
        attended = torch.softmax(scores + fractions.clamp_min(_LEAST_FRACTION).log(), dim=1)
        return torch.cat([(states * weights[..., None]).sum(dim=1) for weights in (fractions, attended)], dim=1)


def _waves(fractions: Tensor) -> Tensor:
    """Write fractions, from 0 to 1, as sines and cosines of them and of their logarithms."""
    logs = 1 + fractions.clamp_min(_LEAST_FRACTION).log10() / 4
    angles = torch.stack([fractions, logs], dim=-1)[..., None] * (
        np.pi * 2 ** torch.linspace(-2, 6, _N_WAVES, dtype=fractions.dtype, device=fractions.device)
    )
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
