"""Voxels hold every electron, at any scale."""

import numpy as np
import pytest

from matembed.densities.voxel_grids import electron_points, voxels

pytest.importorskip("pyscf")


@pytest.fixture(scope="module")
def fluoride():
    from pyscf import gto, scf

    return scf.RHF(gto.M(atom="Li 0 0 0; F 0 0 1.56", basis="6-31g", verbose=0)).run()


@pytest.fixture(scope="module")
def points(fluoride):
    return electron_points(fluoride)


@pytest.mark.parametrize("g", [1 / 3, 0.5, 1, 2, 3, 10])
@pytest.mark.parametrize("n_voxels", [9, 32])
def test_every_electron_is_there_at_every_scale(points, g, n_voxels):
    cube = voxels(*points, n_voxels=n_voxels, g=g)
    assert abs(cube.sum() - 12) < 1e-10
    assert cube.min() >= 0


def test_the_dipole_is_that_of_the_points(points):
    """Shares that are linear in the distance keep the mean place of the electrons, if the cube holds them all."""
    coords, electrons = points
    cube = voxels(coords, electrons, n_voxels=48, width=60)
    axis = (np.arange(48) - 23.5) * 60 / 48
    found = [cube.sum(axis=tuple({0, 1, 2} - {k})) @ axis for k in range(3)]
    assert np.allclose(found, electrons @ coords, atol=1e-6)


def test_scaling_is_a_smaller_cube(points):
    assert np.allclose(voxels(*points, width=40, g=2), voxels(*points, width=80, g=1), atol=1e-12)


def test_electrons_outside_are_at_the_faces():
    cube = voxels(np.array([[100.0, 0, 0]]), np.array([2.0]), n_voxels=3, width=3)
    assert cube[2, 1, 1] == 2 and cube.sum() == 2


def test_the_centre_of_charge_is_the_origin(fluoride, points):
    charges = fluoride.mol.atom_charges()
    assert abs(points[1] @ points[0][:, 0]) < 1e-6
    assert points[1].min() >= 0 and charges.sum() == 12


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"coords": np.zeros((2, 2))}, "coords of shape"),
        ({"electrons": np.array([1.0, -1.0])}, "0 or more"),
        ({"coords": np.full((2, 3), np.nan)}, "finite"),
        ({"g": 0}, "positive width and g"),
        ({"n_voxels": 1}, "2 or more"),
    ],
)
def test_bad_input_is_said_in_one_line(changed, message):
    given = {"coords": np.zeros((2, 3)), "electrons": np.ones(2)} | changed
    with pytest.raises(ValueError, match=message):
        voxels(**given)


def test_an_unconverged_calculation_is_refused():
    from pyscf import gto, scf

    with pytest.raises(ValueError, match="not converged"):
        electron_points(scf.RHF(gto.M(atom="He", verbose=0)))
