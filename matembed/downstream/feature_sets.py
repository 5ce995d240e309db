"""Feature sets: one matrix of features for each table and for each of its baselines, all of the same materials."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.controls import cell_sizes, shuffled_motifs
from matembed.downstream.features import (
    FormulaFeaturizer,
    MotifLevel,
    OnMissing,
    StructureFeaturizer,
    motif_level,
    motif_tokens,
)
from matembed.downstream.materials import read_amounts, read_graphs
from matembed.downstream.pooling import Statistic
from matembed.downstream.tasks import LabelledMaterials
from matembed.embeddings import EmbeddingTable, UnknownTokenError
from matembed.motifs import MotifGraph

__all__ = ["KEYS", "FeatureSet", "make_feature_sets", "named_tables"]

KEYS = ("row", "fold", "target")  # columns beside the predictions of feature sets, whose names are not free
_MOST_COLUMNS = 1000  # of one-hot motifs: 138,000 crystals take 2.2 GB with two statistics

Level = Literal["elements"] | MotifLevel


class FeatureSet(NamedTuple):
    """One set of features: a row for each material.

    Attributes
    ----------
    name : str
        Name of the table, or such as "one_hot_elements", "random_elements_64", "shuffled_{table}", "size_only",
        "dummy".
    kind : {"table", "baseline"}
        Whether it is evaluated, or stands beside for comparison.
    dim : int
        Length of a vector; number of columns of "size_only"; 0 for the dummy, which has no features.
    rows : float array, shape (n_materials, n_columns)
        Pooled vectors.
    magnitude : float array, shape (n_columns,)
        Largest absolute number of the table behind each column; of "size_only", of the column.
    n_missing : int
        Materials with a token that the table lacks.
    column : str
        Its name in a table of predictions, in which each draw of random vectors or shuffled motifs has its own.
    draw : int
        Number of the draw of random vectors or shuffled motifs, else 0.
    """

    name: str
    kind: Literal["table", "baseline"]
    dim: int
    rows: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    n_missing: int
    column: str
    draw: int = 0

    def facts(self) -> dict[str, Any]:
        """Tell what a table of scores says of the set.

        Returns
        -------
        dict
            ``features``, ``kind``, ``draw``, ``dim``, ``n_features``, ``n_missing``.
        """
        n_features = self.rows.shape[1] if self.dim else 0
        named = {"features": self.name, "kind": self.kind, "draw": self.draw}
        return named | {"dim": self.dim, "n_features": n_features, "n_missing": self.n_missing}


def named_tables(tables: EmbeddingTable | Mapping[str, EmbeddingTable]) -> dict[str, EmbeddingTable]:
    """Give every table a name.

    Parameters
    ----------
    tables : EmbeddingTable or mapping of str to EmbeddingTable
        One table goes by the name on its card.

    Returns
    -------
    dict of str to EmbeddingTable
        One or more.

    Raises
    ------
    TypeError
        If they are something else.
    ValueError
        If there are none.
    """
    named = {tables.card.name: tables} if isinstance(tables, EmbeddingTable) else tables
    if not isinstance(named, Mapping) or not all(isinstance(table, EmbeddingTable) for table in named.values()):
        msg = f"tables must be an EmbeddingTable or a mapping of names to them, got {tables!r:.80}"
        raise TypeError(msg)
    if not named:
        msg = "tables is empty; pass at least one EmbeddingTable"
        raise ValueError(msg)
    return dict(named)


def make_feature_sets(
    named: Mapping[str, EmbeddingTable],
    labelled: LabelledMaterials,
    *,
    pooling: Statistic | Sequence[Statistic],
    on_missing: OnMissing,
    n_random: int,
    seed: int,
) -> list[FeatureSet]:
    """Make the features of tables, then those of their baselines.

    Parameters
    ----------
    named : mapping of str to EmbeddingTable
        Tables of elements, motifs or geometries, by name.
    labelled : LabelledMaterials
        The materials; motifs of structures are found once, if a table needs them.
    pooling : str or sequence of str
        Statistics; see `FormulaFeaturizer`.
    on_missing : str
        What to do about tokens without a vector; see `FormulaFeaturizer`.
    n_random : int
        Random tables of each size, and shuffles of each table of motifs, drawn with `seed`, `seed` + 1, ...
    seed : int
        Of the first random table and the first shuffle.

    Returns
    -------
    list of FeatureSet
        Tables in their order; then one-hot and random vectors of elements and of each level of motifs that a table
        looks up; then, if a table looks up motifs, each such table with its motifs shuffled, and size alone; last the
        dummy.

    Raises
    ------
    ValueError
        If a setting is refused, a table has the name of a baseline, or no structure has a motif.
    UnknownTokenError
        If a table lacks a token and `on_missing` is "error"; the message begins with its name.

    Notes
    -----
    "shuffled_{table}" and "size_only" are those of `matembed.downstream.controls`.
    """
    if n_random < 1:
        msg = f"n_random must be 1 or more, got {n_random}"
        raise ValueError(msg)
    levels = {name: _level(table, labelled.crystals) for name, table in named.items()}
    for name, table in named.items():
        _featurizer(levels[name], table, pooling, on_missing).fit()  # refuses settings before motifs are looked for
    formulas = labelled.formulas
    graphs = read_graphs(labelled.materials) if set(levels.values()) != {"elements"} else []
    pooled = []
    for name, table in named.items():
        column = formulas if levels[name] == "elements" else graphs
        featurizer = _featurizer(levels[name], table, pooling, on_missing)
        try:
            rows = featurizer.fit_transform(column)
        except UnknownTokenError as error:
            msg = f"table {name!r}: {error}"
            raise UnknownTokenError(msg) from error
        n_missing = sum(map(bool, featurizer.missing(column)))
        pooled.append(FeatureSet(name, "table", table.dim, rows, _magnitude(table, rows), n_missing, column=name))
    dims = {level: sorted({t.dim for name, t in named.items() if levels[name] == level}) for level in levels.values()}
    baselines = []
    for level in dict.fromkeys(["elements", *levels.values()]):
        column = formulas if level == "elements" else graphs
        for name, label, table, draw in _ignorant(
            _tokens(formulas, graphs, level), graphs, level, dims, n_random, seed
        ):
            rows = _featurizer(level, table, pooling, "zero").fit_transform(column)
            baselines.append(FeatureSet(name, "baseline", table.dim, rows, _magnitude(table, rows), 0, label, draw))
    of_motifs = [name for name in named if levels[name] != "elements"]
    mixed = [shuffled_motifs(graphs, seed=seed + draw) for draw in range(n_random if of_motifs else 0)]
    for name, (draw, column) in product(of_motifs, enumerate(mixed)):
        table, control = named[name], f"shuffled_{name}"
        featurizer = _featurizer(levels[name], table, pooling, on_missing)
        rows, n_missing = featurizer.fit_transform(column), sum(map(bool, featurizer.missing(column)))
        label = _label(control, draw, n_random)
        magnitude = _magnitude(table, rows)
        baselines.append(FeatureSet(control, "baseline", table.dim, rows, magnitude, n_missing, label, draw))
    if of_motifs:
        rows = cell_sizes(labelled.materials, graphs)
        magnitude = np.abs(rows).max(axis=0)
        baselines.append(FeatureSet("size_only", "baseline", rows.shape[1], rows, magnitude, 0, "size_only"))
    baselines.append(FeatureSet("dummy", "baseline", 0, np.zeros((len(formulas), 1)), np.zeros(1), 0, "dummy"))
    taken = {*KEYS, *(features.name for features in baselines), *(features.column for features in baselines)}
    if not taken.isdisjoint(named):
        msg = f"no table can go by the name {min(taken & set(named))!r}, which is taken; choose another"
        raise ValueError(msg)
    return pooled + baselines


def _ignorant(
    tokens: list[str], graphs: list[MotifGraph], level: Level, dims: Mapping[Level, list[int]], n_random: int, seed: int
) -> Iterator[tuple[str, str, EmbeddingTable, int]]:
    """Make the tables of a level that know no chemistry, each with its name, its column and its draw."""
    yield f"one_hot_{level}", f"one_hot_{level}", _one_hot(tokens, graphs, level), 0
    for dim, draw in product(dims.get(level, ()), range(n_random)):
        name = f"random_{level}_{dim}"
        yield name, _label(name, draw, n_random), random_table(tokens, dim, seed=seed + draw), draw


def _label(name: str, draw: int, n_draws: int) -> str:
    return f"{name}.{draw}" if n_draws > 1 else name


def _level(table: EmbeddingTable, crystals: bool) -> Level:
    return motif_level(table) if crystals and not {"motif", "geometry"}.isdisjoint(table.kinds) else "elements"


def _featurizer(
    level: Level, table: EmbeddingTable, pooling: Statistic | Sequence[Statistic], on_missing: OnMissing
) -> FormulaFeaturizer | StructureFeaturizer:
    if level == "elements":
        return FormulaFeaturizer(table, pooling=pooling, on_missing=on_missing)
    return StructureFeaturizer(table, blocks="vectors", pooling=pooling, on_missing=on_missing)


def _tokens(formulas: list[Any], graphs: list[MotifGraph], level: Level) -> list[str]:
    """List every token of the materials, sorted."""
    if level == "elements":
        return sorted(set().union(*read_amounts(formulas)))
    found = {token for graph in graphs for token in motif_tokens(graph, level)}
    if not found:
        msg = "none of the structures has a motif; use a table of elements"
        raise ValueError(msg)
    return sorted(found)


def _one_hot(tokens: list[str], graphs: list[MotifGraph], level: Level) -> EmbeddingTable:
    """Give a column to every token, or to those that most materials hold."""
    if level == "elements" or len(tokens) <= _MOST_COLUMNS:
        return one_hot_table(tokens)
    held = Counter(token for graph in graphs for token in set(motif_tokens(graph, level)))
    ranked = sorted(tokens, key=lambda token: (-held[token], token))
    return one_hot_table(ranked[:_MOST_COLUMNS], rest=ranked[_MOST_COLUMNS:])


def _magnitude(table: EmbeddingTable, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest absolute number of the table behind each pooled column."""
    largest = np.abs(table.vectors).max(axis=0, initial=0).astype(np.float64)
    return np.tile(largest, rows.shape[1] // max(table.dim, 1))
