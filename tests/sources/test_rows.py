import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed.motifs import Crystal
from matembed.sources.rows import FormulaRow, Rows, StructureRow, properties_of, shortened

CELL = {
    "lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
    "species": ["Cs", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
}


def rows_of(n):
    return Rows("formulas", "some", n, lambda: (FormulaRow(i, str(i), "NaCl") for i in range(1, n + 1)))


def test_rows_can_be_read_again():
    rows = rows_of(3)
    assert list(rows) == list(rows)
    assert len(list(rows)) == 3


def test_first_keeps_the_first_and_says_how_many():
    assert [row.row for row in rows_of(5).first(2)] == [1, 2]
    assert rows_of(5).first(2).n_rows == 2
    assert rows_of(5).first(9).n_rows == 5
    assert len(list(rows_of(5).first(None))) == 5
    with pytest.raises(ValueError, match="limit must be 1 or more"):
        rows_of(5).first(0)


def test_no_rows_is_an_error():
    with pytest.raises(ValueError, match="some holds no formulas"):
        list(rows_of(0))


def test_rows_travel_to_another_process():
    row = StructureRow(1, "a", "line 1", CELL, {"gap": 1.5})
    assert pickle.loads(pickle.dumps(row)) == row


@pytest.mark.parametrize("wrap", [lambda cell: cell, lambda cell: {"structure": Structure(*cell.values()).as_dict()}])
def test_a_crystal_is_read_from_either_json_form(wrap):
    structure = StructureRow(1, "a", "line 1", wrap(CELL)).to_structure()
    assert structure == Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"lattice": CELL["lattice"]}, "no 'species' or 'frac_coords'"),
        (CELL | {"species": ["Cs"]}, "cannot be read as a structure"),
        (CELL | {"lattice": "none"}, "cannot be read as a structure"),
        (Path("nowhere/there.cif"), "cannot be read as a structure"),
    ],
)
def test_what_is_no_crystal_has_a_reason_of_one_line(payload, reason):
    with pytest.raises(ValueError, match="cannot be read") as error:
        StructureRow(1, "a", "line 1", payload).to_structure()
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_reason_holds_no_folder_of_this_machine(tmp_path):
    path = tmp_path / "bad.cif"
    path.write_text("data_x\n_cell_length_a 1\n")
    with pytest.raises(ValueError, match="cannot be read") as error:
        StructureRow(1, "bad", "bad.cif", path).to_structure()
    assert str(tmp_path) not in str(error.value)


def test_a_poscar_without_elements_is_refused_not_guessed(tmp_path):
    path = tmp_path / "POSCAR"
    path.write_text("old\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n")
    with pytest.raises(ValueError, match="no line of it names the elements"):
        StructureRow(1, "old", "POSCAR", path).to_structure()


def test_properties_are_what_a_column_can_hold():
    values = {
        "gap": np.float64(1.5),
        "n": np.int64(3),
        "flag": np.bool_(True),
        "text": " a\tb ",
        "empty": "",
        "nothing": None,
        "nan": float("nan"),
        "list": [1],
        "array": np.ones(2),
        "large": 10**20,
        "long": "x" * 500,
    }
    assert properties_of(values) == {"gap": 1.5, "n": 3, "flag": True, "text": "a b", "large": 1e20}
    assert [type(value) for value in properties_of(values).values()] == [float, int, bool, str, float]


def test_shortened_is_one_line_of_valid_text():
    assert shortened("a\x00b\udcffc\nd") == "a?b?c d"
    assert len(shortened("x" * 10_000)) == 120


def test_a_plain_record_and_pymatgen_agree_on_the_arrays():
    plain = CELL | {"species": ["Cs+", "Cl-"]}
    structure = Structure(*plain.values())
    written = plain, {"structure": plain}, {"structure": structure.as_dict()}, structure.as_dict()
    for payload in (*written, structure, Crystal.from_structure(structure)):
        crystal = StructureRow(1, "a", "line 1", payload).to_crystal()
        assert crystal.lattice.tolist() == CELL["lattice"]
        assert crystal.frac_coords.tolist() == CELL["frac_coords"]
        assert crystal.numbers.tolist() == [55, 17]
        assert crystal.valences.tolist() == [1, -1]


def test_a_structure_is_made_of_a_crystal():
    row = StructureRow(1, "a", "line 1", Crystal.from_record(CELL))
    assert row.to_structure() == Structure(*CELL.values())


def test_a_plain_record_needs_no_pymatgen(monkeypatch):
    monkeypatch.setattr(StructureRow, "to_structure", lambda _: pytest.fail("pymatgen was asked"))
    assert len(StructureRow(1, "a", "line 1", CELL).to_crystal().numbers) == 2


@pytest.mark.parametrize("species", [["Li", "D"], ["Li+", "D-"], ["T", "D"]])
def test_isotopes_are_read_as_hydrogen_and_said_to_be(species):
    plain = CELL | {"species": species}
    names = tuple(f"{name} read as H" for name in sorted({one.rstrip("+-") for one in species} & {"D", "T"}))
    for payload in (plain, Structure(*plain.values())):
        crystal, rewrites = StructureRow(1, "a", "line 1", payload).read_crystal()
        assert crystal.symbols[1] == "H"
        assert rewrites == names
    assert StructureRow(1, "a", "line 1", CELL | {"species": ["Dy", "Tb"]}).read_crystal().rewrites == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"lattice": CELL["lattice"]}, "no 'species' or 'frac_coords'"),
        (CELL | {"species": ["Cs"]}, "a row for each site"),
        (CELL | {"species": []}, "no sites"),
        (CELL | {"species": ["Cs", "Xx"]}, "site 1 holds 'Xx'"),
        (CELL | {"species": [{"Na": 0.5, "K": 0.5}, "Cl"]}, "site 0 is disordered"),
        (CELL | {"species": 7}, "cannot be read as a structure"),
        (CELL | {"lattice": "none"}, "must be numbers"),
        (CELL | {"frac_coords": [[0, 0, 0], [0.5, 0.5, float("inf")]]}, "not finite"),
        (CELL | {"frac_coords": [[0, 0, 0], [0, 0, 1]]}, "0 Å apart"),
        ({"structure": "CsCl"}, "is text"),
        (Path("nowhere/there.cif"), "cannot be read as a structure"),
    ],
)
def test_what_gives_no_crystal_has_a_reason_of_one_line(payload, reason):
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        StructureRow(1, "a", "line 1", payload).to_crystal()
    assert "\n" not in str(error.value)
