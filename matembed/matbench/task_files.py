"""Tasks of materials and what is to be predicted of them, read from files.

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

Where a file says no folds, they are those of Matbench.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure

from matembed.downstream.tasks import Task, read_labelled
from matembed.matbench.tasks import MATBENCH, MatbenchTask, official_folds, official_ids
from matembed.sources import FormulaRow, StructureRow, UnreadableRow, read_rows, shortened
from matembed.sources._text import open_text
from matembed.sources.rows import bare_suffix
from matembed.sources.tables import read_properties

__all__ = ["read_matbench"]

_PREFIX = "matbench_"
_CLASSES = {"true": 1.0, "false": 0.0}


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
    ids = official_ids(name, n_materials) if rows.ids is None else rows.ids
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
    made = official_ids(name, len(index))
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
