"""Formulas -> ContextCounts: what else a formula holds beside an element, in named views.

=========== =======================================================================================================
"rest"      the rest of the formula, with all amounts: ``"(1)O3Ti"`` for Sr in SrTiO3 [1]_
"ratios"    another element, and how many atoms of it for one of this: ``"3 O"``
"templates" all amounts without the other elements: ``"(1)1,3"``
=========== =======================================================================================================

Each reduced formula counts once, however often it is listed. A pure element has nothing beside it.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from matembed.cards import Card
from matembed.corpus._first_rows import FirstRows
from matembed.corpus.context_counts import ContextCounts, ContextTally
from matembed.corpus.contexts import formula_sentences
from matembed.tokens import parse_token

if TYPE_CHECKING:
    from pymatgen.core.composition import Composition

__all__ = ["FORMULA_CONTEXTS", "FormulaContexts", "count_formula_contexts"]

FormulaContexts = Literal["rest", "ratios", "templates"]
FORMULA_CONTEXTS: tuple[FormulaContexts, ...] = get_args(FormulaContexts)

_AT_ONCE = 20_000


def count_formula_contexts(
    formulas: "Iterable[str | Composition]",
    views: FormulaContexts | Sequence[FormulaContexts] = "rest",
    *,
    exclude: Collection[str] = (),
    card: Card | None = None,
) -> dict[str, ContextCounts]:
    """Count what elements are seen with in formulas.

    Parameters
    ----------
    formulas : iterable of str or pymatgen Composition
        Any formulas; those of the same proportions, such as Sr2Ti2O6 and SrTiO3, count once.
    views : {"rest", "ratios", "templates"} or sequence of them, default "rest"
        Which contexts to count; `matembed.corpus.formula_contexts` defines each.
    exclude : collection of str
        Formulas to leave out, in any spelling, such as those a benchmark tests.
    card : Card, optional
        Name, source, licence and citation of the formulas.

    Returns
    -------
    dict of str to ContextCounts
        By view, in the order asked for.

    Raises
    ------
    ValueError
        If a view is unknown, or no formula of two elements or more is left.
    FormulaError
        If a formula cannot be read.

    See Also
    --------
    matembed.count_contexts : The same for crystals.
    matembed.ContextSVD : Learns vectors from them.

    References
    ----------
    .. [1] Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018), Atom2Vec.

    Examples
    --------
    >>> counts = count_formula_contexts(["SrTiO3", "Sr2Ti2O6", "BaTiO3"], ["rest", "ratios"])
    >>> counts["rest"].commonest("Sr"), counts["ratios"].commonest("Ti")
    ([('(1)O3Ti', 1.0)], [('3 O', 2.0), ('1 Ba', 1.0), ('1 Sr', 1.0)])
    """
    wanted = (views,) if isinstance(views, str) else tuple(views)
    wrong = [view for view in wanted if view not in FORMULA_CONTEXTS]
    if wrong or not wanted:
        msg = f"views must be one or more of {', '.join(FORMULA_CONTEXTS)}; got {wrong[0] if wrong else views!r}"
        raise ValueError(msg)
    if isinstance(exclude, str):
        msg = f"exclude is a list of formulas, got the text {exclude!r}; pass [{exclude!r}] for one"
        raise TypeError(msg)
    left_out = {_environments(formula) for formula in exclude}
    tallies = {view: ContextTally() for view in wanted}
    seen, n_seen, n_excluded = FirstRows(), 0, 0
    numbered = enumerate(filter(None, map(_environments, formulas)))
    while some := list(islice(numbered, _AT_ONCE)):
        first = seen.add([str(pairs) for _, pairs in some], [row for row, _ in some])
        new = [pairs for (row, pairs), before in zip(some, first, strict=True) if before == row]
        kept = [pairs for pairs in new if pairs not in left_out]
        n_seen, n_excluded = n_seen + len(kept), n_excluded + len(new) - len(kept)
        for view, tally in tallies.items():
            _add(tally, view, kept)
    if not n_seen:
        msg = "wanted formulas of two elements or more, got none; nothing can be counted"
        raise ValueError(msg)
    behind = card or Card("formulas")
    counts = {"formulas": n_seen, "excluded": n_excluded}
    return {
        view: tally.counts(
            view,
            Card(
                name=f"{behind.name}-{view}",
                what=f"Contexts of elements in formulas: view {view!r}.",
                source=behind.source,
                licence=behind.licence,
                citation=behind.citation,
                corpus={"name": behind.name, "counts": dict(behind.counts), "settings": dict(behind.settings)},
                counts=counts,
                settings={"view": view, "weights": "a formula counts once"},
                versions=behind.versions,
            ),
        )
        for view, tally in tallies.items()
    }


def _environments(formula: "str | Composition") -> tuple[tuple[str, str], ...]:
    """List each element of a formula with its environment; the same for all spellings of a formula."""
    return tuple((element, rest) for element, rest in formula_sentences(formula, "environments"))


def _add(tally: ContextTally, view: str, formulas: Iterable[tuple[tuple[str, str], ...]]) -> None:
    elements: dict[str, int] = {}
    contexts: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for pairs in formulas:
        for element, rest in pairs:
            for context in _contexts(view, rest):
                rows.append(elements.setdefault(element, len(elements)))
                columns.append(contexts.setdefault(context, len(contexts)))
    words = list(contexts)
    codes = [np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)]
    tally.add((list(elements), lambda column: words[column]), codes, np.ones(len(rows)))


def _contexts(view: str, rest: str) -> list[str]:
    if view == "rest":
        return [rest]
    token = parse_token(rest)
    own = token.amount or 1.0
    if view == "templates":
        return [f"({own:g})" + ",".join(f"{amount:g}" for amount in sorted(amount for _, amount in token.ligands))]
    return [f"{amount / own:.4g} {symbol}" for symbol, amount in token.ligands]
