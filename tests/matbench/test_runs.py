"""Benchmark runs: no test target is ever seen, and an interrupted run goes on to the same bytes."""

import json
from functools import partial

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from matembed import FormulaFeaturizer
from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.composition_models import CompositionRegressor
from matembed.elements import SYMBOLS
from matembed.graphs import AtomMotifGraphs, AtomMotifRegressor, atom_motif_graphs
from matembed.matbench.runs import run_benchmark
from matembed.matbench.tasks import MatbenchTask

SALTS = [cation + anion for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I")]
LENGTHS = 4 + 0.15 * np.arange(len(SALTS)) + 0.3 * np.sin(np.arange(len(SALTS)))
IDS = tuple(f"s{idx:02d}" for idx in range(len(SALTS)))
TASK = MatbenchTask("lengths", tuple(SALTS), IDS, LENGTHS, np.arange(20) * 7 % 5, unit="Å")
CLASSES = MatbenchTask("long", tuple(SALTS), IDS, LENGTHS > 5.4, np.arange(20) * 7 % 5, "classification")


def trees(task, seed):
    rows = FormulaFeaturizer(one_hot_table(SYMBOLS[1:60]))
    return make_pipeline(rows, ExtraTreesRegressor(10, random_state=seed))


def logistic(task, seed):
    return make_pipeline(FormulaFeaturizer(one_hot_table(SYMBOLS[1:60])), LogisticRegression())


def crystals():
    return [
        Structure(Lattice.cubic(length), Composition(one).elements, [[0, 0, 0], [0.5] * 3])
        for one, length in zip(SALTS, LENGTHS, strict=True)
    ]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


def run(out, task=TASK, models=None, **settings):
    settings = {"baselines": ["dummy"]} | settings
    return run_benchmark([task], {"trees": trees} if models is None else models, out, **settings)


def test_every_model_meets_every_fold_and_baselines_are_in_the_same_run(tmp_path):
    results = run(tmp_path, seeds=[0, 1])
    runs = results.scores.groupby(["model", "seed"])["fold"].apply(sorted)
    assert set(runs.index) == {("dummy", 0), ("dummy", 1), ("trees", 0), ("trees", 1)}
    assert all(folds == [0, 1, 2, 3, 4] for folds in runs)
    assert results.scores.groupby("model")["kind"].first().to_dict() == {"dummy": "baseline", "trees": "model"}
    tested = results.predictions.groupby(["model", "seed"])["id"].apply(sorted)
    assert all(ids == list(IDS) for ids in tested)
    truth = dict(zip(IDS, LENGTHS, strict=True))
    assert all(truth[row.id] == row.truth for row in results.predictions.itertuples())


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path):
    run(tmp_path / "whole", sizes=[8, "all"])
    whole = contents(tmp_path / "whole")
    made = []

    def interrupted(task, seed):
        made.append(seed)
        if len(made) == 4:
            raise KeyboardInterrupt
        return trees(task, seed)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part", models={"trees": interrupted}, sizes=[8, "all"])
    part = contents(tmp_path / "part")
    assert 0 < len(part) < len(whole)
    assert all(whole[name] == text for name, text in part.items())
    run(tmp_path / "part", sizes=[8, "all"])
    assert contents(tmp_path / "part") == whole
    assert not list((tmp_path / "part").rglob("*.part"))


def test_what_is_there_is_not_fitted_again(tmp_path):
    run(tmp_path)

    def fitted(task, seed):
        model = trees(task, seed)
        model.fit = None  # would fail
        return model

    run(tmp_path, models={"trees": fitted})


@pytest.mark.parametrize("sizes", [["all"], [8]], ids=["whole", "drawn"])
def test_poisoned_test_targets_change_no_prediction(tmp_path, sizes):
    clean = run(tmp_path / "clean", sizes=sizes).predictions
    for fold in TASK.fold_numbers:
        target = TASK.target.copy()
        target[TASK.folds == fold] = 1e6 * np.random.default_rng(fold).normal(size=(TASK.folds == fold).sum())
        poisoned = MatbenchTask(TASK.name, TASK.inputs, TASK.ids, target, TASK.folds)
        found = run(tmp_path / f"poisoned-{fold}", poisoned, folds=[fold], sizes=sizes).predictions
        expected = clean[clean["fold"] == fold]
        assert np.array_equal(found["predicted"], expected["predicted"])


def test_a_factory_is_shown_training_rows_alone(tmp_path):
    shown = []

    def looking(task, seed):
        shown.append(task)
        return trees(task, seed)

    run(tmp_path, models={"looking": looking}, baselines=[])
    for fold, task in zip([0, *TASK.fold_numbers], shown, strict=True):  # once before anything is fitted
        tested = {IDS[idx] for idx in TASK.split(fold)[1]}
        assert tested.isdisjoint(task.ids)
        assert len(task) + len(tested) == len(TASK)


def test_models_are_given_the_same_draws_which_are_nested(tmp_path):
    seen = {}

    class Recording(BaseEstimator):
        def __init__(self, name, seed):
            self.name, self.seed = name, seed

        def fit(self, X, y):
            seen[self.name, self.seed, len(X)] = set(X)
            return self

        def predict(self, X):
            return np.zeros(len(X))

    models = {name: (lambda task, seed, name=name: Recording(name, seed)) for name in ("a", "b")}
    run(tmp_path, models=models, baselines=[], sizes=[4, 9, "all"])
    for seed in {seed for _, seed, _ in seen}:
        small, large, whole = ({name: seen[name, seed, size] for name in "ab"} for size in (4, 9, 16))
        assert small["a"] == small["b"] < large["a"] == large["b"] < whole["a"] == whole["b"]


def test_classes_are_scored_by_probability_and_by_class(tmp_path):
    results = run(tmp_path, CLASSES, {"logistic": logistic})
    rows = results.predictions[results.predictions["model"] == "logistic"]
    assert set(rows["predicted"]) <= {0, 1}
    assert rows["probability"].between(0, 1).all()
    assert np.array_equal(rows["probability"] > 0.5, rows["predicted"] == 1)
    assert {"roc_auc", "accuracy", "balanced_accuracy", "f1"} <= set(results.scores.columns)


def test_a_result_says_what_it_is(tmp_path):
    run(tmp_path, folds=[2])
    result = json.loads((tmp_path / "lengths" / "trees" / "all-fold2-seed0.json").read_text())
    assert result["ids"] == [IDS[idx] for idx in TASK.split(2)[1]]
    assert result["formulas"] == [TASK.formulas[idx] for idx in TASK.split(2)[1]]
    assert (result["official"], result["unit"], result["n_train"], result["data"]) == (False, "Å", 16, TASK.sha256)
    assert "ExtraTreesRegressor(n_estimators=10, random_state=2)" in result["estimator"]
    assert "0x" not in result["estimator"]
    assert {"matembed", "scikit-learn", "python"} <= set(result["versions"])


def ridge(alpha):
    return lambda task, seed: make_pipeline(FormulaFeaturizer(one_hot_table(SYMBOLS[1:60])), Ridge(alpha))


def test_another_model_of_one_name_is_refused_before_anything_is_fitted(tmp_path):
    run(tmp_path, models={"mine": ridge(2.0)}, folds=[0, 1])
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"estimator '.*2\.0.*' and '.*5\.0.*'; name the model") as caught:
        run(tmp_path, models={"mine": ridge(5.0)}, folds=[2, 3], baselines=["dummy", "one_hot_ridge"])
    assert len(str(caught.value).splitlines()) == 1
    shifted = MatbenchTask(TASK.name, TASK.inputs, TASK.ids, TASK.target + 1, TASK.folds, unit="Å")
    with pytest.raises(ValueError, match="data with other materials, targets or folds; choose another folder"):
        run(tmp_path, shifted, models={"yours": ridge(2.0)}, folds=[2], baselines=[])
    assert contents(tmp_path) == before
    run(tmp_path, models={"mine": ridge(2.0)})
    results = run(tmp_path, models={"mine": ridge(5.0)}, sizes=[8])  # another size is another model
    assert set(results.scores["size"]) == {"8", "all"}


@pytest.mark.parametrize("model", ["ridge", "composition_network"])
def test_another_table_of_one_name_and_shape_is_another_model(tmp_path, model):
    if model == "composition_network":
        pytest.importorskip("torch")
        quick = partial(CompositionRegressor, width=8, n_layers=1, n_heads=2, max_epochs=1)
        models = {model: lambda task, seed: quick(table, seed=seed)}
    else:
        models = [model]
    table = random_table(SYMBOLS[1:60], 4, seed=0)
    run(tmp_path, models=models, table=table, folds=[0], baselines=[])
    before = contents(tmp_path)
    run(tmp_path, models=models, table=table, folds=[0], baselines=[])
    table = random_table(SYMBOLS[1:60], 4, seed=1)
    with pytest.raises(ValueError, match=r"of another run, estimator .*; name the model otherwise") as caught:
        run(tmp_path, models=models, table=table, folds=[0, 1], baselines=[])
    assert len(str(caught.value).splitlines()) == 1
    assert contents(tmp_path) == before


def test_a_draw_of_one_class_is_found_before_anything_is_fitted(tmp_path):
    settings = {"task": CLASSES, "models": {"mine": logistic}, "sizes": ["all", 4]}
    one_class = {}
    for seed in range(20):
        rows = [
            CLASSES.target[np.random.default_rng([seed, fold]).permutation(CLASSES.split(fold)[0])[:4]]
            for fold in range(5)
        ]
        one_class[seed] = [len(set(drawn)) == 1 for drawn in rows]
    good, bad = (next(seed for seed, found in one_class.items() if any(found) == wanted) for wanted in (False, True))
    with pytest.raises(ValueError, match="all 4 training rows drawn are of one class; draw more"):
        run(tmp_path / "new", seeds=[good, bad], **settings)
    assert not (tmp_path / "new").exists()
    run(tmp_path / "new", seeds=[good], **settings)


def test_training_rows_of_one_class_are_found_before_anything_is_fitted(tmp_path):
    target = np.where(np.arange(20) < 10, np.arange(20) % 2, 0)
    task = MatbenchTask("one", tuple(SALTS), IDS, target, np.arange(20) // 10, "classification")
    with pytest.raises(ValueError, match="one, fold 0: all 10 training rows are of one class; leave that fold out"):
        run(tmp_path / "new", task, {"mine": logistic})
    assert not (tmp_path / "new").exists()
    assert len(run(tmp_path / "new", task, {"mine": logistic}, folds=[1]).scores) == 2


def test_a_regressor_is_no_classifier(tmp_path):
    with pytest.raises(ValueError, match="mine is no classifier: it has neither predict_proba nor decision_function"):
        run(tmp_path, CLASSES, {"mine": trees})


def test_two_tasks_of_one_name_are_refused_before_anything_is_fitted(tmp_path):
    other = MatbenchTask(TASK.name, TASK.inputs, TASK.ids, TASK.target * 2, TASK.folds)
    with pytest.raises(ValueError, match="several tasks go by the name lengths"):
        run_benchmark([TASK, other], ["ridge"], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_how_numbers_and_estimators_are_printed_makes_no_other_model(tmp_path):
    printed = {"precision": 2, "suppress": True, "threshold": 4, "legacy": "1.13"}
    with np.printoptions(**printed), config_context(print_changed_only=False):
        run(tmp_path, models=["ridge"], folds=[0])
    results = run(tmp_path, models=["ridge"], folds=[1])
    assert results.scores["fold"].tolist() == [0, 1, 0, 1]


def test_a_fold_of_one_class_has_no_area_and_no_bare_nan(tmp_path):
    target = np.arange(20) % 2
    target[TASK.folds == 2] = 1
    task = MatbenchTask("one", tuple(SALTS), IDS, target, TASK.folds, "classification")
    results = run(tmp_path, task, {"mine": logistic})

    def refuse(constant):
        raise AssertionError(constant)

    for path in tmp_path.glob("*/*/*.json"):
        found = json.loads(path.read_text(), parse_constant=refuse)
        assert (found["scores"]["roc_auc"] is None) == (found["fold"] == 2)
    missing = results.scores["roc_auc"].isna()
    assert results.scores["roc_auc"].dtype == float
    assert np.array_equal(missing, results.scores["fold"] == 2)


def test_a_model_that_differs_between_folds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mine is not one model in all folds of lengths"):
        run(tmp_path, models={"mine": lambda task, seed: ridge(float(seed + 1))(task, seed)})


def test_seeds_alone_may_differ_between_folds_even_where_a_default_is_not_written(tmp_path):
    class Seeded(BaseEstimator):
        def __init__(self, *, seed=0, width=1):
            self.seed, self.width = seed, width

        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.zeros(len(X))

    results = run(tmp_path, models={"seeded": lambda task, seed: Seeded(seed=seed, width=2)}, seeds=[0, 1])
    assert results.scores["model"].value_counts().to_dict() == {"dummy": 10, "seeded": 10}


def test_sizes_and_folds_may_be_numbers_of_numpy(tmp_path):
    results = run(tmp_path, sizes=[np.int64(8)], folds=np.array([1, 2]), seeds=np.arange(1))
    assert set(results.scores["size"]) == {"8"}
    before = contents(tmp_path)
    run(tmp_path, sizes=[8], folds=[1, 2])
    assert contents(tmp_path) == before


def test_structures_have_the_forest_on_formulas_beside_them(tmp_path):
    task = MatbenchTask("crystals", tuple(crystals()), IDS, LENGTHS, TASK.folds)
    results = run_benchmark([task, TASK], [], tmp_path, folds=[0])
    models = results.scores.groupby("task")["model"].apply(set).to_dict()
    assert models["lengths"] == {"dummy", "one_hot_ridge", "random_forest"}
    assert models["crystals"] == models["lengths"] | {"composition_forest"}
    assert set(results.scores["kind"]) == {"baseline"}


def test_graphs_of_crystals_are_made_once_in_a_run(tmp_path, monkeypatch):
    for module in ("torch", "torch_geometric"):
        pytest.importorskip(module)
    made = []

    def counted(structures, **settings):
        made.extend(structures)
        return atom_motif_graphs(structures, **settings)

    monkeypatch.setattr("matembed.matbench.models.atom_motif_graphs", counted)
    monkeypatch.setattr("matembed.graphs.regressor.atom_motif_graphs", counted)
    small = partial(AtomMotifRegressor, width=8, n_layers=1, max_epochs=1)
    monkeypatch.setattr("matembed.matbench.models.AtomMotifRegressor", small)
    task = MatbenchTask("crystals", tuple(crystals()), IDS, LENGTHS, TASK.folds)
    settings = {"seeds": [0, 1], "sizes": [8, "all"], "folds": [0, 1], "baselines": []}
    run(tmp_path / "once", task, ["atom_motif"], **settings | {"seeds": [0]})
    run(tmp_path / "once", task, ["atom_motif"], **settings)
    assert len(made) == len(task)
    graphs = AtomMotifGraphs.read(tmp_path / "once" / "_graphs")
    assert len(graphs) == len(task)
    again = run(tmp_path / "again", task, {"atom_motif": lambda task, seed: small(seed=seed)}, **settings)
    assert len(made) > 6 * len(task)
    assert again.scores["model"].value_counts().to_dict() == {"atom_motif": 8}
    assert sorted(path.name for path in (tmp_path / "once").iterdir()) == ["_graphs", "config.json", "crystals"]
    once, anew = (contents(tmp_path / name / "crystals") for name in ("once", "again"))
    assert once == anew  # nothing else is changed by it


def test_results_of_a_network_on_another_device_are_not_gone_on_with(tmp_path, monkeypatch):
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("torch_geometric")
    small = partial(AtomMotifRegressor, width=8, n_layers=1, max_epochs=1)
    monkeypatch.setattr("matembed.matbench.models.AtomMotifRegressor", small)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    task = MatbenchTask("crystals", tuple(crystals()), IDS, LENGTHS, TASK.folds)
    run(tmp_path, task, ["atom_motif"], folds=[0])
    run(tmp_path, task, ["atom_motif"], folds=[1], device="auto")  # the CPU here
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="device='cuda' needs an accelerator that PyTorch can see"):
        run(tmp_path, task, ["atom_motif"], device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device in ("cuda", "auto"):
        with pytest.raises(ValueError, match=r"of another run, estimator .*device='cuda'.*; name the model otherwise"):
            run(tmp_path, task, ["atom_motif"], device=device)
    assert contents(tmp_path) == before
    assert set(run(tmp_path, task, ["ridge"], device="cuda", folds=[0]).scores["model"]) > {"ridge"}  # is no network


def disordered(rows):
    """Salts of which some have a site of two elements."""
    inputs = crystals()
    for row in rows:
        inputs[row] = Structure(Lattice.cubic(4.2), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    return MatbenchTask("mixed", tuple(inputs), IDS, LENGTHS, TASK.folds)


def test_crystals_that_a_model_cannot_read_are_named_before_anything_is_fitted(tmp_path):
    task = disordered([3, 17])
    run(tmp_path, task, ["composition_forest"], baselines=["dummy", "one_hot_ridge"], folds=[0])
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="cannot read") as caught:
        run(tmp_path, task, {"mine": "ridge", "trees": trees}, baselines=["dummy", "random_forest"])
    assert str(caught.value) == (
        "mixed: random_forest, mine cannot read 2 of 20 structures: s03 (row 4), s17 (row 18); the first: site 0 is "
        "disordered (K:0.5, Na:0.5); order the structure first; leave them out of the file, or choose models and "
        "baselines that read compositions: dummy, one_hot_ridge, composition_forest, composition_network"
    )
    assert contents(tmp_path) == before
    run(tmp_path, task, ["composition_forest"], baselines=["dummy", "one_hot_ridge"])
    assert all(contents(tmp_path)[name] == text for name, text in before.items())
    with pytest.raises(ValueError, match=r"1 of 20 structures: s03 \(row 4\): site 0 .*; leave it out of the file"):
        run(tmp_path / "new", disordered([3]), ["ridge"])
    assert not (tmp_path / "new").exists()


def test_many_crystals_that_cannot_be_read_are_counted(tmp_path):
    inputs = disordered([0]).inputs[:1] * 50
    task = MatbenchTask("all", inputs, tuple(map(str, range(50))), np.arange(50.0), np.arange(50) % 5)
    with pytest.raises(
        ValueError, match=r"cannot read 50 of 50 structures: 0 .* 19 .row 20. and 30 more; the first: site 0"
    ):
        run(tmp_path, task, ["ridge"])


def test_a_crystal_that_no_run_reads_stops_none(tmp_path):
    drawn = set(TASK.draw(0, 4)) | set(TASK.split(0)[1])
    left = next(row for row in range(20) if row not in drawn)
    results = run(tmp_path, disordered([left]), ["ridge"], sizes=[4], folds=[0])
    assert set(results.scores["model"]) == {"dummy", "ridge"}


def test_a_formula_that_cannot_be_read_is_named_before_anything_is_fitted(tmp_path):
    task = MatbenchTask("typo", (*SALTS[:-1], "Qx2"), IDS, LENGTHS, TASK.folds)
    with pytest.raises(
        ValueError, match=r"typo: ridge cannot read 1 of 20 formulas: s19 \(row 20\): 'Qx2': .*; leave it out of"
    ):
        run(tmp_path / "new", task, ["ridge"])
    assert not (tmp_path / "new").exists()
    run(tmp_path / "new", task, [])


def test_results_of_other_data_or_other_models_are_not_mixed_up(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="of another run"):
        run(
            tmp_path,
            models={"trees": lambda task, seed: make_pipeline(FormulaFeaturizer(one_hot_table(["Li"])), Ridge())},
        )
    shifted = MatbenchTask(TASK.name, TASK.inputs, TASK.ids, TASK.target + 1, TASK.folds, unit="Å")
    with pytest.raises(ValueError, match="of another run"):
        run(tmp_path, shifted)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"type": "Corpus"}')
    with pytest.raises(FileExistsError, match="other than BenchmarkResults"):
        run(tmp_path / "other")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"models": ["forest"]}, "model must be one of dummy, one_hot_ridge"),
        ({"models": {"a/b": "ridge"}}, "that of a folder"),
        ({"models": [], "baselines": []}, "nothing to run: no models and no baselines; name one"),
        ({"models": {"dummy": "ridge"}}, "name of a baseline"),
        ({"sizes": [0]}, "1 or more, got 0"),
        ({"sizes": ["some"]}, "got 'some'"),
        ({"sizes": [500]}, "nothing to run .tasks: 1, models: 2, sizes: .500..; a size must be at most the rows"),
        ({"sizes": [True]}, "1 or more, got True"),
        ({"folds": []}, "one fold or more, got"),
        ({"folds": [9]}, "no fold 9 beside others; it has 0, 1, 2, 3, 4"),
        ({"folds": [0.7]}, "folds must be whole numbers, got .0.7."),
        ({"seeds": [-1]}, "seeds must be 0 or more"),
        ({"seeds": [0.5]}, "seeds must be whole numbers, got .0.5."),
        ({"seeds": ["0"]}, "seeds must be whole numbers, got .'0'."),
        ({"seeds": [0, 65536]}, "seeds must be 0 or more and below 65,536, got .0, 65536."),
        ({"task": MatbenchTask("a/b", ("Li", "Na"), ("x", "y"), [1.0, 2.0], [0, 1])}, "name of a task"),
        ({"models": {"nan": lambda task, seed: Nowhere()}}, "finite number for each of 4 rows"),
    ],
)
def test_bad_settings_are_told_in_one_line(tmp_path, settings, wanted):
    with pytest.raises(ValueError, match=wanted) as caught:
        run(tmp_path / "new", **settings)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"models": "ridge"}, "models must be a sequence, got the text 'ridge'; pass ['ridge']"),
        ({"baselines": "dummy"}, "baselines must be a sequence, got the text 'dummy'; pass ['dummy']"),
        ({"sizes": "all"}, "sizes must be a sequence, got the text 'all'; pass ['all']"),
        ({"seeds": 3}, "seeds must be a sequence, got 3; pass [3]"),
        ({"folds": 2}, "folds must be a sequence, got 2; pass [2]"),
    ],
)
def test_one_is_no_list(tmp_path, settings, wanted):
    with pytest.raises(TypeError) as caught:
        run(tmp_path / "new", **settings)
    assert str(caught.value) == wanted
    assert not (tmp_path / "new").exists()


def test_one_task_is_no_list_of_tasks(tmp_path):
    with pytest.raises(TypeError, match=r"tasks must be a sequence, got MatbenchTask\(.*\); pass \[lengths\]"):
        run_benchmark(TASK, ["ridge"], tmp_path)


def test_a_kernel_that_fits_no_memory_is_refused_before_anything_is_fitted(tmp_path):
    n_rows = 30_000
    ids = tuple(map(str, range(n_rows)))
    task = MatbenchTask("large", ("NaCl",) * n_rows, ids, np.arange(n_rows), np.arange(n_rows) % 5)
    for name in ("kernel_ridge", "blend"):
        with pytest.raises(ValueError, match=f"kernel ridge of 24,000 rows needs about 9 GB .* leave {name} out"):
            run_benchmark([task], [name], tmp_path / "new")
    assert not (tmp_path / "new").exists()


class Nowhere(BaseEstimator):
    """Predicts no number."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), np.nan)
