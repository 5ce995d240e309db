"""Motif tables -> SiteStatistics: how the atoms of each element sit in each compound, in numbers."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matembed.cards import Card
from matembed.corpus._motif_stream import MotifChunk, motif_chunks
from matembed.corpus.formulas import reduced_formulas
from matembed.corpus.motif_tables import MotifTables, check_tables
from matembed.elements import SYMBOLS
from matembed.tokens import parse_token

__all__ = ["SiteStatistics", "count_sites"]

_N_GEOMETRIES = 20
_NUMBERS = (
    "coordination number",
    "log of the mean bond length in Å",
    "log of the shortest bond length in Å",
    "standard deviation of bond lengths in Å",
    "continuous symmetry measure",
    "oxidation state",
    "share of cations",
    "share of anions",
    "log of the volume per atom in Å^3",
)


@dataclass(frozen=True, eq=False)
class SiteStatistics:
    """How the atoms of each element sit in each compound: means over its sites and over the entries of the compound.

    Attributes
    ----------
    formulas : tuple of str, length n_formulas
        Reduced formulas, in alphabetical order.
    formula_idx : int array, shape (n_rows,)
        Position of each row's formula; ascending. A formula has a row for each of its elements.
    elements : tuple of str, length n_rows
        Element of each row.
    fractions : float array, shape (n_rows,)
        Atomic fraction of the element in the formula.
    names : tuple of str, length n_columns
        What each column is.
    values : float array, shape (n_rows, n_columns)
        NaN where unknown: csm and geometry of atoms that are no centre of a motif, oxidation states not known.
    card : Card
        Source, licence and citation of the crystals.

    See Also
    --------
    count_sites : Makes them.
    matembed.SiteNet : Learns vectors from them.
    """

    formulas: tuple[str, ...]
    formula_idx: NDArray[np.int64]
    elements: tuple[str, ...]
    fractions: NDArray[np.float64]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    card: Card

    def __repr__(self) -> str:
        return f"SiteStatistics({len(self.elements):,} elements of {len(self.formulas):,} formulas, {len(self.names)})"


def count_sites(
    tables: MotifTables, *, all_sites: MotifTables | None = None, exclude: Collection[str] = ()
) -> SiteStatistics:
    """Average what is known of the sites of each element in each compound.

    Entries of one reduced formula, polymorphs and duplicates, count alike, and so do the sites of an element in an
    entry; nothing depends on the cell.

    Parameters
    ----------
    tables : MotifTables
        Motifs of crystals.
    all_sites : MotifTables, optional
        Motifs of the same crystals around every site, built with ``valences="none"``. Bonds and shapes are then taken
        from them, so that anions have shapes too; oxidation states and roles are those of `tables`.
    exclude : collection of str
        Formulas, in any spelling, to leave out, such as those a benchmark tests.

    Returns
    -------
    SiteStatistics
        Coordination number, bond lengths (log of mean and shortest, standard deviation), csm, oxidation state, shares
        of cations and anions, log of the volume per atom, and shares of the 20 commonest geometries.

    Raises
    ------
    TypeError
        If `tables` are no MotifTables, or `exclude` is a single text.
    FormulaError
        If a formula of `exclude` cannot be read.
    ValueError
        If no material of two elements or more is left, or the two sets of tables are not of the same crystals.

    Examples
    --------
    >>> import tempfile
    >>> from matembed import build_motif_tables
    >>> salt = {"id": "CsCl", "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]], "species": ["Cs", "Cl"]}
    >>> salt["frac_coords"] = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     statistics = count_sites(build_motif_tables([salt], f"{folder}/motifs", progress=False))
    >>> statistics.elements, statistics.values[:, 0].tolist()
    (('Cl', 'Cs'), [8.0, 8.0])
    """
    check_tables(tables)
    materials = tables.materials()
    kept = ~materials["formula"].isin(reduced_formulas(exclude)).to_numpy() & (materials["n_elements"] > 1).to_numpy()
    if not kept.any():
        msg = f"none of {len(materials):,} materials is left, of two elements or more; nothing can be averaged"
        raise ValueError(msg)
    same = ["id", "formula", "n_sites"]
    if all_sites is not None and not materials[same].equals(all_sites.materials()[same]):
        msg = "all_sites must hold the same crystals as tables, in the same order; build both from one source"
        raise ValueError(msg)
    shaped = tables if all_sites is None else all_sites
    formulas, formula_of = np.unique(materials["formula"].to_numpy(str), return_inverse=True)
    geometries = _commonest_geometries(shaped)
    parts = []
    start = 0
    found: Iterable[tuple[MotifChunk, MotifChunk]]
    if all_sites is None:
        found = ((chunk, chunk) for chunk in motif_chunks(tables, links=False))
    else:
        found = zip(motif_chunks(tables, links=False), motif_chunks(all_sites, links=False), strict=True)
    for chunk, shapes in found:
        rows = slice(start, start + len(chunk.materials))
        start = rows.stop
        parts.append(_averaged(chunk, shapes, formula_of[rows], kept[rows], geometries))
    keys, sums, weights, fractions = (np.concatenate(column) for column in zip(*parts, strict=True))
    pairs, inverse = np.unique(keys, return_inverse=True)
    total, weight = np.zeros((2, len(pairs), sums.shape[1]))
    np.add.at(total, inverse, sums)
    np.add.at(weight, inverse, weights)
    fraction = np.zeros(len(pairs))
    fraction[inverse] = fractions
    with np.errstate(invalid="ignore"):
        values = total / np.where(weight > 0, weight, np.nan)
    found_formulas, formula_idx = np.unique(pairs // len(SYMBOLS), return_inverse=True)
    return SiteStatistics(
        formulas=tuple(str(formulas[code]) for code in found_formulas.tolist()),
        formula_idx=formula_idx,
        elements=tuple(SYMBOLS[number] for number in (pairs % len(SYMBOLS)).tolist()),
        fractions=fraction,
        names=(*_NUMBERS, *(f"share of {geometry}" for geometry in geometries)),
        values=values,
        card=Card(
            name=f"{tables.card.name}-sites",
            what="How the atoms of each element sit in each compound.",
            source=tables.card.source,
            licence=tables.card.licence,
            citation=tables.card.citation,
            corpus={"name": tables.card.name, "counts": dict(tables.card.counts)},
            counts={"materials": int(kept.sum()), "formulas": len(found_formulas)},
            settings={
                "weights": "a formula counts once, shared by its entries",
                "shapes": "of all sites" if all_sites is not None else "of the centres of motifs",
            },
            versions=tables.card.versions,
        ),
    )


def _commonest_geometries(tables: MotifTables) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for group in tables.row_groups("motifs", ["geometry"]):
        found = group["geometry"].combine_chunks().value_counts()
        counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
    ranked = sorted(counts, key=lambda geometry: (-counts[geometry], geometry))
    return tuple(ranked[:_N_GEOMETRIES])


def _averaged(
    chunk: MotifChunk,
    shapes: MotifChunk,
    formula_of: NDArray[np.int64],
    kept: NDArray[np.bool_],
    geometries: tuple[str, ...],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Average the sites of each element in each entry: formula and element as one number, sums, weights, fractions."""
    first, _, lengths = shapes.bonds()
    n_sites = len(chunk.site_numbers)
    values = np.full((n_sites, len(_NUMBERS) + len(geometries)), np.nan)
    cns = np.bincount(first, minlength=n_sites)
    bonded = cns > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(first, lengths, n_sites) / cns
        spread = np.sqrt(np.maximum(np.bincount(first, lengths**2, n_sites) / cns - mean**2, 0))
    shortest = np.full(n_sites, np.inf)
    np.minimum.at(shortest, first, lengths)
    values[:, 0] = np.where(bonded, cns, np.nan)
    values[bonded, 1], values[bonded, 2] = np.log(mean[bonded]), np.log(shortest[bonded])
    values[:, 3] = spread
    values[shapes.motif_sites, 4] = shapes.csms
    states = {token: parse_token(token).oxidation for token in set(chunk.site_tokens)}
    values[:, 5] = np.array([states[token] for token in chunk.site_tokens], dtype=np.float64)
    signed = (chunk.materials["valences"] != "none").to_numpy()[chunk.site_material]
    cation = values[:, 5] > 0  # also one that has no anion around it, as carbon in cyanides
    cation[chunk.motif_sites] = True
    values[:, 6], values[:, 7] = signed & cation, signed & ~cation
    volume = np.log(chunk.materials["volume_per_atom"].to_numpy(np.float64))
    values[:, 8] = volume[chunk.site_material]
    place = {geometry: column for column, geometry in enumerate(geometries)}
    columns = np.array([place.get(geometry, -1) for geometry in shapes.geometries], dtype=np.int64)
    values[shapes.motif_sites, len(_NUMBERS) :] = columns[:, None] == np.arange(len(geometries))

    used = np.flatnonzero(kept[chunk.site_material])
    entry = chunk.site_material[used] * len(SYMBOLS) + chunk.site_numbers[used]
    groups, of_group, sizes = np.unique(entry, return_inverse=True, return_counts=True)
    known = np.isfinite(values[used])
    filled = np.where(known, values[used], 0)
    sums = np.column_stack([np.bincount(of_group, column, len(groups)) for column in filled.T])
    n_known = np.column_stack([np.bincount(of_group, column, len(groups)) for column in known.T])
    material = groups // len(SYMBOLS)
    pairs = formula_of[material] * len(SYMBOLS) + groups % len(SYMBOLS)
    n_atoms = np.bincount(chunk.site_material, minlength=len(chunk.materials))
    return pairs, sums / sizes[:, None], n_known / sizes[:, None], sizes / n_atoms[material]
