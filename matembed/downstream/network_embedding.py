"""NetworkEmbedding: the motif network of materials -> their vectors, and a way to those of materials outside it."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import norm, svds
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from matembed._atomic import whole_folder
from matembed.cards import Card
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.downstream._motif_edges import MotifLevel, check_settings, place_columns
from matembed.downstream.materials import Column, as_list
from matembed.downstream.motif_network import MotifNetwork, motif_network
from matembed.encoders._training import check_count
from matembed.motifs import Engine, Strategy
from matembed.motifs.valences import ValenceMethod
from matembed.tokens import Token, parse_token

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["MotifNetworkFeaturizer", "NetworkEmbedding", "embed"]

_SCHEMA = 1
_TYPE = "NetworkEmbedding"
_NOUN = "network embedding"
_FILES = {"nodes.json", "vectors.safetensors"}
_DTYPES: dict[str, type] = {"vectors": np.float32, "rarities": np.float64, "axes": np.float64}
_PARTS = ("geometry", "centre", "ligands")
_DENSE = 500  # largest matrix side that LAPACK takes whole; beyond it ARPACK finds the leading part


@dataclass(frozen=True, eq=False)
class NetworkEmbedding:
    """Vectors of the materials of a network, and the way to those of others; arrays are read-only.

    Each material is a row of edge weights times the rarities of the motifs, scaled to unit length. Where parts are
    joined, a motif leads on to what it is made of: its geometry, the element of its centre, and the elements of its
    ligands by their share. A material inherits these joints, in three more blocks beside that of the motifs, each
    weighted by rarity and scaled like the first. So motifs that are met once, as three of four are in large databases,
    still tell what they are. Vectors are the rows on the leading right singular vectors of their matrix, as latent
    semantic analysis has it for documents and words [1]_; rows of other materials are put on the same axes.

    Keys are ids of materials, which need not be tokens; that is why it is no `EmbeddingTable`. ``len(embedding)``
    counts materials.

    Attributes
    ----------
    ids : tuple of str, length n_materials
        Of the network it was made of; unique.
    vectors : float32 array, shape (n_materials, dim)
        Columns by falling singular value; zeros for a material that has no motif.
    nodes : tuple of tuple of str
        Motifs, then geometries, elements of centres and elements of ligands where parts are joined: what `axes` has a
        row for.
    rarities : float64 array, shape (n_nodes,)
        Of each node: logarithm of the number of materials over that of those that reach it.
    axes : float64 array, shape (n_nodes, dim)
        Right singular vectors; in each the entry of largest size is positive.
    level : {"motif", "species_motif", "geometry"}
        What a motif is.
    half_csm : float
        Csm at which half of a share counts.
    card : Card
        Of the network, with the settings.

    Raises
    ------
    ValueError
        If ids repeat, the arrays do not fit together, or `level` or `half_csm` is out of range.

    See Also
    --------
    MotifNetwork.embedding : Makes it.
    MotifNetworkFeaturizer : The same as a step of a scikit-learn pipeline.

    References
    ----------
    .. [1] S. Deerwester, S. T. Dumais, G. W. Furnas, T. K. Landauer, R. Harshman, J. Am. Soc. Inf. Sci. 41, 391 (1990).
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    nodes: tuple[tuple[str, ...], ...]
    rarities: NDArray[np.float64]
    axes: NDArray[np.float64]
    level: MotifLevel
    half_csm: float
    card: Card

    def __post_init__(self) -> None:
        check_settings(self.level, self.half_csm)
        object.__setattr__(self, "ids", tuple(self.ids))
        object.__setattr__(self, "nodes", tuple(tuple(block) for block in self.nodes))
        for name, dtype in _DTYPES.items():
            array: NDArray[Any] = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        wrong = self._unsound()
        if wrong:
            msg = f"no network embedding: {wrong}; make one with network.embedding()"
            raise ValueError(msg)

    def _unsound(self) -> str:
        n_nodes = sum(map(len, self.nodes))
        if len(self.nodes) not in (1, 1 + len(_PARTS)):
            return f"wanted nodes of 1 or {1 + len(_PARTS)} kinds, got {len(self.nodes)}"
        if self.axes.ndim != 2 or len(self.axes) != n_nodes or self.rarities.shape != (n_nodes,):
            return f"wanted a rarity and a row of axes for each of {n_nodes:,} nodes"
        if self.vectors.shape != (len(self.ids), self.axes.shape[1]):
            return f"wanted vectors of shape ({len(self.ids)}, {self.axes.shape[1]}), got {self.vectors.shape}"
        if len(set(self.ids)) < len(self.ids):
            return "ids must be unique"
        return ""

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
        if not isinstance(materials, MotifNetwork):
            found_by = self.card.settings.get("find_motifs", {})
            materials = motif_network(materials, level=self.level, half_csm=self.half_csm, **found_by)
        if (materials.level, materials.half_csm) != (self.level, self.half_csm):
            got = f"{materials.level!r} and {materials.half_csm:g}"
            msg = f"wanted a network of level {self.level!r} and half_csm {self.half_csm:g}, got {got}; make it alike"
            raise ValueError(msg)
        scaled, start = [], 0
        for (names, block), nodes in zip(_blocks(materials, len(self.nodes) > 1), self.nodes, strict=True):
            placed = place_columns(block, names, {node: column for column, node in enumerate(nodes)})
            scaled.append(_unit_rows(sparse.csr_array(placed * self.rarities[start : start + len(nodes)])))
            start += len(nodes)
        with threadpool_limits(limits=1):
            return (sparse.csr_array(sparse.hstack(scaled, format="csr")) @ self.axes).astype(np.float32)

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the vectors as a folder: config.json, README.md (the card), vectors.safetensors and nodes.json.

        Parameters
        ----------
        path : path-like
            Folder to make. It appears whole or not at all.
        overwrite : bool, default False
            Replace a network embedding that is already there.

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
        with whole_folder(folder, kind=_TYPE, overwrite=overwrite) as partial:
            arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in sorted(_DTYPES)}
            (partial / "vectors.safetensors").write_bytes(save(arrays))
            text = json.dumps({"ids": self.ids, "nodes": self.nodes}, indent=0, ensure_ascii=False) + "\n"
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
        NetworkEmbedding
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
            path, kind=_TYPE, schema=_SCHEMA, noun=_NOUN, maker="embedding.write(path)", problem=_problem
        )
        nodes, vectors = (checked_file(folder, name, card, set(), _NOUN) for name in sorted(_FILES))
        columns: dict[str, Any] = {**json.loads(nodes.read_text(encoding="utf-8")), **load_file(vectors)}
        return cls(**columns, level=config["level"], half_csm=config["half_csm"], card=replace(card, sha256={}))


def _problem(config: Mapping[str, Any], card: Card) -> str:
    check_settings(config["level"], config["half_csm"])
    return other_files(card, _FILES)


def embed(network: MotifNetwork, dim: int = 128, *, parts: bool = True, min_materials: int = 2) -> NetworkEmbedding:
    """Embed the materials of a network: what `MotifNetwork.embedding` does.

    Parameters
    ----------
    network : MotifNetwork
        Materials and their motifs.
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
    check_count("dim", dim)
    check_count("min_materials", min_materials)
    nodes, rarities, scaled = [], [], []
    for names, block in _blocks(network, parts):
        degrees = np.bincount(block.indices, minlength=block.shape[1])
        columns = np.flatnonzero(degrees >= min_materials)
        nodes.append(tuple(names[column] for column in columns.tolist()))
        rarities.append(np.log(max(1, len(network)) / degrees[columns]))
        scaled.append(_unit_rows(sparse.csr_array(block[:, columns] * rarities[-1])))
    matrix = sparse.csr_array(sparse.hstack(scaled, format="csr"))
    if not matrix.count_nonzero():
        msg = f"nothing that {min_materials} or more of {len(network):,} materials have tells them apart; give more"
        raise ValueError(msg)
    with threadpool_limits(limits=1):  # another number of threads, another order of sums, other bytes
        axes = _leading_axes(matrix, int(dim))
    settings = {"dim": int(dim), "parts": parts, "min_materials": int(min_materials)}
    return NetworkEmbedding(
        ids=network.ids,
        vectors=(matrix @ axes).astype(np.float32),
        nodes=tuple(nodes),
        rarities=np.concatenate(rarities),
        axes=axes,
        level=network.level,
        half_csm=network.half_csm,
        card=replace(
            network.card,
            what=f"Vectors of {len(network):,} materials from their motif network.",
            settings={**network.card.settings, "embedding": settings},
            sha256={},
        ),
    )


class MotifNetworkFeaturizer(TransformerMixin, BaseEstimator):
    """Describe crystals by their vectors in the motif network of the training crystals, as a scikit-learn transformer.

    `fit` joins the crystals that it is given to their motifs and decomposes this network; `transform` folds crystals
    in, which changes nothing of what was learned. In cross-validation each training fold has a network of its own, and
    motifs of held-out crystals do not enter it. Targets are not looked at.

    Parameters
    ----------
    dim : int, default 128
        Length of the vectors; shorter if the rank of the network is smaller, as with few crystals.
    level : {"motif", "species_motif", "geometry"}
        What a motif is: ``TiO6:O:6``, ``Ti4+O6:O:6`` or ``O:6``; see `matembed.motif_network`.
    parts : bool, default True
        Join motifs to their geometry, centre and ligands; without, a crystal all of whose motifs are new has zeros.
    min_materials : int, default 2
        Leave out motifs and parts of fewer training crystals.
    half_csm : float, default 4
        Continuous symmetry measure at which half of the share of a motif counts; see `matembed.MotifNetwork`.
    engine, strategy : str
        How to find the motifs of structures; see `matembed.find_motifs`. Of a mixture of environments, the likeliest
        counts.
    valences : {"structure", "bond_valence", "composition", "signs", "bv_analyzer", "none"}, optional
        Where oxidation states come from; see `matembed.find_motifs`. With "none" every site is the centre of a motif.

    Attributes
    ----------
    embedding_ : NetworkEmbedding
        Of the training crystals, which are numbered from 1.
    n_features_out_ : int
        Columns of a row: ``embedding_.dim``.

    See Also
    --------
    NetworkEmbedding : What is decomposed, and how crystals are folded in.
    matembed.StructureFeaturizer : Describes motifs by themselves; nothing is learned from other crystals.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> def salt(metal, anion):
    ...     return Structure(Lattice.cubic(4.1), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> featurizer = MotifNetworkFeaturizer(dim=2).fit([salt("Cs", "Cl"), salt("Tl", "Cl"), salt("Cs", "Br")])
    >>> featurizer.transform([salt("Tl", "Br")]).shape
    (1, 2)
    >>> featurizer.get_feature_names_out()
    array(['motif_network: axis 0', 'motif_network: axis 1'], dtype=object)
    """

    def __init__(
        self,
        *,
        dim: int = 128,
        level: MotifLevel = "motif",
        parts: bool = True,
        min_materials: int = 2,
        half_csm: float = 4.0,
        engine: Engine = "numba",
        strategy: Strategy = "simplest",
        valences: ValenceMethod | None = None,
    ) -> None:
        self.dim = dim
        self.level = level
        self.parts = parts
        self.min_materials = min_materials
        self.half_csm = half_csm
        self.engine = engine
        self.strategy = strategy
        self.valences = valences

    def fit(self, X: "Column", y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Make the motif network of the training crystals, and decompose it.

        Parameters
        ----------
        X : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
            In a list, tuple, 1-D array, Series, or array or DataFrame of one column. Motifs of structures are
            found here, which takes most of the time: where rows are used more than once, pass arrays or graphs.
        y : object, optional
            Ignored.

        Returns
        -------
        MotifNetworkFeaturizer
            This transformer.

        Raises
        ------
        TypeError
            If `X` is a single structure or another object that is no column.
        ValueError
            If a setting is out of range, or no motif and no part is in `min_materials` crystals.
        MotifError
            If the motifs of a structure cannot be found; it names the position, counted from 0.
        """
        check_count("dim", self.dim)
        check_count("min_materials", self.min_materials)
        network = motif_network(
            as_list(X, "structures"),
            level=self.level,
            half_csm=self.half_csm,
            engine=self.engine,
            strategy=self.strategy,
            valences=self.valences,
        )
        self.embedding_ = embed(network, self.dim, parts=self.parts, min_materials=self.min_materials)
        self.n_features_out_ = self.embedding_.dim
        return self

    def fit_transform(self, X: "Column", y: object = None) -> NDArray[np.float32]:
        """Fit, and hand out the vectors of the training crystals without finding their motifs again.

        Parameters
        ----------
        X : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
            As for `fit`.
        y : object, optional
            Ignored.

        Returns
        -------
        float32 array, shape (n_structures, n_features_out_)
            What `transform` tells, up to rounding.
        """
        return self.fit(X, y).embedding_.vectors.copy()

    def transform(self, X: "Column") -> NDArray[np.float32]:
        """Fold crystals into the network of the training crystals.

        Parameters
        ----------
        X : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
            As for `fit`.

        Returns
        -------
        float32 array, shape (n_structures, n_features_out_)
            One row a structure, zeros where nothing of it is known; a DataFrame with the index of `X` after
            ``set_output(transform="pandas")``.

        Raises
        ------
        TypeError
            If `X` is a single structure or another object that is no column.
        MotifError
            If the motifs of a structure cannot be found; it names the position, counted from 0.
        """
        check_is_fitted(self)
        return self.embedding_.transform(as_list(X, "structures"))

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Name the columns.

        Parameters
        ----------
        input_features : object, optional
            Ignored.

        Returns
        -------
        object array of str, shape (n_features_out_,)
            ``"motif_network: axis {number}"``, from 0.
        """
        check_is_fitted(self)
        return np.array([f"motif_network: axis {axis}" for axis in range(self.n_features_out_)], dtype=object)

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags


# Edges -> rows -> axes -----------------------------------------------------------------------------------------------


def _blocks(network: MotifNetwork, parts: bool) -> list[tuple[Sequence[str], sparse.csr_array]]:
    """Name the nodes of each block, and weigh the way from each material to them."""
    blocks: list[tuple[Sequence[str], sparse.csr_array]] = [(network.motifs, network.weights())]
    if not parts or network.level == "geometry":
        return blocks
    tokens = [parse_token(motif) for motif in network.motifs]
    trusted, plain = network.matrix(network.shares * network.trust), network.matrix(network.shares)
    for part, shares in zip(_PARTS, (trusted, plain, plain), strict=True):
        names, joined = _joined(tokens, part)
        reached = sparse.csr_array(shares @ joined)
        reached.data = np.sqrt(reached.data)
        blocks.append((names, reached))
    return blocks


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


def _unit_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    lengths = np.asarray(norm(matrix, axis=1))
    return sparse.csr_array(sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ matrix)


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
