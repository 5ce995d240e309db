from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pyscf")
pytest.importorskip("torch")

import torch
from pyscf import gto, scf

from matembed.densities.functionals import SpinPoints
from matembed.densities.molecules import record_of
from matembed.densities.records import DensityRecord
from matembed.densities.whole_density import (
    WholeDensityNetwork,
    canonical,
    density_rows,
    learn,
    pretrain,
)

LEARNED = {
    "He": ("He", 0),
    "Li": ("Li", 1),
    "Be": ("Be", 0),
    "N": ("N", 3),
    "O": ("O", 2),
    "Ne": ("Ne", 0),
    "H2": ("H 0 0 0; H 0 0 0.74", 0),
    "HF": ("H 0 0 0; F 0 0 0.92", 0),
}
NEW = {
    "LiH": ("Li 0 0 0; H 0 0 1.6", 0),
    "C": ("C", 2),
    "F": ("F", 1),
    "BH": ("B 0 0 0; H 0 0 1.23", 0),
    "H2O": ("O 0 0 0; H 0 0.757 0.587; H 0 -0.757 0.587", 0),
}
FACTORS = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)


def record(name, atom, spin):
    mol = gto.M(atom=atom, spin=spin, basis="6-31g", verbose=0)
    return record_of((scf.UHF if spin else scf.RHF)(mol).run(), name=name, n_points=60, grid_level=1)


@pytest.fixture(scope="module")
def records():
    return {name: record(name, *which) for name, which in (LEARNED | NEW).items()}


@pytest.fixture(scope="module")
def learned(records):
    """A network that learned exact exchange, its curve, and the records that it learned from."""
    known = [records[name] for name in LEARNED]
    rows = [density_rows(one) for one in known]
    energies = np.array([one.energies["exact_exchange"] for one in known])
    network = WholeDensityNetwork.start(rows, width=24)
    curves = learn(network, rows, energies, steps=400, learning_rate=0.01)
    network.modules.double()
    return network, curves, rows, energies


# What a network sees -------------------------------------------------------------------------------------------------


def test_rows_keep_what_is_a_sum_over_the_density(records):
    """Merging points leaves electrons, exchange of the uniform gas, and its like of the gradient and of tau."""
    water, rows = records["H2O"], density_rows(records["H2O"])
    points = water.points()
    n, sigma, tau = 2 * points.n[0], 4 * points.sigma[0], 2 * points.tau[0]
    assert 10 < len(rows.electrons) < len(water)
    assert rows.electrons.sum() == pytest.approx(10) == rows.n_electrons
    assert rows.electrons @ np.exp(rows.columns[:, 0] / 3) == pytest.approx(water.weights @ n ** (4 / 3))
    gradients = (water.weights * n) @ sigma ** (1 / 8)
    assert rows.electrons @ np.exp(rows.columns[:, 1] / 4) == pytest.approx(gradients, rel=1e-3)  # where it is 0, not
    assert rows.electrons @ np.exp(rows.columns[:, 2] / 5) == pytest.approx((water.weights * n) @ tau ** (1 / 5))


def test_a_point_alone_is_told_by_its_logarithms():
    ingredients = [0.3], [[0.15]], [[0.7]], [[0.4]], [[1.0]], [0.7]
    one = DensityRecord("one", 0, *ingredients)
    points = SpinPoints.unpolarised([0.3], 0.7, 0.4)
    told = np.log([0.3, np.sqrt(4 * points.sigma[0, 0]), 2 * points.tau[0, 0]])
    np.testing.assert_allclose(density_rows(one).columns, [told], rtol=1e-12)


@pytest.mark.parametrize("spins", ["apart", "together"])
def test_points_without_electrons_are_not_seen(spins):
    columns = {"s": [[0.7, 0]], "alpha": [[0.4, 1]], "averaged": [[1, 1]], "s_total": [0.7, 0]}
    more = density_rows(DensityRecord("one", 0, [0.3, 0.3], [[0.15, 0]], **columns), spins=spins)
    one = density_rows(DensityRecord("one", 0, [0.3], [[0.15]], [[0.7]], [[0.4]], [[1.0]], [0.7]), spins=spins)
    np.testing.assert_array_equal(more.columns, one.columns)


def test_spins_apart_are_two_doubled_densities_with_half_a_share(records):
    rows = density_rows(records["O"])
    assert rows.shares.tolist() == [0.5, 0.5]
    up, down = np.split(rows.electrons, [rows.lengths[0]])
    assert (up.sum(), down.sum()) == pytest.approx((10, 6), rel=1e-3)  # the grid is coarse


def test_spins_together_are_one_density_with_its_polarisation(records):
    rows = density_rows(records["O"], spins="together")
    assert (rows.columns.shape[1], rows.shares.tolist()) == (4, [1.0])
    assert rows.electrons.sum() == pytest.approx(8)
    assert rows.electrons @ rows.columns[:, 3] == pytest.approx(2, abs=0.3)  # absolute values: a little more
    closed = density_rows(records["Ne"], spins="together")
    np.testing.assert_allclose(closed.columns[:, :3], density_rows(records["Ne"]).columns, atol=1e-12)
    assert (closed.columns[:, 3] == 0).all()


@pytest.mark.parametrize("spins", ["apart", "together"])
@pytest.mark.parametrize("g", [0.1, 3.0])
def test_scaling_shifts_columns_and_keeps_electrons(records, spins, g):
    before, after = density_rows(records["O"], spins=spins), density_rows(records["O"].scaled(g), spins=spins)
    shifts = np.log(g) * np.array([3, 4, 5, 0])[: before.columns.shape[1]]
    np.testing.assert_allclose(after.columns, before.columns + shifts, atol=1e-10)
    np.testing.assert_allclose(after.electrons, before.electrons, rtol=1e-13)


def test_canonical_rows_of_a_density_and_its_scaled_copy_are_the_same(records):
    before, after = (canonical(density_rows(one)) for one in (records["O"], records["O"].scaled(7.0)))
    np.testing.assert_allclose(after.columns, before.columns, atol=1e-10)
    np.testing.assert_allclose(after.shares, 7 * before.shares)


def test_spins_that_are_unknown_are_refused(records):
    with pytest.raises(ValueError, match="spins must be one of apart, together"):
        density_rows(records["He"], spins="mixed")


# The network ---------------------------------------------------------------------------------------------------------


def test_the_order_of_points_does_not_matter(records, learned):
    water = records["H2O"]
    order = np.random.default_rng(0).permutation(len(water))
    columns = {name: getattr(water, name)[..., order] for name in ("weights", "n", "s", "alpha", "averaged", "s_total")}
    shuffled = replace(water, **columns)
    network = learned[0]
    assert network.energies([density_rows(shuffled)]) == pytest.approx(
        network.energies([density_rows(water)]), rel=1e-12
    )


def test_a_point_cut_in_two_changes_nothing(records, learned):
    water = records["H2O"]
    columns = {name: np.repeat(getattr(water, name), 2, axis=-1) for name in ("n", "s", "alpha", "averaged", "s_total")}
    thirds = np.column_stack([water.weights / 3, 2 * water.weights / 3]).ravel()
    network = learned[0]
    assert network.energies([density_rows(replace(water, weights=thirds, **columns))]) == pytest.approx(
        network.energies([density_rows(water)]), rel=1e-12
    )


def test_the_density_as_a_whole_matters(records, learned):
    """What a point counts depends on the other points: energies of two densities side by side do not add up."""
    one, other = (density_rows(records[name]) for name in ("Ne", "He"))
    joined = one._replace(
        columns=np.concatenate([one.columns, other.columns]),
        electrons=np.concatenate([one.electrons, other.electrons]),
        lengths=one.lengths + other.lengths,
    )
    network = learned[0]
    assert abs(network.energies([joined])[0] / network.energies([one, other]).sum() - 1) > 1e-4


def test_a_batch_equals_its_members(records, learned):
    rows = [density_rows(one) for one in records.values()]
    network = learned[0]
    np.testing.assert_allclose(network.energies(rows), [network.energies([one])[0] for one in rows], rtol=1e-12)
    assert network.energies([]).shape == (0,)


def test_columns_scaled_inside_the_network_are_those_of_scaled_records(records, learned):
    network, some = learned[0], [records["O"], records["H2O"]]
    batch = network.batch([density_rows(one) for one in some])
    log_g = torch.log(torch.tensor([0.2, 3.0], dtype=torch.float64))
    inside = network.log_energies(network.scaled(batch, log_g)).detach().numpy()
    outside = network.energies([density_rows(one.scaled(g)) for one, g in zip(some, (0.2, 3.0), strict=True)])
    np.testing.assert_allclose(-np.exp(inside), outside, rtol=1e-10)


# Learning ------------------------------------------------------------------------------------------------------------


def test_it_learns(records, learned):
    network, curves, rows, energies = learned
    assert np.mean(curves["error"][-20:]) < np.mean(curves["error"][:5]) / 20
    assert np.abs(network.energies(rows) / energies - 1).max() < 0.02
    new = [records[name] for name in NEW]
    exact = np.array([one.energies["exact_exchange"] for one in new])
    found = network.energies([density_rows(one) for one in new])
    mean = exact * 0 + energies.mean()
    assert np.abs(found - exact).mean() < 0.1 * np.abs(mean - exact).mean()


def test_contrast_brings_scaled_copies_of_new_molecules_together(records):
    rows = [density_rows(records[name]) for name in LEARNED]
    network = WholeDensityNetwork.start(rows, width=24)

    def likeness():
        """Of new densities to scaled copies: the least of their own, and the most of others'."""
        new = [records[name] for name in ("BH", "H2O", "LiH")]
        plain, copies = (network.vectors([density_rows(one.scaled(g)) for one in new]) for g in (1.0, 2.5))
        found, own = plain @ copies.T, np.eye(len(plain), dtype=bool)
        return found[own].min(), found[~own].max()

    before = likeness()
    curves = pretrain(network, rows, factors=FACTORS, steps=200)
    own, others = likeness()
    assert own > others + 0.1
    assert own - others > before[0] - before[1]
    assert np.mean(curves["factor"][-10:]) < 0.2 * np.mean(curves["factor"][:5])
    assert np.mean(curves["contrast"][-10:]) < 0.7 * np.mean(curves["contrast"][:5])


@pytest.mark.parametrize("law", ["equality", "inequality"])
def test_a_penalty_brings_scaled_copies_nearer_to_the_law(records, law):
    """Labels that grow as g^2 break either law; the penalty holds new densities back."""
    known = [records[name] for name in LEARNED]
    copies = [(one.scaled(g), g * one.scaled(g).energies["exact_exchange"]) for one in known[:3] for g in (0.5, 1, 2)]
    rows, energies = [density_rows(one) for one, _ in copies], np.array([energy for _, energy in copies])

    def grown(**options):
        network = WholeDensityNetwork.start(rows, width=16)
        learn(network, rows, energies, steps=150, unlabelled_factors=(1 / 3, 3.0), **options)
        new = [records[name] for name in NEW]
        small, plain, large = (network.energies([density_rows(one.scaled(g)) for one in new]) for g in (1 / 3, 1, 3))
        return np.array([np.log(3 * small / plain), np.log(large / (3 * plain))])

    alone, held = grown(), grown(law=law, penalty=10, unlabelled=[density_rows(one) for one in known])
    assert (alone[0] < -0.5).all()
    assert (alone[1] > 0.5).all()
    assert np.abs(held).max() < 0.3 * np.abs(alone).min()
