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
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._atomic import whole_folder
from matembed.cards import Card, package_versions
from matembed.corpus._folder import checked_file, other_files, read_config, write_config
from matembed.corpus._motif_stream import motif_chunks
from matembed.corpus._set_columns import Columns, frozen
from matembed.corpus._set_crystals import chunk_crystals, graph_crystals, graph_places, table_places
from matembed.corpus._set_tokens import (
    HALF_CONNECTED,
    crystal_tokens,
    cut,
    element_tokens,
    species_tokens,
    symmetry_tokens,
)
from matembed.corpus.formulas import parse_formula, reduced_formulas
from matembed.corpus.motif_tables import MotifTables, check_tables
from matembed.corpus.ragged import starts
from matembed.corpus.set_words import TOKEN_KINDS, WORD_PARTS, WORDS, WordVocabulary
from matembed.corpus.symmetry import Symmetry, find_symmetry
from matembed.elements import ATOMIC_NUMBERS, SYMBOLS
from matembed.motifs.find import Strategy, find_motif_arrays
from matembed.motifs.graph import MotifGraph
from matembed.motifs.valences import known_states, likeliest_states, rare_states
from matembed.sources.files import read_structures
from matembed.sources.rows import StructureRow

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core.composition import Composition

__all__ = ["MaterialSets", "formula_sets", "graph_sets", "structure_sets", "table_sets"]

_MOST_TOKENS = 256
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
        return type(self)._made(
            [self.ids[row] for row in picked.tolist()],
            [self.formulas[row] for row in picked.tolist()],
            self._columns().taken(picked),
            self.card,
        )

    @classmethod
    def _made(cls, ids: Sequence[str], formulas: Sequence[str], columns: Columns, card: Card, **counts: int) -> Self:
        """Put columns together with ids, and count them in the card."""
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
        >>> MaterialSets.concat([formula_sets(["NaCl"]), formula_sets(["MgO"])]).formulas
        ('NaCl', 'MgO')
        """
        parts = list(several)
        if not parts:
            msg = "wanted one or more MaterialSets to put together, got none"
            raise ValueError(msg)
        return cls._made(
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


# What sets are made from ---------------------------------------------------------------------------------------------


def formula_sets(
    formulas: "Iterable[str | Composition]",
    *,
    oxidation: Literal["unknown", "balanced"] = "unknown",
    ids: Sequence[str] | None = None,
    card: Card | None = None,
) -> MaterialSets:
    """Write formulas as sets of elements, or of elements and species.

    Parameters
    ----------
    formulas : iterable of str or pymatgen Composition
        In any spelling that `parse_formula` reads; amounts may be fractions.
    oxidation : {"unknown", "balanced"}
        Leave oxidation states open, or tell the likeliest ones that are neutral, or of an ion such as ``MnO4-`` have
        its charge, as pymatgen guesses them; not where amounts or states are fractions, as in Fe3O4, or no states
        balance, as in Ni3Al. Of a charge itself nothing is told.
    ids : sequence of str, length n_formulas, optional
        By default the formulas are numbered from 1.
    card : Card, optional
        Name, source, licence and citation of the formulas.

    Returns
    -------
    MaterialSets
        With tokens of kind "element", and of kind "species" if states are told.

    Raises
    ------
    TypeError
        If `formulas` is a single text.
    FormulaError
        If a formula cannot be read.
    ValueError
        If there are not as many ids as formulas, or `oxidation` is something else.

    See Also
    --------
    structure_sets : The same for crystals.

    Examples
    --------
    >>> sets = formula_sets(["Sr2Ti2O6", "Fe0.25Ni0.75"])
    >>> sets.formulas, sets.describe(1)[["words", "amount"]].values.tolist()
    (('SrTiO3', 'Fe0.25Ni0.75'), [['Fe', 0.25], ['Ni', 0.75]])
    >>> formula_sets(["KMnO4"], oxidation="balanced").describe(0)["words"].to_list()[3:]
    ['O ox-2', 'K ox+1', 'Mn ox+7']
    """
    if isinstance(formulas, str):
        msg = f"wanted a list of formulas, got the text {formulas!r}; pass [{formulas!r}] for one"
        raise TypeError(msg)
    if oxidation not in ("unknown", "balanced"):
        msg = f"oxidation must be 'unknown' or 'balanced', got {oxidation!r}"
        raise ValueError(msg)
    parsed = [parse_formula(formula) for formula in formulas]
    listed = [
        sorted((ATOMIC_NUMBERS[symbol], amount) for symbol, amount in one.composition.get_el_amt_dict().items())
        for one in parsed
    ]
    n_elements = np.array([len(pairs) for pairs in listed], dtype=np.int64)
    flat = np.array([pair for pairs in listed for pair in pairs], dtype=np.float64).reshape(-1, 2)
    material = np.repeat(np.arange(len(listed)), n_elements)
    amounts = flat[:, 1] / np.bincount(material, flat[:, 1], len(listed))[material]
    numbers = flat[:, 0].astype(np.int64)
    tokens = [element_tokens(material, len(listed), numbers, amounts)]
    if oxidation == "balanced":
        states = [state for one, pairs in zip(parsed, listed, strict=True) for state in _balanced(pairs, one.charge)]
        tokens.append(species_tokens(material, len(listed), numbers, amounts, np.array(states, dtype=np.float64)))
    columns = cut(tokens, _MOST_TOKENS)
    names = _names(ids, len(listed), "formulas")
    return MaterialSets._made(names, [one.formula for one in parsed], columns, _described(card, "formulas"))


def _balanced(pairs: Sequence[tuple[int, float]], charge: float) -> list[float]:
    """Find the oxidation state of each element of a formula; NaN if one is not known, or a mean that is no state."""
    counts = {SYMBOLS[number]: round(amount) for number, amount in pairs}
    whole = all(amount == round(amount) for amount in [charge, *(amount for _, amount in pairs)])
    states = (likeliest_states(counts, round(charge)) if whole else None) or {}
    if not states or any(state not in known_states(one) + rare_states(one) for one, state in states.items()):
        return [np.nan] * len(pairs)
    return [states[symbol] for symbol in counts]


def graph_sets(
    graphs: Sequence[MotifGraph],
    *,
    ids: Sequence[str] | None = None,
    oxidations: "Sequence[Sequence[float] | None] | None" = None,
    symmetries: Sequence[Symmetry | None] | None = None,
    max_tokens: int = _MOST_TOKENS,
    card: Card | None = None,
) -> MaterialSets:
    """Write motif graphs as sets.

    Parameters
    ----------
    graphs : sequence of MotifGraph
        Of a site between several environments, the likeliest counts.
    ids : sequence of str, length n_graphs, optional
        By default the graphs are numbered from 1.
    oxidations : sequence, length n_graphs, optional
        Oxidation states of all sites of each crystal, in units of e; None where they are not known. Graphs know those
        of the centres of motifs alone.
    symmetries : sequence, length n_graphs, optional
        Symmetry of each crystal; None where it is not known. By default there are no tokens of symmetry.
    max_tokens : int, default 256
        Most tokens of a material: all elements, then species and motifs, then all others, each from the largest amount
        on; of equal amounts the first. Of a material of more, by default 1 in 500 oxides, the rarest connections and
        ligands are left out. Its connections are then counted from those kept; which these are depends on all motifs.
    card : Card, optional
        Name, source, licence and citation of the crystals.

    Returns
    -------
    MaterialSets
        In the order of the graphs.

    Raises
    ------
    TypeError
        If `graphs` is a single graph, or holds something else.
    ValueError
        If a sequence is of another length than `graphs`, or `max_tokens` is not positive.

    See Also
    --------
    table_sets : The same for many crystals.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from matembed import find_motifs
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> graph_sets([find_motifs(salt)]).describe(0)[["kind", "words"]].iloc[3:5].values.tolist()
    [['motif', 'Cs ox+1 C:8 cn8 ligand Cl'], ['connection', 'corner: Cs ox+1 C:8 | Cs ox+1 C:8']]
    """
    if isinstance(graphs, MotifGraph):
        msg = "wanted a list of motif graphs, got one; pass [graph]"
        raise TypeError(msg)
    other = next((one for one in graphs if not isinstance(one, MotifGraph)), None)
    if other is not None:
        msg = (
            f"wanted motif graphs, such as find_motifs makes, got {type(other).__name__}; of structures, structure_sets"
        )
        raise TypeError(msg)
    _check_max_tokens(max_tokens)
    names = _names(ids, len(graphs), "graphs")
    for name, given in (("oxidations", oxidations), ("symmetries", symmetries)):
        if given is not None and len(given) != len(graphs):
            msg = f"{name} must have an entry for each of {len(graphs)} graphs, None where not known; got {len(given)}"
            raise ValueError(msg)
    states = [None] * len(graphs) if oxidations is None else oxidations
    tokens = crystal_tokens(graph_crystals(graphs, states))
    if symmetries is not None:
        tokens += symmetry_tokens(graph_places(graphs, symmetries))
    described = _described(card, "crystals", {"max_tokens": max_tokens})
    return MaterialSets._made(names, [one.formula for one in graphs], cut(tokens, max_tokens), described)


def structure_sets(
    structures: Any,
    *,
    strategy: Strategy = "multi_weights",
    symmetry: bool = True,
    max_tokens: int = _MOST_TOKENS,
    card: Card | None = None,
) -> MaterialSets:
    """Find the motifs and the symmetry of crystals, and write them as sets.

    Parameters
    ----------
    structures : sequence, mapping, path-like or DataFrame
        Crystals, as `matembed.sources.read_structures` reads them, such as a list of pymatgen Structures.
    strategy : {"multi_weights", "simplest"}
        How motifs are chosen, as in `matembed.find_motifs`; of a site between several environments, the likeliest
        counts. Pretrained transformers were trained on the first.
    symmetry : bool, default True
        Find space groups and site symmetries too, up to 0.01 Å.
    max_tokens : int, default 256
        As in `graph_sets`.
    card : Card, optional
        Name, source, licence and citation of the crystals.

    Returns
    -------
    MaterialSets
        In the order of the input, with its ids; where it has none, crystals are numbered from 1.

    Raises
    ------
    TypeError
        If it is one structure, or nothing that can be read.
    ValueError
        If a crystal cannot be read, or its motifs or symmetry cannot be found.

    See Also
    --------
    table_sets : Many crystals, in minutes, from what `build_motif_tables` found.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> structure_sets([salt]).describe(0)[["kind", "words"]].iloc[-3:].values.tolist()
    [['site', 'Cl sym m-3m'], ['site', 'Cs sym m-3m'], ['space_group', 'sg 221 cubic']]
    """
    _check_max_tokens(max_tokens)
    ids, graphs, oxidations, symmetries = [], [], [], []
    for row in read_structures(structures):
        if not isinstance(row, StructureRow):
            msg = f"row {row.row} is no crystal: {getattr(row, 'reason', 'a formula')}; mend it or leave it out"
            raise ValueError(msg)
        try:
            crystal = row.to_crystal()
            found = find_motif_arrays(crystal, strategy=strategy)
            symmetries.append(find_symmetry(crystal) if symmetry else None)
        except ValueError as error:
            msg = f"row {row.row}, {row.id!r}: {error}"
            raise ValueError(msg) from error
        ids.append(row.id)
        graphs.append(found.to_graph(engine="numba", strategy=strategy))
        oxidations.append(None if found.oxidations is None else found.oxidations.tolist())
    return graph_sets(
        graphs,
        ids=ids,
        oxidations=oxidations,
        symmetries=symmetries if symmetry else None,
        max_tokens=max_tokens,
        card=card,
    )


def table_sets(
    tables: MotifTables,
    *,
    exclude: Collection[str] = (),
    symmetry: "str | os.PathLike[str] | pd.DataFrame | None" = None,
    max_tokens: int = _MOST_TOKENS,
) -> MaterialSets:
    """Write the crystals of motif tables as sets, some thousand at a time.

    A hundred thousand crystals take some ten seconds and 1 GB of memory.

    Parameters
    ----------
    tables : MotifTables
        Motifs and connections of crystals; of a site between several environments, the likeliest counts.
    exclude : collection of str
        Formulas, in any spelling, of materials to leave out, such as those a benchmark tests.
    symmetry : path-like or DataFrame, optional
        What `symmetry_table` made of the same crystals. Those it lacks have no tokens of symmetry.
    max_tokens : int, default 256
        As in `graph_sets`.

    Returns
    -------
    MaterialSets
        In the order of the tables.

    Raises
    ------
    TypeError
        If `tables` are no MotifTables, or `exclude` is a single text.
    FormulaError
        If a formula of `exclude` cannot be read.
    ValueError
        If no material is left, `symmetry` is of other crystals or no such table, or `max_tokens` is not positive.

    See Also
    --------
    matembed.build_motif_tables : Makes the tables.
    matembed.symmetry_table : Makes the table of symmetry.

    Examples
    --------
    >>> import tempfile
    >>> from matembed import build_motif_tables
    >>> salt = {"id": "CsCl", "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]], "species": ["Cs", "Cl"]}
    >>> salt["frac_coords"] = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sets = table_sets(build_motif_tables([salt], f"{folder}/motifs", progress=False))
    >>> sets.ids, sets.describe(0)["kind"].value_counts().to_dict()
    (('CsCl',), {'connection': 3, 'element': 2, 'species': 2, 'motif': 1, 'ligand': 1})
    """
    check_tables(tables)
    _check_max_tokens(max_tokens)
    left_out = reduced_formulas(exclude)
    known_places = None if symmetry is None else table_places(symmetry)
    ids: list[str] = []
    formulas: list[str] = []
    parts: list[Columns] = []
    n_known = n_excluded = 0
    for chunk in motif_chunks(tables):
        tokens = crystal_tokens(chunk_crystals(chunk))
        kept = np.flatnonzero(~chunk.materials["formula"].isin(left_out).to_numpy())
        if known_places is not None:
            rows, places = known_places
            found = places.taken(np.array([rows.get(name, -1) for name in chunk.materials["id"]], dtype=np.int64))
            n_known += int((found.space_groups[kept] > 0).sum())
            tokens += symmetry_tokens(found)
        parts.append(cut(tokens, max_tokens).taken(kept))
        ids += chunk.materials["id"].iloc[kept].to_list()
        formulas += chunk.materials["formula"].iloc[kept].to_list()
        n_excluded += len(chunk.materials) - len(kept)
    if not ids:
        msg = f"exclude leaves none of {n_excluded:,} materials; exclude fewer formulas"
        raise ValueError(msg)
    if known_places is not None and not n_known:
        msg = f"symmetry names none of {len(ids):,} materials; make it with symmetry_table from the same crystals"
        raise ValueError(msg)
    behind = tables.card
    card = Card(
        name=f"{behind.name}-sets",
        what="Crystals as sets of elements, species, motifs, connections and symmetry.",
        source=behind.source,
        licence=behind.licence,
        citation=behind.citation,
        corpus={"name": behind.name, "counts": dict(behind.counts), "settings": dict(behind.settings)},
        settings={"max_tokens": max_tokens},
        versions=behind.versions,
    )
    counts = {"excluded": n_excluded} | ({} if known_places is None else {"symmetries": n_known})
    return MaterialSets._made(ids, formulas, Columns.joined(parts), card, **counts)


def _check_max_tokens(max_tokens: int) -> None:
    if not isinstance(max_tokens, int) or max_tokens < 1:
        msg = f"max_tokens must be a whole number, 1 or more; got {max_tokens!r}"
        raise ValueError(msg)


def _names(ids: Sequence[str] | None, n_materials: int, what: str) -> list[str]:
    if ids is None:
        return [str(row) for row in range(1, n_materials + 1)]
    if isinstance(ids, str) or len(ids) != n_materials:
        msg = f"ids must name each of {n_materials} {what}, got {ids!r:.60}"
        raise ValueError(msg)
    return [str(one) for one in ids]


def _described(card: Card | None, name: str, settings: dict[str, Any] | None = None) -> Card:
    base = card or Card(name)
    what = base.what or f"{name.capitalize()} as sets of tokens."
    return replace(base, what=what, settings=settings or {}, versions=package_versions())
