"""Formulas, motif graphs, structures and motif tables -> `MaterialSets`: one function for each."""

import math
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matembed.cards import Card, package_versions
from matembed.corpus._motif_stream import motif_chunks
from matembed.corpus._set_columns import Columns
from matembed.corpus._set_crystals import chunk_crystals, graph_crystals, graph_places, table_places
from matembed.corpus._set_tokens import crystal_tokens, cut, element_tokens, species_tokens, symmetry_tokens
from matembed.corpus.formulas import ParsedFormula, parse_formula, reduced_formulas
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.motif_tables import MotifTables, check_tables
from matembed.corpus.symmetry import Symmetry, find_symmetry
from matembed.elements import ATOMIC_NUMBERS, SYMBOLS
from matembed.motifs.find import Strategy, find_motif_arrays
from matembed.motifs.graph import MotifGraph
from matembed.motifs.valences import state_shares
from matembed.sources.files import read_structures
from matembed.sources.rows import StructureRow

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core.composition import Composition

__all__ = ["formula_sets", "graph_sets", "structure_sets", "table_sets"]

_MOST_TOKENS = 256
_MOST_ATOMS = 200  # of a formula whose amounts are fractions
_EXACT = 1e-6  # amounts are fractions that differ by less


def formula_sets(
    formulas: "Iterable[str | Composition]",
    *,
    oxidation: Literal["unknown", "balanced"] = "unknown",
    ids: Sequence[str] | None = None,
    card: Card | None = None,
) -> MaterialSets:
    """Write formulas as sets of elements, or of elements and species.

    Parameters
    ----------
    formulas : iterable of str or pymatgen Composition
        In any spelling that `parse_formula` reads; amounts may be fractions.
    oxidation : {"unknown", "balanced"}
        Leave oxidation states open, or tell the likeliest ones that are neutral, or of an ion such as ``MnO4-`` have
        its charge, by `matembed.motifs.valences.state_shares`: a third of the Fe of Fe3O4 is +2. Amounts that are
        fractions are made whole first, of up to 200 atoms. No states are told where none balance, as in Ni3Al. Of a
        charge itself nothing is told.
    ids : sequence of str, length n_formulas, optional
        By default the formulas are numbered from 1.
    card : Card, optional
        Name, source, licence and citation of the formulas.

    Returns
    -------
    MaterialSets
        With tokens of kind "element", and of kind "species" if states are told.

    Raises
    ------
    TypeError
        If `formulas` is a single text.
    FormulaError
        If a formula cannot be read.
    ValueError
        If there are not as many ids as formulas, or `oxidation` is something else.

    See Also
    --------
    structure_sets : The same for crystals.

    Examples
    --------
    >>> sets = formula_sets(["Sr2Ti2O6", "Fe0.25Ni0.75"])
    >>> sets.formulas, sets.describe(1)[["words", "amount"]].values.tolist()
    (('SrTiO3', 'Fe0.25Ni0.75'), [['Fe', 0.25], ['Ni', 0.75]])
    >>> formula_sets(["KMnO4"], oxidation="balanced").describe(0)["words"].to_list()[3:]
    ['O ox-2', 'K ox+1', 'Mn ox+7']
    """
    if isinstance(formulas, str):
        msg = f"wanted a list of formulas, got the text {formulas!r}; pass [{formulas!r}] for one"
        raise TypeError(msg)
    if oxidation not in ("unknown", "balanced"):
        msg = f"oxidation must be 'unknown' or 'balanced', got {oxidation!r}"
        raise ValueError(msg)
    parsed = [parse_formula(formula) for formula in formulas]
    listed = [
        sorted((ATOMIC_NUMBERS[symbol], amount) for symbol, amount in one.composition.get_el_amt_dict().items())
        for one in parsed
    ]
    n_elements = np.array([len(pairs) for pairs in listed], dtype=np.int64)
    flat = np.array([pair for pairs in listed for pair in pairs], dtype=np.float64).reshape(-1, 2)
    material = np.repeat(np.arange(len(listed)), n_elements)
    amounts = flat[:, 1] / np.bincount(material, flat[:, 1], len(listed))[material]
    numbers = flat[:, 0].astype(np.int64)
    tokens = [element_tokens(material, len(listed), numbers, amounts)]
    if oxidation == "balanced":
        shares = [_balanced(one) for one in parsed]
        found = [
            (row, number, state, amount * share)
            for row, number, amount in zip(material.tolist(), numbers.tolist(), amounts.tolist(), strict=True)
            for state, share in shares[row].get(SYMBOLS[number], {}).items()
        ]
        species = np.array(found, dtype=np.float64).reshape(-1, 4)
        rows, elements = species[:, :2].astype(np.int64).T
        tokens.append(species_tokens(rows, len(listed), elements, species[:, 3], species[:, 2]))
    columns = cut(tokens, _MOST_TOKENS)
    names = _names(ids, len(listed), "formulas")
    described = _described(card, "formulas", {"oxidation": oxidation})
    return MaterialSets.from_columns(names, [one.formula for one in parsed], columns, described)


def _balanced(formula: ParsedFormula) -> dict[str, dict[int, float]]:
    """Find the shares of the oxidation states of each element; none where they do not balance or are not known."""
    amounts = formula.composition.get_el_amt_dict()
    written = (*amounts.values(), formula.charge)
    exact = [Fraction(amount).limit_denominator(_MOST_ATOMS) for amount in written]
    factor = math.lcm(*(each.denominator for each in exact))
    *counts, charge = (int(factor * each) for each in exact)
    rounded = any(abs(each - amount) > _EXACT for each, amount in zip(exact, written, strict=True))
    if rounded or (factor > 1 and sum(counts) > _MOST_ATOMS):
        return {}
    return state_shares(dict(zip(amounts, counts, strict=True)), charge) or {}


def graph_sets(
    graphs: Sequence[MotifGraph],
    *,
    ids: Sequence[str] | None = None,
    oxidations: "Sequence[Sequence[float] | None] | None" = None,
    symmetries: Sequence[Symmetry | None] | None = None,
    max_tokens: int = _MOST_TOKENS,
    card: Card | None = None,
) -> MaterialSets:
    """Write motif graphs as sets.

    Parameters
    ----------
    graphs : sequence of MotifGraph
        Of a site between several environments, the likeliest counts.
    ids : sequence of str, length n_graphs, optional
        By default the graphs are numbered from 1.
    oxidations : sequence, length n_graphs, optional
        Oxidation states of all sites of each crystal, in units of e; None where they are not known. Graphs know those
        of the centres of motifs alone.
    symmetries : sequence, length n_graphs, optional
        Symmetry of each crystal; None where it is not known. By default there are no tokens of symmetry.
    max_tokens : int, default 256
        Most tokens of a material: all elements, then species and motifs, then all others, each from the largest amount
        on; of equal amounts the first. Of a material of more, by default 1 in 500 oxides, the rarest connections and
        ligands are left out. Its connections are then counted from those kept; which these are depends on all motifs.
    card : Card, optional
        Name, source, licence and citation of the crystals.

    Returns
    -------
    MaterialSets
        In the order of the graphs.

    Raises
    ------
    TypeError
        If `graphs` is a single graph, or holds something else.
    ValueError
        If a sequence is of another length than `graphs`, or `max_tokens` is not positive.

    See Also
    --------
    table_sets : The same for many crystals.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from matembed import find_motifs
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> graph_sets([find_motifs(salt)]).describe(0)[["kind", "words"]].iloc[3:5].values.tolist()
    [['motif', 'Cs ox+1 C:8 cn8 ligand Cl'], ['connection', 'corner: Cs ox+1 C:8 | Cs ox+1 C:8']]
    """
    if isinstance(graphs, MotifGraph):
        msg = "wanted a list of motif graphs, got one; pass [graph]"
        raise TypeError(msg)
    other = next((one for one in graphs if not isinstance(one, MotifGraph)), None)
    if other is not None:
        msg = (
            f"wanted motif graphs, such as find_motifs makes, got {type(other).__name__}; of structures, structure_sets"
        )
        raise TypeError(msg)
    _check_max_tokens(max_tokens)
    names = _names(ids, len(graphs), "graphs")
    for name, given in (("oxidations", oxidations), ("symmetries", symmetries)):
        if given is not None and len(given) != len(graphs):
            msg = f"{name} must have an entry for each of {len(graphs)} graphs, None where not known; got {len(given)}"
            raise ValueError(msg)
    states = [None] * len(graphs) if oxidations is None else oxidations
    tokens = crystal_tokens(graph_crystals(graphs, states))
    if symmetries is not None:
        tokens += symmetry_tokens(graph_places(graphs, symmetries))
    strategies = ", ".join(sorted({one.strategy for one in graphs}))
    described = _described(card, "crystals", {"max_tokens": max_tokens, "strategy": strategies})
    return MaterialSets.from_columns(names, [one.formula for one in graphs], cut(tokens, max_tokens), described)


def structure_sets(
    structures: Any,
    *,
    strategy: Strategy = "multi_weights",
    symmetry: bool = True,
    max_tokens: int = _MOST_TOKENS,
    card: Card | None = None,
) -> MaterialSets:
    """Find the motifs and the symmetry of crystals, and write them as sets.

    Parameters
    ----------
    structures : sequence, mapping, path-like or DataFrame
        Crystals, as `matembed.sources.read_structures` reads them, such as a list of pymatgen Structures.
    strategy : {"multi_weights", "simplest"}
        How motifs are chosen, as in `matembed.find_motifs`; of a site between several environments, the likeliest
        counts. Pretrained transformers were trained on the first.
    symmetry : bool, default True
        Find space groups and site symmetries too, up to 0.01 Å.
    max_tokens : int, default 256
        As in `graph_sets`.
    card : Card, optional
        Name, source, licence and citation of the crystals.

    Returns
    -------
    MaterialSets
        In the order of the input, with its ids; where it has none, crystals are numbered from 1.

    Raises
    ------
    TypeError
        If it is one structure, or nothing that can be read.
    ValueError
        If a crystal cannot be read, or its motifs or symmetry cannot be found.

    See Also
    --------
    table_sets : Many crystals, in minutes, from what `build_motif_tables` found.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> structure_sets([salt]).describe(0)[["kind", "words"]].iloc[-3:].values.tolist()
    [['site', 'Cl sym m-3m'], ['site', 'Cs sym m-3m'], ['space_group', 'sg 221 cubic']]
    """
    _check_max_tokens(max_tokens)
    ids, graphs, oxidations, symmetries = [], [], [], []
    for row in read_structures(structures):
        if not isinstance(row, StructureRow):
            msg = f"row {row.row} is no crystal: {getattr(row, 'reason', 'a formula')}; mend it or leave it out"
            raise ValueError(msg)
        try:
            crystal = row.to_crystal()
            found = find_motif_arrays(crystal, strategy=strategy)
            symmetries.append(find_symmetry(crystal) if symmetry else None)
        except ValueError as error:
            msg = f"row {row.row}, {row.id!r}: {error}"
            raise ValueError(msg) from error
        ids.append(row.id)
        graphs.append(found.to_graph(engine="numba", strategy=strategy))
        oxidations.append(None if found.oxidations is None else found.oxidations.tolist())
    return graph_sets(
        graphs,
        ids=ids,
        oxidations=oxidations,
        symmetries=symmetries if symmetry else None,
        max_tokens=max_tokens,
        card=card,
    )


def table_sets(
    tables: MotifTables,
    *,
    exclude: Collection[str] = (),
    symmetry: "str | os.PathLike[str] | pd.DataFrame | None" = None,
    max_tokens: int = _MOST_TOKENS,
) -> MaterialSets:
    """Write the crystals of motif tables as sets, some thousand at a time.

    A hundred thousand crystals take some ten seconds and 1 GB of memory.

    Parameters
    ----------
    tables : MotifTables
        Motifs and connections of crystals; of a site between several environments, the likeliest counts.
    exclude : collection of str
        Formulas, in any spelling, of materials to leave out, such as those a benchmark tests.
    symmetry : path-like or DataFrame, optional
        What `symmetry_table` made of the same crystals. Those it lacks have no tokens of symmetry.
    max_tokens : int, default 256
        As in `graph_sets`.

    Returns
    -------
    MaterialSets
        In the order of the tables.

    Raises
    ------
    TypeError
        If `tables` are no MotifTables, or `exclude` is a single text.
    FormulaError
        If a formula of `exclude` cannot be read.
    ValueError
        If no material is left, `symmetry` is of other crystals or no such table, or `max_tokens` is not positive.

    See Also
    --------
    matembed.build_motif_tables : Makes the tables.
    matembed.symmetry_table : Makes the table of symmetry.

    Examples
    --------
    >>> import tempfile
    >>> from matembed import build_motif_tables
    >>> salt = {"id": "CsCl", "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]], "species": ["Cs", "Cl"]}
    >>> salt["frac_coords"] = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sets = table_sets(build_motif_tables([salt], f"{folder}/motifs", progress=False))
    >>> sets.ids, sets.describe(0)["kind"].value_counts().to_dict()
    (('CsCl',), {'connection': 3, 'element': 2, 'species': 2, 'motif': 1, 'ligand': 1})
    """
    check_tables(tables)
    _check_max_tokens(max_tokens)
    left_out = reduced_formulas(exclude)
    known_places = None if symmetry is None else table_places(symmetry)
    ids: list[str] = []
    formulas: list[str] = []
    parts: list[Columns] = []
    n_known = n_excluded = 0
    for chunk in motif_chunks(tables):
        tokens = crystal_tokens(chunk_crystals(chunk))
        kept = np.flatnonzero(~chunk.materials["formula"].isin(left_out).to_numpy())
        if known_places is not None:
            rows, places = known_places
            found = places.taken(np.array([rows.get(name, -1) for name in chunk.materials["id"]], dtype=np.int64))
            n_known += int((found.space_groups[kept] > 0).sum())
            tokens += symmetry_tokens(found)
        parts.append(cut(tokens, max_tokens).taken(kept))
        ids += chunk.materials["id"].iloc[kept].to_list()
        formulas += chunk.materials["formula"].iloc[kept].to_list()
        n_excluded += len(chunk.materials) - len(kept)
    if not ids:
        msg = f"exclude leaves none of {n_excluded:,} materials; exclude fewer formulas"
        raise ValueError(msg)
    if known_places is not None and not n_known:
        msg = f"symmetry names none of {len(ids):,} materials; make it with symmetry_table from the same crystals"
        raise ValueError(msg)
    behind = tables.card
    card = Card(
        name=f"{behind.name}-sets",
        what="Crystals as sets of elements, species, motifs, connections and symmetry.",
        source=behind.source,
        licence=behind.licence,
        citation=behind.citation,
        corpus={"name": behind.name, "counts": dict(behind.counts), "settings": dict(behind.settings)},
        settings={"max_tokens": max_tokens, "strategy": behind.settings["strategy"]},
        versions=behind.versions,
    )
    counts = {"excluded": n_excluded} | ({} if known_places is None else {"symmetries": n_known})
    return MaterialSets.from_columns(ids, formulas, Columns.joined(parts), card, **counts)


def _check_max_tokens(max_tokens: int) -> None:
    if not isinstance(max_tokens, int) or max_tokens < 1:
        msg = f"max_tokens must be a whole number, 1 or more; got {max_tokens!r}"
        raise ValueError(msg)


def _names(ids: Sequence[str] | None, n_materials: int, what: str) -> list[str]:
    if ids is None:
        return [str(row) for row in range(1, n_materials + 1)]
    if isinstance(ids, str) or len(ids) != n_materials:
        msg = f"ids must name each of {n_materials} {what}, got {ids!r:.60}"
        raise ValueError(msg)
    return [str(one) for one in ids]


def _described(card: Card | None, name: str, settings: dict[str, Any]) -> Card:
    base = card or Card(name)
    what = base.what or f"{name.capitalize()} as sets of tokens."
    return replace(base, what=what, settings=settings, versions=package_versions())
