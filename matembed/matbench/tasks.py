"""The tasks of Matbench v0.1: materials, targets, official folds and the scores that are compared.

The folds need no file: they are scikit-learn's shuffled 5-fold split of the official order, stratified by class in a
classification, with the random state 18012019 [1]_.

References
----------
.. [1] A. Dunn, Q. Wang, A. Ganose, D. Dopp, A. Jain, npj Comput. Mater. 6, 138 (2020).
"""

import hashlib
import math
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.structure import IStructure
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from matembed.corpus.formulas import FormulaError
from matembed.downstream.polymorphs import proportion_labels
from matembed.downstream.tasks import Task
from matembed.sources import shortened

__all__ = [
    "MATBENCH",
    "MATBENCH_METRICS",
    "MatbenchFacts",
    "MatbenchTask",
    "matbench_scores",
    "official_folds",
    "official_ids",
    "target_digest",
]

# The first leads: models are ranked and compared by it.
MATBENCH_METRICS: dict[Task, tuple[str, ...]] = {
    "regression": ("mae", "rmse", "mape", "max_error"),
    "classification": ("roc_auc", "accuracy", "balanced_accuracy", "f1"),
}

_SPLIT = {"n_splits": 5, "shuffle": True, "random_state": 18012019}
_SMALLEST = 1e-5  # targets below are left out of the mean absolute percentage error, as Matbench does
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
            [self.ids[idx] for idx in order] == official_ids(self.name, len(self))
            and math.isclose(spread, facts.spread, rel_tol=1e-9)
            and (self.own_ids if facts.digest is None else target_digest(target) == facts.digest)
            and np.array_equal(self.folds[order], official_folds(len(self), classes))
        )

    @cached_property
    def formulas(self) -> tuple[str, ...]:
        """Text of the proportions of each material, alike for polymorphs; the id where no elements can be read."""
        labels = []
        for one, material in zip(self.ids, self.inputs, strict=True):
            try:
                labels += proportion_labels([getattr(material, "composition", material)])
            except (FormulaError, TypeError):
                labels.append(one)
        return tuple(labels)

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


def official_ids(name: str, n_materials: int) -> list[str]:
    """Write the ids that Matbench gives to the rows of a task.

    Parameters
    ----------
    name : str
        Of the task, without ``matbench_``.
    n_materials : int
        Rows.

    Returns
    -------
    list of str
        They count from 1.

    Examples
    --------
    >>> official_ids("expt_gap", 4604)[0]
    'mb-expt-gap-0001'
    """
    width = len(str(n_materials))
    return [f"mb-{name.replace('_', '-')}-{row:0{width}d}" for row in range(1, n_materials + 1)]


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
