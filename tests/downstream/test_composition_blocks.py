import numpy as np
import pytest
from pymatgen.core import Composition

from matembed.corpus.formulas import FormulaError
from matembed.downstream.composition_blocks import CompositionFeaturizer
from matembed.elements import SYMBOLS

FEATURIZER = CompositionFeaturizer().fit()
NAMES = FEATURIZER.get_feature_names_out().tolist()


def named(formula: object) -> dict[str, float]:
    (row,) = FEATURIZER.transform([formula])
    return {name.removeprefix("composition: "): value for name, value in zip(NAMES, row.tolist(), strict=True)}


def test_only_proportions_count() -> None:
    rows = FEATURIZER.transform(["SrTiO3", "Sr2Ti2O6", "O3TiSr", Composition("SrTiO3"), {"Sr": 1, "Ti": 1, "O": 3}])
    assert (rows == rows[0]).all()


def test_numbers_of_water_are_those_of_its_elements() -> None:
    water = named("H2O")
    assert water["fraction of H"] == pytest.approx(2 / 3)
    assert water["number of elements"] == 2
    assert water["entropy of fractions"] == pytest.approx(-(2 / 3) * np.log(2 / 3) - np.log(1 / 3) / 3)
    assert water["mean electronegativity"] == pytest.approx((2 * 2.20 + 3.44) / 3)
    assert (water["min group"], water["max group"], water["mode group"]) == (1, 16, 1)
    assert (water["max p electrons"], water["max p holes"], water["max s holes"]) == (4, 2, 1)


def test_every_element_has_finite_numbers() -> None:
    rows = FEATURIZER.transform(list(SYMBOLS[1:]))
    assert np.isfinite(rows).all()
    assert rows.shape == (118, FEATURIZER.n_features_out_)
    assert np.array_equal(rows[:103, :103], np.eye(103))


def test_a_radius_that_is_not_known_is_no_radius_of_0() -> None:
    radii = [column for column, name in enumerate(NAMES) if name.startswith("composition: min") and "radius" in name]
    assert len(radii) == 4
    assert (FEATURIZER.transform(list(SYMBOLS[1:104]))[:, radii] > 0.1).all()  # Å


def test_bad_settings_and_formulas_are_named() -> None:
    with pytest.raises(ValueError, match="statistics must be"):
        CompositionFeaturizer(statistics=["median"]).fit()  # type: ignore[list-item]
    with pytest.raises(FormulaError, match="position 1"):
        FEATURIZER.transform(["NaCl", "Xx2O"])
