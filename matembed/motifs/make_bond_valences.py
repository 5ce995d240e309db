"""Writes bond_valences.npz: bond valence parameters, and how oxidation states are distributed in the ICSD.

Run ``python -m matembed.motifs.make_bond_valences`` after pymatgen changes its tables; it takes seconds.
"""

import math
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pymatgen.core.bond_valence import BV_PARAMS, ELECTRONEG, ICSD_BV_DATA, PRIOR_PROB
from pymatgen.core.periodic_table import Element

__all__ = ["STAND_INS", "main"]

# Elements without bond valence parameters bond like these, of the same group or series and nearly the same size.
STAND_INS = {
    "Tc": "Re",
    "Pm": "Nd",
    "Os": "Re",
    "Pt": "Pd",
    "Au": "Pd",
    "Po": "Te",
    "Ra": "Ba",
    "Ac": "La",
    "Pa": "U",
    "Np": "U",
    "Pu": "U",
    "Am": "U",
    "Cm": "U",
}
# There is no distribution of their bond valence sums; a state met in crystals is so many times as likely as another.
_MET = 10.0
# States reported less often than this in the ICSD are mistakes, or met in one compound.
_FEW = 3


def main() -> None:
    """Write the tables beside this file."""
    elements = [Element.from_Z(number) for number in range(1, max(element.Z for element in Element) + 1)]
    sizes, softness, electronegativity = np.full((3, len(elements) + 1), np.nan)
    is_anion = np.zeros(len(elements) + 1, dtype=bool)
    cations, rare_cations = np.zeros((2, len(elements) + 1, 2), dtype=np.int64)
    anions = np.zeros(len(elements) + 1, dtype=np.int64)
    ions: list[tuple[int, int, float, float, float]] = []
    for element in elements:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noble gases have no electronegativity
            electronegativity[element.Z] = element.X
        is_anion[element.Z] = element in ELECTRONEG
        common, rare = _known_states(element)
        cations[element.Z] = _range(state for state in common if state > 0)
        rare_cations[element.Z] = _range(state for state in common | rare if state > 0)
        anions[element.Z] = min([0, *rare, *map(int, element.oxidation_states)])
        parameters = BV_PARAMS.get(Element(STAND_INS.get(element.symbol, element.symbol)))
        if parameters is not None:
            sizes[element.Z], softness[element.Z] = parameters["r"], parameters["c"]
            ions += _ions(element)
    ion_numbers, ion_states, ion_means, ion_deviations, ion_log_weights = zip(*sorted(ions), strict=True)
    np.savez_compressed(
        Path(__file__).with_name("bond_valences.npz"),
        sizes=sizes,
        softness=softness,
        electronegativity=electronegativity,
        is_anion=is_anion,
        cations=cations,
        rare_cations=rare_cations,
        anions=anions,
        ion_numbers=np.array(ion_numbers, dtype=np.int64),
        ion_states=np.array(ion_states, dtype=np.int64),
        ion_means=np.array(ion_means),
        ion_deviations=np.array(ion_deviations),
        ion_log_weights=np.array(ion_log_weights),
    )


def _ions(element: Element) -> list[tuple[int, int, float, float, float]]:
    """Atomic number, state, mean and standard deviation of its bond valence sum, logarithm of its weight."""
    if element.symbol in STAND_INS:
        met = {*element.icsd_oxidation_states, *element.common_oxidation_states}
        states = met.union(state for state in element.oxidation_states if state > 0)
        return [(element.Z, int(state), 0.0, math.inf, math.log(_MET) if state in met else 0.0) for state in states]
    return [
        (element.Z, int(species.oxi_state), data["mean"], data["std"], math.log(PRIOR_PROB[species] / data["std"]))
        for species, data in ICSD_BV_DATA.items()
        if species.symbol == element.symbol and species.oxi_state and data["std"] > 0
    ]


def _known_states(element: Element) -> tuple[set[int], set[int]]:
    """Oxidation states that are common, or else all, and those met in crystals."""
    met = {
        int(species.oxi_state)
        for species, count in PRIOR_PROB.items()
        if species.symbol == element.symbol and species.oxi_state and count >= _FEW
    }
    common = met.intersection(element.icsd_oxidation_states)
    return common.union(map(int, element.common_oxidation_states if met else element.oxidation_states)), met


def _range(states: Iterable[int]) -> tuple[int, int]:
    known = sorted(states) or [0]
    return known[0], known[-1]


if __name__ == "__main__":
    main()
