"""How well and how fast: oxidation states from bonds and from formulas, and signs of formulas, beside pymatgen's.

    pip install .
    python benchmarks/valences.py OXIDES.jsonl.gz STRUCTURES.jsonl.gz ... --write benchmarks/valences.md

Lines are JSON objects with "lattice", "species" and "frac_coords". The first file may also have "valences", oxidation
states that BVAnalyzer gave once; all its structures are compared with those. A sample of each file is compared with
BVAnalyzer as it is now, stopped after 20 s. Figures are CPU time of one process, of a call with arrays for matembed and
with a pymatgen Structure for BVAnalyzer, after a first call.

States of formulas are those of `likeliest_states` and the first guess of pymatgen's `oxi_state_guesses`, stopped after
5 s. They are compared with the means over the sites of each element, of the stored valences or else those of
`bond_valences`, of formulas whose structures all have the same.
"""

import argparse
import gzip
import json
import platform
import random
import signal
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Structure

from matembed.cards import package_versions
from matembed.elements import ATOMIC_NUMBERS
from matembed.motifs.valences import (
    _bond_sums,
    _hull,
    _log_odds,
    assign_valences,
    bond_table,
    bond_valences,
    likeliest_states,
    valence_signs,
)

N_SAMPLED, N_FORMULAS = 150, 1000
LIMIT, FORMULA_LIMIT = 20, 5  # s


class Comparison(NamedTuple):
    """Answers for one structure: None where there is none."""

    structure: Structure
    theirs: NDArray[np.float64] | None
    ours: NDArray[np.float64] | None
    signs: NDArray[np.int64] | None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--write", type=Path, help="a Markdown file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # pymatgen's remarks on electronegativities
    agreement, spent, of_formulas = [], [], []
    differing: dict[str, list[str]] = {}
    for idx, path in enumerate(options.files):
        rows = read(path)
        sample = random.Random(0).sample(rows, min(N_SAMPLED, len(rows)))
        if idx == 0:
            stored = [compare(row, row.get("valences"))[0] for row in rows]
            agreement.append(agreement_row(f"{path.name}: stored", stored))
            for how, formula in differences(stored):
                differing.setdefault(how, []).append(formula)
        live, seconds = [], []
        for row in sample:
            comparison, times = compare(row, None, live=True)
            live.append(comparison)
            seconds.append(times)
        agreement.append(agreement_row(f"{path.name}: BVAnalyzer", live))
        n_sites = float(np.mean([len(row["species"]) for row in sample]))
        spent.append(timing_row(f"{path.name} ({n_sites:.0f} sites on average)", seconds))
        of_formulas += formula_rows(path.name, rows, is_stored=idx == 0)
    versions = package_versions(("matembed", "numba", "numpy", "pymatgen", "pymatgen-core", "spglib"))
    page = "\n".join(
        [
            "# Valences",
            f"`{' '.join(['python benchmarks/valences.py', *(path.name for path in options.files)])}` printed:",
            "",
            "Structures where the reference has an answer, and all, or all signs, of our valences are the same:",
            "",
            *table(
                [
                    "reference",
                    "structures",
                    "answered",
                    "all equal",
                    "signs equal",
                    "sites equal",
                    "`valence_signs` equal",
                ],
                [row[:7] for row in agreement],
            ),
            "",
            "Structures where BVAnalyzer has no answer, or not in time:",
            "",
            *table(
                ["reference", "no answer", "`bond_valences` answers", "`valence_signs` answers"],
                [[row[0], *row[7:]] for row in agreement if row[7] != "0"],
            ),
            "",
            "Where ours are not the stored valences:",
            "",
            *table(
                ["structures", "how they differ", "for example"],
                [
                    [str(len(formulas)), how, ", ".join(formulas[:4])]
                    for how, formulas in sorted(differing.items(), key=lambda item: -len(item[1]))
                ],
            ),
            "",
            "Formulas alone: elements have the mean state of their sites. Rules were made with such formulas in sight:",
            "",
            *table(
                ["reference", "formulas", "who", "answered", "all elements equal", "elements equal", "mean CPU time"],
                of_formulas,
            ),
            "",
            "CPU time of a structure, mean / median / largest, and the ratio of means; signs are of a new formula:",
            "",
            *table(["sample", "BVAnalyzer", "`bond_valences`", "ratio", "`valence_signs`"], spent),
            "",
            ", ".join([platform.machine(), *(f"{name} {version}" for name, version in versions.items())]),
            "",
        ]
    )
    sys.stdout.write(page)
    if options.write:
        options.write.write_text(page, encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def compare(
    row: dict[str, Any], stored: list[float] | None, *, live: bool = False
) -> tuple[Comparison, tuple[float, float, float]]:
    """Answers, and the CPU time of theirs, ours, and the signs, in s."""
    structure = Structure(row["lattice"], row["species"], row["frac_coords"])
    arrays = (structure.lattice.matrix, structure.frac_coords, np.array([site.specie.Z for site in structure]))
    bond_valences(*arrays)  # may compile
    ours, ours_seconds = timed(lambda: bond_valences(*arrays))
    signs, signs_seconds = timed(lambda: valence_signs(arrays[2]))
    theirs, theirs_seconds = timed(lambda: within_limit(structure)) if live else (stored, 0.0)
    known = None if theirs is None else np.array(theirs, dtype=np.float64)
    return Comparison(structure, known, ours, signs), (theirs_seconds, ours_seconds, signs_seconds)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = run()
    return result, time.process_time() - start


def within_limit(structure: Structure) -> list[float] | None:
    """Valences of BVAnalyzer, None if it takes too long."""
    try:
        return stopped_after(LIMIT, lambda: assign_valences(structure, "bv_analyzer"))
    except TimeoutError:
        return None


def stopped_after(seconds: int, run: Callable[[], Any]) -> Any:
    """Return what a call returns; TimeoutError if it takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        return run()
    finally:
        signal.alarm(0)


def formula_rows(name: str, rows: list[dict[str, Any]], *, is_stored: bool) -> list[list[str]]:
    """Compare states of a sample of formulas with those of their structures, for both programs."""
    known: dict[str, list[dict[str, float] | None]] = defaultdict(list)
    for row in rows:
        species = np.array(row["species"])
        if is_stored:
            states = np.array(row["valences"])
        else:
            numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in row["species"]])
            states = bond_valences(np.array(row["lattice"]), np.array(row["frac_coords"]), numbers)
        means = None
        if states is not None:
            means = {symbol: round(float(states[species == symbol].mean()), 6) for symbol in set(row["species"])}
        known[Composition("".join(row["species"])).reduced_formula].append(means)
    agreed = sorted(formula for formula, found in known.items() if found[0] and all(one == found[0] for one in found))
    sample = random.Random(0).sample(agreed, min(N_FORMULAS, len(agreed)))
    found = []
    for who, guess in (("`likeliest_states`", ours_of_formula), ("pymatgen", first_guess)):
        answers = [timed(partial(guess, formula)) for formula in sample]
        wanted = [known[formula][0] or {} for formula in sample]
        right = [
            [answer is not None and np.isclose(answer[symbol], state, atol=1e-5) for symbol, state in states.items()]
            for (answer, _), states in zip(answers, wanted, strict=True)
        ]
        cells = [
            share(sum(answer is not None for answer, _ in answers), len(sample)),
            share(sum(map(all, right)), len(sample)),
            share(sum(map(sum, right)), sum(map(len, right))),
            f"{1e3 * np.mean([seconds for _, seconds in answers]):.2f} ms",
        ]
        found.append([f"{name}: {'stored' if is_stored else '`bond_valences`'}", f"{len(sample):,}", who, *cells])
    return found


def ours_of_formula(formula: str) -> dict[str, float] | None:
    return likeliest_states({symbol: int(n) for symbol, n in Composition(formula).get_el_amt_dict().items()})


def first_guess(formula: str) -> dict[str, float] | None:
    """First guess of pymatgen, None if it takes too long."""
    try:
        guesses = stopped_after(FORMULA_LIMIT, Composition(formula).oxi_state_guesses)
    except TimeoutError:
        return None
    return dict(guesses[0]) if guesses else None


def equal(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    return first is not None and second is not None and bool(np.allclose(first, second))


def agreement_row(name: str, comparisons: list[Comparison]) -> list[str]:
    known = [c for c in comparisons if c.theirs is not None]
    unknown = [c for c in comparisons if c.theirs is None]
    n_sites = sum(len(c.structure) for c in known)
    same_sites = sum(
        int(np.isclose(c.ours, c.theirs).sum()) for c in known if c.ours is not None and c.theirs is not None
    )
    return [
        name,
        f"{len(known):,}",
        share(sum(c.ours is not None for c in known), len(known)),
        share(sum(equal(c.ours, c.theirs) for c in known), len(known)),
        share(sum(c.ours is not None and equal(np.sign(c.ours), np.sign(c.theirs)) for c in known), len(known)),
        share(same_sites, n_sites),
        share(sum(equal(c.signs, np.sign(c.theirs)) for c in known), len(known)),
        f"{len(unknown)}",
        f"{sum(c.ours is not None for c in unknown)}",
        f"{sum(c.signs is not None for c in unknown)}",
    ]


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def differences(comparisons: list[Comparison]) -> Iterable[tuple[str, str]]:
    """Say how our valences differ, for each structure where they do."""
    from pymatgen.core.bond_valence import BV_PARAMS

    for c in comparisons:
        if c.theirs is None or equal(c.ours, c.theirs):
            continue
        formula = c.structure.reduced_formula
        if c.ours is None:
            yield "none of ours", formula
        elif any(Element(site.specie.symbol) not in BV_PARAMS for site in c.structure):
            yield "an element has no bond valence parameters", formula
        else:
            how = "averages" if not np.allclose(c.ours, np.round(c.ours)) else "whole states"
            gain = log_odds(c.structure, c.ours) - log_odds(c.structure, c.theirs)
            yield f"ours are {how}, {'more' if gain > 0 else 'less'} probable than the stored", formula


def log_odds(structure: Structure, valences: NDArray[np.float64]) -> float:
    """Log odds of all sites together, by the same distributions for both sides."""
    numbers = np.array([site.specie.Z for site in structure])
    sums = _bond_sums(structure.lattice.matrix, structure.frac_coords, numbers, bond_table())
    total = 0.0
    for number, bond_sum, valence in zip(numbers.tolist(), sums, valences, strict=True):
        odds = {state: float(row[0]) for state, row in _log_odds(np.array([bond_sum]), number, bond_table()).items()}
        hull = _hull(odds)
        total += max(odds.get(valence, -np.inf), np.interp(valence, hull, [odds[state] for state in hull]))
    return total


def timing_row(name: str, seconds: list[tuple[float, float, float]]) -> list[str]:
    theirs, ours, signs = (1e3 * np.array(column) for column in zip(*seconds, strict=True))
    cells = [f"{t.mean():.3g} / {np.median(t):.3g} / {t.max():.3g} ms" for t in (theirs, ours, signs)]
    return [name, cells[0], cells[1], f"{theirs.mean() / ours.mean():,.0f}", cells[2]]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    main()
