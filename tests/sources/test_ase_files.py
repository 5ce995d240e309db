import gzip
import sqlite3
import sys

import numpy as np
import pytest

from matembed.sources import StructureRow, UnreadableRow, read_rows, read_structures

ase = pytest.importorskip("ase")
ase_db = pytest.importorskip("ase.db")
ase_io = pytest.importorskip("ase.io")

CSCL = ase.Atoms("CsCl", cell=[4.12] * 3, pbc=True, scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]])
FRAME = """2
Lattice="4.12 0 0 0 4.12 0 0 0 4.12" Properties=species:S:1:pos:R:3 energy=-6.5 gap=5.0 stable=T note="a b"
Cs 0 0 0
Cl 2.06 2.06 2.06
"""


def write(path, text):
    path.write_text(text)
    return path


def reasons(source):
    return {row.row: row.reason for row in read_structures(source) if isinstance(row, UnreadableRow)}


def changed(**values):
    atoms = CSCL.copy()
    for name, value in values.items():
        setattr(atoms, name, value)
    return atoms


def database(path, *entries):
    with ase_db.connect(path, type=path.suffix[1:]) as connection:
        for entry in entries:
            atoms, pairs = entry if isinstance(entry, tuple) else (entry, {})
            connection.write(atoms, **pairs)
    return path


# Extended XYZ


def test_one_frame_has_the_name_of_the_file_and_several_are_numbered(tmp_path):
    (row,) = read_rows(write(tmp_path / "salt.xyz", FRAME))
    assert (row.row, row.id, row.input) == (1, "salt", "salt.xyz, frame 1")
    assert row.properties == {"energy": -6.5, "gap": 5.0, "stable": True, "note": "a b"}
    rows = list(read_rows(write(tmp_path / "salt.xyz", FRAME * 3)))
    assert [(row.row, row.id, row.input) for row in rows][2] == (3, "salt:3", "salt.xyz, frame 3")


def test_a_frame_may_bring_its_own_id(tmp_path):
    named = FRAME.replace("gap=5.0", "material_id=mp-22865")
    rows = list(read_rows(write(tmp_path / "salt.extxyz", FRAME + named)))
    assert [row.id for row in rows] == ["salt:1", "mp-22865"]
    assert "material_id" not in rows[1].properties


def test_frames_in_a_folder_stand_in_order_of_name(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "b.xyz", FRAME * 2)
    write(tmp_path / "deep" / "a.xyz", FRAME)
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(FRAME.encode()))
    database(tmp_path / "c.db", CSCL, (CSCL, {"mp_id": "mp-1"}))
    rows = list(read_structures(tmp_path))
    assert [(row.row, row.id) for row in rows] == [
        *[(1, "a"), (2, "b:1"), (3, "b:2"), (4, "c:1"), (5, "mp-1"), (6, "deep/a")],
    ]
    assert {row.to_structure().reduced_formula for row in rows} == {"CsCl"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('Lattice="4.12 0 0 0 4.12 0 0 0 4.12" ', "", "has no cell: it is a molecule, not a crystal"),
        ("energy", 'pbc="T T F" energy', "is not periodic in three dimensions: pbc is T T F"),
        ("4.12 0 0 0 4.12 0 0 0 4.12", "4 0 0 0 4 0 4 4 0", "its cell vectors lie in one plane"),
        ("4.12 0 0 0", "nan 0 0 0", "its cell or its positions hold values that are not finite"),
        ("Cl 2.06", "Cl inf", "its cell or its positions hold values that are not finite"),
        ("Cl 2.06 2.06 2.06", "Cl 2.06 2.06", "cannot be read by ASE: "),
        ("Cl 2.06", "Cl none", "cannot be read by ASE: ValueError"),
        ("Cl 2.06", "Qq 2.06", "cannot be read by ASE: KeyError: 'Qq'"),
        ("4.12 0 0 0 4.12 0 0 0 4.12", "4.12", "cannot be read by ASE: "),
        ("gap=5.0", """occupancy='_JSON {"0": {"Cs": 0.5, "K": 0.5}}'""", "is disordered: its occupancy names sites"),
    ],
)
def test_a_damaged_frame_is_a_row_of_rejects_and_costs_no_other(tmp_path, old, new, reason):
    assert old in FRAME
    rows = list(read_structures(write(tmp_path / "x.xyz", FRAME + FRAME.replace(old, new) + FRAME)))
    assert [type(row) for row in rows] == [StructureRow, UnreadableRow, StructureRow]
    assert (rows[1].row, rows[1].id, rows[1].input) == (2, "x:2", "x.xyz, frame 2")
    assert rows[1].reason.startswith(reason)
    assert "\n" not in rows[1].reason


def test_an_unknown_atom_is_refused_when_the_crystal_is_made(tmp_path):
    (row,) = read_structures(write(tmp_path / "x.xyz", FRAME.replace("Cl 2.06", "X 2.06")))
    with pytest.raises(ValueError, match="site 1 holds 'X', which is not a chemical element"):
        row.to_crystal()


def test_reading_goes_on_at_the_next_frame_where_lines_are_lost(tmp_path):
    text = FRAME + "some words\nCl 1 2 3\n\n" + FRAME + "\n" + FRAME.replace("2\n", "1\n", 1) + FRAME
    rows = list(read_structures(write(tmp_path / "x.xyz", text)))
    # The frame that names one atom has one; the line after it is none of a frame.
    assert [type(row) for row in rows] == [
        StructureRow,
        UnreadableRow,
        *[StructureRow] * 2,
        UnreadableRow,
        StructureRow,
    ]
    assert rows[1].reason == "wanted the number of atoms of a frame, got 'some words'"
    assert [row.row for row in rows] == [1, 2, 3, 4, 5, 6]


def test_a_file_that_ends_too_early_keeps_what_came_before(tmp_path):
    text = FRAME * 2
    assert reasons(write(tmp_path / "x.xyz", text[: text.rindex("Cl")])) == {
        2: "the file ends after 1 of the 2 atoms of this frame"
    }
    packed = gzip.compress("".join(FRAME.replace("gap=5.0", f"gap={hash(i * 7919)}") for i in range(2000)).encode())
    path = tmp_path / "y.xyz.gz"
    path.write_bytes(packed[: len(packed) // 2])
    rows = list(read_structures(path))
    assert len(rows) > 100
    assert "breaks off" in rows[-1].reason
    assert all(isinstance(row, StructureRow) for row in rows[:-1])


def test_frames_are_read_one_by_one(tmp_path, monkeypatch):
    from matembed.sources import ase_files

    read = []
    monkeypatch.setattr(ase_files, "_record", lambda *_: read.append(1) or {})
    rows = iter(read_structures(write(tmp_path / "x.xyz", FRAME * 50)))
    next(rows)
    assert len(read) == 1


# Databases


def test_rows_of_a_database_are_named_by_ase_or_by_their_own_id(tmp_path):
    from ase.calculators.singlepoint import SinglePointCalculator

    computed = CSCL.copy()
    computed.calc = SinglePointCalculator(computed, energy=-6.5, forces=np.zeros((2, 3)))
    for name in ("x.db", "y.json"):
        path = database(tmp_path / name, CSCL, (computed, {"material_id": "mp-1", "gap": 5.0, "stable": True}))
        rows = read_rows(path)
        assert rows.n_rows in (2, None)
        first, second = rows
        assert (first.row, first.id, first.input, first.properties) == (1, "1", f"{name}, row 1", {})
        assert (second.row, second.id) == (2, "mp-1")
        assert second.properties == {"gap": 5.0, "stable": True, "energy": -6.5}


def test_ids_of_ase_stay_where_rows_were_deleted(tmp_path):
    path = database(tmp_path / "x.db", *[CSCL] * 5)
    with ase_db.connect(path) as connection:
        connection.delete([1, 3])
    assert [(row.row, row.id) for row in read_structures(path)] == [(1, "2"), (2, "4"), (3, "5")]
    assert read_structures(path).n_rows == 3


def test_what_is_no_crystal_in_a_database_is_a_row_of_rejects(tmp_path):
    nowhere = CSCL.copy()
    nowhere.positions[1, 0] = np.nan
    path = database(
        tmp_path / "x.db",
        ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]),
        changed(pbc=[True, True, False]),
        nowhere,
        CSCL,
    )
    assert reasons(path) == {
        1: "has no cell: it is a molecule, not a crystal",
        2: "is not periodic in three dimensions: pbc is T T F",
        3: "its cell or its positions hold values that are not finite",
    }
    assert list(read_structures(path))[3].to_crystal().reduced_formula == "CsCl"


def test_a_damaged_row_of_a_database_is_a_row_of_rejects(tmp_path):
    path = database(tmp_path / "x.db", CSCL, CSCL, CSCL)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE systems SET numbers = ? WHERE id = 2", (np.array([55, 200], np.int32).tobytes(),))
    connection.close()
    rows = list(read_structures(path))
    assert [type(row) for row in rows] == [StructureRow, UnreadableRow, StructureRow]
    assert rows[1].reason.startswith("cannot be read by ASE: IndexError")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE systems SET positions = x'00' WHERE id = 1")
    connection.close()
    rows = list(read_structures(path))
    assert [type(row) for row in rows] == [UnreadableRow, UnreadableRow, StructureRow]
    assert [row.id for row in rows] == ["1", "2", "3"]


def test_a_database_that_is_cut_is_refused(tmp_path):
    path = database(tmp_path / "x.db", *[CSCL] * 200)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        ValueError, match=r"x.db cannot be read as a database of ASE \(database disk image is malformed"
    ):
        read_structures(path)
    path = database(tmp_path / "y.json", *[CSCL] * 3)
    path.write_text(path.read_text().replace('"cell"', "cell", 1))
    (row,) = read_structures(path)
    assert (row.row, row.input) == (1, "y.json")
    assert isinstance(row, UnreadableRow)


def test_a_file_that_is_no_database_of_ase_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    (tmp_path / "thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0 no SQLite")
    (tmp_path / "empty.db").write_bytes(b"")
    for name in ("other.db", "thumbs.db", "empty.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ValueError, match=rf"{name} cannot be read as a database of ASE \(.*\); wanted SQLite"):
            read_rows(tmp_path / name)
        (found,) = [row for row in read_structures(tmp_path) if row.input == name]
        assert found.reason.startswith(f"{name} cannot be read as a database of ASE" if before else "is empty")
        assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "other.db", "thumbs.db"]


def test_a_database_is_read_row_by_row_and_not_changed(tmp_path, monkeypatch):
    from matembed.sources import ase_files

    path = database(tmp_path / "x.db", *[CSCL] * 50)
    before = path.read_bytes()
    read = []
    original = ase_files._record
    monkeypatch.setattr(ase_files, "_record", lambda *values: read.append(1) or original(*values))
    rows = iter(read_structures(path))
    next(rows)
    assert len(read) == 1
    rows.close()
    assert path.read_bytes() == before
    path.chmod(0o444)
    assert len(list(read_structures(path))) == 50


def test_json_of_pymatgen_is_not_taken_for_a_database(tmp_path, crystals):
    crystals["rutile"].to(tmp_path / "rutile.json")
    (row,) = read_rows(tmp_path / "rutile.json")
    assert row.id == "rutile"
    assert row.to_structure() == crystals["rutile"]


@pytest.mark.parametrize("name", ["x.xyz", "x.db", "x.json"])
def test_without_ase_the_pip_line_is_named(tmp_path, monkeypatch, name):
    path = write(tmp_path / name, FRAME) if name == "x.xyz" else database(tmp_path / name, CSCL)
    for module in [module for module in sys.modules if module.split(".")[0] == "ase"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [_NoAse(), *sys.meta_path])
    for source in (path, tmp_path, [path]):
        with pytest.raises(ImportError, match=r"run: pip install \"matembed\[ase\]\""):
            read_rows(source)


class _NoAse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ase":
            raise ModuleNotFoundError(name, name=name)
