"""Oxides whose coordination is asked for: items, what is held out, and what decision trees read of each item."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition, Element

import matembed as me
from matembed.corpus.set_words import GEOMETRIES
from matembed.elements import ATOMIC_NUMBERS, SYMBOLS
from matembed.encoders.masked_lm import Given
from matembed.motifs.connectivity import connect
from matembed.motifs.geometry import LARGEST_CN
from matembed.motifs.graph import Ligand, Motif, MotifGraph
from matembed.tokens import SHARINGS

ORACLE = "motifs/mp_oxides_chemenv.jsonl.gz"
GIVEN: tuple[Given, ...] = get_args(Given)
SPLITS = ("formula", "system", "stoichiometry")
N_FOLDS = 5
CHUNK = 2000  # oxides whose graphs are held at a time
SPECIES = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)?([+-])?")
MOTIF_COLUMNS = ["id", "site", "element", "oxidation", "geometry", "csm", "ligands", "images"]
Floats = NDArray[np.float64]


# Oxides and items ----------------------------------------------------------------------------------------------------


class Item(NamedTuple):
    """An element in an oxidation state in a material, the shares of its sites among geometries, and its sites."""

    material: int
    element: str
    oxidation: int
    shares: dict[str, float]
    sites: tuple[int, ...]

    @property
    def species(self) -> tuple[str, int]:
        """Element and oxidation state."""
        return self.element, self.oxidation


class Oxides(NamedTuple):
    """Some oxides with the environments of their cations."""

    ids: list[str]
    graphs: list[MotifGraph]
    oxidations: list[tuple[float, ...]]

    def items(self, first: int = 0) -> list[Item]:
        """List the items, material after material, numbered from the first."""
        items = []
        for material, graph in enumerate(self.graphs, start=first):
            groups = defaultdict(list)
            for motif in graph.motifs:
                groups[motif.element, round(motif.oxidation or 0)].append(motif)
            for (element, oxidation), motifs in sorted(groups.items()):
                counts = Counter(motif.geometry for motif in motifs)
                shares = {geometry: n / len(motifs) for geometry, n in counts.items()}
                items.append(Item(material, element, oxidation, shares, tuple(motif.site for motif in motifs)))
        return items


@dataclass(frozen=True, eq=False)
class Reference:
    """Oxides as trees and networks read them; only of the first `n_asked` items are asked for.

    The first `n_matched` are these and those that match an experimental entry of the Materials Project.
    """

    ids: tuple[str, ...]
    formulas: tuple[str, ...]
    items: list[Item]
    sets: me.MaterialSets
    columns: list[NDArray[np.float32]]
    n_asked: int
    n_matched: int
    _names: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Path, tables: me.MotifTables | None = None) -> "Reference":
        """Read the reference, and other oxides from tables; graphs are made for some at a time, to save memory."""
        asked = _asked(data)
        parts, ids, formulas, items, columns, matched = [], [], [], [], [], []
        for oxides, n_matched in chain([(asked, len(asked.ids))], _others(tables, set(asked.ids)) if tables else []):
            parts.append(me.graph_sets(oxides.graphs, ids=oxides.ids, oxidations=oxides.oxidations))
            columns.append(_columns(oxides))
            items += oxides.items(len(ids))
            ids += oxides.ids
            formulas += [graph.formula for graph in oxides.graphs]
            matched.append(n_matched)
        by_kind = [np.vstack(each) for each in zip(*columns, strict=True)]
        by_kind[1] = by_kind[1][:, by_kind[1].any(axis=0)]  # of geometries that no item has
        stacked = [np.hstack(by_kind[: n + 1]) for n in range(len(by_kind))]
        sets = me.MaterialSets.concat(parts)
        return cls(tuple(ids), tuple(formulas), items, sets, stacked, len(asked.ids), sum(matched))

    @cached_property
    def geometries(self) -> list[str]:
        """All geometries of any item, sorted."""
        return sorted({geometry for item in self.items for geometry in item.shares})

    def names(self, split: str) -> list[str]:
        """Name of each oxide by which it is held out."""
        if split not in self._names:
            self._names[split] = [name_of(formula, split) for formula in self.formulas]
        return self._names[split]

    def fold_of(self, split: str, seed: int) -> NDArray[np.int64]:
        """Deal the materials to five folds, those with the same formula, system or stoichiometry to the same.

        The reference is dealt; what was added and has none of its names is in no fold: -1.
        """
        names = self.names(split)
        distinct = sorted(set(names[: self.n_asked]))
        places = np.random.default_rng(seed).permutation(len(distinct)) % N_FOLDS
        fold = dict(zip(distinct, places.tolist(), strict=True))
        return np.array([fold.get(each, -1) for each in names])


def _asked(data: Path) -> Oxides:
    """Read the reference; of each site the likeliest environment counts."""
    rows = pd.read_json(data / ORACLE, lines=True, precise_float=True)
    oxidations = [tuple(map(float, each)) for each in rows["valences"]]
    return Oxides(list(rows["id"]), [_graph(row) for row in rows.itertuples()], oxidations)


def _others(tables: me.MotifTables, known: set[str]) -> Iterator[tuple[Oxides, int]]:
    """Yield other materials with oxygen, with all oxidation states known; those that match an experiment first."""
    materials = tables.materials()
    has_oxygen = materials["chemsys"].str.split("-").map(lambda symbols: "O" in symbols)
    wanted = materials[has_oxygen & ~materials["id"].isin(known)].assign(matched=lambda rows: rows["icsd"].eq(True))
    wanted = wanted.sort_values("matched", ascending=False, kind="stable")
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        motifs = dict(iter(tables.motifs(chunk["id"], MOTIF_COLUMNS).groupby("id")))
        oxides, n_matched = Oxides([], [], []), 0
        for row in chunk.itertuples():
            species = [SPECIES.fullmatch(each) for each in row.sites.split()]
            if row.id not in motifs or not all(each and each[3] for each in species):
                continue
            oxides.ids.append(row.id)
            oxides.graphs.append(_table_graph(tuple(each[1] for each in species), motifs[row.id]))
            oxides.oxidations.append(tuple(float(each[2] or 1) * (1 if each[3] == "+" else -1) for each in species))
            n_matched += row.matched
        yield oxides, n_matched


def name_of(formula: str, split: str) -> str:
    """Write the formula, the chemical system or the stoichiometry of a formula, in one way."""
    composition = Composition(formula)
    if split == "system":
        return composition.chemical_system
    return composition.reduced_formula if split == "formula" else composition.anonymized_formula


def _graph(row: Any) -> MotifGraph:
    motifs = []
    for site, environments in row.environments:
        if environments:
            geometry, _, csm, neighbours = environments[0]
            ligands = sorted((atom, tuple(image)) for atom, *image in neighbours)
            motifs.append(
                Motif(
                    site=site,
                    element=row.species[site],
                    oxidation=float(row.valences[site]),
                    geometry=geometry,
                    csm=csm,
                    ligands=tuple(Ligand(atom, image) for atom, image in ligands),
                    ligand_elements=tuple(row.species[atom] for atom, _ in ligands),
                )
            )
    motifs.sort(key=lambda motif: motif.site)
    return MotifGraph(
        formula=Composition(Counter(row.species)).reduced_formula,
        elements=tuple(row.species),
        motifs=tuple(motifs),
        connections=connect(tuple(motifs)),
        engine="chemenv",
        strategy="multi_weights",
        valences="given",
    )


def _table_graph(elements: tuple[str, ...], rows: pd.DataFrame) -> MotifGraph:
    motifs = []
    for row in rows.sort_values("site").itertuples():
        images = [tuple(image) for image in row.images]
        motifs.append(
            Motif(
                site=row.site,
                element=row.element,
                oxidation=row.oxidation,
                geometry=row.geometry,
                csm=row.csm,
                ligands=tuple(Ligand(site, image) for site, image in zip(row.ligands, images, strict=True)),
                ligand_elements=tuple(elements[site] for site in row.ligands),
            )
        )
    return MotifGraph(
        formula=Composition(Counter(elements)).reduced_formula,
        elements=elements,
        motifs=tuple(motifs),
        connections=connect(tuple(motifs)),
        engine="numba",
        strategy="multi_weights",
        valences="bond_valence",
    )


# What is held out ----------------------------------------------------------------------------------------------------


def split_items(
    reference: Reference, split: str, seed: int, fold: int
) -> tuple[NDArray[np.bool_], list[int], list[int]]:
    """Tell which materials are held out, and the items to learn from and to ask for."""
    held_out = reference.fold_of(split, seed) == fold
    material = np.array([item.material for item in reference.items])
    asked = held_out[material] & (material < reference.n_asked)
    return held_out, np.flatnonzero(~held_out[material]).tolist(), np.flatnonzero(asked).tolist()


def list_seen(reference: Reference, tables: me.MotifTables, split: str) -> list[str]:
    """List the formulas of motif tables that are held out with one of the reference."""
    held_out = set(reference.names(split)[: reference.n_asked])
    formulas = tables.materials()["formula"].unique()
    return sorted(formula for formula in formulas if name_of(formula, split) in held_out)


# What trees read -----------------------------------------------------------------------------------------------------


def _columns(oxides: Oxides) -> list[NDArray[np.float32]]:
    """Say of each item what the formula, the others and the links add, as numbers of 32 bits."""
    items = oxides.items()
    parts = composition_columns(oxides, items), others_columns(oxides, items), links_columns(oxides, items)
    return [part.astype(np.float32) for part in parts]


def composition_columns(oxides: Oxides, items: Sequence[Item]) -> Floats:
    """Say what the formula and the oxidation states say of each item."""
    elements = [Element(symbol) for symbol in SYMBOLS[1:104]]
    table = np.array([[e.Z, e.group, e.row, e.X, float(e.atomic_radius or 0), e.mendeleev_no or 0] for e in elements])
    properties = np.vstack([np.zeros((1, table.shape[1])), np.nan_to_num(table)])
    rows = []
    for item in items:
        graph, valences = oxides.graphs[item.material], np.array(oxides.oxidations[item.material])
        numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in graph.elements])
        n_sites, n_oxygen, cations = len(numbers), int((numbers == 8).sum()), valences > 0
        fractions = np.bincount(numbers, minlength=len(properties)) / n_sites
        of_cations = np.column_stack([properties[numbers], valences])[cations]
        statistics = [reduce(of_cations, axis=0) for reduce in (np.mean, np.std, np.min, np.max)]
        n, n_cations = len(item.sites), int(cations.sum())
        ratios = [
            len(set(graph.elements)),
            n_oxygen / n_sites,
            n_cations / n_sites,
            n_oxygen / n_cations,
            n / n_sites,
            n / n_cations,
            n_oxygen / n,
            item.oxidation,
        ]
        rows.append(np.concatenate([fractions, *statistics, ratios, properties[ATOMIC_NUMBERS[item.element]]]))
    return np.array(rows)


def others_columns(oxides: Oxides, items: Sequence[Item]) -> Floats:
    """Say what the other motifs of the material say of each item."""
    place = {geometry: column for column, geometry in enumerate(sorted(GEOMETRIES))}
    rows = []
    for item in items:
        graph, hidden = oxides.graphs[item.material], set(item.sites)
        histogram, links = np.zeros(len(place)), np.zeros(len(SHARINGS))
        bonds: Counter[int] = Counter()
        strength: Counter[int] = Counter()
        for motif in graph.motifs:
            if motif.site not in hidden:
                histogram[place[motif.geometry]] += 1 / graph.n_sites
                for ligand in motif.ligands:
                    bonds[ligand.site] += 1
                    strength[ligand.site] += (motif.oxidation or 0) / len(motif.ligands)
        for link in graph.connections:
            if not hidden & {graph.motifs[link.source].site, graph.motifs[link.target].site}:
                links[SHARINGS.index(link.sharing)] += 1 / graph.n_sites
        oxygen = [site for site, symbol in enumerate(graph.elements) if symbol == "O"]
        n_bonds = np.array([bonds[site] for site in oxygen])
        missing = np.array([2 - strength[site] for site in oxygen])
        reached = [np.mean(n_bonds == n) for n in range(5)]
        wanted = [missing.sum() / len(hidden), *_spread(missing), *_spread(n_bonds)]
        rows.append(np.concatenate([histogram, links, reached, wanted, [len(hidden), graph.n_sites]]))
    return np.array(rows)


def links_columns(oxides: Oxides, items: Sequence[Item]) -> Floats:
    """Say how often a hidden motif shares corners, edges and faces: with its like, with others, and with which."""
    rows = []
    for item in items:
        graph, hidden = oxides.graphs[item.material], set(item.sites)
        counts = np.zeros((2, len(SHARINGS)))
        linked = np.zeros((LARGEST_CN + 1, len(SHARINGS)))
        for link in graph.connections:
            ends = [graph.motifs[end] for end in (link.source, link.target)]
            inside = [motif.site in hidden for motif in ends]
            sharing = SHARINGS.index(link.sharing)
            if all(inside):
                counts[0, sharing] += 2 / len(hidden)
            elif any(inside):
                counts[1, sharing] += 1 / len(hidden)
                other = ends[inside.index(False)]
                linked[min(len(other.ligands), LARGEST_CN), sharing] += 1 / len(hidden)
        rows.append(np.concatenate([counts.ravel(), counts.sum(axis=0), [counts.sum()], linked.ravel()]))
    return np.array(rows)


def _spread(values: Floats) -> list[float]:
    return [float(reduce(values)) for reduce in (np.mean, np.std, np.min, np.max)]
