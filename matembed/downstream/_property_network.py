"""PropertyNetwork: a network that reads one property of materials, and the losses it learns by."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GOALS", "Goal", "Materials", "PropertyNetwork", "property_head"]

_MATERIALS, _ROWS = 256, 50_000  # most in a batch, where nothing is learned: materials, and about their sizes
_SMALLEST_WIDTH = 1e-3  # in standard deviations of the target
_SURE_AFTER = 10  # materials kept aside: fewer say less of widths than the network does


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
        Of the same: the factor by which widths have to be multiplied to be likeliest, drawn towards 1 if materials are
        few.
    std : callable
        Of a width: the standard deviation.
    standard : callable
        Of targets: what is taken off them, and what they are then divided by.
    """

    n_outputs: int
    loss: Callable[[Tensor, Tensor], Tensor]
    error: Callable[[Tensor, Tensor], float]
    widen: Callable[[Tensor, Tensor], float] = lambda *_: 1.0
    std: Callable[[Tensor], Tensor] = lambda width: width
    standard: Callable[[NDArray[np.float64]], tuple[ArrayLike, float]] = lambda target: (target.mean(), target.std())


class Materials(Protocol):
    """Materials in columns, as networks read them: whatever a body takes."""

    @property
    def formulas(self) -> Sequence[str]:
        """Reduced formula of each material."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How much there is to read of each material, shape (n_materials,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64]) -> Self: ...


class PropertyNetwork(nn.Module):
    """A body that makes vectors of materials, and a head that reads a property off them.

    Parameters
    ----------
    body : torch.nn.Module
        Called with `Materials`, gives vectors, shape (n_materials, width). A method ``meet`` may note what it will
        learn from, and a method ``not_met`` list the elements of materials that it knows nothing of.
    head : torch.nn.Module
        Called with these vectors, gives `Goal.n_outputs` numbers of each.
    goal : {"laplace", "gaussian", "logistic", "tensor"}
        What the head is for, a name in `GOALS`.
    """

    centre: Tensor  # of the targets
    scale: Tensor  # standard deviation of the targets
    widening: Tensor  # what widths are multiplied by

    def __init__(self, body: nn.Module, head: nn.Module, goal: str) -> None:
        super().__init__()
        self.body, self.head, self.goal = body, head, goal
        for name, value in (("centre", 0.0), ("scale", 1.0), ("widening", 1.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    def forward(self, materials: Materials) -> Tensor:
        """Read materials: what the head says, shape (n_materials, n_outputs)."""
        return self.head(self.body(materials))

    def meet(self, materials: Materials) -> None:
        """Show the body what it will learn from, if it wants to know."""
        note: Callable[[Materials], None] = getattr(self.body, "meet", lambda _: None)
        note(materials)

    def not_met(self, materials: Materials) -> list[str]:
        """List the elements of materials that the body knows nothing of, if it can tell."""
        tell: Callable[[Materials], list[str]] = getattr(self.body, "not_met", lambda _: [])
        return tell(materials)

    def over(self, materials: Materials, read: Callable[[Materials], Tensor]) -> Tensor:
        """Call the network or its body on any number of materials, in batches of like size, and learn nothing."""
        sizes = materials.sizes
        order = np.argsort(sizes, kind="stable")
        full = np.arange(len(order)) // _MATERIALS, np.cumsum(sizes[order]) // _ROWS
        batches = np.split(order, np.flatnonzero(np.diff(full, axis=1).any(axis=0)) + 1)
        self.eval()
        with torch.inference_mode():
            outputs = torch.cat([read(materials[rows]) for rows in batches])
        return outputs[torch.from_numpy(np.argsort(order)).to(outputs.device)]

    def predict(self, materials: Materials) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tell the property, in its unit, and its standard deviation; of a class, the probability, and zeros."""
        outputs = self.over(materials, self).double()
        if self.goal == "tensor":
            return (self.centre + self.scale * outputs).cpu().numpy(), np.zeros(len(outputs))
        if self.goal == "logistic":
            probabilities = outputs[:, 0].sigmoid().cpu().numpy()
            return probabilities, np.zeros_like(probabilities)
        std = GOALS[self.goal].std(_width(outputs) * self.widening) * self.scale
        return (self.centre + self.scale * outputs[:, 0]).cpu().numpy(), std.cpu().numpy()


def property_head(width: int, hidden: int, goal: str, dropout: float) -> nn.Sequential:
    """Make a head of two layers, which starts by telling the mean."""
    last = nn.Linear(hidden, GOALS[goal].n_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), last)


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


def _drawn_to_one(ratios: Tensor) -> float:
    """Average ratios as if some more were 1."""
    return float((ratios.sum() + _SURE_AFTER) / (len(ratios) + _SURE_AFTER))


def _tensor_standard(target: NDArray[np.float64]) -> tuple[ArrayLike, float]:
    """Take the mean off the isotropic part, which alone may be shifted, and measure the spread of what is left."""
    centre = target[:, 0].mean() * np.eye(target.shape[1])[0]
    return centre, float((target - centre).std())


def _logistic(outputs: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")


def _apart(outputs: Tensor, target: Tensor) -> Tensor:
    return (outputs - target).norm(dim=1)


GOALS: dict[str, Goal] = {
    "laplace": Goal(
        n_outputs=2,
        loss=_laplace,
        error=lambda outputs, target: float(_missed(outputs, target).mean()),
        widen=lambda outputs, target: _drawn_to_one(_missed(outputs, target) / _width(outputs)),
        std=lambda width: math.sqrt(2) * width,
    ),
    "gaussian": Goal(
        n_outputs=2,
        loss=_gaussian,
        error=lambda outputs, target: float((_missed(outputs, target) ** 2).mean().sqrt()),
        widen=lambda outputs, target: math.sqrt(_drawn_to_one((_missed(outputs, target) / _width(outputs)) ** 2)),
    ),
    "logistic": Goal(
        n_outputs=1,
        loss=_logistic,
        error=lambda outputs, target: float(_logistic(outputs, target).mean()),
        standard=lambda _: (0.0, 1.0),
    ),
    "tensor": Goal(
        n_outputs=6,
        loss=_apart,
        error=lambda outputs, target: float(_apart(outputs, target).mean()),
        standard=_tensor_standard,
    ),
}
"""The losses by name: negative log-likelihoods, and of tensors the Frobenius norm of what is missed. Of the first two
each row counts times its width (Laplace) or width squared (Gaussian), so that rows which are hard to tell are learned
no less than others [1]_.

.. [1] M. Seitzer et al., arXiv:2203.09168 (2022).
"""
