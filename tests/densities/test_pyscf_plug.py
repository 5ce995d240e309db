import numpy as np
import pytest
from scipy.optimize import minimize

torch = pytest.importorskip("torch")
pytest.importorskip("pyscf")

from pyscf import dft, gto, scf  # noqa: E402

from matembed.densities.functionals import TorchFunctional  # noqa: E402
from matembed.densities.pyscf_plug import attach, check_potential  # noqa: E402
from matembed.densities.torch_functionals import (  # noqa: E402
    add,
    lda_exchange,
    pbe_correlation,
    pbe_exchange,
    pw92_correlation,
)

torch.set_num_threads(1)
PBE = add(pbe_exchange, pbe_correlation)
# geometry in Å, electrons unpaired, occupied spin orbitals by symmetry where a half-filled pi shell could lie anyhow
MOLECULES = {
    "H2O": ("O 0 0 0.117; H 0 0.757 -0.469; H 0 -0.757 -0.469", 0, None),
    "N2": ("N 0 0 0; N 0 0 1.098", 0, None),
    "LiH": ("Li 0 0 0; H 0 0 1.596", 0, None),
    "OH": ("O 0 0 0; H 0 0 0.970", 1, {"A1": (3, 3), "B1": (1, 1), "B2": (1, 0)}),
    "NO": ("N 0 0 0; O 0 0 1.151", 1, {"A1": (5, 5), "B1": (2, 1), "B2": (1, 1)}),
    "O2": ("O 0 0 0; O 0 0 1.208", 2, None),
    "CH3": ("C 0 0 0; H 1.079 0 0; H -0.5395 0.9344 0; H -0.5395 -0.9344 0", 1, None),
    "H": ("H 0 0 0", 1, None),
    "Li": ("Li 0 0 0", 1, None),
}
KINDS = pytest.mark.parametrize("kind", [dft.RKS, dft.UKS, dft.ROKS])


def kohn_sham(name, *, basis="6-31g", kind=None, level=1, xc="PBE"):
    atoms, spin, occupied = MOLECULES[name]
    mol = gto.M(atom=atoms, spin=spin, basis=basis, symmetry="C2v" if occupied else False, verbose=0)
    mf = (kind or (dft.UKS if spin else dft.RKS))(mol, xc=xc)
    mf.grids.level = level
    mf.conv_tol = 1e-11
    if occupied:
        mf.irrep_nelec = occupied
    return mf


def reduced(n, sigma, tau):
    """Return s^2 and tau / tau_unif of either spin, as of a density that has twice as much of it."""
    n = torch.where(n > 1e-30, n, 1.0)
    uniform = 0.3 * (6 * torch.pi**2) ** (2 / 3) * n ** (5 / 3)
    return sigma[::2] / (4 * (6 * torch.pi**2) ** (2 / 3) * n ** (8 / 3)), tau / uniform


class Network:
    """Exchange as a learned one would be: LDA times a small network of s^2 and tau, near PBE."""

    name, kind, family = "network", "exchange", "MGGA"

    def __init__(self):
        made = torch.Generator().manual_seed(0)
        self.layers = [torch.randn(shape, generator=made, dtype=torch.float64) for shape in ((2, 8), (8, 8), (8, 1))]

    def __call__(self, n, sigma, tau):
        s2, t = reduced(n, sigma, tau)
        hidden = torch.stack([s2 / (1 + s2), t / (1 + t)], dim=-1)
        for layer in self.layers:
            hidden = torch.tanh(hidden @ layer)
        pbe = 1.804 - 0.804 / (1 + 0.2195 / 0.804 * s2)
        lda = -1.5 * (3 / (4 * torch.pi)) ** (1 / 3) * n ** (4 / 3)
        return (lda * (pbe + 0.05 * hidden[..., 0])).sum(dim=0)


def kinked(n, sigma, tau):
    s2, t = reduced(n, sigma, tau)
    return (-0.9 * n ** (4 / 3) * (1 + 0.3 * s2 + 0.1 * torch.relu(t - 1)).clamp(max=1.3)).sum(dim=0)


@pytest.mark.parametrize("name", MOLECULES)
def test_energy_of_torch_pbe_is_that_of_libxc(name):
    of_libxc, of_torch = kohn_sham(name), attach(kohn_sham(name), PBE)
    energies = of_libxc.kernel(), of_torch.kernel()
    assert of_libxc.converged
    assert of_torch.converged
    # 1.4e-9 for H, where libxc lets the spin that is not there have 1e-12 e/bohr^3; else 1e-12
    assert energies[1] == pytest.approx(energies[0], abs=3e-9 if name == "H" else 1e-11)
    np.testing.assert_allclose(of_torch.make_rdm1(), of_libxc.make_rdm1(), atol=1e-5)


@pytest.mark.parametrize("parts", [(pbe_exchange, "PBE"), ("PBE,", pbe_correlation), ("PBE,", ",PBE"), ("PBE",)])
def test_parts_of_torch_and_libxc_mix(parts):
    mf = kohn_sham("CH3")
    energy, matrix = mf.kernel(), mf.make_rdm1()
    assert attach(kohn_sham("CH3", xc="SCAN"), *parts).energy_tot(matrix) == pytest.approx(energy, abs=1e-11)


@pytest.mark.parametrize("name, kind", [("H2O", dft.RKS), ("H2O", dft.UKS), ("O2", dft.ROKS)])
@pytest.mark.parametrize("xc, parts", [("LDA,PW_MOD", (lda_exchange, pw92_correlation)), ("SCAN", ("SCAN,", ",SCAN"))])
def test_every_family_runs_in_every_kind_of_calculation(name, kind, xc, parts):
    expected = kohn_sham(name, kind=kind, xc=xc, basis="sto-3g").kernel()
    # any functional as exchange or as correlation: parts are of the same family, or SCAN's tau is dropped
    assert attach(kohn_sham(name, kind=kind, basis="sto-3g"), *parts).kernel() == pytest.approx(expected, abs=1e-10)


def test_a_local_functional_of_a_range_runs_as_by_its_name():
    mol = gto.M(atom="He", basis="6-31g", verbose=0)
    attached = attach(dft.RKS(mol), "M11-L").kernel()
    assert attached == pytest.approx(dft.RKS(mol, xc="M11-L").kernel(), abs=1e-9)


def test_exchange_of_lda_goes_with_correlation_of_a_meta_gga():
    expected = kohn_sham("OH", xc="LDA,SCAN").kernel()
    assert attach(kohn_sham("OH"), lda_exchange, correlation="SCAN").kernel() == pytest.approx(expected, abs=1e-10)


@KINDS
@pytest.mark.parametrize(
    "functional, correlation",
    [("PBE", None), ("TPSS", None), (PBE, None), (lda_exchange, "none"), (Network(), "PBE"), (kinked, None)],
    ids=["libxc PBE", "libxc TPSS", "torch PBE", "torch LDA", "network", "kinked"],
)
def test_potential_is_the_derivative_of_the_energy(kind, functional, correlation):
    mf = kohn_sham("H2O" if kind is dft.RKS else "OH", kind=kind)
    attach(mf, functional, correlation)
    told = [check_potential(mf, seed=seed) for seed in (1, 2)]
    assert max(one.relative_error for one in told) < 1e-9
    assert told[0].found != told[1].found
    assert check_potential(mf, seed=1) == told[0]


@KINDS
def test_zeros_for_the_laplacian_lose_tau_and_are_refused(kind):
    # PySCF drops derivatives that are None and cuts the rest to length, so that zeros push the one by tau out
    def evaluate(laplacian):
        def eval_xc(xc_code, rho, spin=0, relativity=0, deriv=1, omega=None, verbose=None):
            per_electron, (v_n, v_sigma, _, v_tau) = dft.libxc.eval_xc("TPSS", rho, spin, relativity, deriv)[:2]
            return per_electron, (v_n, v_sigma, laplacian(v_tau), v_tau), None, None

        return eval_xc

    name = "H2O" if kind is dft.RKS else "OH"
    right = kohn_sham(name, kind=kind).define_xc_(evaluate(lambda v_tau: None), "MGGA")
    assert check_potential(right).relative_error < 1e-9
    wrong = kohn_sham(name, kind=kind).define_xc_(evaluate(np.zeros_like), "MGGA")
    with pytest.raises(ValueError, match="the potential is not the derivative of the energy"):
        check_potential(wrong)


@KINDS
@pytest.mark.parametrize("kept", ["n", "sigma", "tau"])
def test_what_is_detached_from_the_graph_is_refused(kind, kept):
    def partly(n, sigma, tau):
        given = {"n": n, "sigma": sigma, "tau": tau}
        return Network()(**{name: one if name == kept else one.detach() for name, one in given.items()})

    mf = kohn_sham("H2O" if kind is dft.RKS else "OH", kind=kind)
    with pytest.raises(ValueError, match="detach nothing from the graph"):
        attach(mf, TorchFunctional(partly, "exchange-correlation"))
    assert mf.xc == "PBE"
    assert check_potential(mf).relative_error < 1e-9  # of libxc's PBE, as before
    attach(mf, TorchFunctional(partly, "exchange-correlation"), tolerance=np.inf)


def test_single_precision_is_refused():
    def single(n, sigma, tau):
        return lda_exchange(n.float(), sigma.float(), tau.float()).double()

    with pytest.raises(ValueError, match="compute in float64"):
        attach(kohn_sham("H2O"), TorchFunctional(single, "exchange-correlation", "LDA"))


@pytest.mark.parametrize("name", ["H2O", "CH3"])
def test_nuclear_gradients_of_torch_pbe_are_those_of_libxc(name):
    of_libxc, of_torch = kohn_sham(name).run(), attach(kohn_sham(name), PBE).run()
    found, expected = (mf.nuc_grad_method().kernel() for mf in (of_torch, of_libxc))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("name", ["LiH", "OH"])
def test_nuclear_gradients_of_a_network_are_those_of_its_energy(name):
    mf = attach(kohn_sham(name, basis="sto-3g"), Network(), correlation="PBE").run()
    gradients = mf.nuc_grad_method()
    gradients.grid_response = True  # points move with the nuclei, in energies too
    found = gradients.kernel()[1, 2]
    scanner, energies = mf.as_scanner(), []
    for step in (2e-3, -2e-3):
        moved = mf.mol.atom_coords() + np.array([[0, 0, 0], [0, 0, step]])
        energies.append(scanner(mf.mol.set_geom_(moved, unit="Bohr", inplace=False)))
    assert found == pytest.approx((energies[0] - energies[1]) / 4e-3, abs=2e-6)


def test_water_takes_its_shape_with_a_network():
    mf = attach(kohn_sham("H2O", basis="6-31g"), Network(), correlation="PBE")
    scanner = mf.nuc_grad_method().as_scanner()

    def energy_and_gradient(coordinates):
        energy, gradient = scanner(mf.mol.set_geom_(coordinates.reshape(3, 3), unit="Bohr", inplace=False))
        return energy, gradient.ravel()

    start = mf.mol.atom_coords()
    start[1] *= 1.1
    found = minimize(energy_and_gradient, start.ravel(), jac=True, method="BFGS", options={"gtol": 3e-4})
    oxygen, *hydrogens = found.x.reshape(3, 3)
    bonds = np.array(hydrogens) - oxygen
    lengths = np.linalg.norm(bonds, axis=1) * 0.529177
    assert np.abs(found.jac).max() < 1e-3
    assert lengths[0] == pytest.approx(lengths[1], abs=2e-3)
    assert 0.93 < lengths[0] < 1.03  # experiment 0.958 Å, PBE in this basis 0.99 Å
    angle = np.degrees(np.arccos(bonds[0] @ bonds[1] / np.prod(np.linalg.norm(bonds, axis=1))))
    assert 100 < angle < 113


def test_density_fitting_and_a_second_functional_take_the_first_ones_place():
    mf = kohn_sham("H2O", basis="sto-3g").density_fit()
    expected = mf.kernel()
    attach(mf, lda_exchange, correlation="none")
    assert not mf.converged
    assert mf.mo_coeff is None
    assert mf.kernel() > expected + 0.1
    assert attach(mf, PBE).kernel() == pytest.approx(expected, abs=1e-10)


def test_attached_is_no_hybrid_whatever_the_calculation_was():
    expected = kohn_sham("H2O", basis="sto-3g").kernel()
    assert attach(kohn_sham("H2O", basis="sto-3g", xc="B3LYP"), PBE).kernel() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    "functional, correlation, message",
    [
        (pbe_exchange, None, "PBE exchange is exchange alone; pass correlation='PBE' or another"),
        ("PBE,", None, "PBE, is exchange alone"),
        ("B88", None, "B88 is exchange alone"),
        (pbe_exchange, pbe_exchange, "wanted a correlation to complete PBE exchange, but PBE exchange is exchange"),
        (pbe_exchange, "B88,", "wanted a correlation to complete PBE exchange, but B88, is exchange"),
        (pbe_exchange, "PBE,PBE", "but PBE,PBE is exchange-correlation"),
        (pbe_correlation, None, "PBE correlation is correlation alone"),
        ("PBE", "PBE", "but PBE is exchange-correlation"),
        (PBE, "none", "correlation completes exchange"),
        ("PBF", None, "libxc has no functional 'PBF'"),
        (pbe_exchange, "PBF", "libxc has no functional ',PBF'"),
        ("B3LYP", None, "'B3LYP' is a hybrid"),
        (lambda n, sigma, tau: n, None, "must return energies per volume of shape"),
        (lambda n, sigma, tau: sigma[0] ** 0.5 / n[0] ** 2 * torch.nan, None, "not finite"),
    ],
)
def test_what_is_no_functional_is_refused(functional, correlation, message):
    with pytest.raises(ValueError, match=message):
        attach(kohn_sham("H2O", basis="sto-3g"), functional, correlation)


def test_a_function_that_depends_on_more_than_its_family_is_refused():
    for family in ("GGA", "LDA"):
        with pytest.raises(ValueError, match=f"network says that it is of family {family}, but depends on tau"):
            attach(kohn_sham("H2O"), TorchFunctional(Network(), "exchange", family, "network"), correlation="PBE")


def test_what_is_no_calculation_of_a_molecule_is_refused():
    mol = gto.M(atom="He 0 0 0", verbose=0)
    for wrong in (scf.RHF(mol), mol, "H2O"):
        with pytest.raises(TypeError, match="wanted a Kohn-Sham calculation of PySCF"):
            attach(wrong, PBE)
    with pytest.raises(TypeError, match="wanted RKS, UKS or ROKS of a molecule"):
        attach(dft.GKS(mol), PBE)
    with pytest.raises(ValueError, match="n_points must be 1 or more"):
        check_potential(dft.RKS(mol), n_points=0)


def test_what_would_not_use_the_functional_is_refused():
    mf = attach(kohn_sham("H2O", basis="sto-3g"), PBE)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        mf.newton().kernel()
    mf.xc = "B3LYP"
    with pytest.raises(ValueError, match="became 'B3LYP' after attach"):
        mf.kernel()


def test_no_conversion_loses_the_functional():
    """Calculations made from an attached one have its energy, or are refused."""
    from pyscf import dft, gto

    attached = attach(dft.RKS(gto.M(atom="He", basis="6-31g", verbose=0)), "PBE").run()
    assert abs(attached.to_uks().run().e_tot - attached.e_tot) < 1e-8
    with pytest.raises(NotImplementedError, match="no generalised form"):
        attached.to_gks()
