"""A calculation becomes a record with its electrons and energies."""

import numpy as np
import pytest

from matembed.densities.functionals import LibxcFunctional
from matembed.densities.molecules import record_of

pytest.importorskip("pyscf")


@pytest.mark.parametrize("name", ["He", "N", "H2O", "OH"])
def test_functionals_of_the_record_are_those_of_the_grid(records, name):
    """All families, exchange and correlation, of 500 points a spin: the electrons and Slater's exchange exactly."""
    record = records[name]
    assert abs(record.n_electrons - round(record.n_electrons)) < 1e-12
    points = record.points()
    for functional, tolerance in (("LDA", 1e-6), ("PBE", 2e-5), ("B88", 5e-4), ("TPSS", 2e-4), ("SCAN", 3e-4)):
        told = record.weights @ LibxcFunctional(f"{functional},").derivatives(points).energy
        assert abs(told - record.energies[f"{functional} exchange"]) < tolerance, functional


@pytest.mark.parametrize("name", ["H2O", "OH"])
def test_correlation_of_the_record_is_that_of_the_grid(calculations, records, name):
    from pyscf import dft

    mf, record = calculations[name], records[name]
    matrices = np.asarray(mf.make_rdm1())
    by_spin = matrices if matrices.ndim == 3 else np.array([matrices / 2] * 2)
    told = record.weights @ LibxcFunctional(",PBE").derivatives(record.points()).energy
    assert abs(told - dft.numint.NumInt().nr_uks(mf.mol, mf.grids, ",PBE", by_spin)[1]) < 2e-4


def test_exact_exchange_scales_through_the_record(calculations):
    """Contract the basis by g with the same density matrix: exchange is g times as large, and so is every record's."""
    from pyscf import gto, scf

    mol = calculations["H2O"].mol
    g = 3.0
    basis = {
        symbol: [[shell[0], *([line[0] * g**2, *line[1:]] for line in shell[1:])] for shell in shells]
        for symbol, shells in mol._basis.items()
    }
    atoms = [(symbol, np.array(place) / g) for symbol, place in mol._atom]
    scaled = gto.M(atom=atoms, basis=basis, unit="Bohr", verbose=0)
    mf = scf.RHF(scaled)
    mf.mo_coeff, mf.mo_occ, mf.converged = calculations["H2O"].mo_coeff, calculations["H2O"].mo_occ, True
    found, wanted = record_of(mf, name="H2O"), record_of(calculations["H2O"], name="H2O").scaled(g)
    for name in ("exact_exchange", "coulomb", "kinetic"):
        assert abs(found.energies[name] / wanted.energies[name] - 1) < 1e-13, name
    assert abs(found.energies["PBE exchange"] / wanted.energies["PBE exchange"] - 1) < 1e-4  # on another grid
    told = [one.weights @ (one.n[0] ** (4 / 3) * one.averaged[0]) for one in (found, wanted)]
    assert abs(told[0] / told[1] - 1) < 1e-3


def test_a_rotated_molecule_has_the_same_exchange(calculations, records):
    from pyscf import dft, gto

    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    mol = calculations["H2O"].mol
    atoms = [(symbol, turn @ np.array(place)) for symbol, place in mol._atom]
    turned = dft.RKS(gto.M(atom=atoms, unit="Bohr", basis="6-31g", verbose=0), xc="PBE").run()
    found = record_of(turned, name="H2O").energies
    for name in ("exact_exchange", "PBE exchange"):
        assert found[name] == pytest.approx(records["H2O"].energies[name], abs=2e-5)


def test_a_spin_that_is_not_there_has_no_rows():
    from pyscf import gto, scf

    record = record_of(scf.UHF(gto.M(atom="H", basis="cc-pvdz", spin=1, verbose=0)).run())
    assert record.n[1].max() == 0 and record.n_electrons == pytest.approx(1)
    rows = record.exchange_rows()
    assert len(rows.n) == len(record)
    assert rows.alpha.max() < 1e-6  # one orbital, but for rounding in the tail


def test_bad_input_is_said_in_one_line(calculations):
    from pyscf import gto, scf

    with pytest.raises(ValueError, match="not converged"):
        record_of(scf.RHF(gto.M(atom="He", verbose=0)))
    with pytest.raises(TypeError, match="restricted or unrestricted"):
        record_of(calculations["He"].mol)
    with pytest.raises(ValueError, match="n_points of 1 or more"):
        record_of(calculations["He"], n_points=0)
