from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pyscf")
pytest.importorskip("torch")

import torch
from pyscf import gto, scf

from matembed.densities.molecules import record_of
from matembed.densities.strategies import fit

KNOWN = {"He": ("He", 0), "Be": ("Be", 0), "N": ("N", 3), "Ne": ("Ne", 0), "LiH": ("Li 0 0 0; H 0 0 1.6", 0)}
OTHERS = {"HF": ("H 0 0 0; F 0 0 0.92", 0), "O": ("O", 2)}
FAST = {"width": 16, "steps": 60, "pretraining_steps": 20}
CORRELATION = {"He": -0.04, "Be": -0.09, "N": -0.19, "Ne": -0.39, "LiH": -0.08, "HF": -0.38, "O": -0.26}  # hartree


def record(name, atom, spin):
    mol = gto.M(atom=atom, spin=spin, basis="6-31g", verbose=0)
    found = record_of((scf.UHF if spin else scf.RHF)(mol).run(), name=name, n_points=60, grid_level=1)
    return replace(found, energies={**found.energies, "correlation": CORRELATION[name]})


@pytest.fixture(scope="module")
def known():
    return [record(name, *which) for name, which in KNOWN.items()]


@pytest.fixture(scope="module")
def others():
    return [record(name, *which) for name, which in OTHERS.items()]


def test_labels_of_scaled_copies_are_exact():
    """Exponents times g^2: PySCF's exchange of the scaled molecule is that of the scaled record."""
    plain = gto.M(atom="He", basis={"He": [[0, [2.0, 1.0]], [0, [0.5, 1.0]]]}, verbose=0)
    small = gto.M(atom="He", basis={"He": [[0, [18.0, 1.0]], [0, [4.5, 1.0]]]}, verbose=0)
    mf = scf.RHF(plain).run()
    found = record_of(mf, n_points=60, grid_level=1).scaled(3).energies["exact_exchange"]
    matrix = mf.make_rdm1()
    exact = -0.25 * np.einsum("ij,ji", scf.RHF(small).get_k(dm=matrix), matrix)
    assert found == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("strategy", ["canonical", "architecture"])
def test_two_strategies_scale_exactly(known, others, strategy):
    options = FAST if strategy == "canonical" else {}
    learned = fit(known, strategy, **options)
    assert learned.scaling_violation(others, (0.1, 0.2, 1 / 3, 3.0, 10.0)) < 1e-12


def test_others_scale_better_than_what_was_not_told(known, others):
    options = {"width": 16, "steps": 200, "pretraining_steps": 20}
    plain = fit(known, "none", **options).scaling_violation(others)
    for strategy in ("augment", "contrastive", "consistency"):
        unlabelled = () if strategy == "augment" else others
        learned = fit(known, strategy, unlabelled=unlabelled, **options)
        assert learned.scaling_violation(others) < 0.5 * plain
        assert learned.violations(others, (2.0, 3.0)).shape == (2, 2)


def test_all_learn(known):
    exact = np.array([one.energies["exact_exchange"] for one in known])
    for strategy in ("none", "augment", "contrastive", "consistency", "canonical", "architecture"):
        learned = fit(known, strategy, width=16, steps=200, pretraining_steps=20)
        assert np.abs(learned.predict(known) / exact - 1).mean() < 0.05
        if strategy != "architecture":
            error = learned.history_["error"]
            assert len(error) == 200
            assert error[-10:].mean() < error[:5].mean() / 5


@pytest.mark.parametrize("strategy", ["augment", "contrastive", "consistency"])
def test_same_seed_same_numbers(known, others, strategy):
    first, second, third = (fit(known, strategy, seed=seed, **FAST).predict(others) for seed in (1, 1, 2))
    assert (first == second).all()
    assert not (first == third).any()


@pytest.mark.parametrize("strategy", ["contrastive", "consistency"])
def test_energies_of_unlabelled_densities_are_not_looked_at(known, others, strategy):
    bare = [replace(one, energies={}) for one in others]
    found = [fit(known, strategy, unlabelled=some, **FAST).predict(known) for some in (others, bare)]
    assert (found[0] == found[1]).all()
    assert (fit(known, strategy, **FAST).predict(known) != found[0]).any()


def test_contrast_may_be_tuned_by_plain_energies(known, others):
    scaled, plain = (fit(known, "contrastive", fine_tuning=which, **FAST) for which in ("scaled", "plain"))
    assert (scaled.history_["contrast"] == plain.history_["contrast"]).all()
    assert (scaled.predict(others) != plain.predict(others)).all()


def test_violations_are_relative_and_none_at_factor_one(known):
    learned = fit(known, "none", **FAST)
    plain, scaled = learned.predict(known), learned.predict([one.scaled(2.0) for one in known])
    found = learned.violations(known, (1.0, 2.0))
    np.testing.assert_allclose(found[:, 1], np.abs(scaled - 2 * plain) / np.abs(2 * plain))
    assert found[:, 0].max() < 1e-12
    assert learned.scaling_violation(known, (1.0, 2.0)) == pytest.approx(found[:, 1].mean())
    for records, factors in ((known, (1.0,)), ([], (2.0,))):
        with pytest.raises(ValueError, match="wanted records and a factor other than 1"):
            learned.scaling_violation(records, factors)


# Correlation ---------------------------------------------------------------------------------------------------------


def test_the_default_precision_of_torch_changes_nothing(known):
    plain = fit(known, "contrastive", **FAST | {"steps": 5, "pretraining_steps": 2}).predict(known)
    torch.set_default_dtype(torch.float64)
    try:
        other = fit(known, "contrastive", **FAST | {"steps": 5, "pretraining_steps": 2}).predict(known)
    finally:
        torch.set_default_dtype(torch.float32)
    assert (plain == other).all()


def test_inequality_counts_on_one_side_alone(known):
    learned = fit(known, "none", target="exchange-correlation", **FAST)
    plain, small = learned.predict(known), learned.predict([one.scaled(3.0) for one in known])
    found = learned.violations(known, (3.0,))[:, 0]
    assert (found[small >= 3 * plain] == 0).all()
    below = small < 3 * plain
    np.testing.assert_allclose(found[below], ((3 * plain - small) / np.abs(3 * plain))[below])


def test_exchange_and_correlation_are_learned_as_one(known):
    exact = np.array([one.energies["exact_exchange"] + one.energies["correlation"] for one in known])
    learned = fit(known, "none", target="exchange-correlation", width=16, steps=200)
    assert np.abs(learned.predict(known) / exact - 1).mean() < 0.05


@pytest.mark.parametrize("strategy", ["none", "consistency"])
def test_correlation_is_learned(known, others, strategy):
    learned = fit(known, strategy, target="correlation", width=16, steps=200)
    exact = np.array([one.energies["correlation"] for one in known])
    assert np.abs(learned.predict(known) / exact - 1).mean() < 0.2
    assert ("violation" in learned.history_) == (strategy == "consistency")


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "magic"}, "strategy must be one of none, augment, .*, got 'magic'"),
        ({"fine_tuning": "some"}, "fine_tuning must be one of scaled, plain"),
        ({"target": "kinetic"}, "target must be 'exact_exchange', .*, got 'kinetic'"),
        ({"target": "correlation", "strategy": "augment"}, "no rule tells the correlation of scaled densities: none"),
        ({"target": "correlation", "strategy": "contrastive"}, "pass fine_tuning='plain'"),
        ({"target": "HSE exchange"}, "5 of 5 records have no 'HSE exchange', such as 'He'; leave them out"),
        ({"factors": (1.0,)}, "factors must be positive numbers, not all 1"),
        ({"factors": (-1.0, 2.0)}, "factors must be positive numbers"),
        ({"steps": 0}, "steps must be a whole number, 1 or more"),
        ({"penalty": -1.0}, "penalty must be a finite number, 0 or more"),
        ({"learning_rate": 0}, "learning_rate must be a finite number, more than 0"),
    ],
)
def test_bad_settings_say_what_is_wanted(known, options, message):
    with pytest.raises(ValueError, match=message):
        fit(known, **{"strategy": "none", **options})


def test_bad_records_say_what_is_wanted(known, others):
    with pytest.raises(ValueError, match="wanted a sequence of DensityRecord, got none"):
        fit([], "none")
    with pytest.raises(ValueError, match="wanted a sequence of DensityRecord, got 'H2O'"):
        fit(["H2O"], "none")
    with pytest.raises(ValueError, match="'augment' cannot learn from them"):
        fit(known, "augment", unlabelled=others)
    bare = replace(known[0], energies={**known[0].energies, "correlation": 0.0})
    with pytest.raises(ValueError, match="energies must be below 0; 'correlation' of 'He' is not"):
        fit([bare, *known[1:]], "none", target="correlation")
