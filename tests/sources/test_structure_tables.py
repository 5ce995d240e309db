import csv
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from matembed.sources import FormulaRow, StructureRow, UnreadableRow, read_formulas, read_rows, read_structures

CELL = {
    "lattice_vectors": [[4.12, 0.0, 0.0], [0.0, 4.12, 0.0], [0.0, 0.0, 4.12]],
    "cartesian_site_positions": [[0.0, 0.0, 0.0], [2.06, 2.06, 2.06]],
    "species_at_sites": ["Cs", "Cl"],
    "chemical_formula_reduced": "ClCs",
}


def entries(n):
    return [CELL | {"immutable_id": f"mp-{i}", "energy": -0.5 * i, "forces": [[0.0] * 3] * 2} for i in range(n)]


def write(records, path):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        pd.DataFrame(records).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.fixture(params=["x.parquet", "x.csv", "x.tsv"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_ids_and_properties_are_those_of_the_other_columns(path):
    rows = read_rows(write(entries(3), path))
    assert (rows.kind, rows.name) == ("structures", "x")
    first, _, last = rows
    unit, line = ("row", 3) if path.suffix == ".parquet" else ("line", 4)
    assert (last.row, last.id, last.input) == (3, "mp-2", f"{path.name}, {unit} {line} (ClCs)")
    # In text a list is text, and kept where it is short.
    assert set(last.properties) - {"forces"} == {"chemical_formula_reduced", "energy"}
    assert float(last.properties["energy"]) == -1.0
    assert last.to_structure() == first.to_structure()


def test_rows_without_an_id_are_named_by_their_number(path):
    records = [{key: value for key, value in entry.items() if key != "immutable_id"} for entry in entries(2)]
    assert [(row.row, row.id) for row in read_rows(write(records, path))] == [(1, "1"), (2, "2")]


def test_the_payload_is_the_crystal_alone(path):
    (row,) = read_structures(write(entries(1), path))
    assert set(row.payload) == {"id", "lattice", "species", "frac_coords"}


def test_a_table_with_both_holds_structures_unless_formulas_are_asked_for(path):
    write(entries(2), path)
    assert read_rows(path).kind == "structures"
    for rows in (
        read_rows(path, kind="formulas"),
        read_rows(path, column="chemical_formula_reduced"),
        read_formulas(path),
    ):
        assert rows.kind == "formulas"
        row = next(iter(rows))
        assert isinstance(row, FormulaRow)
        assert (row.id, row.formula) == ("mp-0", "ClCs")
    with pytest.raises(ValueError, match="this source holds structures"):
        read_rows(path, id_column="immutable_id")


@pytest.mark.parametrize(
    "records",
    [
        [{"formula": "NaCl", "structure": "rocksalt"}],
        [{"formula": "NaCl", "lattice": "cubic", "species": "NaCl"}],
        [{"formula": "NaCl", "cif": "NaCl.cif"}],
        [{"formula": "NaCl", "structure": None}],
    ],
)
def test_a_table_with_words_in_such_columns_holds_formulas(path, records):
    write(records, path)
    assert read_rows(path).kind == read_rows(pd.DataFrame(records)).kind == "formulas"
    with pytest.raises(ValueError, match=r"'x\..*' has no column of structures: wanted CIF"):
        read_structures(path)


def test_empty_cells_before_the_first_crystal_do_not_hide_it(path, crystals):
    text = crystals["rutile"].to_json()
    records = [{"formula": "NaCl", "structure": None}, {"formula": "TiO2", "structure": text}]
    first, second = read_rows(write(records, path))
    assert (first.row, first.id, first.reason) == (1, "1", "there is no structure in this row")
    assert second.to_structure() == crystals["rutile"]


def changed(**values):
    return CELL | {"immutable_id": "odd"} | values


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cartesian_site_positions": [[0.0, 0.0, 0.0], [None, None, None]]}, "site 1 has no position"),
        ({"cartesian_site_positions": None}, "there are no cartesian_site_positions"),
        (
            {"lattice_vectors": [[float("inf"), 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]]},
            "lattice vector 0 holds no finite numbers|lattice_vectors must be a list",
        ),
        ({"species_at_sites": ["Cs", "Qq"]}, "site 1 holds 'Qq', which is not among the species"),
        ({"species_at_sites": ["Cs"]}, "2 cartesian_site_positions and 1 species_at_sites"),
        ({"lattice_vectors": None}, "there are no lattice_vectors"),
    ],
)
def test_a_damaged_row_is_a_row_of_rejects_with_its_id(path, values, reason):
    rows = list(read_structures(write([*entries(1), changed(**values), *entries(1)], path)))
    assert [type(row) for row in rows] == [StructureRow, UnreadableRow, StructureRow]
    assert (rows[1].row, rows[1].id) == (2, "odd")
    assert any(one in rows[1].reason for one in reason.split("|"))
    assert path.name in rows[1].input


def test_a_disordered_crystal_is_refused_when_it_is_made(path):
    mixed = [{"name": "Cs", "chemical_symbols": ["Cs", "K"], "concentration": [0.5, 0.5]}]
    mixed.append({"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]})
    (row,) = read_structures(write([CELL | {"species": json.dumps(mixed)}], path))
    assert row.to_structure().composition.as_dict() == {"Cs": 0.5, "K": 0.5, "Cl": 1}
    with pytest.raises(ValueError, match="site 0 is disordered"):
        row.to_crystal()


def test_a_cif_of_several_crystals_is_refused_not_cut(path, crystals):
    cif = str(CifWriter(crystals["rutile"]))
    one, two = read_structures(write([{"id": "a", "cif": cif}, {"id": "b", "cif": cif + cif}], path))
    assert one.to_structure().reduced_formula == "TiO2"
    with pytest.raises(ValueError, match="the CIF holds 2 structures; give one each"):
        two.to_structure()


def test_text_that_is_no_structure_is_refused_when_the_crystal_is_made(path, crystals):
    records = [{"structure": crystals["rutile"].to_json()}, {"structure": "rocksalt"}, {"structure": '{"lattice": 1'}]
    _, word, broken = read_structures(write(records, path))
    for row, reason in ((word, "neither pymatgen's JSON nor CIF"), (broken, "neither pymatgen's|Expecting")):
        with pytest.raises(ValueError, match=reason):
            row.to_crystal()


def test_a_dataframe_is_read_as_the_file_is(path, crystals):
    frame = pd.DataFrame(entries(3))
    write(entries(3), path)
    pairs = list(zip(read_rows(frame), read_rows(path), strict=True))
    for one, other in pairs:
        assert (one.row, one.id, one.payload) == (other.row, other.id, other.payload)
    if path.suffix == ".parquet":  # pandas makes arrays of arrays
        assert [row.payload for row in read_rows(pd.read_parquet(path))] == [one.payload for one, _ in pairs]


def test_json_lines_with_the_attributes_of_optimade(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in [*entries(1), changed(nsites=3)]))
    first, second = read_rows(path)
    assert first.to_structure().reduced_formula == "CsCl"
    assert second.id == "odd"
    assert second.reason.endswith(", where nsites is 3")


def test_a_large_table_is_read_a_batch_at_a_time(tmp_path, monkeypatch):
    n_rows = 50_000
    columns = {key: pa.array([value]).take(pa.array(np.zeros(n_rows, dtype=int))) for key, value in CELL.items()}
    columns["id"] = pa.array([f"mp-{i}" for i in range(n_rows)])
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=5_000)
    n_batches, asked = 0, []
    original = pq.ParquetFile.iter_batches

    def counted(self, *arguments, **options):
        nonlocal n_batches
        asked.append(options["columns"])
        for batch in original(self, *arguments, **options):
            n_batches += 1
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    rows = read_rows(path)
    assert rows.n_rows == n_rows
    assert n_batches == 0
    read = iter(rows)
    assert next(read).id == "mp-0"
    assert n_batches == 1
    read.close()
    *_, last = read_rows(path, limit=1025)
    assert last.id == "mp-1024"
    assert n_batches == 1 + 2


def test_lists_beside_the_crystal_are_not_read(tmp_path, monkeypatch):
    path = write(entries(2), tmp_path / "x.parquet")
    asked = []
    original = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda self, **options: asked.append(options) or original(self, **options)
    )
    list(read_structures(path))
    list(read_formulas(path))
    assert all("forces" not in options["columns"] for options in asked)
    assert "lattice_vectors" in asked[0]["columns"]
    assert "lattice_vectors" not in asked[1]["columns"]


def test_the_parts_of_a_data_set_are_one_source(tmp_path):
    parts = tmp_path / "lemat" / "compatible_pbe"
    parts.mkdir(parents=True)
    for part in (2, 0, 1):
        records = [{key: value for key, value in entry.items() if key != "immutable_id"} for entry in entries(part + 1)]
        write(records, parts / f"train-{part:05d}-of-00003.parquet")
    (tmp_path / "lemat" / "README.md").write_text("a data set")
    rows = read_rows(tmp_path / "lemat")
    assert (rows.kind, rows.name, rows.n_rows) == ("structures", "lemat", 6)
    found = list(rows)
    assert [(row.row, row.id) for row in found] == [(i, str(i)) for i in range(1, 7)]
    assert found[2].input == "compatible_pbe/train-00001-of-00003.parquet, row 2 (ClCs)"
    assert [row.properties["energy"] for row in found] == [0, 0, -0.5, 0, -0.5, -1]
    (parts / "train-00003-of-00003.parquet").touch()
    assert [row.id for row in read_rows(tmp_path / "lemat")][:6] == [row.id for row in found]
    (parts / "train-00003-of-00003.parquet").unlink()
    with pytest.raises(ValueError, match="has no column 'formula'"):
        read_rows(tmp_path / "lemat", column="formula")
    formulas = read_rows(tmp_path / "lemat", kind="formulas")
    assert [(row.row, row.id, row.formula) for row in formulas] == [(i, str(i), "ClCs") for i in range(1, 7)]
    assert formulas.n_rows == 6


def test_a_cell_may_hold_the_cif_of_a_large_crystal(tmp_path, crystals):
    cif = crystals["rutile"].to(fmt="cif")
    large = cif + "# a comment\n" * 20_000
    pd.DataFrame({"id": ["a", "b", "c"], "cif": [cif, large, cif]}).to_csv(tmp_path / "x.csv", index=False)
    allowed = csv.field_size_limit()
    rows = list(read_structures(tmp_path / "x.csv"))
    assert [(row.id, row.to_structure().reduced_formula) for row in rows] == [(one, "TiO2") for one in "abc"]
    assert csv.field_size_limit() == allowed < len(large)


def test_a_folder_of_formulas_may_name_parquet_in_capitals(tmp_path):
    pd.DataFrame({"formula": ["NaCl"]}).to_parquet(tmp_path / "A.PARQUET")
    assert [row.formula for row in read_rows(tmp_path)] == ["NaCl"]


def test_a_damaged_part_is_a_row_of_rejects(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(3):
        write(entries(2), folder / f"{part}.parquet")
    (folder / "1.parquet").write_bytes((folder / "1.parquet").read_bytes()[:-100])
    rows = list(read_structures(folder))
    assert [row.row for row in rows] == [1, 2, 3, 4, 5]
    assert (rows[2].input, rows[2].reason[:39]) == ("1.parquet", "1.parquet cannot be read as Parquet: Pa")
    assert read_structures(folder).n_rows == 5
    with pytest.raises(ValueError, match=r"1\.parquet cannot be read as Parquet"):
        read_structures(folder / "1.parquet")


def test_tables_without_crystals_are_passed_over_beside_crystals_and_formulas_alone(tmp_path, crystals):
    write([{"formula": "NaCl", "gap": 5.0}], tmp_path / "labels.parquet")
    (tmp_path / "labels.csv").write_text("formula\nNaCl\n")
    assert [row.formula for row in read_rows(tmp_path)] == ["NaCl"]
    crystals["rutile"].to(tmp_path / "rutile.cif")
    rows = read_rows(tmp_path)
    assert (rows.kind, [row.id for row in rows]) == ("structures", ["rutile"])
    write(entries(1), tmp_path / "z.parquet")
    (tmp_path / "empty.csv").write_text("")
    assert [row.id for row in read_rows(tmp_path)] == ["rutile", "mp-0"]


def test_oxidation_states_of_pymatgen_stay(tmp_path, crystals):
    charged = crystals["rutile"].copy().add_oxidation_state_by_element({"Ti": 4, "O": -2})
    path = write([{"structure": charged.to_json()}], tmp_path / "x.parquet")
    (row,) = read_rows(path)
    assert row.to_crystal().valences.tolist() == [4, 4, -2, -2, -2, -2]
    assert isinstance(row.to_structure(), Structure)
