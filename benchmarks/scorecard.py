"""Hold known density functionals to the exact conditions.

``python benchmarks/scorecard.py --write benchmarks/scorecard.md`` scores them (a few seconds), writes the page and,
beside it, ``figures/scorecard.png``.

Functionals are those of libxc, evaluated by PySCF. Numbers of broken conditions are bold; "–" stands where a condition
does not apply. Real densities are those of H (exact), He, Be, N, Ne and Ar (Hartree-Fock, def2-TZVP). HCTH/407 and
B97-D do not split into exchange and correlation: their exchange is the high-density limit of the sum, the rest is
correlation. Of hybrids (the last four) exact exchange is added where it is known: of the uniform gas, of a slowly
varying density, of hydrogen and of the real densities; it scales and obeys spin scaling by itself, and bounds on F_x at
points count it as large as they let it be. In HSE06 it has a range, so that it is known of the uniform gas and hydrogen
alone. Processor time is that of one core for one scorecard, the median of three, after imports and after the densities
are made.
"""

import argparse
import importlib.metadata
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from matembed.densities.electrons import default_densities
from matembed.densities.scorecards import Scorecard, draw, page, scorecard

FIGURE = Path(__file__).with_name("figures") / "scorecard.png"
FUNCTIONALS = {
    "LDA (PW92)": "LDA,PW_MOD",
    "LDA (VWN)": "LDA,VWN",
    "LDA (PZ81)": "LDA,PZ",
    "PBE": "PBE",
    "PBEsol": "PBEsol",
    "RPBE": "RPBE",
    "revPBE": "revPBE",
    "WC": "GGA_X_WC,PBE",
    "AM05": "GGA_X_AM05+GGA_C_AM05",
    "PW91": "PW91",
    "mPW91": "mPW91",
    "BLYP": "BLYP",
    "BP86": "BP86",
    "OLYP": "OLYP",
    "HCTH/407": "HCTH407",
    "B97-D": "B97-D",
    "SOGGA11": "SOGGA11",
    "N12": "N12",
    "PKZB": "PKZB",
    "TPSS": "TPSS",
    "revTPSS": "revTPSS",
    "MS2": "MS2",
    "MVS": "MVS",
    "SCAN": "SCAN",
    "rSCAN": "rSCAN",
    "r++SCAN": "MGGA_X_RPPSCAN+MGGA_C_RPPSCAN",
    "r2SCAN": "r2SCAN",
    "TASK": "MGGA_X_TASK,PW",
    "M06-L": "M06-L",
    "revM06-L": "MGGA_X_REVM06_L+MGGA_C_REVM06_L",
    "MN15-L": "MN15-L",
    "B3LYP": "B3LYP",
    "PBE0": "PBE0",
    "HSE06": "HSE06",
    "SCAN0": "SCAN0",
}


def timed(name: str, libxc_name: str) -> tuple[Scorecard, float]:
    """Score a functional three times; the scorecard and the median of seconds."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        card = scorecard(libxc_name)
        seconds.append(time.process_time() - start)
    return replace(card, functional=name), float(np.median(seconds))


def main() -> None:
    """Score, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    start = time.process_time()
    default_densities()
    atoms = time.process_time() - start
    cards, seconds = zip(*(timed(*pair) for pair in FUNCTIONALS.items()), strict=True)
    rows = [
        f"| {card.functional} | `{name}` | {card.ingredients} | {' of '.join(map(str, card.n_met))} "
        f"| {1000 * spent:.0f} |"
        for card, name, spent in zip(cards, FUNCTIONALS.values(), seconds, strict=True)
    ]
    text = "\n\n".join(
        [
            "# Which exact conditions known functionals meet",
            __doc__.split("\n\n", 2)[2].strip(),
            f"{len(cards)} functionals, PySCF {importlib.metadata.version('pyscf')}; the densities took {atoms:.2f} s.",
            "![Conditions from left to right, functionals from top to bottom](figures/scorecard.png)",
            "| | in PySCF's words | family | conditions met | ms |\n|---|---|---|---|---|\n" + "\n".join(rows),
            page(cards),
        ]
    )
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
        draw(cards).savefig(FIGURE, dpi=100)


if __name__ == "__main__":
    main()
