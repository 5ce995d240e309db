"""Featurizers: formulas or structures -> rows of features, as scikit-learn transformers.

A table may lack a token. What then happens is the choice of `on_missing`:

============ ==================================================================================================
"error"      raise `UnknownTokenError`, which names the material and the tokens
"nan"        the whole row of the material is NaN
"mean"       the token gets the mean of the table's vectors of its kind
"neighbours" the token gets the mean vector of the known tokens nearest to it. Elements: those of the same group
             at the smallest distance in periods (of the lanthanides or actinides, in atomic number); if there is
             none, those at the smallest distance in atomic number. Motifs: those with the same centre and
             geometry; else the same geometry; else the same coordination number; else all
"back_off"   the token gets the vector that `matembed.back_off` makes of its parts; a structure without motifs
             gets the mean of all
"zero"       the token gets a vector of zeros
============ ==================================================================================================
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from matembed.backoff import back_off, nearest_elements
from matembed.downstream.materials import Column, as_graph, as_list, read_amounts, read_bags, read_graphs, read_motifs
from matembed.downstream.motif_batch import MotifBatch
from matembed.downstream.motif_blocks import BLOCKS, MEASURED_BLOCKS, Block, block_columns, describe_motifs
from matembed.downstream.pooling import STATISTICS, Bags, Statistic, pool, root_mean_square_distance
from matembed.embeddings import EmbeddingTable, UnknownTokenError
from matembed.motifs import Engine, MotifGraph, Strategy
from matembed.motifs.valences import ValenceMethod
from matembed.tokens import Kind, parse_token

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = [
    "FeatureBlock",
    "FormulaFeaturizer",
    "MotifLevel",
    "OnMissing",
    "StructureFeaturizer",
    "motif_level",
    "motif_tokens",
]

OnMissing = Literal["error", "nan", "mean", "neighbours", "back_off", "zero"]
MotifLevel = Literal["species_motifs", "motifs", "geometries"]

FeatureBlock = Literal[Block, "vectors"]

_NO_MOTIFS = "(no motifs)"
_BATCH = 1000  # structures described at a time, so that their motifs need not all be in memory


class FormulaFeaturizer(TransformerMixin, BaseEstimator):
    """Pool the vectors of a formula's elements into one row of features, as a scikit-learn transformer.

    Nothing is learned from the formulas: `fit` checks the settings, and a row depends on its formula alone.
    Formulas with the same proportions, such as Sr2Ti2O6 and SrTiO3, get the same row.

    Parameters
    ----------
    embeddings : EmbeddingTable
        Vectors of elements, or of elements among other tokens.
    pooling : {"mean", "std", "min", "max", "range", "sum", "mode", "kernel_mean"} or sequence of them, default "mean"
        Statistics of the element vectors, each of which makes ``embeddings.dim`` columns.
        `matembed.downstream.pooling` defines them. "mean", "std" and "kernel_mean" are weighted by atomic fraction;
        "sum" is per reduced formula, and per formula as written where an amount is no integer.
    on_missing : {"error", "nan", "mean", "neighbours", "back_off", "zero"}, default "error"
        What to do about elements that have no vector; `matembed.downstream.features` defines each.
        A formula that cannot be read is always an error.

    Attributes
    ----------
    statistics_ : tuple of str
        `pooling`, as a tuple.
    n_features_out_ : int
        Columns of a row: ``len(statistics_) * embeddings.dim``.

    See Also
    --------
    StructureFeaturizer : The same for the motifs of structures.
    matembed.evaluate : What a table is worth, beside one-hot and random vectors.

    Examples
    --------
    >>> from matembed import Card, EmbeddingTable
    >>> table = EmbeddingTable(("H", "O"), [[1.0, 0.0], [4.0, 1.0]], Card("demo"))
    >>> featurizer = FormulaFeaturizer(table, pooling=["mean", "max"])
    >>> featurizer.fit_transform(["H2O", "O2"])
    array([[2. , 0.33, 4. , 1. ],
           [4. , 1. , 4. , 1. ]])
    >>> featurizer.get_feature_names_out()
    array(['mean_0', 'mean_1', 'max_0', 'max_1'], dtype=object)
    """

    def __init__(
        self,
        embeddings: EmbeddingTable,
        *,
        pooling: Statistic | Sequence[Statistic] = "mean",
        on_missing: OnMissing = "error",
    ) -> None:
        self.embeddings = embeddings
        self.pooling = pooling
        self.on_missing = on_missing

    def fit(self, X: "Column | None" = None, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Check the settings.

        Parameters
        ----------
        X : sequence of formulas, optional
            Not looked into; `transform` reads formulas.
        y : object, optional
            Ignored.

        Returns
        -------
        FormulaFeaturizer
            This transformer.

        Raises
        ------
        TypeError
            If `embeddings` is no EmbeddingTable.
        ValueError
            If a statistic or `on_missing` is unknown, or the table has no element.
        """
        self.statistics_ = _checked_settings(self.embeddings, self.pooling, self.on_missing)
        _elements(self.embeddings)
        self.n_features_out_ = len(self.statistics_) * self.embeddings.dim
        return self

    def transform(self, X: "Column") -> NDArray[np.float64]:
        """Pool each formula.

        Parameters
        ----------
        X : sequence of formulas, length n_formulas
            Text, pymatgen Composition, mapping of element to amount, or Structure or Crystal, of which the composition
            is read; in a list, tuple, 1-D array, Series, or array or DataFrame of one column.

        Returns
        -------
        float64 array, shape (n_formulas, n_features_out_)
            One row a formula; a DataFrame with the index of `X` after ``set_output(transform="pandas")``.

        Raises
        ------
        TypeError
            If `X` is a single formula or another object that is no column.
        FormulaError
            If a formula cannot be read; it names the position, counted from 0.
        UnknownTokenError
            If an element has no vector and `on_missing` is "error".
        """
        check_is_fitted(self)
        formulas = as_list(X, "formulas")
        return _pooled(
            read_bags(formulas),
            self.embeddings,
            dict.fromkeys(_elements(self.embeddings)),
            nearest_elements,
            self.statistics_,
            self.on_missing,
            name=lambda position: f"{_written(formulas[position])} (position {position})",
        )

    def missing(self, X: "Column") -> list[tuple[str, ...]]:
        """List the elements of each formula that have no learned vector: none at all, or one that is backed off.

        Parameters
        ----------
        X : sequence of formulas, length n_formulas
            As for `transform`.

        Returns
        -------
        list of tuple of str, length n_formulas
            Element symbols in alphabetical order; empty where nothing is missing.

        Raises
        ------
        FormulaError
            If a formula cannot be read.

        Examples
        --------
        >>> from matembed import Card, EmbeddingTable
        >>> table = EmbeddingTable(("H", "O"), [[1.0], [4.0]], Card("demo"))
        >>> FormulaFeaturizer(table).missing(["H2O", "PoO2"])
        [(), ('Po',)]
        """
        known = set(_elements(self.embeddings)) - self.embeddings.backed_off
        return [tuple(sorted(amounts.keys() - known)) for amounts in read_amounts(X)]

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Name the columns.

        Parameters
        ----------
        input_features : object, optional
            Ignored.

        Returns
        -------
        object array of str, shape (n_features_out_,)
            ``"{statistic}_{column of the table}"``, such as ``"mean_0"``.
        """
        check_is_fitted(self)
        return _feature_names(self.statistics_, self.embeddings.dim)

    def __sklearn_tags__(self) -> "Tags":
        return _column_tags(super().__sklearn_tags__(), string=True)


class StructureFeaturizer(TransformerMixin, BaseEstimator):
    """Describe a structure by its motifs, in one row of features, as a scikit-learn transformer.

    Nothing is learned from the structures, and nothing depends on how many sites the cell has: the same crystal given
    as another cell, in another orientation or with its sites in another order gets the same row.

    Parameters
    ----------
    embeddings : EmbeddingTable, optional
        Vectors of motifs or geometries, or of these among other tokens; for the block "vectors" alone.
    blocks : {"centres", "geometries", "connections", "size", "bond_lengths", "bond_physics", "vectors"} or sequence
        What to describe, by default the first three, which need no coordinates; see
        `matembed.downstream.motif_blocks`. With "vectors", the vectors of the motifs are pooled. The table decides
        which token of a motif is looked up: the one with the oxidation state of the centre (``Ti4+O6:O:6``) if the
        table has any such token, else the one without (``TiO6:O:6``) if it has any motif, else the geometry alone
        (``O:6``). There is no silent step from one to the next.
    pooling : {"mean", "std", "min", "max", "range", "sum", "mode", "kernel_mean"} or sequence of them, default "mean"
        Statistics of the motif vectors, each of which makes ``embeddings.dim`` columns.
        `matembed.downstream.pooling` defines them. "sum" is per reduced formula.
    on_missing : {"error", "nan", "mean", "neighbours", "back_off", "zero"}, default "error"
        What to do about motifs that have no vector, and about structures without motifs, where "neighbours"
        are all motifs of the table; `matembed.downstream.features` defines each.
    engine, strategy : str
        How to find the motifs of structures; see `matembed.find_motifs`. Of a mixture of environments, the likeliest
        counts.
    valences : {"structure", "bond_valence", "composition", "signs", "bv_analyzer", "none"}, optional
        Where oxidation states come from; see `matembed.find_motifs`. With "none" every site is the centre of a motif,
        a second view that a FeatureUnion can put beside the first.

    Attributes
    ----------
    blocks_ : tuple of str
        `blocks`, as a tuple.
    statistics_ : tuple of str
        `pooling`, as a tuple.
    n_features_out_ : int
        Columns of a row.

    See Also
    --------
    FormulaFeaturizer : Vectors of the elements of formulas.
    matembed.find_motifs : Finds motifs, with settings of its own; its graphs can be passed to `transform`.

    Examples
    --------
    >>> from matembed import Card, EmbeddingTable, Motif, MotifGraph
    >>> octahedron = Motif(0, "Na", None, "O:6", 0.0, ((1, (0, 0, 0)),) * 6, ("Cl",) * 6)
    >>> graph = MotifGraph("NaCl", ("Na", "Cl"), (octahedron,), (), "numba", "simplest", "none")
    >>> described = StructureFeaturizer(blocks="centres").set_output(transform="pandas").fit_transform([graph])
    >>> described[["centres: cn of lightest centre", "centres: octahedral share of alkali centres"]].to_numpy()
    array([[6., 1.]])
    >>> table = EmbeddingTable(("NaCl6:O:6", "O:6"), [[1.0, 2.0], [3.0, 4.0]], Card("demo"))
    >>> StructureFeaturizer(table, blocks="vectors").fit_transform([graph])
    array([[1., 2.]])
    """

    def __init__(
        self,
        embeddings: EmbeddingTable | None = None,
        *,
        blocks: FeatureBlock | Sequence[FeatureBlock] = ("centres", "geometries", "connections"),
        pooling: Statistic | Sequence[Statistic] = "mean",
        on_missing: OnMissing = "error",
        engine: Engine = "numba",
        strategy: Strategy = "simplest",
        valences: ValenceMethod | None = None,
    ) -> None:
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooling = pooling
        self.on_missing = on_missing
        self.engine = engine
        self.strategy = strategy
        self.valences = valences

    def fit(self, X: "Column | None" = None, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Check the settings.

        Parameters
        ----------
        X : sequence of structures, optional
            Not looked into; `transform` reads structures.
        y : object, optional
            Ignored.

        Returns
        -------
        StructureFeaturizer
            This transformer.

        Raises
        ------
        TypeError
            If the block "vectors" has no EmbeddingTable.
        ValueError
            If a block, a statistic or `on_missing` is unknown, the table has neither motifs nor geometries, or there
            is a table that no block uses.
        """
        self.blocks_ = _checked_blocks(self.blocks)
        if "vectors" in self.blocks_:
            self.statistics_ = _checked_settings(self.embeddings, self.pooling, self.on_missing)
            motif_level(self._table)
        elif self.embeddings is not None:
            msg = f"embeddings are used by the block 'vectors', got blocks={self.blocks!r}; add it, or leave them out"
            raise ValueError(msg)
        self.n_features_out_ = len(self.get_feature_names_out())
        return self

    def transform(self, X: "Column") -> NDArray[np.float64]:
        """Find the motifs of each structure and describe them.

        Parameters
        ----------
        X : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
            In a list, tuple, 1-D array, Series, or array or DataFrame of one column. Motifs of structures are
            found here, which takes most of the time: where rows are used more than once, pass arrays or graphs.

        Returns
        -------
        float64 array, shape (n_structures, n_features_out_)
            One row a structure; a DataFrame with the index of `X` after ``set_output(transform="pandas")``.

        Raises
        ------
        TypeError
            If `X` is a single structure or another object that is no column.
        ValueError
            If a block needs coordinates and `X` holds graphs.
        MotifError
            If the motifs of a structure cannot be found; it names the position, counted from 0.
        UnknownTokenError
            If a motif has no vector, or a structure no motif, and `on_missing` is "error".
        """
        check_is_fitted(self)
        structures = as_list(X, "structures")
        measured = not set(self.blocks_).isdisjoint(MEASURED_BLOCKS)
        described = {
            block: np.empty((len(structures), len(block_columns([block])))) for block in BLOCKS if block in self.blocks_
        }
        graphs: list[MotifGraph] = []
        for start in range(0, len(structures), _BATCH):
            rows = slice(start, start + _BATCH)
            found = read_motifs(structures[rows], first=start, **self._settings())
            if described:
                batch = MotifBatch.from_found(found, lengths=measured)
                for block, columns in described.items():
                    columns[rows] = describe_motifs(batch, [block])
            if "vectors" in self.blocks_:
                graphs += [as_graph(one, **self._settings()) for one in found]
        return np.hstack([self._pooled(graphs) if block == "vectors" else described[block] for block in self.blocks_])

    def _pooled(self, graphs: Sequence[MotifGraph]) -> NDArray[np.float64]:
        table, level = self._table, motif_level(self._table)
        n_units = [math.gcd(*Counter(graph.elements).values()) for graph in graphs]
        pairs = zip(graphs, n_units, strict=True)
        amounts = [Counter(motif_tokens(graph, level)) or {_NO_MOTIFS: n} for graph, n in pairs]
        return _pooled(
            Bags.from_amounts(amounts, n_units),
            table,
            dict.fromkeys(_tokens_of_kind(table, "geometry" if level == "geometries" else "motif")),
            _nearest_motifs,
            self.statistics_,
            self.on_missing,
            name=lambda position: f"{graphs[position].formula} (position {position})",
        )

    def missing(self, X: "Column") -> list[tuple[str, ...]]:
        """List the motifs of each structure that have no learned vector: none at all, or one that is backed off.

        Parameters
        ----------
        X : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
            As for `transform`.

        Returns
        -------
        list of tuple of str, length n_structures
            Tokens in alphabetical order, empty where nothing is missing; ``("(no motifs)",)`` for a structure
            without motifs.

        Raises
        ------
        TypeError
            If there is no table.
        MotifError
            If the motifs of a structure cannot be found.
        """
        table, level = self._table, motif_level(self._table)
        found = [set(motif_tokens(graph, level)) or {_NO_MOTIFS} for graph in read_graphs(X, **self._settings())]
        learned = set(table.tokens) - table.backed_off
        return [tuple(sorted(token for token in tokens if token not in learned)) for tokens in found]

    @property
    def _table(self) -> EmbeddingTable:
        return _checked_table(self.embeddings)

    def _settings(self) -> dict[str, Any]:
        return {"engine": self.engine, "strategy": self.strategy, "valences": self.valences}

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Name the columns.

        Parameters
        ----------
        input_features : object, optional
            Ignored.

        Returns
        -------
        object array of str, shape (n_features_out_,)
            ``"{block}: {column}"``, such as ``"centres: mean chi / cn"``; of vectors ``"{statistic}_{column of the
            table}"``, such as ``"mean_0"``.
        """
        check_is_fitted(self, "blocks_")
        names = [
            _feature_names(self.statistics_, self._table.dim) if block == "vectors" else block_columns([block])
            for block in self.blocks_
        ]
        return np.concatenate([np.array(some, dtype=object) for some in names])

    def __sklearn_tags__(self) -> "Tags":
        return _column_tags(super().__sklearn_tags__(), string=False)


def motif_level(table: EmbeddingTable) -> MotifLevel:
    """Find the most specific tokens of motifs that a table holds.

    Parameters
    ----------
    table : EmbeddingTable
        Any table.

    Returns
    -------
    {"species_motifs", "motifs", "geometries"}
        Motifs with oxidation states, motifs without, or geometries alone.

    Raises
    ------
    ValueError
        If it holds none of them.

    Examples
    --------
    >>> from matembed import Card
    >>> motif_level(EmbeddingTable(("TiO6:O:6", "O:6", "Ti"), [[1.0], [2.0], [3.0]], Card("demo")))
    'motifs'
    """
    motifs = [token for token, kind in zip(table.tokens, table.kinds, strict=True) if kind == "motif"]
    if any(parse_token(token).oxidation is not None for token in motifs):
        return "species_motifs"
    if motifs:
        return "motifs"
    if "geometry" in table.kinds:
        return "geometries"
    msg = f"{table!r} holds no motif (TiO6:O:6) and no geometry (O:6), {_holdings(table)}; choose a table of motifs"
    raise ValueError(msg)


def motif_tokens(graph: MotifGraph, level: MotifLevel) -> list[str]:
    """Write the motifs of a graph as tokens.

    Parameters
    ----------
    graph : MotifGraph
        Any graph.
    level : {"species_motifs", "motifs", "geometries"}
        With oxidation states where they are known, without, or geometries alone.

    Returns
    -------
    list of str, length n_motifs
        Tokens, in the order of ``graph.motifs``.
    """
    match level:
        case "species_motifs":
            return [motif.species_token for motif in graph.motifs]
        case "motifs":
            return [motif.token for motif in graph.motifs]
        case _:
            return [motif.geometry for motif in graph.motifs]


def _tokens_of_kind(table: EmbeddingTable, kind: Kind) -> list[str]:
    return [token for token, other in zip(table.tokens, table.kinds, strict=True) if other == kind]


def _elements(table: EmbeddingTable) -> list[str]:
    elements = _tokens_of_kind(table, "element")
    if not elements:
        msg = f"{table!r} holds no element, {_holdings(table)}; formulas name elements: choose a table of elements"
        raise ValueError(msg)
    return elements


def _holdings(table: EmbeddingTable) -> str:
    counts = Counter(kind or "unknown" for kind in table.kinds)
    return "only " + ", ".join(f"{n} {kind}" for kind, n in counts.most_common()) + " tokens" if counts else "nothing"


def _checked_blocks(blocks: str | Sequence[str]) -> tuple[FeatureBlock, ...]:
    known = (*BLOCKS, "vectors")
    several = (blocks,) if isinstance(blocks, str) else tuple(blocks)
    if not several or len(set(several)) < len(several) or not set(several) <= set(known):
        msg = f"blocks must be one or more of {', '.join(known)}, each once; got {blocks!r}"
        raise ValueError(msg)
    return cast("tuple[FeatureBlock, ...]", several)


def _checked_table(embeddings: object) -> EmbeddingTable:
    if not isinstance(embeddings, EmbeddingTable):
        got = f"{type(embeddings).__name__} {embeddings!r:.60}"
        msg = f"embeddings must be an EmbeddingTable, got {got}; use matembed.load(name) or EmbeddingTable.read(path)"
        raise TypeError(msg)
    return embeddings


def _checked_settings(
    embeddings: object, pooling: Statistic | Sequence[Statistic], on_missing: str
) -> tuple[Statistic, ...]:
    _checked_table(embeddings)
    statistics: tuple[Statistic, ...] = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    wrong = [statistic for statistic in statistics if statistic not in STATISTICS]
    if wrong or not statistics or len(set(statistics)) < len(statistics):
        msg = f"pooling must be one or more of {', '.join(STATISTICS)}, each once; got {pooling!r}"
        raise ValueError(msg)
    if on_missing not in get_args(OnMissing):
        msg = f"on_missing must be one of {', '.join(get_args(OnMissing))}, got {on_missing!r}"
        raise ValueError(msg)
    return statistics


def _feature_names(statistics: Sequence[str], dim: int) -> NDArray[np.object_]:
    return np.array([f"{statistic}_{column}" for statistic in statistics for column in range(dim)], dtype=object)


def _column_tags(tags: "Tags", *, string: bool) -> "Tags":
    tags.input_tags.two_d_array = False
    tags.input_tags.one_d_array = True
    tags.input_tags.string = string
    return tags


def _pooled(
    bags: Bags,
    table: EmbeddingTable,
    known: Collection[str],
    nearest: Callable[[str, Collection[str]], list[str]],
    statistics: Sequence[Statistic],
    on_missing: OnMissing,
    name: Callable[[int], str],
) -> NDArray[np.float64]:
    missing = np.array([token not in known for token in bags.tokens], dtype=bool)
    touched = np.unique(bags.bag_idx[missing[bags.token_idx]])
    if on_missing == "error" and len(touched):
        inside = bags.token_idx[bags.starts[touched[0]] : bags.starts[touched[0] + 1]]
        unknown = ", ".join(bags.tokens[idx] for idx in inside if missing[idx])
        others = f" and in {len(touched) - 1:,} more of {len(bags):,} materials" if len(touched) > 1 else ""
        msg = (
            f"no vector for {unknown} in {name(int(touched[0]))}{others}; {len(known):,} are known: choose another "
            'table, leave such materials out, or pass on_missing="mean", "neighbours", "back_off", "zero" or "nan"'
        )
        raise UnknownTokenError(msg)
    vectors = np.zeros((len(bags.tokens), table.dim))
    lacking = [token for idx, token in enumerate(bags.tokens) if missing[idx] and token != _NO_MOTIFS]
    whole = back_off(table, lacking) if on_missing == "back_off" else table
    for idx, token in enumerate(bags.tokens):
        if token in whole and (on_missing == "back_off" or not missing[idx]):
            vectors[idx] = whole[token]
        elif on_missing in ("mean", "neighbours", "back_off"):
            stand_ins = nearest(token, known) if on_missing == "neighbours" else known
            rows = [table.row(stand_in) for stand_in in stand_ins]
            vectors[idx] = table.vectors[rows].mean(axis=0, dtype=np.float64)
    bandwidth = 1.0
    if "kernel_mean" in statistics:
        bandwidth = root_mean_square_distance(table.vectors[[table.row(token) for token in known]])
    pooled = pool(bags, vectors, statistics, bandwidth=bandwidth)
    if on_missing == "nan":
        pooled[touched] = np.nan
    return pooled


def _nearest_motifs(token: str, known: Collection[str]) -> list[str]:
    if token == _NO_MOTIFS:
        return list(known)
    wanted = parse_token(token)
    others = [(text, parse_token(text)) for text in known]
    same_geometry = [(text, other) for text, other in others if other.geometry == wanted.geometry]
    same_centre = [(text, other) for text, other in same_geometry if other.element == wanted.element]
    same_cn = [(text, other) for text, other in others if other.cn == wanted.cn]
    return [text for text, _ in same_centre or same_geometry or same_cn or others]


def _written(formula: object) -> str:
    (amounts,) = read_amounts([formula])
    return "".join(symbol + (f"{amount:g}" if amount != 1 else "") for symbol, amount in amounts.items())
