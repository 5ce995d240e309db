import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matembed.cards import Card
from matembed.sources import StructureRow, UnreadableRow, read_rows, read_structures

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CSCL = Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def record(structure, **others):
    return {
        "lattice": structure.lattice.matrix.tolist(),
        "species": [site.specie.symbol for site in structure],
        "frac_coords": structure.frac_coords.tolist(),
    } | others


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "crystals"
    (root / "deep").mkdir(parents=True)
    SALT.to(root / "salt.cif")
    SALT.to(root / "b.cif")
    CSCL.to(root / "b.vasp", fmt="poscar")
    CSCL.to(root / "deep" / "POSCAR", fmt="poscar")
    (root / "deep" / "x.cif.gz").write_bytes(gzip.compress((root / "salt.cif").read_bytes()))
    (root / "broken.cif").write_text("data_x\n_cell_length_a nonsense\n")
    (root / "odd.xyz1").write_text("?")
    for name in ("README", "notes.txt", ".hidden.cif", "deep/INCAR"):
        (root / name).write_text("not a crystal")
    lines = [
        json.dumps(record(CSCL, id="mp-1", properties={"gap": 1.5, "list": [1]})),
        "{",
        json.dumps(record(SALT)),
        "7",
    ]
    (root / "more.jsonl").write_text("\n".join(lines) + "\n")
    return root


def test_a_folder_is_read_in_order_of_name_with_ids_from_the_names(folder):
    rows = read_structures(folder)
    assert (rows.kind, rows.name, rows.n_rows) == ("structures", "crystals", len(list(rows)))
    assert [row.row for row in rows] == list(range(1, 12))
    assert [row.id for row in rows] == [
        *("b.cif", "b.vasp", "broken", "deep/POSCAR", "deep/x"),
        *("mp-1", "more:2", "more:3", "more:4"),
        *("odd.xyz1", "salt"),
    ]


def test_what_is_no_crystal_is_a_row_of_rejects(folder):
    rejects = {row.row: (row.input, row.reason) for row in read_structures(folder) if isinstance(row, UnreadableRow)}
    assert list(rejects) == [7, 9, 10]
    assert rejects[7][0] == "more.jsonl, line 2: {"
    assert "is not JSON" in rejects[7][1]
    assert "no JSON object" in rejects[9][1]
    assert rejects[10][0] == "odd.xyz1"
    assert "wanted CIF" in rejects[10][1]


def test_crystals_are_parsed_as_pymatgen_parses_them(folder):
    rows = {row.id: row for row in read_structures(folder) if isinstance(row, StructureRow)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, formula, n_sites in [
            ("salt", "NaCl", 8),
            ("deep/x", "NaCl", 8),
            ("b.vasp", "CsCl", 2),
            ("mp-1", "CsCl", 2),
        ]:
            structure = rows[name].to_structure()
            assert (structure.reduced_formula, len(structure)) == (formula, n_sites)
        with pytest.raises(ValueError, match="cannot be read as a structure"):
            rows["broken"].to_structure()
    assert rows["mp-1"].properties == {"gap": 1.5}


def test_no_path_of_this_machine_is_shown(folder):
    for row in read_structures(folder):
        assert str(folder) not in row.input + row.id


@pytest.mark.parametrize(
    ("source", "ids"),
    [
        ([SALT, CSCL], ["1", "2"]),
        ([("salt", SALT), ("other", CSCL)], ["salt", "other"]),
        ({"salt": SALT, "other": CSCL}, ["salt", "other"]),
        ([record(SALT, material_id="mp-22"), record(CSCL)], ["mp-22", "2"]),
        (iter([SALT, CSCL]), ["1", "2"]),
    ],
)
def test_python_objects_are_known_as_structures(source, ids):
    rows = read_rows(source)
    assert rows.kind == "structures"
    read = list(rows)
    assert [row.id for row in read] == ids
    assert [row.to_structure().reduced_formula for row in read] == ["NaCl", "CsCl"]


def test_lists_of_paths_are_structures(folder):
    rows = read_rows([folder / "salt.cif", folder / "deep" / "POSCAR"])
    assert [(row.id, row.to_structure().reduced_formula) for row in rows] == [("salt", "NaCl"), ("deep/POSCAR", "CsCl")]
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_rows([folder / "nowhere.cif"])


@pytest.mark.parametrize("pack", [False, True])
def test_a_cif_of_several_crystals_is_refused_not_cut(tmp_path, pack):
    SALT.to(tmp_path / "a.cif")
    CSCL.to(tmp_path / "b.cif")
    text = "data_global\n_journal_year 2001\n" + (tmp_path / "a.cif").read_text()
    path = tmp_path / ("c.cif.gz" if pack else "c.cif")

    def written(content):
        path.write_bytes(gzip.compress(content.encode()) if pack else content.encode())
        (row,) = read_structures(path)
        return row

    assert written(text).to_structure().reduced_formula == "NaCl"
    with pytest.raises(ValueError, match="holds 2 structures; split the file, one structure each"):
        written(text + (tmp_path / "b.cif").read_text()).to_structure()


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml_of_pymatgen_is_a_structure(tmp_path, suffix):
    import ruamel.yaml

    with (tmp_path / f"salt{suffix}").open("w") as file:
        ruamel.yaml.YAML().dump(json.loads(SALT.to_json()), file)
    for source in (tmp_path, tmp_path / f"salt{suffix}"):
        (row,) = read_rows(source)
        assert (row.id, row.to_structure().reduced_formula) == ("salt", "NaCl")


def test_what_stands_beside_a_structure_are_properties():
    document = {"material_id": "mp-22862", "structure": SALT.as_dict(), "band_gap": 5.0, "is_metal": False, "sites": []}
    (row,) = read_structures([document | {"elements": ["Na", "Cl"], "properties": {"band_gap": 8.5}}])
    assert (row.id, row.properties) == ("mp-22862", {"band_gap": 8.5, "is_metal": False})
    assert row.to_structure() == SALT
    (row,) = read_structures([SALT.as_dict()])
    assert (row.id, row.properties) == ("1", {})


def test_tables_of_structures():
    table = pd.DataFrame({"material_id": ["a", "b"], "structure": [SALT, CSCL], "gap": [5.0, None]})
    for source in (table, table.set_index("material_id")):
        rows = list(read_rows(source))
        assert [(row.id, row.to_structure(), row.properties) for row in rows] == [
            ("a", SALT, {"gap": 5.0}),
            ("b", CSCL, {}),
        ]
    assert [row.id for row in read_rows(table["structure"])] == ["1", "2"]
    assert [row.id for row in read_rows(table.set_index("material_id")["structure"])] == ["a", "b"]
    named = table.assign(formula=["NaCl", "CsCl"])
    assert read_rows(named, column="formula").kind == "formulas"
    assert read_rows(named, kind="formulas").kind == "formulas"
    assert read_rows(named.assign(structure="rocksalt")).kind == "formulas"
    assert len(list(read_rows(table.assign(lattice="cubic")))) == 2
    with pytest.raises(ValueError, match=r"has a column 'structure' or 'cif', or .*; got 'formula'"):
        read_structures(named[["formula"]])


def test_text_that_names_structure_files_is_read_as_such(folder):
    rows = read_rows([str(folder / "salt.cif"), str(folder / "deep" / "POSCAR")])
    assert [(row.id, row.to_structure().reduced_formula) for row in rows] == [("salt", "NaCl"), ("deep/POSCAR", "CsCl")]


@pytest.mark.parametrize("read", [read_rows, read_structures])
@pytest.mark.parametrize("source", [SALT, record(SALT), SALT.as_dict()], ids=["Structure", "record", "dict"])
def test_one_structure_is_no_list(read, source):
    with pytest.raises(TypeError, match=r"pass \[structure\]"):
        read(source)


def test_a_json_array_of_structures(folder):
    path = folder / "array.json"
    path.write_text(json.dumps([record(SALT, id="a"), CSCL.as_dict(), 7]))
    for rows in (read_rows(path), [row for row in read_rows(folder) if "array" in row.input]):
        rows = list(rows)
        assert [row.to_structure().reduced_formula for row in rows[:2]] == ["NaCl", "CsCl"]
        assert isinstance(rows[2], UnreadableRow)
        assert rows[2].input.startswith("array.json, entry 3")
    path.write_text("[1, ")
    assert [row.reason[:11] for row in read_rows(folder) if "array" in row.input] == ["is not JSON"]
    path.write_text('["NaCl", "MgO"]')
    assert [row.formula for row in read_rows(path)] == ["NaCl", "MgO"]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.csv", "formula\nNaCl\n", "formulas"),
        ("x.jsonl", '{"formula": "NaCl"}\n', "formulas"),
        ("x.jsonl", "{\n" + json.dumps(record(CSCL, formula="CsCl")) + "\n", "structures"),
        ("x.jsonl", json.dumps({"structure": CSCL.as_dict()}) + "\n", "structures"),
        ("POSCAR_1", "", "structures"),
    ],
)
def test_the_kind_of_a_file_is_guessed(tmp_path, name, content, kind):
    (tmp_path / name).write_text(content)
    assert read_rows(tmp_path / name).kind == kind


@pytest.mark.parametrize(
    "source", [["NaCl"], ("NaCl",), pd.Series(["NaCl"]), pd.DataFrame({"formula": ["NaCl"]}), [None]]
)
def test_text_and_tables_are_formulas(source):
    assert read_rows(source).kind == "formulas"


def test_a_choice_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="kind must be"):
        read_rows(["NaCl"], kind="crystals")
    with pytest.raises(ValueError, match="holds structures"):
        read_rows([SALT], column="formula")
    with pytest.raises(ValueError, match="holds formulas, not structures"):
        read_rows(read_rows(["NaCl"]), kind="structures")
    with pytest.raises(FileNotFoundError, match="give a path that exists, or formulas as a list"):
        read_rows("NaCl")
    (tmp_path / "x.dat").write_text("?")
    with pytest.raises(ValueError, match=r"cannot tell what 'x\.dat' holds"):
        read_rows(tmp_path / "x.dat")
    with pytest.raises(ValueError, match="holds nothing to read: wanted CIF"):
        (tmp_path / "empty").mkdir()
        read_rows(tmp_path / "empty")
    with pytest.raises(TypeError, match="structures are read from"):
        read_structures(7)


def test_a_value_that_is_no_structure_is_a_row_of_rejects():
    rows = list(read_structures([SALT, "no/such/file.cif", 7]))
    assert [type(row) for row in rows] == [StructureRow, UnreadableRow, UnreadableRow]
    assert [row.reason for row in rows[1:]] == ["there is no such file", "a pymatgen Structure was wanted, got int"]


def test_limit_and_relative_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    rows = list(read_structures(Path(), limit=2))
    assert [row.id for row in rows] == ["b.cif", "b.vasp"]
    assert read_structures(Path()).name == "crystals"


def test_names_without_an_id_stay_when_other_files_come(folder):
    before = {row.input: row.id for row in read_structures(folder)}
    SALT.to(folder / "a.cif")
    (folder / "a.jsonl").write_text(json.dumps(record(SALT)) + "\n")
    after = {row.input: row.id for row in read_structures(folder)}
    assert after.items() > before.items()
    assert len(set(after.values())) == len(after)


def test_links_are_followed_but_not_in_circles(folder, tmp_path):
    names = [row.id for row in read_structures(folder / "deep")]
    elsewhere = tmp_path / "elsewhere"
    (folder / "deep").rename(elsewhere)
    (folder / "deep").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(folder)
    (elsewhere / "itself").symlink_to(elsewhere)
    assert [row.id for row in read_structures(folder) if row.id.startswith("deep")] == [f"deep/{one}" for one in names]


@pytest.mark.parametrize("name", ["x.cif", "x.jsonl", "x.xyz", "x.db", "x.parquet", "x.json"])
def test_a_file_that_is_empty_or_gone_is_a_row_of_rejects(folder, name):
    (folder / name).symlink_to(folder / "gone")
    (found,) = (row for row in read_structures(folder) if row.input == name)
    assert (found.id, found.reason[:11]) == ("x", "is no file:")
    (folder / "gone").touch()
    (found,) = (row for row in read_structures(folder) if row.input == name)
    assert (found.id, found.reason) == ("x", "is empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "x.jsonl")
    (found,) = (row for row in read_structures(folder) if row.input == "x.jsonl")
    assert found.reason.startswith("is no file")


def test_paths_may_come_from_a_generator(folder):
    listed = [(row.id, row.input) for row in read_structures(sorted(folder.glob("*.jsonl")))]
    assert len(listed) == 4
    for read in (read_structures, read_rows):
        assert [(row.id, row.input) for row in read(folder.glob("*.jsonl"))] == listed


def test_text_too_long_for_a_path_is_one_line():
    with pytest.raises(FileNotFoundError, match="there is no file or folder 'data_x") as caught:
        read_structures("data_x\n" * 1000)
    assert len(str(caught.value)) < 300


def test_a_folder_that_was_downloaded_is_read_as_such(tmp_path, monkeypatch):
    from matembed.sources import downloads

    asked = []
    monkeypatch.setattr(downloads, "read_download", lambda folder: asked.append(folder) or read_structures([SALT]))
    (tmp_path / "manifest.json").write_text(json.dumps({"type": "Download"}))
    assert [row.to_structure() for row in read_rows(tmp_path)] == [SALT]
    assert next(iter(read_structures(tmp_path))).to_structure() == SALT
    assert asked == [tmp_path, tmp_path]


@pytest.mark.parametrize("text", ['{"type": "table"}', "[1]", "{"])
def test_a_manifest_of_something_else_is_passed_over(folder, text):
    before = list(read_structures(folder))
    (folder / "manifest.json").write_text(text)
    assert list(read_structures(folder)) == before


def test_a_table_that_was_fetched_gives_its_card_to_the_rows(tmp_path, monkeypatch):
    from matembed.sources import hub_tables

    folder = tmp_path / "lemat"
    (folder / "files").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"type": "HubTable"}))
    fetched = hub_tables.HubTable(folder / "files", Card(name="lemat", licence="CC-BY-4.0"))
    monkeypatch.setattr(hub_tables, "open_hub_table", lambda path: {folder: fetched}[path])
    pd.DataFrame({"formula": ["CsCl"], "structure": [CSCL.to_json()]}).to_parquet(folder / "files" / "0.parquet")
    for rows, kind in ((read_rows(folder), "structures"), (read_rows(folder, kind="formulas"), "formulas")):
        assert (rows.kind, rows.name, rows.n_rows, rows.card) == (kind, "lemat", 1, fetched.card)
    pd.DataFrame({"formula": ["CsCl"]}).to_parquet(folder / "files" / "0.parquet")
    (row,) = read_rows(folder)
    assert row.formula == "CsCl"


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_lines_and_tables_may_be_packed(tmp_path, ending, pack):
    lines = "".join(json.dumps(record(one, id=name)) + "\n" for name, one in (("salt", SALT), ("other", CSCL)))
    path = tmp_path / f"x.jsonl{ending}"
    path.write_bytes(pack(lines.encode()))
    rows = read_rows(path)
    assert (rows.name, rows.n_rows) == ("x", 2)
    assert [(row.id, row.to_structure().reduced_formula) for row in rows] == [("salt", "NaCl"), ("other", "CsCl")]
    path = tmp_path / f"y.csv{ending}"
    path.write_bytes(pack(b"formula\nNaCl\n"))
    assert [row.formula for row in read_rows(path)] == ["NaCl"]
    path.write_bytes(pack(b"formula\nNaCl\n")[:12])
    with pytest.raises(ValueError, match="is damaged before its first line ends"):
        read_rows(path)


def test_what_a_file_must_be_is_said(tmp_path):
    (tmp_path / "x.dat").write_text("?")
    with pytest.raises(ValueError, match=r"wanted CIF, .*\(\.xyz, \.extxyz\), an ASE database \(\.db\), .*\.parquet"):
        read_rows(tmp_path / "x.dat")


def test_reading_files_of_crystals_imports_no_extra():
    code = "import sys, matembed.sources; print(*sorted({'ase', 'pandas', 'pyarrow', 'requests'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
