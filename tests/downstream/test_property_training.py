"""Training of property networks: which weights are kept."""

import numpy as np
import pytest

from matembed.downstream._property_training import inner_split, train_members
from matembed.downstream.baselines import one_hot_table
from matembed.downstream.composition_models import CompositionRegressor
from matembed.downstream.compositions import read_compositions

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
from matembed.downstream._property_network import PropertyNetwork, property_head  # noqa: E402

MATERIALS = read_compositions([f"{a}{n}{b}" for a in ("Li", "Na", "K", "Rb") for b in ("F", "Cl", "O") for n in (1, 2)])
ROWS, ASIDE = inner_split(MATERIALS.formulas, 0.3, np.random.default_rng([0, 0]))  # of the first member, with seed 0
# What is kept aside is told best on the way to what is learned, and worse again at the end.
TARGET = np.tile([-1.0, 1.0], len(MATERIALS) // 2)
TARGET[ROWS] *= 3


class Fractions(torch.nn.Linear):
    """A linear map of the largest fraction, -1 in LiF and 1 in Li2O, which records its weight at each step."""

    def __init__(self, record):
        super().__init__(1, 4)
        self.record = record

    def forward(self, compositions):
        if self.training:
            self.record(self.weight.detach().clone())
        _, fractions = compositions.padded()
        return super().forward(torch.from_numpy(12 * fractions.max(axis=1, keepdims=True) - 7))


def train(goal, **settings):
    """Train one member: itself, its history, and the weights of the body after each step."""
    steps, made = [], []

    def make_network():
        made.append(PropertyNetwork(Fractions(steps.append), property_head(4, 8, goal, 0), goal))
        return made[0]

    rates = {"learning_rate": 0.02, "head_learning_rate": 0.02, "batch_size": 8}
    settings = CompositionRegressor(one_hot_table(["Li"]), **rates, **settings)
    (member,), (history,) = train_members(settings, make_network, MATERIALS, TARGET)
    return member, history, [*steps[1:], made[0].body.weight.detach()]


def running_means(steps, n_batches):
    """Weights of the end of each epoch, averaged over about two of them."""
    mean, means = torch.zeros_like(steps[0]), []
    for step, weight in enumerate(steps, start=1):
        mean = mean + (weight - mean) * max(1 / step, 1 / (2 * n_batches))
        means.append(mean)
    return means[n_batches - 1 :: n_batches]


@pytest.mark.parametrize("goal", ["laplace", "gaussian"])
def test_the_weights_kept_are_those_of_the_epoch_with_the_least_error(goal):
    member, history, steps = train(goal, max_epochs=15, validation_fraction=0.3)
    errors = [epoch["validation_error"] for epoch in history]
    best = int(np.argmin(errors))
    assert errors[0] > 1.5 * errors[best]
    assert errors[-1] > 1.5 * errors[best]
    missed = np.abs(member.predict(MATERIALS[ASIDE])[0] - TARGET[ASIDE])
    mean = {"laplace": missed.mean(), "gaussian": np.sqrt((missed**2).mean())}[goal]
    assert mean == pytest.approx(errors[best], abs=1e-5)
    torch.testing.assert_close(member.body.weight, running_means(steps, len(steps) // len(history))[best])


def test_without_rows_kept_aside_the_last_running_mean_is_kept():
    member, _, steps = train("laplace", max_epochs=4, validation_fraction=0)
    torch.testing.assert_close(member.body.weight, running_means(steps, 3)[-1])
    assert not torch.allclose(member.body.weight, steps[-1], rtol=1e-3)
