"""MotifNetwork: which materials have which motifs, as a graph of two kinds of nodes; an index, and vectors from it."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from matembed._atomic import whole_folder
from matembed.cards import Card, package_versions
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.corpus.corpus import Corpus
from matembed.corpus.motif_tables import MotifTables
from matembed.downstream.materials import Column, as_list, read_graphs
from matembed.motifs import Crystal, MotifGraph
from matembed.tokens import Token, parse_token

__all__ = ["MotifLevel", "MotifNetwork", "NetworkEmbedding", "motif_network"]

MotifLevel = Literal["motif", "species_motif", "geometry"]

_SCHEMA = 1
_TYPE = "MotifNetwork"
_NOUN = "motif network"
_FILES = {"edges.safetensors", "nodes.json"}
_DTYPES: dict[str, type] = {"starts": np.int64, "motif_idx": np.int32, "shares": np.float32, "csms": np.float32}
_DECIMALS = 6  # similarities that agree to this are tied, and mean csm is kept to it
_DENSE = 500  # largest matrix side that LAPACK takes whole; beyond it ARPACK finds the leading part
_MOST_SHARED = 5  # motifs named for each similar material
# Settings of find_motifs that tables keep, so that motifs of a new structure are found in the same way.
_FOUND_BY = ("engine", "strategy", "search", "valences", "symmetrise")


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
        Above 0 and up to 1; those of a material add up to 1.
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
        If ids repeat, or the columns do not fit together.

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

    def weights(self) -> sparse.csr_array:
        """Weigh the edges.

        Returns
        -------
        csr_array of float64, shape (n_materials, n_motifs)
            ``sqrt(share * half_csm / (half_csm + csm))``.
        """
        return self._edges(np.sqrt(self.shares * self._trust()))

    def _edges(self, values: NDArray[np.floating]) -> sparse.csr_array:
        matrix = (values.astype(np.float64), self.motif_idx, self.starts)
        return sparse.csr_array(matrix, shape=(len(self), len(self.motifs)))

    def _trust(self) -> NDArray[np.float64]:
        csms = np.where(np.isnan(self.csms), self.half_csm, self.csms).astype(np.float64)
        return self.half_csm / (self.half_csm + csms)

    # Looking things up -----------------------------------------------------------------------------------------------

    def similar(self, material: Any, n: int = 10) -> pd.DataFrame:
        """Find the materials that share rare motifs with one.

        Weights of edges are multiplied by the rarity of the motif, ``log(n_materials / n_materials with it)``, and
        materials compared by the cosine: a motif that many have counts for little, whatever its share.

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
        _check_count("n", n)
        weighted = self._weighted
        own = -1
        if isinstance(material, str):
            own = self._row(material)
            query = weighted[[own]]
        else:
            query = self._folded(motif_network([material], **self._same_way()))
        norm = np.sqrt((query.data**2).sum())
        if norm == 0:
            return pd.DataFrame({name: [] for name in ("id", "formula", "similarity", "shared", "n_materials")})
        found = (weighted @ query.T).toarray().ravel() / np.where(self._norms > 0, self._norms, 1) / norm
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
        return pd.DataFrame(lines, columns=["id", "formula", "similarity", "shared", "n_materials"])

    @cached_property
    def _weighted(self) -> sparse.csr_array:
        return sparse.csr_array(self.weights() * self.rarities)

    @cached_property
    def _norms(self) -> NDArray[np.float64]:
        return _row_norms(self._weighted)

    def _same_way(self) -> dict[str, Any]:
        settings = dict(self.card.settings.get("find_motifs", {}))
        return {"level": self.level, "half_csm": self.half_csm, **settings}

    def _folded(self, other: "MotifNetwork") -> sparse.csr_array:
        """Weigh the edges of other materials as these are; motifs that this network lacks are left out."""
        columns = np.array([self._columns.get(motif, -1) for motif in other.motifs], dtype=np.int64)
        known = np.flatnonzero(columns >= 0)
        place = sparse.csr_array(
            (np.ones(len(known)), (known, columns[known])), shape=(len(other.motifs), len(self.motifs))
        )
        return sparse.csr_array((other.weights() @ place) * self.rarities)

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
        weights = np.sqrt(self.shares * self._trust())[edges]
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
        _check_count("n", n)
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
        ValueError
            If there is no such id, or one comes twice.
        """
        rows = np.array([self._row(name) for name in ids], dtype=np.int64)
        shares, csms = (self._edges(values)[rows] for values in (self.shares, self.csms))
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

        Each material is a row of edge weights times the rarities of the motifs, scaled to unit length. With `parts` a
        motif is joined in turn to what it is made of: its geometry, the element of its centre, and the elements of its
        ligands by their share. A material inherits these joints, in three more blocks beside that of the motifs, each
        weighted by rarity and scaled like the first. So motifs that are met once, as three of four are in large
        databases, still tell what they are.

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
        _check_count("dim", dim)
        _check_count("min_materials", min_materials)
        names, blocks = self._blocks(parts)
        kept, rarities, scaled = [], [], []
        for block in blocks:
            degrees = np.bincount(block.indices, minlength=block.shape[1])
            columns = np.flatnonzero(degrees >= min_materials)
            kept.append(columns)
            rarities.append(np.log(max(1, len(self)) / degrees[columns]))
            scaled.append(_unit_rows(sparse.csr_array(block[:, columns] * rarities[-1])))
        matrix = sparse.csr_array(sparse.hstack(scaled, format="csr"))
        if not matrix.count_nonzero():
            msg = f"nothing that {min_materials} or more of {len(self):,} materials have tells them apart; give more"
            raise ValueError(msg)
        with threadpool_limits(limits=1):  # another number of threads, another order of sums, other bytes
            axes = _leading_axes(matrix, dim)
        settings = {"dim": dim, "parts": parts, "min_materials": min_materials, "level": self.level}
        return NetworkEmbedding(
            ids=self.ids,
            vectors=(matrix @ axes).astype(np.float32),
            nodes=tuple(
                tuple(of[column] for column in columns.tolist()) for of, columns in zip(names, kept, strict=True)
            ),
            rarities=np.concatenate(rarities),
            axes=axes,
            level=self.level,
            card=replace(
                self.card,
                what=f"Vectors of {len(self):,} materials from their motif network.",
                settings={**self.card.settings, "embedding": settings, "half_csm": self.half_csm},
                sha256={},
            ),
        )

    def _blocks(self, parts: bool) -> tuple[list[Sequence[str]], list[sparse.csr_array]]:
        """Name the nodes of each block, and weigh the way from each material to them."""
        if not parts or self.level == "geometry":
            return [self.motifs], [self.weights()]
        tokens = [parse_token(motif) for motif in self.motifs]
        trusted, plain = self._edges(self.shares * self._trust()), self._edges(self.shares)
        names: list[Sequence[str]] = [self.motifs]
        blocks = [self.weights()]
        for part, shares in zip(_PARTS, (trusted, plain, plain), strict=True):
            of_part, joined = _joined(tokens, part)
            names.append(of_part)
            reached = sparse.csr_array(shares @ joined)
            reached.data = np.sqrt(reached.data)
            blocks.append(reached)
        return names, blocks

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
            path,
            kind=_TYPE,
            schema=_SCHEMA,
            noun=_NOUN,
            maker="network.write(path)",
            problem=lambda config, card: _wrong_settings(config) or other_files(card, _FILES),
        )
        edges, nodes = (checked_file(folder, name, card, set(), _NOUN) for name in ("edges.safetensors", "nodes.json"))
        names: dict[str, Any] = json.loads(nodes.read_text(encoding="utf-8"))
        columns: dict[str, Any] = {**names, **load_file(edges)}
        return cls(**columns, level=config["level"], half_csm=config["half_csm"], card=replace(card, sha256={}))


@dataclass(frozen=True, eq=False)
class NetworkEmbedding:
    """Vectors of the materials of a network, and the way to those of others; arrays are read-only.

    Keys are ids of materials, which need not be tokens; that is why it is no `EmbeddingTable`.

    Attributes
    ----------
    ids : tuple of str, length n_materials
        Of the network it was made of.
    vectors : float32 array, shape (n_materials, dim)
        Columns by falling singular value; zeros for a material that has no motif.
    nodes : tuple of tuple of str
        Motifs, then geometries, elements of centres and elements of ligands where parts are joined: what `axes` has a
        row for.
    rarities : float64 array, shape (n_nodes,)
        Of each node.
    axes : float64 array, shape (n_nodes, dim)
        Right singular vectors; in each the entry of largest size is positive.
    level : {"motif", "species_motif", "geometry"}
        What a motif is.
    card : Card
        Of the network, with the settings.

    See Also
    --------
    MotifNetwork.embedding : Makes it.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    nodes: tuple[tuple[str, ...], ...]
    rarities: NDArray[np.float64]
    axes: NDArray[np.float64]
    level: MotifLevel
    card: Card

    def __post_init__(self) -> None:
        for name in ("vectors", "rarities", "axes"):
            array: NDArray[Any] = np.array(getattr(self, name))
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"NetworkEmbedding({self.card.name!r}, {len(self):,} materials, dim {self.dim})"

    def to_frame(self) -> pd.DataFrame:
        """Put the vectors into a DataFrame.

        Returns
        -------
        DataFrame, shape (n_materials, dim)
            Index named ``id``; float32.
        """
        return pd.DataFrame(self.vectors.copy(), index=pd.Index(self.ids, name="id"))

    def transform(self, materials: "MotifNetwork | Column") -> NDArray[np.float32]:
        """Fold materials in: what their vectors are on the axes that are there, which they change nothing of.

        Parameters
        ----------
        materials : MotifNetwork or sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_materials
            Motifs of structures are found as those of the network were; those of graphs should have been.

        Returns
        -------
        float32 array, shape (n_materials, dim)
            For a material of the network its own vector; zeros where nothing of it is known.

        Raises
        ------
        ValueError
            If a network is of another level or `half_csm`.
        MotifError, TypeError
            If the motifs of a structure cannot be found.
        """
        half_csm = self.card.settings["half_csm"]
        if not isinstance(materials, MotifNetwork):
            found_by = self.card.settings.get("find_motifs", {})
            materials = motif_network(materials, level=self.level, half_csm=half_csm, **found_by)
        if (materials.level, materials.half_csm) != (self.level, half_csm):
            got = f"{materials.level!r} and {materials.half_csm:g}"
            msg = f"wanted a network of level {self.level!r} and half_csm {half_csm:g}, got {got}; make it alike"
            raise ValueError(msg)
        names, blocks = materials._blocks(len(self.nodes) > 1)
        scaled, start = [], 0
        for of_block, block, nodes in zip(names, blocks, self.nodes, strict=True):
            rows = {name: row for row, name in enumerate(of_block)}
            here = np.array([rows.get(node, -1) for node in nodes], dtype=np.int64)
            columns = np.flatnonzero(here >= 0)
            place = sparse.csr_array((np.ones(len(columns)), (here[columns], columns)), (len(of_block), len(nodes)))
            rarities = self.rarities[start : start + len(nodes)]
            scaled.append(_unit_rows(sparse.csr_array((block @ place) * rarities)))
            start += len(nodes)
        with threadpool_limits(limits=1):
            return (sparse.csr_array(sparse.hstack(scaled, format="csr")) @ self.axes).astype(np.float32)


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
        For structures, passed to `matembed.find_motifs`; tables and corpora know theirs.

    Returns
    -------
    MotifNetwork
        In the order of the input. Materials that have no motif are in it, without edges.

    Raises
    ------
    ValueError
        If a setting is out of range, ids repeat or are of another length, tables or a corpus come with settings, or a
        corpus is one of formulas.
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
    if level not in get_args(MotifLevel):
        msg = f"level must be {' or '.join(map(repr, get_args(MotifLevel)))}, got {level!r}"
        raise ValueError(msg)
    if not (isinstance(half_csm, int | float) and 0 < half_csm < np.inf):
        msg = f"half_csm must be a positive number, got {half_csm!r}"
        raise ValueError(msg)
    if isinstance(materials, MotifTables | Corpus):
        if settings:
            msg = f"{materials!r} holds motifs that were found, got {min(settings)!r} too; leave it out, or build it so"
            raise ValueError(msg)
        settings = {name: value for name, value in materials.card.settings.items() if name in _FOUND_BY}
        card = card or materials.card
    if isinstance(materials, MotifTables):
        listed = materials.materials()
        known, formulas = listed["id"].tolist(), listed["formula"].tolist()
        found = _of_tables(materials, listed["n_motifs"].to_numpy(np.int64), level)
    else:
        if isinstance(materials, Corpus):
            known, graphs = map(list, zip(*materials.motif_graphs(), strict=True))
        else:
            graphs = read_graphs(_listed(materials), **settings)
            known = [str(row) for row in range(1, len(graphs) + 1)]
        formulas = [graph.formula for graph in graphs]
        found = _of_graphs(graphs, level)
    names = known if ids is None else [str(name) for name in ids]
    if len(names) != len(known):
        msg = f"wanted an id for each of {len(known):,} materials, got {len(names):,}"
        raise ValueError(msg)
    motifs, columns = _edges(found, len(known))
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


def _listed(materials: Any) -> list[Any]:
    if isinstance(materials, MotifGraph | Crystal):
        msg = f"wanted a list of crystals or MotifTables, got one {type(materials).__name__}; pass [it]"
        raise TypeError(msg)
    return as_list(materials, "structures")


# Motifs -> edges -----------------------------------------------------------------------------------------------------

# Material of each motif, its name as a position in a list of names, its csm, and the names.
_Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], list[str]]


def _of_tables(tables: MotifTables, n_motifs: NDArray[np.int64], level: MotifLevel) -> _Found:
    column = "geometry" if level == "geometry" else "token"
    read = [column, "csm", *(["oxidation"] if level == "species_motif" else [])]
    positions: dict[Any, int] = {}
    idx, csms = [], []
    for group in tables.row_groups("motifs", read):
        coded = group[column].combine_chunks().dictionary_encode()
        texts = coded.dictionary.to_pylist()
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        if level == "species_motif":
            states = group["oxidation"].to_numpy().astype(np.float64)
            pairs, codes = np.unique(np.column_stack([codes, np.round(states, 2)]), axis=0, return_inverse=True)
            texts = [_with_oxidation(texts[int(code)], state) for code, state in pairs.tolist()]
        here = np.array([positions.setdefault(text, len(positions)) for text in texts], dtype=np.int64)
        idx.append(here[codes.ravel()])
        csms.append(group["csm"].to_numpy().astype(np.float64))
    owner = np.repeat(np.arange(len(n_motifs)), n_motifs)
    return owner, np.concatenate([np.zeros(0, np.int64), *idx]), np.concatenate([np.zeros(0), *csms]), list(positions)


def _with_oxidation(token: str, oxidation: float) -> str:
    known = None if np.isnan(oxidation) else oxidation + 0.0
    return str(replace(parse_token(token), oxidation=known))


def _of_graphs(graphs: Sequence[MotifGraph], level: MotifLevel) -> _Found:
    named = {"motif": "token", "species_motif": "species_token", "geometry": "geometry"}[level]
    positions: dict[str, int] = {}
    motifs = [(row, motif) for row, graph in enumerate(graphs) for motif in graph.motifs]
    owner = np.array([row for row, _ in motifs], dtype=np.int64)
    idx = [positions.setdefault(getattr(motif, named), len(positions)) for _, motif in motifs]
    csms = [np.nan if motif.csm is None else motif.csm for _, motif in motifs]
    return owner, np.array(idx, dtype=np.int64), np.array(csms, dtype=np.float64), list(positions)


def _edges(found: _Found, n_materials: int) -> tuple[tuple[str, ...], tuple[NDArray[Any], ...]]:
    """Gather the motifs of each material that have one name."""
    owner, idx, csms, names = found
    motifs = sorted(names)
    place = {motif: column for column, motif in enumerate(motifs)}
    columns = np.array([place[name] for name in names], dtype=np.int64)[idx] if names else idx
    keys, edge = np.unique(owner * max(1, len(motifs)) + columns, return_inverse=True)
    counts = np.bincount(edge, minlength=len(keys))
    rows = keys // max(1, len(motifs))
    known = ~np.isnan(csms)
    sums = np.bincount(edge[known], csms[known], len(keys))
    n_known = np.bincount(edge[known], minlength=len(keys))
    means = np.where(n_known > 0, np.round(sums / np.maximum(1, n_known), _DECIMALS), np.nan)
    starts = np.searchsorted(rows, np.arange(n_materials + 1))
    shares = counts / np.bincount(owner, minlength=n_materials)[rows]
    return tuple(motifs), (starts, keys % max(1, len(motifs)), shares, means)


def _counts(n_materials: int, n_motifs: int, n_edges: int) -> dict[str, int]:
    return {"materials": n_materials, "motifs": n_motifs, "edges": n_edges}


def _wrong_settings(config: Mapping[str, Any]) -> str:
    if config.get("level") not in get_args(MotifLevel):
        return f"level {config.get('level')!r} is none that this matembed knows"
    half_csm = config.get("half_csm")
    return "" if isinstance(half_csm, float) and half_csm > 0 else f"half_csm {half_csm!r} is no positive number"


# Edges -> vectors ----------------------------------------------------------------------------------------------------

_PARTS = ("geometry", "centre", "ligands")


def _joined(tokens: Sequence[Token], part: str) -> tuple[list[str], sparse.csr_array]:
    """Join motifs to one kind of part: its names, and the share of each in each motif."""
    positions: dict[str, int] = {}
    rows, columns, shares = [], [], []
    for row, token in enumerate(tokens):
        names: Iterable[tuple[str, float]] = (
            [(symbol, amount / int(token.cn or 1)) for symbol, amount in token.ligands]
            if part == "ligands"
            else [(str(token.geometry if part == "geometry" else token.element), 1.0)]
        )
        for name, share in names:
            rows.append(row)
            columns.append(positions.setdefault(name, len(positions)))
            shares.append(share)
    return list(positions), sparse.csr_array((shares, (rows, columns)), (len(tokens), len(positions)))


def _row_norms(matrix: sparse.csr_array) -> NDArray[np.float64]:
    squares = matrix.copy()
    squares.data **= 2
    return np.sqrt(np.asarray(squares.sum(axis=1)).ravel())


def _unit_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    norms = _row_norms(matrix)
    return sparse.csr_array(sparse.diags_array(1 / np.where(norms > 0, norms, 1)) @ matrix)


def _leading_axes(matrix: sparse.csr_array, dim: int) -> NDArray[np.float64]:
    """Find the right singular vectors of the largest singular values, `dim` of them or as many as the rank."""
    smaller = min(matrix.shape)
    if smaller > _DENSE and 2 * dim < smaller:
        start = np.random.default_rng(0).standard_normal(smaller)
        _, values, rows = svds(matrix, k=dim, v0=start)
    else:
        _, values, rows = linalg.svd(matrix.toarray(), full_matrices=False)
    order = np.argsort(-values, kind="stable")[:dim]
    order = order[values[order] > 1e-7 * values.max()]
    axes = rows[order].T
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])]
    return np.ascontiguousarray(axes * np.sign(largest))


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        msg = f"{name} must be a whole number, 1 or more, got {value!r}"
        raise ValueError(msg)
