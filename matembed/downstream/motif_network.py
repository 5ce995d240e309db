"""MotifNetwork: which materials have which motifs, as a graph of two kinds of nodes, and an index of both."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import norm

from matembed._atomic import whole_folder
from matembed.cards import Card, package_versions
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.corpus.corpus import Corpus
from matembed.corpus.motif_tables import MotifTables
from matembed.downstream._motif_edges import (
    MotifLevel,
    check_settings,
    edges_of_graphs,
    edges_of_tables,
    place_columns,
)
from matembed.downstream.materials import Column, read_graphs
from matembed.encoders._training import check_count
from matembed.motifs import find_motif_arrays
from matembed.tokens import parse_token

if TYPE_CHECKING:
    from matembed.downstream.network_embedding import NetworkEmbedding

__all__ = ["MotifLevel", "MotifNetwork", "motif_network"]

_SCHEMA = 1
_TYPE = "MotifNetwork"
_NOUN = "motif network"
_FILES = {"edges.safetensors", "nodes.json"}
_DTYPES: dict[str, type] = {"starts": np.int64, "motif_idx": np.int32, "shares": np.float32, "csms": np.float32}
_DECIMALS = 6  # similarities that agree to this are tied
# Shares are rounded to float32, which moves a sum by 1e-7 at most; the rest is for those given to four decimals.
_SUM_TOLERANCE = 1e-3
_MOST_SHARED = 5  # motifs named for each similar material
# Settings of find_motifs that tables keep, so that motifs of a new structure are found in the same way.
_FOUND_BY = ("engine", "strategy", "search", "valences", "symmetrise")
_SETTINGS = tuple(signature(find_motif_arrays).parameters)[1:]


@dataclass(frozen=True, eq=False)
class MotifNetwork:
    """The graph between materials and motifs [1]_; arrays are read-only.

    An edge joins a material to each of its motifs, and holds the share of the motif among all motifs of the material
    and their mean distortion. Its weight is ``sqrt(share * half_csm / (half_csm + csm))``. The square root makes dot
    products of rows an overlap of distributions, in which a motif that is few among the others still counts. A motif of
    perfect shape has its whole share; of one as distorted as `half_csm` half is left, and so of one whose csm is not
    known, since no model has so many vertices: the further a shell is from the model, the less its name says of it.

    ``len(network)`` counts materials.

    Attributes
    ----------
    ids : tuple of str, length n_materials
        Unique.
    formulas : tuple of str, length n_materials
        Reduced formulas.
    motifs : tuple of str, length n_motifs
        Tokens in alphabetical order: ``"TiO6:O:6"``, ``"Ti4+O6:O:6"`` or ``"O:6"``, by `level`.
    starts : int64 array, shape (n_materials + 1,)
        Edges of material i are those from ``starts[i]`` to ``starts[i + 1]``, by motif; none where it has no motif.
    motif_idx : int32 array, shape (n_edges,)
        Position in `motifs`.
    shares : float32 array, shape (n_edges,)
        Above 0 and up to 1; those of a material add up to 1 within 0.001.
    csms : float32 array, shape (n_edges,)
        Mean continuous symmetry measure, 0 (ideal) to 100; NaN where none is known.
    level : {"motif", "species_motif", "geometry"}
        What a motif is.
    half_csm : float
        Csm at which half of a share counts.
    card : Card
        Source and licence of the materials, and how their motifs were found.

    Raises
    ------
    ValueError
        If ids repeat, the columns do not fit together, the shares of a material do not add up to 1, or `level` or
        `half_csm` is out of range.

    See Also
    --------
    motif_network : Makes it, with an example.

    References
    ----------
    .. [1] S. Aryal, W. Gong, H. D. Banjade, Q. Yan, arXiv:2601.17170 (2026).
    """

    ids: tuple[str, ...]
    formulas: tuple[str, ...]
    motifs: tuple[str, ...]
    starts: NDArray[np.int64]
    motif_idx: NDArray[np.int32]
    shares: NDArray[np.float32]
    csms: NDArray[np.float32]
    level: MotifLevel
    half_csm: float
    card: Card

    def __post_init__(self) -> None:
        check_settings(self.level, self.half_csm)
        for name in ("ids", "formulas", "motifs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, dtype in _DTYPES.items():
            array: NDArray[Any] = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        wrong = self._unsound()
        if wrong:
            msg = f"no motif network: {wrong}; make one with motif_network"
            raise ValueError(msg)

    def _unsound(self) -> str:
        n_edges = len(self.motif_idx)
        if len(self.formulas) != len(self.ids):
            return f"wanted a formula for each of {len(self.ids):,} ids, got {len(self.formulas):,}"
        if len(self._rows) != len(self.ids):
            twice = next(name for row, name in enumerate(self.ids) if self._rows[name] != row)
            return f"ids must be unique, got {twice!r} twice"
        if any(len(column) != n_edges for column in (self.shares, self.csms)):
            return f"wanted a share and a csm for each of {n_edges:,} edges"
        if (
            len(self.starts) != len(self.ids) + 1
            or self.starts[0] != 0
            or self.starts[-1] != n_edges
            or (np.diff(self.starts) < 0).any()
        ):
            return f"starts must ascend from 0 to {n_edges:,}, one for each material and one more"
        if n_edges and not (self.motif_idx.min() >= 0 and self.motif_idx.max() < len(self.motifs)):
            return f"motif_idx must be from 0 to {len(self.motifs) - 1:,}"
        if not ((self.shares > 0) & (self.shares <= 1)).all():
            return "shares must be above 0 and up to 1"
        n_motifs = np.diff(self.starts)
        sums = np.bincount(np.repeat(np.arange(len(self)), n_motifs), self.shares, len(self))
        off = np.flatnonzero((n_motifs > 0) & (np.abs(sums - 1) > _SUM_TOLERANCE))
        if len(off):
            return f"shares of each material must add up to 1, got {sums[off[0]]:.6g} for {self.ids[off[0]]!r}"
        return ""

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {motif: column for column, motif in enumerate(self.motifs)}

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = f"{len(self):,} materials, {len(self.motifs):,} motifs, {len(self.motif_idx):,} edges"
        return f"MotifNetwork({self.card.name!r}, {counts})"

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        """Number of materials that have each motif, shape (n_motifs,)."""
        return np.bincount(self.motif_idx, minlength=len(self.motifs))

    @cached_property
    def rarities(self) -> NDArray[np.float64]:
        """Logarithm of the number of materials over that of those with the motif, shape (n_motifs,): 0 if all have it.

        Called inverse document frequency where documents have words.
        """
        return np.log(max(1, len(self)) / np.maximum(1, self.degrees))

    @cached_property
    def trust(self) -> NDArray[np.float64]:
        """Part of each share that counts, shape (n_edges,): ``half_csm / (half_csm + csm)``, 1/2 if no csm is known."""
        csms = np.where(np.isnan(self.csms), self.half_csm, self.csms).astype(np.float64)
        return self.half_csm / (self.half_csm + csms)

    def weights(self) -> sparse.csr_array:
        """Weigh the edges.

        Returns
        -------
        csr_array of float64, shape (n_materials, n_motifs)
            ``sqrt(share * half_csm / (half_csm + csm))``.
        """
        return self.matrix(np.sqrt(self.shares * self.trust))

    def matrix(self, values: NDArray[np.floating]) -> sparse.csr_array:
        """Put a number of each edge where its material and its motif meet.

        Parameters
        ----------
        values : float array, shape (n_edges,)
            Such as ``network.shares``.

        Returns
        -------
        csr_array of float64, shape (n_materials, n_motifs)
            The numbers, and zeros where there is no edge.
        """
        entries = (np.asarray(values, dtype=np.float64), self.motif_idx, self.starts)
        return sparse.csr_array(entries, shape=(len(self), len(self.motifs)))

    # Looking things up -----------------------------------------------------------------------------------------------

    def similar(self, material: Any, n: int = 10) -> pd.DataFrame:
        """Find the materials that share rare motifs with one.

        Weights of edges are multiplied by the rarity of the motif, ``log(n_materials / n_materials with it)``, and
        materials compared by the cosine: a motif that many have counts for little, whatever its share. One that no
        material of the network has is as rare as one that a single material has.

        Parameters
        ----------
        material : str, MotifGraph, MotifArrays, Structure or Crystal
            Id of a material of the network, which is left out of the answer, or one that need not be in it; motifs of
            a structure are found as those of the network were, those of a graph should have been.
        n : int, default 10
            How many at most; those that share nothing are left out.

        Returns
        -------
        DataFrame, shape (n or fewer, 5)
            Most similar first, ties in the order of the network: id, formula, similarity (0 to 1), shared (up to five
            shared motifs, that which adds most to the similarity first) and n_materials (how many materials have
            each). Empty for a material that has no motif, or none that others have.

        Raises
        ------
        ValueError
            If there is no such id, or `n` is not positive.
        MotifError, TypeError
            If the motifs of a structure cannot be found.
        """
        check_count("n", n)
        weighted = self._weighted
        own = -1
        if isinstance(material, str):
            own = self._row(material)
            query, unshared = weighted[[own]], np.zeros(0)
        else:
            found_by = self.card.settings.get("find_motifs", {})
            other = motif_network([material], level=self.level, half_csm=self.half_csm, **found_by)
            query = sparse.csr_array(place_columns(other.weights(), other.motifs, self._columns) * self.rarities)
            new = [column for column, motif in enumerate(other.motifs) if motif not in self._columns]
            unshared = other.weights()[:, new].data * np.log(max(1, len(self)))
        length = np.sqrt((query.data**2).sum() + (unshared**2).sum())
        if length == 0:
            return _tabulated([])
        found = (weighted @ query.T).toarray().ravel() / np.where(self._norms > 0, self._norms, 1) / length
        found = np.round(found, _DECIMALS)
        if own >= 0:
            found[own] = 0
        order = np.argsort(-found, kind="stable")[:n]
        lines = []
        for row in order[found[order] > 0].tolist():
            both = weighted[[row]].multiply(query).tocoo()
            named = sorted(zip((-both.data).tolist(), both.coords[1].tolist(), strict=True))[:_MOST_SHARED]
            motifs = tuple(self.motifs[column] for _, column in named)
            degrees = tuple(int(self.degrees[column]) for _, column in named)
            lines.append((self.ids[row], self.formulas[row], float(found[row]), motifs, degrees))
        return _tabulated(lines)

    @cached_property
    def _weighted(self) -> sparse.csr_array:
        return sparse.csr_array(self.weights() * self.rarities)

    @cached_property
    def _norms(self) -> NDArray[np.float64]:
        return np.asarray(norm(self._weighted, axis=1))

    def _row(self, material: str) -> int:
        if material not in self._rows:
            msg = f"no material {material!r} among {len(self):,}, such as {', '.join(map(repr, self.ids[:3]))}"
            raise ValueError(f"{msg}; pass one of network.ids, or a structure")
        return self._rows[material]

    def materials_with(self, motif: str) -> pd.DataFrame:
        """List the materials that have a motif.

        Parameters
        ----------
        motif : str
            Token of the level of the network.

        Returns
        -------
        DataFrame, shape (n_materials with it, 5)
            Heaviest edge first, ties in the order of the network: id, formula, share (of the material's motifs), csm
            (mean, NaN if not known) and weight.

        Raises
        ------
        ValueError
            If no material has it, or it is no token.
        """
        if motif not in self._columns:
            parse_token(motif)
            example = f"such as {self.motifs[int(self.degrees.argmax())]!r}" if self.motifs else "as there are none"
            wanted = f"one of {len(self.motifs):,} motifs of level {self.level!r}, {example}"
            msg = f"no material has {motif!r}; wanted {wanted}"
            raise ValueError(msg)
        edges = np.flatnonzero(self.motif_idx == self._columns[motif])
        rows = np.searchsorted(self.starts, edges, side="right") - 1
        weights = np.sqrt(self.shares[edges] * self.trust[edges])
        order = np.argsort(-weights, kind="stable")
        columns = {
            "id": [self.ids[row] for row in rows[order].tolist()],
            "formula": [self.formulas[row] for row in rows[order].tolist()],
            "share": self.shares[edges][order],
            "csm": self.csms[edges][order],
            "weight": weights[order],
        }
        return pd.DataFrame(columns)

    def hubs(self, n: int = 20) -> pd.DataFrame:
        """List the motifs that most materials have.

        Parameters
        ----------
        n : int, default 20
            How many at most.

        Returns
        -------
        DataFrame, shape (n or fewer, 5)
            By falling degree, ties in alphabetical order: motif, n_materials (the degree), share_of_materials, rarity
            and csm (mean over the materials where it is known).

        Raises
        ------
        ValueError
            If `n` is not positive.
        """
        check_count("n", n)
        known = ~np.isnan(self.csms)
        sums = np.bincount(self.motif_idx[known], self.csms[known], len(self.motifs))
        counts = np.bincount(self.motif_idx[known], minlength=len(self.motifs))
        means = np.where(counts > 0, sums / np.maximum(1, counts), np.nan)
        order = np.argsort(-self.degrees, kind="stable")[:n]
        columns = {
            "motif": [self.motifs[column] for column in order.tolist()],
            "n_materials": self.degrees[order],
            "share_of_materials": self.degrees[order] / max(1, len(self)),
            "rarity": self.rarities[order],
            "csm": means[order],
        }
        return pd.DataFrame(columns)

    def subset(self, ids: Iterable[str]) -> Self:
        """Keep some materials, and the motifs that they have.

        Parameters
        ----------
        ids : iterable of str
            Which, in the order wanted.

        Returns
        -------
        MotifNetwork
            Rarities are those among these materials.

        Raises
        ------
        TypeError
            If `ids` is one id.
        ValueError
            If there is no such id, or one comes twice.
        """
        if isinstance(ids, str):
            msg = f"ids must be a list of them, got the text {ids!r}; pass [{ids!r}]"
            raise TypeError(msg)
        rows = np.array([self._row(name) for name in ids], dtype=np.int64)
        shares, csms = (self.matrix(values)[rows] for values in (self.shares, self.csms))
        kept = np.unique(shares.indices)
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows.tolist()),
            formulas=tuple(self.formulas[row] for row in rows.tolist()),
            motifs=tuple(self.motifs[column] for column in kept.tolist()),
            starts=shares.indptr.astype(np.int64),
            motif_idx=np.searchsorted(kept, shares.indices).astype(np.int32),
            shares=shares.data,
            csms=csms.data,
            card=replace(self.card, counts=_counts(len(rows), len(kept), len(shares.data)), sha256={}),
        )

    # Vectors ---------------------------------------------------------------------------------------------------------

    def embedding(self, dim: int = 128, *, parts: bool = True, min_materials: int = 2) -> "NetworkEmbedding":
        """Embed the materials by a truncated singular value decomposition of the weighted graph.

        See `matembed.NetworkEmbedding` for what is decomposed.

        Parameters
        ----------
        dim : int, default 128
            Length of the vectors; shorter if the rank of the matrix is smaller.
        parts : bool, default True
            Join motifs to their parts. A network of geometries has no parts.
        min_materials : int, default 2
            Leave out motifs and parts of fewer materials.

        Returns
        -------
        NetworkEmbedding
            Vectors of these materials, and the way to those of others.

        Raises
        ------
        ValueError
            If a number is not positive, or no motif is in so many materials.
        """
        from matembed.downstream.network_embedding import embed

        return embed(self, dim, parts=parts, min_materials=min_materials)

    # On disk ---------------------------------------------------------------------------------------------------------

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the network as a folder: config.json, README.md (the card), edges.safetensors and nodes.json.

        Parameters
        ----------
        path : path-like
            Folder to make. It appears whole or not at all.
        overwrite : bool, default False
            Replace a network that is already there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        FileExistsError
            If something is there and `overwrite` is false, or it is something else.
        """
        from safetensors.numpy import save

        folder = Path(path)
        nodes = {"ids": self.ids, "formulas": self.formulas, "motifs": self.motifs}
        with whole_folder(folder, kind=_TYPE, overwrite=overwrite) as partial:
            arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in sorted(_DTYPES)}
            (partial / "edges.safetensors").write_bytes(save(arrays))
            text = json.dumps(nodes, indent=0, ensure_ascii=False) + "\n"
            (partial / "nodes.json").write_text(text, encoding="utf-8", newline="\n")
            settings = {"level": self.level, "half_csm": self.half_csm}
            write_config(partial, self.card, self.card.counts, schema=_SCHEMA, type=_TYPE, **settings)
        return folder

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a folder that `write` made, and check its hashes.

        Parameters
        ----------
        path : path-like
            The folder.

        Returns
        -------
        MotifNetwork
            Bit for bit as it was written.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If it holds something else, was written by another format, or a file was changed.
        """
        from safetensors.numpy import load_file

        folder, config, card = read_config(
            path, kind=_TYPE, schema=_SCHEMA, noun=_NOUN, maker="network.write(path)", problem=_problem
        )
        edges, nodes = (checked_file(folder, name, card, set(), _NOUN) for name in sorted(_FILES))
        columns: dict[str, Any] = {**json.loads(nodes.read_text(encoding="utf-8")), **load_file(edges)}
        return cls(**columns, level=config["level"], half_csm=config["half_csm"], card=replace(card, sha256={}))


def _tabulated(lines: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Tabulate similar materials; similarities are numbers, be there any or none."""
    columns = ["id", "formula", "similarity", "shared", "n_materials"]
    return pd.DataFrame(lines, columns=columns).astype({"similarity": np.float64})


def _problem(config: Mapping[str, Any], card: Card) -> str:
    check_settings(config["level"], config["half_csm"])
    return other_files(card, _FILES)


def motif_network(
    materials: "MotifTables | Corpus | Column",
    *,
    level: MotifLevel = "motif",
    half_csm: float = 4.0,
    ids: Sequence[str] | None = None,
    card: Card | None = None,
    **settings: Any,
) -> MotifNetwork:
    """Join materials to their motifs.

    Parameters
    ----------
    materials : MotifTables, Corpus or sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_materials
        Tables of many crystals, which `build_motif_tables` makes; a corpus of crystals; or crystals. Of a site between
        several environments the likeliest counts. With ``valences="none"`` anions are centres too.
    level : {"motif", "species_motif", "geometry"}
        What a motif is: ``TiO6:O:6``; ``Ti4+O6:O:6``, with the oxidation state of the centre where it is known; or
        ``O:6``, the geometry alone.
    half_csm : float, default 4
        Csm at which half of a share counts, see `MotifNetwork`: half of the 8 from which on ChemEnv gives a polyhedron
        no weight. Property models hardly depend on it.
    ids : sequence of str, length n_materials, optional
        By default those of the tables or corpus; crystals are numbered from 1.
    card : Card, optional
        Name, source, licence and citation of the materials. By default that of the tables or corpus.
    **settings : object
        For structures, those of `matembed.find_motifs`; tables and corpora know theirs.

    Returns
    -------
    MotifNetwork
        In the order of the input. Materials that have no motif are in it, without edges.

    Raises
    ------
    ValueError
        If a setting is out of range, ids repeat or are of another length, tables or a corpus come with settings, or a
        corpus is one of formulas.
    TypeError
        If `find_motifs` has no such setting.
    MotifError, TypeError
        If the motifs of a structure cannot be found.

    See Also
    --------
    matembed.build_motif_tables : Finds the motifs of many crystals.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salts = [Structure(Lattice.cubic(4.1), [metal, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]) for metal in ("Cs", "Tl")]
    >>> network = motif_network([*salts, salts[0] * (2, 1, 1)], ids=["CsCl", "TlCl", "CsCl, doubled"])
    >>> network
    MotifNetwork('crystals', 3 materials, 2 motifs, 3 edges)
    >>> network.similar("CsCl")[["id", "shared", "n_materials"]].values.tolist()
    [['CsCl, doubled', ('CsCl8:C:8',), (2,)]]
    >>> network.embedding(dim=1).transform(salts).shape
    (2, 1)
    """
    check_settings(level, half_csm)
    for name in settings:
        if name not in _SETTINGS:
            msg = f"{name!r} is no setting of find_motifs; pass one of {', '.join(_SETTINGS)}"
            raise TypeError(msg)
    if isinstance(materials, MotifTables | Corpus):
        if settings:
            msg = f"{materials!r} holds motifs that were found, got {min(settings)!r} too; leave it out, or build it so"
            raise ValueError(msg)
        settings = {name: value for name, value in materials.card.settings.items() if name in _FOUND_BY}
        card = card or materials.card
    if isinstance(materials, MotifTables):
        listed = materials.materials()
        known, formulas = listed["id"].tolist(), listed["formula"].tolist()
        motifs, columns = edges_of_tables(materials, listed["n_motifs"].to_numpy(np.int64), level)
    else:
        if isinstance(materials, Corpus):
            known, graphs = map(list, zip(*materials.motif_graphs(), strict=True))
        else:
            graphs = read_graphs(materials, **settings)
            known = [str(row) for row in range(1, len(graphs) + 1)]
        formulas = [graph.formula for graph in graphs]
        motifs, columns = edges_of_graphs(graphs, level)
    names = known if ids is None else [str(name) for name in ids]
    if len(names) != len(known):
        msg = f"wanted an id for each of {len(known):,} materials, got {len(names):,}"
        raise ValueError(msg)
    return MotifNetwork(
        ids=tuple(names),
        formulas=tuple(formulas),
        motifs=motifs,
        starts=columns[0],
        motif_idx=columns[1],
        shares=columns[2],
        csms=columns[3],
        level=level,
        half_csm=float(half_csm),
        card=replace(
            card or Card("crystals"),
            what="Which materials have which motifs.",
            counts=_counts(len(known), len(motifs), len(columns[1])),
            settings={"find_motifs": settings, "level": level, "half_csm": float(half_csm)},
            versions=package_versions(),
            sha256={},
        ),
    )


def _counts(n_materials: int, n_motifs: int, n_edges: int) -> dict[str, int]:
    return {"materials": n_materials, "motifs": n_motifs, "edges": n_edges}
