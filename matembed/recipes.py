"""Recipes: one call from formulas or motif tables to the vectors of elements, species or motifs.

Each recipe names its views and their weights, which were chosen on six tuning tasks (``benchmarks/embeddings.md``), and
hands out an ordinary `EmbeddingTable` whose card holds every setting.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from matembed.backoff import back_off
from matembed.cards import Card
from matembed.corpus.contexts import formula_sentences
from matembed.corpus.formula_contexts import count_formula_contexts
from matembed.corpus.formulas import reduced_formulas
from matembed.corpus.motif_contexts import MotifContexts, SiteContexts, count_contexts
from matembed.corpus.motif_tables import MotifTables
from matembed.corpus.site_statistics import count_sites
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import check_count
from matembed.encoders.context_svd import ContextSVD, View
from matembed.encoders.masked_set import MaskedSet
from matembed.encoders.site_net import SiteNet

__all__ = ["fit_elements", "fit_formula_elements", "fit_motifs", "fit_species"]

_LAST_ELEMENT = 103
_CONTACTS = 0.4  # weight of the view, beside 1 for all networks of a kind


def fit_formula_elements(
    formulas: Iterable[str],
    *,
    exclude: Collection[str] = (),
    dim: int | None = 512,
    n_networks: int = 6,
    seed: int = 0,
    name: str = "elements-from-formulas",
    card: Card | None = None,
    progress: bool = False,
) -> EmbeddingTable:
    """Learn element vectors from formulas alone.

    Several `MaskedSet` networks, which guess hidden elements of formulas, vote by standing side by side in one
    `ContextSVD` whose singular values are squared: what they agree on is kept, what one seed made up is not. The table
    is then turned and widened at random (`EmbeddingTable.rebase`, `EmbeddingTable.widen`). Without networks,
    environments of elements in formulas take their place, in seconds.

    Parameters
    ----------
    formulas : iterable of str
        Formulas; each reduced formula counts once.
    exclude : collection of str
        Formulas to leave out, in any spelling, such as those a benchmark tests.
    dim : int or None, default 512
        Length of the vectors; None leaves them as the decomposition made them, neither turned nor widened.
    n_networks : int, default 6
        Networks to train, with `seed`, `seed` + 1, ...; 0 for counts only. Needs PyTorch unless 0.
    seed : int, default 0
        Of networks, rotation and widening.
    name : str
        Name on the card.
    card : Card, optional
        Source, licence and citation of the formulas.
    progress : bool, default False
        Show bars.

    Returns
    -------
    EmbeddingTable
        Every element to lawrencium; those that no formula holds are backed off to their neighbours.

    Raises
    ------
    ImportError
        If PyTorch is not installed and networks are asked for.
    ValueError, FormulaError
        If no formula of two elements is left, or one cannot be read.

    See Also
    --------
    fit_elements : Learns from crystals as well.

    Examples
    --------
    >>> table = fit_formula_elements(["NaCl", "KCl", "NaBr", "KBr", "MgO", "CaO"], n_networks=0, dim=8)
    >>> table.nearest("Na", n=1)[0].token, len(table)
    ('K', 103)
    """
    check_count("n_networks", n_networks, least=0)
    check_count("seed", seed, least=0)
    if n_networks == 0:
        views: dict[str, View] = dict(count_formula_contexts(formulas, "rest", exclude=exclude, card=card))
        return _finished(views, {}, {}, dim=dim, seed=seed, name=name)
    left_out = {_amounts(formula) for formula in reduced_formulas(exclude)}
    sentences = sorted({_amounts(formula) for formula in formulas} - left_out)
    views = dict(_masked(sentences, card or Card("formulas"), n_networks, seed, progress))
    return _finished(views, {}, {}, dim=dim, seed=seed, name=name)


def fit_elements(
    tables: MotifTables,
    *,
    all_sites: MotifTables | None = None,
    exclude: Collection[str] = (),
    dim: int | None = 512,
    n_networks: int = 6,
    seed: int = 0,
    name: str = "elements",
    progress: bool = False,
) -> EmbeddingTable:
    """Learn element vectors from formulas and crystals.

    Three kinds of knowledge stand side by side in one `ContextSVD` whose singular values are squared: `MaskedSet`
    networks, which guess hidden elements of formulas; `SiteNet` networks, which tell from a formula how its elements
    sit in the crystal; and counts of how near the nearest neighbour is (view "contacts"). No property is learned but
    what the geometry of crystals holds, bond lengths and the volume per atom: to predict these from the vectors proves
    little. Without networks, views of formulas and sites take their place.

    Parameters
    ----------
    tables : MotifTables
        Motifs of crystals, from `build_motif_tables`.
    all_sites : MotifTables, optional
        Motifs of the same crystals around every site, built with ``valences="none"``: what `SiteNet` is told of anions
        is then as much as of cations, and the vectors are better.
    exclude : collection of str
        Formulas, in any spelling, to leave out, such as those a benchmark tests.
    dim : int or None, default 512
        Length of the vectors; None leaves them as the decomposition made them, neither turned nor widened.
    n_networks : int, default 6
        Networks of each kind to train, with `seed`, `seed` + 1, ...; 0 for counts only. Needs PyTorch unless 0.
    seed : int, default 0
        Of networks, rotation and widening.
    name : str
        Name on the card.
    progress : bool, default False
        Show bars.

    Returns
    -------
    EmbeddingTable
        Every element to lawrencium; those that no crystal holds are backed off to their neighbours.

    Raises
    ------
    ImportError
        If PyTorch is not installed and networks are asked for.
    ValueError
        If no material is left.

    See Also
    --------
    fit_formula_elements : Needs no crystals.
    fit_species, fit_motifs : The same for species and motifs.
    """
    check_count("n_networks", n_networks, least=0)
    check_count("seed", seed, least=0)
    if n_networks == 0:
        sites = count_contexts(tables, ("partners", "roles", "lengths", "volumes"), exclude=exclude)
        formulas = tables.materials()["formula"].unique().tolist()
        rest = count_formula_contexts(formulas, "rest", exclude=exclude, card=tables.card)
        weighting = dict.fromkeys(sites, "hellinger")
        return _finished(rest | sites, weighting, {}, dim=dim, seed=seed, name=name)
    statistics = count_sites(tables, all_sites=all_sites, exclude=exclude)
    sentences = sorted({_amounts(formula) for formula in statistics.formulas})
    views = _masked(sentences, tables.card, n_networks, seed, progress)
    for draw in range(n_networks):
        views[f"sites {draw}"] = SiteNet(seed=seed + draw, progress=progress).fit(statistics).embeddings()
    views |= count_contexts(tables, "contacts", exclude=exclude)
    weights = dict.fromkeys(views, 1 / n_networks) | {"contacts": _CONTACTS}
    return _finished(views, {"contacts": "hellinger"}, weights, dim=dim, seed=seed, name=name)


def fit_species(
    tables: MotifTables,
    *,
    exclude: Collection[str] = (),
    dim: int = 128,
    seed: int = 0,
    name: str = "species",
) -> EmbeddingTable:
    """Learn vectors of species, elements with an oxidation state, from how they sit in crystals.

    Counts of bonded partners, bond lengths, roles, shapes and volumes, as Hellinger distances side by side.

    Parameters
    ----------
    tables : MotifTables
        Motifs of crystals with oxidation states, from `build_motif_tables`.
    exclude : collection of str
        Formulas to leave out, in any spelling.
    dim : int, default 128
        Length of the vectors.
    seed : int, default 0
        Of the rotation.
    name : str
        Name on the card.

    Returns
    -------
    EmbeddingTable
        Species seen in one formula or more, in all their sites.

    Raises
    ------
    ValueError
        If no oxidation state is known.

    See Also
    --------
    matembed.back_off : Makes vectors for species that are not in the table.
    """
    sites: tuple[SiteContexts, ...] = ("partners", "lengths", "roles", "shapes", "volumes")
    views: dict[str, View] = dict(count_contexts(tables, sites, species=True, exclude=exclude))
    encoder = ContextSVD(dim=dim, weighting="hellinger", centre=True, min_tokens=2, rows="species")
    table = encoder.fit(views).embeddings().rebase(1.0, seed=seed)
    return _named(table, name, seed)


def fit_motifs(
    tables: MotifTables,
    *,
    exclude: Collection[str] = (),
    species: bool = False,
    dim: int = 64,
    min_count: int = 1,
    name: str = "motifs",
) -> EmbeddingTable:
    """Learn vectors of motifs from what they are connected to and what they are made of.

    Parameters
    ----------
    tables : MotifTables
        Motifs and connections of crystals, from `build_motif_tables`.
    exclude : collection of str
        Formulas to leave out, in any spelling.
    species : bool, default False
        Motifs with the oxidation state of their centre where it is known.
    dim : int, default 64
        Length of the vectors.
    min_count : int, default 1
        Leave out motifs of less total weight; a motif that all sites of its element share in one formula weighs 1.
    name : str
        Name on the card.

    Returns
    -------
    EmbeddingTable
        Motifs, the commonest first.

    See Also
    --------
    matembed.back_off : Makes vectors for motifs that are not in the table.
    """
    parts: tuple[MotifContexts, ...] = ("link_parts", "ligands", "forms")
    views: dict[str, View] = dict(count_contexts(tables, ("links", *parts), species=species, exclude=exclude))
    weighting: dict[str, Any] = dict.fromkeys(parts, "hellinger")
    encoder = ContextSVD(dim=dim, weighting=weighting, centre=True, min_tokens=2, min_count=min_count, rows="motif")
    return _named(encoder.fit(views).embeddings(), name)


def _amounts(formula: str) -> tuple[str, ...]:
    (sentence,) = formula_sentences(formula, "amounts")
    return tuple(sentence)


class _Formulas(list[tuple[str, ...]]):
    """Sentences with the card and the view of where they came from."""

    view = "amounts"

    def __init__(self, sentences: Iterable[tuple[str, ...]], card: Card) -> None:
        super().__init__(sentences)
        self.card = card


def _masked(
    sentences: list[tuple[str, ...]], card: Card, n_networks: int, seed: int, progress: bool
) -> dict[str, View]:
    corpus = _Formulas(sentences, card)
    return {
        f"masked {draw}": MaskedSet(seed=seed + draw, progress=progress).fit(corpus).embeddings()
        for draw in range(n_networks)
    }


def _finished(
    views: Mapping[str, View],
    weighting: Mapping[str, Any],
    weights: Mapping[str, float],
    *,
    dim: int | None,
    seed: int,
    name: str,
) -> EmbeddingTable:
    """Join views of elements, turn, widen, and fill up to the last element."""
    encoder = ContextSVD(
        dim=len(SYMBOLS), weighting=weighting, weights=weights, centre=True, power=2.0, min_tokens=2, rows="element"
    )
    table = encoder.fit(views).embeddings()
    if dim is not None:
        table = table.rebase(1.0, seed=seed).widen(dim, seed=seed)
    return _named(back_off(table, SYMBOLS[1 : _LAST_ELEMENT + 1]), name, seed)


def _named(table: EmbeddingTable, name: str, seed: int | None = None) -> EmbeddingTable:
    kind = {"element": "elements", "species": "species", "motif": "motifs"}[str(table.kinds[0])]
    made = f", {len(table.backed_off)} of them made from their neighbours" if table.backed_off else ""
    what = f"Vectors of {len(table):,} {kind}{made}, {table.dim} columns."
    return replace(table, card=replace(table.card, name=name, what=what, seed=seed))
