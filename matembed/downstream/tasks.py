"""What is to be predicted, and of which materials: a column of each, read once and checked."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.structure import IStructure

from matembed.downstream.materials import Column, as_list
from matembed.motifs import MotifGraph
from matembed.sources import shortened

__all__ = ["LabelledMaterials", "Task", "read_groups", "read_labelled"]

Task = Literal["regression", "classification"]

_LARGEST = 1e100  # of a target; squares of larger ones have no number


@dataclass(frozen=True, eq=False)
class LabelledMaterials:
    """Materials with what is to be predicted of them.

    Attributes
    ----------
    materials : list, length n_materials
        Formulas, Structures or MotifGraphs, as given.
    formulas : list, length n_materials
        What `read_amounts` reads: the formula or composition of each.
    values : Series, length n_materials
        The target as given.
    task : {"regression", "classification"}
        What to learn.
    y : array, shape (n_materials,)
        The target as numbers: floats in a regression; 0, or 1 for the positive class, in a classification.
    classes : list
        The two classes, the positive one last; empty in a regression.
    """

    materials: list[Any]
    formulas: list[Any]
    values: pd.Series
    task: Task
    y: NDArray[Any]
    classes: list[Any]

    @property
    def crystals(self) -> bool:
        """Whether the materials are structures or motif graphs, rather than formulas."""
        return isinstance(self.materials[0], IStructure | MotifGraph)

    def __len__(self) -> int:
        return len(self.y)


def read_labelled(materials: Column, target: Column, *, task: Literal["auto"] | Task = "auto") -> LabelledMaterials:
    """Read materials and their target, and choose the task.

    Parameters
    ----------
    materials : sequence, length n_materials
        Formulas, or Structures or MotifGraphs.
    target : sequence of float, bool or str, length n_materials
        What to predict.
    task : {"auto", "regression", "classification"}
        "auto" is a classification if the target is bool or text, or numbers that are 0 and 1 and nothing else.

    Returns
    -------
    LabelledMaterials
        In the order given.

    Raises
    ------
    TypeError
        If either is no column.
    ValueError
        If they do not fit each other, a target is missing or not finite, classes are not of one kind, or there is
        nothing to learn.

    Examples
    --------
    >>> labelled = read_labelled(["NaCl", "Cu"], ["insulator", "metal"])
    >>> labelled.task, labelled.y, labelled.classes
    ('classification', array([0, 1]), ['insulator', 'metal'])
    """
    listed, values = _paired(materials, target)
    crystals = isinstance(listed[0], IStructure | MotifGraph)
    formulas = [_formula_of(crystal) for crystal in listed] if crystals else listed
    return LabelledMaterials(listed, formulas, values, *_task_of(values, task))


def read_groups(groups: ArrayLike, n_materials: int, *, name: str = "groups") -> NDArray[np.int64]:
    """Turn the labels of materials that belong together into numbers.

    Parameters
    ----------
    groups : array-like, shape (n_materials,)
        A label each.
    n_materials : int
        How many there must be.
    name : str, default "groups"
        What errors call them.

    Returns
    -------
    int array, shape (n_materials,)
        From 0, in the order in which labels come first.

    Raises
    ------
    TypeError
        If they are no column.
    ValueError
        If a label is missing, or their number is another.

    Examples
    --------
    >>> read_groups(["rutile", "anatase", "rutile"], 3)
    array([0, 1, 0])
    """
    labels = pd.Series(as_list(groups, name))  # type: ignore[arg-type]
    if len(labels) != n_materials or labels.isna().any():
        got = f"got {labels.notna().sum():,}; leave out those without"
        msg = f"{name} must hold a label for each of {n_materials:,} materials, {got}"
        raise ValueError(msg)
    return pd.factorize(labels)[0].astype(np.int64)


def _paired(materials: Column, target: Column) -> tuple[list[Any], pd.Series]:
    listed, values = as_list(materials, "materials"), pd.Series(as_list(target, "targets"))
    if len(listed) != len(values) or not listed:
        msg = (
            f"wanted a target for each of one or more materials, got {len(listed):,} materials, {len(values):,} targets"
        )
        raise ValueError(msg)
    indexed = [column for column in (materials, target) if isinstance(column, pd.Series | pd.DataFrame)]
    if len(indexed) == 2 and not indexed[0].index.equals(indexed[1].index):
        msg = "materials and target have different indexes; align them, or pass .to_list() if the order is right"
        raise ValueError(msg)
    if values.isna().any():
        rows = np.flatnonzero(values.isna())
        msg = f"no target at {_positions(rows)} ({len(rows):,} of {len(values):,}); leave these materials out"
        raise ValueError(msg)
    return listed, values


def _positions(rows: NDArray[np.intp]) -> str:
    return ("positions " if len(rows) > 1 else "position ") + ", ".join(map(str, rows[:5])) + ", ..." * (len(rows) > 5)


def _task_of(values: pd.Series, task: str) -> tuple[Task, NDArray[Any], list[Any]]:
    """Choose the task; return it, the numbers to learn, and the classes, the positive one last."""
    if task not in ("auto", *get_args(Task)):
        msg = f"task must be one of auto, {', '.join(get_args(Task))}; got {task!r}"
        raise ValueError(msg)
    listed = values.tolist()
    row = next((row for row, value in enumerate(listed) if not isinstance(value, str | Real | np.bool_)), None)
    if row is not None:
        msg = f"wanted a number or a class for each material, got {shortened(repr(listed[row]), 40)} at position {row}"
        raise ValueError(msg)
    distinct = values.unique().tolist()
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if task == "classification" or (task == "auto" and (not numeric or set(distinct) == {0, 1})):
        if len(distinct) != 2:
            shown = ", ".join(map(repr, distinct[:3])) + ", ..." * (len(distinct) > 3)
            msg = f"a classification takes two classes, got {len(distinct):,} ({shown}); for a regression pass numbers"
            raise ValueError(msg)
        try:
            classes = sorted(distinct)
        except TypeError:
            msg = (
                f"classes must be of one kind, such as all text or all numbers, got {distinct[0]!r} and {distinct[1]!r}"
            )
            raise ValueError(msg) from None
        return "classification", (values == classes[1]).to_numpy(np.int64), classes
    if not numeric:
        row, value = next(pair for pair in enumerate(listed) if isinstance(pair[1], bool | str | np.bool_))
        msg = f"a regression takes numbers, got {value!r} at position {row}"
        raise ValueError(msg)
    y = values.to_numpy(np.float64)
    for what, wrong in (("not finite", ~np.isfinite(y)), (f"{_LARGEST:g} or larger", np.abs(y) >= _LARGEST)):
        if wrong.any():
            msg = f"the target is {what} at {_positions(np.flatnonzero(wrong))}; leave these materials out"
            raise ValueError(msg)
    if len(distinct) == 1:
        msg = f"all {len(y):,} targets are {y[0]:g}; there is nothing to predict"
        raise ValueError(msg)
    return "regression", y, []


def _formula_of(crystal: Any) -> Any:
    return crystal.formula if isinstance(crystal, MotifGraph) else getattr(crystal, "composition", crystal)
