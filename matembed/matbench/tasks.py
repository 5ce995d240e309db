"""The tasks of Matbench v0.1, read from files: materials, targets, official folds and the scores that are compared.

Three forms are read, plain or gzipped:

========================= =============================================================================================
file                      what it holds
========================= =============================================================================================
``matbench_steels.json``  one task as matbench and matminer keep it: a DataFrame in pandas' split form, ``index``,
                          ``columns`` and ``data``, of a composition or pymatgen structure and the target
table                     CSV, TSV or Parquet of formulas, with columns ``target``, and, if there are any, ``mb_id``,
                          ``fold`` and ``task``; of several tasks
JSON lines                of crystals or formulas, with ``id``, target and fold among their properties
========================= =============================================================================================

Where a file says no folds, they are those of Matbench, which need no file: scikit-learn's shuffled 5-fold split of the
official order, stratified by class in a classification, with the random state 18012019 [1]_.

References
----------
.. [1] A. Dunn, Q. Wang, A. Ganose, D. Dopp, A. Jain, npj Comput. Mater. 6, 138 (2020).
"""

import hashlib
import json
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.structure import IStructure, Structure
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from matembed.downstream.tasks import Task, read_labelled
from matembed.sources import FormulaRow, StructureRow, UnreadableRow, read_rows, shortened
from matembed.sources._text import open_text
from matembed.sources.rows import bare_suffix
from matembed.sources.tables import read_properties

__all__ = [
    "MATBENCH",
    "MATBENCH_METRICS",
    "MatbenchFacts",
    "MatbenchTask",
    "matbench_scores",
    "official_folds",
    "read_matbench",
    "target_digest",
]

# The first leads: models are ranked and compared by it.
MATBENCH_METRICS: dict[Task, tuple[str, ...]] = {
    "regression": ("mae", "rmse", "mape", "max_error"),
    "classification": ("roc_auc", "accuracy", "balanced_accuracy", "f1"),
}

_SPLIT = {"n_splits": 5, "shuffle": True, "random_state": 18012019}
_PREFIX = "matbench_"
_SMALLEST = 1e-5  # targets below are left out of the mean absolute percentage error, as Matbench does
_CLASSES = {"true": 1.0, "false": 0.0}
_PER_UNIT = 10_000  # of a digest: lengths in Å and fractional coordinates are told apart by one part of so many
_CUT = 0.543716928  # where one such part ends: simple fractions and short decimals, 0.12345 say, lie well within a part


class MatbenchFacts(NamedTuple):
    """What is known of an official task, from Matbench's own metadata.

    Attributes
    ----------
    n_materials : int
        Rows.
    task : {"regression", "classification"}
        What is predicted.
    target : str
        Its column.
    unit : str
        Of the target; empty for a class.
    spread : float
        Mean absolute deviation of the target, or share of the positive class: tells whether targets are the official
        ones.
    inputs : {"composition", "structure"}
        What a model may read.
    digest : str, optional
        Of the targets in official order, as `target_digest` makes it; None where it is not known.
    """

    n_materials: int
    task: Task
    target: str
    unit: str
    spread: float
    inputs: str
    digest: str | None = None


MATBENCH: dict[str, MatbenchFacts] = {
    "dielectric": MatbenchFacts(4764, "regression", "n", "", 0.808534704217072, "structure", "a05ffc314813700f"),
    "expt_gap": MatbenchFacts(
        4604, "regression", "gap expt", "eV", 1.1432002429044061, "composition", "48d7086f1822fc37"
    ),
    "expt_is_metal": MatbenchFacts(
        4921, "classification", "is_metal", "", 0.4980694980694981, "composition", "b827f503f4875405"
    ),
    "glass": MatbenchFacts(5680, "classification", "gfa", "", 0.710387323943662, "composition", "05ebe1c4cf7071fd"),
    "jdft2d": MatbenchFacts(
        636, "regression", "exfoliation_en", "meV/atom", 67.20200406491116, "structure", "a23b4cd11618e1a8"
    ),
    "log_gvrh": MatbenchFacts(
        10987, "regression", "log10(G_VRH)", "log10 GPa", 0.29313828328604646, "structure", "1c09243a2845da0a"
    ),
    "log_kvrh": MatbenchFacts(
        10987, "regression", "log10(K_VRH)", "log10 GPa", 0.2896736342937069, "structure", "7ce1595274b5fde9"
    ),
    "mp_e_form": MatbenchFacts(132752, "regression", "e_form", "eV/atom", 1.0059220443295362, "structure"),
    "mp_gap": MatbenchFacts(106113, "regression", "gap pbe", "eV", 1.3271449960162496, "structure"),
    "mp_is_metal": MatbenchFacts(106113, "classification", "is_metal", "", 0.43492314796490533, "structure"),
    "perovskites": MatbenchFacts(
        18928, "regression", "e_form", "eV/cell", 0.5659924184827462, "structure", "d8533389c1bb6fce"
    ),
    "phonons": MatbenchFacts(
        1265, "regression", "last phdos peak", "1/cm", 323.78696979348734, "structure", "ce8d09e1d21a42f8"
    ),
    "steels": MatbenchFacts(
        312, "regression", "yield strength", "MPa", 229.37426857330706, "composition", "0faa9b290aa029f7"
    ),
}


@dataclass(frozen=True, eq=False)
class MatbenchTask:
    """Materials, what is to be predicted of them, and the fold that tests each.

    Attributes
    ----------
    name : str
        Without ``matbench_``: "steels".
    inputs : tuple of str or of Structure, length n_materials
        Formulas, or structures.
    ids : tuple of str, length n_materials
        Unique: "mb-steels-001".
    target : array, shape (n_materials,)
        Floats in a regression; 0, or 1 for the positive class, in a classification. Read-only.
    folds : int array, shape (n_materials,)
        Number of the fold in which a material is tested; it is trained on in all others. Read-only.
    task : {"regression", "classification"}
        What is predicted.
    unit : str
        Of the target.
    own_ids : bool
        Whether ids came with the materials; False where they were made from their order.

    Raises
    ------
    ValueError
        If `task` is unknown, inputs, ids, targets and folds are not of one length, ids are not unique, a target is no
        finite number or, in a classification, neither 0 nor 1, or a fold is no whole number.

    See Also
    --------
    read_matbench : Reads tasks from files.
    matembed.matbench.runs.run_benchmark : Lets models compete.

    Examples
    --------
    >>> task = MatbenchTask("gaps", ("LiF", "NaF", "KF"), ("a", "b", "c"), [13.6, 11.5, 10.9], [0, 1, 1], unit="eV")
    >>> task
    MatbenchTask('gaps', 3 formulas, 2 folds, regression, not official)
    >>> train_idx, test_idx = task.split(1)
    >>> train_idx, test_idx
    (array([0]), array([1, 2]))
    """

    name: str
    inputs: tuple[Any, ...]
    ids: tuple[str, ...]
    target: NDArray[Any]
    folds: NDArray[np.int64]
    task: Task = "regression"
    unit: str = ""
    own_ids: bool = True

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            msg = f"{self.name}: task must be {' or '.join(get_args(Task))}, got {self.task!r}"
            raise ValueError(msg)
        target, folds = self._numbers("target"), self._numbers("folds")
        sizes = {len(self.inputs), len(self.ids), len(target), len(folds)}
        if len(sizes) > 1 or not len(target):
            got = ", ".join(map(str, (len(self.inputs), len(self.ids), len(target), len(folds))))
            msg = f"{self.name}: inputs, ids, target and folds must be of one length, 1 or more; got {got}"
            raise ValueError(msg)
        if len(set(self.ids)) < len(self.ids):
            (twice, _), *_ = Counter(self.ids).most_common(1)
            msg = f"{self.name}: ids must be unique, got {twice!r} more than once"
            raise ValueError(msg)
        if not np.isfinite(target).all():
            msg = f"{self.name}: the target of {self.ids[int(np.argmin(np.isfinite(target)))]} is not finite"
            raise ValueError(msg)
        no_class, part = ~np.isin(target, (0, 1)), ~(np.isfinite(folds) & (folds == np.floor(folds)))
        if self.task == "classification" and no_class.any():
            row = int(no_class.argmax())
            got = f"got {target[row]:g} of {self.ids[row]}"
            msg = (
                f"{self.name}: the target of a classification is 0 or 1, {got}; write 0 and 1, or make it a regression"
            )
            raise ValueError(msg)
        if part.any():
            row = int(part.argmax())
            msg = f"{self.name}: the fold of {self.ids[row]} must be a whole number, got {folds[row]:g}"
            raise ValueError(msg)
        target = target if self.task == "regression" else target.astype(np.int64)
        folds = folds.astype(np.int64)
        for array in (target, folds):
            array.setflags(write=False)
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "ids", tuple(self.ids))
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "folds", folds)

    def _numbers(self, name: str) -> NDArray[np.float64]:
        try:
            values = np.array(getattr(self, name), dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"{self.name}: {name} must be numbers, one for each material; {shortened(error)}"
            raise ValueError(msg) from error
        if values.ndim != 1:
            msg = f"{self.name}: {name} must be numbers, one for each material; got shape {values.shape}"
            raise ValueError(msg)
        return values

    @property
    def crystals(self) -> bool:
        """Whether the inputs are structures, rather than formulas."""
        return isinstance(self.inputs[0], IStructure)

    @property
    def fold_numbers(self) -> list[int]:
        """The numbers of the folds, in order."""
        return [int(fold) for fold in np.unique(self.folds)]

    @cached_property
    def official(self) -> bool:
        """Whether these are all rows of the Matbench task of that name, with its ids, targets and folds.

        Targets are told by their mean absolute deviation or the share of the positive class, which Matbench publishes
        to 15 digits, and their order by a digest. Of mp_gap, mp_is_metal and mp_e_form there is no digest: these must
        have come with ids, or with the numbers that Matbench gives to rows.
        """
        facts = MATBENCH.get(self.name)
        if facts is None or len(self) != facts.n_materials or self.task != facts.task:
            return False
        order = np.argsort(self.ids)
        target = self.target[order]
        mean = float(target.mean())
        classes = target if self.task == "classification" else None
        spread = mean if self.task == "classification" else float(np.abs(target - mean).mean())
        return (
            [self.ids[idx] for idx in order] == _made_ids(self.name, len(self))
            and math.isclose(spread, facts.spread, rel_tol=1e-9)
            and (self.own_ids if facts.digest is None else target_digest(target) == facts.digest)
            and np.array_equal(self.folds[order], official_folds(len(self), classes))
        )

    @cached_property
    def sha256(self) -> str:
        """Digest of names, ids, materials, targets and folds: tells whether two results are of the same rows.

        Of a structure it covers lattice and fractional coordinates, to 1e-4 (Å) and without whole lattice vectors.
        """
        rows = zip(self.ids, self.inputs, self.target.tolist(), self.folds.tolist(), strict=True)
        lines = (
            f"{one}\t{_geometry(item) if isinstance(item, IStructure) else item}\t{target!r}\t{fold}\n"
            for one, item, target, fold in rows
        )
        digest = hashlib.sha256(f"{self.name}\t{self.task}\n".encode())
        for line in lines:
            digest.update(line.encode())
        return digest.hexdigest()

    def split(self, fold: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """List the rows to train on and the rows to test.

        Parameters
        ----------
        fold : int
            Its number.

        Returns
        -------
        train_idx, test_idx : int array
            Positions, ascending; together all rows.

        Raises
        ------
        ValueError
            If there is no such fold, or nothing is left to train on.
        """
        train_idx, test_idx = np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)
        if not len(train_idx) or not len(test_idx):
            msg = f"{self.name} has no fold {fold} beside others; it has {', '.join(map(str, self.fold_numbers))}"
            raise ValueError(msg)
        return train_idx, test_idx

    def draw(self, fold: int, size: int, *, seed: int = 0) -> NDArray[np.intp]:
        """Draw some of a fold's training rows: more of them hold all that fewer do.

        Parameters
        ----------
        fold : int
            Its number.
        size : int
            How many rows.
        seed : int, default 0
            Of the draw.

        Returns
        -------
        int array, shape (size,)
            Positions, ascending.

        Raises
        ------
        ValueError
            If there are not so many, or all drawn are of one class.

        Examples
        --------
        >>> task = MatbenchTask("demo", ("Li", "Na", "K", "Rb"), tuple("abcd"), [1, 2, 3, 4], [0, 0, 0, 1])
        >>> set(task.draw(1, 1)) < set(task.draw(1, 2))
        True
        """
        train_idx, _ = self.split(fold)
        if not 1 <= size <= len(train_idx):
            msg = f"{self.name} has {len(train_idx):,} rows to train on in fold {fold}; cannot draw {size:,}"
            raise ValueError(msg)
        drawn = np.sort(np.random.default_rng([seed, fold]).permutation(train_idx)[:size])
        if self.task == "classification" and len(np.unique(self.target[drawn])) < 2:
            msg = f"{self.name}, fold {fold}: all {size:,} training rows drawn are of one class; draw more"
            raise ValueError(msg)
        return drawn

    def rows(self, idx: NDArray[np.intp]) -> "MatbenchTask":
        """Take some rows only.

        Parameters
        ----------
        idx : int array
            Positions.

        Returns
        -------
        MatbenchTask
            Of these rows, in that order.
        """
        inputs, ids = tuple(self.inputs[one] for one in idx), tuple(self.ids[one] for one in idx)
        return MatbenchTask(
            self.name, inputs, ids, self.target[idx], self.folds[idx], self.task, self.unit, self.own_ids
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        what = "structures" if self.crystals else "formulas"
        kind = "official" if self.official else "not official"
        return f"MatbenchTask({self.name!r}, {len(self):,} {what}, {len(self.fold_numbers)} folds, {self.task}, {kind})"


def _geometry(structure: IStructure) -> str:
    """Write species, lattice and sites for a digest, coarsely enough that noise of the last digits does not count."""
    cell, sites = (
        np.floor(numbers * _PER_UNIT + _CUT).astype(np.int64)
        for numbers in (structure.lattice.matrix, structure.frac_coords)
    )
    species = " ".join(site.species_string for site in structure)
    return f"{species} {cell.ravel().tolist()} {(sites % _PER_UNIT).ravel().tolist()}"


def target_digest(target: ArrayLike) -> str:
    """Digest targets in their order, to four digits.

    Parameters
    ----------
    target : array-like, shape (n_materials,)
        Numbers, or classes 0 and 1.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the SHA-256 of all, a line each.

    Examples
    --------
    >>> target_digest([1.5, 2.0]) == target_digest([1.50001, 2.0]), target_digest([1.5, 2.0]) == target_digest([2, 1.5])
    (True, False)
    """
    lines = "\n".join(f"{value + 0.0:.4g}" for value in np.asarray(target, dtype=np.float64).tolist())
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def official_folds(n_materials: int, classes: ArrayLike | None = None) -> NDArray[np.int64]:
    """Make the folds of Matbench v0.1, which are a function of the number of rows and of the classes alone.

    Parameters
    ----------
    n_materials : int
        Rows, in official order: that of the ids.
    classes : array-like, shape (n_materials,), optional
        Class of each row, of a classification.

    Returns
    -------
    int array, shape (n_materials,)
        The fold, 0 to 4, that tests each row.

    Raises
    ------
    ValueError
        If there are fewer rows, or rows of a class, than folds.

    Notes
    -----
    Held equal to the published folds of all rows of ten of the thirteen tasks. They rest on NumPy's ``RandomState``,
    whose numbers do not change between versions.

    Examples
    --------
    >>> (official_folds(312)[:8]).tolist()  # of the steels: mb-steels-003 and mb-steels-005 are tested in fold 0
    [4, 3, 0, 1, 0, 4, 3, 4]
    """
    labels = np.zeros(n_materials, dtype=np.int64) if classes is None else np.asarray(classes)
    splitter = KFold(**_SPLIT) if classes is None else StratifiedKFold(**_SPLIT)
    counts = np.unique(labels, return_counts=True)[1]
    if n_materials < _SPLIT["n_splits"] or counts.min() < _SPLIT["n_splits"]:
        rows = "rows" if classes is None else "rows of each class"
        msg = f"{_SPLIT['n_splits']} folds need as many {rows} at least, got {' and '.join(map(str, counts))}"
        raise ValueError(msg)
    folds = np.empty(n_materials, dtype=np.int64)
    for fold, (_, test_idx) in enumerate(splitter.split(labels, labels)):
        folds[test_idx] = fold
    return folds


def matbench_scores(
    task: Task, truth: ArrayLike, predicted: ArrayLike, probability: ArrayLike | None = None
) -> dict[str, float]:
    """Score predictions as Matbench does.

    Parameters
    ----------
    task : {"regression", "classification"}
        What was predicted.
    truth, predicted : array-like, shape (n_rows,)
        Numbers, or classes 0 and 1.
    probability : array-like of float, shape (n_rows,), optional
        Probability, or decision function, of class 1; the predicted class by default.

    Returns
    -------
    dict of str to float
        ``mae``, ``rmse`` and ``max_error`` in the unit of the target, and ``mape``, the mean absolute error as a share
        of the target over targets beyond 1e-5; or ``roc_auc`` of `probability`, and ``accuracy``,
        ``balanced_accuracy`` and ``f1`` of `predicted`. NaN where the truth has one class, or no target counts.

    Examples
    --------
    >>> matbench_scores("regression", [0.0, 2.0], [1.0, 1.0])
    {'mae': 1.0, 'rmse': 1.0, 'mape': 0.5, 'max_error': 1.0}
    >>> matbench_scores("classification", [0, 0, 1, 1], [0, 1, 1, 1], [0.1, 0.6, 0.7, 0.9])
    {'roc_auc': 1.0, 'accuracy': 0.75, 'balanced_accuracy': 0.75, 'f1': 0.8}
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if task == "classification":
        area = math.nan
        if len(np.unique(truth)) == 2:
            area = float(roc_auc_score(truth, predicted if probability is None else np.asarray(probability)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where the truth has one class, which NaN tells
            return {
                "roc_auc": area,
                "accuracy": float(accuracy_score(truth, predicted)),
                "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)),
                "f1": float(f1_score(truth, predicted)),
            }
    error = np.abs(predicted - truth)
    counted = np.abs(truth) > _SMALLEST
    return {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mape": float(np.mean(error[counted] / np.abs(truth[counted]))) if counted.any() else math.nan,
        "max_error": float(error.max()),
    }


def read_matbench(
    path: str | os.PathLike[str],
    *,
    tasks: Sequence[str] | None = None,
    target: str | None = None,
    column: str | None = None,
    folds: str | os.PathLike[str] | None = None,
    task: Literal["auto"] | Task = "auto",
) -> dict[str, MatbenchTask]:
    """Read tasks from a file; the module's docstring lists the forms.

    Parameters
    ----------
    path : path-like
        A file. Unless it has a column ``task``, its name is that of the task, with or without ``matbench_``.
    tasks : sequence of str, optional
        Only these; names may begin with ``matbench_``.
    target : str, optional
        Column or property to predict. By default ``target``; else, of a Matbench task, its own, with blanks or
        underscores; else the only number beside ``fold``.
    column : str, optional
        Column of the formulas, where its name is none that is known.
    folds : path-like, optional
        Matbench's ``matbench_v0.1_validation.json``, or a file of that form: ``splits``, of task, of ``fold_0``, ...,
        with lists of ids ``train`` and ``test``. In place of folds in `path`.
    task : {"auto", "regression", "classification"}, default "auto"
        What is predicted. By default what Matbench says of its own tasks; else a classification if the target is
        true or false, 0 and 1 and nothing else, or text of two kinds, of which the one last by name is the positive
        class.

    Returns
    -------
    dict of str to MatbenchTask
        By name, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a row cannot be read or has no target, ids are not unique, there are no folds and none can be made, or
        `task` does not fit the target.
    """
    if task not in ("auto", *get_args(Task)):
        msg = f"task must be one of auto, {', '.join(get_args(Task))}; got {task!r}"
        raise ValueError(msg)
    source = Path(path)
    if not source.is_file():
        msg = f"{source} is no file; wanted matbench_<task>.json(.gz), a table, or JSON lines"
        raise FileNotFoundError(msg)
    wanted = None if tasks is None else [_bare(name) for name in tasks]
    columns = _read_split_frame(source) if bare_suffix(source) == ".json" else None
    if columns is not None:
        name = _name_of(source)
        found = (
            {name: _rows_of_frame(source, name, columns, target, column)} if wanted is None or name in wanted else {}
        )
    else:
        found = _rows_of_file(source, wanted, target, column)
    if not found:
        msg = f"{source.name} holds none of the tasks {', '.join(wanted or ())}"
        raise ValueError(msg)
    splits = None if folds is None else _read_splits(Path(folds))
    return {name: _made(source, name, rows, splits, task) for name, rows in found.items()}


class _Rows(NamedTuple):
    """Rows of one task as they were read: ids are None if the file has none, a fold is where there is none.

    `names` are what messages call the rows.
    """

    names: list[str]
    ids: list[str] | None
    inputs: list[Any]
    target: list[Any]
    folds: list[Any]


def _made(
    source: Path, name: str, rows: _Rows, splits: Mapping[str, Any] | None, kind: Literal["auto"] | Task
) -> MatbenchTask:
    """Check the rows of a task, and give each its fold."""
    facts = MATBENCH.get(name)
    kind = facts.task if kind == "auto" and facts is not None else kind
    values = _labels(source, name, rows, kind)
    try:
        labelled = read_labelled([None] * len(rows.inputs), values, task=kind)
    except ValueError as error:
        msg = f"{source.name}, {name}: {error}"
        raise ValueError(msg) from error
    n_materials = len(labelled)
    ids = _made_ids(name, n_materials) if rows.ids is None else rows.ids
    if splits is not None:
        fold_of = _folds_of_splits(source, name, ids, splits)
    elif all(fold is None for fold in rows.folds):
        if facts is not None and n_materials != facts.n_materials:
            msg = (
                f"{source.name} holds {n_materials:,} of the {facts.n_materials:,} rows of {name} and no folds; "
                "official folds cannot be made of a part: add a column fold, or pass folds, Matbench's validation file"
            )
            raise ValueError(msg)
        order = np.argsort(ids) if facts is not None else np.arange(n_materials)
        try:
            made = official_folds(n_materials, labelled.y[order] if labelled.task == "classification" else None)
        except ValueError as error:
            msg = f"{source.name}, {name}: {error}; add rows, or a column fold"
            raise ValueError(msg) from error
        fold_of = np.empty(n_materials, dtype=np.int64)
        fold_of[order] = made
    else:
        fold_of = np.array([_whole(source, name, one, fold) for one, fold in zip(rows.names, rows.folds, strict=True)])
    unit = "" if facts is None else facts.unit
    made_task = MatbenchTask(
        name, tuple(rows.inputs), tuple(ids), labelled.y, fold_of, labelled.task, unit, rows.ids is not None
    )
    if len(made_task.fold_numbers) < 2:
        msg = f"{source.name}: all rows of {name} are in fold {made_task.fold_numbers[0]}; wanted two folds or more"
        raise ValueError(msg)
    return made_task


def _labels(source: Path, name: str, rows: _Rows, kind: str) -> list[float] | list[str]:
    """Read targets as numbers; or, unless a regression is wanted, as names of classes, if none of them is a number."""
    if None in rows.target:
        msg = f"{source.name}: {rows.names[rows.target.index(None)]} in {name} has no target; leave it out of the file"
        raise ValueError(msg)
    texts = [str(value).strip() for value in rows.target]
    if kind != "regression" and not any(map(_is_number, texts)):
        return texts
    for one, text in zip(rows.names, texts, strict=True):
        if not _is_number(text):
            msg = f"{source.name}: the target of {one} in {name} is no number: {shortened(text, 40)!r}"
            raise ValueError(msg)
    values = [_CLASSES[text.lower()] if text.lower() in _CLASSES else float(text) for text in texts]
    for one, value in zip(rows.names, values, strict=True):
        if not math.isfinite(value):
            what = "has no target" if math.isnan(value) else "has an infinite target"
            msg = f"{source.name}: {one} in {name} {what}; leave it out of the file"
            raise ValueError(msg)
    return values


def _whole(source: Path, name: str, one: str, fold: Any) -> int:
    try:
        number = float(fold)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    got = "nothing" if fold is None else repr(shortened(fold, 40))
    msg = f"{source.name}: the fold of {one} in {name} must be a whole number, got {got}"
    raise ValueError(msg)


def _made_ids(name: str, n_materials: int) -> list[str]:
    """Write the ids of Matbench, which count from 1."""
    width = len(str(n_materials))
    return [f"mb-{name.replace('_', '-')}-{row:0{width}d}" for row in range(1, n_materials + 1)]


def _bare(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _name_of(source: Path) -> str:
    return _bare(re.split(r"\.(?=json|csv|tsv|parquet|ndjson|gz)", source.name, maxsplit=1)[0])


# The split form of matbench and matminer ---------------------------------------------------------------------------


def _read_split_frame(source: Path) -> dict[str, Any] | None:
    """Read a DataFrame in split form; None if the file is an array of rows."""
    try:
        with open_text(source) as file:
            values = json.load(file)
    except (ValueError, OSError, EOFError) as error:
        msg = f"{source.name} is no JSON file: {shortened(error)}"
        raise ValueError(msg) from error
    if isinstance(values, list):
        return None
    if not isinstance(values, dict) or not {"index", "columns", "data"} <= values.keys():
        keys = ", ".join(map(str, list(values)[:4])) if isinstance(values, dict) else type(values).__name__
        msg = f"{source.name} must hold index, columns and data, as Matbench's own files do; got {keys}"
        raise ValueError(msg)
    return values


def _rows_of_frame(source: Path, name: str, frame: dict[str, Any], target: str | None, column: str | None) -> _Rows:
    columns = list(frame["columns"])
    known = ("structure", "composition", "formula") if column is None else (column,)
    inputs = next((one for one in known if one in columns), None)
    if inputs is None:
        wanted = "structure, composition or formula" if column is None else repr(column)
        msg = f"{source.name} must have a column {wanted}; pass column= (command line: --column) one of: "
        msg += ", ".join(columns)
        raise ValueError(msg)
    chosen = _target_column(source, name, [column for column in columns if column not in (inputs, "fold")], target)
    positions = [columns.index(column) for column in (inputs, chosen)]
    fold_at = columns.index("fold") if "fold" in columns else None
    ids = _ids_of_index(name, frame["index"])
    names = [f"row {row}" for row in range(1, len(frame["data"]) + 1)] if ids is None else ids
    rows = _Rows(names, ids, [], [], [])
    for row, (_, values) in enumerate(zip(frame["index"], frame["data"], strict=True), start=1):
        rows.inputs.append(_input_of(source, row, values[positions[0]]))
        rows.target.append(values[positions[1]])
        rows.folds.append(None if fold_at is None else values[fold_at])
    return rows


def _ids_of_index(name: str, index: Sequence[Any]) -> list[str] | None:
    """Read the ids of a DataFrame; Matbench's own have the official position, from 0, in their place."""
    if any(isinstance(one, str) for one in index):
        return [str(one) for one in index]
    if set(index) != set(range(len(index))):
        return None
    made = _made_ids(name, len(index))
    return [made[int(one)] for one in index]


def _input_of(source: Path, row: int, value: Any) -> Any:
    try:
        if isinstance(value, dict) and "sites" in value:
            return Structure.from_dict(value)
        if isinstance(value, dict):
            amounts = {key: amount for key, amount in value.items() if not key.startswith("@")}
            return Composition(amounts).formula.replace(" ", "")
    except Exception as error:  # pymatgen raises whatever it meets
        msg = f"{source.name}, row {row}: {shortened(error)}"
        raise ValueError(msg) from error
    if not isinstance(value, str) or not value.strip():
        msg = f"{source.name}, row {row}: wanted a structure or a composition, got {shortened(value, 40)!r}"
        raise ValueError(msg)
    return value


def _target_column(
    source: Path, name: str, columns: Sequence[str], target: str | None, numbers: Sequence[str] | None = None
) -> str:
    """Choose what is to be predicted: a column that is asked for, else one of a known name, else the only number."""
    facts = MATBENCH.get(name)
    wanted = [target] if target is not None else ["target"] if facts is None else ["target", facts.target]
    likely = columns if target is not None or numbers is None else numbers
    for column in likely:
        if any(_plain(column) == _plain(one) for one in wanted):
            return column
    if target is None and len(likely) == 1:
        return likely[0]
    shown = ", ".join(likely or columns) or "nothing else"
    msg = (
        f"{source.name} has no {' or '.join(map(repr, wanted))} to predict; "
        f"name one of its columns as target (command line: --target): {shown}"
    )
    raise ValueError(msg)


def _plain(column: str) -> str:
    return column.replace("_", " ").strip().lower()


# Tables and JSON lines ----------------------------------------------------------------------------------------------


def _rows_of_file(
    source: Path, wanted: Sequence[str] | None, target: str | None, column: str | None
) -> dict[str, _Rows]:
    name = _name_of(source)
    found: dict[str, _Rows] = {}
    ids: dict[str, list[str]] = {}
    properties: dict[str, list[Mapping[str, Any]]] = {}
    own_ids = False
    for row in read_rows(source, column=column):
        if isinstance(row, UnreadableRow):
            msg = f"{source.name}, row {row.row}: {row.reason}"
            raise ValueError(msg)
        values = row.properties
        task = _bare(str(values.get("task", name)))
        if wanted is not None and task not in wanted:
            continue
        rows = found.setdefault(task, _Rows([], None, [], [], []))
        rows.names.append(_called(row))
        ids.setdefault(task, []).append(row.id)
        properties.setdefault(task, []).append(values)
        own_ids = own_ids or row.id != str(row.row)
        rows.inputs.append(_material_of(source, row))
        rows.folds.append(values.get("fold"))
    for task, listed in properties.items():
        every, numbers = _candidates(listed)
        chosen = _target_column(source, task, every, target, numbers)
        for one, values in zip(found[task].names, listed, strict=True):
            if chosen not in values:
                msg = f"{source.name}: {one} has no {chosen}; leave it out of the file"
                raise ValueError(msg)
            found[task].target.append(values[chosen])
    if found and (own_ids or _names_rows(source)):
        return {task: rows._replace(ids=ids[task]) for task, rows in found.items()}
    return found


def _names_rows(source: Path) -> bool:
    """Tell whether a file has ids: a row without one goes by its number, and so may a row that has one."""
    try:
        return bool(read_properties(source))
    except ValueError:
        return False


def _candidates(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """List the properties that may be a target; and, of them, "target" itself and what is a number in any row."""
    present = [pair for values in rows for pair in values.items() if pair[1] is not None]
    numbers = (
        name for name, value in present if _plain(name) == "target" or not isinstance(value, str) or _is_number(value)
    )
    every, likely = (
        [name for name in dict.fromkeys(names) if name not in ("fold", "task")]
        for names in ((name for name, _ in present), numbers)
    )
    return every, likely


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in _CLASSES
    return True


def _called(row: FormulaRow | StructureRow) -> str:
    """Say what messages call a row: its id, or its number if it has none."""
    return f"row {row.row}" if row.id == str(row.row) else row.id


def _material_of(source: Path, row: FormulaRow | StructureRow) -> Any:
    if isinstance(row, StructureRow):
        try:
            return row.to_structure()
        except ValueError as error:
            msg = f"{source.name}, {_called(row)}: {error}"
            raise ValueError(msg) from error
    if not isinstance(row.formula, str):
        msg = f"{source.name}: row {row.row} has no formula"
        raise ValueError(msg)
    return row.formula


# Folds from a file ---------------------------------------------------------------------------------------------------


def _read_splits(path: Path) -> Mapping[str, Any]:
    try:
        with open_text(path) as file:
            values = json.load(file)
    except (ValueError, EOFError) as error:
        msg = f"{path.name} is no JSON file of folds: {shortened(error)}"
        raise ValueError(msg) from error
    if not isinstance(values, dict) or not isinstance(values.get("splits"), dict):
        msg = f"{path.name} must hold splits, of each task, as Matbench's validation file does"
        raise ValueError(msg)
    splits: Mapping[str, Any] = values["splits"]
    return splits


def _folds_of_splits(source: Path, name: str, ids: Iterable[str], splits: Mapping[str, Any]) -> NDArray[np.int64]:
    """Give each id the fold that tests it; it must be trained on in all others."""
    parts = splits.get(_PREFIX + name, splits.get(name))
    if not isinstance(parts, dict) or not parts:
        msg = f"the file of folds has no {_PREFIX + name}; it has {', '.join(list(splits)[:5])}"
        raise ValueError(msg)
    try:
        numbered = {int(str(key).removeprefix("fold_")): part for key, part in parts.items()}
        tested = {fold: set(part["test"]) for fold, part in numbered.items()}
        trained = {fold: set(part["train"]) for fold, part in numbered.items()}
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the folds of {name} must be fold_0, fold_1, ... with ids of train and of test"
        raise ValueError(msg) from error
    found = []
    for one in ids:
        in_test = [fold for fold, members in tested.items() if one in members]
        in_train = [fold for fold, members in trained.items() if one in members]
        if len(in_test) != 1 or sorted(in_test + in_train) != sorted(numbered):
            msg = (
                f"{source.name}: {one} is tested in {len(in_test)} and trained on in {len(in_train)} of the "
                f"{len(numbered)} folds of {name}; wanted one, and all others"
            )
            raise ValueError(msg)
        found += in_test
    return np.array(found, dtype=np.int64)
