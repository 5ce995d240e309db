"""Closed forms of exact exchange, against libxc and against sums over space."""

import numpy as np
import pytest

from matembed.densities._measures import Grid
from matembed.densities.exact_exchange import hydrogen_exchange, uniform_gas_exchange
from matembed.densities.functionals import ExactShare

gto = pytest.importorskip("pyscf.gto")


def test_the_uniform_gas_is_libxcs():
    """LDA_X_ERF is what is left of exchange of the gas if all of the long range is exact."""
    from pyscf import dft

    points = Grid.of(np.geomspace(0.05, 300, 9), [0, 0.5, 1], 0, 1).points
    rest = dft.libxc.eval_xc("HYB_LDA_X_ERF", points.n, spin=1)[0] * points.n.sum(axis=0)
    omega, long, short = dft.numint.NumInt().rsh_and_hybrid_coeff("HYB_LDA_X_ERF")
    whole, exact = (uniform_gas_exchange(share, points.n) for share in (ExactShare(1, 1), ExactShare(0, 1, omega)))
    assert (long, short) == (1, 0)
    np.testing.assert_allclose(whole, exact + rest, rtol=1e-9)


def test_short_and_long_range_add_up():
    n = np.array([[0.3, 1e-6, 0.0], [0.1, 1e-6, 2.0]])
    parts = [uniform_gas_exchange(ExactShare(*share, 0.4), n) for share in ((0, 1), (1, 0))]
    np.testing.assert_allclose(sum(parts), uniform_gas_exchange(ExactShare(1, 1), n), rtol=1e-12)
    assert all((one < 0).all() for one in parts)
    atom = [hydrogen_exchange(ExactShare(*share, 0.4)) for share in ((0, 1), (1, 0))]
    assert sum(atom) == pytest.approx(-5 / 16, rel=1e-12)


@pytest.mark.parametrize("omega", [0.11, 0.4, 3.0])
def test_hydrogen_is_that_of_a_large_basis(omega):
    from pyscf import scf

    atom = scf.UHF(gto.M(atom="H", spin=1, basis="aug-cc-pv5z", verbose=0)).run()
    matrix = atom.make_rdm1()[0]
    long = -0.5 * np.einsum("ij,ji", atom.get_k(atom.mol, matrix, omega=omega), matrix)
    assert hydrogen_exchange(ExactShare(0, 1, omega)) == pytest.approx(long, abs=2e-5)
