import re

import numpy as np
import pytest

pytest.importorskip("pyscf")

from matembed.densities.electrons import HYDROGEN_REPULSION, Electrons, default_densities, hydrogen, slater_exchange
from matembed.densities.functionals import LibxcFunctional, SpinPoints

COUNTS = {"H": (1, 0), "He": (1, 1), "Be": (2, 2), "N": (5, 2), "Ne": (5, 5), "Ar": (9, 9)}


@pytest.mark.parametrize("symbol", COUNTS)
def test_atoms_have_their_electrons(symbol):
    weights, points, _ = default_densities()[symbol]
    # the tail below 1e-12 e/bohr^3 is left out
    assert points.n @ weights == pytest.approx(COUNTS[symbol], abs=1e-8)


def test_hydrogen_is_exact():
    weights, points = hydrogen()
    assert points.tau[0] @ weights == pytest.approx(0.5, abs=1e-9)  # kinetic energy, hartree
    np.testing.assert_allclose(points.tau[0], points.sigma[0] / (8 * points.n[0]), rtol=1e-14)  # one orbital
    # integral of n^2 is 1 / (8 pi)
    assert points.n[0] ** 2 @ weights == pytest.approx(1 / (8 * np.pi), abs=1e-12)
    assert HYDROGEN_REPULSION == 0.3125


def test_the_virial_theorem_holds_for_atoms():
    # -E = T: Hartree-Fock limits, hartree; the basis leaves 0.06 %
    limits = {"He": 2.861680, "Be": 14.573023, "N": 54.400934, "Ne": 128.547098, "Ar": 526.817513}
    for symbol, energy in limits.items():
        weights, points, _ = default_densities()[symbol]
        assert points.tau.sum(axis=0) @ weights == pytest.approx(energy, rel=1e-3)


def test_exact_exchange_comes_with_atoms():
    # Hartree-Fock limits, hartree; the basis leaves 0.1 %
    limits = {"H": -0.3125, "He": -1.0258, "Be": -2.6669, "N": -6.596, "Ne": -12.1084, "Ar": -30.1850}
    densities = default_densities()
    joined = Electrons.of(densities)
    np.testing.assert_allclose(joined.exact_exchange, list(limits.values()), rtol=2e-3)
    some = {"H": densities["H"], "He": densities["He"][:2]}
    assert Electrons.of(some).exact_exchange is None


def test_a_ray_holds_the_open_shell_atom_as_a_whole_grid_does():
    from pyscf import dft, gto, scf

    atom = gto.M(atom="N", spin=3, basis="def2-tzvp", verbose=0)
    matrices = scf.UHF(atom).run().make_rdm1()
    grid = dft.Grids(atom)
    grid.level = 3
    grid.build()
    whole = Electrons.of({"N": default_densities()["N"]})
    for name in ("PBE,", ",PBE"):
        wanted = dft.numint.NumInt().nr_uks(atom, grid, name, matrices)[1]
        # PySCF's grid is good to a micro-hartree
        assert whole.energies(LibxcFunctional(name)) == pytest.approx(wanted, abs=2e-6)


def test_scaling_multiplies_exchange():
    atoms = Electrons.of(default_densities())
    kept = atoms.energies(LibxcFunctional("PBE,"))
    for g in (0.1, 3.0, 10.0):
        # libxc leaves out tails of scaled densities
        np.testing.assert_allclose(atoms.energies(LibxcFunctional("PBE,"), g), g * kept, rtol=1e-9)


def test_joined_densities_are_as_each_alone():
    densities = default_densities()
    joined = Electrons.of(densities)
    alone = [Electrons.of({name: density}).energies(LibxcFunctional("SCAN"))[0] for name, density in densities.items()]
    np.testing.assert_allclose(joined.energies(LibxcFunctional("SCAN")), alone, rtol=1e-13)
    assert joined.slater() == pytest.approx(
        [weights @ slater_exchange(points) for weights, points, _ in densities.values()]
    )


@pytest.mark.parametrize(
    ("densities", "error", "message"),
    [
        ({}, ValueError, "at least one density"),
        ([hydrogen()], TypeError, "must map names to (weights, SpinPoints), got list"),
        ({"H": hydrogen()[1]}, TypeError, "the density 'H' must be (weights, SpinPoints)"),
        ({"H": (hydrogen()[0][1:], hydrogen()[1])}, ValueError, "has 160 points and weights of shape (159,)"),
        ({"H": (-hydrogen()[0], hydrogen()[1])}, ValueError, "weights must be finite and 0 or more"),
        ({"H": (np.full(160, np.nan), hydrogen()[1])}, ValueError, "the density 'H' has 160 others"),
        ({"H": (np.zeros(160), hydrogen()[1])}, ValueError, "holds no electron"),
    ],
)
def test_wrong_densities_are_told(densities, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Electrons.of(densities)


def test_densities_that_are_no_numbers_are_told():
    with pytest.raises(ValueError, match="n must be finite"):
        SpinPoints(np.full((2, 3), np.nan), np.zeros((3, 3)), np.zeros((2, 3)))


def test_too_few_points_are_told():
    with pytest.raises(ValueError, match="n_points must be at least 20, got 3"):
        hydrogen(n_points=3)
