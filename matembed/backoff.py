"""Back-off: vectors for the tokens that a table lacks, made from their parts or neighbours and flagged.

A made vector is a guess, better than none: `back_off_error` says how good the guesses of a table are. Which guess a
token gets depends on what the table has *learned*; made vectors are never built upon. The first that applies:

======== =========================================================================================================
element  mean vector of the nearest elements (`nearest_elements`); in a table without elements, mean of the species
         of the element, or of its nearest elements
species  `PartsModel` of the species; in a table without species, the vector of its element, learned or made
motif    `PartsModel` of the motifs that, like it, are written with an oxidation state, or without; in a table of
         the other spelling only, the vector of the same motif in it (the mean, where oxidation states are many),
         else its `PartsModel`; in a table without motifs, the vector of the geometry, else half the vector of the
         centre's element and half those of the ligands by their share, else the vector made for the geometry
geometry `PartsModel` of the geometries, beside the mean vector of the motifs of that geometry, if any; in a table
         without geometries, the mean vector of the motifs of that geometry, or else of the nearest coordination
         number
======== =========================================================================================================

Where a corpus writes oxidation states, motifs without one are those whose valences could not be settled, found in
other company: over 2,500 oxides (walks, 49 motifs with both spellings) the cosine of ``MgO6:O:6`` to ``Mg2+O6:O:6`` and
the like averages 0.02, that of the model 0.56. So the other spelling stands in only where there is no other choice.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from matembed.embeddings import EmbeddingTable, add_step
from matembed.tokens import Kind, Token, kind_of, parse_token

__all__ = ["BackOffCosines", "PartsModel", "back_off", "back_off_error", "nearest_elements"]

_RIDGE = 1.0
_LEFT_OUT = 0.1  # share of the tokens that each split of back_off_error leaves out

_Value = str | float | None
_Part = tuple[str, _Value]  # role and value, such as ("centre", "Ti") or ("cn", 6)


class BackOffCosines(NamedTuple):
    """How close made vectors are to learned ones that were left out: mean cosine similarities, at most 1.

    Attributes
    ----------
    backed_off : float
        Of the vectors that `back_off` makes.
    mean_vector : float
        Of the mean vector of the kind, the trivial guess to beat.
    """

    backed_off: float
    mean_vector: float


def nearest_elements(symbol: str, known: Collection[str]) -> list[str]:
    """Find the elements nearest to one in the periodic table.

    Parameters
    ----------
    symbol : str
        Element symbol.
    known : collection of str
        Symbols to choose from.

    Returns
    -------
    list of str
        Those of the same group at the smallest distance in periods; of the lanthanides or actinides, at the
        smallest distance in atomic number. If none is known, those at the smallest distance in atomic number. The
        order is that of `known`; the element itself, if known, is nearest.

    Raises
    ------
    ValueError
        If there is no such element.

    Examples
    --------
    >>> nearest_elements("Na", ["F", "Mg", "Li", "K", "Cs"])
    ['Li', 'K']
    >>> nearest_elements("Pm", ["Fe", "La", "Gd", "Np"])
    ['Gd']
    """
    from pymatgen.core.periodic_table import Element

    def family(element: Element) -> tuple[bool, bool, int]:
        return element.is_lanthanoid, element.is_actinoid, element.group

    wanted = Element(symbol)
    others = [Element(other) for other in known]
    same_family = [other for other in others if family(other) == family(wanted)]
    by_period = bool(same_family) and not (wanted.is_lanthanoid or wanted.is_actinoid)
    distance = {
        other.symbol: abs(other.row - wanted.row) if by_period else abs(other.Z - wanted.Z)
        for other in same_family or others
    }
    return [other for other, steps in distance.items() if steps == min(distance.values())]


@dataclass(kw_only=True, eq=False)
class PartsModel:
    """Additive model of vectors: a token's vector is the sum of the vectors of its parts, fitted by ridge regression.

    The parts of a species are its element and oxidation state; of a motif, its centre, the oxidation state of the
    centre if written, its geometry and coordination number, and each ligand element by its share of the ligands; of
    a geometry, its coordination number. Each is a column of ones and zeros (of shares for ligands); the oxidation
    state over 8 and the coordination number over 12 are numeric columns besides.

    A part that the model has not seen borrows from those it has: an element from its nearest elements
    (`nearest_elements`), an oxidation state or coordination number from the nearest number, an unwritten oxidation
    state from those of the same centre. A new geometry is told by its coordination number alone.

    Parameters
    ----------
    ridge : float, default 1.0
        Penalty on the squares of the coefficients; the intercept has none. At 1, a part seen in n tokens keeps
        about n / (n + 1) of its effect, so a single sighting counts half. From 0.1 to 10, it makes little odds:
        cosines of left-out motifs of 2,500 oxides (ContextSVD) stayed within 0.48 and 0.49.

    Attributes
    ----------
    intercept_ : float64 array, shape (dim,)
        Vector of a token whose parts all have no effect.
    coefficients_ : float64 array, shape (n_parts, dim)
        Vector of each part.
    kind_ : {"species", "motif", "geometry"}
        Kind of the tokens.

    See Also
    --------
    back_off : Adds the vectors of such models to a table.

    Examples
    --------
    >>> vectors = {"Ti3+": [3, 0], "Ti4+": [4, 0], "V3+": [3, 1], "V4+": [4, 1], "Mn3+": [3, 2]}
    >>> model = PartsModel(ridge=1e-6).fit(list(vectors), list(vectors.values()))
    >>> model.predict(["Mn4+", "Tc3+"]).round(2)  # Tc borrows from Mn, of its group
    array([[4., 2.],
           [3., 2.]])
    """

    ridge: float = _RIDGE
    intercept_: NDArray[np.float64] = field(init=False, repr=False)
    coefficients_: NDArray[np.float64] = field(init=False, repr=False)
    kind_: Kind = field(init=False, repr=False)
    _columns: dict[_Part, int] = field(init=False, repr=False)
    _oxidations: dict[str, set[float]] = field(init=False, repr=False)

    def fit(self, tokens: Sequence[str], vectors: ArrayLike) -> Self:
        """Fit the vectors of the parts.

        Parameters
        ----------
        tokens : sequence of str, length n_tokens
            Species, motifs or geometries, of one kind.
        vectors : array-like, shape (n_tokens, dim)
            Their vectors.

        Returns
        -------
        PartsModel
            Itself, fitted.

        Raises
        ------
        ValueError
            If `ridge` is not positive, there are no tokens, they are of other kinds or of more than one, or the
            vectors do not fit them.
        """
        if not 0 < self.ridge < np.inf:
            msg = f"ridge must be a finite number, more than 0, got {self.ridge!r}"
            raise ValueError(msg)
        parsed = [parse_token(token) for token in tokens]
        kinds = {token.kind for token in parsed}
        if len(kinds) != 1 or not kinds <= {"species", "motif", "geometry"}:
            msg = f"tokens must be species, motifs or geometries, one kind at a time, got {sorted(kinds) or 'none'}"
            raise ValueError(msg)
        targets = np.asarray(vectors, dtype=np.float64)
        if targets.ndim != 2 or len(targets) != len(parsed):
            msg = f"{len(parsed)} tokens need vectors of shape ({len(parsed)}, dim), got {targets.shape}"
            raise ValueError(msg)
        self.kind_ = kinds.pop()
        rows = [_parts(token, (token.oxidation,)) for token in parsed]
        self._columns = {}
        for part in (part for row in rows for part, _ in row):
            self._columns.setdefault(part, len(self._columns))
        self._oxidations = {}
        for token in parsed:
            if token.element is not None and token.oxidation is not None:
                self._oxidations.setdefault(token.element, set()).add(token.oxidation)
        design = self._design([[(self._columns[part], amount) for part, amount in row] for row in rows])
        centre, goal = np.asarray(design.mean(axis=0)), targets.mean(axis=0)
        with threadpool_limits(limits=1):  # another number of threads, another order of sums, other bytes
            gram = (design.T @ design).toarray() - len(rows) * np.outer(centre, centre)
            gram[np.diag_indices_from(gram)] += self.ridge
            self.coefficients_ = linalg.solve(gram, design.T @ (targets - goal), assume_a="pos")
            self.intercept_ = goal - centre @ self.coefficients_
        return self

    def predict(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """Sum the vectors of the parts.

        Parameters
        ----------
        tokens : sequence of str, length n_tokens
            Of the kind that was fitted.

        Returns
        -------
        float64 array, shape (n_tokens, dim)
            One row a token.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If a token is of another kind.
        """
        if not hasattr(self, "coefficients_"):
            from sklearn.exceptions import NotFittedError

            msg = "this PartsModel is not fitted yet; call fit(tokens, vectors) first"
            raise NotFittedError(msg)
        known: dict[str, list[_Value]] = defaultdict(list)
        for role, value in self._columns:
            known[role].append(value)
        columns: dict[_Part, list[int]] = {}
        rows = []
        for token in map(parse_token, tokens):
            if token.kind != self.kind_:
                msg = f"this model was fitted to {self.kind_} tokens, got {str(token)!r}; fit another for its kind"
                raise ValueError(msg)
            row = []
            for part, amount in _parts(token, self._states(token, known["oxidation"])):
                if part not in columns:
                    stand_ins = _stand_ins(part, known[part[0]])
                    columns[part] = [self._columns[part[0], value] for value in stand_ins]
                row += [(column, amount / len(columns[part])) for column in columns[part]]
            rows.append(row)
        with threadpool_limits(limits=1):
            return self._design(rows) @ self.coefficients_ + self.intercept_

    def _states(self, token: Token, known: Collection[_Value]) -> tuple[float | None, ...]:
        """List the oxidation states that a token may stand for: its own or, unwritten, those seen with its centre."""
        if token.oxidation is not None or token.element is None or None in known:
            return (token.oxidation,)
        centres = nearest_elements(token.element, list(self._oxidations))
        return tuple(sorted({state for centre in centres for state in self._oxidations[centre]}))

    def _design(self, rows: Sequence[Sequence[tuple[int, float]]]) -> sparse.csr_array:
        """Lay out the (column, amount) pairs of each token as a matrix, shape (n_tokens, n_parts)."""
        row_idx = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        column_idx = np.array([column for row in rows for column, _ in row], dtype=np.int64)
        amounts = np.array([amount for row in rows for _, amount in row], dtype=np.float64)
        shape = (len(rows), len(self._columns))
        return sparse.coo_array((amounts, (row_idx, column_idx)), shape=shape).tocsr()


def _parts(token: Token, states: Sequence[float | None]) -> list[tuple[_Part, float]]:
    """List the parts of a token and their amounts; oxidation states that it may stand for share one part."""
    parts: list[tuple[_Part, float]] = []
    if token.element is not None:
        parts.append((("centre", token.element), 1.0))
        parts += [(("oxidation", state), 1 / len(states)) for state in states]
        parts.append((("charge", None), sum(state or 0.0 for state in states) / len(states) / 8))
    if token.cn is not None:
        parts += [(("cn", token.cn), 1.0), (("size", None), token.cn / 12)]
        parts += [(("ligand", symbol), amount / token.cn) for symbol, amount in token.ligands]
    if token.kind == "motif":
        parts.append((("geometry", token.geometry), 1.0))
    return parts


def _stand_ins(part: _Part, known: Sequence[_Value]) -> list[_Value]:
    """Find which values seen in a role stand in for one, itself if it was seen."""
    role, value = part
    if value in known:
        return [value]
    if role in ("centre", "ligand"):
        return list(nearest_elements(cast("str", value), cast("list[str]", known)))
    if role == "geometry":
        return []
    numbers = [number for number in known if isinstance(number, int | float)]
    return list(_nearest_numbers(cast("float", value), numbers)) or list(known)


def _nearest_numbers(number: float, known: Collection[float]) -> list[float]:
    least = min((abs(each - number) for each in known), default=0)
    return [each for each in known if abs(each - number) == least]


def back_off(table: EmbeddingTable, tokens: Iterable[str]) -> EmbeddingTable:
    """Add vectors for tokens that a table lacks, made from their parts or neighbours, and flag them.

    The head of `matembed.backoff` says how each kind is made. Elements, species, motifs and geometries can be;
    every element has a nearest one, so a table of elements covers all formulas, and a table of motifs all motifs.

    Parameters
    ----------
    table : EmbeddingTable
        What was learned. Vectors that are flagged already are kept but not built upon.
    tokens : iterable of str
        Tokens that shall have a vector.

    Returns
    -------
    EmbeddingTable
        The table with the lacking tokens added at the end, as they come, and named in `backed_off`; the very same
        table if none lacks. The card says so, in the setting ``steps``. Made vectors are somewhat shorter than
        learned ones; normalize afterwards where the length matters.

    Raises
    ------
    TypeError
        If `tokens` is a single text.
    ValueError
        If a lacking token is of another kind, or the table has learned nothing that it could be made from.

    See Also
    --------
    back_off_error : Says how good made vectors are.
    PartsModel : The model of species, motifs and geometries.

    Examples
    --------
    >>> from matembed import Card
    >>> table = EmbeddingTable(("Li", "K", "Cl"), [[1.0, 0.1], [0.8, 0.3], [-1.0, 0.3]], Card("demo"))
    >>> more = back_off(table, ["Li", "Na"])
    >>> more
    EmbeddingTable('demo', 4 tokens, dim 2, 1 backed off)
    >>> more["Na"].tolist()
    [0.9, 0.2]
    """
    if isinstance(tokens, str):
        msg = f"tokens is a list of tokens, got the text {tokens!r}; pass [{tokens!r}] for one"
        raise TypeError(msg)
    lacking = [token for token in dict.fromkeys(tokens) if token not in table]
    if not lacking:
        return table
    learned = _Learned(table)
    makers: dict[Kind | None, Callable[[Sequence[str]], NDArray[np.float64]]] = {
        "element": learned.make_elements,
        "species": learned.make_species,
        "motif": learned.make_motifs,
        "geometry": learned.make_geometries,
    }
    by_kind: dict[Kind | None, list[int]] = defaultdict(list)
    for idx, token in enumerate(lacking):
        kind = kind_of(token)
        if kind not in makers:
            got = f"{token!r}, a token of kind {kind}" if kind else f"{token!r}, which is no token: see matembed.tokens"
            msg = f"a vector can be made for an element, species, motif or geometry, got {got}; leave it out"
            raise ValueError(msg)
        by_kind[kind].append(idx)
    made = np.zeros((len(lacking), table.dim))
    for kind, rows_idx in by_kind.items():
        made[rows_idx] = makers[kind]([lacking[idx] for idx in rows_idx])
    return EmbeddingTable(
        (*table.tokens, *lacking),
        np.vstack([table.vectors, made.astype(np.float32)]),
        add_step(table.card, "back_off", n_tokens=len(lacking), ridge=_RIDGE),
        table.backed_off.union(lacking),
    )


class _Learned:
    """The learned part of a table, by kind, and what can be made from it."""

    def __init__(self, table: EmbeddingTable) -> None:
        self.table = table
        self.tokens: dict[Kind | None, list[str]] = defaultdict(list)
        for token, kind in zip(table.tokens, table.kinds, strict=True):
            if token not in table.backed_off:
                self.tokens[kind].append(token)

    def make_elements(self, symbols: Sequence[str]) -> NDArray[np.float64]:
        if not self._by_element:
            raise self._nothing_for(symbols[0], "elements or species")
        known = list(self._by_element)
        return np.array([self._mean(nearest_elements(symbol, known), self._by_element) for symbol in symbols])

    def make_species(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        if self.tokens["species"]:
            return self._model(self.tokens["species"]).predict(tokens)
        if not self.tokens["element"]:
            raise self._nothing_for(tokens[0], "species or elements")
        return self.make_elements([cast("str", parse_token(token).element) for token in tokens])

    def make_motifs(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        if not self.tokens["motif"]:
            return self._motifs_without_motifs(tokens)
        vectors = np.zeros((len(tokens), self.table.dim))
        for charged in (True, False):
            asked = [idx for idx, token in enumerate(tokens) if _is_charged(token) == charged]
            if asked:
                vectors[asked] = self._motifs_spelled([tokens[idx] for idx in asked], charged=charged)
        return vectors

    def make_geometries(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        known, motifs = self.tokens["geometry"], self._motifs_by_geometry
        if not known and not motifs:
            raise self._nothing_for(tokens[0], "geometries or motifs")
        if not known:
            return np.array([self._mean(_nearest_geometries(token, list(motifs)), motifs) for token in tokens])
        model = self._model(known)
        vectors = model.predict(tokens)
        both = [token for token in known if token in motifs]
        helped = [idx for idx, token in enumerate(tokens) if token in motifs]
        if len(both) < 2 or not helped:
            return vectors
        means = np.array([self._mean([token], motifs) for token in both])
        means_model = PartsModel().fit(both, means)
        extra, missed = means - means_model.predict(both), self._vectors(both) - model.predict(both)
        weight = np.sum(extra * missed) / max(np.sum(extra**2), np.finfo(np.float64).tiny)
        asked = [tokens[idx] for idx in helped]
        own_means = np.array([self._mean([token], motifs) for token in asked])
        vectors[helped] += weight * (own_means - means_model.predict(asked))
        return vectors

    @cached_property
    def _by_element(self) -> dict[str, list[str]]:
        if self.tokens["element"]:
            return {symbol: [symbol] for symbol in self.tokens["element"]}
        return self._grouped("species", lambda token: token.element)

    @cached_property
    def _motifs_by_neutral(self) -> dict[str, list[str]]:
        return self._grouped("motif", lambda token: str(token.without_oxidation()))

    @cached_property
    def _motifs_by_geometry(self) -> dict[str, list[str]]:
        return self._grouped("motif", lambda token: token.geometry)

    def _grouped(self, kind: Kind, key: Callable[[Token], str | None]) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for token in self.tokens[kind]:
            groups.setdefault(cast("str", key(parse_token(token))), []).append(token)
        return groups

    def _motifs_spelled(self, tokens: Sequence[str], *, charged: bool) -> NDArray[np.float64]:
        """Make motifs that all have an oxidation state, or all have none."""
        alike = [token for token in self.tokens["motif"] if _is_charged(token) == charged]
        if alike:
            return self._model(alike).predict(tokens)
        vectors = self._model(self.tokens["motif"]).predict(tokens)
        for idx, token in enumerate(tokens):
            neutral = str(parse_token(token).without_oxidation())
            if neutral in self._motifs_by_neutral:
                vectors[idx] = self._mean([neutral], self._motifs_by_neutral)
        return vectors

    def _motifs_without_motifs(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """Make motifs from their geometry, or else from the elements of centre and ligands, half each."""
        if not self._by_element and not self.tokens["geometry"]:
            raise self._nothing_for(tokens[0], "motifs, geometries, elements or species")
        parsed = [parse_token(token) for token in tokens]
        geometries = dict.fromkeys(str(token.geometry) for token in parsed)
        learned = [geometry for geometry in geometries if geometry in self.tokens["geometry"]]
        by_geometry = dict(zip(learned, self._vectors(learned), strict=True))
        if not self._by_element:
            made = [geometry for geometry in geometries if geometry not in by_geometry]
            by_geometry |= zip(made, self.make_geometries(made), strict=True)
        rest = [token for token in parsed if token.geometry not in by_geometry]
        symbols = sorted({symbol for token in rest for symbol in (token.element, *dict(token.ligands)) if symbol})
        by_element = dict(zip(symbols, self.make_elements(symbols), strict=True)) if rest else {}
        vectors = np.zeros((len(tokens), self.table.dim))
        for idx, token in enumerate(parsed):
            if token.geometry in by_geometry:
                vectors[idx] = by_geometry[token.geometry]
            else:
                shares = ((symbol, amount / cast("int", token.cn)) for symbol, amount in token.ligands)
                ligands = sum(share * by_element[symbol] for symbol, share in shares)
                vectors[idx] = (by_element[cast("str", token.element)] + ligands) / 2
        return vectors

    def _model(self, tokens: Sequence[str]) -> PartsModel:
        return PartsModel().fit(tokens, self._vectors(tokens))

    def _vectors(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        return self.table.vectors[[self.table.row(token) for token in tokens]].astype(np.float64)

    def _mean(self, keys: Sequence[str], groups: dict[str, list[str]]) -> NDArray[np.float64]:
        return self._vectors([token for key in keys for token in groups[key]]).mean(axis=0)

    def _nothing_for(self, token: str, wanted: str) -> ValueError:
        return ValueError(
            f"no vector can be made for {token!r}: {self.table!r} has learned no {wanted}; choose another table"
        )


def _is_charged(token: str) -> bool:
    return parse_token(token).oxidation is not None


def _nearest_geometries(geometry: str, known: Sequence[str]) -> list[str]:
    """Find the geometry itself, or else those of the nearest coordination number."""
    if geometry in known:
        return [geometry]
    numbers = {each: cast("int", parse_token(each).cn) for each in known}
    nearest = _nearest_numbers(cast("int", parse_token(geometry).cn), numbers.values())
    return [each for each, cn in numbers.items() if cn in nearest]


def back_off_error(table: EmbeddingTable, *, kind: Kind, n_splits: int = 5, seed: int = 0) -> BackOffCosines:
    """Measure how well `back_off` guesses vectors of a table, on learned tokens that are left out.

    Each split leaves out a tenth of the learned tokens of the kind, at random, at least one, and makes them from the
    rest of the table.

    Parameters
    ----------
    table : EmbeddingTable
        The table; tokens of other kinds help to make the vectors, as in `back_off`.
    kind : {"element", "species", "motif", "geometry"}
        Which tokens to leave out.
    n_splits : int, default 5
        How many splits.
    seed : int, default 0
        Where the choice of tokens starts from.

    Returns
    -------
    BackOffCosines
        Mean cosine similarity of learned and made vectors, and of learned vectors and the mean vector of the kind
        without them. Where all vectors lean one way both are high, so judge by the difference.

    Raises
    ------
    ValueError
        If `kind` is another, the table has learned fewer than two such tokens, or `n_splits` is not positive.

    Examples
    --------
    >>> from matembed import Card
    >>> tokens = ("Li", "Na", "K", "Rb", "F", "Cl", "Br", "I")
    >>> table = EmbeddingTable(tokens, [[1.0, 0.1 * n] if n < 4 else [-1.0, 0.1 * n] for n in range(8)], Card("demo"))
    >>> back_off_error(table, kind="element")
    BackOffCosines(backed_off=1.00, mean_vector=-0.05)
    """
    if kind not in ("element", "species", "motif", "geometry"):
        msg = f'kind must be "element", "species", "motif" or "geometry", got {kind!r}'
        raise ValueError(msg)
    if n_splits < 1:
        msg = f"n_splits must be 1 or more, got {n_splits}"
        raise ValueError(msg)
    tokens = _Learned(table).tokens[kind]
    if len(tokens) < 2:
        msg = f"leaving tokens out needs two learned {kind} tokens or more, got {len(tokens)}; choose another table"
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    n_left_out = max(1, round(_LEFT_OUT * len(tokens)))
    made_cosines, mean_cosines = [], []
    for _ in range(n_splits):
        left_out = {tokens[idx] for idx in rng.permutation(len(tokens))[:n_left_out]}
        rest = table.subset([token for token in table.tokens if token not in left_out])
        asked = sorted(left_out)
        truth = table.subset(asked).vectors
        made_cosines.append(_cosines(truth, back_off(rest, asked).subset(asked).vectors))
        mean = rest.subset([token for token in tokens if token not in left_out]).vectors.mean(axis=0, dtype=np.float64)
        mean_cosines.append(_cosines(truth, mean))
    return BackOffCosines(float(np.mean(made_cosines)), float(np.mean(mean_cosines)))


def _cosines(first: NDArray[np.float32], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Measure the cosine similarities of rows, 0 where either is all zeros."""
    dots = np.sum(first * second.astype(np.float64), axis=1)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=-1)
    return dots / np.where(lengths > 0, lengths, 1)
