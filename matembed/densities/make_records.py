"""Make the records that come with the package: ``python -m matembed.densities.make_records FOLDER``.

Molecules of the G2/97 set [1]_ with their geometries (MP2/6-31G*, as ASE has them; ``pip install ase``) and the atoms
from hydrogen to argon; orbitals of PBE in the basis 6-311G*, restricted for singlets and unrestricted for all others.
Correlation is that of coupled cluster, CCSD(T) with all electrons, less Hartree-Fock, where the basis has no more than
70 functions. Records that are made are kept in ``FOLDER.records-500`` till all are there, so that a run which was
stopped goes on. Half an hour of one core.

References
----------
.. [1] L. A. Curtiss, K. Raghavachari, P. C. Redfern, J. A. Pople, J. Chem. Phys. 106, 1063 (1997).
"""

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from matembed.cards import Card, package_versions
from matembed.densities.molecules import record_of
from matembed.densities.records import DensityRecord, read_records, write_records
from matembed.elements import SYMBOLS

BASIS, FUNCTIONAL = "6-311g*", "PBE"
SPINS = (1, 0, 1, 0, 1, 2, 3, 2, 1, 0, 1, 0, 1, 2, 3, 2, 1, 0)  # of the atoms H to Ar
MOST_CORRELATED = 70  # basis functions

CARD = Card(
    "g2-densities",
    what="Densities of molecules and atoms from hydrogen to argon, a few hundred points each, with exact exchange, and "
    "for the smaller ones all-electron CCSD(T) correlation of that basis.",
    source=f"Computed by PySCF: {FUNCTIONAL}/{BASIS} orbitals at the geometries of the G2/97 set, as ASE lists them.",
    licence="MIT",
    citation=(
        "L. A. Curtiss, K. Raghavachari, P. C. Redfern, J. A. Pople, J. Chem. Phys. 106, 1063 (1997).",
        "Q. Sun et al., J. Chem. Phys. 153, 024109 (2020).",
        "A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017).",
    ),
    settings={"basis": BASIS, "functional": FUNCTIONAL, "command": "python -m matembed.densities.make_records FOLDER"},
)


def species() -> Iterator[tuple[str, list[tuple[str, Any]], int]]:
    """List names, atoms with places in Å, and spins: atoms, then molecules by their number of electrons."""
    collections, numbers = importlib.import_module("ase.collections"), importlib.import_module("ase.data")
    for symbol, spin in zip(SYMBOLS[1:19], SPINS, strict=True):
        yield symbol, [(symbol, (0.0, 0.0, 0.0))], spin
    molecules = {name: collections.g2[name] for name in collections.g2.names}
    for name in sorted(molecules, key=lambda one: (int(molecules[one].numbers.sum()), one)):
        atoms = molecules[name]
        if len(atoms) > 1:
            spin = round(atoms.get_initial_magnetic_moments().sum())
            symbols = [numbers.chemical_symbols[number] for number in atoms.numbers]
            yield name, list(zip(symbols, atoms.positions.tolist(), strict=True)), spin


def compute(name: str, atoms: list[tuple[str, Any]], spin: int, n_points: int) -> DensityRecord:
    """Find the orbitals and the energies of a molecule, and make its record."""
    gto, dft = importlib.import_module("pyscf.gto"), importlib.import_module("pyscf.dft")
    mol = gto.M(atom=atoms, basis=BASIS, spin=spin, verbose=0)
    mf = (dft.UKS if spin else dft.RKS)(mol, xc=FUNCTIONAL).run()
    if not mf.converged:
        mf = mf.newton().run()
    record = record_of(mf, name=name, n_points=n_points)
    if mol.nao > MOST_CORRELATED:
        return record
    scf, cc = importlib.import_module("pyscf.scf"), importlib.import_module("pyscf.cc")
    hartree_fock = (scf.UHF if spin else scf.RHF)(mol).run(dm0=mf.make_rdm1())
    if mol.nelectron == 1:
        correlation = 0.0
    else:
        coupled = cc.CCSD(hartree_fock).run()
        if not (hartree_fock.converged and coupled.converged):
            return record
        correlation = float(coupled.e_corr + (coupled.ccsd_t() if mol.nelectron > 2 else 0.0))
    return replace(record, energies={**record.energies, "correlation": correlation})


def make(folder: Path, n_points: int) -> None:
    """Make all records, and write them as one folder."""
    kept = folder.with_name(f"{folder.name}.records-{n_points}")
    found = []
    for name, atoms, spin in species():
        if not (kept / name).is_dir():
            write_records([compute(name, atoms, spin, n_points)], kept / name, CARD)
            print(name, flush=True)
        found.append(read_records(kept / name)[name])
    versions = package_versions(("matembed", "pyscf", "ase", "numpy"))
    write_records(found, folder, replace(CARD, versions=versions), overwrite=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=500, help="of a molecule whose spins are the same")
    options = parser.parse_args()
    make(options.folder, options.points)


if __name__ == "__main__":
    main()
