"""Materials to predict on, from a file of formulas or a corpus; what cannot be used is listed, not lost."""

import math
import os
from collections.abc import Callable
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
        Columns ``id`` and ``formula``, and ``target`` if one was asked for.
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
    labels : path-like, optional
        CSV, Parquet or JSON lines with an id and the target, for a corpus that does not hold it.
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
        If motifs are asked of formulas, the target is not there, or no row is left.

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
        usable, rejected = _of_corpus(Corpus.read(path), what, target, labels, id_column)
    elif what == "motifs":
        msg = f"{path} holds no motifs; make a corpus of crystals first: matembed build {path} --out CORPUS"
        raise ValueError(msg)
    elif path.is_dir():
        msg = f"{path} is no corpus; make one first: matembed build {path} --out CORPUS"
        raise ValueError(msg)
    elif labels is not None:
        msg = f"labels go with a corpus; {path} is a file of formulas: put the target in a column of it"
        raise ValueError(msg)
    else:
        usable, rejected = _of_file(path, target, column, id_column)
    if not usable:
        reasons = "; ".join(dict.fromkeys(str(row["reason"]) for row in rejected[:3])) or "it is empty"
        msg = f"no row of {path} can be used: {reasons}"
        raise ValueError(msg)
    columns = _COLUMNS if target is None else [*_COLUMNS, "target"]
    return Inputs(
        frame=pd.DataFrame([{name: row[name] for name in columns} for row in usable], columns=columns),
        materials=[row["material"] for row in usable],
        rejected=pd.DataFrame(rejected, columns=_REJECTED),
        rewritten=pd.DataFrame([row for row in usable if row.get("rewrites")], columns=_REWRITTEN),
    )


_Found = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def _of_file(path: Path, target: str | None, column: str | None, id_column: str | None) -> _Found:
    usable: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    seen = False
    for row in read_formulas(path, column=column, id_column=id_column):
        if not isinstance(row, FormulaRow):
            rejected.append({name: getattr(row, name) for name in _REJECTED})
            continue
        seen = seen or target in row.properties
        try:
            parsed = parse_formula(row.formula)
            value = None if target is None else _number(row.properties.get(target), target)
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
            }
        )
    if target is not None and not seen:
        msg = f"{path} has no values in a column {target!r}; name the column to predict"
        raise ValueError(msg)
    return usable, rejected


def _of_corpus(
    corpus: Corpus, what: str, target: str | None, labels: str | os.PathLike[str] | None, id_column: str | None
) -> _Found:
    listed = corpus.materials()
    value_of = _targets(corpus, listed, target, labels, id_column)
    graphs = dict(corpus.motif_graphs()) if what == "motifs" else {}
    usable: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for name, number, formula in zip(listed["id"], listed["row"], listed["formula"], strict=True):
        try:
            value = value_of(name)
        except ValueError as error:
            rejected.append({"id": name, "row": number, "input": formula, "reason": str(error)})
            continue
        material = graphs[name] if what == "motifs" else formula
        usable.append({"id": name, "formula": formula, "material": material, "target": value})
    return usable, rejected


def _targets(
    corpus: Corpus,
    listed: pd.DataFrame,
    target: str | None,
    labels: str | os.PathLike[str] | None,
    id_column: str | None,
) -> Callable[[str], float | None]:
    if target is None:
        return lambda _: None
    if labels is not None:
        properties = read_properties(labels, id_column=id_column)
        if not any(target in row for row in properties.values()):
            msg = f"{labels} has no values in a column {target!r}; name the column to predict"
            raise ValueError(msg)
        if properties.keys().isdisjoint(listed["id"]):
            shown = f"{next(iter(properties))!r}, and an id of the corpus is {listed['id'].iloc[0]!r}"
            msg = f"no id of {labels} is in the corpus: its first is {shown}; name the column of ids: --id-column"
            raise ValueError(msg)
        return lambda name: _number(properties.get(name, {}).get(target), target)
    if target not in listed:
        known = ", ".join(str(column) for column in listed if pd.api.types.is_numeric_dtype(listed[column]))
        msg = f"{corpus.path} holds no {target!r}; it has {known}; or pass a file with ids and the target as labels"
        raise ValueError(msg)
    values = dict(zip(listed["id"], listed[target], strict=True))
    return lambda name: _number(values[name], target)


def _number(value: Any, name: str) -> float:
    if value is None or value is pd.NA or value == "":
        msg = f"{name} is missing"
        raise ValueError(msg)
    try:
        number = float(value)
    except (TypeError, ValueError):
        msg = f"{name} is not a number: {shortened(value, 40)!r}"
        raise ValueError(msg) from None
    if math.isnan(number):
        msg = f"{name} is missing"
        raise ValueError(msg)
    if math.isinf(number):
        msg = f"{name} is infinite"
        raise ValueError(msg)
    return number
