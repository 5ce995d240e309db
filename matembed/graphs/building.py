"""Crystals -> AtomMotifGraphs: find motifs and bonds, and merge what no invariant network can tell apart."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from matembed.cards import Card, package_versions
from matembed.corpus._folder import write_config
from matembed.corpus._resumable import build_folder, check_numbers, filled_in
from matembed.corpus._row_tables import crystal_values
from matembed.corpus._shards import Record, Summary
from matembed.corpus.ragged import spans, starts
from matembed.elements import SYMBOLS
from matembed.graphs._graph_folder import merge_graphs, pack_graphs
from matembed.graphs.atom_motif import SCHEMA, TABLES, TYPE, AtomMotifGraphs, count_graphs
from matembed.motifs import Crystal, MotifArrays, Strategy, find_motif_arrays, symmetry_measures
from matembed.motifs.bonds import shell_bonds
from matembed.motifs.find import listed_bonds
from matembed.motifs.geometry import LARGEST_CN, model_geometries
from matembed.sources.files import read_rows
from matembed.sources.rows import FormulaRow, Row, Rows, SourceKind, StructureRow, UnreadableRow
from matembed.tokens import motif_token

__all__ = ["FARTHEST_NEIGHBOUR", "Bonds", "GraphReport", "Method", "atom_motif_graphs", "build_graphs"]

Method = Literal["shells", "crystalnn"]
Bonds: TypeAlias = "Method | Mapping[str, Sequence[Sequence[int]]]"
FARTHEST_NEIGHBOUR = 6.0
"""Distance in Å beyond which an atom is bonded to nothing, and lengths of bonds are not told apart by networks."""

_LENGTH_BIN, _ANGLE_BIN, _CSM_BIN = 0.01, 1.0, 0.05  # Å, degrees, csm: what counts as equal in merging
_MULTIPLIERS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)  # splitmix64
_STEP = np.uint64(0x9E3779B97F4A7C15)
_WHAT = "Dual graphs of atoms and motifs."
_Columns = dict[str, NDArray[Any]]


class GraphReport(NamedTuple):
    """What became of many crystals.

    Attributes
    ----------
    graphs : AtomMotifGraphs
        Of those that could be read.
    rejected : list of (str, str)
        Ids of the others, and why.
    """

    graphs: AtomMotifGraphs
    rejected: list[tuple[str, str]]


def atom_motif_graphs(
    structures: Any,
    *,
    bonds: Bonds = "shells",
    merge: bool = True,
    strategy: Strategy = "simplest",
    card: Card | None = None,
    progress: bool = False,
) -> AtomMotifGraphs:
    """Make the dual graphs of crystals.

    Parameters
    ----------
    structures : sequence, mapping, path-like, DataFrame or Rows
        Crystals, as `matembed.sources.read_rows` reads them, such as a list of pymatgen Structures or of `Crystal`.
    bonds : {"shells", "crystalnn"} or mapping of str to rows of 5 int
        ``"shells"``: an atom is bonded to those in its coordination shell, found as for `find_motifs` around every
        site (``valences="none"``), in milliseconds. ``"crystalnn"``: pymatgen's `CrystalNN` [1]_, in seconds. Or
        bonds by the id of the crystal: site, site, and the image of the latter in lattice vectors, each once. An atom
        with none found within 6 Å, as of a noble gas in vacuum, has no bonds; those given are kept, however long.
    merge : bool, default True
        Give one row to all atoms, bonds, motifs and connections that are alike, as are their neighbours, their
        neighbours' neighbours and so on: symmetry-equivalent ones, and the copies in a supercell. For an invariant
        network little changes but the cost, which is less than half. An equivariant one needs ``merge=False``.
    strategy : {"simplest", "multi_weights"}
        How motifs are chosen, as in `find_motifs`; of a site between several environments, the likeliest counts.
    card : Card, optional
        Name, source, licence and citation of the crystals.
    progress : bool, default False
        Show a bar.

    Returns
    -------
    AtomMotifGraphs
        In the order of the input. A crystal in which `find_motifs` finds none has atoms and bonds alone. Motifs are
        those of `find_motifs` however long their bonds.

    Raises
    ------
    TypeError, ValueError
        If a setting makes no sense, a crystal cannot be read or its motifs not found; the message names the row.

    See Also
    --------
    build_graphs : The same for many, where those that cannot be read are left out and listed.

    Notes
    -----
    Rows are merged by colour refinement [2]_: a colour tells the element, oxidation state, geometry and csm; each round
    adds the colours across bonds, memberships and connections with their lengths and angles, until no more colours
    come up. Lengths within 0.01 Å, angles within 1° and csm within 0.05 count as equal; the merged row has their mean,
    and the measures of one of its motifs. Predictions from merged and whole graphs differ by what that rounds off.

    References
    ----------
    .. [1] H. Pan et al., Inorg. Chem. 60, 1590 (2021).
    .. [2] B. Weisfeiler and A. Lehman, Nauchno-Tekh. Inf. 2 (9), 12 (1968).

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> cell = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    >>> perovskite = Structure(Lattice.cubic(3.905), ["Sr", "Ti", "O", "O", "O"], cell)
    >>> graphs = atom_motif_graphs([perovskite, perovskite * (2, 2, 2)])
    >>> graphs[0]
    AtomMotifGraph(SrTiO3: 5 atoms, 18 bonds, 2 motifs, 20 connections; 3 kinds of atoms, 2 kinds of motifs)
    >>> graphs[1].n_atoms, len(graphs[1].numbers)
    (40, 3)
    """
    _check(bonds, merge, strategy)
    return _made(read_rows(structures, kind="structures"), bonds, merge, strategy, card, progress, strict=True).graphs


def build_graphs(
    structures: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    bonds: Bonds = "shells",
    merge: bool = True,
    strategy: Strategy = "simplest",
    limit: int | None = None,
    workers: int = 1,
    scheduler: str = "processes",
    time_limit: float = 300.0,
    max_rejected: float = 0.5,
    card: Card | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> GraphReport:
    """Make the dual graphs of many crystals, in memory or in a folder, and list those that cannot be used.

    In a folder, finished work is kept in ``<out>.partial`` until all is done, so the same call goes on where an
    interrupted one stopped. The bytes depend on the rows, the settings and the versions of the packages, not on
    interruptions, the number of workers or the scheduler, and columns are written a few hundred crystals at a time.

    Parameters
    ----------
    structures, bonds, merge, strategy
        As in `atom_motif_graphs`.
    out : path-like, optional
        Folder to make, which `AtomMotifGraphs.read` opens. It appears whole or not at all. By default graphs are held
        in memory.
    limit : int, optional
        Only the first rows.
    workers, scheduler, time_limit, max_rejected, overwrite
        With `out` alone: as in `build_motif_tables`.
    card, progress
        As in `atom_motif_graphs`. With `out`, a card that the source has is the default.

    Returns
    -------
    GraphReport
        Graphs, with `out` mapped from there, and (id, reason) of each crystal that has none.

    Raises
    ------
    TypeError, ValueError
        If a setting makes no sense, or no crystal can be used.
    TooManyRejectedError, FileExistsError, FileNotFoundError, ImportError, RuntimeError, KeyboardInterrupt
        With `out`, as `build_corpus` does.

    See Also
    --------
    matembed.build_motif_tables : Motifs and connections as tables.

    Notes
    -----
    A folder has ``materials.parquet``, ``rejected.parquet`` and ``rewritten.parquet`` too, which hold what those of
    `MotifTables` do: properties that came with the crystals are in the first. An id that came before is rejected. The
    order of the rows of a merged crystal depends in a folder on the crystal alone, in memory on those before it too.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> overlapping = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0, 0, 0.01]])
    >>> graphs, rejected = build_graphs({"good": salt, "bad": overlapping}, progress=False)
    >>> graphs.ids, [one for one, _ in rejected]
    (('good',), ['bad'])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     build_graphs({"good": salt}, f"{folder}/graphs", progress=False).graphs
    AtomMotifGraphs(1 crystals: 2 atoms, 14 bonds, 1 motifs, 13 connections)
    """
    _check(bonds, merge, strategy)
    rows = read_rows(structures, kind="structures", limit=limit)
    if out is None:
        changed = {
            "workers": workers != 1,
            "scheduler": scheduler != "processes",
            "time_limit": time_limit != 300,
            "max_rejected": max_rejected != 0.5,
            "overwrite": overwrite,
        }
        if any(changed.values()):
            names = ", ".join(name for name in changed if changed[name])
            msg = f"{names} is for graphs in a folder; pass out, or leave it out"
            raise ValueError(msg)
        return _made(rows, bonds, merge, strategy, card, progress, strict=False)
    check_numbers(time_limit, max_rejected, scheduler, workers=workers)
    recipe = _GraphRecipe(_told(bonds), merge, strategy, float(time_limit))
    described = filled_in(card, rows, _WHAT, asdict(recipe) | ({} if limit is None else {"limit": limit}))

    def write(folder: Path, shards: Mapping[Path, Summary]) -> None:
        write_config(folder, described, merge_graphs(shards, folder, merge=merge), schema=SCHEMA, type=TYPE)

    folder = build_folder(
        replace(rows, read=lambda: _bonded(rows, bonds)) if isinstance(bonds, Mapping) else rows,
        recipe,
        out,
        write,
        kind=TYPE,
        source=structures,
        workers=workers,
        scheduler=scheduler,
        max_rejected=max_rejected,
        progress=progress,
        overwrite=overwrite,
    )
    import pandas as pd

    rejected = pd.read_parquet(folder / "rejected.parquet", columns=["id", "reason"])
    return GraphReport(AtomMotifGraphs.read(folder), list(rejected.itertuples(index=False, name=None)))


def _check(bonds: Bonds, merge: bool, strategy: str) -> None:
    if not isinstance(bonds, Mapping) and bonds not in get_args(Method):
        wanted = "'shells', 'crystalnn' or a mapping of ids to rows (site, site, three steps of its image)"
        msg = f"bonds must be {wanted}, got {bonds!r:.60}"
        raise ValueError(msg)
    if not isinstance(merge, bool):
        msg = f"merge must be true or false, got {merge!r:.60}"
        raise ValueError(msg)
    if strategy not in get_args(Strategy):
        msg = f"strategy must be one of {', '.join(get_args(Strategy))}, got {strategy!r}"
        raise ValueError(msg)


def _told(bonds: Bonds) -> str:
    return bonds if isinstance(bonds, str) else "given"


def _made(
    rows: Rows, bonds: Bonds, merge: bool, strategy: Strategy, card: Card | None, progress: bool, *, strict: bool
) -> GraphReport:
    parts: list[_Columns] = []
    ids, formulas, rejected = [], [], []
    names: dict[str, int] = {}
    for row in tqdm(rows, unit=" crystals", disable=not progress):
        try:
            if not isinstance(row, StructureRow):
                raise ValueError(getattr(row, "reason", "a formula, not a crystal"))
            crystal = row.to_crystal()
            listed = _bonds_of(crystal, row.id, bonds)
            columns = _graph(crystal, listed, find_motif_arrays(crystal, strategy=strategy), merge, names)
        except ValueError as error:
            if strict:
                msg = f"row {row.row}, {row.id!r}: {error}; mend it or leave it out, or see build_graphs"
                raise ValueError(msg) from error
            rejected.append((row.id, str(error)))
            continue
        parts.append(columns)
        ids.append(row.id)
        formulas.append(crystal.reduced_formula)
    if not parts:
        msg = f"wanted one crystal or more, got {len(rejected)} that cannot be used" + "".join(
            f"; {one!r}: {why}" for one, why in rejected[:1]
        )
        raise ValueError(msg)
    columns, ends = _joined(parts, merge)
    settings = {"bonds": _told(bonds), "merge": merge, "strategy": strategy}
    described = card or Card(name="atom-motif-graphs", what="", source="", licence="")
    described = replace(
        described,
        what=described.what or _WHAT,
        settings=dict(described.settings) | settings,
        counts=count_graphs(columns, ends) | {"rejected": len(rejected)},
        versions=package_versions(),
    )
    return GraphReport(AtomMotifGraphs(tuple(ids), tuple(formulas), tuple(names), ends, columns, described), rejected)


# Many, in a folder ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _BondedRow(StructureRow):
    """A crystal whose bonds are given."""

    bonds: Sequence[Sequence[int]] = ()


def _bonded(rows: Rows, bonds: Mapping[str, Sequence[Sequence[int]]]) -> Iterator[Row]:
    """Give each crystal its bonds, so that what is made of a row depends on the row alone."""
    for row in rows:
        if not isinstance(row, StructureRow):
            yield row
            continue
        try:
            own = _given(bonds, row.id).tolist()
        except ValueError as error:
            yield UnreadableRow(row.row, row.id, row.input, str(error))
        else:
            yield _BondedRow(row.row, row.id, row.input, row.payload, row.properties, own)


@dataclass(frozen=True, slots=True)
class _GraphRecipe:
    """What the graph of a row depends on, besides the row."""

    bonds: str
    merge: bool
    strategy: Strategy
    time_limit: float

    @property
    def kind(self) -> SourceKind:
        """What the rows hold."""
        return "structures"

    @property
    def speed(self) -> str:
        """How many rows make a shard."""
        return "structures, slowly" if self.bonds == "crystalnn" else "structures"

    def prepare(self) -> None:
        """Have what finds motifs and bonds compiled."""
        _prepare(self)

    def make(self, row: FormulaRow | StructureRow) -> Record:
        """Make the graph of a crystal."""
        if isinstance(row, FormulaRow):
            msg = "a formula, not a crystal"
            raise ValueError(msg)
        crystal, rewrites = row.read_crystal()
        bonds: Any = {row.id: row.bonds} if isinstance(row, _BondedRow) else self.bonds
        listed = _bonds_of(crystal, row.id, bonds)
        found = find_motif_arrays(crystal, strategy=self.strategy)
        names: dict[str, int] = {}
        columns = _graph(crystal, listed, found, self.merge, names)
        return Record(crystal_values(row, rewrites, found), (columns, names))

    def pack(self, records: Sequence[Record]) -> Mapping[str, bytes]:
        """Write the columns of all tables, motifs named by one list of tokens."""
        names: dict[str, int] = {}
        parts = []
        for columns, own in (record.found for record in records):
            codes = np.array([names.setdefault(one, len(names)) for one in own], dtype=np.int64)
            parts.append(columns | {"motif_tokens": codes[columns["motif_tokens"]]})
        return pack_graphs(*_joined(parts, self.merge), names) if parts else {}


@cache
def _prepare(recipe: _GraphRecipe) -> None:
    salt = {"lattice": 4.12 * np.eye(3), "species": ["Cs", "Cl"], "frac_coords": [[0, 0, 0], [0.5] * 3]}
    recipe.make(_BondedRow(1, "CsCl", "", salt) if recipe.bonds == "given" else StructureRow(1, "CsCl", "", salt))


# One crystal ---------------------------------------------------------------------------------------------------------


def _graph(
    crystal: Crystal, bonds: NDArray[np.int64], found: MotifArrays, merge: bool, names: dict[str, int]
) -> _Columns:
    """Write a crystal as columns; tokens of its motifs are counted by `names`, which gets those that are new."""
    columns = _columns(crystal, bonds, found, names)
    columns = _merged(columns) if merge else columns
    _measure(columns)
    return columns


def _bonds_of(crystal: Crystal, key: str, bonds: Bonds) -> NDArray[np.int64]:
    """List bonds, shape (n_bonds, 5), each once: site, site and image of the latter, which is not before the first."""
    if isinstance(bonds, Mapping):
        listed = _given(bonds, key)
        outside = (listed[:, :2] < 0) | (listed[:, :2] >= len(crystal.numbers))
        if outside.any():
            msg = f"a bond names site {listed[:, :2][outside][0]}, but there are {len(crystal.numbers)}, counted from 0"
            raise ValueError(msg)
    elif bonds == "crystalnn":
        listed = _crystalnn(crystal)
    else:
        listed = shell_bonds(crystal)
    backwards = np.column_stack([listed[:, 1], listed[:, 0], -listed[:, 2:]])
    swap = _after(listed, backwards)
    once = np.unique(np.where(swap[:, None], backwards, listed), axis=0)
    once = once[(once[:, 0] != once[:, 1]) | once[:, 2:].any(axis=1)]
    return once if isinstance(bonds, Mapping) else _without_lone(crystal, once)


def _given(bonds: Mapping[str, Sequence[Sequence[int]]], key: str) -> NDArray[np.int64]:
    """Look up the bonds of a crystal, shape (n_bonds, 5)."""
    if key not in bonds:
        msg = f"bonds has no entry for {key!r}"
        raise ValueError(msg)
    try:
        return listed_bonds(bonds[key])
    except TypeError as error:
        raise ValueError(str(error)) from error  # of this crystal, as all that is wrong with it


def _without_lone(crystal: Crystal, bonds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the bonds of atoms whose nearest neighbour is too far to be bonded to."""
    ends = bonds[:, :2]
    nearest = np.full(len(crystal.numbers), np.inf)
    np.minimum.at(nearest, ends, np.linalg.norm(_vectors(crystal, bonds), axis=1)[:, None])
    return bonds[(nearest[ends] <= FARTHEST_NEIGHBOUR + _LENGTH_BIN).all(axis=1)]


def _vectors(crystal: Crystal, bonds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Point from the first atom of each bond to the second: shape (n_bonds, 3), Cartesian, in Å."""
    coords = crystal.frac_coords @ crystal.lattice
    return np.asarray(coords[bonds[:, 1]] + bonds[:, 2:] @ crystal.lattice - coords[bonds[:, 0]])


def _after(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say where a row comes after that of another array, in the order of its columns."""
    differs = one != other
    first = differs.argmax(axis=1)
    rows = np.arange(len(one))
    return np.asarray(differs.any(axis=1) & (one[rows, first] > other[rows, first]))


def _crystalnn(crystal: Crystal) -> NDArray[np.int64]:
    from pymatgen.analysis.local_env import CrystalNN

    structure = crystal.to_structure()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on oxidation states and radii
        finder = CrystalNN()
        for site in range(len(structure)):
            try:
                neighbours = finder.get_nn_info(structure, site)
            except RuntimeError as error:  # of the Voronoi tessellation, with no class of its own
                msg = f"CrystalNN finds no neighbours of site {site}: {error}"
                raise ValueError(msg) from error
            found += [(site, one["site_index"], *map(int, one["image"])) for one in neighbours]
    return np.array(found, dtype=np.int64).reshape(-1, 5)


def _columns(crystal: Crystal, bonds: NDArray[np.int64], found: MotifArrays, names: dict[str, int]) -> _Columns:
    """Give a row to each atom, bond, motif, ligand and connection."""
    n_atoms, n_motifs = len(crystal.numbers), len(found.centres)
    coords = crystal.frac_coords @ crystal.lattice
    first = found.environment_starts[:-1]  # the likeliest environment of each motif
    spans_of, cns = found.ligand_spans[first], found.cns[first]
    places = spans(spans_of[:, 0], cns)
    ligands, owner = found.ligands[places], np.repeat(np.arange(n_motifs), cns)
    to_ligand = coords[ligands[:, 0]] + ligands[:, 1:] @ crystal.lattice - coords[found.centres[owner]]
    links = found.connections
    shared_owner = np.repeat(np.arange(len(links)), found.n_shared)
    sources, targets = found.centres[links[:, 0]], found.centres[links[:, 1]]
    far = coords[targets] + links[:, 2:5] @ crystal.lattice
    joint = coords[found.shared[:, 0]] + found.shared[:, 1:] @ crystal.lattice
    angles = _angles(coords[sources][shared_owner] - joint, far[shared_owner] - joint)
    n_shared = found.n_shared
    mean_angles = np.bincount(shared_owner, angles, minlength=len(links)) / np.maximum(n_shared, 1)
    vectors = _vectors(crystal, bonds)
    tokens = _tokens(crystal, found, owner, ligands)
    geometries = found.geometries[first]
    return {
        "numbers": crystal.numbers,
        "oxidations": np.full(n_atoms, np.nan) if found.oxidations is None else found.oxidations,
        "atom_counts": np.ones(n_atoms),
        "bond_atoms": bonds[:, :2],
        "bond_lengths": np.linalg.norm(vectors, axis=1),
        "bond_counts": np.ones(len(bonds)),
        "bond_vectors": vectors,
        "motif_centres": found.centres,
        "motif_tokens": np.array([names.setdefault(token, len(names)) for token in tokens], dtype=np.int64),
        "motif_geometries": geometries,
        "motif_csms": np.where(geometries < 0, np.nan, found.csms[first]),
        "motif_counts": np.ones(n_motifs),
        "ligand_ends": np.column_stack([owner, ligands[:, 0]]),
        "ligand_lengths": np.linalg.norm(to_ligand, axis=1),
        "ligand_counts": np.ones(len(owner)),
        "link_motifs": links[:, :2],
        "link_shared": np.minimum(n_shared, 127),
        "link_lengths": np.linalg.norm(far - coords[sources], axis=1),
        "link_angles": mean_angles,
        "link_counts": np.ones(len(links)),
        "shell_vectors": to_ligand,
        "shell_motifs": owner,
    }


def _tokens(crystal: Crystal, found: MotifArrays, owner: NDArray[np.int64], ligands: NDArray[np.int64]) -> list[str]:
    """Name the motifs, with the oxidation states of their centres."""
    symbols = found.symbols()
    numbers = crystal.numbers
    starts_of = np.searchsorted(owner, np.arange(len(found.centres) + 1)).tolist()
    elements = numbers[ligands[:, 0]]
    tokens = []
    for motif, site in enumerate(found.centres.tolist()):
        kinds, counts = np.unique(elements[starts_of[motif] : starts_of[motif + 1]], return_counts=True)
        around = {SYMBOLS[kind]: count for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True)}
        state = None if found.oxidations is None else float(found.oxidations[site])
        geometry = symbols[int(found.environment_starts[motif])]
        tokens.append(motif_token(SYMBOLS[numbers[site]], around, geometry, state))
    return tokens


def _angles(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    product = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (one * other).sum(axis=1) / np.maximum(product, 1e-12)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _measure(columns: _Columns) -> None:
    """Measure the shell of every motif against all models of its coordination number."""
    rows_of = {symbol: row for row, symbol in enumerate(model_geometries().symbols)}
    shells, owner = columns.pop("shell_vectors"), columns.pop("shell_motifs")
    ends = np.searchsorted(owner, np.arange(len(columns["motif_centres"]) + 1)).tolist()
    motifs, geometries, csms = [], [], []
    for motif in range(len(ends) - 1):
        offsets = shells[ends[motif] : ends[motif + 1]]
        for symbol, csm in symmetry_measures(offsets).items() if len(offsets) <= LARGEST_CN else ():
            motifs.append(motif)
            geometries.append(rows_of[symbol])
            csms.append(csm)
    columns["measure_motifs"] = np.array(motifs, dtype=np.int64)
    columns["measure_geometries"] = np.array(geometries, dtype=np.int64)
    columns["measure_csms"] = np.array(csms, dtype=np.float64)


# Merging -------------------------------------------------------------------------------------------------------------


def _merged(columns: _Columns) -> _Columns:
    """Give one row to all that have the same colour."""
    n_atoms, n_motifs = len(columns["numbers"]), len(columns["motif_centres"])
    lengths = _bins(columns["bond_lengths"], _LENGTH_BIN)
    ligand_lengths = _bins(columns["ligand_lengths"], _LENGTH_BIN)
    links = _codes(
        columns["link_shared"],
        _bins(columns["link_lengths"], _LENGTH_BIN),
        _bins(columns["link_angles"], _ANGLE_BIN),
    )
    states = _codes(columns["numbers"], np.nan_to_num(columns["oxidations"], nan=-99))
    labels = _codes(columns["motif_tokens"], _bins(np.nan_to_num(columns["motif_csms"], nan=-1), _CSM_BIN))
    atoms, motifs = columns["bond_atoms"], n_atoms + columns["link_motifs"]
    owners, members = n_atoms + columns["ligand_ends"][:, 0], columns["ligand_ends"][:, 1]
    centred = n_atoms + np.arange(n_motifs)
    edges = [  # one end, other end, label; kinds of edges have labels of their own
        (atoms[:, 0], atoms[:, 1], 4 * lengths),
        (motifs[:, 0], motifs[:, 1], 4 * links + 1),
        (owners, members, 4 * ligand_lengths + 2),
        (centred, columns["motif_centres"], np.full(n_motifs, 3)),
    ]
    ends, others, told = (np.concatenate([edge[k] for edge in edges]) for k in range(3))
    colours = _refined(np.concatenate([2 * states, 2 * labels + 1]), ends, others, told)
    _, atom_of = np.unique(colours[:n_atoms], return_inverse=True)
    _, motif_of = np.unique(colours[n_atoms:], return_inverse=True)
    atom, motif = _grouped(atom_of), _grouped(motif_of)
    bond_ends = np.sort(atom_of[atoms], axis=1)
    bond = _grouped(_codes(*bond_ends.T, lengths))
    ligand_ends = np.column_stack([motif_of[columns["ligand_ends"][:, 0]], atom_of[members]])
    ligand = _grouped(_codes(*ligand_ends.T, ligand_lengths))
    link_ends = np.sort(motif_of[columns["link_motifs"]], axis=1)
    link = _grouped(_codes(*link_ends.T, links))
    shell = columns["shell_motifs"]
    kept = np.isin(shell, motif.first)
    place = np.empty(n_motifs, dtype=np.int64)
    place[motif.first] = np.arange(len(motif.first))
    return {
        "numbers": columns["numbers"][atom.first],
        "oxidations": columns["oxidations"][atom.first],
        "atom_counts": atom.counts,
        "bond_atoms": bond_ends[bond.first],
        "bond_lengths": bond.mean(columns["bond_lengths"]),
        "bond_counts": bond.counts,
        "motif_centres": atom_of[columns["motif_centres"]][motif.first],
        "motif_tokens": columns["motif_tokens"][motif.first],
        "motif_geometries": columns["motif_geometries"][motif.first],
        "motif_csms": motif.mean(columns["motif_csms"]),
        "motif_counts": motif.counts,
        "ligand_ends": ligand_ends[ligand.first],
        "ligand_lengths": ligand.mean(columns["ligand_lengths"]),
        "ligand_counts": ligand.counts,
        "link_motifs": link_ends[link.first],
        "link_shared": columns["link_shared"][link.first],
        "link_lengths": link.mean(columns["link_lengths"]),
        "link_angles": link.mean(columns["link_angles"]),
        "link_counts": link.counts,
        "shell_vectors": columns["shell_vectors"][kept][np.argsort(place[shell[kept]], kind="stable")],
        "shell_motifs": np.sort(place[shell[kept]]),
    }


class _Groups(NamedTuple):
    """Rows that have become one: the first of each group, how many there are, and the group of each row."""

    first: NDArray[np.int64]
    counts: NDArray[np.int64]
    group: NDArray[np.int64]

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self.group, values, minlength=len(self.counts)) / self.counts


def _grouped(codes: NDArray[np.int64]) -> _Groups:
    _, first, group, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    return _Groups(first, counts, group)


def _codes(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Give the same number to equal rows of some columns."""
    return np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _bins(values: NDArray[np.float64], width: float) -> NDArray[np.int64]:
    """Put values into intervals of a width, each from the least value that is not in the one before."""
    order = np.argsort(values, kind="stable")
    bins = np.zeros(len(values), dtype=np.int64)
    start, number = -np.inf, -1
    for place, value in zip(order.tolist(), values[order].tolist(), strict=True):
        if value > start + width:
            start, number = value, number + 1
        bins[place] = number
    return bins


def _refined(
    labels: NDArray[np.int64], ends: NDArray[np.int64], others: NDArray[np.int64], told: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Refine colours along edges, both ways, until no more come up; equal colours stay equal (64-bit hashes)."""
    sources, targets = np.concatenate([ends, others]), np.concatenate([others, ends])
    along = _hashed(np.concatenate([told, told]).astype(np.uint64))
    colours = _hashed(labels.astype(np.uint64))
    n_colours = 0
    while len(np.unique(colours)) > n_colours:
        n_colours = len(np.unique(colours))
        heard = np.zeros_like(colours)
        np.add.at(heard, targets, _hashed(colours[sources] * _STEP + along))
        colours = _hashed(colours * _STEP + heard)
    return colours


def _hashed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * _MULTIPLIERS[0]
    values = (values ^ (values >> np.uint64(27))) * _MULTIPLIERS[1]
    return values ^ (values >> np.uint64(31))


def _joined(parts: Sequence[_Columns], merge: bool) -> tuple[_Columns, _Columns]:
    """Put crystals one after another: columns, and where the rows of each crystal start in each table."""
    columns: _Columns = {}
    ends = {}
    for table, kinds in TABLES.items():
        wanted = dict(kinds) | ({"bond_vectors": np.float32} if table == "bonds" and not merge else {})
        for name, kind in wanted.items():
            columns[name] = np.concatenate([part[name] for part in parts]).astype(kind)
        ends[table] = starts(np.array([len(part[next(iter(kinds))]) for part in parts]))
    return columns, ends
