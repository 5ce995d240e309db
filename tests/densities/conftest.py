"""Small calculations that tests of densities share."""

import pytest

ATOMS = {
    "He": ("He", 0),
    "N": ("N", 3),
    "H2O": ("O 0 0 0; H 0.757 0.586 0; H -0.757 0.586 0", 0),
    "OH": ("O 0 0 0; H 0 0 0.97", 1),
}


@pytest.fixture(scope="session")
def calculations():
    """Converged PBE calculations by name."""
    pytest.importorskip("pyscf")
    from pyscf import dft, gto

    found = {}
    for name, (atoms, spin) in ATOMS.items():
        mol = gto.M(atom=atoms, basis="6-31g", spin=spin, verbose=0)
        found[name] = (dft.UKS if spin else dft.RKS)(mol, xc="PBE").run()
    return found


@pytest.fixture(scope="session")
def records(calculations):
    """Their records by name."""
    from matembed.densities.molecules import record_of

    return {name: record_of(mf, name=name) for name, mf in calculations.items()}
