"""How well is exact exchange learned by functionals that scale by construction, and do they converge? Both measured.

``python benchmarks/density_exchange.py --write benchmarks/density_exchange.md`` evaluates and draws; it needs PySCF
and, for the geometries of its molecules, ``pip install ase``. Fifteen minutes of one core.

Data: the {n_records} densities of the package (PBE/6-311G*, molecules of G2/97 and atoms from H to Ar) and the exact
exchange of their orbitals. "Held out": ten random splits of the species, 70 % to learn from; errors are mean absolute
errors of the other 30 %, ± their standard deviation over the splits, and known functionals are scored on the same
species, on the whole grid. "Transfer": learned from all species of H to Ne, scored on those with Na to Ar.

`EnhancementFactor` has its defaults, which are no choice of a split: the exponent of the averaged density, the length
and the noise were settled on the first 60 to 140 of these species, all splits together, and so was the transfer looked
at then; how sharply a bound clips (8) was chosen with this transfer in sight (with 6 it is 57 mHa, with 10 it is 29,
and LiH does not converge when calm; a logit in its place had 88). None of it is a test on chemistry that was never
seen. "Free" has no bound, "bounded" 0 < F_x < 1.804. "Calm" has five times the noise, so that F_x bends less: self-
consistent calculations of atoms then take a third of the cycles, and that of the carbon atom, which takes more than 30
with less noise, takes as many as others. SCAN's exchange, alone of these, changes with the grid, by up to 12 mHa
(argon); errors of it are of level 2.

Self-consistent: the calm functional of s and alpha, learned from all species, with PBE correlation, in every species of
up to {most_electrons} electrons, from PySCF's own guess, {max_cycle} cycles at most, no species left out. Its
exchange stands beside the exact exchange of its own orbitals. With the averaged density: density_scf.md.

Energies of molecules leave F_x free to trade one point for another: for alpha = 1 the learned one falls with s, where
the gradient expansion rises, as the scorecard says of it. It is right in sums, not point by point.
"""

import argparse
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from matembed.densities import LIEB_OXFORD, DensityRecord, EnhancementFactor, attach, load_records
from matembed.densities.make_records import BASIS, species

CALM = {"bound": LIEB_OXFORD, "noise": 1e-2}  # for self-consistent calculations
KINDS: dict[str, dict[str, Any]] = {
    "s, alpha; free": {},
    "s, alpha; bounded": {"bound": LIEB_OXFORD},
    "s, alpha; bounded, calm": CALM,
    "s, alpha, averaged density; free": {"averaged": True},
    "s, alpha, averaged density; bounded": {"averaged": True, "bound": LIEB_OXFORD},
}
KNOWN = ("LDA", "PBE", "B88", "TPSS", "SCAN", "r2SCAN")
HEAVY = {"Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar"}
FACTORS = (0.1, 1 / 3, 0.5, 2, 3, 10)
N_SPLITS = 10
MOST_ELECTRONS, MAX_CYCLE = 16, 30


def exact(records: list[DensityRecord], name: str = "exact_exchange") -> np.ndarray:
    return np.array([one.energies[name] for one in records])


def errors(records: list[DensityRecord]) -> Iterator[str]:
    """Write the table of held-out errors and of transfer, in mHa."""
    rng = np.random.default_rng(0)
    splits = [rng.permutation(len(records)) for _ in range(N_SPLITS)]
    n_train = round(0.7 * len(records))
    heavy = np.array([bool(HEAVY & set(one.elements)) for one in records])
    light = [one for one, is_heavy in zip(records, heavy, strict=True) if not is_heavy]
    others = [one for one, is_heavy in zip(records, heavy, strict=True) if is_heavy]
    yield f"Mean absolute errors in mHa; transfer: {len(light)} species to learn from, {len(others)} to score."
    yield "| functional | held out | transfer | mean signed, transfer | worst violation of scaling | terms | CPU s |"
    yield "|---|---|---|---|---|---|---|"
    for name, settings in KINDS.items():
        held_out = []
        for split in splits:
            train, test = ([records[row] for row in rows] for rows in (split[:n_train], split[n_train:]))
            missed = EnhancementFactor(**settings).fit(train).predict(test) - exact(test)
            held_out.append(1e3 * np.abs(missed).mean())
        start = time.process_time()
        model = EnhancementFactor(**settings).fit(light)
        seconds = time.process_time() - start
        missed = 1e3 * (model.predict(others) - exact(others))
        plain = model.predict(records)
        broken = [np.abs(model.predict([one.scaled(g) for one in records]) / (g * plain) - 1).max() for g in FACTORS]
        yield f"{_row(name, held_out, missed)} {max(broken):.0e} | {len(model.centres_)} | {seconds:.1f} |"
    for name in KNOWN:
        missed = 1e3 * (exact(records, f"{name} exchange") - exact(records))
        held_out = [np.abs(missed[split[n_train:]]).mean() for split in splits]
        yield f"{_row(name, held_out, missed[heavy])} | | |"


def _row(name: str, held_out: list[float], missed: np.ndarray) -> str:
    spread = f"{np.mean(held_out):.1f} ± {np.std(held_out, ddof=1):.1f}"
    return f"| {name} | {spread} | {np.abs(missed).mean():.0f} | {missed.mean():+.0f} |"


def self_consistent(records: list[DensityRecord]) -> Iterator[str]:
    """Write the table of self-consistent calculations."""
    gto, dft = importlib.import_module("pyscf.gto"), importlib.import_module("pyscf.dft")
    exchange = EnhancementFactor(**CALM).fit(records).functional("learned")
    yield "| species | spin | converged | cycles | energy, hartree | − PBE, mHa | exchange − exact, mHa |"
    yield "|---|---|---|---|---|---|---|"
    n_cycles, missed = [], []
    for name, atoms, spin in species():
        mol = gto.M(atom=atoms, basis=BASIS, spin=spin, verbose=0)
        if mol.nelectron > MOST_ELECTRONS:
            continue
        kind = dft.UKS if spin else dft.RKS
        pbe = kind(mol, xc="PBE").run()
        mf = attach(kind(mol), exchange, correlation="PBE")
        cycles: list[int] = []
        mf.max_cycle, mf.callback = MAX_CYCLE, lambda told, cycles=cycles: cycles.append(told["cycle"])
        mf.kernel()
        n_cycles.append(len(cycles) if mf.converged else np.inf)
        matrices = np.asarray(mf.make_rdm1())
        by_spin = matrices if matrices.ndim == 3 else np.array([matrices / 2] * 2)
        hartree_fock = -0.5 * np.einsum("sij,sji->", mf.get_k(mol, by_spin), by_spin)
        learned = attach(dft.UKS(mol), exchange, correlation="none")
        learned.grids = mf.grids
        told = learned._numint.nr_uks(mol, mf.grids, learned.xc, by_spin)[1]
        missed.append(1e3 * (told - hartree_fock))
        yield (
            f"| {name} | {spin} | {'yes' if mf.converged else '**no**'} | {len(cycles)} | {mf.e_tot:.5f} | "
            f"{1e3 * (mf.e_tot - pbe.e_tot):+.1f} | {missed[-1]:+.1f} |"
        )
    done = np.array(n_cycles)
    yield ""
    yield f"{np.isfinite(done).sum()} of {len(done)} converged, in {done[np.isfinite(done)].max():.0f} cycles at most."
    on_pbe = 1e3 * (EnhancementFactor(**CALM).fit(records).predict(records) - exact(records))
    few = np.array([round(one.n_electrons) <= MOST_ELECTRONS for one in records])
    yield (
        f"Exchange is missed by {np.abs(missed).mean():.1f} mHa (mean {np.mean(missed):+.1f}); of the densities of "
        f"PBE, from which it learned, by {np.abs(on_pbe[few]).mean():.1f} (mean {on_pbe[few].mean():+.1f}): densities "
        "that it makes itself go where it is too low."
    )


def draw(records: list[DensityRecord], path: Path) -> None:
    """Draw F_x of s and alpha, with where exchange is, and cuts beside PBE and SCAN."""
    plt = importlib.import_module("matplotlib.pyplot")
    model = EnhancementFactor(**CALM).fit(records)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    s, alpha = np.meshgrid(np.linspace(0, 3, 121), np.linspace(0, 4, 121))
    filled = left.contourf(s, alpha, model.factor(s, alpha), levels=np.arange(0.3, 1.85, 0.1), cmap="viridis")
    figure.colorbar(filled, ax=left, label="$F_x$")
    rows = [one.exchange_rows() for one in records]
    s_of, alpha_of, share = (
        np.concatenate(parts)
        for parts in zip(*((one.s, one.alpha, one.weights * one.n ** (4 / 3)) for one in rows), strict=True)
    )
    counted, s_edges, alpha_edges = np.histogram2d(
        s_of, alpha_of, bins=(60, 60), range=((0, 3), (0, 4)), weights=share / share.sum()
    )
    middles = [(edges[1:] + edges[:-1]) / 2 for edges in (s_edges, alpha_edges)]
    left.contour(*middles, np.log10(counted.T + 1e-12), levels=(-4, -3, -2), colors="white", linewidths=0.8)
    left.set(xlabel="reduced gradient $s$", ylabel=r"iso-orbital indicator $\alpha$")
    left.set_title("learned, bounded, calm; white: where exchange is (1 %, 0.1 %, 0.01 % a cell)", fontsize=9)
    line = np.linspace(0, 3, 121)
    for value, colour in ((0, "#0072b2"), (1, "#009e73"), (3, "#d55e00")):
        right.plot(line, model.factor(line, value), color=colour, label=rf"learned, $\alpha$ = {value}")
    right.plot(line, 1.804 - 0.804 / (1 + 0.2195149727645171 * line**2 / 0.804), "k--", label="PBE")
    right.axhline(LIEB_OXFORD, color="grey", linewidth=0.8)
    right.annotate("local Lieb-Oxford bound", (0.05, LIEB_OXFORD - 0.05), fontsize=8, color="grey", va="top")
    right.set(xlabel="reduced gradient $s$", ylabel="$F_x$", ylim=(0.2, 1.9))
    right.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def page(records: list[DensityRecord]) -> str:
    text = (
        (__doc__ or "")
        .split("\n\n", 2)[2]
        .strip()
        .format(n_records=len(records), max_cycle=MAX_CYCLE, most_electrons=MOST_ELECTRONS)
    )
    parts = ["# Learned exchange that scales by construction", "", text, "", "## Errors", ""]
    parts += _spaced(errors(records))
    parts += ["", "![F_x](figures/enhancement-factor.png)", "", "## Self-consistent", "", *self_consistent(records)]
    return "\n".join(parts) + "\n"


def _spaced(lines: Iterator[str]) -> Iterator[str]:
    first = next(lines)
    yield from (first, "")
    for line in lines:
        print(line, flush=True)
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, required=True)
    options = parser.parse_args()
    importlib.import_module("torch").set_num_threads(1)
    records = list(load_records().values())
    draw(records, options.write.parent / "figures" / "enhancement-factor.png")
    options.write.write_text(page(records), encoding="utf-8")


if __name__ == "__main__":
    main()
