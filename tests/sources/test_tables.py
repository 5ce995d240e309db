import gzip
import json

import pandas as pd
import pytest

from matembed.sources import FormulaRow, UnreadableRow, read_formulas, read_properties


def found(source, **options):
    return [(row.row, row.id, row.formula) for row in read_formulas(source, **options) if isinstance(row, FormulaRow)]


def unreadable(source, **options):
    rows = read_formulas(source, **options)
    return [(row.row, row.input, row.reason) for row in rows if isinstance(row, UnreadableRow)]


FRAME = pd.DataFrame({"material_id": ["a", "b", "c"], "formula": ["NaN", "TiO2", "SrTiO3"], "gap": [1.5, None, 3.2]})


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif ".jsonl" in path.name:
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return path


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.parquet", "x.jsonl", "x.jsonl.gz", "x.CSV"])
def test_every_file_gives_the_same_text_and_sodium_nitride_stays(tmp_path, name):
    rows = list(read_formulas(write(FRAME, tmp_path / name)))
    assert [(row.id, row.formula) for row in rows] == [("a", "NaN"), ("b", "TiO2"), ("c", "SrTiO3")]
    assert [float(row.properties["gap"]) if "gap" in row.properties else None for row in rows] == [1.5, None, 3.2]


def test_python_objects_give_the_same_rows():
    assert found(["NaN", "TiO2"]) == [(1, "1", "NaN"), (2, "2", "TiO2")]
    assert found(pd.Series(["NaN", "TiO2"])) == found(["NaN", "TiO2"]) == found(iter(["NaN", "TiO2"]))
    assert found(FRAME) == [(1, "a", "NaN"), (2, "b", "TiO2"), (3, "c", "SrTiO3")]
    assert found(FRAME.set_index("material_id")) == found(FRAME)
    assert found(FRAME.set_index("material_id")["formula"]) == found(FRAME)


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('formula,note\nNaCl,salt\n\nMgO,\nTiO2,"two\nlines"\nZnO,x\n')
    assert found(path) == [(2, "2", "NaCl"), (4, "4", "MgO"), (5, "5", "TiO2"), (7, "7", "ZnO")]


@pytest.mark.parametrize("header", ["Formula", "pretty_formula", "Chemical Formula", "composition", "reduced-formula"])
def test_known_columns_are_found(tmp_path, header):
    path = tmp_path / "x.csv"
    path.write_text(f"id,{header}\na,NaCl\n")
    assert found(path) == [(2, "a", "NaCl")]


def test_other_columns_are_chosen(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("name;stuff\nsalt;NaCl\n")
    with pytest.raises(ValueError, match=r"which column of x.csv holds the formulas\? pass column= .* 'name', 'stuff'"):
        read_formulas(path)
    assert found(path, column="stuff", id_column="name") == [(2, "salt", "NaCl")]
    with pytest.raises(ValueError, match="no column 'formla'; pass column= one of: 'name', 'stuff'"):
        read_formulas(path, column="formla")
    with pytest.raises(ValueError, match="no column 'key'; pass id_column="):
        read_formulas(path, column="stuff", id_column="key")
    with pytest.raises(ValueError, match="a list has none"):
        read_formulas(["NaCl"], column="formula")


def test_missing_cells_are_none_and_missing_ids_are_the_row(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,formula\n,NaCl\nb,\n")
    assert found(path) == [(2, "2", "NaCl"), (3, "b", None)]
    assert found([None, float("nan"), pd.NA, " "]) == [(i, str(i), None) for i in (1, 2, 3, 4)]


def test_ragged_and_unclosed_lines_are_rows_of_rejects_and_cost_no_other(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('formula,gap\nNaCl,1\nMgO,1,2\n"TiO2,3\nZnO\nSrTiO3,3\nAl2O3,"5\nCaO,7\n')
    assert [formula for _, _, formula in found(path)] == ["NaCl", "SrTiO3", "CaO"]
    lines = unreadable(path)
    assert [line for line, _, _ in lines] == [3, 4, 5, 7]
    assert [text for _, text, _ in lines] == ["MgO,1,2", '"TiO2,3', "ZnO", 'Al2O3,"5']
    assert "3 cells where the header has 2" in lines[0][2]


def test_bytes_that_are_no_text_are_rows_of_rejects(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("formula\nCuSO4·5H2O\n".encode() + "CuSO4·5H2O\n".encode("latin-1") + b"NaCl\n")
    assert [formula for _, _, formula in found(path)] == ["CuSO4·5H2O", "NaCl"]
    assert unreadable(path) == [(3, "CuSO4?5H2O", "is not UTF-8 text; save the file as UTF-8")]


def test_byte_order_mark_is_no_part_of_the_header(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfformula\r\nNaCl\r\n")
    assert found(path) == [(2, "2", "NaCl")]


def test_broken_json_lines_are_rows_of_rejects(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"formula": "NaCl"}\n{"formula": \n\n[1]\n"TiO2"\n{"id": "z"}\n')
    assert found(path) == [(1, "1", "NaCl"), (5, "5", "TiO2"), (6, "z", None)]
    assert [(line, reason[:11]) for line, _, reason in unreadable(path)] == [(2, "is not JSON"), (4, "is neither ")]


def test_a_file_that_breaks_off_keeps_what_came_before(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    lines = "".join(json.dumps({"formula": f"NaCl{i}", "note": hash(i * 7919)}) + "\n" for i in range(1, 20_000))
    path.write_bytes(gzip.compress(lines.encode())[:-20_000])
    rows = list(read_formulas(path))
    assert len(rows) > 1000
    assert isinstance(rows[-1], UnreadableRow)
    assert "breaks off" in rows[-1].reason
    assert all(isinstance(row, FormulaRow) for row in rows[:-1])


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("x.csv", None, FileNotFoundError, "there is no file"),
        ("x.csv", b"", ValueError, "x.csv is empty"),
        ("x.csv", b"formula\n", ValueError, "x holds no formulas"),
        ("x.jsonl", b"\n\n", ValueError, "x holds no formulas"),
        ("x.csv", "formule·\nNaCl\n".encode("latin-1"), ValueError, "header of x.csv cannot be read: it is not UTF-8"),
        ("x.parquet", b"PAR1 no", ValueError, "x.parquet cannot be read as Parquet"),
        ("x.xlsx", b"PK", ValueError, "a table is read from .csv"),
        ("x.parquet.gz", b"PK", ValueError, "a table is read from .csv"),
    ],
)
def test_files_with_nothing_to_read_are_refused(tmp_path, name, content, error, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message):
        list(read_formulas(path))


def test_limit_reads_no_further():
    def endless():
        while True:
            yield "NaCl"

    assert len(found(endless(), limit=3)) == 3


def test_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("formula,gap,gap\nNaCl,1,2\n")
    with pytest.raises(ValueError, match=r"x.csv has more than one column 'gap'; rename or remove"):
        read_formulas(path)
    with pytest.raises(ValueError, match="more than one column 'formula'"):
        read_formulas(pd.DataFrame([["NaCl", "KCl"]], columns=["formula", "formula"]))
    path.write_text("formula,gap,,\nNaCl,1,,\n")
    assert found(path) == [(2, "2", "NaCl")]


def test_a_json_array_is_read_as_json_lines_are(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"id": "a", "formula": "NaN"}, "TiO2", 7]))
    assert found(path) == [(1, "a", "NaN"), (2, "2", "TiO2")]
    assert unreadable(path) == [(3, "7", "is neither a JSON object nor a string")]
    path.write_text('["NaCl", ')
    assert unreadable(path)[0][2].startswith("is not JSON")
    path.write_text('{"formula": "NaCl"}')
    with pytest.raises(ValueError, match=r"x.json holds no JSON array"):
        read_formulas(path)


def test_nested_properties_stand_beside_the_others(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"formula": "NaCl", "fold": 1, "properties": {"gap": 8.5, "phase": "B1"}}) + "\n")
    assert [row.properties for row in read_formulas(path)] == [{"fold": 1, "gap": 8.5, "phase": "B1"}]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet", "x.jsonl", "x.jsonl.gz"])
def test_properties_are_read_by_id_without_formulas(tmp_path, name):
    path = write(FRAME.drop(columns="formula"), tmp_path / name)
    properties = read_properties(path)
    assert list(properties) == ["a", "b", "c"]
    assert {key: float(values["gap"]) for key, values in properties.items() if values} == {"a": 1.5, "c": 3.2}


def test_formulas_are_properties_like_others(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("name;formula;gap\nsalt;NaCl;5\n")
    assert read_properties(path, id_column="name") == {"salt": {"formula": "NaCl", "gap": "5"}}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("label,gap\na,1\n", {}, r"which column of x.csv holds the ids\? .*--id-column\) one of: 'label', 'gap'"),
        (
            "id,gap\na,1\n",
            {"id_column": "key"},
            r"no column 'key'; pass id_column= .*--id-column\) one of: 'id', 'gap'",
        ),
        ("id,gap\na,1\nb,2\na,3\n", {}, "id 'a' is that of row 2 and of row 4"),
        ("id,gap\na,1\n,2\n", {}, "x.csv, row 3: there is no id"),
        ("id,gap\na,1,2\n", {}, "x.csv, row 2: 3 cells where the header has 2"),
    ],
)
def test_properties_that_cannot_be_told_apart_are_refused(tmp_path, text, options, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_properties(path, **options)


@pytest.mark.parametrize(
    "start", [b"\x1f\x8bxx", b"no gzip at all", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff"]
)
def test_a_damaged_archive_is_refused(tmp_path, start):
    path = tmp_path / "formulas.csv.gz"
    path.write_bytes(start)
    with pytest.raises(ValueError, match="is damaged before its first line ends"):
        read_formulas(path)
