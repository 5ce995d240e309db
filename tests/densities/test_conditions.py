import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pyscf")

import torch

from matembed.densities._measures import Grid, gradient_expansion, uniform_gas_correlation
from matembed.densities.conditions import CONDITIONS
from matembed.densities.electrons import Electrons, default_densities
from matembed.densities.functionals import Derivatives, LibxcFunctional, TorchFunctional

torch.set_num_threads(1)

NAMES = [one.name for one in CONDITIONS]
SLATER = -0.75 * (3 / np.pi) ** (1 / 3)


def exchange(enhancement):
    """Exchange of F_x(s^2, alpha), spin scaling built in."""

    def energy(n, sigma, tau):
        total = 0
        for spin in (0, 1):
            present = n[spin] > 0
            n2 = torch.where(present, 2 * n[spin], 1.0)
            sigma2, tau2 = 4 * sigma[2 * spin], 2 * tau[spin]
            k_fermi2 = (3 * np.pi**2 * n2) ** (2 / 3)
            s2 = sigma2 / (4 * k_fermi2 * n2**2)
            alpha = (tau2 - sigma2 / (8 * n2)) / (0.3 * k_fermi2 * n2)
            whole = SLATER * n2 ** (4 / 3) * enhancement(n2, s2, alpha) / 2
            total = total + torch.where(present, whole, 0.0)
        return total

    return energy


def correlation(per_electron):
    """Correlation of eps_c(n)."""
    return lambda n, sigma, tau: n.sum(dim=0) * per_electron(n.sum(dim=0))


# What each breaks, at least; every condition is broken by one.
WRONG = {
    "a constant of its own": (
        "exchange",
        exchange(lambda n, s2, alpha: 1 + 0.01 * torch.tanh(n)),
        ["coordinate scaling", "scaling identity", "uniform gas exchange"],
    ),
    "too much": ("exchange", exchange(lambda n, s2, alpha: 1.01 + 0 * n), ["uniform gas exchange"]),
    "without spin": (
        "exchange",
        lambda n, sigma, tau: SLATER * n.sum(dim=0) ** (4 / 3),
        ["spin scaling", "uniform gas exchange"],
    ),
    "local density": (
        "exchange",
        exchange(lambda n, s2, alpha: 1 + 0 * n),
        ["gradient expansion", "hydrogen exchange"],
    ),
    "sign changes": ("exchange", exchange(lambda n, s2, alpha: 1 - 0.05 * s2), ["non-positive exchange"]),
    "unbounded": (
        "exchange",
        exchange(lambda n, s2, alpha: 1 + 10 / 81 * s2),
        ["local Lieb-Oxford", "tight Lieb-Oxford"],
    ),
    "thrice": ("exchange", exchange(lambda n, s2, alpha: 3 + 0 * n), ["global Lieb-Oxford of exchange"]),
    "positive": (
        "correlation",
        correlation(lambda n: 0.01 + 0 * n),
        ["uniform gas correlation", "local non-positive correlation", "global non-positive correlation"],
    ),
    "too steep": (
        "correlation",
        correlation(lambda n: -0.01 * n ** (2 / 3)),
        ["local scaling inequality", "global scaling inequality", "high-density limit"],
    ),
    "logarithmic": (
        "correlation",
        correlation(lambda n: -0.01 * torch.log1p(n)),
        ["high-density limit", "hydrogen correlation"],
    ),
    "too dense": (
        "exchange-correlation",
        lambda n, sigma, tau: -(n**1.4).sum(dim=0),
        ["high-density exchange", "one-electron self-interaction"],
    ),
    "too deep": (
        "exchange-correlation",
        exchange(lambda n, s2, alpha: 3 + 0 * n),
        ["global Lieb-Oxford", "one-electron self-interaction"],
    ),
}


@pytest.fixture(scope="module")
def atoms():
    return Electrons.of(default_densities())


def judge(functional, name, atoms):
    return next(one for one in CONDITIONS if one.name == name).judge(functional, atoms)


@pytest.mark.parametrize("what", WRONG)
def test_wrong_functionals_fail(what, atoms):
    kind, function, broken = WRONG[what]
    for name in broken:
        assert judge(TorchFunctional(function, kind, name=what), name, atoms).passed is False


def test_every_condition_can_fail():
    assert len(set(NAMES)) == len(NAMES)
    assert {name for _, _, broken in WRONG.values() for name in broken} == set(NAMES)


@pytest.mark.parametrize("condition", CONDITIONS, ids=NAMES)
def test_scan_passes(condition, atoms):
    name = {"exchange": "SCAN,", "correlation": ",SCAN", "exchange-correlation": "SCAN"}[condition.part]
    assert condition.judge(LibxcFunctional(name), atoms).passed is True


@pytest.mark.parametrize("name", ["coordinate scaling", "scaling identity"])
def test_pointwise_exchange_in_double_precision_scales_to_rounding(name, atoms):
    form = exchange(lambda n, s2, alpha: 1 + 0.3 * torch.tanh(s2) * torch.sigmoid(alpha))
    assert judge(TorchFunctional(form, "exchange"), name, atoms).measured < 1e-12


def test_numbers_that_are_none_have_their_own_word(atoms):
    class Broken:
        name, kind, family = "broken", "exchange", "LDA"

        def derivatives(self, points):
            none = np.full(len(points), np.nan)
            return Derivatives(none, *(np.full((rows, len(points)), np.nan) for rows in (2, 3, 2)))

    for condition in CONDITIONS:
        outcome = condition.judge(Broken(), atoms)
        assert (outcome.measured, outcome.passed, outcome.verdict) == (None, None, "no number")
        assert outcome.number == "none"
        assert outcome.note.startswith("not finite at")


def test_points_of_a_grid_have_the_variables_asked_for():
    grid = Grid.of([0.5, 3.0], [0, 0.5, 1], [0, 2.0], [0, 1.0])
    points, of = grid.points, grid.variables
    n = points.n.sum(axis=0)
    np.testing.assert_allclose((3 / (4 * np.pi * n)) ** (1 / 3), of["r_s"])
    np.testing.assert_allclose((points.n[0] - points.n[1]) / n, of["zeta"], atol=1e-15)
    square = points.sigma[0] + 2 * points.sigma[1] + points.sigma[2]
    np.testing.assert_allclose(np.sqrt(square) / (2 * (3 * np.pi**2) ** (1 / 3) * n ** (4 / 3)), of["s"], atol=1e-14)
    uniform = 0.3 * (6 * np.pi**2) ** (2 / 3) * (points.n ** (5 / 3)).sum(axis=0)
    # the gradient of zeta is 0, so that von Weizsaecker's tau of the spins is that of the sum
    np.testing.assert_allclose((points.tau.sum(axis=0) - square / (8 * n)) / uniform, of["alpha"], atol=1e-13)


def test_the_gradient_expansion_is_integrated_right():
    """Of F_x = 1 + a s^2 + b (alpha - 1) on a periodic density whose tau is that of the expansion."""
    a, b = 0.2, 0.3
    x = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    n = 1 + 0.3 * np.cos(x)
    slope, curvature = -0.3 * np.sin(x), -0.3 * np.cos(x)
    k_fermi2 = (3 * np.pi**2 * n) ** (2 / 3)
    s2 = slope**2 / (4 * k_fermi2 * n**2)
    tau = 0.3 * k_fermi2 * n + slope**2 / (72 * n) + curvature / 6
    alpha = (tau - slope**2 / (8 * n)) / (0.3 * k_fermi2 * n)
    weight = n ** (4 / 3)
    wanted = (weight * (a * s2 + b * (alpha - 1))).sum() / (weight * s2).sum()
    form = TorchFunctional(exchange(lambda n, s2, alpha: 1 + a * s2 + b * (alpha - 1)), "exchange")
    assert gradient_expansion(form).value == pytest.approx(wanted, abs=1e-9)
    assert wanted == pytest.approx(a - 20 / 27 * b, abs=1e-9)


def test_the_uniform_gas_is_perdew_and_wangs():
    grid = Grid.of([0.1, 1, 5, 50], [0, 0.3, 0.99], 0, 1)
    theirs = LibxcFunctional(",PW_MOD").derivatives(grid.points).energy / grid.points.n.sum(axis=0)
    ours = uniform_gas_correlation(grid.variables["r_s"], grid.variables["zeta"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)  # digits of the curvature of f
