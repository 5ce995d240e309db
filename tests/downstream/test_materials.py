from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure

from matembed.corpus.formulas import FormulaError
from matembed.downstream.materials import as_list, read_amounts, read_bags, read_graphs
from matembed.downstream.pooling import Bags
from matembed.motifs import Crystal, MotifError, MotifGraph

FORMULAS = ["NaCl", "MgO"]


@pytest.mark.parametrize(
    "column",
    [
        FORMULAS,
        tuple(FORMULAS),
        np.array(FORMULAS),
        np.array(FORMULAS, dtype=object),
        np.array(FORMULAS)[:, None],
        pd.Series(FORMULAS, index=[7, 3]),
        pd.Series(FORMULAS, dtype="string"),
        pd.Series(FORMULAS, dtype="category"),
        pd.array(FORMULAS, dtype="string"),
        pd.Index(FORMULAS),
        pd.DataFrame({"formula": FORMULAS}),
    ],
    ids=lambda column: type(column).__name__,
)
def test_every_kind_of_column_is_read(column: object) -> None:
    listed = as_list(column, "formulas")
    assert listed == FORMULAS
    assert all(type(entry) is str for entry in listed)


@pytest.mark.parametrize("column", ["NaCl", {"Na": 1}, {"NaCl"}, None, 3, Composition("NaCl"), iter(FORMULAS)])
def test_what_is_no_column_is_refused(column: object) -> None:
    with pytest.raises(TypeError, match=r"wanted a list, array, Series or single column of formulas, got \w+"):
        as_list(column, "formulas")


def test_several_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="single column of formulas, got 2"):
        as_list(pd.DataFrame({"a": FORMULAS, "b": FORMULAS}), "formulas")


def test_a_single_structure_is_refused() -> None:
    structure = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])
    with pytest.raises(TypeError, match="of structures, got Structure"):
        read_graphs(structure)


def test_text_compositions_and_mappings_mean_the_same() -> None:
    water = {"H": 2.0, "O": 1.0}
    assert read_amounts(["H2O", Composition("H2O"), {"H": 2, "O": 1}]) == [water] * 3


@pytest.mark.parametrize("read", [read_amounts, read_bags])
@pytest.mark.parametrize("bad", ["Xx2", None, float("nan"), pd.NA, 3, {"Xx": 1}, {"H": -1}, {"H": "many"}, {}])
def test_an_unreadable_formula_is_named_by_its_position(bad: object, read: Callable[[object], object]) -> None:
    with pytest.raises(FormulaError, match="formula at position 1: "):
        read(["H2O", bad, "Xx"])


PLAIN = ["H2O", "SrTiO3", "O3TiSr", "Sr2Ti2O6", "Fe2O3", "NaCl", "H2O"]
ODD = ["Ca(OH)2", "CuSO4·5H2O", "Fe0.5Ni0.5", Composition("D2O"), {"Na": 1.5, "Cl": 1}, "CH3CH2OH"]


@pytest.mark.parametrize(
    "formulas",
    [[], ["O2"], ["Ca(OH)2"], PLAIN, ODD, [*PLAIN, *ODD], [*ODD, *PLAIN], [*PLAIN[:3], *ODD, *PLAIN[3:]]],
    ids=["none", "one plain", "one odd", "plain", "odd", "plain first", "odd first", "odd between"],
)
def test_bags_hold_the_amounts_of_each_formula(formulas: list[object]) -> None:
    bags, expected = read_bags(formulas), Bags.from_amounts(read_amounts(formulas))
    assert bags.tokens == expected.tokens
    for name in ("token_idx", "amounts", "starts", "n_units"):
        np.testing.assert_array_equal(getattr(bags, name), getattr(expected, name), strict=True)


def test_what_is_no_structure_is_named_by_its_position() -> None:
    graph = MotifGraph("Ar", ("Ar",), (), (), "chemenv", "simplest", "none")
    with pytest.raises(TypeError, match=r"structure at position 1: .*str"):
        read_graphs([graph, "NaCl"])


def test_a_structure_without_motif_graph_is_named_by_its_position() -> None:
    disordered = Structure(Lattice.cubic(3), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(MotifError, match="structure at position 0: "):
        read_graphs([disordered])


def test_structures_and_crystals_are_read_as_their_formulas():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    charged = salt.copy().add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    column = [salt, charged, Crystal.from_structure(salt), "Na4Cl4"]
    assert read_amounts(column) == [{"Na": 4, "Cl": 4}] * 4
    bags = read_bags(column)
    assert bags.amounts.tolist() == [4] * 8
