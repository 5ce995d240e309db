"""Composition blocks: formulas -> fractions of elements and statistics of their properties, with nothing but pymatgen.

What a table of elements has to beat, and the columns that trees want beside it, after Magpie [1]_.

References
----------
.. [1] L. Ward, A. Agrawal, A. Choudhary, C. Wolverton, npj Comput. Mater. 2, 16028 (2016).
"""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from matembed.downstream.materials import Column, read_bags
from matembed.downstream.motif_batch import Floats, element_properties
from matembed.downstream.pooling import STATISTICS, Statistic, pool
from matembed.elements import SYMBOLS

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["CompositionFeaturizer"]

_KNOWN = SYMBOLS[1:104]  # up to Lr; pymatgen knows next to nothing of those beyond
# What pymatgen calls it: its name here.
_PROPERTIES = {
    "mendeleev_no": "mendeleev number",
    "atomic_radius": "atomic radius",
    "van_der_waals_radius": "van der waals radius",
    "average_ionic_radius": "ionic radius",
    "melting_point": "melting point",
    "boiling_point": "boiling point",
    "molar_volume": "molar volume",
    "thermal_conductivity": "thermal conductivity",
    "ionization_energy": "ionization energy",
    "electron_affinity": "electron affinity",
    "max_oxidation_state": "max oxidation",
    "min_oxidation_state": "min oxidation",
}
_FULL = {"s": 2, "p": 6, "d": 10, "f": 14}
_DEFAULT: tuple[Statistic, ...] = ("mean", "std", "min", "max", "mode")


class CompositionFeaturizer(TransformerMixin, BaseEstimator):
    """Describe formulas by their elements and the properties of these, as a scikit-learn transformer.

    Nothing is learned from the formulas, and only their proportions count: Sr2Ti2O6 and SrTiO3 get the same row.

    Parameters
    ----------
    statistics : sequence of {"mean", "std", "min", "max", "range", "sum", "mode"}, default mean, std, min, max, mode
        Of every property; `matembed.downstream.pooling` defines them.

    See Also
    --------
    matembed.FormulaFeaturizer : The same for the vectors of an EmbeddingTable.

    Notes
    -----
    The properties are electronegativity, mass, covalent, atomic, van der Waals and ionic radius, group, period,
    Mendeleev number, melting and boiling point, molar volume, thermal conductivity, ionization energy, electron
    affinity, largest and smallest oxidation state, and the valence electrons and holes in s, p, d and f shells. Where
    pymatgen does not know one, it is interpolated between the next elements, by atomic number, of which it does;
    electronegativities and covalent radii are those of the next lighter element (He, Ne and Ar, and beyond Lr or Cm).
    Elements beyond Lr have no fractions, and the properties of Lr.

    Examples
    --------
    >>> featurizer = CompositionFeaturizer().fit()
    >>> row = featurizer.transform(["Fe2O3"])[0]
    >>> named = dict(zip(featurizer.get_feature_names_out().tolist(), row.tolist(), strict=True))
    >>> named["composition: fraction of O"], named["composition: number of elements"]
    (0.6, 2.0)
    >>> round(named["composition: mean electronegativity"], 3), named["composition: max d electrons"]
    (2.796, 6.0)
    """

    def __init__(self, *, statistics: Sequence[Statistic] = _DEFAULT) -> None:
        self.statistics = statistics

    def fit(self, X: "Column | None" = None, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Check the setting.

        Parameters
        ----------
        X : sequence of formulas, optional
            Not looked into; `transform` reads formulas.
        y : object, optional
            Ignored.

        Returns
        -------
        CompositionFeaturizer
            This transformer.

        Raises
        ------
        ValueError
            If a statistic is unknown.
        """
        known = [one for one in STATISTICS if one != "kernel_mean"]
        if isinstance(self.statistics, str) or not self.statistics or not set(self.statistics) <= set(known):
            msg = f"statistics must be a list of one or more of {', '.join(known)}; got {self.statistics!r}"
            raise ValueError(msg)
        self.n_features_out_ = len(self.get_feature_names_out())
        return self

    def transform(self, X: "Column") -> NDArray[np.float64]:
        """Describe each formula.

        Parameters
        ----------
        X : sequence of formulas, length n_formulas
            Text, compositions or mappings of elements to amounts.

        Returns
        -------
        float64 array, shape (n_formulas, n_features_out_)
            One row a formula; finite.

        Raises
        ------
        TypeError
            If `X` is no column.
        FormulaError
            If a formula cannot be read; the message begins with its position, counted from 0.
        """
        bags = read_bags(X)
        element_idx = np.array([SYMBOLS.index(token) - 1 for token in bags.tokens], dtype=np.int64)[bags.token_idx]
        totals = np.bincount(bags.bag_idx, weights=bags.amounts, minlength=len(bags))
        share = bags.amounts / totals[bags.bag_idx]
        fractions = np.zeros((len(bags), len(SYMBOLS) - 1))
        fractions[bags.bag_idx, element_idx] = share
        n_elements = np.diff(bags.starts).astype(np.float64)
        entropy = -np.bincount(bags.bag_idx, weights=share * np.log(share), minlength=len(bags))
        vectors = np.column_stack(list(_element_columns().values()))
        position = [min(SYMBOLS.index(token), len(_KNOWN)) - 1 for token in bags.tokens]
        pooled = pool(bags, vectors[position], list(self.statistics))
        return np.column_stack([fractions[:, : len(_KNOWN)], n_elements, entropy, pooled])

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Name the columns.

        Parameters
        ----------
        input_features : object, optional
            Ignored.

        Returns
        -------
        object array of str, shape (n_features_out_,)
            ``"composition: {column}"``.
        """
        names = [f"fraction of {symbol}" for symbol in _KNOWN]
        names += ["number of elements", "entropy of fractions"]
        names += [f"{statistic} {name}" for statistic in self.statistics for name in _element_columns()]
        return np.array([f"composition: {name}" for name in names], dtype=object)

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags


@lru_cache(maxsize=1)
def _element_columns() -> dict[str, Floats]:
    """Properties of the elements up to Lr by name, each an array by atomic number less one."""
    from pymatgen.core.periodic_table import Element

    own, n = element_properties(), len(_KNOWN)
    columns = {
        "electronegativity": own.electronegativity[1 : n + 1],
        "mass": own.mass[1 : n + 1],
        "covalent radius": own.radius[1 : n + 1],
        "group": own.group[1 : n + 1],
        "period": own.period[1 : n + 1],
    }
    elements = [Element(symbol) for symbol in _KNOWN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's remarks on what it does not know
        for attribute, name in _PROPERTIES.items():
            values = [getattr(element, attribute) for element in elements]
            if name.endswith("radius"):  # which pymatgen writes as 0 where it knows none
                values = [value or None for value in values]
            columns[name] = _interpolated(values)
    outer = [_valence_electrons(element.full_electronic_structure, int(element.row)) for element in elements]
    for shell, full in _FULL.items():
        electrons = np.array([counts.get(shell, 0) for counts in outer], dtype=np.float64)
        columns[f"{shell} electrons"] = electrons
        columns[f"{shell} holes"] = np.where(electrons > 0, full - electrons, 0.0)
    return columns


def _valence_electrons(structure: Sequence[tuple[int, str, int]], period: int) -> dict[str, int]:
    """Count the electrons of the shells that are filled in a period: 4s, 3d and 4p in the fourth."""
    shells = {"s": period, "p": period, "d": period - 1, "f": period - 2}
    return {shell: n for number, shell, n in structure if shells[shell] == number}


def _interpolated(values: Sequence[float | None]) -> Floats:
    array = np.array([np.nan if value is None else float(value) for value in values])
    known = np.flatnonzero(np.isfinite(array))
    return np.interp(np.arange(len(array)), known, array[known])
