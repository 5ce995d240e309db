"""Formulas and crystals -> MaterialSets: each material as a set of tokens, each token a weighted bag of a few words.

Tokens come in these kinds, and in this order:

============= ====================================== ============================================================
kind          one for each                           words
============= ====================================== ============================================================
"element"     element                                its symbol: ``Ti``
"species"     element and oxidation state, if known  ``Ti ox+4``
"motif"       element, oxidation state, geometry     ``Ti ox+4 O:6 cn6``, and shares of the ligands: ``ligand O``
              and ligands
"connection"  pair of motifs, seen as element,       ``corner``, of the motif it is seen from ``Ti ox+4 O:6``, and
              oxidation state and geometry; sharing  by halves of the other; each pair is seen from either end
"ligand"      element and oxidation state of an      ``O ox-2``, and of each motif that holds it ``Ti ox+4 O:6``,
              anion or of what motifs hold; how      weighed by n / (4 + n), n being how many do
              many of which do, which may be none
"site"        element and site symmetry              ``O sym mm2``
"space_group" material                               ``sg 136 tetragonal``
============= ====================================== ============================================================

A word before these names the kind: ``<motif>``. Each token has an amount, above 0 and up to 1: for elements, species,
motifs, ligands and sites the fraction of the material's atoms, for a space group 1, and for connections n / (4 + n), n
being their number per motif of the first end's element and oxidation state: of the six corners that an octahedron of
SrTiO3 shares, 0.6. Motifs have a csm, the mean of theirs. Nothing depends on the cell, the orientation or the order of
the sites. Oxidation states are rounded to whole numbers, halves away from zero, from -4 to +9; one that is not known
is ``ox?``. Anions are centres of no motif, where oxidation states are known.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._atomic import whole_folder
from matembed.cards import Card
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.corpus._set_columns import Columns, frozen
from matembed.corpus._set_tokens import HALF_CONNECTED
from matembed.corpus.ragged import starts
from matembed.corpus.set_words import TOKEN_KINDS, WORD_PARTS, WORDS, WordVocabulary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MaterialSets"]

_SCHEMA = 4  # 1 counted connections per atom, each pair once; 2 said nothing of ligands; 3 only of those in motifs
_TYPE = "MaterialSets"
_NOUN = "set of materials"
_FILES = {"sets.safetensors", "materials.json", "words.json"}
_DTYPES: dict[str, type] = {
    "token_starts": np.int64,
    "kinds": np.int8,
    "amounts": np.float32,
    "csms": np.float32,
    "word_starts": np.int64,
    "words": np.int32,
    "weights": np.float32,
    "groups": np.int16,
}


@dataclass(frozen=True, eq=False)
class MaterialSets:
    """Materials as sets of tokens, in columns; arrays are read-only.

    ``len(sets)`` counts materials. ``sets[3]``, ``sets[10:20]`` and ``sets[rows]`` with whole numbers or booleans are
    sets of some of them.

    Attributes
    ----------
    ids : tuple of str, length n_materials
        Of the input.
    formulas : tuple of str, length n_materials
        Reduced formulas.
    vocabulary : WordVocabulary
        `WORDS`.
    token_starts : int64 array, shape (n_materials + 1,)
        Tokens of material i are those from ``token_starts[i]`` to ``token_starts[i + 1]``, sorted by kind, then by
        atomic number, oxidation state, geometry and ligands.
    kinds : int8 array, shape (n_tokens,)
        Position in `TOKEN_KINDS`.
    amounts : float32 array, shape (n_tokens,)
        Above 0 and up to 1.
    csms : float32 array, shape (n_tokens,)
        Mean continuous symmetry measure, 0 to 100, of the motifs of a token; NaN where there is none.
    word_starts : int64 array, shape (n_tokens + 1,)
        Words of token j are those from ``word_starts[j]`` to ``word_starts[j + 1]``.
    words : int32 array, shape (n_words,)
        Ids in `vocabulary`.
    weights : float32 array, shape (n_words,)
        Above 0 and up to 1.
    groups : int16 array, shape (n_words,)
        Number, within the material, of the pair of element and oxidation state that a word tells of, where it tells of
        species or motifs; -1 for other words.
    card : Card
        Source, licence and citation of the materials.

    Raises
    ------
    ValueError
        If columns do not fit together, or a number is out of range.

    See Also
    --------
    formula_sets, graph_sets, table_sets, structure_sets : Make them.

    Examples
    --------
    >>> from matembed import formula_sets
    >>> sets = formula_sets(["SrTiO3", "Fe2O3"])
    >>> sets
    MaterialSets(2 materials, 5 tokens)
    >>> sets[0].amounts, sets[:1].formulas
    (array([0.6, 0.2, 0.2], dtype=float32), ('SrTiO3',))
    """

    ids: tuple[str, ...]
    formulas: tuple[str, ...]
    vocabulary: WordVocabulary
    token_starts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    amounts: NDArray[np.float32]
    csms: NDArray[np.float32]
    word_starts: NDArray[np.int64]
    words: NDArray[np.int32]
    weights: NDArray[np.float32]
    groups: NDArray[np.int16]
    card: Card

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids))
        object.__setattr__(self, "formulas", tuple(self.formulas))
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))
        wrong = self._unsound()
        if wrong:
            msg = f"no material sets: {wrong}; make them with formula_sets, table_sets or structure_sets"
            raise ValueError(msg)

    def _unsound(self) -> str:
        n_tokens, n_words = len(self.kinds), len(self.words)
        shapes = {"amounts": (n_tokens,), "csms": (n_tokens,)}
        shapes |= {"token_starts": (len(self.ids) + 1,), "word_starts": (n_tokens + 1,)}
        shapes |= {"weights": (n_words,), "groups": (n_words,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                return f"{name} must have shape {shape}, got {getattr(self, name).shape}"
        if len(self.formulas) != len(self.ids):
            return f"wanted a formula for each of {len(self.ids)} ids, got {len(self.formulas)}"
        for name, end in (("token_starts", n_tokens), ("word_starts", n_words)):
            starts = getattr(self, name)
            if starts[0] != 0 or starts[-1] != end or (np.diff(starts) < 0).any():
                return f"{name} must ascend from 0 to {end}"
        ranges = {"kinds": (0, len(TOKEN_KINDS) - 1), "words": (0, len(self.vocabulary) - 1)}
        for name, (low, high) in ranges.items():
            column = getattr(self, name)
            if len(column) and not (low <= column.min() and column.max() <= high):
                return f"{name} must be from {low} to {high}, got {column.min()} to {column.max()}"
        for name in ("amounts", "weights"):
            if not ((getattr(self, name) > 0) & (getattr(self, name) <= 1)).all():
                return f"{name} must be above 0 and up to 1"
        return ""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many tokens each material has, shape (n_materials,)."""
        return np.diff(self.token_starts)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"MaterialSets({len(self):,} materials, {len(self.kinds):,} tokens)"

    def __getitem__(self, rows: "int | slice | ArrayLike") -> Self:
        every = np.arange(len(self))
        chosen = np.asarray(rows) if not isinstance(rows, slice) else every[rows]
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        if (
            chosen.ndim > 1
            or chosen.dtype.kind not in "iub"
            or (chosen.dtype.kind == "b" and chosen.shape != (len(self),))
        ):
            wanted = f"a whole number, a slice, or a list of whole numbers or of {len(self)} booleans"
            msg = f"sets are chosen by {wanted}, got {rows!r:.60}"
            raise IndexError(msg)
        picked = np.atleast_1d(every[chosen])
        return type(self).from_columns(
            [self.ids[row] for row in picked.tolist()],
            [self.formulas[row] for row in picked.tolist()],
            self._columns().taken(picked),
            self.card,
        )

    @classmethod
    def from_columns(
        cls, ids: Sequence[str], formulas: Sequence[str], columns: Columns, card: Card, **counts: int
    ) -> Self:
        """Put tokens in columns together with the names of their materials.

        Parameters
        ----------
        ids, formulas : sequence of str, length n_materials
            Of the materials; formulas are reduced.
        columns : Columns
            Their tokens, in the words of `WORDS`.
        card : Card
            Source, licence and citation.
        **counts : int
            What else the card counts, beside materials and tokens.

        Returns
        -------
        MaterialSets
            In the order given.

        Raises
        ------
        ValueError
            If columns do not fit together, or a number is out of range.
        """
        numbers = {"materials": len(ids), "tokens": len(columns.kinds)} | counts
        values = columns._asdict()
        return cls(
            ids=tuple(ids),
            formulas=tuple(formulas),
            vocabulary=WORDS,
            token_starts=starts(values.pop("n_tokens")),
            word_starts=starts(values.pop("n_words")),
            card=replace(card, counts=numbers, sha256={}),
            **values,
        )

    def _columns(self) -> Columns:
        sizes = {"n_tokens": np.diff(self.token_starts), "n_words": np.diff(self.word_starts)}
        return Columns(**{name: sizes[name] if name in sizes else getattr(self, name) for name in Columns._fields})

    @classmethod
    def concat(cls, several: "Iterable[MaterialSets]", *, card: Card | None = None) -> Self:
        """Put sets together, one after another.

        Parameters
        ----------
        several : iterable of MaterialSets
            One or more.
        card : Card, optional
            What they are together. By default the card of the first; counts are filled in.

        Returns
        -------
        MaterialSets
            All materials, in order.

        Raises
        ------
        ValueError
            If there are none.

        Examples
        --------
        >>> from matembed import formula_sets
        >>> MaterialSets.concat([formula_sets(["NaCl"]), formula_sets(["MgO"])]).formulas
        ('NaCl', 'MgO')
        """
        parts = list(several)
        if not parts:
            msg = "wanted one or more MaterialSets to put together, got none"
            raise ValueError(msg)
        return cls.from_columns(
            [one for part in parts for one in part.ids],
            [one for part in parts for one in part.formulas],
            Columns.joined(part._columns() for part in parts),
            card or parts[0].card,
        )

    def describe(self, material: int) -> "pd.DataFrame":
        """Write the tokens of a material in words.

        Parameters
        ----------
        material : int
            Position of the material.

        Returns
        -------
        DataFrame, shape (n_tokens, 4)
            kind, words (of a connection with a bar between its ends; weights where a word tells of a share), amount and
            csm.

        Raises
        ------
        IndexError
            If there is no such material.

        Examples
        --------
        >>> from matembed import formula_sets
        >>> formula_sets(["SrTiO3"]).describe(0)["words"].to_list()
        ['O', 'Ti', 'Sr']
        """
        import pandas as pd

        one = self[int(material)]
        rows = []
        for token, (start, stop) in enumerate(zip(one.word_starts[:-1], one.word_starts[1:], strict=True)):
            kind = TOKEN_KINDS[one.kinds[token]]
            linked = kind in ("connection", "ligand")
            own: list[str] = []
            ends: list[str] = []
            for word, weight, group in zip(
                *(column[start + 1 : stop].tolist() for column in (one.words, one.weights, one.groups)), strict=True
            ):
                text = self.vocabulary.words[word]
                if not linked or group < 0:
                    own.append(text if weight == 1 else f"{weight:.2g} {text}")
                elif WORD_PARTS[self.vocabulary.part[word]] == "element":
                    n = HALF_CONNECTED * weight / (1 - weight) if weight < 1 else 0
                    ends.append(f"{n:.3g} {text}" if kind == "ligand" else text)
                else:
                    ends[-1] += f" {text}"
            text = " ".join(own) + (f": {' | '.join(ends)}" if ends else "")
            rows.append((kind, text, float(one.amounts[token]), float(one.csms[token])))
        return pd.DataFrame(rows, columns=["kind", "words", "amount", "csm"])

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the sets as a folder of config.json, README.md (the card), sets.safetensors and two lists in JSON.

        Parameters
        ----------
        path : path-like
            Folder to make. It appears whole or not at all.
        overwrite : bool, default False
            Replace sets that are already there.

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
            (partial / "sets.safetensors").write_bytes(save(arrays))
            _write_json(partial / "materials.json", {"ids": self.ids, "formulas": self.formulas})
            _write_json(partial / "words.json", self.vocabulary.words)
            write_config(partial, self.card, self.card.counts, schema=_SCHEMA, type=_TYPE)
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
        MaterialSets
            Bit for bit as they were written.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If it holds something else, was written by another format or with other words, or a file was changed.
        """
        from safetensors.numpy import load_file

        folder, _, card = read_config(
            path,
            kind=_TYPE,
            schema=_SCHEMA,
            noun=_NOUN,
            maker="sets.write(path)",
            problem=lambda _, card: other_files(card, _FILES),
        )
        arrays, materials, words = (
            checked_file(folder, name, card, set(), _NOUN)
            for name in ("sets.safetensors", "materials.json", "words.json")
        )
        if tuple(json.loads(words.read_text(encoding="utf-8"))) != WORDS.words:
            msg = f"{folder} was written with other words than the {len(WORDS)} of this matembed; make the sets again"
            raise ValueError(msg)
        names = json.loads(materials.read_text(encoding="utf-8"))
        return cls(ids=names["ids"], formulas=names["formulas"], vocabulary=WORDS, card=card, **load_file(arrays))


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=0, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
