"""Symmetry: textbook space groups and site symmetries; the same in every cell; tables that survive interruptions."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.core.operations import SymmOp

from matembed import Card, TooManyRejectedError, read_prototypes
from matembed.corpus import _resumable, symmetry
from matembed.corpus._shards import ROWS_PER_SHARD
from matembed.corpus.symmetry import (
    CRYSTAL_SYSTEMS,
    POINT_GROUPS,
    crystal_system,
    find_symmetry,
    read_symmetry,
    symmetry_table,
)
from matembed.motifs import MotifError

HEXAGONAL = Lattice.hexagonal
# Space group, cell (Å), elements and coordinates; then the number and each element's point group.
CRYSTALS = {
    "NaCl": ("Fm-3m", Lattice.cubic(5.64), {"Na": [0, 0, 0], "Cl": [0.5] * 3}, 225, {"Na": "m-3m", "Cl": "m-3m"}),
    "rutile": (
        *("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), {"Ti": [0, 0, 0], "O": [0.305, 0.305, 0]}),
        *(136, {"Ti": "mmm", "O": "mm2"}),
    ),
    "quartz": (
        *("P3_221", HEXAGONAL(4.913, 5.405), {"Si": [0.4697, 0, 2 / 3], "O": [0.4135, 0.2669, 0.7858]}),
        *(154, {"Si": "2", "O": "1"}),
    ),
    "spinel": (
        *("Fd-3m", Lattice.cubic(8.086), {"Mg": [0, 0, 0], "Al": [0.625] * 3, "O": [0.3874] * 3}),
        *(227, {"Mg": "-43m", "Al": "-3m", "O": "3m"}),
    ),
    "wurtzite": (
        *("P6_3mc", HEXAGONAL(3.25, 5.207), {"Zn": [1 / 3, 2 / 3, 0], "O": [1 / 3, 2 / 3, 0.382]}),
        *(186, {"Zn": "3m", "O": "3m"}),
    ),
    "corundum": (
        *("R-3c", HEXAGONAL(4.759, 12.993), {"Al": [0, 0, 0.3522], "O": [0.3063, 0, 0.25]}),
        *(167, {"Al": "3", "O": "2"}),
    ),
    "tungsten carbide": (
        *("P-6m2", HEXAGONAL(2.906, 2.837), {"W": [0, 0, 0], "C": [1 / 3, 2 / 3, 0.5]}),
        *(187, {"W": "-6m2", "C": "-6m2"}),
    ),
}
# spglib's symbols of site symmetry, dots left out, where they are set in another direction than the point group.
REORIENTED = {"2mm": "mm2", "m2m": "mm2", "-4m2": "-42m", "-62m": "-6m2", "2m": "mm2"}


def crystal(name):
    group, lattice, sites, _, _ = CRYSTALS[name]
    return Structure.from_spacegroup(group, lattice, list(sites), list(sites.values()))


def by_element(structure, found):
    return sorted(zip((site.specie.symbol for site in structure), found.site_symmetries, strict=True))


def line(name, **others):
    structure = crystal(name)
    symbols = [site.specie.symbol for site in structure]
    lattice, coords = structure.lattice.matrix.tolist(), structure.frac_coords.tolist()
    return {"id": name, "lattice": lattice, "species": symbols, "frac_coords": coords} | others


def other_cells(structure):
    """The crystal in other cells, turned, and its sites in another order."""
    rng = np.random.default_rng(0)
    axis = rng.normal(size=3)
    turned = structure.copy()
    turned.apply_operation(SymmOp.from_axis_angle_and_translation(axis / np.linalg.norm(axis), 71.3))
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.21, 0.13, 0.37])
    return {
        "primitive": structure.get_primitive_structure(),
        "2 x 2 x 2": structure.make_supercell([2, 2, 2], in_place=False),
        "2 x 1 x 1": structure.make_supercell([2, 1, 1], in_place=False),
        "turned": turned,
        "moved": moved,
        "shuffled": Structure.from_sites([structure[row] for row in rng.permutation(len(structure))]),
    }


@pytest.mark.parametrize("name", CRYSTALS)
def test_textbook_crystals(name):
    structure = crystal(name)
    *_, number, groups = CRYSTALS[name]
    found = find_symmetry(structure)
    assert found.space_group == number
    assert dict(by_element(structure, found)) == groups
    assert len(found.wyckoff_letters) == len(found.equivalent_atoms) == len(structure)


@pytest.mark.parametrize("name", CRYSTALS)
def test_no_choice_of_cell_changes_it(name):
    structure = crystal(name)
    wanted = find_symmetry(structure)
    shares = {
        pair: by_element(structure, wanted).count(pair) / len(structure) for pair in by_element(structure, wanted)
    }
    for cell, other in other_cells(structure).items():
        found = find_symmetry(other)
        pairs = by_element(other, found)
        assert found.space_group == wanted.space_group, cell
        assert {pair: pairs.count(pair) / len(other) for pair in pairs} == shares, cell
        assert len(set(found.equivalent_atoms)) == len(set(wanted.equivalent_atoms)), cell


def test_every_prototype_has_the_site_symmetries_that_spglib_writes_with_dots():
    rows = list(read_prototypes(limit=150))
    for row in rows:
        one = row.to_crystal()
        written = [symbol.replace(".", "") for symbol in symmetry._dataset(one, 0.01).site_symmetry_symbols]
        assert list(find_symmetry(one).site_symmetries) == [REORIENTED.get(symbol, symbol) for symbol in written], (
            row.id
        )


def test_a_cell_of_many_sites():
    large = crystal("NaCl").make_supercell([4, 4, 4], in_place=False)
    assert len(large) == 512
    assert set(find_symmetry(large).site_symmetries) == {"m-3m"}


def test_a_tolerance_is_a_tolerance():
    bent = crystal("NaCl")
    bent.translate_sites([0], [0.005, 0, 0])
    assert find_symmetry(bent, symprec=0.1).space_group == 225
    assert find_symmetry(bent, symprec=0.001).space_group < 225


def test_there_are_32_point_groups_and_7_crystal_systems():
    assert len(set(POINT_GROUPS)) == 32
    numbers = [crystal_system(n) for n in range(1, 231)]
    assert [numbers.count(system) for system in CRYSTAL_SYSTEMS] == [2, 13, 59, 68, 25, 27, 36]


@pytest.mark.parametrize("number", [0, 231])
def test_other_numbers_are_no_space_groups(number):
    with pytest.raises(ValueError, match=f"numbered 1 to 230, got {number}"):
        crystal_system(number)


@pytest.mark.parametrize("symprec", [0, -1, float("nan"), float("inf")])
def test_a_tolerance_is_positive(symprec, tmp_path):
    with pytest.raises(ValueError, match="symprec must be a positive number"):
        find_symmetry(crystal("NaCl"), symprec=symprec)
    with pytest.raises(ValueError, match="symprec must be a positive number"):
        symmetry_table([line("NaCl")], tmp_path / "table", symprec=symprec)


def test_where_none_is_found_the_reason_is_one_line(monkeypatch):
    monkeypatch.setattr(symmetry, "_dataset", lambda *_: None)
    with pytest.raises(ValueError, match=r"no space group found for NaCl at symprec=0\.01 Å; choose another symprec"):
        find_symmetry(crystal("NaCl"))


def test_sites_that_do_not_fit_are_refused(monkeypatch):
    real = symmetry._dataset

    def shifted(*arguments):
        found = vars(real(*arguments))
        return SimpleNamespace(**found | {"std_positions": found["std_positions"] + [0.1, 0.2, 0.3]})

    monkeypatch.setattr(symmetry, "_dataset", shifted)
    monkeypatch.setattr(symmetry, "_point_group", lambda rotations: "")
    with pytest.raises(ValueError, match="the sites of NaCl do not fit space group 225"):
        find_symmetry(crystal("NaCl"))


def test_operations_that_are_no_group_have_no_name():
    turns = np.array([np.eye(3), np.diag([1, -1, -1]), np.diag([-1, 1, -1])], dtype=np.int64)
    assert symmetry._point_group(turns.tobytes()) == ""


def test_failed_attempts_print_nothing_and_the_environment_stays(capfd, monkeypatch):
    monkeypatch.delenv("SPGLIB_WARNING", raising=False)
    assert find_symmetry(crystal("rutile"), symprec=1.5).space_group == 136  # at the second attempt
    assert capfd.readouterr().err == ""
    assert "SPGLIB_WARNING" not in os.environ
    monkeypatch.setenv("SPGLIB_WARNING", "ON")
    find_symmetry(crystal("rutile"), symprec=1.5)
    assert os.environ["SPGLIB_WARNING"] == "ON"


def test_disorder_has_no_symmetry():
    mixed = Structure(Lattice.cubic(3.6), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(MotifError, match="disordered"):
        find_symmetry(mixed)


# Tables --------------------------------------------------------------------------------------------------------------


def test_a_table_has_a_row_for_each_crystal(tmp_path):
    table = symmetry_table([line(name) for name in CRYSTALS], tmp_path / "table", progress=False, card=Card("some"))
    assert table["id"].to_list() == list(CRYSTALS)
    assert table["space_group"].to_list() == [one[3] for one in CRYSTALS.values()]
    for row, (*_, groups) in zip(table.itertuples(), CRYSTALS.values(), strict=True):
        assert dict(zip(row.elements, row.site_symmetries, strict=True)) == groups
        assert sum(row.fractions) == pytest.approx(1)
    assert read_symmetry(tmp_path / "table").equals(table)
    config = json.loads((tmp_path / "table" / "config.json").read_text())
    assert config["card"]["counts"] == {"read": 7, "kept": 7, "rejected": 0}
    with pytest.raises(FileExistsError):
        symmetry_table([line("NaCl")], tmp_path / "table", progress=False)


def test_a_crystal_without_symmetry_is_a_row_with_a_reason(tmp_path, monkeypatch):
    import pandas as pd

    real = symmetry._dataset
    monkeypatch.setattr(
        symmetry, "_dataset", lambda one, symprec: None if one.reduced_formula == "ZnO" else real(one, symprec)
    )
    lines = [line("NaCl"), line("wurtzite"), {"id": "odd", "lattice": 3, "species": ["Q"], "frac_coords": [[0, 0, 0]]}]
    table = symmetry_table(lines, tmp_path / "table", progress=False, max_rejected=0.7)
    assert table["id"].to_list() == ["NaCl"]
    rejected = pd.read_parquet(tmp_path / "table" / "rejected.parquet")
    assert rejected["id"].to_list() == ["wurtzite", "odd"]
    assert rejected["reason"][0].startswith("no space group found for ZnO")
    with pytest.raises(TooManyRejectedError, match="2 of 3 rows were rejected"):
        symmetry_table(lines, tmp_path / "other", progress=False)


class Interrupting(dict):
    """A crystal at which Ctrl-C is pressed, the first time it is read."""

    pressed = False

    def get(self, key, default=None):
        if not Interrupting.pressed:
            Interrupting.pressed = True
            raise KeyboardInterrupt
        return super().get(key, default)


def test_an_interrupted_table_goes_on_and_comes_out_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(_resumable, "ROWS_PER_SHARD", dict.fromkeys(ROWS_PER_SHARD, 2))
    names = list(CRYSTALS)
    symmetry_table([line(name) for name in names], tmp_path / "whole", progress=False, card=Card("some"))
    rows = [line(name) for name in names[:4]] + [Interrupting(line(names[4]))] + [line(name) for name in names[5:]]
    source = {one.pop("id"): one for one in rows}
    with pytest.raises(KeyboardInterrupt):
        symmetry_table(source, tmp_path / "other", progress=False, card=Card("some"))
    assert not (tmp_path / "other").exists()
    assert len(list((tmp_path / "other.partial").glob("*.zip"))) == 2
    symmetry_table(source, tmp_path / "other", progress=False, card=Card("some"))
    assert read_symmetry(tmp_path / "other").equals(read_symmetry(tmp_path / "whole"))
    assert not (tmp_path / "other.partial").exists()


def test_formulas_have_no_symmetry(tmp_path):
    with pytest.raises(ValueError, match="symmetry is found in crystals, got formulas"):
        symmetry_table(["NaCl"], tmp_path / "table")


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="make one with symmetry_table"):
        read_symmetry(tmp_path / "nothing")
    symmetry_table([line("NaCl")], tmp_path / "table", progress=False)
    (tmp_path / "table" / "symmetry.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="is not the file its"):
        read_symmetry(tmp_path / "table")
    config = json.loads((tmp_path / "table" / "config.json").read_text())
    config["card"]["sha256"]["../elsewhere"] = "0"
    (tmp_path / "table" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"and no other; see '\.\./elsewhere'"):
        read_symmetry(tmp_path / "table")
