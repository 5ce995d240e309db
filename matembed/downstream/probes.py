"""Probes: what a table knows of chemistry, asked of its vectors alone, beside one-hot and random vectors.

Elements, up to plutonium:

===================== =========================================================================================
probe                 score
===================== =========================================================================================
electronegativity     R² of Pauling's electronegativity
atomic_radius         R² of Slater's atomic radius, Å
molar_volume          R² of the molar volume of the element, cm³/mol
melting_point         R² of its melting point, K
same_group@1          share of elements whose nearest neighbour is of the same group; lanthanides are a group,
                      and actinides
same_group@R          share of the same group among the R nearest, R the number of others in the group
same_block@5          share of the same block, s, p, d or f, among the five nearest
analogy@1, analogy@5  share of "Na is to K as Mg is to ?" in which the answer, Ca, is the nearest to K - Na + Mg, or
                      among the five nearest: corners of rectangles of neighbouring groups and periods
effective_rank        (sum of l)² / sum of l², l the variances along the principal axes: from 1 to dim
===================== =========================================================================================

Species and motifs, where no element is both learned from and tested, so that the element itself gives nothing away:

======================== ======================================================================================
probe                    score
======================== ======================================================================================
species_oxidation_state  R² of the oxidation state
species_ionic_radius     R² of Shannon's ionic radius, Å, averaged over coordination numbers as in pymatgen's
                         ``Element.ionic_radii``
motif_geometry           share of motifs whose nearest neighbour with another centre has the same geometry, of
                         two geometries or more with 20 motifs each
motif_cn                 R² of the coordination number
motif_oxidation_state    R² of the oxidation state of the centre, of tokens that have it
======================== ======================================================================================

R² is that of "ridge" of `matembed.downstream.models` in ten folds, all that is learned being learned on nine of them:
0 for predicting the mean, 1 for knowing all. Likeness is the cosine after centring. Tied neighbours share their rank,
so that vectors that are all alike score what chance scores. A property table that holds a probed property scores near
1 by construction; that is no evidence.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core.periodic_table import Element
from sklearn.model_selection import GroupKFold, cross_val_predict

from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.feature_sets import named_tables
from matembed.downstream.models import make_model
from matembed.downstream.retrieval import cosines, hit_rates
from matembed.embeddings import EmbeddingTable
from matembed.tokens import Kind, Token, parse_token

__all__ = ["probe"]

_LAST = 94  # plutonium; of heavier elements little is measured
_N_FOLDS = 10
_FEWEST = 2 * _N_FOLDS  # tokens of a probe
_COMMON = 20  # motifs of a geometry
_ONE_HOT_COLUMNS = 1000
_PROPERTIES = {
    "electronegativity": "X",
    "atomic_radius": "atomic_radius",
    "molar_volume": "molar_volume",
    "melting_point": "melting_point",
}


class _Finding(NamedTuple):
    probe: str
    score: float
    standard_error: float
    n: int


def probe(
    tables: EmbeddingTable | Mapping[str, EmbeddingTable],
    *,
    max_motifs: int = 2000,
    n_random: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask tables what they know of elements, species and motifs.

    `matembed.downstream.probes` defines each probe. Those of which a table holds too few tokens, 20 or two
    geometries of 20 motifs, are left out, and so are tokens that were backed off: their vectors were made from their
    neighbours.

    Parameters
    ----------
    tables : EmbeddingTable or mapping of str to EmbeddingTable
        Tables of elements, species or motifs, by name; one table goes by the name on its card.
    max_motifs : int, default 2000
        The most motifs of a table that are asked; they are drawn with `seed` where there are more.
    n_random : int, default 3
        Random tables that each table is set beside, whose scores are averaged.
    seed : int, default 0
        Of the folds, the random tables, and the motifs drawn.

    Returns
    -------
    DataFrame
        One row for each table, set of vectors and probe: ``table``; ``vectors``, "table", "one_hot" or "random", the
        latter with the tokens of the table and as many columns, one-hot with one a token, or 1,000 and one for the
        rest; ``probe``; ``score``; ``standard_error``, over elements, motifs or analogies, by the jackknife for R²,
        where whole elements are left out at a time; ``n``, the number of tokens or analogies.

    Raises
    ------
    TypeError
        If `tables` are of the wrong kind.
    ValueError
        If `max_motifs` or `n_random` is not positive, or nothing can be asked of a table.

    See Also
    --------
    matembed.evaluate : What a table is worth in predictions.
    matembed.retrieval : Whether crystals of one structure type are alike.

    Examples
    --------
    >>> from matembed import Card
    >>> symbols = [Element.from_Z(number).symbol for number in range(1, 57)]
    >>> places = [[Element(symbol).row, Element(symbol).group] for symbol in symbols]
    >>> asked = probe(EmbeddingTable(tuple(symbols), places, Card("places"))).set_index(["vectors", "probe"])["score"]
    >>> bool(asked["table", "electronegativity"] > 0.5 > 0 > asked["one_hot", "electronegativity"])
    True
    """
    for what, number in (("max_motifs", max_motifs), ("n_random", n_random)):
        if number < 1:
            msg = f"{what} must be 1 or more, got {number}"
            raise ValueError(msg)
    found: list[dict[str, Any]] = []
    for name, table in named_tables(tables).items():
        asked = [
            row
            for kind, ask in _ASKED.items()
            for row in _beside_baselines(_tokens_of(table, kind, max_motifs, seed), table, ask, n_random, seed)
        ]
        if not asked:
            msg = f"table {name!r} has too few elements, species or motifs to ask about; each probe takes {_FEWEST}"
            raise ValueError(msg)
        found += [{"table": name, **row} for row in asked]
    return pd.DataFrame(found)


_Ask = Callable[[list[Token], NDArray[np.float64], int], Iterator[_Finding]]


def _tokens_of(table: EmbeddingTable, kind: Kind, most: int, seed: int) -> list[str]:
    """List the tokens that are asked about, in an order of their own, so that the table's does not matter."""
    kinds = zip(table.tokens, table.kinds, strict=True)
    tokens = sorted(token for token, known in kinds if known == kind and token not in table.backed_off)
    if kind == "element":
        return [token for token in tokens if Element(token).Z <= _LAST]
    if kind != "motif" or len(tokens) <= most:
        return tokens
    return np.random.default_rng(seed).permutation(tokens)[:most].tolist()


def _beside_baselines(
    tokens: list[str], table: EmbeddingTable, ask: _Ask, n_random: int, seed: int
) -> Iterator[dict[str, Any]]:
    if len(tokens) < _FEWEST:
        return
    parsed = [parse_token(token) for token in tokens]
    order = np.random.default_rng(seed).permutation(tokens).tolist()
    sets = [
        ("table", [table]),
        ("one_hot", [one_hot_table(order[:_ONE_HOT_COLUMNS], rest=order[_ONE_HOT_COLUMNS:])]),
        ("random", [random_table(tokens, table.dim, seed=seed + draw) for draw in range(n_random)]),
    ]
    for vectors, alternatives in sets:
        answers = [list(ask(parsed, _vectors(each, tokens), seed)) for each in alternatives]
        for draws in zip(*answers, strict=True):
            means = {field: float(np.mean([getattr(draw, field) for draw in draws])) for field in _Finding._fields[1:3]}
            yield {"vectors": vectors, "probe": draws[0].probe, **means, "n": draws[0].n}


def _vectors(table: EmbeddingTable, tokens: Sequence[str]) -> NDArray[np.float64]:
    return table.vectors[[table.row(token) for token in tokens]].astype(np.float64)


def _elements(tokens: list[Token], vectors: NDArray[np.float64], seed: int) -> Iterator[_Finding]:
    elements = [Element(str(token.element)) for token in tokens]
    apart = np.arange(len(elements))
    for name in _PROPERTIES:
        yield from _explained(name, vectors, [_property(element.symbol, name) for element in elements], apart, seed)
    similarity = cosines(vectors)
    others = ~np.eye(len(elements), dtype=bool)
    same_group, same_block = (
        np.equal.outer(*[np.array([of(element) for element in elements])] * 2) for of in (_group, _block)
    )
    yield _mean("same_group@1", hit_rates(similarity, same_group, others, 1))
    yield _mean("same_group@R", hit_rates(similarity, same_group, others, None))
    yield _mean("same_block@5", hit_rates(similarity, same_block, others, 5))
    yield from _analogies(elements, vectors)
    variances = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    rank = variances.sum() ** 2 / (variances**2).sum() if variances.any() else 0.0
    yield _Finding("effective_rank", float(rank), math.nan, len(elements))


def _species(tokens: list[Token], vectors: NDArray[np.float64], seed: int) -> Iterator[_Finding]:
    charges = [math.nan if token.oxidation is None else token.oxidation for token in tokens]
    radii = [_ionic_radius(token) for token in tokens]
    centres = np.array([token.element for token in tokens])
    yield from _explained("species_oxidation_state", vectors, charges, centres, seed)
    yield from _explained("species_ionic_radius", vectors, radii, centres, seed)


def _motifs(tokens: list[Token], vectors: NDArray[np.float64], seed: int) -> Iterator[_Finding]:
    centres = np.array([token.element for token in tokens])
    count = Counter(token.geometry for token in tokens)
    common = np.array([count[token.geometry] >= _COMMON for token in tokens])
    if common.any():
        geometries = np.array([token.geometry for token in tokens])[common]
        same, allowed = np.equal.outer(geometries, geometries), np.not_equal.outer(centres[common], centres[common])
        if (same & allowed).any() and not same.all():
            yield _mean("motif_geometry", hit_rates(cosines(vectors[common]), same, allowed, 1))
    numbers = [math.nan if token.cn is None else float(token.cn) for token in tokens]
    charges = [math.nan if token.oxidation is None else token.oxidation for token in tokens]
    yield from _explained("motif_cn", vectors, numbers, centres, seed)
    yield from _explained("motif_oxidation_state", vectors, charges, centres, seed)


def _explained(
    name: str, vectors: NDArray[np.float64], values: Sequence[float], groups: NDArray[Any], seed: int
) -> Iterator[_Finding]:
    """Predict a property in folds that keep groups together; yield R², if there are enough that know it."""
    target = np.asarray(values, dtype=np.float64)
    known = np.isfinite(target)
    y, members = target[known], pd.factorize(groups[known])[0]
    n_groups = int(members.max(initial=-1)) + 1
    if len(y) < _FEWEST or n_groups < 2 or not np.ptp(y):
        return
    folds = GroupKFold(min(_N_FOLDS, n_groups), shuffle=True, random_state=seed)
    # One decomposition serves all penalties: the same numbers, several times faster where rows outnumber columns.
    model = make_model("ridge").set_params(ridgecv__gcv_mode="svd")
    predicted = cross_val_predict(model, vectors[known], y, groups=members, cv=folds)
    errors = np.bincount(members, (predicted - y) ** 2)
    sizes, sums, squares = np.bincount(members), np.bincount(members, y), np.bincount(members, y**2)

    def r2(left_out: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute R² without each of some groups; a row of `left_out` for each answer."""
        kept = 1 - left_out
        spread = kept @ squares - (kept @ sums) ** 2 / (kept @ sizes)
        return np.asarray(1 - (kept @ errors) / spread)

    without = r2(np.eye(n_groups))
    jackknife = math.sqrt((n_groups - 1) / n_groups * float(((without - without.mean()) ** 2).sum()))
    yield _Finding(name, float(r2(np.zeros((1, n_groups)))[0]), jackknife, len(y))


def _analogies(elements: list[Element], vectors: NDArray[np.float64]) -> Iterator[_Finding]:
    """Complete rectangles of the periodic table, each from three of its corners in turn."""
    position = {element.symbol: idx for idx, element in enumerate(elements)}
    corners = [[position[symbol] for symbol in four] for four in _rectangles() if position.keys() >= set(four)]
    if not corners:
        return
    centred = vectors - vectors.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(norms > 0, norms, 1)
    hits = []
    for a, b, c, d in corners:
        offset = unit[b] - unit[a] + unit[c]
        nearness = np.round(unit @ offset / (np.linalg.norm(offset) or 1), 9)
        rivals = np.delete(nearness, [a, b, c, d])
        n_above, n_tied = (rivals > nearness[d]).sum(), (rivals == nearness[d]).sum() + 1
        hits.append([min(1, max(0, (k - n_above) / n_tied)) for k in (1, 5)])
    for k, shares in zip((1, 5), np.array(hits).T, strict=True):
        yield _mean(f"analogy@{k}", shares)


@lru_cache(maxsize=1)
def _rectangles() -> tuple[tuple[str, str, str, str], ...]:
    """List (a, b, c, d), a to b as c to d, of neighbouring groups and periods 2 to 6, with each corner last once."""
    at = {
        (element.row, element.group): element.symbol
        for element in map(Element.from_Z, range(1, _LAST + 1))
        if not (element.is_lanthanoid or element.is_actinoid)
    }
    found = []
    for period in range(2, 6):
        groups = [group for group in range(1, 19) if (period, group) in at and (period + 1, group) in at]
        for left, right in pairwise(groups):
            a, b = at[period, left], at[period + 1, left]
            c, d = at[period, right], at[period + 1, right]
            found += [(a, b, c, d), (b, a, d, c), (c, d, a, b), (d, c, b, a)]
    return tuple(found)


def _group(element: Element) -> int:
    return 57 if element.is_lanthanoid else 89 if element.is_actinoid else element.group


def _block(element: Element) -> str:
    return str(element.block)


@lru_cache(maxsize=1024)
def _property(symbol: str, name: str) -> float:
    """Look up a property, NaN where it is not known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pymatgen warns of each that is not known
        value = getattr(Element(symbol), _PROPERTIES[name])
    return math.nan if value is None else float(value)


def _ionic_radius(token: Token) -> float:
    if token.oxidation is None or token.oxidation % 1:
        return math.nan
    return float(Element(str(token.element)).ionic_radii.get(int(token.oxidation), math.nan))


def _mean(name: str, shares: NDArray[np.float64]) -> _Finding:
    spread = float(np.std(shares, ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else math.nan
    return _Finding(name, float(np.mean(shares)) if len(shares) else math.nan, spread, len(shares))


_ASKED: dict[Kind, _Ask] = {"element": _elements, "species": _species, "motif": _motifs}
