"""AtomMotifGraphs: atoms and their bonds, motifs and their connections, and which atoms a motif is made of."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._atomic import whole_folder
from matembed._optional import import_extra
from matembed.cards import Card
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.corpus.ragged import members, starts
from matembed.elements import SYMBOLS
from matembed.encoders._training import check_count
from matembed.motifs.geometry import model_geometries

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = [
    "RULES",
    "SCHEMA",
    "TABLES",
    "TYPE",
    "WIDTHS",
    "AtomMotifGraph",
    "AtomMotifGraphs",
    "count_graphs",
    "mapped_arrays",
]

RULES = ("bonds", "strategy")
"""Settings of a card by which graphs are made; those of a network are all made by the same."""
SCHEMA = 1
"""Format of a folder of graphs."""
TYPE = "AtomMotifGraphs"
"""What such a folder says it holds."""
_NOUN = "set of atom-motif graphs"
_FILES = {"graphs.safetensors", "materials.json"}
_BESIDE = {"materials.parquet", "rejected.parquet", "rewritten.parquet"}  # which build_graphs adds

TABLES: dict[str, dict[str, type]] = {
    "atoms": {"numbers": np.int16, "oxidations": np.float32, "atom_counts": np.int32},
    "bonds": {"bond_atoms": np.int32, "bond_lengths": np.float32, "bond_counts": np.int32},
    "motifs": {
        "motif_centres": np.int32,
        "motif_tokens": np.int32,
        "motif_geometries": np.int16,
        "motif_csms": np.float32,
        "motif_counts": np.int32,
    },
    "ligands": {"ligand_ends": np.int32, "ligand_lengths": np.float32, "ligand_counts": np.int32},
    "links": {
        "link_motifs": np.int32,
        "link_shared": np.int8,
        "link_lengths": np.float32,
        "link_angles": np.float32,
        "link_counts": np.int32,
    },
    "measures": {"measure_motifs": np.int32, "measure_geometries": np.int16, "measure_csms": np.float32},
}
"""Columns by table; each table has a row for each atom, bond, ... of each crystal, one crystal after another."""
WIDTHS = {"bond_atoms": (2,), "ligand_ends": (2,), "link_motifs": (2,), "bond_vectors": (3,)}
"""Numbers in a row of a column that has several."""
_POSITIONS = {  # the tables whose rows they count, in each crystal from 0
    "bond_atoms": ("atoms", "atoms"),
    "motif_centres": ("atoms",),
    "ligand_ends": ("motifs", "atoms"),
    "link_motifs": ("motifs", "motifs"),
    "measure_motifs": ("motifs",),
}
_MOST = float(np.finfo(np.float32).max)
_LENGTH = (float(np.finfo(np.float32).tiny), _MOST, "finite and more than 0 Å")
_FINITE = (-_MOST, _MOST, "finite")
_COUNT = (1, _MOST, "1 or more")
_RANGES: dict[str, tuple[float, float, str]] = {  # least, most, and what that is called
    "numbers": (1, len(SYMBOLS) - 1, f"atomic numbers, 1 to {len(SYMBOLS) - 1}"),
    "bond_lengths": _LENGTH,
    "bond_vectors": _FINITE,
    "ligand_lengths": _LENGTH,
    "link_shared": _COUNT,
    "link_lengths": _LENGTH,
    "link_angles": _FINITE,
    "measure_csms": _FINITE,
} | {f"{one}_counts": _COUNT for one in ("atom", "bond", "motif", "ligand", "link")}
_TABLE_OF = {name: table for table, names in TABLES.items() for name in names} | {"bond_vectors": "bonds"}
_NOTHING = np.zeros(0)
_Value = TypeVar("_Value")
_Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class AtomMotifGraph:
    """The dual graph of one crystal [1]_: atoms joined by bonds, motifs joined by shared ligands, and who is in whom.

    A row may stand for several atoms, bonds, motifs or connections that no invariant network can tell apart: the
    ``*_counts`` say for how many of the cell. Positions count rows of this graph.

    Attributes
    ----------
    formula : str
        Reduced formula.
    numbers : int array, shape (n_rows,)
        Atomic numbers.
    oxidations : float array, shape (n_rows,)
        Oxidation states in units of e; NaN where not known.
    atom_counts, bond_counts, motif_counts, ligand_counts, link_counts : int array
        How many of the cell a row stands for.
    bond_atoms : int array, shape (n_rows, 2)
        The two atoms of a bond, each bond once; an atom may be bonded to itself, in another cell.
    bond_lengths : float array
        In Å.
    bond_vectors : float array, shape (n_rows, 3), or None
        From the first atom to the second, Cartesian, in Å; None if rows are merged.
    motif_centres : int array
        The atom at the centre of each motif.
    motif_names : tuple of str
        Tokens such as ``"Ti4+O6:O:6"``.
    motif_geometries : int array
        Row in `matembed.motifs.geometry.model_geometries`, -1 where no model has so many vertices.
    motif_csms : float array
        Continuous symmetry measure, 0 to 100; NaN where there is no model.
    ligand_ends : int array, shape (n_rows, 2)
        A motif, and an atom that is one of its ligands.
    ligand_lengths : float array
        From centre to ligand, in Å; networks here take them from the bonds instead.
    link_motifs : int array, shape (n_rows, 2)
        Two motifs that share ligands, each connection once, periodic images each on their own.
    link_shared : int array
        How many ligands they share: 1 a corner, 2 an edge, 3 or more a face.
    link_lengths : float array
        From centre to centre, in Å.
    link_angles : float array
        Mean angle centre-ligand-centre over the shared ligands, in degrees.
    measure_motifs, measure_geometries : int array
        A motif, and a model with as many vertices as it has ligands, all of them.
    measure_csms : float array
        Its continuous symmetry measure against that model.

    Raises
    ------
    ValueError
        If columns do not fit each other, a position is beyond the rows it counts, or a number is one that none can be,
        such as a length of NaN. Rows of graphs that were checked are not checked again.

    References
    ----------
    .. [1] H. R. Banjade et al., Sci. Adv. 7, eabf1754 (2021).
    """

    formula: str
    numbers: NDArray[np.int16]
    oxidations: NDArray[np.float32]
    atom_counts: NDArray[np.int32]
    bond_atoms: NDArray[np.int32]
    bond_lengths: NDArray[np.float32]
    bond_counts: NDArray[np.int32]
    bond_vectors: NDArray[np.float32] | None
    motif_centres: NDArray[np.int32]
    motif_names: tuple[str, ...]
    motif_geometries: NDArray[np.int16]
    motif_csms: NDArray[np.float32]
    motif_counts: NDArray[np.int32]
    ligand_ends: NDArray[np.int32]
    ligand_lengths: NDArray[np.float32]
    ligand_counts: NDArray[np.int32]
    link_motifs: NDArray[np.int32]
    link_shared: NDArray[np.int8]
    link_lengths: NDArray[np.float32]
    link_angles: NDArray[np.float32]
    link_counts: NDArray[np.int32]
    measure_motifs: NDArray[np.int32]
    measure_geometries: NDArray[np.int16]
    measure_csms: NDArray[np.float32]

    def __post_init__(self) -> None:
        if len(self.motif_names) != len(self.motif_centres):
            got = f"{len(self.motif_centres)} motif_centres and {len(self.motif_names)} motif_names"
            msg = f"wanted a name for each motif, got {got}; pass one for each"
            raise ValueError(msg)
        columns = {name: getattr(self, name) for names in TABLES.values() for name in names if name != "motif_tokens"}
        columns["motif_tokens"] = np.arange(len(self.motif_names))
        if self.bond_vectors is not None:
            columns["bond_vectors"] = self.bond_vectors
        ends = {table: np.array([0, len(columns[next(iter(names))])]) for table, names in TABLES.items()}
        _check(columns, ends, (self.formula,), len(self.motif_names))

    @property
    def n_atoms(self) -> int:
        """Atoms of the cell."""
        return int(self.atom_counts.sum())

    @property
    def n_bonds(self) -> int:
        """Bonds of the cell, each once."""
        return int(self.bond_counts.sum())

    @property
    def n_motifs(self) -> int:
        """Motifs of the cell."""
        return int(self.motif_counts.sum())

    @property
    def n_connections(self) -> int:
        """Pairs of motifs of the cell that share ligands, each once."""
        return int(self.link_counts.sum())

    def __repr__(self) -> str:
        rows = f"{len(self.numbers)} kinds of atoms, {len(self.motif_centres)} kinds of motifs"
        return (
            f"AtomMotifGraph({self.formula}: {self.n_atoms} atoms, {self.n_bonds} bonds, {self.n_motifs} motifs, "
            f"{self.n_connections} connections; {rows})"
        )

    def to_hetero_data(self) -> "HeteroData":
        """Make the graph that PyTorch Geometric reads.

        Returns
        -------
        torch_geometric.data.HeteroData
            Node types ``"atom"`` (number, oxidation, count) and ``"motif"`` (geometry, csm, count, token); edge types
            ``("atom", "bond", "atom")`` (length, count, and vector if rows are not merged) and
            ``("motif", "connection", "motif")`` (shared, length, angle, count), each in both directions,
            ``("atom", "ligand", "motif")`` (length, count) and ``("atom", "centre", "motif")``. Layers that know
            nothing of counts want whole graphs, made with ``merge=False``.

        Raises
        ------
        ImportError
            If PyTorch Geometric is not installed.
        """
        for library in ("torch", "torch_geometric"):
            import_extra(library, extra="graph")
        from matembed.graphs._hetero_data import hetero_data

        return hetero_data(self)


@dataclass(frozen=True, eq=False)
class AtomMotifGraphs:
    """Many dual graphs in columns, which may be mapped from a file; arrays are read-only.

    ``len(graphs)`` counts crystals, ``graphs[3]`` is an `AtomMotifGraph`, and ``graphs[10:20]`` and ``graphs[rows]``
    with whole numbers or booleans are graphs of some of them.

    Attributes
    ----------
    ids, formulas : tuple of str, length n_crystals
        Of the input; reduced formulas.
    names : tuple of str
        All tokens of motifs, which ``motif_tokens`` counts.
    ends : mapping of str to int64 array, shape (n_crystals + 1,)
        Where the rows of each crystal start, in each table of `TABLES`.
    columns : mapping of str to array
        By the names of `AtomMotifGraph`, one crystal after another; positions count from the first row of each crystal.
    card : Card
        Source, licence and citation of the crystals, and how graphs were made.

    Raises
    ------
    ValueError
        As for `AtomMotifGraph`; the message names the column, the row and the crystal.

    See Also
    --------
    matembed.graphs.atom_motif_graphs : Makes them.
    """

    ids: tuple[str, ...]
    formulas: tuple[str, ...]
    names: tuple[str, ...]
    ends: Mapping[str, NDArray[np.int64]]
    columns: Mapping[str, NDArray[Any]]
    card: Card

    def __post_init__(self) -> None:
        if len(self.formulas) != len(self.ids):
            got = f"{len(self.ids)} ids and {len(self.formulas)} formulas"
            msg = f"wanted a formula for each crystal, got {got}; pass one for each"
            raise ValueError(msg)
        _check(self.columns, self.ends, self.ids, len(self.names))
        _freeze(self.columns, self.ends)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        _freeze(self.columns, self.ends)  # pickles and copies have arrays of their own

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many rows each crystal has, of all tables: what it costs to read, shape (n_crystals,)."""
        return np.sum([np.diff(ends) for ends in self.ends.values()], axis=0, dtype=np.int64)

    @property
    def has_vectors(self) -> bool:
        """Whether bonds have directions: rows are not merged."""
        return "bond_vectors" in self.columns

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = self.counts()
        told = ", ".join(f"{counts[name]:,} {name}" for name in ("atoms", "bonds", "motifs", "connections"))
        return f"AtomMotifGraphs({len(self):,} crystals: {told})"

    def counts(self) -> dict[str, int]:
        """Count the crystals, atoms, bonds, motifs and connections, and the rows that stand for them."""
        return count_graphs(self.columns, self.ends)

    def __getitem__(self, rows: "int | slice | ArrayLike") -> "Any":
        every = np.arange(len(self))
        chosen = every[rows] if isinstance(rows, slice) else np.asarray(rows)
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        wrong_mask = chosen.dtype.kind == "b" and chosen.shape != (len(self),)
        if chosen.ndim > 1 or chosen.dtype.kind not in "iub" or wrong_mask:
            msg = f"graphs are chosen by a whole number, a slice or a list of rows, got {rows!r:.60}"
            raise IndexError(msg)
        if not chosen.ndim:
            return self._graph(int(every[chosen]))
        picked = every[chosen]
        columns: dict[str, NDArray[Any]] = {}
        ends: dict[str, NDArray[np.int64]] = {}
        for table, columns_of in self._tables().items():
            places, _ = members(self.ends[table], picked)
            ends[table] = starts(np.diff(self.ends[table])[picked])
            columns |= {name: self.columns[name][places] for name in columns_of}
        ids, formulas = ([named[row] for row in picked.tolist()] for named in (self.ids, self.formulas))
        _freeze(columns, ends)
        changed = {"ids": tuple(ids), "formulas": tuple(formulas), "columns": columns, "ends": ends}
        return _unchecked(type(self), vars(self) | changed)

    def _tables(self) -> dict[str, list[str]]:
        tables = {table: list(columns) for table, columns in TABLES.items()}
        if self.has_vectors:
            tables["bonds"].append("bond_vectors")
        return tables

    def _graph(self, row: int) -> AtomMotifGraph:
        found: dict[str, Any] = {"formula": self.formulas[row], "bond_vectors": None}
        for table, columns in self._tables().items():
            first, last = self.ends[table][row : row + 2]
            found |= {name: self.columns[name][first:last] for name in columns}
        found["motif_names"] = tuple(self.names[token] for token in found.pop("motif_tokens").tolist())
        return _unchecked(AtomMotifGraph, found)

    @classmethod
    def of(cls, graphs: "Iterable[AtomMotifGraph]") -> Self:
        """Put single graphs together.

        Parameters
        ----------
        graphs : iterable of AtomMotifGraph
            All with directions of bonds, or all without.

        Returns
        -------
        AtomMotifGraphs
            In their order, numbered from 1.

        Raises
        ------
        ValueError
            If some have directions and others not.
        """
        listed = list(graphs)
        directed = {one.bond_vectors is not None for one in listed}
        if len(directed) > 1:
            msg = "some graphs are merged and others not; make all of them in the same way"
            raise ValueError(msg)
        names: dict[str, int] = {}
        columns: dict[str, NDArray[Any]] = {}
        ends: dict[str, NDArray[np.int64]] = {}
        for table, kinds in TABLES.items():
            wanted = dict(kinds) | ({"bond_vectors": np.float32} if table == "bonds" and True in directed else {})
            for name, kind in wanted.items():
                width = WIDTHS.get(name, ())
                if name == "motif_tokens":
                    parts = [[names.setdefault(one, len(names)) for one in graph.motif_names] for graph in listed]
                else:
                    parts = [getattr(graph, name) for graph in listed]
                rows: list[NDArray[Any]] = [np.asarray(part, dtype=kind).reshape(-1, *width) for part in parts]
                columns[name] = np.concatenate([np.zeros((0, *width), dtype=kind), *rows])
            ends[table] = starts(np.array([len(row) for row in rows], dtype=np.int64))
        ids = tuple(str(place + 1) for place in range(len(listed)))
        card = Card(name="atom-motif-graphs", what="Dual graphs of atoms and motifs.", source="", licence="")
        return cls(ids, tuple(one.formula for one in listed), tuple(names), ends, columns, card)

    @classmethod
    def concat(cls, several: "Iterable[AtomMotifGraphs]", *, card: Card | None = None) -> Self:
        """Put graphs one after another.

        Parameters
        ----------
        several : iterable of AtomMotifGraphs
            All with directions of bonds, or all without.
        card : Card, optional
            By default that of the first.

        Returns
        -------
        AtomMotifGraphs
            Of all crystals.

        Raises
        ------
        TypeError
            If one of them is something else.
        ValueError
            If there are none, some have directions and others not, or cards name two strategies or rules of
            bonds, or two seeds of a shuffle.
        """
        parts = list(several)
        wrong = next((part for part in parts if not isinstance(part, AtomMotifGraphs)), None)
        if wrong is not None:
            msg = f"wanted several AtomMotifGraphs, got {type(wrong).__name__}; single ones are joined by of"
            raise TypeError(msg)
        if not parts or len({part.has_vectors for part in parts}) > 1:
            msg = f"wanted graphs that are all merged or all not, got {len(parts)} sets of them"
            raise ValueError(msg)
        for name in RULES:
            told = sorted({part.card.settings.get(name, "given") for part in parts} - {"given"})
            if len(told) > 1:
                msg = f"wanted graphs that were made alike, got {name} {' and '.join(told)}; make all with one of them"
                raise ValueError(msg)
        if len({part.card.settings.get("shuffled") for part in parts}) > 1:
            msg = "wanted graphs that are all as they were found, or all shuffled by one seed; put them together first"
            raise ValueError(msg)
        names: dict[str, int] = {}
        for part in parts:
            for name in part.names:
                names.setdefault(name, len(names))
        tables = parts[0]._tables()
        renamed = [np.array([names[name] for name in part.names], dtype=np.int32) for part in parts]
        columns = {
            name: np.concatenate(
                [
                    renamed[k][part.columns[name]] if name == "motif_tokens" else part.columns[name]
                    for k, part in enumerate(parts)
                ]
            )
            for columns in tables.values()
            for name in columns
        }
        ends = {table: starts(np.concatenate([np.diff(part.ends[table]) for part in parts])) for table in tables}
        return cls(
            ids=tuple(one for part in parts for one in part.ids),
            formulas=tuple(one for part in parts for one in part.formulas),
            names=tuple(names),
            ends=ends,
            columns=columns,
            card=card or parts[0].card,
        )

    def shuffled(self, seed: int = 0) -> Self:
        """Exchange what is known of motifs, at random, among those with the same element at their centre.

        The token, the geometry and the measures of a motif go to another, of any crystal; its centre, ligands and
        connections stay. A control: what a network gains from true labels is more than it gains from these.

        Parameters
        ----------
        seed : int, default 0
            Of the exchange.

        Returns
        -------
        AtomMotifGraphs
            With other labels; the card tells the seed, as ``shuffled``.

        Raises
        ------
        ValueError
            If `seed` is no whole number, 0 or more.
        """
        check_count("seed", seed, least=0)
        crystal = np.repeat(np.arange(len(self)), np.diff(self.ends["motifs"]))
        centres = self.columns["numbers"][self.columns["motif_centres"] + self.ends["atoms"][crystal]]
        mixed = np.random.default_rng(seed).permutation(len(centres))
        taken = np.empty_like(mixed)
        taken[np.argsort(centres, kind="stable")] = mixed[np.argsort(centres[mixed], kind="stable")]
        columns = dict(self.columns)
        for name in ("motif_tokens", "motif_geometries", "motif_csms"):
            columns[name] = columns[name][taken]
        owner = self.columns["measure_motifs"] + self.ends["motifs"][:-1].repeat(np.diff(self.ends["measures"]))
        first = np.searchsorted(owner, np.arange(len(centres) + 1))  # measures are sorted by motif
        places, new_owner = members(first, taken)
        for name in ("measure_geometries", "measure_csms"):
            columns[name] = columns[name][places]
        columns["measure_motifs"] = (new_owner - self.ends["motifs"][crystal[new_owner]]).astype(np.int32)
        counts = np.bincount(crystal[new_owner], minlength=len(self))
        card = replace(self.card, settings=dict(self.card.settings) | {"shuffled": int(seed)})
        return replace(self, columns=columns, ends=dict(self.ends) | {"measures": starts(counts)}, card=card)

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the graphs as a folder of config.json, README.md (the card), graphs.safetensors and materials.json.

        Parameters
        ----------
        path : path-like
            Folder to make. It appears whole or not at all.
        overwrite : bool, default False
            Replace graphs that are already there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        FileExistsError
            If something is there and `overwrite` is false, or it is something else.
        """
        from safetensors.numpy import save_file

        folder = Path(path)
        arrays = {name: np.ascontiguousarray(column) for name, column in self.columns.items()}
        arrays |= {f"{table}_ends": ends for table, ends in self.ends.items()}
        texts = {"ids": self.ids, "formulas": self.formulas, "names": self.names}
        with whole_folder(folder, kind=TYPE, overwrite=overwrite) as partial:
            save_file(arrays, partial / "graphs.safetensors")
            (partial / "materials.json").write_text(json.dumps(texts, ensure_ascii=False) + "\n", encoding="utf-8")
            write_config(partial, self.card, self.counts(), schema=SCHEMA, type=TYPE)
        return folder

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a folder that `write` or `build_graphs` made, and check its hashes.

        Columns are mapped, not held in memory.

        Parameters
        ----------
        path : path-like
            The folder.

        Returns
        -------
        AtomMotifGraphs
            Bit for bit as they were written.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If it holds something else, or a file was changed.
        """
        folder, _, card = read_config(
            path,
            kind=TYPE,
            schema=SCHEMA,
            noun=_NOUN,
            maker="graphs.write(path)",
            problem=lambda _, card: other_files(card, _FILES | (_BESIDE & card.sha256.keys())),
        )
        arrays = mapped_arrays(checked_file(folder, "graphs.safetensors", card, set(), _NOUN))
        texts = json.loads(checked_file(folder, "materials.json", card, set(), _NOUN).read_text(encoding="utf-8"))
        return cls(
            ids=tuple(texts["ids"]),
            formulas=tuple(texts["formulas"]),
            names=tuple(texts["names"]),
            ends={table: np.asarray(arrays.pop(f"{table}_ends")) for table in TABLES},
            columns=arrays,
            card=card,
        )


def _unchecked(kind: type[_Value], fields: Mapping[str, Any]) -> _Value:
    """Make a value of rows that were checked before; training makes one for each batch."""
    value = object.__new__(kind)
    for name, field in fields.items():
        object.__setattr__(value, name, field)
    return value


def _freeze(*several: Mapping[str, NDArray[Any]]) -> None:
    for arrays in several:
        for array in arrays.values():
            array.setflags(write=False)


def _check(columns: _Arrays, ends: _Arrays, crystals: Sequence[str], n_names: int) -> None:
    """Raise ValueError unless columns hold what networks can read, and positions stay within their crystal."""
    wrong = (
        _misshapen(columns, ends, len(crystals))
        or _out_of_range(columns, ends, crystals, n_names)
        or _out_of_crystal(columns, ends, crystals)
    )
    if wrong:
        msg = f"{wrong}; mend the graphs, or make them with atom_motif_graphs"
        raise ValueError(msg)


def _misshapen(columns: _Arrays, ends: _Arrays, n_crystals: int) -> str:
    """Say what is missing, of another length or of another kind, if anything is."""
    lacking = [*(TABLES.keys() - ends.keys()), *(_TABLE_OF.keys() - columns.keys() - {"bond_vectors"})]
    if lacking:
        return f"wanted ends of all tables and all columns, got no {', '.join(sorted(lacking))}"
    for table in TABLES:
        begin = ends[table]
        if begin.shape != (n_crystals + 1,) or begin.dtype.kind != "i" or begin[0] or (begin[1:] < begin[:-1]).any():
            return f"ends[{table!r}] must be {n_crystals + 1} whole numbers that rise from 0, got {begin!r:.60}"
    for name, table in _TABLE_OF.items():
        if name not in columns:
            continue
        column, shape = columns[name], (int(ends[table][-1]), *WIDTHS.get(name, ()))
        whole = issubclass(TABLES[table].get(name, np.float32), np.integer)
        is_array = isinstance(column, np.ndarray)
        if not is_array or column.shape != shape or column.dtype.kind not in ("iu" if whole else "iuf"):
            got = f"{column.dtype} of shape {column.shape}" if is_array else type(column).__name__
            return f"{name} must be an array of {'whole numbers' if whole else 'numbers'} of shape {shape}, got {got}"
    return ""


def _out_of_range(columns: _Arrays, ends: _Arrays, crystals: Sequence[str], n_names: int) -> str:
    """Say which number is none that a column may hold, if any is."""
    n_models = len(model_geometries().symbols)
    ranges = _RANGES | {
        "motif_tokens": (0, n_names - 1, f"places in names, 0 to {n_names - 1}"),
        "motif_geometries": (-1, n_models - 1, f"rows of model_geometries(), 0 to {n_models - 1}, or -1"),
        "measure_geometries": (0, n_models - 1, f"rows of model_geometries(), 0 to {n_models - 1}"),
    }
    for name, (least, most, wanted) in ranges.items():
        column = columns.get(name, _NOTHING)
        if column.size and not (column.min() >= least and column.max() <= most):  # NaN is neither
            row, where = _first(~((column >= least) & (column <= most)), ends[_TABLE_OF[name]], crystals)
            return f"{name} must be {wanted}, got {column[row].tolist()} in {where}"
    return ""


def _out_of_crystal(columns: _Arrays, ends: _Arrays, crystals: Sequence[str]) -> str:
    """Say which position is beyond the rows of its crystal, if any is."""
    sizes = {table: begin[1:] - begin[:-1] for table, begin in ends.items()}
    for name, tables in _POSITIONS.items():
        column, table = columns[name], _TABLE_OF[name]
        if not column.size:
            continue
        filled = sizes[table] > 0  # np.ufunc.reduceat reads no empty spans
        limits = np.array([sizes[other] for other in tables]).T
        highest = np.maximum.reduceat(column, ends[table][:-1][filled])
        if column.min() < 0 or (highest.reshape(-1, len(tables)) >= limits[filled]).any():
            below = limits.repeat(sizes[table], axis=0).reshape(column.shape)
            row, where = _first((column < 0) | (column >= below), ends[table], crystals)
            there = dict(zip(tables, below.reshape(-1, len(tables))[row].tolist(), strict=True))
            wanted = " and ".join(f"{other} ({n_rows})" for other, n_rows in there.items())
            return f"{name} must count rows of its crystal's {wanted} from 0, got {column[row].tolist()} in {where}"
    return ""


def _first(wrong: NDArray[np.bool_], begin: NDArray[np.int64], crystals: Sequence[str]) -> tuple[int, str]:
    """Find the first wrong row of a table, and say where it is."""
    row = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
    crystal = int(np.searchsorted(begin, row, side="right")) - 1
    return row, f"row {row - begin[crystal]} of crystal {crystals[crystal]!r}"


def count_graphs(columns: _Arrays, ends: _Arrays) -> dict[str, int]:
    """Count what graphs hold.

    Parameters
    ----------
    columns, ends : mapping of str to array
        Of `AtomMotifGraphs`.

    Returns
    -------
    dict of str to int
        Crystals, atoms, bonds, motifs and connections, and the rows of each table.
    """
    of_cells = {"atoms": "atom", "bonds": "bond", "motifs": "motif", "connections": "link"}
    whole = {name: int(columns[f"{one}_counts"].sum(dtype=np.int64)) for name, one in of_cells.items()}
    rows = {f"{table}_rows": int(begin[-1]) for table, begin in ends.items()}
    return {"crystals": len(ends["atoms"]) - 1} | whole | rows


def mapped_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Map the arrays of a safetensors file, so that only what is looked at is read.

    Parameters
    ----------
    path : Path
        The file: eight bytes with the length of a header in JSON, the header, and the numbers.

    Returns
    -------
    dict of str to array
        Read-only.
    """
    whole = np.memmap(path, mode="r")
    length = int(whole[:8].view("<u8")[0])
    header = json.loads(bytes(whole[8 : 8 + length]))
    kinds = {"I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64, "F32": np.float32}
    arrays = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        first, last = (8 + length + place for place in told["data_offsets"])
        arrays[name] = whole[first:last].view(kinds[told["dtype"]]).reshape(told["shape"])
    return arrays
