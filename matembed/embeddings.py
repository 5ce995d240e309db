"""EmbeddingTable: vectors keyed by token, whatever trained them."""

import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._atomic import sha256_of, whole_folder
from matembed.cards import Card
from matembed.tokens import Kind, kind_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EmbeddingTable", "Neighbour", "UnknownTokenError"]

_SCHEMA = 1
_FILES = ("vectors.safetensors", "vocab.json")


class UnknownTokenError(KeyError):
    """A token has no vector in a table."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Neighbour(NamedTuple):
    """A token and its cosine similarity to what was asked for."""

    token: str
    similarity: float


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

    Raises
    ------
    TypeError
        If a token is no text, or the card no Card.
    ValueError
        If tokens repeat or hold white space, or the vectors do not fit them or are not finite.

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
        bad = [token for token in tokens if not token or token.split() != [token]]
        if bad:
            msg = f"a token is one or more characters with no white space, got {bad[0]!r}"
            raise ValueError(msg)
        vectors.flags.writeable = False
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "vectors", vectors)
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
        return f"EmbeddingTable({self.card.name!r}, {len(self):,} tokens, dim {self.dim})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tokens, self.vectors, self.card)  # read-only again when unpickled

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
            few = ", ".join(same[:5]) or "none"
            msg = f"no vector for {token!r} among {len(self):,} tokens ({kind or 'any kind'}: {few}, ...); see .tokens"
            raise UnknownTokenError(msg) from None

    def _vector(self, query: str | ArrayLike) -> NDArray[np.float64]:
        vector = np.asarray(self[query] if isinstance(query, str) else query, dtype=np.float64)
        if vector.shape != (self.dim,):
            msg = f"a query is a token or a vector of length {self.dim}, got shape {vector.shape}"
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
            (token, cosine similarity), most similar first; ties in row order.

        Raises
        ------
        UnknownTokenError
            If `query` is a token without a vector.
        ValueError
            If `query` is a vector of another length, or `n` is not positive.
        """
        if n < 1:
            msg = f"n must be 1 or more, got {n}"
            raise ValueError(msg)
        vector = self._vector(query)
        left_out = {query, *exclude} if isinstance(query, str) else set(exclude)
        norm = np.linalg.norm(vector)
        similarity = self._unit() @ (vector / norm if norm > 0 else vector)
        found = []
        for row in np.argsort(-similarity, kind="stable"):
            token = self.tokens[row]
            if token in left_out or (kind is not None and kind_of(token) != kind):
                continue
            found.append(Neighbour(token, float(similarity[row])))
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
        return float(a @ b / scale) if scale > 0 else 0.0

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
            (token, cosine similarity), best first.

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
        """
        if isinstance(tokens, str):
            msg = f"tokens is a list of tokens, got the text {tokens!r}; pass [{tokens!r}] for one"
            raise TypeError(msg)
        kept = tuple(self.tokens if tokens is None else tokens)
        if kind is not None:
            kept = tuple(token for token in kept if kind_of(token) == kind)
        rows = [self.row(token) for token in kept]
        if kept == self.tokens:
            return self
        before = self.card.settings.get("subset", f"{len(self)} tokens")
        card = replace(self.card, settings={**self.card.settings, "subset": f"{len(kept)} of {before}"})
        return replace(self, tokens=kept, vectors=self.vectors[rows], card=card)

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
            ``dim`` is the sum of both; rows in the order of this table. The card names both.

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
        return type(self)(shared, np.hstack([a.vectors, b.vectors]), card)

    def normalize(self) -> Self:
        """Scale every vector to unit length; vectors of zeros stay.

        Returns
        -------
        EmbeddingTable
            The same tokens, with vectors of length 1. Its card says so, as the setting ``normalized``.
        """
        card = replace(self.card, settings={**self.card.settings, "normalized": True})
        return replace(self, vectors=self._unit().astype(np.float32), card=card)

    def to_frame(self) -> "pd.DataFrame":
        """Turn the table into a DataFrame.

        Returns
        -------
        DataFrame, shape (n_tokens, dim)
            Index named ``token``; columns 0 to dim - 1; float32.
        """
        import pandas as pd

        return pd.DataFrame(self.vectors.copy(), index=pd.Index(self.tokens, name="token"))

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the table as a folder: config.json, vectors.safetensors, vocab.json and README.md (the card).

        Parameters
        ----------
        path : path-like
            Folder to make. It appears whole or not at all.
        overwrite : bool, default False
            Replace a table that is there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        FileExistsError
            If something is there and `overwrite` is false.
        """
        from safetensors.numpy import save

        folder = Path(path)
        with whole_folder(folder, kind="EmbeddingTable", overwrite=overwrite) as partial:
            (partial / "vectors.safetensors").write_bytes(save({"vectors": np.ascontiguousarray(self.vectors)}))
            _write_json(partial / "vocab.json", {token: row for row, token in enumerate(self.tokens)})
            card = replace(self.card, sha256={name: sha256_of(partial / name) for name in sorted(_FILES)})
            config = {"schema": _SCHEMA, "type": "EmbeddingTable", "n_tokens": len(self), "dim": self.dim}
            _write_json(partial / "config.json", config | {"card": card.to_dict()})
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
            The table, bit for bit as it was written.

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
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
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
            vocab: dict[str, Any] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
            tokens = tuple(sorted(vocab, key=vocab.__getitem__))
        except (SafetensorError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            msg = f"{folder} cannot be read: {error}"
            raise ValueError(msg) from error
        return cls(tokens, vectors, card)


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
