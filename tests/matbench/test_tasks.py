"""Tasks of Matbench from files of every form, with folds that are the official ones."""

import gzip
import json

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn.metrics import mean_absolute_error, roc_auc_score

from matembed.cli import main
from matembed.matbench.task_files import read_matbench
from matembed.matbench.tasks import (
    MATBENCH,
    MatbenchFacts,
    MatbenchTask,
    matbench_scores,
    official_folds,
    target_digest,
)

SALTS = [cation + anion for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I")]
GAPS = [round(9 - 0.3 * idx + 0.01 * idx**2, 2) for idx in range(len(SALTS))]
IDS = [f"mb-salts-{idx:02d}" for idx in range(1, 21)]


def rock_salt(formula, length):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(length), Composition(formula).elements, [[0, 0, 0], [0.5] * 3]
    )


CRYSTALS = [rock_salt(formula, 4 + idx / 10) for idx, formula in enumerate(SALTS[:6])]


def write(path, text):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


def split_frame(folder, columns, rows, name="matbench_salts.json.gz", index=None):
    frame = {"index": list(range(len(rows))) if index is None else index, "columns": columns, "data": rows}
    return write(folder / name, json.dumps(frame))


# The first test ids of fold 0 of three official tasks, as published results list them.
@pytest.mark.parametrize(
    ("n_materials", "first"),
    [(312, [3, 5, 20, 26, 27, 32, 35, 41, 45, 46]), (1265, None), (106113, None)],
    ids=["steels", "phonons", "mp_gap"],
)
def test_official_folds_need_no_file(n_materials, first):
    folds = official_folds(n_materials)
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 1
    if first is not None:
        assert (np.flatnonzero(folds == 0)[: len(first)] + 1).tolist() == first


def test_some_official_test_ids_of_every_fold_of_the_steels():
    published = {  # from results.json of a submission
        0: (3, 5, 20, 300, 303, 309, 310),
        1: (4, 9, 10, 297, 298, 302),
        2: (17, 19, 21, 289, 301, 307),
        3: (2, 7, 14, 295, 304, 305),
        4: (1, 6, 8, 308, 311, 312),
    }
    folds = official_folds(312)
    for fold, ids in published.items():
        assert {int(folds[one - 1]) for one in ids} == {fold}
    assert [int((folds == fold).sum()) for fold in range(5)] == [63, 63, 62, 62, 62]


def test_folds_of_classes_hold_the_same_share_of_each():
    classes = np.arange(100) % 4 == 0
    folds = official_folds(100, classes)
    assert [int(classes[folds == fold].sum()) for fold in range(5)] == [5] * 5
    assert not np.array_equal(folds, official_folds(100))


def test_the_form_of_matbench_with_formulas(tmp_path):
    rows = [[formula, gap] for formula, gap in zip(SALTS, GAPS, strict=True)]
    (task,) = read_matbench(split_frame(tmp_path, ["composition", "gap expt"], rows)).values()
    assert task.inputs == tuple(SALTS)
    assert task.target.tolist() == GAPS
    assert list(task.ids) == IDS
    assert task.folds.tolist() == official_folds(20).tolist()
    assert (task.name, task.task, task.crystals, task.official) == ("salts", "regression", False, False)


def test_the_form_of_matbench_with_structures_compositions_and_ids(tmp_path):
    rows = [[crystal.as_dict(), idx % 2 == 0] for idx, crystal in enumerate(CRYSTALS * 2)]
    ids = [f"mb-salts-{idx}" for idx in range(12)]
    path = split_frame(tmp_path, ["structure", "is_metal"], rows, name="salts.json", index=ids)
    (task,) = read_matbench(path).values()
    assert [one.composition for one in task.inputs] == [one.composition for one in CRYSTALS * 2]
    assert task.inputs[3].lattice == CRYSTALS[3].lattice
    assert (task.task, task.target.tolist(), list(task.ids)) == ("classification", [1, 0] * 6, ids)
    rows = [
        [{"@class": "Composition", **Composition(formula).as_dict()}, 1.5 * idx] for idx, formula in enumerate(SALTS)
    ]
    (task,) = read_matbench(split_frame(tmp_path, ["composition", "x"], rows)).values()
    assert [Composition(one) for one in task.inputs] == [Composition(formula) for formula in SALTS]


def test_a_table_of_several_tasks(tmp_path):
    lines = ["task,mb_id,fold,formula,target"]
    lines += [f"matbench_gaps,g{idx},{idx % 3},{formula},{GAPS[idx]}" for idx, formula in enumerate(SALTS)]
    lines += [f"metals,m{idx},{idx % 2},{formula},{idx % 4 == 0}" for idx, formula in enumerate(SALTS)]
    path = write(tmp_path / "tasks.csv.gz", "\n".join([*lines, "metals,m20,1,NaN,False"]) + "\n")
    tasks = read_matbench(path)
    assert list(tasks) == ["gaps", "metals"]
    assert tasks["gaps"].fold_numbers == [0, 1, 2]
    assert tasks["gaps"].ids[3] == "g3"
    assert tasks["metals"].task == "classification"
    assert tasks["metals"].target[:5].tolist() == [1, 0, 0, 0, 1]
    assert tasks["metals"].inputs[-1] == "NaN"  # sodium nitride
    assert list(read_matbench(path, tasks=["matbench_metals"])) == ["metals"]


def test_json_lines_of_crystals(tmp_path):
    records = [
        {
            "id": f"c{idx}",
            "lattice": crystal.lattice.matrix.tolist(),
            "species": [site.specie.symbol for site in crystal],
            "frac_coords": crystal.frac_coords.tolist(),
            "properties": {"last_phdos_peak": 100.0 + idx, "fold": idx % 3, "source": "made up"},
        }
        for idx, crystal in enumerate(CRYSTALS)
    ]
    path = write(tmp_path / "matbench_peaks.jsonl", "\n".join(map(json.dumps, records)) + "\n")
    (task,) = read_matbench(path).values()  # the only number beside the fold
    assert task.crystals
    assert task.target.tolist() == [100.0 + idx for idx in range(6)]
    assert task.folds.tolist() == [0, 1, 2] * 2
    for record in records:
        record["properties"]["gap"] = 1.0
    write(path, "\n".join(map(json.dumps, records)) + "\n")
    with pytest.raises(ValueError, match=r"as target \(command line: --target\): last_phdos_peak, gap"):
        read_matbench(path)
    assert read_matbench(path, target="last phdos peak")["peaks"].target[0] == 100


def test_formulas_of_any_column(tmp_path):
    lines = [f"{formula},{idx},{idx % 2}" for idx, formula in enumerate(SALTS)]
    path = write(tmp_path / "a.csv", "\n".join(["salt,target,fold", *lines]) + "\n")
    with pytest.raises(ValueError, match=r"pass column= \(command line: --column\) one of: 'salt'"):
        read_matbench(path)
    assert read_matbench(path, column="salt")["a"].inputs == tuple(SALTS)
    rows = [{"salt": formula, "target": float(idx), "fold": idx % 2} for idx, formula in enumerate(SALTS)]
    json_lines = write(tmp_path / "b.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    assert read_matbench(json_lines, column="salt")["b"].inputs == tuple(SALTS)
    frame = split_frame(tmp_path, ["salt", "gap"], [[formula, gap] for formula, gap in zip(SALTS, GAPS, strict=True)])
    with pytest.raises(ValueError, match=r"pass column= \(command line: --column\) one of: salt, gap"):
        read_matbench(frame)
    with pytest.raises(ValueError, match="must have a column 'name'; pass column="):
        read_matbench(frame, column="name")
    (task,) = read_matbench(frame, column="salt").values()
    assert (task.inputs, task.target.tolist()) == (tuple(SALTS), GAPS)


def test_the_command_takes_formulas_of_any_column(tmp_path):
    lines = [f"{formula},{idx},{idx % 2}" for idx, formula in enumerate(SALTS)]
    path = write(tmp_path / "a.csv", "\n".join(["salt,target,fold", *lines]) + "\n")
    words = ["benchmark", str(path), "--column", "salt", "--baselines", "dummy", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize("container", [list, dict.fromkeys])
def test_folds_of_the_validation_file(tmp_path, container):
    rows = [[formula, gap] for formula, gap in zip(SALTS, GAPS, strict=True)]
    path = split_frame(tmp_path, ["composition", "target"], rows)
    parts = {fold: IDS[fold::4] for fold in range(4)}
    splits = {
        f"fold_{fold}": {"train": container([one for one in IDS if one not in test]), "test": container(test)}
        for fold, test in parts.items()
    }
    file = write(tmp_path / "validation.json", json.dumps({"metadata": {}, "splits": {"matbench_salts": splits}}))
    task = read_matbench(path, folds=file)["salts"]
    assert task.folds.tolist() == [0, 1, 2, 3] * 5
    splits["fold_1"]["train"] = container([*IDS[::4], *IDS[1::4]])
    write(file, json.dumps({"splits": {"matbench_salts": splits}}))
    with pytest.raises(ValueError, match=r"mb-salts-02 is tested in 1 and trained on in 4 of the 4 folds"):
        read_matbench(path, folds=file)
    write(file, json.dumps({"splits": {"matbench_steels": splits}}))
    with pytest.raises(ValueError, match="no matbench_salts; it has matbench_steels"):
        read_matbench(path, folds=file)


@pytest.fixture
def official(monkeypatch, tmp_path):
    """A file of a made-up task that is taken for an official one."""
    spread = float(np.abs(np.array(GAPS) - np.mean(GAPS)).mean())
    facts = MatbenchFacts(20, "regression", "gap expt", "eV", spread, "composition", target_digest(GAPS))
    monkeypatch.setitem(MATBENCH, "salts", facts)
    return lambda rows, **more: split_frame(tmp_path, ["composition", "gap expt"], rows, **more)


def test_a_task_is_official_with_all_rows_targets_ids_and_folds_alone(official):
    rows = [[formula, gap] for formula, gap in zip(SALTS, GAPS, strict=True)]
    task = read_matbench(official(rows))["salts"]
    assert task.official
    assert task.unit == "eV"
    shuffled = np.random.default_rng(0).permutation(20)
    other_order = read_matbench(official([rows[idx] for idx in shuffled], index=[IDS[idx] for idx in shuffled]))[
        "salts"
    ]
    assert other_order.official
    assert dict(zip(other_order.ids, other_order.folds, strict=True)) == dict(zip(task.ids, task.folds, strict=True))
    changed = [[formula, gap + 0.01 * (formula == "KF")] for formula, gap in rows]
    assert not read_matbench(official(changed))["salts"].official
    assert not MatbenchTask("salts", task.inputs, task.ids, task.target, np.roll(task.folds, 1)).official
    assert not task.rows(np.arange(19)).official
    with pytest.raises(ValueError, match="holds 19 of the 20 rows of salts and no folds"):
        read_matbench(official(rows[:19]))


def without_ids(folder, rows):
    lines = [f"{formula},{gap}" for formula, gap in rows]
    return write(folder / "salts.csv", "\n".join(["formula,target", *lines]) + "\n")


def test_rows_in_another_order_without_ids_are_not_official(official, tmp_path):
    rows = list(zip(SALTS, GAPS, strict=True))
    assert read_matbench(without_ids(tmp_path, rows))["salts"].official
    assert not read_matbench(without_ids(tmp_path, rows[::-1]))["salts"].official
    # Two rows of one distance from the mean, or of nearly one target, are enough.
    assert not read_matbench(without_ids(tmp_path, [rows[1], rows[0], *rows[2:]]))["salts"].official


def test_a_task_without_a_digest_is_official_only_with_ids(official, tmp_path, monkeypatch):
    monkeypatch.setitem(MATBENCH, "salts", MATBENCH["salts"]._replace(digest=None))
    rows = list(zip(SALTS, GAPS, strict=True))
    assert not read_matbench(without_ids(tmp_path, rows))["salts"].official
    lines = [f"{one},{formula},{gap}" for one, (formula, gap) in zip(IDS, rows, strict=True)]
    task = read_matbench(write(tmp_path / "salts.csv", "\n".join(["mb_id,formula,target", *lines]) + "\n"))["salts"]
    assert task.official
    assert task.rows(np.arange(20)).official
    # Matbench's own file numbers its rows, which tells their order after a shuffle too.
    assert read_matbench(official(rows))["salts"].official
    order = np.random.default_rng(1).permutation(20).tolist()
    shuffled = read_matbench(official([rows[idx] for idx in order], index=order))["salts"]
    assert shuffled.official
    assert list(shuffled.ids) == [IDS[idx] for idx in order]
    assert not read_matbench(official(rows, index=[0] * 20))["salts"].official


def test_the_digest_of_targets_tells_orders_apart_and_forgives_rounding():
    assert target_digest(GAPS) == target_digest(np.array(GAPS) * (1 + 1e-12))
    assert target_digest(GAPS) != target_digest(GAPS[::-1])
    assert target_digest([0.0, 1.0]) == target_digest(np.array([False, True])) == target_digest([-0.0, 1])


@pytest.mark.parametrize(
    ("header", "lines", "ids"),
    [
        ("id,formula,target,fold", ["1,LiF,1,0", "3,NaF,2,1", "2,KF,3,0", "4,RbF,4,1"], ["1", "3", "2", "4"]),
        ("id,formula,target,fold", ["2,LiF,1,0", "3,NaF,2,1", "4,KF,3,0", "5,RbF,4,1"], ["2", "3", "4", "5"]),
        (
            "formula,target,fold",
            ["LiF,1,0", "NaF,2,1", "KF,3,0", "RbF,4,1"],
            [f"mb-salts-{idx}" for idx in range(1, 5)],
        ),
    ],
    ids=["shuffled", "as lines", "none"],
)
def test_ids_that_are_numbers_of_rows_are_kept(tmp_path, header, lines, ids):
    task = read_matbench(write(tmp_path / "salts.csv", "\n".join([header, *lines]) + "\n"))["salts"]
    assert list(task.ids) == ids
    assert task.own_ids == header.startswith("id")


@pytest.mark.parametrize("ids", [["1", "3", "2", "4", "5", "6"], [str(idx) for idx in range(1, 7)], None])
def test_ids_of_json_lines_that_are_numbers_of_rows_are_kept(tmp_path, ids):
    records = [
        {
            **({} if ids is None else {"id": ids[idx]}),
            "lattice": crystal.lattice.matrix.tolist(),
            "species": [site.specie.symbol for site in crystal],
            "frac_coords": crystal.frac_coords.tolist(),
            "properties": {"target": 1.0 + idx, "fold": idx % 2},
        }
        for idx, crystal in enumerate(CRYSTALS)
    ]
    path = write(tmp_path / "peaks.jsonl", "\n".join(map(json.dumps, records)) + "\n")
    assert list(read_matbench(path)["peaks"].ids) == (ids or [f"mb-peaks-{idx}" for idx in range(1, 7)])


def test_what_is_predicted_can_be_said(tmp_path):
    lines = [f"{formula},{idx % 2},{idx % 2}" for idx, formula in enumerate(SALTS)]
    path = write(tmp_path / "a.csv", "\n".join(["formula,target,fold", *lines]) + "\n")
    assert read_matbench(path)["a"].task == "classification"
    task = read_matbench(path, task="regression")["a"]
    assert (task.task, task.target.dtype) == ("regression", np.float64)
    with pytest.raises(ValueError, match="task must be one of auto, regression, classification; got 'classes'"):
        read_matbench(path, task="classes")
    lines = [f"{formula},{1 + idx % 2},{idx % 2}" for idx, formula in enumerate(SALTS)]
    write(path, "\n".join(["formula,target,fold", *lines]) + "\n")
    assert read_matbench(path)["a"].task == "regression"
    assert read_matbench(path, task="classification")["a"].target.tolist() == [0, 1] * 10


def test_classes_may_be_text(tmp_path):
    lines = [f"{formula},{'yes' if idx % 4 else 'no'},{idx % 2}" for idx, formula in enumerate(SALTS)]
    path = write(tmp_path / "a.csv", "\n".join(["formula,soft,fold", *lines]) + "\n")
    task = read_matbench(path, target="soft")["a"]
    assert (task.task, task.target[:5].tolist()) == ("classification", [0, 1, 1, 1, 0])
    with pytest.raises(ValueError, match="the target of row 2 in a is no number: 'no'"):
        read_matbench(path, target="soft", task="regression")
    write(path, "\n".join(["formula,target,fold", "LiF,a,0", "NaF,b,1", "KF,c,1"]) + "\n")
    with pytest.raises(ValueError, match=r"a\.csv, a: a classification takes two classes, got 3"):
        read_matbench(path)


def test_polymorphs_have_one_formula_and_what_cannot_be_read_its_id():
    salts = [Structure(Lattice.cubic(4 + idx), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]) for idx in range(2)]
    odd = Structure(Lattice.cubic(4), ["X", "Cl"], [[0, 0, 0], [0.5] * 3])
    for inputs in ((*salts, odd), ("CsCl", "Cs2Cl2", "Qx2")):
        task = MatbenchTask("salts", inputs, ("a", "b", "c"), [1.0, 2.0, 3.0], [0, 1, 1])
        assert task.formulas == ("Cl0.500000 Cs0.500000",) * 2 + ("c",)


def test_draws_are_nested_reproducible_and_never_tested():
    task = MatbenchTask("salts", tuple(SALTS), tuple(IDS), GAPS, official_folds(20))
    small, large = task.draw(2, 5, seed=3), task.draw(2, 9, seed=3)
    assert set(small) < set(large) < set(task.split(2)[0])
    assert np.array_equal(small, task.draw(2, 5, seed=3))
    assert not np.array_equal(small, task.draw(2, 5, seed=4))
    with pytest.raises(ValueError, match="16 rows to train on in fold 2; cannot draw 17"):
        task.draw(2, 17)
    with pytest.raises(ValueError, match="no fold 7"):
        task.split(7)
    classes = MatbenchTask("one", tuple(SALTS), tuple(IDS), [0] * 19 + [1], official_folds(20), "classification")
    with pytest.raises(ValueError, match="one class; draw more"):
        classes.draw(int(classes.folds[19]), 5)


def test_scores_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=30), rng.normal(size=30)
    truth[:3] = 0  # left out of the relative error
    scores = matbench_scores("regression", truth, predicted)
    assert scores["mae"] == pytest.approx(mean_absolute_error(truth, predicted))
    assert scores["rmse"] == pytest.approx(np.sqrt(((truth - predicted) ** 2).mean()))
    assert scores["mape"] == pytest.approx(np.mean(np.abs((truth - predicted)[3:] / truth[3:])))
    assert scores["max_error"] == pytest.approx(np.abs(truth - predicted).max())
    classes, probability = rng.integers(2, size=30), rng.uniform(size=30)
    scores = matbench_scores("classification", classes, probability > 0.5, probability)
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(classes, probability))
    of_classes = matbench_scores("classification", classes, probability > 0.5)
    assert of_classes["roc_auc"] == pytest.approx(of_classes["balanced_accuracy"])


@pytest.mark.filterwarnings("error")
def test_a_truth_of_one_class_is_no_news():
    scores = matbench_scores("classification", [0, 0], [1, 0])
    assert np.isnan(scores["roc_auc"])
    assert (scores["accuracy"], scores["balanced_accuracy"], scores["f1"]) == (0.5, 0.5, 0.0)


def test_the_digest_tells_rows_targets_and_folds_apart():
    folds = official_folds(20)
    task = MatbenchTask("salts", tuple(SALTS), tuple(IDS), GAPS, folds)
    assert task.sha256 == MatbenchTask("salts", tuple(SALTS), tuple(IDS), GAPS, folds).sha256
    others = [
        MatbenchTask("salts", tuple(SALTS), tuple(IDS), [*GAPS[:-1], 0.0], folds),
        MatbenchTask("salts", tuple(SALTS), tuple(IDS), GAPS, np.roll(folds, 1)),
        MatbenchTask("salts", (*SALTS[:-1], "CsCl"), tuple(IDS), GAPS, folds),
    ]
    assert len({task.sha256, *(other.sha256 for other in others)}) == 4


def test_the_digest_tells_geometries_apart_and_cells_written_otherwise_not():
    def digest(first):
        return MatbenchTask("salts", (first, CRYSTALS[1]), ("a", "b"), [1.0, 2.0], [0, 1]).sha256

    first = CRYSTALS[0]
    species, lattice, sites = first.species, first.lattice.matrix, first.frac_coords
    own = digest(first)
    assert own == digest(Structure(lattice + 1e-7, species, sites + 1e-7))
    assert own == digest(Structure(lattice, species, sites - 1))
    assert own == digest(Structure(lattice, species, sites - 1e-7))
    # Coordinates in files have five decimals, often: whole lattice vectors and rounding move none across a border.
    written = sites + np.array([0.00005, 0.12345, 0.23415])
    other = digest(Structure(lattice, species, written))
    assert all(other == digest(Structure(lattice, species, written + step)) for step in (1, -1, 1e-9, -1e-9))
    assert own != digest(Structure(lattice * 1.01, species, sites))
    assert own != digest(Structure(lattice, species, sites + np.eye(len(sites), 3) * 0.01))
    assert own != digest(Structure(lattice, species[::-1], sites))


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("a.json", "{not json", "is no JSON file"),
        ("a.json", '{"splits": 1}', "must hold index, columns and data"),
        ("a.json", '{"index": [0], "columns": ["x", "y"], "data": [["NaCl", 1]]}', "a column structure, composition"),
        ("a.json", '{"index": [0], "columns": ["composition", "y"], "data": [[5, 1]]}', "row 1: wanted a structure"),
        ("a.json", '{"index": [0], "columns": ["composition", "y", "z"], "data": [["NaCl", 1, 2]]}', "--target): y, z"),
        ("a.json", '{"index": [0], "columns": ["structure", "y"], "data": [[{"sites": 1}, 1]]}', "row 1:"),
        ("a.csv", "formula,target,fold\nNaCl,high,0\nKCl,1,1\n", "the target of row 2 in a is no number: 'high'"),
        (
            "a.csv",
            "formula,target,fold\nNaCl,1,0.5\nKCl,2,1\n",
            "fold of row 2 in a must be a whole number, got '0.5'",
        ),
        ("a.csv", "formula,target,fold\nNaCl,1,\nKCl,2,1\n", "fold of row 2 in a must be a whole number, got nothing"),
        ("a.csv", "formula,target,fold\nNaCl,1,0\nKCl,2,0\n", "in fold 0; wanted two folds"),
        ("a.csv", "formula,target,fold\nKCl,2,1\nNaCl,,0\n", "a.csv: row 3 has no target; leave it out"),
        ("a.csv", "formula,target,fold\n,1,0\nKCl,2,1\n", "row 2 has no formula"),
        ("a.csv", "id,formula,target,fold\na,NaCl,1,0\na,KCl,2,1\n", "ids must be unique, got 'a'"),
        ("a.csv", "formula,target\nNaCl,1\nKCl,2\n", "a.csv, a: 5 folds need as many rows at least, got 2; add"),
        (
            "a.csv",
            "formula,soft\nNaCl,1\nKCl,0\nLiF,0\n",
            "5 folds need as many rows of each class at least, got 2 and 1",
        ),
        ("a.csv", "formula,target,fold\nNaCl,1,0\nKCl,nan,1\n", "a.csv: row 3 in a has no target; leave it out"),
        ("a.csv", "formula,target,fold\nNaCl,1,0\nKCl,inf,1\n", "a.csv: row 3 in a has an infinite target; leave it"),
        ("a.csv", "formula,kind,note\nNaCl,wide,x\nKCl,narrow,y\n", "(command line: --target): kind, note"),
        ("a.csv", "formula,gap,fold\nNaCl,wide,0\nKCl,2,1\n", "no number: 'wide'"),
        ("a.csv", "formula,gap,fold\nNaCl,wide,0\nKCl,narrow,1\n", "'target'"),
        ("a.csv", "formula,target,gap,fold\nNaCl,,9,0\nKCl,2,8,1\n", "a.csv: row 2 has no target; leave it out"),
        ("a.csv", "id,formula,target,fold\nx,NaCl,,0\ny,KCl,2,1\n", "a.csv: x has no target; leave it out"),
        ("a.csv", "formula,volume,gap,fold\nNaCl,,9,0\nKCl,2,8,1\n", "--target): gap, volume"),
        (
            "a.json",
            '{"index": [0, 1], "columns": ["composition", "y"], "data": [["NaCl", "metal"], ["KCl", null]]}',
            "a.json: mb-a-2 in a has no target; leave it out",
        ),
        ("a.csv", "formula,target,fold\nNaCl,1\nKCl,2,1\n", "row 2"),
        (
            "a.jsonl",
            '{"lattice": [[3, 0, 0]], "species": ["Po"], "frac_coords": [[0, 0, 0]], "y": 1}\n',
            "row 1: cannot be",
        ),
    ],
)
def test_bad_files_are_told_in_one_line(tmp_path, name, text, wanted):
    with pytest.raises(ValueError) as caught:
        read_matbench(write(tmp_path / name, text))
    assert wanted in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_there_or_lacks_the_task(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no file"):
        read_matbench(tmp_path / "matbench_steels.json.gz")
    path = write(tmp_path / "a.csv", "formula,target,fold\nNaCl,1,0\nKCl,2,1\n")
    with pytest.raises(ValueError, match="none of the tasks steels"):
        read_matbench(path, tasks=["steels"])


def test_a_task_checks_its_columns():
    with pytest.raises(ValueError, match="of one length"):
        MatbenchTask("a", ("NaCl",), ("x", "y"), [1.0], [0])
    task = MatbenchTask("a", ("NaCl", "KCl"), ("x", "y"), [1.0, 2.0], [0, 1])
    with pytest.raises(ValueError, match="read-only"):
        task.target[0] = 3.0


@pytest.mark.parametrize(
    ("target", "folds", "kind", "wanted"),
    [
        ([1.0, np.nan], [0, 1], "regression", "gaps: the target of y is not finite"),
        ([True, np.nan], [0, 1], "classification", "gaps: the target of y is not finite"),
        ([0.7, 2.3], [0, 1], "classification", "gaps: the target of a classification is 0 or 1, got 0.7 of x; write"),
        ([1, 2], [0, 1], "classification", "0 or 1, got 2 of y; write 0 and 1, or make it a regression"),
        (["metal", "insulator"], [0, 1], "classification", "gaps: target must be numbers, one for each material"),
        (["wide", 1.0], [0, 1], "regression", "gaps: target must be numbers, one for each material"),
        ([[1.0], [2.0]], [0, 1], "regression", "gaps: target must be numbers, one for each material; got shape (2, 1)"),
        ([1.0, 2.0], [0, 0.5], "regression", "gaps: the fold of y must be a whole number, got 0.5"),
        ([1.0, 2.0], [0, np.inf], "regression", "gaps: the fold of y must be a whole number, got inf"),
        ([1.0, 2.0], [0, 1], "foo", "gaps: task must be regression or classification, got 'foo'"),
        ([1.0, 2.0], [0, 1], "auto", "gaps: task must be regression or classification, got 'auto'"),
    ],
)
def test_a_task_takes_numbers_and_two_classes(target, folds, kind, wanted):
    with pytest.raises(ValueError) as caught:
        MatbenchTask("gaps", ("NaCl", "KCl"), ("x", "y"), target, folds, kind)
    assert wanted in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_classes_may_be_written_in_any_numbers():
    for target in ([False, True], [0, 1], [0.0, 1.0], np.array([0, 1], dtype=np.int8)):
        task = MatbenchTask("a", ("NaCl", "KCl"), ("x", "y"), target, [0.0, 1.0], "classification")
        assert (task.target.dtype, task.folds.dtype) == (np.int64, np.int64)
        assert task.target.tolist() == task.folds.tolist() == [0, 1]


def test_facts_of_the_thirteen_tasks_are_whole():
    assert len(MATBENCH) == 13
    assert {facts.inputs for facts in MATBENCH.values()} == {"composition", "structure"}
    assert sum(facts.task == "classification" for facts in MATBENCH.values()) == 3
