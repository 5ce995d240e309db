"""PropertyNetwork: a SetTransformer with a head that reads one property, and the losses it learns by."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_words import TOKEN_KINDS
from matembed.encoders._masking import Index, hide, nothing_hidden
from matembed.encoders._set_transformer import SetTransformer

__all__ = ["GOALS", "Goal", "PropertyNetwork"]

_POOLED = [TOKEN_KINDS.index("element"), TOKEN_KINDS.index("motif")]
_MATERIALS = 256  # in a batch, where nothing is learned
_SMALLEST_WIDTH = 1e-3  # in standard deviations of the target


@dataclass(frozen=True)
class Goal:
    """What a head is trained for.

    Attributes
    ----------
    n_outputs : int
        Numbers that the head gives.
    loss : callable
        Of outputs and targets, shapes (n, n_outputs) and (n,): what is minimised, shape (n,).
    error : callable
        Of the same: one number that tells which epoch was best.
    widen : callable
        Of the same: the factor by which widths have to be multiplied to be likeliest.
    std : callable
        Of a width: the standard deviation.
    """

    n_outputs: int
    loss: Callable[[Tensor, Tensor], Tensor]
    error: Callable[[Tensor, Tensor], float]
    widen: Callable[[Tensor, Tensor], float] = lambda *_: 1.0
    std: Callable[[Tensor], Tensor] = lambda width: width


class PropertyNetwork(nn.Module):
    """A body that reads materials, and a head on what it makes of them.

    The head sees the state at [CLS], the mean of the states at elements and that at motifs, both weighted by amounts;
    zeros, if there are no motifs.

    Parameters
    ----------
    body : SetTransformer
        Reads materials.
    goal : {"laplace", "gaussian", "logistic"}
        What the head is for, a name in `GOALS`.
    dropout : float
        Share of numbers set to zero, in training, on the branches of the body and in the head.
    """

    centre: Tensor  # of the targets
    scale: Tensor  # standard deviation of the targets
    widening: Tensor  # what widths are multiplied by

    def __init__(self, body: SetTransformer, goal: str, dropout: float) -> None:
        super().__init__()
        dim = body.config.dim
        self.body, self.goal = body, goal
        last = nn.Linear(dim, GOALS[goal].n_outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.head = nn.Sequential(nn.Linear((1 + len(_POOLED)) * dim, dim), nn.GELU(), nn.Dropout(dropout), last)
        for module in self.body.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
        for name, value in (("centre", 0.0), ("scale", 1.0), ("widening", 1.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def forward(self, sets: MaterialSets) -> Tensor:
        """Read materials: what the head says, shape (n_materials, n_outputs)."""
        return self.head(self.pooled(sets))

    def pooled(self, sets: MaterialSets) -> Tensor:
        """Describe materials, as the head sees them: shape (n_materials, 3 dim)."""
        device = self.centre.device
        read = hide(Index(sets), nothing_hidden(len(sets))).tensors(torch, device)
        states = self.body(**read).last_hidden_state
        counts = read["token_starts"].diff()
        material = torch.repeat_interleave(counts)
        place = torch.arange(len(material), device=device) - read["token_starts"][material] + 1
        tokens = states[material, place]
        kinds = torch.tensor(sets.kinds, device=device)
        parts = [states[:, 0]]
        for kind in _POOLED:
            amounts = read["amounts"] * (kinds == kind)
            total = amounts.new_zeros(len(counts)).index_add(0, material, amounts)
            shares = amounts / total.clamp_min(torch.finfo(total.dtype).tiny)[material]
            parts.append(torch.zeros_like(parts[0]).index_add(0, material, tokens * shares[:, None]))
        return torch.cat(parts, dim=1)

    def over(self, sets: MaterialSets, read: Callable[[MaterialSets], Tensor]) -> Tensor:
        """Call `forward` or `pooled` on any number of materials, in batches of like length, and learn nothing."""
        order = np.argsort(np.diff(sets.token_starts), kind="stable")
        batches = [order[start : start + _MATERIALS] for start in range(0, len(order), _MATERIALS)]
        self.eval()
        with torch.inference_mode():
            outputs = torch.cat([read(sets[rows]) for rows in batches])
        return outputs[torch.from_numpy(np.argsort(order)).to(outputs.device)]

    def predict(self, sets: MaterialSets) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tell the property, in its unit, and its standard deviation; of a class, the probability, and zeros."""
        outputs = self.over(sets, self).double()
        if self.goal == "logistic":
            probabilities = outputs[:, 0].sigmoid().cpu().numpy()
            return probabilities, np.zeros_like(probabilities)
        std = GOALS[self.goal].std(_width(outputs) * self.widening) * self.scale
        return (self.centre + self.scale * outputs[:, 0]).cpu().numpy(), std.cpu().numpy()


def _width(outputs: Tensor) -> Tensor:
    return outputs[:, 1].exp() + _SMALLEST_WIDTH


def _missed(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs[:, 0] - target).abs()


def _laplace(outputs: Tensor, target: Tensor) -> Tensor:
    width = _width(outputs)
    return (_missed(outputs, target) / width + (2 * width).log()) * width.detach()


def _gaussian(outputs: Tensor, target: Tensor) -> Tensor:
    width = _width(outputs)
    return ((_missed(outputs, target) / width) ** 2 / 2 + width.log()) * width.detach() ** 2


def _logistic(outputs: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")


GOALS: dict[str, Goal] = {
    "laplace": Goal(
        n_outputs=2,
        loss=_laplace,
        error=lambda outputs, target: float(_missed(outputs, target).mean()),
        widen=lambda outputs, target: float((_missed(outputs, target) / _width(outputs)).mean()),
        std=lambda width: math.sqrt(2) * width,
    ),
    "gaussian": Goal(
        n_outputs=2,
        loss=_gaussian,
        error=lambda outputs, target: float((_missed(outputs, target) ** 2).mean().sqrt()),
        widen=lambda outputs, target: float(((_missed(outputs, target) / _width(outputs)) ** 2).mean().sqrt()),
    ),
    "logistic": Goal(
        n_outputs=1, loss=_logistic, error=lambda outputs, target: float(_logistic(outputs, target).mean())
    ),
}
"""The losses by name: negative log-likelihoods. Of the first two each row counts times its width (Laplace) or width
squared (Gaussian), so that rows which are hard to tell are learned no less than others [1]_.

.. [1] M. Seitzer et al., arXiv:2203.09168 (2022).
"""
