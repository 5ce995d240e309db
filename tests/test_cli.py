"""The command line, as a new user would try it: own crystals and own formulas, with errors in them."""

import hashlib
import io
import json

import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure

from matembed import Card, EmbeddingTable, write_table
from matembed.cli import main, parser
from matembed.downstream.baselines import random_table
from matembed.downstream.benchmark import evaluate
from matembed.elements import SYMBOLS
from matembed.encoders import PRESETS, preset
from matembed.graphs import AtomMotifGraphs

SALTS = ["NaCl", "KCl", "LiCl", "NaBr", "KBr", "LiBr", "NaF", "KF", "LiF", "MgO", "CaO", "SrO", "BaO", "MgS", "CaS"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a CSV and CIFs, some of them bad, and what build and train make of them."""
    folder = tmp_path_factory.mktemp("work")
    rows = [f"s{idx},{formula},{idx / 2}" for idx, formula in enumerate(SALTS)]
    bad = ["w,CuSO4.5H2O,1.5", "n,NaN,2.5", "x,Xx2,1.0", "v,SiO(2-x),1.0", "e,,3.0", "t,SrTiO3,high"]
    (folder / "formulas.csv").write_text("\n".join(["id,formula,gap", *rows, *bad]) + "\n", encoding="utf-8")
    crystals = folder / "crystals"
    crystals.mkdir()
    for idx, formula in enumerate(["NaCl", "KCl", "MgO", "CaO", "LiF", "SrO"]):
        structure = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(4.2 + idx / 5), Composition(formula).elements, [[0, 0, 0], [0.5, 0, 0]]
        )
        structure.to(str(crystals / f"{formula}.cif"))
    (crystals / "broken.cif").write_text("data_broken\n_cell_length_a 4\n")
    disordered = Structure(Lattice.cubic(3), [{"Cu": 0.5, "Zn": 0.5}], [[0, 0, 0]])
    disordered.to(str(crystals / "brass.cif"))
    assert main(["build", str(folder / "formulas.csv"), "--out", str(folder / "formulas"), "--quiet"]) == 0
    assert main(["build", str(crystals), "--out", str(folder / "motifs"), "--quiet"]) == 0
    for corpus, encoder, view, table in [
        ("formulas", "svd", "environments", "elements"),
        ("motifs", "word2vec", "walks", "motif-vectors"),
    ]:
        words = ["train", str(folder / corpus), "--encoder", encoder, "--view", view, "--dim", "8"]
        assert main([*words, "--out", str(folder / table)]) == 0
    return folder


def test_rejected_and_rewritten_rows_are_explained(work):
    rejected = pd.read_parquet(work / "formulas" / "rejected.parquet").set_index("id")
    assert set(rejected.index) == {"x", "v", "e"}
    assert "'Xx' is not a chemical element" in rejected.loc["x", "reason"]
    assert rejected.loc["x", "row"] == 19  # the line of the file, as an editor counts it
    rewritten = pd.read_parquet(work / "formulas" / "rewritten.parquet").set_index("id")
    assert set(rewritten.index) == {"w"}
    materials = pd.read_parquet(work / "formulas" / "materials.parquet").set_index("id")
    assert materials.loc["n", "formula"] == "NaN"  # sodium nitride


def test_bad_crystals_are_explained(work):
    rejected = pd.read_parquet(work / "motifs" / "rejected.parquet").set_index("id")
    assert set(rejected.index) == {"broken", "brass"}
    assert "disorder" in rejected.loc["brass", "reason"] or "partial" in rejected.loc["brass", "reason"]
    assert len(pd.read_parquet(work / "motifs" / "materials.parquet")) == 6


def test_build_says_what_it_did(work, capsys, tmp_path):
    assert main(["build", str(work / "formulas.csv"), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "row 19 (x): 'Xx2': 'Xx' is not a chemical element" in out
    assert "21 read, 18 kept, 3 rejected, 1 rewritten" in out


def test_a_card_goes_with_the_corpus_to_the_table(work, tmp_path, capsys):
    card = tmp_path / "card.yaml"
    card.write_text("name: salts\nlicence: CC0-1.0\ncitation: ['A. Uthor, 2026']\n")
    corpus, table = tmp_path / "corpus", tmp_path / "table"
    words = [
        "build",
        str(work / "formulas.csv"),
        "--views",
        "elements",
        "--card",
        str(card),
        "--out",
        str(corpus),
        "--quiet",
    ]
    assert main(words) == 0
    assert main(["train", str(corpus), "--encoder", "svd", "--dim", "4", "--out", str(table)]) == 0
    capsys.readouterr()
    assert main(["info", str(table)]) == 0
    out = capsys.readouterr().out
    assert "CC0-1.0" in out
    assert "A. Uthor, 2026" in out


def test_nearest_prints_neighbours(work, capsys):
    assert main(["nearest", str(work / "elements"), "Na", "-n", "3", "--kind", "element"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Na"
    assert len(lines) == 4
    assert {"K", "Li"} & {line.split()[0] for line in lines[1:]}


def test_nearest_marks_what_was_backed_off(tmp_path, capsys):
    table = EmbeddingTable(("Li", "Na", "Fr"), [[1, 0], [2, 1], [1, 1]], Card("demo"), frozenset(["Fr"]))
    table.write(tmp_path / "table")
    assert main(["nearest", str(tmp_path / "table"), "Li"]) == 0
    known, made = capsys.readouterr().out.splitlines()[1:]
    assert known.split() == ["Na", "0.894"]
    assert made.split(maxsplit=2) == ["Fr", "0.707", "(backed off)"]


def test_featurize_formulas_and_crystals(work, tmp_path):
    out = tmp_path / "features.csv"
    words = ["featurize", str(work / "formulas"), "--table", str(work / "elements"), "--pooling", "mean,max"]
    assert main([*words, "--out", str(out)]) == 0
    features = pd.read_csv(out, keep_default_na=False)
    dim = EmbeddingTable.read(work / "elements").dim
    assert list(features.columns[:2]) == ["id", "formula"]
    assert features.shape == (18, 2 + 2 * dim)
    assert main([*words, "--out", str(out)]) == 2  # not overwritten
    crystals = tmp_path / "features.parquet"
    words = ["featurize", str(work / "motifs"), "--table", str(work / "motif-vectors"), "--out", str(crystals)]
    assert main(words) == 0
    assert len(pd.read_parquet(crystals)) == 6


def test_featurize_by_motifs_says_what_it_wants(work, tmp_path, capsys):
    (tmp_path / "some formulas.csv").write_text("formula\nNaCl\n")
    words = ["featurize", "--table", str(work / "motif-vectors"), "--out", str(tmp_path / "features.csv")]
    assert main([*words, str(tmp_path / "some formulas.csv")]) == 2
    said = capsys.readouterr().err
    assert "motifs need one of crystals, made by: matembed build CRYSTALS --out CORPUS" in said
    (tmp_path / "my crystals").mkdir()
    assert main([*words, str(tmp_path / "my crystals")]) == 2
    said = capsys.readouterr().err
    assert f"matembed build '{tmp_path / 'my crystals'}' --out CORPUS" in said


def test_featurize_keeps_its_rejects_and_tells_its_rewrites(work, tmp_path, capsys):
    out = tmp_path / "features.csv"
    words = ["featurize", str(work / "formulas.csv"), "--table", str(work / "elements"), "--on-missing", "mean"]
    assert main([*words, "--out", str(out)]) == 0
    rejected = tmp_path / "features.rejected.csv"
    assert set(pd.read_csv(rejected)["id"]) == {"x", "v", "e"}
    assert "row 17 (w): 'CuSO4.5H2O'" in capsys.readouterr().out
    out.unlink()
    words[1] = str(work / "formulas")
    assert main([*words, "--out", str(out)]) == 2  # the rejects of another run are not overwritten
    assert "features.rejected.csv already exists" in capsys.readouterr().err
    assert main([*words, "--out", str(out), "--overwrite"]) == 0
    assert not rejected.exists()  # nothing of this run was


def test_evaluate_formulas_with_errors_among_them(work, tmp_path, capsys):
    out = tmp_path / "scores"
    words = ["evaluate", str(work / "formulas.csv"), "--table", str(work / "elements"), "--target", "gap"]
    assert main([*words, "--on-missing", "mean", "--n-splits", "3", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for name in ("one_hot_elements", "random_elements_", "dummy", "elements"):
        assert name in printed
    rejected = pd.read_csv(out / "rejected.csv").set_index("id")
    assert rejected.loc["t", "reason"] == "gap is not a number: 'high'"
    assert set(rejected.index) == {"x", "v", "e", "t"}
    assert len(pd.read_csv(out / "predictions.csv")) == 17
    assert (out / "parity-elements.png").stat().st_size > 10_000


def test_evaluate_with_a_model_caps_and_a_learning_curve(work, tmp_path, capsys):
    out = tmp_path / "scores"
    words = ["evaluate", str(work / "formulas.csv"), "--table", str(work / "elements"), "--target", "gap"]
    words += ["--on-missing", "mean", "--n-splits", "2", "--model", "kernel_ridge", "--max-train", "6"]
    words += ["--learning-curve", "--sizes", "4", "8", "--repeats", "2", "--n-test", "5", "--out", str(out)]
    assert main(words) == 0
    assert "norm" in capsys.readouterr().out
    assert set(pd.read_csv(out / "scores.csv")["n_train"]) == {6}
    curve = pd.read_csv(out / "learning_curve.csv")
    assert set(zip(curve["size"], curve["repeat"], strict=True)) == {(4, 0), (4, 1), (8, 0), (8, 1)}
    assert (out / "learning_curve.png").stat().st_size > 10_000
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["max_train"] == 6
    assert config["learning_curve"]["model"] == "kernel_ridge"


def test_a_learning_curve_that_cannot_be_drawn_is_refused_before_the_work(work, monkeypatch, capsys):
    monkeypatch.setattr("matembed.downstream.benchmark.evaluate", lambda *_, **__: pytest.fail("evaluated first"))
    words = ["evaluate", str(work / "formulas.csv"), "--table", "elements", "--target", "gap", "--learning-curve"]
    assert main(words) == 2
    assert "lower sizes" in capsys.readouterr().err


def test_folds_that_cannot_be_made_are_refused_before_a_learning_curve(work, monkeypatch, capsys):
    monkeypatch.setattr("matembed.downstream.learning_curves.learning_curve", lambda *_, **__: pytest.fail("drawn"))
    words = ["evaluate", str(work / "formulas.csv"), "--table", "elements", "--target", "gap", "--on-missing", "mean"]
    assert main([*words, "--n-splits", "1000", "--learning-curve", "--sizes", "4", "--n-test", "4"]) == 2
    assert "n_splits must be" in capsys.readouterr().err


def test_evaluate_in_folds_of_a_column_is_evaluate_with_these_folds(work, tmp_path, capsys):
    source, out = tmp_path / "salts.csv", tmp_path / "scores"
    folds = [10 + idx % 3 for idx in range(len(SALTS))]
    rows = [f"s{idx},{formula},{idx / 2},{fold}" for idx, (formula, fold) in enumerate(zip(SALTS, folds, strict=True))]
    source.write_text("\n".join(["id,formula,gap,part", *rows, "last,RbCl,4.5,"]) + "\n")
    words = ["evaluate", str(source), "--table", str(work / "elements"), "--target", "gap", "--folds", "part"]
    assert main([*words, "--on-missing", "mean", "--out", str(out)]) == 0
    assert "row 17 (last): 'RbCl': part is missing" in capsys.readouterr().out
    gaps = [idx / 2 for idx in range(len(SALTS))]
    table = {"elements": EmbeddingTable.read(work / "elements")}
    expected = evaluate(table, SALTS, gaps, folds=folds, on_missing="mean")
    pd.testing.assert_frame_equal(pd.read_csv(out / "scores.csv"), expected.scores)
    assert pd.read_csv(out / "predictions.csv")["fold"].tolist() == folds
    config = json.loads((out / "config.json").read_text())
    assert config["folds"] == "part"
    assert (config["settings"]["splits"], config["settings"]["n_splits"]) == ("folds", 3)


def test_folds_that_are_no_integers_are_refused(tmp_path, capsys):
    source = tmp_path / "salts.csv"
    source.write_text("id,formula,gap,part\ns0,NaCl,8.5,0\ns1,KCl,8.7,0.5\n")
    assert main(["evaluate", str(source), "--table", "elements", "--target", "gap", "--folds", "part"]) != 0
    assert (
        "column 'part' must hold integers, the fold that tests each row; got '0.5' for 's1'" in capsys.readouterr().err
    )


def test_folds_of_a_corpus_are_those_of_its_labels(work, tmp_path, capsys):
    labels, out = tmp_path / "labels.csv", tmp_path / "scores"
    labels.write_text("id,hardness,fold\nSrO,2.0,0\nLiF,1.5,1\nCaO,1.0,1\nMgO,3.5,0\nNaCl,4.5,\nKCl,,1\n")
    words = ["evaluate", str(work / "motifs"), "--table", str(work / "motif-vectors"), "--target", "hardness"]
    words += ["--labels", str(labels), "--folds", "fold", "--on-missing", "mean", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "shuffled_motif-vectors" in printed
    assert "size_only" in printed
    predictions = pd.read_csv(out / "predictions.csv").set_index("id")
    assert predictions["fold"].to_dict() == {"CaO": 1, "LiF": 1, "MgO": 0, "SrO": 0}
    rejected = pd.read_csv(out / "rejected.csv").set_index("id")["reason"]
    assert rejected.to_dict() == {"NaCl": "fold is missing", "KCl": "hardness is missing"}


@pytest.fixture(scope="module")
def salts(tmp_path_factory):
    """A small task in the form of Matbench's own files."""
    path = tmp_path_factory.mktemp("tasks") / "matbench_salts.json"
    rows = [[formula, idx / 2] for idx, formula in enumerate(SALTS)]
    frame = {"index": list(range(len(rows))), "columns": ["composition", "gap expt"], "data": rows}
    path.write_text(json.dumps(frame))
    return path


def test_benchmark_runs_resumes_and_reports(salts, tmp_path, capsys):
    out, page = tmp_path / "results", tmp_path / "report.html"
    words = ["benchmark", str(salts), "--tasks", "matbench_salts", "--models", "ridge", "--baselines", "dummy"]
    words += ["--sizes", "6", "all", "--out", str(out), "--quiet"]
    assert main([*words, "--folds", "0", "3"]) == 0
    first = {path: path.read_bytes() for path in out.rglob("*.json")}
    assert "2 of 5 folds" in capsys.readouterr().out
    assert main([*words, "--against", "dummy", "--html", str(page), "--markdown", str(tmp_path / "report.md")]) == 0
    printed = capsys.readouterr().out
    assert "training rows: 6;" in printed
    assert "training rows: all;" in printed
    assert "of 5 folds" not in printed
    assert all(path.read_bytes() == text for path, text in first.items())
    assert "<table>" in page.read_text()
    again = tmp_path / "again.html"
    assert main(["benchmark", "--report", str(out), "--against", "dummy", "--html", str(again)]) == 0
    assert again.read_bytes() == page.read_bytes()


def test_benchmark_compares_results_with_a_model_that_lacks_a_size(salts, tmp_path, capsys):
    words = ["benchmark", str(salts), "--baselines", "dummy", "--quiet", "--out"]
    assert main([*words, str(tmp_path / "a"), "--sizes", "6", "all"]) == 0
    assert main([*words, str(tmp_path / "b"), "--baselines", "--models", "ridge"]) == 0
    capsys.readouterr()
    folders = ["benchmark", "--report", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*folders, "--against", "ridge"]) == 0
    assert "training rows: 6;" in capsys.readouterr().out
    assert main([*folders, "--against", "nobody"]) == 2
    assert capsys.readouterr().err.strip().endswith("--against must be one of dummy, ridge; got 'nobody'")


def test_benchmark_is_told_that_numbers_are_no_classes(tmp_path):
    path, out = tmp_path / "soft.csv", tmp_path / "out"
    rows = [f"{formula},{idx % 2},{idx % 5}" for idx, formula in enumerate(SALTS)]
    path.write_text("\n".join(["formula,target,fold", *rows]) + "\n")
    words = ["benchmark", "--task", "regression", "--baselines", "dummy", "--quiet", "--out", str(out), "--", str(path)]
    assert main(words) == 0
    (result,) = (out / "soft" / "dummy").glob("all-fold0-*.json")
    assert json.loads(result.read_text())["target"] == "regression"


def test_benchmark_computes_where_it_is_told_to(salts, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pytest.importorskip("torch").cuda, "is_available", lambda: False)
    words = ["benchmark", str(salts), "--baselines", "dummy", "--folds", "0", "--quiet", "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cuda"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "needs an accelerator that PyTorch can see, and there is none" in error
    assert not (tmp_path / "out").exists()
    assert main([*words, "--device", "auto"]) == 0


def test_benchmark_reads_a_table_of_vectors(work, salts, tmp_path, capsys):
    words = ["benchmark", str(salts), "--models", "ridge", "--baselines", "dummy", "--quiet"]
    assert main([*words, "--table", str(work / "elements"), "--out", str(tmp_path / "vectors")]) == 0
    (result,) = (tmp_path / "vectors" / "salts" / "ridge").glob("all-fold0-*.json")
    assert "EmbeddingTable(" in json.loads(result.read_text())["estimator"]


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    """A task of structures, one of which has a site of two elements."""
    cells = [Structure(Lattice.cubic(4 + idx / 9), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]) for idx in range(9)]
    cells.append(Structure(Lattice.cubic(4.2), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3]))
    path = tmp_path_factory.mktemp("tasks") / "matbench_cells.json"
    rows = [[cell.as_dict(), cell.lattice.a] for cell in cells]
    path.write_text(json.dumps({"index": list(range(10)), "columns": ["structure", "target"], "data": rows}))
    return path


def test_benchmark_names_crystals_that_a_model_cannot_read(crystals, tmp_path, capsys):
    words = ["benchmark", str(crystals), "--out", str(tmp_path), "--quiet"]
    assert main([*words, "--models", "composition_forest", "--baselines", "dummy"]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    capsys.readouterr()
    assert main([*words, "--models", "atom_motif"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert (
        "cells: random_forest, atom_motif cannot read 1 of 10 structures: mb-cells-10 (row 10): site 0 is dis" in error
    )
    assert "; leave it out of the file, or choose models and baselines that read compositions: dummy, one_hot" in error
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--out", "{new}"], "wanted files of tasks to run, or --report"),
        (["{salts}", "--report", "{new}"], "{new} holds no results"),
        (["--report", "{new}", "--tasks", "a", "--models", "b", "--out", "{new}"], "leave out --tasks --out --models"),
        (["{salts}"], "--out names the folder of results"),
        (["{salts}", "{salts}", "--out", "{new}"], "another file hold salts; name one of them"),
        (["{salts}", "--tasks", "steels", "--out", "{new}"], "no file holds steels; there are salts"),
        (["{salts}", "--models", "forest", "--out", "{new}"], "model must be one of dummy, one_hot_ridge"),
        (["{salts}", "--target", "bulk", "--out", "{new}"], "has no 'bulk' to predict"),
        (["{salts}", "--html", "page.htm", "--out", "{new}"], "--html writes a page named *.html"),
        (["missing.json", "--out", "{new}"], "missing.json is no file"),
        (["--out", "{new}", "--models", "ridge", "{salts}"], "was read as one of --models; write files before the"),
        (["--out", "{new}", "--baselines", "dummy", "a.csv"], "'a.csv' was read as one of --baselines"),
        (["{salts}", "--against", "nobody", "--out", "{new}"], "random_forest; got 'nobody'"),
    ],
)
def test_bad_words_of_benchmark_are_one_clear_line(salts, tmp_path, capsys, words, wanted):
    places = {"salts": salts, "new": tmp_path / "new"}
    assert main(["benchmark", *(word.format(**places) for word in words)]) == 2
    error = capsys.readouterr().err.strip()
    assert wanted.format(**places) in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_probe_prints_and_writes_what_tables_know(tmp_path, capsys):
    for seed in (0, 1):
        random_table(SYMBOLS[1:60], 3, seed=seed).write(tmp_path / f"random-{seed}")
    words = ["probe", str(tmp_path / "random-0"), str(tmp_path / "random-1"), "--out", str(tmp_path / "known.csv")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for name in ("random-0", "random-1", "one_hot", "electronegativity", "analogy@5"):
        assert name in printed
    known = pd.read_csv(tmp_path / "known.csv")
    assert set(known["table"]) == {"random-0", "random-1"}
    assert main(words) == 2  # not overwritten
    assert main([*words, "--overwrite"]) == 0


def test_evaluate_crystals_with_labels_of_their_own(work, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "id,hardness\n" + "\n".join(f"{n},{i}.5" for i, n in enumerate(["NaCl", "KCl", "MgO", "CaO", "LiF"]))
    )
    words = [
        "evaluate",
        str(work / "motifs"),
        "--table",
        str(work / "motif-vectors"),
        "--table",
        str(work / "elements"),
    ]
    words += ["--target", "hardness", "--labels", str(labels), "--n-splits", "2", "--on-missing", "mean"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "one_hot_motifs" in printed
    assert "(SrO): 'SrO': hardness is missing" in printed


def test_motifs_writes_tables_and_says_what_is_in_them(work, tmp_path, capsys):
    out = tmp_path / "motifs"
    words = ["motifs", str(work / "crystals"), "--out", str(out), "--quiet"]
    assert main([*words, "--workers", "2", "--time-limit", "60"]) == 0
    printed = capsys.readouterr().out
    assert "8 read, 6 kept, 2 rejected, 0 rewritten, 24 motifs" in printed
    assert "valences: 4 bond_valence, 2 composition" in printed
    assert "geometries: 24 O:6" in printed
    assert "(brass): 'brass.cif'" in printed
    motifs = pd.read_parquet(out / "motifs.parquet")
    assert motifs["token"].value_counts().to_dict() == {
        f"{motif}6:O:6": 4 for motif in ("CaO", "KCl", "LiF", "MgO", "NaCl", "SrO")
    }
    assert set(pd.read_parquet(out / "connections.parquet")["sharing"]) == {"corner", "edge"}
    assert main(words) == 2  # not overwritten
    more = ["--strategy", "multi_weights", "--valences", "signs", "--limit", "2", "--overwrite", "--max-rejected", "1"]
    assert main([*words, *more]) == 0
    assert "2 read, 2 kept" in capsys.readouterr().out
    assert "geometry" in pd.read_parquet(out / "environments.parquet")
    assert main(["info", str(out)]) == 0
    assert "MotifTables('crystals', 8 motifs" in capsys.readouterr().out


def test_graphs_writes_a_folder_and_says_what_is_in_it(work, tmp_path, capsys):
    out = tmp_path / "graphs"
    words = ["graphs", str(work / "crystals"), "--out", str(out), "--quiet"]
    assert main([*words, "--workers", "2", "--time-limit", "60"]) == 0
    printed = capsys.readouterr().out
    assert "8 read, 6 kept, 2 rejected, 0 rewritten" in printed
    assert "AtomMotifGraphs(6 crystals: 48 atoms, 144 bonds, 24 motifs, 216 connections)" in printed
    assert "(brass): 'brass.cif'" in printed
    assert set(AtomMotifGraphs.read(out).ids) == {"CaO", "KCl", "LiF", "MgO", "NaCl", "SrO"}
    assert main(words) == 2  # not overwritten
    more = ["--no-merge", "--strategy", "multi_weights", "--limit", "3", "--overwrite", "--max-rejected", "1"]
    assert main([*words, *more, "--bonds", "crystalnn"]) == 0
    assert "3 read, 3 kept" in capsys.readouterr().out
    assert AtomMotifGraphs.read(out).has_vectors
    assert main(["info", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "AtomMotifGraphs(3 crystals: 24 atoms" in shown
    assert "| bonds | crystalnn |" in shown


def test_a_corpus_of_mixtures(work, tmp_path):
    words = ["build", str(work / "crystals"), "--strategy", "multi_weights", "--mixtures", "drawn", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "mixed")]) == 0
    assert main(["train", str(tmp_path / "mixed"), "--dim", "4", "--out", str(tmp_path / "table"), "--quiet"]) == 0


@pytest.mark.parametrize(
    "words", [["map", "elements"], ["periodic-table", "elements", "--similar-to", "Na"], ["similarity", "elements"]]
)
def test_plot_draws(work, tmp_path, words):
    out = tmp_path / "figure.png"
    assert main(["plot", words[0], str(work / words[1]), *words[2:], "--kind", "element", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_info_shows_the_card(work, capsys):
    assert main(["info", str(work / "formulas")]) == 0
    assert "views: " in capsys.readouterr().out
    assert main(["info", str(work / "elements")]) == 0
    assert "EmbeddingTable(" in capsys.readouterr().out


def test_info_shows_the_card_of_a_transformer_and_of_a_file(work, tmp_path, capsys):
    assert main(["info", "crystals"]) == 0
    assert "Transformer that tells hidden motifs" in capsys.readouterr().out
    write_table(EmbeddingTable.read(work / "elements"), tmp_path / "elements.safetensors")
    assert main(["info", str(tmp_path / "elements.safetensors")]) == 0
    assert "EmbeddingTable(" in capsys.readouterr().out
    (tmp_path / "config.json").write_text('{"type": "Quickstart"}')
    assert main(["info", str(tmp_path)]) == 2
    assert "holds Quickstart, wanted a corpus" in capsys.readouterr().err


def test_training_again_gives_the_same_bytes(work, tmp_path):
    for encoder in ("word2vec", "svd"):
        digests = set()
        for run in ("a", "b"):
            out = tmp_path / f"{encoder}-{run}"
            words = ["train", str(work / "motifs"), "--view", "walks", "--encoder", encoder, "--out", str(out)]
            assert main(words) == 0
            digests.add(hashlib.sha256((out / "vectors.safetensors").read_bytes()).hexdigest())
        assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "view"), [("atom2vec-2018", "environments"), ("mat2vec-2019", "elements"), ("skipatom-2022", "pairs")]
)
def test_a_preset_chooses_encoder_settings_and_view(work, tmp_path, capsys, name, view):
    source = work / "formulas"
    if name == "mat2vec-2019":
        pytest.importorskip("gensim")
    if name == "skipatom-2022":
        source = tmp_path / "tables"
        assert main(["motifs", str(work / "crystals"), "--out", str(source), "--quiet"]) == 0
    capsys.readouterr()
    words = ["train", str(source), "--preset", name, "--out", str(tmp_path / "table"), "--quiet"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    chosen = preset(name)
    assert chosen.citation in printed
    assert chosen.differences in printed
    assert f"({view})" in printed
    card = EmbeddingTable.read(tmp_path / "table").card
    for setting in ("dim", "min_count"):
        assert card.settings[setting] == getattr(chosen.encoder, setting)
    assert card.settings["encoder"] == type(chosen.encoder).__name__


@pytest.mark.parametrize("what", ["elements", "formula-elements", "species", "motifs"])
def test_fit_makes_vectors_as_long_as_asked(work, tmp_path, what):
    tables, out = tmp_path / "tables", tmp_path / "table"
    assert main(["motifs", str(work / "crystals"), "--out", str(tables), "--quiet"]) == 0
    words = ["fit", what, str(tables), "--n-networks", "0", "--dim", "3", "--quiet"]
    assert main([*words, "--out", str(out)]) == 0
    assert EmbeddingTable.read(out).dim == 3


def test_fit_reads_formulas_from_a_column(tmp_path, capsys):
    source = tmp_path / "salts.csv"
    source.write_text("\n".join(["what", *SALTS]) + "\n")
    words = [
        "fit",
        "formula-elements",
        str(source),
        "--n-networks",
        "0",
        "--dim",
        "3",
        "--out",
        str(tmp_path / "table"),
    ]
    assert main(words) == 2
    assert "--column" in capsys.readouterr().err
    assert main([*words, "--column", "what"]) == 0


def test_a_preset_of_word2vec_takes_a_seed(work, tmp_path):
    pytest.importorskip("gensim")
    out = tmp_path / "table"
    words = ["train", str(work / "formulas"), "--preset", "mat2vec-2019", "--seed", "5", "--out", str(out), "--quiet"]
    assert main(words) == 0
    assert EmbeddingTable.read(out).card.seed == 5


@pytest.mark.parametrize(
    "words",
    [
        ["--view", "elements"],
        ["--encoder", "svd"],
        ["--dim", "20"],
        ["--window", "3"],
        ["--min-count", "2"],
        ["--algorithm", "cbow"],
        ["--epochs", "3"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_and_an_option_that_it_chooses_are_refused(work, tmp_path, capsys, name, words):
    out = tmp_path / "table"
    assert main(["train", str(work / "formulas"), "--preset", name, *words, "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.endswith(f"leave out {words[0]}")
    assert len(error.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["build", "{work}/missing.csv", "--out", "{new}"], "missing.csv"),
        (["build", "{work}/formulas.csv", "--out", "{work}/formulas"], "--overwrite"),
        (["build", "{work}/formulas.csv", "--out", "{new}", "--column", "composition"], "composition"),
        (["build", "{work}/crystals", "--out", "{new}", "--mixtures", "drawn"], "multi_weights"),
        (["build", "{work}/crystals", "--out", "{new}", "--scheduler", "slurm"], "scheduler must be"),
        (["motifs", "{work}/formulas.csv", "--out", "{new}"], "motifs are found in crystals"),
        (["motifs", "{work}/crystals", "--out", "{new}", "--engine", "numpy", "--search", "certified"], "numba"),
        (["motifs", "{work}/crystals", "--out", "{work}/motifs", "--overwrite"], "other than MotifTables"),
        (["graphs", "{work}/formulas.csv", "--out", "{new}"], "has no column of structures"),
        (["graphs", "{work}/crystals", "--out", "{work}/motifs", "--overwrite"], "other than AtomMotifGraphs"),
        (["train", "{work}/crystals", "--out", "{new}"], "corpus"),
        (["train", "{work}/formulas", "--view", "walks", "--out", "{new}"], "environments"),
        (["train", "{work}/formulas", "--encoder", "svd", "--epochs", "3", "--out", "{new}"], "--epochs"),
        (["train", "{work}/formulas", "--encoder", "svd", "--seed", "3", "--out", "{new}"], "--seed"),
        (["train", "{work}/formulas", "--preset", "atom2vec-2018", "--seed", "3", "--out", "{new}"], "--seed"),
        (["train", "{work}/formulas", "--preset", "skipatom-2022", "--out", "{new}"], "matembed motifs"),
        (["train", "{work}/nowhere", "--preset", "skipatom-2022", "--out", "{new}"], "matembed motifs"),
        (["train", "{work}/nowhere", "--preset", "atom2vec-2018", "--out", "{new}"], "nowhere"),
        (["train", "{work}/formulas", "--out", "{work}/elements"], "--overwrite"),
        (["train", "{work}/formulas", "--out", "{work}/crystals", "--overwrite"], "other than EmbeddingTable"),
        (["build", "{work}/formulas.csv", "--out", "{work}/elements", "--overwrite"], "other than Corpus"),
        (["build", "{work}/formulas.csv", "--out", "{new}", "--card", "{work}/formulas.csv"], "no card"),
        (["build", "{work}/formulas.csv", "--out", "{new}", "--card", "{new}.yaml"], "new.yaml: No such file"),
        (["fit", "species", "{work}/formulas", "--out", "{new}"], "which matembed motifs makes"),
        (["fit", "elements", "{work}/formulas", "--column", "what", "--out", "{new}"], "leave out --column what"),
        (["density", "fit", "--folds", "200", "--out", "{new}.safetensors"], "density fit: --folds takes 1 to 166"),
        (["density", "scorecard", "PBE", "--figure", "{new}.jpg"], "density scorecard: pictures are written as .png"),
        (["density", "scorecard", "PBE", "--json", "{work}/formulas.csv"], "pass --overwrite"),
        (["nearest", "{work}/elements", "Xx"], "Xx"),
        (["nearest", "{work}/elements", "Na", "--kind", "motif"], "holds no token of kind motif"),
        (["nearest", "{work}/formulas", "Na"], "vectors.safetensors"),
        (["featurize", "{work}/crystals", "--table", "{work}/elements", "--out", "{new}.csv"], "matembed build"),
        (["featurize", "{work}/formulas", "--table", "{work}/elements", "--out", "{new}.xlsx"], ".parquet"),
        (["featurize", "{work}/formulas", "--table", "{work}/motif-vectors", "--out", "{new}.csv"], "no motif graphs"),
        (["evaluate", "{work}/formulas.csv", "--table", "{work}/elements", "--target", "bulk"], "bulk"),
        (
            [
                "evaluate",
                "{work}/motifs",
                "--table",
                "{work}/elements",
                "--labels",
                "{work}/formulas.csv",
                "--target",
                "gap",
            ],
            "no id of",
        ),
        (
            ["evaluate", "{work}/formulas.csv", "--table", "{work}/elements", "--target", "gap", "--pooling", "x"],
            "mean",
        ),
        (
            [
                "evaluate",
                "{work}/formulas.csv",
                "--table",
                "{work}/elements",
                "--target",
                "gap",
                "--on-missing",
                "mean",
                "--learning-curve",
            ],
            "lower sizes",
        ),
        (
            ["evaluate", "{work}/formulas.csv", "--table", "{work}/elements", "--target", "gap", "--folds", "part"],
            "has no values in a column 'part'; name the column with the number of the fold that tests each row",
        ),
        (
            ["evaluate", "{work}/formulas", "--table", "{work}/elements", "--target", "gap", "--folds", "part"],
            "holds no 'part'",
        ),
        (
            ["evaluate", "{work}/formulas.csv", "--table", "{work}/elements", "--target", "gap", "--folds", "gap"],
            "--folds and --target both name gap; name the column that says which fold tests a row",
        ),
        (
            [
                "evaluate",
                "{work}/formulas.csv",
                "--table",
                "{work}/elements",
                "--target",
                "gap",
                "--folds",
                "part",
                "--splits",
                "formula",
                "--n-splits",
                "5",
            ],
            "--folds part says which rows are tested together; leave out --splits --n-splits",
        ),
        (["probe", "{work}/elements"], "too few elements"),
        (["probe", "{work}/elements", "{work}/elements"], "different folder names"),
        (["probe", "{work}/elements", "--out", "{new}.parquet"], ".csv"),
        (["plot", "map", "{work}/elements", "--out", "{new}.gif"], ".png"),
        (["info", "{work}/nowhere"], "does not exist"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(work, tmp_path, capsys, words, wanted):
    status = main([word.format(work=work, new=tmp_path / "new") for word in words])
    error = capsys.readouterr().err.strip()
    assert status == 2
    assert wanted in error
    assert len(error.splitlines()) == 1
    assert "Traceback" not in error


WRITING = [
    ["quickstart", "--out"],
    ["build", "formulas.csv", "--out"],
    ["motifs", "crystals", "--out"],
    ["graphs", "crystals", "--out"],
    ["train", "corpus", "--out"],
    ["fit", "species", "motifs", "--out"],
    ["fetch-crystals", "optimade", "oqmd", "--out"],
    ["fetch-crystals", "mp", "--out"],
    ["fetch-crystals", "hub", "owner/name", "--out"],
    ["evaluate", "formulas.csv", "--table", "elements", "--target", "gap", "--out"],
    ["benchmark", "steels.csv", "--out"],
    ["benchmark", "steels.csv", "--out", "results", "--html"],
    ["benchmark", "steels.csv", "--out", "results", "--markdown"],
    ["featurize", "formulas.csv", "--table", "elements", "--out"],
    ["probe", "elements", "--out"],
    ["plot", "map", "elements", "--out"],
    ["explore", "elements", "--out"],
    ["density", "fit", "--out"],
    ["density", "scorecard", "PBE", "--json"],
    ["density", "scorecard", "PBE", "--figure"],
]
FOLDERS = ("quickstart", "build", "motifs", "graphs", "train", "fit", "fetch-crystals", "evaluate", "benchmark")


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_a_path_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, capsys, words):
    """Before the input, which is not there, is looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    refused = [("file/below/new.csv", f"{tmp_path / 'file'} is no folder")]
    if words[0] not in FOLDERS or words[-1] != "--out":
        refused.append(("folder.csv", "is a folder, wanted a file to write"))
    for path, wanted in refused:
        assert main([*words, path]) == 2
        error = capsys.readouterr().err.strip()
        assert f": {path} " in error
        assert wanted in error
        assert len(error.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv"]


def test_a_folder_that_is_read_only_is_told_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["probe", "nowhere", "--out", str(tmp_path / "new" / "scores.csv")]) == 2
    assert f"scores.csv cannot be written: {tmp_path} is read-only; choose another path" in capsys.readouterr().err


def test_every_path_that_is_written_is_checked():
    def leaves(parser, names=()):
        below = [action for action in parser._actions if hasattr(action, "_name_parser_map")]
        if not below:
            yield names, parser
        for action in below:
            for name, one in action.choices.items():
                yield from leaves(one, (*names, name))

    written = {words[0] + words[-1] for words in WRITING}
    for names, command in leaves(parser()):
        flags = {"--out", "--html", "--markdown", "--json", "--figure"} & {
            flag for action in command._actions for flag in action.option_strings
        }
        assert flags == {f"--{name}" for name in command.get_default("outputs") or ()}
        assert {names[0] + flag for flag in flags} <= written


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["nearest", "elements", "Na", "-n", "few"], "argument -n: must be a whole number, 1 or more, got few"),
        (["benchmark", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["benchmark", "--seeds", "-1"], "argument --seeds: must be a whole number, 0 or more, got -1"),
        (["benchmark", "--sizes", "x"], "argument --sizes: must be a whole number, 1 or more, got x"),
    ],
)
def test_a_value_that_is_none_of_those_wanted_is_told_so(capsys, words, wanted):
    with pytest.raises(SystemExit):
        main(words)
    assert wanted in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "work", "said", "wanted"),
    [
        (["train", "corpus"], "matembed.corpus.corpus.Corpus.read", "", "matembed train: interrupted"),
        (["info", "elements"], "matembed.cli.tables.read_table", "", "matembed info: interrupted"),
        (
            ["build", "here.csv"],
            "matembed.corpus.build.build_corpus",
            "interrupted; half is in there, and the same call goes on from there",
            "matembed build: interrupted; half is in there, and the same command goes on from there",
        ),
        (
            ["quickstart"],
            "matembed.quickstart.quickstart",
            "",
            "matembed quickstart: interrupted; the same command goes on from here",
        ),
    ],
)
def test_what_is_interrupted_promises_no_more_than_it_keeps(tmp_path, monkeypatch, capsys, words, work, said, wanted):
    def interrupt(*_, **__):
        raise KeyboardInterrupt(*[said] * bool(said))

    monkeypatch.setattr(work, interrupt)
    assert main([*words, *["--out", str(tmp_path / "out")] * (words[0] != "info")]) == 130
    assert capsys.readouterr().err.strip() == wanted


def test_letters_that_a_terminal_lacks_are_no_failure(tmp_path, monkeypatch):
    source, shown = tmp_path / "formulas.csv", io.BytesIO()
    source.write_text("formula\nFe₂O₃\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="ascii", write_through=True))
    assert main(["build", str(source), "--out", str(tmp_path / "corpus"), "--quiet"]) == 0
    assert rb"'Fe\u2082O\u2083': subscript" in shown.getvalue()


def test_too_many_rejected_rows_are_status_1_and_nothing_is_lost(tmp_path, capsys):
    source = tmp_path / "formulas.txt.csv"
    source.write_text("formula\nNaCl\nXx\nYy\nZz\n")
    words = ["build", str(source), "--out", str(tmp_path / "corpus"), "--quiet"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "3 of 4 rows were rejected" in error
    assert "--max-rejected" in error
    assert main([*words, "--max-rejected", "1"]) == 0
    assert len(pd.read_parquet(tmp_path / "corpus" / "rejected.parquet")) == 3


def test_list_names_what_comes_with_the_package(capsys):
    from matembed.pretrained import MODELS, TABLES

    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*TABLES, *MODELS]


def test_a_table_is_shared_by_a_folder_and_found_by_its_name(work, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MATEMBED_CACHE", str(tmp_path / "cache"))
    share = tmp_path / "share"
    EmbeddingTable.read(work / "elements").write(share / "our-salts")
    assert main(["registry", "build", str(share)]) == 0
    assert capsys.readouterr().out.strip() == str(share / "registry.json")
    monkeypatch.setenv("MATEMBED_REGISTRY", str(share))
    assert main(["list"]) == 0
    (listed,) = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("our-salts")]
    assert listed[3] == "kB"
    assert float(listed[2]) > 0.1
    assert main(["fetch", "our-salts"]) == 0
    fetched = EmbeddingTable.read(capsys.readouterr().out.strip())
    assert main(["nearest", "our-salts", "Na", "-n", "1"]) == 0
    assert fetched.nearest("Na", 1)[0].token in capsys.readouterr().out
    assert main(["fetch", "their-salts"]) == 2
    assert main(["nearest", "crystals", "Na"]) == 2
    wrong = capsys.readouterr().err
    assert "their-salts" in wrong
    assert "is a transformer, wanted a table" in wrong
    assert wrong.count("\n") == 2  # a line each


def test_explore_writes_a_page_and_keeps_one_that_is_there(work, tmp_path, capsys):
    page = tmp_path / "map.html"
    words = ["explore", str(work / "elements"), "--method", "pca", "--out", str(page)]
    assert main([*words, "--corpus", str(work / "formulas")]) == 0
    text = page.read_text(encoding="utf-8")
    assert "NaCl" in text  # an example compound
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == text
    assert main([*words[:-1], str(tmp_path / "map.txt")]) == 2
