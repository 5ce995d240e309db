"""Does PySCF with a torch functional give libxc's energies, and at what cost? PBE on 13 molecules and atoms.

``python benchmarks/density_scf.py --write benchmarks/density_scf.md`` runs PBE made of torch functions beside libxc's,
one molecule after the other, on one thread. ``--functional MODULE:NAME`` takes another torch function or object, and
``--correlation`` what completes it; its energies are then not those of PBE.

Basis {basis}, PySCF's default grid (level 3) and guess, energies converged to 1e-10 hartree; closed shells restricted,
open shells unrestricted, at experimental geometries. Where a pi shell is half filled (OH, NO) the occupation of its two
orbitals is held, for either side: left free, the grid alone tells them apart, and neither side converges well. CPU
seconds are those of ``kernel()``, the better of {repeats}; "check" is all of `attach`, of which `check_potential` takes
nearly everything, and is paid once. "Potential" is the relative error of the potential against finite differences of
the energy. libxc lets a spin that is not there have 1e-12 e/bohr^3, torch does not: that is the difference of H.
"""

import argparse
import importlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pyscf import dft, gto, lib

from matembed.densities.pyscf_plug import attach, check_potential

REPEATS = 2


@dataclass(frozen=True)
class Molecule:
    """Atoms in Å, unpaired electrons, and spin orbitals held occupied, by irreducible representations of C2v."""

    name: str
    atoms: str
    spin: int = 0
    occupied: dict[str, tuple[int, int]] = field(default_factory=dict)


MOLECULES = (
    Molecule("H2O", "O 0 0 0.1173; H 0 0.7572 -0.4692; H 0 -0.7572 -0.4692"),
    Molecule("N2", "N 0 0 0; N 0 0 1.0977"),
    Molecule("LiH", "Li 0 0 0; H 0 0 1.5957"),
    Molecule("CO", "C 0 0 0; O 0 0 1.1283"),
    Molecule(
        "CH4", "C 0 0 0; H .6276 .6276 .6276; H -.6276 -.6276 .6276; H -.6276 .6276 -.6276; H .6276 -.6276 -.6276"
    ),
    Molecule("HCl", "H 0 0 0; Cl 0 0 1.2746"),
    Molecule(
        "C2H4",
        "C 0 0 .6695; C 0 0 -.6695; H 0 .9289 1.2321; H 0 -.9289 1.2321; H 0 .9289 -1.2321; H 0 -.9289 -1.2321",
    ),
    Molecule("OH", "O 0 0 0; H 0 0 0.9697", 1, {"A1": (3, 3), "B1": (1, 1), "B2": (1, 0)}),
    Molecule("NO", "N 0 0 0; O 0 0 1.1508", 1, {"A1": (5, 5), "B1": (2, 1), "B2": (1, 1)}),
    Molecule("O2", "O 0 0 0; O 0 0 1.2075", 2),
    Molecule("CH3", "C 0 0 0; H 1.079 0 0; H -0.5395 0.93444 0; H -0.5395 -0.93444 0", 1),
    Molecule("H", "H 0 0 0", 1),
    Molecule("Li", "Li 0 0 0", 1),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    here = "matembed.densities.torch_functionals"
    parser.add_argument("--functional", default=f"{here}:pbe_exchange", help="MODULE:NAME, or a name of libxc")
    parser.add_argument("--correlation", default=f"{here}:pbe_correlation", help="the same, or none")
    parser.add_argument("--basis", default="6-311g*")
    parser.add_argument("--write", type=Path, help="where to write the table as Markdown")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lib.num_threads(1)
    parts = found(given.functional), found(given.correlation)
    compare(MOLECULES[0], "sto-3g", *parts)  # loads and warms up
    rows = []
    for molecule in MOLECULES:
        rows.append(compare(molecule, given.basis, *parts))
        print(rows[-1])
    table = pd.DataFrame(rows)
    text = report(table, given)
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


def found(name: str) -> Any:
    """Return what MODULE:NAME says, or the name itself, for libxc."""
    module, colon, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute) if colon else name


def kohn_sham(molecule: Molecule, basis: str) -> Any:
    symmetry = "C2v" if molecule.occupied else False
    mol = gto.M(atom=molecule.atoms, basis=basis, spin=molecule.spin, symmetry=symmetry, verbose=0)
    mf = (dft.UKS if molecule.spin else dft.RKS)(mol, xc="PBE")
    mf.conv_tol = 1e-10
    if molecule.occupied:
        mf.irrep_nelec = molecule.occupied
    return mf


def compare(molecule: Molecule, basis: str, functional: Any, correlation: Any) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"libxc": [], "torch": [], "check": []}
    for _ in range(REPEATS):
        of_libxc, of_torch = kohn_sham(molecule, basis), kohn_sham(molecule, basis)
        start = time.process_time()
        attach(of_torch, functional, correlation)
        seconds["check"].append(time.process_time() - start)
        for side, mf in (("libxc", of_libxc), ("torch", of_torch)):
            start = time.process_time()
            mf.kernel()
            seconds[side].append(time.process_time() - start)
    least = {side: min(several) for side, several in seconds.items()}
    return {
        "molecule": molecule.name,
        "libxc PBE, hartree": of_libxc.e_tot,
        "difference, hartree": of_torch.e_tot - of_libxc.e_tot,
        "converged": of_libxc.converged and of_torch.converged,
        "cycles": of_libxc.cycles,
        "cycles, torch": of_torch.cycles,
        "CPU s": least["libxc"],
        "CPU s, torch": least["torch"],
        "ratio": least["torch"] / least["libxc"],
        "check, CPU s": least["check"],
        "potential": check_potential(of_torch).relative_error,
        "potential, libxc": check_potential(of_libxc).relative_error,
    }


def report(table: pd.DataFrame, given: argparse.Namespace) -> str:
    lines = (__doc__ or "").format(basis=given.basis, repeats=REPEATS).splitlines()
    shown = table.assign(
        **{
            "libxc PBE, hartree": table["libxc PBE, hartree"].map("{:.6f}".format),
            "converged": table["converged"].map({True: "yes", False: "no"}),
            **{
                name: table[name].map("{:.1e}".format) for name in table if name.startswith(("difference", "potential"))
            },
            **{name: table[name].map("{:.2f}".format) for name in table if "CPU" in name or name == "ratio"},
        }
    )
    rows = [list(shown), ["---"] * shown.shape[1], *shown.astype(str).to_numpy().tolist()]
    ratio = table["CPU s, torch"].sum() / table["CPU s"].sum()
    return "\n".join(
        [
            f"# {lines[0]}",
            "",
            *lines[2:],
            "",
            f"Functional: `{given.functional}` with `{given.correlation}`.",
            "",
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
            f"Largest difference {table['difference, hartree'].abs().max():.1e} hartree; largest error of a potential "
            f"{table['potential'].max():.1e}. CPU seconds of all: {ratio:.2f} times those of libxc.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
