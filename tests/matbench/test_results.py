"""Results of a benchmark are read, compared and drawn from their files alone."""

import json
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from matembed import FormulaFeaturizer
from matembed.downstream.baselines import one_hot_table
from matembed.elements import SYMBOLS
from matembed.matbench.published import PUBLISHED
from matembed.matbench.results import BenchmarkResults
from matembed.matbench.runs import run_benchmark
from matembed.matbench.tasks import MATBENCH, MatbenchFacts, MatbenchTask, official_folds

SALTS = [cation + anion for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I")]
LENGTHS = 4 + 0.15 * np.arange(len(SALTS)) + 0.3 * np.sin(np.arange(len(SALTS)))
IDS = tuple(f"mb-lengths-{idx:02d}" for idx in range(1, 21))
TASK = MatbenchTask("lengths", tuple(SALTS), IDS, LENGTHS, official_folds(20), unit="Å")
CLASSES = MatbenchTask("long", tuple(SALTS), IDS, LENGTHS > 5.4, official_folds(20), "classification")


def linear(alpha):
    def make(task, seed):
        last = Ridge(alpha) if task.task == "regression" else LogisticRegression()
        return make_pipeline(FormulaFeaturizer(one_hot_table(SYMBOLS[1:60])), last)

    return make


MODELS = {"weak": linear(10.0), "strong": linear(0.01)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    run_benchmark([TASK, CLASSES], MODELS, out, baselines=["dummy"], sizes=[8, "all"], seeds=[0, 1])
    return out


@pytest.fixture
def results(folder):
    return BenchmarkResults.read(folder)


def mean_errors(results, model):
    rows = results.predictions
    rows = rows[(rows["task"] == "lengths") & (rows["model"] == model) & (rows["size"] == "all") & (rows["seed"] == 0)]
    return (rows["predicted"] - rows["truth"]).abs().groupby(rows["fold"]).mean()


def test_a_summary_is_the_mean_over_folds_with_paired_differences(results):
    summary = results.summary(against="weak").loc["lengths"]
    assert list(summary.index) == ["strong", "weak", "dummy"]
    strong, weak = mean_errors(results, "strong"), mean_errors(results, "weak")
    assert summary.loc["strong", "mae"] == pytest.approx(strong.mean())
    assert summary.loc["strong", "mae_se"] == pytest.approx(strong.sem())
    assert summary.loc["strong", "mae_std"] == pytest.approx(np.std(strong))
    assert summary.loc["strong", "vs_weak"] == pytest.approx((strong - weak).mean())
    assert summary.loc["strong", "vs_weak_se"] == pytest.approx((strong - weak).sem())
    assert (summary["n_folds"] == 5).all()
    assert (summary["n_seeds"] == 2).all()
    assert results.summary().loc["long", "roc_auc"].is_monotonic_decreasing


def test_seeds_are_averaged_within_folds_first(results):
    runs = results.scores[(results.scores["task"] == "lengths") & (results.scores["size"] == "8")]
    folds = runs[runs["model"] == "strong"].groupby("fold")["mae"].mean()
    row = results.summary(size=8).loc[("lengths", "strong")]
    assert row["mae"] == pytest.approx(folds.mean())
    assert row["mae_se"] == pytest.approx(folds.sem())


def test_the_table_has_baselines_first_and_marks_the_best(results):
    table = results.table(against="dummy")
    assert list(table.index) == ["dummy", "strong", "weak"]
    assert table.loc["strong", "lengths"].endswith("*")
    assert " ± " in table.loc["weak", "lengths"]
    assert "(-" in table.loc["weak", "lengths"]
    assert "(" not in table.loc["dummy", "lengths"]
    assert (table["long"].str.endswith("*")).sum() == 1


def without_a_fold(folder, part, size):
    shutil.copytree(folder, part)
    for seed in (0, 1):
        (part / "lengths" / "strong" / f"{size}-fold0-seed{seed}.json").unlink()
    return part


def test_missing_folds_are_told_and_never_the_best(folder, tmp_path):
    results = BenchmarkResults.read(without_a_fold(folder, tmp_path / "part", "all"))
    table = results.table()
    assert table.loc["strong", "lengths"].endswith("(4 of 5 folds)")
    assert table.loc["weak", "lengths"].endswith("*")
    assert results.best("lengths") == "weak"
    # Differences are those of the four folds that both have.
    row = results.summary(against="weak").loc[("lengths", "strong")]
    both = (mean_errors(results, "strong") - mean_errors(results, "weak")).dropna()
    assert row["vs_weak"] == pytest.approx(both.mean())


def test_missing_folds_are_told_beside_published_figures(official, tmp_path):
    run_benchmark([official], {"weak": linear(10.0)}, tmp_path / "out", baselines=[])
    results = run_benchmark([official], MODELS, tmp_path / "out", baselines=[], folds=[0, 1])
    text = results.report(tmp_path / "page.md").read_text()
    assert "| published: SaltNet | 0.123 |" in text
    assert "\nFolds are missing of lengths (strong): a mean over some of the folds cannot be compared with one" in text
    results = run_benchmark([official], MODELS, tmp_path / "out", baselines=[])
    assert "missing" not in results.report(tmp_path / "page.md").read_text()


def test_missing_folds_of_a_size_are_told_on_the_page(folder, tmp_path):
    results = BenchmarkResults.read(without_a_fold(folder, tmp_path / "part", "8"))
    text = results.report(tmp_path / "part.md").read_text(encoding="utf-8")
    few, whole = (results.table(size=size)["lengths"].str.removesuffix("*") for size in (8, "all"))
    assert few["strong"].endswith("(4 of 5 folds)")
    for model in ("dummy", "weak", "strong"):
        assert f"\n| {model} | {few[model]} | {whole[model]} |\n" in text


def test_folds_of_one_class_are_not_counted(tmp_path):
    target = CLASSES.target.copy()
    target[CLASSES.folds == 1] = 0
    task = MatbenchTask("long", CLASSES.inputs, CLASSES.ids, target, CLASSES.folds, "classification")
    results = run_benchmark([task], MODELS, tmp_path / "part", baselines=["dummy"], sizes=[12, "all"])
    assert (results.summary()["n_folds"] == 4).all()
    assert results.table()["long"].str.endswith("(4 of 5 folds)").all()
    assert results.best("long") is None
    assert isinstance(results.plot_learning_curve("long"), Figure)
    text = results.report(tmp_path / "part.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in text
    assert "nan" not in text.split("data:image")[0]


def test_a_task_without_any_fold_of_two_classes_has_a_page(tmp_path):
    folds = np.arange(20) // 4
    task = MatbenchTask("long", CLASSES.inputs, CLASSES.ids, folds % 2, folds, "classification")
    results = run_benchmark([task], MODELS, tmp_path / "none", baselines=[], sizes=[9, "all"])
    assert results.table()["long"].tolist() == ["– (0 of 5 folds)"] * 2
    assert "data:image" not in results.report(tmp_path / "none.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="nothing to draw"):
        results.plot_learning_curve("long")


def test_a_comparison_is_a_paired_bootstrap_of_rows(results):
    row = results.compare("strong", "weak").loc["lengths"]
    assert row["n_rows"] == 20
    assert row["difference"] == pytest.approx(row["a"] - row["b"])
    assert row["low"] < row["difference"] < row["high"] < 0
    back = results.compare("weak", "strong").loc["lengths"]
    assert back["difference"] == pytest.approx(-row["difference"])
    narrow = results.compare("strong", "weak", confidence=0.5).loc["lengths"]
    assert narrow["high"] - narrow["low"] < row["high"] - row["low"]
    same = results.compare("weak", "weak").loc["lengths"]
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    assert results.compare("strong", "weak").equals(results.compare("strong", "weak"))
    assert 0 <= results.compare("strong", "dummy").loc["long", "a"] <= 1


def test_the_interval_has_the_width_of_the_standard_error(results):
    rows = results.predictions[(results.predictions["task"] == "lengths") & (results.predictions["size"] == "all")]
    error = rows.assign(error=(rows["predicted"] - rows["truth"]).abs())
    errors = error.pivot_table(index="id", columns="model", values="error")
    expected = 2 * 1.96 * (errors["strong"] - errors["weak"]).std(ddof=0) / np.sqrt(20)
    row = results.compare("strong", "weak").loc["lengths"]
    assert row["high"] - row["low"] == pytest.approx(expected, rel=0.15)  # of 2,000 draws, and no normal distribution


@pytest.fixture
def polymorphs(tmp_path):
    """Every salt twice, spelled otherwise, tested in the same fold."""
    doubled = [
        cation + "2" + anion + "2" for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I")
    ]
    ids, twice = tuple(map(str, range(40))), np.tile(LENGTHS, 2)
    task = MatbenchTask("lengths", (*SALTS, *doubled), ids, twice, np.tile(official_folds(20), 2), unit="Å")
    run_benchmark([task], MODELS, tmp_path / "twice", baselines=[])
    return tmp_path / "twice"


def test_rows_of_one_formula_are_drawn_together(polymorphs, tmp_path):
    results = BenchmarkResults.read(polymorphs)
    row = results.compare("strong", "weak").loc["lengths"]
    assert (row["n_rows"], row["n_formulas"]) == (40, 20)
    text = results.report(tmp_path / "page.md", against="weak").read_text()
    assert "in which rows of one formula are drawn together." in text
    for path in polymorphs.glob("lengths/*/*.json"):
        result = json.loads(path.read_text())
        del result["formulas"]
        path.write_text(json.dumps(result))
    older = BenchmarkResults.read(polymorphs)
    alone = older.compare("strong", "weak").loc["lengths"]
    assert (alone["n_rows"], alone["n_formulas"]) == (40, 40)
    ratio = (row["high"] - row["low"]) / (alone["high"] - alone["low"])
    assert ratio == pytest.approx(np.sqrt(2), rel=0.1)  # both rows of a salt are missed alike; of 2,000 draws
    text = older.report(tmp_path / "page.md", against="weak").read_text()
    assert "in which rows of one formula are drawn together, where files of results tell it." in text


def test_a_formula_that_one_file_tells_counts_for_all_models(polymorphs):
    (path, *_) = polymorphs.glob("lengths/weak/*-fold0-*.json")
    result = json.loads(path.read_text())
    del result["formulas"]
    path.write_text(json.dumps(result))
    results = BenchmarkResults.read(polymorphs)
    assert results.predictions["formula"].isna().any()
    assert results.compare("strong", "weak").loc["lengths", "n_formulas"] == 20


def test_a_learning_curve_has_every_size_and_can_be_drawn(results):
    curve = results.learning_curve("lengths")
    assert set(zip(curve["features"], curve["size"], strict=True)) == {
        (model, size) for model in ("dummy", "weak", "strong") for size in ("8", "all")
    }
    assert curve.groupby("size")["n_train"].first().to_dict() == {"8": 8, "all": 16}
    assert results.sizes("lengths") == ["8", "all"]
    for task in ("lengths", "long"):
        assert isinstance(results.plot_learning_curve(task), Figure)
    assert isinstance(results.plot_parity("lengths", "strong"), Figure)
    with pytest.raises(ValueError, match="no predictions of numbers"):
        results.plot_parity("long", "strong")


def test_several_folders_stand_side_by_side(folder, tmp_path):
    run_benchmark([TASK], {"mine": linear(1.0)}, tmp_path / "mine", baselines=[])
    both = BenchmarkResults.read(folder, tmp_path / "mine")
    assert set(both.table().index) == {"dummy", "weak", "strong", "mine"}
    assert "mine" in both.summary(against="strong").loc["lengths"].index
    with pytest.raises(ValueError, match="hold the same run"):
        BenchmarkResults.read(folder, folder)
    other = MatbenchTask("lengths", TASK.inputs, TASK.ids, TASK.target, np.roll(TASK.folds, 1), unit="Å")
    run_benchmark([other], {"mine": linear(1.0)}, tmp_path / "other", baselines=[])
    with pytest.raises(ValueError, match="lengths are of different rows, targets or folds"):
        BenchmarkResults.read(folder, tmp_path / "other")


def test_two_models_of_one_name_are_not_averaged(tmp_path):
    run_benchmark([TASK], {"mine": linear(2.0)}, tmp_path / "a", baselines=[], folds=[0, 1])
    run_benchmark([TASK], {"mine": linear(5.0)}, tmp_path / "b", baselines=[], folds=[2, 3, 4])
    with pytest.raises(ValueError, match=r"mine on lengths are of two models, '.*2\.0.*' and '.*5\.0") as caught:
        BenchmarkResults.read(tmp_path / "a", tmp_path / "b")
    assert len(str(caught.value).splitlines()) == 1
    run_benchmark([TASK], {"mine": linear(2.0)}, tmp_path / "c", baselines=[], folds=[2, 3, 4])
    assert (BenchmarkResults.read(tmp_path / "a", tmp_path / "c").summary()["n_folds"] == 5).all()


def test_a_model_that_lacks_a_size_is_compared_at_the_others(folder, tmp_path):
    run_benchmark([TASK], {"mine": linear(1.0)}, tmp_path / "mine", baselines=[])
    both = BenchmarkResults.read(folder, tmp_path / "mine")
    assert "vs_mine" in both.summary(against="mine")
    assert "vs_mine" not in both.summary(against="mine", size=8)
    assert both.table(against="mine", size=8).equals(both.table(size=8))
    assert "mine" in both.report(tmp_path / "report.md", against="mine").read_text()


def test_older_results_without_versions_are_read(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "old")
    for path in (tmp_path / "old").glob("*/*/*.json"):
        result = json.loads(path.read_text())
        del result["versions"]
        path.write_text(json.dumps(result))
    assert BenchmarkResults.read(tmp_path / "old").table().equals(BenchmarkResults.read(folder).table())


def test_a_report_is_one_page_and_the_same_bytes(results, tmp_path):
    page = results.report(tmp_path / "report.html", against="weak")
    text = page.read_text(encoding="utf-8")
    for wanted in ("<table>", "data:image/png;base64,", "difference to weak", "lengths: MAE, Å", "(baseline)"):
        assert wanted in text
    assert "http" not in text  # needs no network
    assert "published" not in text.lower().split("no published")[0]
    assert page.read_bytes() == results.report(tmp_path / "again.html", against="weak").read_bytes()
    written = results.report(tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| **" in written
    assert "data:image" not in written
    assert "difference to dummy" in written  # the first, where no random forest has run
    with pytest.raises(ValueError, match=r"\.md or \.html, got 'report\.pdf'"):
        results.report(tmp_path / "report.pdf")
    with pytest.raises(ValueError, match="against must be one of"):
        results.report(tmp_path / "report.html", against="nobody")


@pytest.fixture
def official(monkeypatch):
    spread = float(np.abs(LENGTHS - LENGTHS.mean()).mean())
    facts = MatbenchFacts(20, "regression", "length", "Å", spread, "composition")
    monkeypatch.setitem(MATBENCH, "lengths", facts)
    monkeypatch.setitem(PUBLISHED, "lengths", {"SaltNet": 0.123})
    return MatbenchTask("lengths", TASK.inputs, TASK.ids, TASK.target, TASK.folds, unit="Å")


def test_published_figures_stand_beside_official_tasks_alone(official, tmp_path):
    results = run_benchmark([official], MODELS, tmp_path / "whole", baselines=[])
    text = results.report(tmp_path / "whole.md").read_text()
    assert "| published: SaltNet | 0.123 |" in text
    part = run_benchmark([official.rows(np.arange(18))], MODELS, tmp_path / "part", baselines=[])
    text = part.report(tmp_path / "part.md").read_text()
    assert "SaltNet" not in text
    assert "Not the official rows, targets and folds of a Matbench task: lengths" in text


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda results: results.summary(size=99), "no task has runs of size 99; there are 8, all"),
        (lambda results: results.summary(against="nobody"), "against must be one of dummy, strong, weak"),
        (lambda results: results.compare("strong", "nobody"), "'strong' and 'nobody' both predicted"),
        (lambda results: results.compare("strong", "weak", confidence=95), "confidence between 0 and 1"),
        (lambda results: results.learning_curve("gaps"), "task must be one of lengths, long"),
    ],
)
def test_bad_questions_are_told_in_one_line(results, ask, wanted):
    with pytest.raises(ValueError) as caught:
        ask(results)
    assert wanted in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no results"):
        BenchmarkResults.read(tmp_path)
    with pytest.raises(ValueError, match="one or more folders"):
        BenchmarkResults.read()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.json").write_text("{}")
    with pytest.raises(ValueError, match="no result of matembed benchmark"):
        BenchmarkResults.read(tmp_path)


def test_a_result_that_is_damaged_or_of_another_format_is_named(tmp_path):
    task = MatbenchTask("salts", tuple(SALTS), tuple(SALTS), np.arange(len(SALTS)), np.arange(len(SALTS)) % 2)
    run_benchmark([task], [], tmp_path, baselines=["dummy"], progress=False)
    path = tmp_path / "salts" / "dummy" / "all-fold0-seed0.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for changed, wanted in (
        ({"predicted": whole["predicted"][:-1]}, "damaged: ids, truth, predicted, probability, formulas are not of"),
        ({"formulas": whole["formulas"][:-1]}, "damaged"),
        ({"truth": 1.0}, "damaged"),
        ({"schema": 2}, "has format 2; this matembed reads format 1"),
    ):
        path.write_text(json.dumps(whole | changed), encoding="utf-8")
        with pytest.raises(ValueError, match=wanted) as caught:
            BenchmarkResults.read(tmp_path)
        assert str(path) in str(caught.value)
