"""The averaged density is the integral it says, and calculations with it are variational and scale."""

import pickle

import numpy as np
import pytest

pytest.importorskip("pyscf")
torch = pytest.importorskip("torch")

from pyscf import dft, gto  # noqa: E402

from matembed.densities.averaging import (  # noqa: E402
    AveragedFunctional,
    averaged_density,
    averaging_exponents,
    energy_and_potential,
)
from matembed.densities.exchange import LIEB_OXFORD, EnhancementFactor  # noqa: E402
from matembed.densities.functionals import SpinPoints  # noqa: E402
from matembed.densities.pyscf_plug import attach, check_potential  # noqa: E402
from matembed.densities.records import load_records  # noqa: E402
from matembed.densities.scorecards import scorecard  # noqa: E402
from matembed.densities.torch_functionals import lda_exchange, pbe_exchange  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    records = [record for record in load_records().values() if record.n_electrons < 15]
    return EnhancementFactor(averaged=True, bound=LIEB_OXFORD, noise=0.01).fit(records)


def kohn_sham(atom, spin=0, kind=None, basis="sto-3g"):
    mf = (kind or (dft.UKS if spin else dft.RKS))(gto.M(atom=atom, spin=spin, basis=basis, verbose=0))
    mf.grids.level = 0
    mf.conv_tol = 1e-10
    return mf


def weighted(n, sigma, tau, averaged):
    """Exchange of PBE, less where the averaged density is more than the density."""
    ratio = averaged.sum(dim=0) / n.sum(dim=0).clamp(min=1e-25)
    return pbe_exchange(n, sigma, tau) * (1.2 - 0.2 * ratio / (1 + ratio))


CALCULATIONS = pytest.mark.parametrize(
    ("atom", "spin", "kind"),
    [
        ("Li 0 0 0; H 0 0 1.6", 0, dft.RKS),
        ("Li 0 0 0; H 0 0 1.6", 0, dft.UKS),
        ("O 0 0 0; H 0 0 0.97", 1, dft.UKS),
        ("O 0 0 0; H 0 0 0.97", 1, dft.ROKS),
        ("H", 1, dft.UKS),
    ],
)


@CALCULATIONS
def test_the_potential_is_the_derivative_of_the_energy(model, atom, spin, kind):
    told = check_potential(attach(kohn_sham(atom, spin, kind), model.functional(), "PBE"), seed=1, n_points=500)
    assert told.relative_error < 1e-9  # 1e-14 to 1e-12


def test_any_torch_function_of_the_averaged_density_will_do():
    mf = attach(kohn_sham("N", 3), AveragedFunctional(weighted), "PBE")
    assert check_potential(mf, seed=1, n_points=500).relative_error < 1e-9
    assert mf.run().converged


def test_a_potential_without_the_width_is_refused(model, monkeypatch):
    """The check sees that the width depends on the density."""
    from matembed.densities import averaging

    exact = averaging._average
    monkeypatch.setattr(
        averaging, "_average", lambda *given: (found := exact(*given))._replace(slopes=0 * found.slopes)
    )
    with pytest.raises(ValueError, match="the potential is not the derivative of the energy"):
        attach(kohn_sham("Li 0 0 0; H 0 0 1.6"), model.functional(), "PBE")


@pytest.mark.parametrize(("atom", "spin"), [("Li 0 0 0; H 0 0 1.6", 0), ("N", 3)])
def test_what_ignores_the_average_is_the_local_functional(atom, spin):
    local = attach(kohn_sham(atom, spin), pbe_exchange, "PBE")
    averaged = attach(
        kohn_sham(atom, spin), AveragedFunctional(lambda n, sigma, tau, averaged: pbe_exchange(n, sigma, tau)), "PBE"
    )
    # points with less than 1e-10 e/bohr^3 of a spin have no average, and are evaluated all the same
    assert averaged.kernel() == pytest.approx(local.kernel(), abs=1e-10)
    np.testing.assert_allclose(averaged.make_rdm1(), local.make_rdm1(), atol=1e-6)


def test_restricted_and_unrestricted_are_the_same(model):
    energies = [attach(kohn_sham("He", 0, kind), model.functional(), "PBE").kernel() for kind in (dft.RKS, dft.UKS)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)


def test_calculations_converge_and_their_energy_is_lowest(model):
    mf = attach(kohn_sham("Li 0 0 0; H 0 0 1.6"), model.functional(), "PBE")
    lowest = mf.kernel()
    assert mf.converged
    turn = np.linalg.qr(np.eye(mf.mol.nao) + 0.02 * np.random.default_rng(0).normal(size=(mf.mol.nao,) * 2))[0]
    turned = mf.make_rdm1(mf.mo_coeff @ turn, mf.mo_occ)
    assert mf.energy_tot(turned) > lowest + 1e-5


def test_the_energy_is_that_of_records(model):
    """On given orbitals the integrator and the record have one energy, but for the points that stand for others."""
    from matembed.densities.molecules import record_of

    mf = dft.RKS(gto.M(atom="F 0 0 0; H 0 0 0.93", basis="sto-3g", verbose=0), xc="PBE").run()
    told = energy_and_potential(model.functional(), mf.mol, mf.grids, mf.make_rdm1()[None] / 2)[0]
    assert told == pytest.approx(model.predict([record_of(mf, n_points=2000)])[0], abs=1e-3)


def test_scaling_is_exact(model):
    """Exponents times g^2, points over g, the same density matrix: exchange is g times as large."""
    g, mf = 3.0, kohn_sham("He")
    mf.grids.build()
    matrix = mf.get_init_guess()[None] / 2
    plain = energy_and_potential(model.functional(), mf.mol, mf.grids, matrix)[0]
    basis = {
        symbol: [[shell[0], *([line[0] * g**2, *line[1:]] for line in shell[1:])] for shell in shells]
        for symbol, shells in mf.mol._basis.items()
    }
    grids = mf.grids.copy()
    grids.coords, grids.weights = mf.grids.coords / g, mf.grids.weights / g**3
    scaled = energy_and_potential(model.functional(), gto.M(atom="He", basis=basis, verbose=0), grids, matrix)[0]
    assert scaled / (g * plain) == pytest.approx(1, abs=1e-10)  # points with hardly an electron count or not


def test_blocks_add_up(model, monkeypatch):
    from matembed.densities import averaging

    mf = kohn_sham("Li", 1)
    mf.grids.build()
    matrices = np.asarray(mf.get_init_guess())
    whole = energy_and_potential(model.functional(), mf.mol, mf.grids, matrices)
    monkeypatch.setattr(averaging, "_MOST_INTEGRALS", 20_000)
    parts = energy_and_potential(model.functional(), mf.mol, mf.grids, matrices)
    assert parts[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-12)


def test_the_averaged_density_of_a_molecule_is_its_integral(calculations):
    mf = calculations["H2O"]
    coords = np.array([[0.0, 0, 0], [0.5, 0.3, -0.2], [2.0, 1.0, 0.0]])
    exponents = np.array([1.0, 0.5, 0.2])
    found = averaged_density(mf.mol, mf.make_rdm1(), coords, exponents)
    n = dft.numint.eval_rho(mf.mol, dft.numint.eval_ao(mf.mol, mf.grids.coords), mf.make_rdm1())
    for place, exponent, value in zip(coords, exponents, found, strict=True):
        gaussian = (exponent / np.pi) ** 1.5 * np.exp(-exponent * ((mf.grids.coords - place) ** 2).sum(axis=1))
        assert abs(value - (mf.grids.weights * n * gaussian).sum()) < 1e-5 * value


def test_the_gaussian_of_the_uniform_gas_is_as_wide_as_its_fermi_wave():
    points = SpinPoints.unpolarised([0.01, 1.0], s=0, alpha=1)
    n = points.n.sum(axis=0)
    k_fermi = (3 * np.pi**2 * n) ** (1 / 3)
    np.testing.assert_allclose(averaging_exponents(n, points.tau.sum(axis=0)), k_fermi**2, rtol=1e-12)


def test_what_needs_more_than_energies_and_potentials_is_refused(model):
    mf = attach(kohn_sham("He"), model.functional(), "PBE").run()
    with pytest.raises(NotImplementedError, match="no forces"):
        mf.nuc_grad_method().kernel()
    with pytest.raises(NotImplementedError, match="one calculation at a time"):
        mf.get_veff(dm=np.array([mf.make_rdm1()] * 2))
    with pytest.raises(ValueError, match=r"sees the averaged density.*averaged=False"):
        scorecard(model.functional("mine"))
    with pytest.raises(ValueError, match=r"mine must return energies per volume of shape \(\d+,\), got \(2, "):
        attach(kohn_sham("He"), AveragedFunctional(lambda n, sigma, tau, averaged: n, name="mine"), "none")


@pytest.mark.parametrize("averaged", [False, True])
def test_a_calculation_can_be_pickled(model, averaged):
    exchange = model.functional() if averaged else lda_exchange
    mf = attach(kohn_sham("He", basis="sto-3g"), exchange, "PBE").run()
    again = pickle.loads(pickle.dumps(mf))
    assert again.kernel() == pytest.approx(mf.e_tot, abs=1e-12)
