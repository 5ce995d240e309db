"""EmbeddingTable: vectors keyed by token, whatever trained them."""

import json
import math
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from matembed._atomic import sha256_of, whole_folder
from matembed.cards import Card
from matembed.tokens import Kind, canonical_spelling, kind_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EmbeddingTable", "Neighbour", "UnknownTokenError", "add_step"]

_SCHEMA = 1
_FILES = ("vectors.safetensors", "vocab.json")
_COSINE_DIGITS = 12  # more would depend on the order of sums, and with them which of two equal rows comes first


class UnknownTokenError(KeyError):
    """A token has no vector in a table."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True)
class Neighbour:
    """A token and its cosine similarity to what was asked for; ``token, similarity = neighbour`` unpacks the two.

    Attributes
    ----------
    token : str
        A token of the table.
    similarity : float
        From -1 to 1.
    backed_off : bool
        Whether the vector of the token was not learned but made from its parts or neighbours.

    Examples
    --------
    >>> Neighbour("K", 0.9), Neighbour("Fr", 0.8, backed_off=True)
    (Neighbour(token='K', similarity=0.9), Neighbour(token='Fr', similarity=0.8, backed off))
    >>> token, similarity = Neighbour("K", 0.9)
    """

    token: str
    similarity: float
    backed_off: bool = False

    def __iter__(self) -> Iterator[Any]:
        return iter((self.token, self.similarity))

    def __repr__(self) -> str:
        made = ", backed off" if self.backed_off else ""
        return f"Neighbour(token={self.token!r}, similarity={self.similarity!r}{made})"


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """Vectors keyed by token, whatever trained them.

    Attributes
    ----------
    tokens : tuple of str, length n_tokens
        Unique, without white space, in row order.
    vectors : float32 array, shape (n_tokens, dim)
        Dimensionless, finite, read-only, not normalized.
    card : Card
        The corpus, settings and licence behind the numbers.
    backed_off : frozenset of str
        Tokens whose vectors were not learned but made from their parts or neighbours, as
        `matembed.back_off` does. Empty by default.

    Raises
    ------
    TypeError
        If a token is no text, the card no Card, or `backed_off` a single text.
    ValueError
        If tokens repeat or hold white space, the vectors do not fit them or are not finite, or `backed_off` names
        a token that the table lacks.

    Examples
    --------
    >>> table = EmbeddingTable(("Li", "Na", "Cl"), [[1.0, 0.1], [0.9, 0.2], [-1.0, 0.3]], Card("demo"))
    >>> table
    EmbeddingTable('demo', 3 tokens, dim 2)
    >>> table.nearest("Li", n=1)[0].token
    'Na'
    >>> table["Na"].shape
    (2,)
    """

    tokens: tuple[str, ...]
    vectors: NDArray[np.float32]
    card: Card
    backed_off: frozenset[str] = frozenset()
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tokens = tuple(self.tokens)
        strange = [token for token in tokens if not isinstance(token, str)]
        if strange:
            msg = f"tokens must be text such as 'Ti', got {strange[0]!r}"
            raise TypeError(msg)
        if not isinstance(self.card, Card):
            msg = f"card must be a Card, such as Card('name'), got {self.card!r:.80}"
            raise TypeError(msg)
        if np.iscomplexobj(self.vectors):
            msg = "vectors must be real, got complex numbers; pass .real and .imag side by side"
            raise TypeError(msg)
        vectors = np.array(self.vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(tokens):
            msg = f"{len(tokens)} tokens need vectors of shape ({len(tokens)}, dim), got {vectors.shape}"
            raise ValueError(msg)
        if not np.isfinite(vectors).all():
            row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
            msg = f"the vector of {tokens[row]!r} is not finite; leave such tokens out"
            raise ValueError(msg)
        rows = {token: row for row, token in enumerate(tokens)}
        if len(rows) != len(tokens):
            twice = next(token for row, token in enumerate(tokens) if rows[token] != row)
            msg = f"tokens must be unique, got {twice!r} twice"
            raise ValueError(msg)
        bad = [token for token in tokens if token.split() != [token] or not token.isprintable()]
        if bad:
            msg = f"a token is one or more printable characters with no white space, got {bad[0]!r}"
            raise ValueError(msg)
        if isinstance(self.backed_off, str):
            msg = f"backed_off is a set of tokens, got the text {self.backed_off!r}; pass [{self.backed_off!r}] for one"
            raise TypeError(msg)
        backed_off = frozenset(self.backed_off)
        if not backed_off <= rows.keys():
            msg = f"backed_off must name tokens of the table, got {min(map(repr, backed_off - rows.keys()))}; drop it"
            raise ValueError(msg)
        vectors.flags.writeable = False
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "backed_off", backed_off)
        object.__setattr__(self, "_rows", rows)

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return int(self.vectors.shape[1])

    @property
    def kinds(self) -> tuple[Kind | None, ...]:
        """Kind of each token, in row order."""
        return tuple(kind_of(token) for token in self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __getitem__(self, token: str) -> NDArray[np.float32]:
        return self.vectors[self.row(token)]

    def __repr__(self) -> str:
        made = f", {len(self.backed_off):,} backed off" if self.backed_off else ""
        return f"EmbeddingTable({self.card.name!r}, {len(self):,} tokens, dim {self.dim}{made})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tokens, self.vectors, self.card, self.backed_off)  # read-only again when unpickled

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # immutable, so that cloning an estimator copies no vectors

    def row(self, token: str) -> int:
        """Find the row of a token.

        Parameters
        ----------
        token : str
            A token of the table.

        Returns
        -------
        int
            Its row in `vectors`.

        Raises
        ------
        UnknownTokenError
            If the table has no vector for it.
        """
        try:
            return self._rows[token]
        except KeyError:
            kind = kind_of(token) if isinstance(token, str) else None
            same = [known for known in self.tokens if kind_of(known) == kind] if kind else list(self.tokens)
            few = f"{kind or 'any kind'}: {', '.join(same[:5])}, ..." if same else f"no {kind or 'token'} among them"
            meant = canonical_spelling(str(token))
            hint = f"did you mean {meant!r}?" if meant in self._rows else "see .tokens"
            msg = f"no vector for {token!r} among {len(self):,} tokens ({few}); {hint}"
            raise UnknownTokenError(msg) from None

    def _vector(self, query: str | ArrayLike) -> NDArray[np.float64]:
        vector = np.asarray(self[query] if isinstance(query, str) else query, dtype=np.float64)
        if vector.shape != (self.dim,):
            msg = f"a query is a token or a vector of length {self.dim}, got shape {vector.shape}"
            raise ValueError(msg)
        if not np.isfinite(vector).all():
            msg = f"a query must be finite, got {vector[~np.isfinite(vector)][0]} among its numbers"
            raise ValueError(msg)
        return vector

    def _unit(self) -> NDArray[np.float64]:
        vectors = self.vectors.astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1)

    def nearest(
        self,
        query: str | ArrayLike,
        n: int = 10,
        *,
        kind: Kind | None = None,
        exclude: Collection[str] = (),
    ) -> list[Neighbour]:
        """Find the tokens most similar to a token or a vector, by cosine.

        Parameters
        ----------
        query : str or array-like of shape (dim,)
            A token of the table, which is left out of the answer, or any vector.
        n : int, default 10
            How many to return.
        kind : {"element", "species", "motif", "geometry", "connection", "environment"}, optional
            Only tokens of this kind.
        exclude : collection of str
            Tokens to leave out.

        Returns
        -------
        list of Neighbour
            Token, cosine similarity and whether the token was backed off, most similar first; ties in row order.

        Raises
        ------
        UnknownTokenError
            If `query` is a token without a vector.
        TypeError
            If `exclude` is a single text.
        ValueError
            If `query` is a vector of another length or not finite, `n` is no positive whole number, or there is no such
            kind.
        """
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
            msg = f"n must be a whole number, 1 or more, got {n!r}"
            raise ValueError(msg)
        if isinstance(exclude, str):
            msg = f"exclude is a list of tokens, got the text {exclude!r}; pass [{exclude!r}] for one"
            raise TypeError(msg)
        _check_kind(kind)
        vector = self._vector(query)
        left_out = {query, *exclude} if isinstance(query, str) else set(exclude)
        norm = np.linalg.norm(vector)
        cosines = self._unit() @ (vector / norm if norm > 0 else vector)
        similarity = np.clip(cosines.round(_COSINE_DIGITS), -1, 1)
        found = []
        for row in np.argsort(-similarity, kind="stable"):
            token = self.tokens[row]
            if token in left_out or (kind is not None and kind_of(token) != kind):
                continue
            found.append(Neighbour(token, float(similarity[row]), token in self.backed_off))
            if len(found) == n:
                break
        return found

    def similarity(self, first: str, second: str) -> float:
        """Measure the cosine similarity of two tokens.

        Parameters
        ----------
        first, second : str
            Tokens of the table.

        Returns
        -------
        float
            Between -1 and 1; 0 if a vector is all zeros.

        Raises
        ------
        UnknownTokenError
            If a token has no vector.
        """
        a, b = self._vector(first), self._vector(second)
        scale = np.linalg.norm(a) * np.linalg.norm(b)
        return float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else 0.0

    def similarity_matrix(self) -> NDArray[np.float64]:
        """Measure the cosine similarity of every pair of tokens.

        Returns
        -------
        float array, shape (n_tokens, n_tokens)
            Symmetric, rows and columns in the order of `tokens`.
        """
        unit = self._unit()
        return np.clip(unit @ unit.T, -1, 1)

    def analogy(self, a: str, b: str, c: str, n: int = 10, *, kind: Kind | None = None) -> list[Neighbour]:
        """Answer "`a` is to `b` as `c` is to ?", by the sum of unit vectors b - a + c.

        Parameters
        ----------
        a, b, c : str
            Tokens of the table; they are left out of the answer.
        n : int, default 10
            How many to return.
        kind : str, optional
            Only tokens of this kind.

        Returns
        -------
        list of Neighbour
            As of `nearest`, best first.

        Raises
        ------
        UnknownTokenError
            If a token has no vector.
        """
        unit = self._unit()
        target = unit[self.row(b)] - unit[self.row(a)] + unit[self.row(c)]
        return self.nearest(target, n, kind=kind, exclude={a, b, c})

    def subset(self, tokens: Iterable[str] | None = None, *, kind: Kind | None = None) -> Self:
        """Keep some of the tokens.

        Parameters
        ----------
        tokens : iterable of str, optional
            Tokens to keep, in this order. All by default.
        kind : str, optional
            Keep only tokens of this kind.

        Returns
        -------
        EmbeddingTable
            The smaller table. Its card says how many tokens were kept, as the setting ``subset``, unless all were.

        Raises
        ------
        UnknownTokenError
            If a token has no vector.
        TypeError
            If `tokens` is a single text.
        ValueError
            If there is no such kind.
        """
        if isinstance(tokens, str):
            msg = f"tokens is a list of tokens, got the text {tokens!r}; pass [{tokens!r}] for one"
            raise TypeError(msg)
        _check_kind(kind)
        kept = tuple(self.tokens if tokens is None else tokens)
        if kind is not None:
            kept = tuple(token for token in kept if kind_of(token) == kind)
        rows = [self.row(token) for token in kept]
        if kept == self.tokens:
            return self
        before = self.card.settings.get("subset", f"{len(self)} tokens")
        card = replace(self.card, settings={**self.card.settings, "subset": f"{len(kept)} of {before}"})
        backed_off = self.backed_off.intersection(kept)
        return replace(self, tokens=kept, vectors=self.vectors[rows], card=card, backed_off=backed_off)

    def concat(self, other: Self, *, tokens: Literal["same", "shared"] = "same") -> Self:
        """Put the vectors of two tables side by side.

        Parameters
        ----------
        other : EmbeddingTable
            The table whose columns come second.
        tokens : {"same", "shared"}
            Ask that both tables have the same tokens, or keep those they share.

        Returns
        -------
        EmbeddingTable
            ``dim`` is the sum of both; rows in the order of this table. The card names both. A token is flagged
            as backed off if either half of its vector is.

        Raises
        ------
        ValueError
            If `tokens` is "same" and they are not, or the tables share no token.
        """
        if tokens not in ("same", "shared"):
            msg = f'tokens must be "same" or "shared", got {tokens!r}'
            raise ValueError(msg)
        shared = tuple(token for token in self.tokens if token in other)
        missing = len(self) + len(other) - 2 * len(shared)
        if tokens == "same" and missing:
            msg = f'{missing:,} tokens are in one table only; pass tokens="shared" to keep the {len(shared):,} in both'
            raise ValueError(msg)
        if not shared:
            msg = f"{self!r} and {other!r} share no token"
            raise ValueError(msg)
        a, b = self.subset(shared), other.subset(shared)
        card = Card(
            name=f"{self.card.name}+{other.card.name}",
            what=f"The vectors of {self.card.name} and {other.card.name}, side by side.",
            source="; ".join(dict.fromkeys(filter(None, (self.card.source, other.card.source)))),
            licence=" AND ".join(dict.fromkeys(filter(None, (self.card.licence, other.card.licence)))),
            citation=tuple(dict.fromkeys(self.card.citation + other.card.citation)),
            settings={"parts": [self.card.to_dict(), other.card.to_dict()]},
        )
        return type(self)(shared, np.hstack([a.vectors, b.vectors]), card, a.backed_off | b.backed_off)

    def normalize(self) -> Self:
        """Scale every vector to unit length; vectors of zeros stay.

        Returns
        -------
        EmbeddingTable
            The same tokens, with vectors of length 1. Its card says so, in the setting ``steps``.
        """
        return replace(self, vectors=self._unit().astype(np.float32), card=add_step(self.card, "normalize"))

    def rebase(self, power: float = 1.5, *, seed: int = 0, dim: int | None = None) -> Self:
        """Centre the vectors, weight their principal axes, and turn them to a random basis.

        Most models of properties standardise their features column by column. That undoes any scaling of the
        principal axes as long as each is a column of its own; after a random turn every column holds a share of
        every axis, and the weights survive. A power above 1 gives the leading axes, which carry what most tokens
        agree on, more weight than the table did; 1 keeps their weights, and 0 makes all equal (whitening).

        The centred vectors are split as U S V^T; row i becomes the row U_i (S / S_1)^power, times a random
        orthogonal matrix (Haar measure: the Q of a Gaussian matrix, signs set by the diagonal of R [1]_).

        Parameters
        ----------
        power : float, default 1.5
            Exponent of the singular values; 0 or more.
        seed : int, default 0
            Where the random basis starts from; another seed turns the vectors and changes nothing else.
        dim : int, optional
            How many leading axes to keep; all that stand above the rounding of float32 by default.

        Returns
        -------
        EmbeddingTable
            The same tokens, centred on the mean of the learned vectors. Backed-off tokens take no part in the
            centre and the axes but go through the same map. The card says so, in the setting ``steps``.

        Raises
        ------
        ValueError
            If the learned vectors are fewer than two or all alike, `power` is negative, `seed` is no whole number from
            0 on, or `dim` is not positive or more than there are axes.

        See Also
        --------
        widen : Mixes the columns into more or fewer of them.
        align : Turns the table onto another.

        References
        ----------
        .. [1] F. Mezzadri, Notices Am. Math. Soc. 54, 592 (2007).

        Examples
        --------
        >>> table = EmbeddingTable(("Li", "Na", "Cl"), [[1.0, 0.1], [0.9, 0.2], [-1.0, 0.3]], Card("demo"))
        >>> turned = table.rebase()
        >>> bool(np.allclose(turned.vectors.mean(axis=0), 0, atol=1e-6))
        True
        >>> turned.card.settings["steps"]
        [{'rebase': {'power': 1.5, 'seed': 0, 'dim': None}}]
        """
        if not isinstance(power, Real) or not math.isfinite(power) or power < 0:
            msg = f"power must be a finite number, 0 or more, got {power!r}"
            raise ValueError(msg)
        _check_seed(seed)
        n_kept = None if dim is None else _whole_dim(dim)
        vectors = self.vectors.astype(np.float64)
        learned = vectors[[token not in self.backed_off for token in self.tokens]]
        if len(learned) < 2:
            msg = f"rebase needs two learned vectors or more, got {len(learned)}; take a larger table"
            raise ValueError(msg)
        centre = learned.mean(axis=0)
        # float32 rounding moves a singular value by at most half of this
        rounding = np.finfo(np.float32).eps * np.linalg.norm(learned)
        with threadpool_limits(limits=1):  # another number of threads, another order of sums, other bytes
            left, values, right = np.linalg.svd(learned - centre, full_matrices=False)
            n_axes = int(np.sum(values > rounding))
            if n_axes == 0:
                msg = f"the {len(learned):,} learned vectors are all alike, so they have no axes; take another table"
                raise ValueError(msg)
            if n_kept is not None and n_kept > n_axes:
                msg = f"dim must be at most {n_axes}, the axes above rounding, got {n_kept}; leave dim out for all"
                raise ValueError(msg)
            kept = slice(n_kept or n_axes)
            left, values, right = left[:, kept], values[kept], right[kept]
            signs = np.sign(left[np.argmax(np.abs(left), axis=0), np.arange(len(values))])
            weights = signs * (values / values[0]) ** power / values
            turned = (vectors - centre) @ (right.T * weights) @ _random_rotation(len(values), seed)
        card = add_step(self.card, "rebase", power=float(power), seed=int(seed), dim=n_kept)
        return replace(self, vectors=turned.astype(np.float32), card=card)

    def widen(self, dim: int, *, seed: int = 0) -> Self:
        """Mix the columns at random into `dim` of them.

        This adds no information: each new column is a random sum of the old ones. But the standard deviation,
        minimum and maximum over a material's tokens are not linear, so pooled over more columns they tell a model
        more. With `dim` below the table's own, it is a random projection, which keeps distances roughly [1]_.

        Parameters
        ----------
        dim : int
            Columns to make; more or fewer than the table has.
        seed : int, default 0
            Where the random numbers start from.

        Returns
        -------
        EmbeddingTable
            The vectors times a Gaussian matrix of shape (own dim, `dim`), over the square root of `dim`: inner
            products stay the same on average over seeds. The card says so, in the setting ``steps``.

        Raises
        ------
        ValueError
            If `dim` is not a positive whole number, or `seed` is no whole number from 0 on.

        See Also
        --------
        rebase : Weights the principal axes first.

        References
        ----------
        .. [1] W. B. Johnson, J. Lindenstrauss, Contemp. Math. 26, 189 (1984).

        Examples
        --------
        >>> table = EmbeddingTable(("Li", "Na"), [[1.0, 0.1], [0.9, 0.2]], Card("demo"))
        >>> table.widen(50)
        EmbeddingTable('demo', 2 tokens, dim 50)
        """
        _check_seed(seed)
        n_columns = _whole_dim(dim)
        mix = np.random.default_rng(seed).standard_normal((self.dim, n_columns)) / np.sqrt(n_columns)
        with threadpool_limits(limits=1):
            vectors = self.vectors.astype(np.float64) @ mix
        card = add_step(self.card, "widen", dim=n_columns, seed=int(seed))
        return replace(self, vectors=vectors.astype(np.float32), card=card)

    def align(self, other: Self) -> Self:
        """Turn and shift this table so that it lies on another as closely as it can (orthogonal Procrustes [1]_).

        Two trainings of one corpus differ by a turn that means nothing; aligned, their vectors can be compared or
        averaged. Distances between the vectors of the table do not change.

        Parameters
        ----------
        other : EmbeddingTable
            The table to lie on, of the same `dim`.

        Returns
        -------
        EmbeddingTable
            All tokens of this table. The turn, which may be a reflection, brings the tokens that both tables have
            learned closest to their vectors in `other` in the sum of squares, about their mean. Directions that
            fewer shared tokens than ``dim + 1`` cannot settle are turned in some fixed way. The card says so, in
            the setting ``steps``.

        Raises
        ------
        ValueError
            If the tables differ in `dim`, or share fewer than two tokens that both have learned.

        References
        ----------
        .. [1] P. H. Schönemann, Psychometrika 31, 1 (1966).

        Examples
        --------
        >>> table = EmbeddingTable(("Li", "Na", "Cl"), [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], Card("demo"))
        >>> quarter_turn = EmbeddingTable(table.tokens, table.vectors @ [[0, 1], [-1, 0]], Card("turned"))
        >>> bool(np.allclose(table.align(quarter_turn).vectors, quarter_turn.vectors, atol=1e-6))
        True
        """
        from scipy.linalg import orthogonal_procrustes

        if self.dim != other.dim:
            msg = f"both tables need the same dim, got {self.dim} and {other.dim}; widen or rebase one of them first"
            raise ValueError(msg)
        made = self.backed_off | other.backed_off
        shared = [token for token in self.tokens if token in other and token not in made]
        if len(shared) < 2:
            msg = f"align needs two learned tokens or more in both tables, got {len(shared)}; choose another table"
            raise ValueError(msg)
        here = self.vectors[[self.row(token) for token in shared]].astype(np.float64)
        there = other.vectors[[other.row(token) for token in shared]].astype(np.float64)
        centre, goal = here.mean(axis=0), there.mean(axis=0)
        with threadpool_limits(limits=1):
            turn, _ = orthogonal_procrustes(here - centre, there - goal)
            vectors = (self.vectors - centre) @ turn + goal
        card = add_step(self.card, "align", to=other.card.name, n_shared=len(shared))
        return replace(self, vectors=vectors.astype(np.float32), card=card)

    def to_frame(self) -> "pd.DataFrame":
        """Turn the table into a DataFrame.

        Returns
        -------
        DataFrame, shape (n_tokens, dim)
            Index named ``token``; columns 0 to dim - 1; float32.
        """
        import pandas as pd

        return pd.DataFrame(self.vectors.copy(), index=pd.Index(self.tokens, name="token"))

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False, half: bool = False) -> Path:
        """Write the table as a folder: config.json, vectors.safetensors, vocab.json and README.md (the card).

        Parameters
        ----------
        path : path-like
            Folder to make. It appears whole or not at all.
        overwrite : bool, default False
            Replace a table that is there.
        half : bool, default False
            Write 16-bit numbers, of 3 digits: half the size, and what is read back is what was rounded.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        FileExistsError
            If something is there and `overwrite` is false.
        ValueError
            If `half` is asked for and a number is too large for it.
        """
        from safetensors.numpy import save

        folder = Path(path)
        vectors = self.vectors.astype(np.float16) if half else self.vectors
        if not np.isfinite(vectors).all():
            largest = np.abs(self.vectors).max()
            msg = f"numbers up to {largest:.3g} do not fit 16 bits, which end at 65,504; pass half=False"
            raise ValueError(msg)
        with whole_folder(folder, kind="EmbeddingTable", overwrite=overwrite) as partial:
            (partial / "vectors.safetensors").write_bytes(save({"vectors": np.ascontiguousarray(vectors)}))
            _write_json(partial / "vocab.json", {token: row for row, token in enumerate(self.tokens)})
            card = replace(self.card, sha256={name: sha256_of(partial / name) for name in sorted(_FILES)})
            config = {"schema": _SCHEMA, "type": "EmbeddingTable", "n_tokens": len(self), "dim": self.dim}
            flags = {"backed_off": sorted(self.backed_off)} if self.backed_off else {}
            _write_json(partial / "config.json", config | flags | {"card": card.to_dict()})
            (partial / "README.md").write_text(card.to_markdown(), encoding="utf-8")
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
        EmbeddingTable
            The table, bit for bit as it was written; 32-bit numbers, whatever the file holds.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If it is no table, was written by a newer format, or a file was changed after it was written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(path)
        missing = [name for name in ("config.json", *_FILES) if not (folder / name).is_file()]
        if missing:
            msg = f"{folder} is no embedding table: {', '.join(missing)} missing; write one with table.write(path)"
            raise FileNotFoundError(msg)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            schema, card = config["schema"], Card.from_dict(config["card"])
            backed_off = frozenset(config.get("backed_off", []))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            msg = f"{folder / 'config.json'} is not the config of an embedding table: {error}"
            raise ValueError(msg) from error
        if schema != _SCHEMA:
            msg = f"{folder} has format {schema}; this matembed reads format {_SCHEMA}: upgrade matembed"
            raise ValueError(msg)
        for name in _FILES:
            if card.sha256.get(name) != sha256_of(folder / name):
                msg = f"{folder / name} is not the file its config.json names by SHA-256; fetch or write it again"
                raise ValueError(msg)
        try:
            vectors = load_file(folder / "vectors.safetensors")["vectors"]
            vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        except (SafetensorError, KeyError, ValueError, RecursionError) as error:
            msg = f"{folder} cannot be read: {error}"
            raise ValueError(msg) from error
        rows = list(vocab.values()) if isinstance(vocab, dict) else []
        if any(type(row) is not int for row in rows) or sorted(rows) != list(range(len(vectors))):
            msg = f"{folder / 'vocab.json'} must give each token its row, 0 to {len(vectors) - 1}; write it again"
            raise ValueError(msg)
        return cls(tuple(sorted(vocab, key=vocab.__getitem__)), vectors, card, backed_off)


def add_step(card: Card, step: str, **settings: Any) -> Card:
    """Write on a card what was done to a table, after what was done before.

    Parameters
    ----------
    card : Card
        The card of the table before.
    step : str
        Name of the method or function, such as ``"rebase"``.
    **settings : any
        Its settings, as passed.

    Returns
    -------
    Card
        The card, its setting ``steps`` longer by one.

    Examples
    --------
    >>> add_step(add_step(Card("demo"), "normalize"), "widen", dim=300, seed=0).settings
    {'steps': [{'normalize': {}}, {'widen': {'dim': 300, 'seed': 0}}]}
    """
    steps = [*card.settings.get("steps", []), {step: settings}]
    return replace(card, settings={**card.settings, "steps": steps})


def _whole_dim(dim: object) -> int:
    if not isinstance(dim, Integral) or isinstance(dim, bool) or dim < 1:
        msg = f"dim must be a whole number, 1 or more, got {dim!r}"
        raise ValueError(msg)
    return int(dim)


def _check_kind(kind: str | None) -> None:
    if kind is not None and kind not in get_args(Kind):
        msg = f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}"
        raise ValueError(msg)


def _check_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        msg = f"seed must be a whole number, 0 or more, got {seed!r}"
        raise ValueError(msg)


def _random_rotation(dim: int, seed: int) -> NDArray[np.float64]:
    """Draw an orthogonal matrix, shape (dim, dim), all alike likely (Haar measure)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
