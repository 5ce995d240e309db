"""Materials to predict on, from a file of formulas or a corpus; what cannot be used is listed, not lost."""

import math
import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from matembed.corpus.corpus import Corpus
from matembed.corpus.formulas import parse_formula
from matembed.sources import FormulaRow, read_formulas, read_properties, shortened

__all__ = ["Inputs", "read_inputs"]

_COLUMNS = ["id", "formula"]
_REJECTED = ["id", "row", "input", "reason"]
_REWRITTEN = ["id", "row", "input", "rewrites"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Materials that can be used, and rows that cannot.

    Attributes
    ----------
    frame : DataFrame, length n_materials
        Columns ``id`` and ``formula``, and ``target`` and ``fold`` if they were asked for.
    materials : list, length n_materials
        What a featurizer takes: formulas, or motif graphs.
    rejected : DataFrame
        Columns ``id``, ``row``, ``input``, ``reason``.
    rewritten : DataFrame
        Formulas of a file that were read otherwise than written: ``id``, ``row``, ``input``, ``rewrites``.
    """

    frame: pd.DataFrame
    materials: list[Any]
    rejected: pd.DataFrame
    rewritten: pd.DataFrame


def read_inputs(
    source: str | os.PathLike[str],
    *,
    what: Literal["formulas", "motifs"] = "formulas",
    target: str | None = None,
    folds: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    column: str | None = None,
    id_column: str | None = None,
) -> Inputs:
    r"""Read materials, and what is to be predicted of them, from a file or a corpus.

    Parameters
    ----------
    source : path-like
        A corpus, or a file of formulas that `matembed.sources.read_formulas` reads.
    what : {"formulas", "motifs"}
        Formulas, or the motif graphs of a corpus of crystals.
    target : str, optional
        Name of a column of numbers to predict.
    folds : str, optional
        Name of a column of integers: the number of the fold in which the row is tested.
    labels : path-like, optional
        CSV, Parquet or JSON lines with an id, the target and the fold, for a corpus that does not hold them.
    column, id_column : str, optional
        Columns of the formulas and of the ids in a file; see `matembed.sources.read_formulas`.

    Returns
    -------
    Inputs
        In the order of the source.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If motifs are asked of formulas, the target or the folds are not there, a fold is no integer, or no row is
        left.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "gaps.csv"
    ...     _ = file.write_text("formula,gap\nNaCl,8.5\nXx2,1\nMgO,\n")
    ...     inputs = read_inputs(file, target="gap")
    >>> inputs.materials, list(inputs.rejected["reason"])
    (['NaCl'], ["'Xx2': 'Xx' is not a chemical element", 'gap is missing'])
    """
    path = Path(source)
    if (path / "config.json").is_file():
        usable, rejected = _of_corpus(Corpus.read(path), what, target, folds, labels, id_column)
    elif path.is_dir():
        msg = f"{path} is no corpus; make one first: matembed build {shlex.quote(str(path))} --out CORPUS"
        raise ValueError(msg)
    elif what == "motifs":
        msg = f"{path} is no corpus; motifs need one of crystals, made by: matembed build CRYSTALS --out CORPUS"
        raise ValueError(msg)
    elif labels is not None:
        msg = f"labels go with a corpus; {path} is a file of formulas: put the labels in columns of it"
        raise ValueError(msg)
    else:
        usable, rejected = _of_file(path, target, folds, column, id_column)
    if not usable:
        reasons = "; ".join(dict.fromkeys(str(row["reason"]) for row in rejected[:3])) or "it is empty"
        msg = f"no row of {path} can be used: {reasons}"
        raise ValueError(msg)
    if folds is not None:
        _as_integers(usable, folds)
    columns = [*_COLUMNS, *(["target"] if target is not None else []), *(["fold"] if folds is not None else [])]
    return Inputs(
        frame=pd.DataFrame([{name: row[name] for name in columns} for row in usable], columns=columns),
        materials=[row["material"] for row in usable],
        rejected=pd.DataFrame(rejected, columns=_REJECTED),
        rewritten=pd.DataFrame([row for row in usable if row.get("rewrites")], columns=_REWRITTEN),
    )


_Found = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def _of_file(path: Path, target: str | None, folds: str | None, column: str | None, id_column: str | None) -> _Found:
    usable: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    seen: set[str] = set()
    for row in read_formulas(path, column=column, id_column=id_column):
        if not isinstance(row, FormulaRow):
            rejected.append({name: getattr(row, name) for name in _REJECTED})
            continue
        seen |= row.properties.keys()
        try:
            parsed = parse_formula(row.formula)
            value = None if target is None else _number(row.properties.get(target), target)
            fold = None if folds is None else _present(row.properties.get(folds), folds)
        except ValueError as error:
            shown = shortened("" if row.formula is None else row.formula)
            rejected.append({"id": row.id, "row": row.row, "input": shown, "reason": str(error)})
            continue
        usable.append(
            {
                "id": row.id,
                "row": row.row,
                "input": shortened(row.formula),
                "rewrites": "; ".join(parsed.rewrites),
                "formula": parsed.formula,
                "material": parsed.formula,
                "target": value,
                "fold": fold,
            }
        )
    _refuse_absent(path, seen, target, folds)
    return usable, rejected


def _refuse_absent(path: str | os.PathLike[str], seen: Collection[str], target: str | None, folds: str | None) -> None:
    for name, wanted in ((target, "to predict"), (folds, "with the number of the fold that tests each row")):
        if name is not None and name not in seen:
            msg = f"{path} has no values in a column {name!r}; name the column {wanted}"
            raise ValueError(msg)


def _of_corpus(
    corpus: Corpus,
    what: str,
    target: str | None,
    folds: str | None,
    labels: str | os.PathLike[str] | None,
    id_column: str | None,
) -> _Found:
    listed = corpus.materials()
    properties_of = _properties(corpus, listed, target, folds, labels, id_column)
    graphs = dict(corpus.motif_graphs()) if what == "motifs" else {}
    usable: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for name, number, formula in zip(listed["id"], listed["row"], listed["formula"], strict=True):
        properties = properties_of.get(name, {})
        try:
            value = None if target is None else _number(properties.get(target), target)
            fold = None if folds is None else _present(properties.get(folds), folds)
        except ValueError as error:
            rejected.append({"id": name, "row": number, "input": formula, "reason": str(error)})
            continue
        material = graphs[name] if what == "motifs" else formula
        usable.append({"id": name, "formula": formula, "material": material, "target": value, "fold": fold})
    return usable, rejected


def _properties(
    corpus: Corpus,
    listed: pd.DataFrame,
    target: str | None,
    folds: str | None,
    labels: str | os.PathLike[str] | None,
    id_column: str | None,
) -> Mapping[str, Mapping[str, Any]]:
    """Look up the target and the fold of each material, by id."""
    wanted = [name for name in (target, folds) if name is not None]
    if labels is not None and wanted:
        properties = read_properties(labels, id_column=id_column)
        _refuse_absent(labels, set().union(*properties.values()), target, folds)
        if properties.keys().isdisjoint(listed["id"]):
            shown = f"{next(iter(properties))!r}, and an id of the corpus is {listed['id'].iloc[0]!r}"
            msg = f"no id of {labels} is in the corpus: its first is {shown}; name the column of ids: --id-column"
            raise ValueError(msg)
        return properties
    for name in wanted:
        if name not in listed:
            known = ", ".join(str(column) for column in listed if pd.api.types.is_numeric_dtype(listed[column]))
            msg = f"{corpus.path} holds no {name!r}; it has {known}; or pass a file with ids and {name!r} as labels"
            raise ValueError(msg)
    return dict(zip(listed["id"], listed[wanted].to_dict("records"), strict=True))


def _as_integers(usable: list[dict[str, Any]], folds: str) -> None:
    """Turn the numbers of folds into integers; what is none is no fault of its row but of the column."""
    for row in usable:
        try:
            number = float(row["fold"])
        except (TypeError, ValueError):
            number = math.nan
        if not number.is_integer():
            shown = f"{shortened(row['fold'], 40)!r} for {row['id']!r}"
            msg = f"column {folds!r} must hold integers, the fold that tests each row; got {shown}: name another"
            raise ValueError(msg)
        row["fold"] = int(number)


def _present(value: Any, name: str) -> Any:
    if value is None or value is pd.NA or str(value).lower() in ("", "nan"):
        msg = f"{name} is missing"
        raise ValueError(msg)
    return value


def _number(value: Any, name: str) -> float:
    present = _present(value, name)
    try:
        number = float(present)
    except (TypeError, ValueError):
        msg = f"{name} is not a number: {shortened(value, 40)!r}"
        raise ValueError(msg) from None
    if not math.isfinite(number):
        msg = f"{name} is {'missing' if math.isnan(number) else 'infinite'}"
        raise ValueError(msg)
    return number
