"""Crystals -> tokens: each element, species, motif, connection and site once, with its amount and its words."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matembed.corpus._set_columns import Columns
from matembed.corpus._set_crystals import Crystals, Places
from matembed.corpus.ragged import spans, starts
from matembed.corpus.set_words import GEOMETRIES, STATES, TOKEN_KINDS, WORD_PARTS, WORDS
from matembed.corpus.symmetry import CRYSTAL_SYSTEMS, POINT_GROUPS, crystal_system
from matembed.elements import ATOMIC_NUMBERS, SYMBOLS
from matembed.motifs.geometry import LARGEST_CN
from matembed.tokens import SHARINGS, parse_token

__all__ = [
    "HALF_CONNECTED",
    "crystal_tokens",
    "cut",
    "element_tokens",
    "species_tokens",
    "state_codes",
    "symmetry_tokens",
]

_ELEMENT, _SPECIES, _MOTIF, _CONNECTION, _LIGAND, _SITE, _SPACE_GROUP = range(len(TOKEN_KINDS))
_UNKNOWN = len(STATES)  # the code of an oxidation state that is not known
_N_STATES = _UNKNOWN + 1
_N_PAIRS = len(SYMBOLS) * _N_STATES  # of an element and an oxidation state
HALF_CONNECTED = 4  # so many connections of a centre make an amount of one half
_N_ENDS = _N_PAIRS * len(GEOMETRIES)  # what the end of a connection can be
_GEOMETRY_CODES = {symbol: code for code, symbol in enumerate(GEOMETRIES)}
_FIRST = {part: int(WORDS.ids(part)[0]) for part in WORD_PARTS}
_FIRST_SYSTEM, _FIRST_POINT_GROUP = WORDS.id(CRYSTAL_SYSTEMS[0]), WORDS.id(f"sym {POINT_GROUPS[0]}")


def element_tokens(
    material: NDArray[np.int64], n_materials: int, numbers: NDArray[np.int64], amounts: NDArray[np.float64]
) -> Columns:
    """Make the tokens of elements, given by atomic number and sorted by it within each material."""
    return _tokens(_ELEMENT, material, n_materials, amounts, [_symbol(numbers)])


def species_tokens(
    material: NDArray[np.int64],
    n_materials: int,
    numbers: NDArray[np.int64],
    amounts: NDArray[np.float64],
    oxidations: NDArray[np.float64],
) -> Columns:
    """Make the tokens of species of formulas, given as in `element_tokens`; an element may have several."""
    group = np.arange(len(material)) - np.searchsorted(material, material)
    pairs = numbers * _N_STATES + state_codes(oxidations)
    return _tokens(_SPECIES, material, n_materials, amounts, _species(pairs), groups=[group] * 2)


def crystal_tokens(crystals: Crystals) -> list[Columns]:
    """Make the tokens of elements, species, motifs, connections and ligands."""
    n_sites, n_materials = crystals.n_sites, len(crystals.n_sites)
    material = np.repeat(np.arange(n_materials), n_sites)
    pair_of = crystals.numbers * _N_STATES + state_codes(crystals.oxidations)
    elements = _distinct(material, crystals.numbers, len(SYMBOLS))
    pairs = _distinct(material, pair_of, _N_PAIRS)
    first = np.searchsorted(pairs.material, np.arange(n_materials))
    group = np.arange(len(pairs.key)) - first[pairs.material]
    known = np.flatnonzero(pairs.key % _N_STATES < _UNKNOWN)
    sites = crystals.motif_sites
    centres = _Centres(material[sites], pair_of[sites], group[pairs.same][sites])
    names = _MotifNames.of(crystals.motif_tokens)
    return [
        element_tokens(elements.material, n_materials, elements.key, elements.n_rows / n_sites[elements.material]),
        _tokens(
            _SPECIES,
            pairs.material[known],
            n_materials,
            (pairs.n_rows / n_sites[pairs.material])[known],
            _species(pairs.key[known]),
            groups=[group[known]] * 2,
        ),
        _motif_tokens(crystals, centres, names),
        _connection_tokens(crystals, centres, names),
        _ligand_tokens(crystals, material, pair_of, centres, names),
    ]


def symmetry_tokens(places: Places) -> list[Columns]:
    """Make the tokens of sites and space groups."""
    n_materials = len(places.n_kinds)
    material = np.repeat(np.arange(n_materials), places.n_kinds)
    order = np.lexsort((places.point_groups, places.numbers, material))
    sites = [_symbol(places.numbers[order]), _FIRST_POINT_GROUP + places.point_groups[order]]
    known = np.flatnonzero(places.space_groups)
    space_groups = places.space_groups[known]
    systems = np.array([0, *(CRYSTAL_SYSTEMS.index(crystal_system(n)) for n in range(1, 231))], dtype=np.int64)
    words = [_FIRST["symmetry"] + space_groups - 1, _FIRST_SYSTEM + systems[space_groups]]
    return [
        _tokens(_SITE, material[order], n_materials, places.fractions[order], sites),
        _tokens(_SPACE_GROUP, known, n_materials, np.ones(len(known)), words),
    ]


def cut(kinds: Sequence[Columns], max_tokens: int) -> Columns:
    """Put the tokens of each material together, in order and no more than `max_tokens` but for elements."""
    material = np.concatenate([np.repeat(np.arange(len(one.n_tokens)), one.n_tokens) for one in kinds])
    every = Columns.joined(kinds)
    order = np.argsort(material, kind="stable")
    kind = every.kinds[order]
    material, beyond = material[order], kind != _ELEMENT
    by_amount = np.lexsort((-every.amounts[order], kind >= _CONNECTION, beyond, material))
    place = np.empty(len(order), dtype=np.int64)
    place[by_amount] = np.arange(len(order))
    place -= np.searchsorted(material, material)
    kept = ~beyond | (place < max_tokens)
    chosen = every.picked(order[kept], np.bincount(material[kept], minlength=len(kinds[0].n_tokens)))
    return chosen._replace(amounts=chosen.amounts.astype(np.float32))


def state_codes(oxidations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round oxidation states, halves away from zero and no farther than there are words; NaN is not known."""
    whole = np.sign(oxidations) * np.floor(np.abs(oxidations).round(2) + 0.5)
    codes = np.clip(np.nan_to_num(whole), STATES[0], STATES[-1]) - STATES[0]
    return np.where(np.isfinite(oxidations), codes, _UNKNOWN).astype(np.int64)


def _tokens(
    kind: int,
    material: NDArray[np.int64],
    n_materials: int,
    amounts: NDArray[np.float64],
    words: Sequence[NDArray[np.int64]],
    *,
    groups: Sequence[NDArray[np.int64]] = (),
    weights: Sequence[float] = (),
) -> Columns:
    """Make tokens of equally many words, given as columns with their groups; the word of the kind is put before."""
    n_tokens, n_words = len(material), 1 + len(words)
    table = np.column_stack([np.full(n_tokens, _FIRST["kind"] + kind), *words])
    none = np.full(n_tokens, -1)
    return Columns(
        n_tokens=np.bincount(material, minlength=n_materials),
        kinds=np.full(n_tokens, kind, dtype=np.int8),
        amounts=amounts,
        csms=np.full(n_tokens, np.nan, dtype=np.float32),
        n_words=np.full(n_tokens, n_words, dtype=np.int64),
        words=table.ravel().astype(np.int32),
        weights=np.tile(np.array([1, *(weights or [1] * len(words))], dtype=np.float32), n_tokens),
        groups=np.column_stack([none, *(groups or [none] * len(words))]).ravel().astype(np.int16),
    )


def _scrambled(codes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash whole numbers, by splitmix64 (S. Vigna, 2015); sums of 64-bit numbers wrap around."""
    x = codes.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _symbol(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return _FIRST["element"] + numbers - 1


def _species(pairs: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Name the element and the oxidation state of a pair of them."""
    return [_symbol(pairs // _N_STATES), _FIRST["oxidation"] + pairs % _N_STATES]


class _Distinct(NamedTuple):
    """Distinct keys of each material, sorted; how often each comes, a row that has it, and which each row has."""

    material: NDArray[np.int64]
    key: NDArray[np.int64]
    n_rows: NDArray[np.int64]
    member: NDArray[np.int64]
    same: NDArray[np.int64]


def _distinct(material: NDArray[np.int64], key: NDArray[np.int64], width: int) -> _Distinct:
    pairs, same, n_rows = np.unique(material * width + key, return_inverse=True, return_counts=True)
    member = np.empty(len(pairs), dtype=np.int64)
    member[same] = np.arange(len(same))
    return _Distinct(pairs // width, pairs % width, n_rows, member, same)


class _Centres(NamedTuple):
    """Of the centre of each motif: its material, its pair of element and oxidation state, and the number of that."""

    material: NDArray[np.int64]
    pair: NDArray[np.int64]
    group: NDArray[np.int64]


class _MotifNames(NamedTuple):
    """Distinct motif tokens of some crystals: which each motif has, their order, and the words of each end to end."""

    codes: NDArray[np.int64]
    rank: NDArray[np.int64]
    geometries: NDArray[np.int64]
    n_words: NDArray[np.int64]
    words: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, tokens: Sequence[str]) -> Self:
        known: dict[str, int] = {}
        codes = np.array([known.setdefault(token, len(known)) for token in tokens], dtype=np.int64)
        geometries, ligands = [], []
        for token in known:
            parsed = parse_token(token)
            geometries.append(_geometry_code(str(parsed.geometry)))
            cn = sum(amount for _, amount in parsed.ligands)
            ligands.append(sorted((ATOMIC_NUMBERS[symbol], amount / cn) for symbol, amount in parsed.ligands))
        order = sorted(range(len(known)), key=lambda code: (geometries[code], ligands[code]))
        rank = np.zeros(len(known), dtype=np.int64)
        rank[order] = np.arange(len(known))
        words, weights = [], []
        for geometry, around in zip(geometries, ligands, strict=True):
            cn = int(GEOMETRIES[geometry].rpartition(":")[2])
            words += [_FIRST["geometry"] + geometry, _FIRST["cn"] + cn]
            words += [_FIRST["ligand"] + number - 1 for number, _ in around]
            weights += [1.0, 1.0, *(share for _, share in around)]
        return cls(
            codes=codes,
            rank=rank,
            geometries=np.array(geometries, dtype=np.int64),
            n_words=np.array([2 + len(around) for around in ligands], dtype=np.int64),
            words=np.array(words, dtype=np.int64),
            weights=np.array(weights, dtype=np.float64),
        )


def _geometry_code(symbol: str) -> int:
    """Look up a geometry; of more ligands than any word has, the largest is taken."""
    name, _, cn = symbol.rpartition(":")
    if name == "UNKNOWN":
        symbol = f"UNKNOWN:{min(int(cn), LARGEST_CN)}"
    if symbol not in _GEOMETRY_CODES:
        msg = f"no word for the geometry {symbol!r} ({len(GEOMETRIES)} known); see WORDS.ids('geometry')"
        raise ValueError(msg)
    return _GEOMETRY_CODES[symbol]


def _motif_tokens(crystals: Crystals, centres: _Centres, names: _MotifNames) -> Columns:
    """Make the tokens of motifs, which have as many words as kinds of ligands and five more."""
    n_names, n_materials = len(names.rank), len(crystals.n_sites)
    motifs = _distinct(centres.material, centres.pair * n_names + names.rank[names.codes], _N_PAIRS * n_names)
    member = motifs.member
    plain = _tokens(
        _MOTIF,
        motifs.material,
        n_materials,
        motifs.n_rows / crystals.n_sites[motifs.material],
        _species(centres.pair[member]),
        groups=[centres.group[member]] * 2,
    )
    n_words = names.n_words[names.codes[member]]
    rows = spans(starts(names.n_words)[names.codes[member]], n_words)
    measured = np.isfinite(crystals.csms)
    total = np.bincount(motifs.same, np.where(measured, crystals.csms, 0), len(member))
    n_measured = np.bincount(motifs.same, measured, len(member))
    full = _with_words(
        plain,
        n_words=n_words,
        words=names.words[rows],
        weights=names.weights[rows],
        groups=np.repeat(centres.group[member], n_words),
    )
    return full._replace(csms=np.where(n_measured > 0, total / np.maximum(n_measured, 1), np.nan).astype(np.float32))


def _connection_tokens(crystals: Crystals, centres: _Centres, names: _MotifNames) -> Columns:
    """Make the tokens of connections, seen from either end: a centre and what it is connected to."""
    end = centres.pair * len(GEOMETRIES) + names.geometries[names.codes]
    first = np.concatenate([crystals.link_sources, crystals.link_targets])
    second = np.concatenate([crystals.link_targets, crystals.link_sources])
    sharings = np.concatenate([crystals.link_sharings] * 2)
    key = (end[first] * len(SHARINGS) + sharings) * _N_ENDS + end[second]
    links = _distinct(centres.material[first], key, _N_ENDS * len(SHARINGS) * _N_ENDS)
    ends = [first[links.member], second[links.member]]
    group = centres.material * (1 << 16) + centres.group
    _, same, n_centres = np.unique(group, return_inverse=True, return_counts=True)
    per_centre = links.n_rows / n_centres[same][ends[0]]
    words = [[*_species(centres.pair[one]), _FIRST["geometry"] + end[one] % len(GEOMETRIES)] for one in ends]
    return _tokens(
        _CONNECTION,
        links.material,
        len(crystals.n_sites),
        per_centre / (HALF_CONNECTED + per_centre),
        [_FIRST["sharing"] + sharings[links.member], *words[0], *words[1]],
        groups=[np.full(len(links.key), -1), *(centres.group[one] for one in ends for _ in range(3))],
        weights=[1, *[1] * 3, *[0.5] * 3],
    )


def _ligand_tokens(
    crystals: Crystals, material: NDArray[np.int64], pair_of: NDArray[np.int64], centres: _Centres, names: _MotifNames
) -> Columns:
    """Make the tokens of ligands, by the motifs they are part of: one for each distinct set of these.

    An anion that is part of none has a token too. Were it left out, the anions that are told of once a motif is hidden
    would be those that some motif holds, and so tell what the hidden one does.
    """
    is_ligand = ~(crystals.oxidations >= 0)  # where states are not known, all but centres
    is_ligand[crystals.motif_sites] = False
    is_ligand[crystals.bond_sites] = True
    ligands = np.flatnonzero(is_ligand)
    end = centres.pair * len(GEOMETRIES) + names.geometries[names.codes]
    pairs = np.stack([crystals.bond_sites, end[crystals.bond_motifs]])
    (sites, ends), kept, n_bonds = np.unique(pairs, axis=1, return_index=True, return_counts=True)
    n_kinds = np.bincount(sites, minlength=len(is_ligand))[ligands]
    first = starts(n_kinds)
    hashes = np.zeros(len(ligands), dtype=np.uint64)
    np.add.at(hashes, np.repeat(np.arange(len(ligands)), n_kinds), _scrambled(ends) * n_bonds.astype(np.uint64))
    order = np.lexsort((hashes, pair_of[ligands], material[ligands]))
    keys = np.stack([hashes, pair_of[ligands].astype(np.uint64), material[ligands].astype(np.uint64)])[:, order]
    is_new = np.append(np.ones(min(len(order), 1), dtype=np.bool_), (np.diff(keys, axis=1) != 0).any(axis=0))
    member = order[is_new]  # a ligand of each token
    n_alike = np.bincount(np.cumsum(is_new) - 1, minlength=len(member))
    of_token = material[ligands[member]]
    plain = _tokens(
        _LIGAND,
        of_token,
        len(crystals.n_sites),
        n_alike / crystals.n_sites[of_token],
        _species(pair_of[ligands[member]]),
    )
    rows = spans(first[member], n_kinds[member])
    bonded, counts = ends[rows], n_bonds[rows]
    of_centre = [*_species(bonded // len(GEOMETRIES)), _FIRST["geometry"] + bonded % len(GEOMETRIES)]
    group = centres.group[crystals.bond_motifs[kept[rows]]]
    return _with_words(
        plain,
        n_words=3 * n_kinds[member],
        words=np.column_stack(of_centre).ravel(),
        weights=np.repeat(counts / (HALF_CONNECTED + counts), 3),
        groups=np.repeat(group, 3),
    )


def _with_words(
    plain: Columns,
    *,
    n_words: NDArray[np.int64],
    words: NDArray[np.int64],
    weights: NDArray[np.float64],
    groups: NDArray[np.int64],
) -> Columns:
    """Add words to tokens, behind those that they have."""
    both = plain.n_words + n_words
    first = starts(both)[:-1]
    head, tail = spans(first, plain.n_words), spans(first + plain.n_words, n_words)
    columns = {}
    for name, more in (("words", words), ("weights", weights), ("groups", groups)):
        old = getattr(plain, name)
        columns[name] = np.empty(both.sum(), dtype=old.dtype)
        columns[name][head], columns[name][tail] = old, more
    return plain._replace(n_words=both, **columns)
