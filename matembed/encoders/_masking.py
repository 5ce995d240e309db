"""What is hidden from a material, and what is asked of it; all in whole arrays."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.corpus._set_tokens import HALF_CONNECTED
from matembed.corpus.formulas import ELECTRONEGATIVITIES
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.ragged import members, starts
from matembed.corpus.set_words import TOKEN_KINDS, WORD_PARTS, WORDS
from matembed.encoders._bags import HASHES, NO_OXIDATION, bag_hashes, charge_of

if TYPE_CHECKING:
    from matembed.encoders.masked_lm import MaskedLM

__all__ = [
    "ANSWERS",
    "GEOMETRY_WORDS",
    "GOALS",
    "MOTIF",
    "N_COUNTS",
    "SPECIES",
    "STATE_WORDS",
    "Given",
    "Index",
    "Objective",
    "Question",
    "Wanted",
    "anions_of",
    "asking",
    "batches_of",
    "draw",
    "has_motifs",
    "hide",
    "nothing_hidden",
    "with_unknown_motifs",
]

Objective = Literal["formula", "others", "links", "element"]
Given = Literal["formula", "others", "links"]
_FORMULA, _OTHERS, _LINKS, _ELEMENT = range(4)
GOALS = (*get_args(Objective), "oxidation")  # what losses are kept by

_ELEMENTS, SPECIES, MOTIF, _CONNECTION, _LIGAND, _SITE, _SPACE_GROUP = range(len(TOKEN_KINDS))
_SYMBOL, _OXIDATION, _GEOMETRY, _SHARING = (
    WORD_PARTS.index(part) for part in ("element", "oxidation", "geometry", "sharing")
)
_SYMBOL_WORDS, _OXIDATION_WORDS, GEOMETRY_WORDS, _LIGAND_WORDS = (
    WORDS.ids(part) for part in ("element", "oxidation", "geometry", "ligand")
)
_SHARING_WORDS = WORDS.ids("sharing")
_MOTIF_WORD, _HIDDEN_ELEMENT, _HIDDEN_OXIDATION, _HIDDEN_GEOMETRY = (
    WORDS.id(word) for word in ("<motif>", "[HIDDEN element]", "[HIDDEN oxidation]", "[HIDDEN geometry]")
)
STATE_WORDS = _OXIDATION_WORDS[_OXIDATION_WORDS != NO_OXIDATION]
ANSWERS = (GEOMETRY_WORDS, STATE_WORDS, _SYMBOL_WORDS)  # words to choose from, where each of these is hidden
N_COUNTS = len(_SHARING_WORDS) + 1
_ALL, _NONE = -1, -2  # instead of the number of a group: every group is hidden, or none
_ELECTRONEGATIVITIES = np.nan_to_num([ELECTRONEGATIVITIES.get(word, 0) for word in WORDS.words])


@dataclass(frozen=True, eq=False)
class Wanted:
    """What to hide: for each row a material, and what is to be told of it."""

    rows: NDArray[np.int64]  # material
    objective: NDArray[np.int64]  # _FORMULA, _OTHERS, _LINKS or _ELEMENT
    group: NDArray[np.int64]  # number of the group whose geometry is hidden, _ALL or _NONE
    element: NDArray[np.int64]  # word of the element that is hidden, or _NONE
    hides_oxidation: NDArray[np.bool_]
    symmetry: NDArray[np.bool_]  # whether site symmetries and the space group are told
    structure: NDArray[np.bool_]  # whether anything but the formula is

    def take(self, idx: NDArray[np.int64]) -> "Wanted":
        """Choose rows."""
        return Wanted(**{each.name: getattr(self, each.name)[idx] for each in fields(self)})


@dataclass(frozen=True, eq=False)
class Question:
    """A batch of materials with something hidden, as the network reads it, and what it should answer.

    Asked are the geometries of groups, then the oxidation states of some of these, then elements.
    """

    words: NDArray[np.int32]
    weights: NDArray[np.float32]
    word_starts: NDArray[np.int64]
    amounts: NDArray[np.float32]
    csms: NDArray[np.float32]
    counts: NDArray[np.float32]  # (n_tokens, N_COUNTS) connections of a motif by sharing, motifs of a ligand; as told
    token_starts: NDArray[np.int64]
    ask: NDArray[np.int64]  # (n_asked,) tokens
    goals: NDArray[np.int64]  # (n_asked,) places in GOALS
    targets: tuple[NDArray[np.float32], ...]  # shares of each of ANSWERS: (n_groups, n_geometries), and so on
    group_rows: NDArray[np.int64]  # (n_groups,) material in the batch
    group_elements: NDArray[np.int64]  # (n_groups,) word
    group_oxidations: NDArray[np.int64]  # (n_groups,) word
    hides_oxidation: NDArray[np.bool_]  # (n_groups,)

    def tensors(self, torch: Any, device: Any) -> dict[str, Any]:
        """Copy what the network reads to where it computes."""
        names = ["words", "weights", "word_starts", "amounts", "csms", "counts", "token_starts"]
        arrays = {name: getattr(self, name) for name in names + (["ask"] if len(self.ask) else [])}
        arrays["words"] = arrays["words"].astype(np.int64)
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


class Index:
    """Materials, and what has to be known of their tokens to hide some."""

    def __init__(self, sets: MaterialSets) -> None:
        self.sets = sets
        n_materials, n_tokens = len(sets), len(sets.kinds)
        self.material = np.repeat(np.arange(n_materials), np.diff(sets.token_starts))
        owner = np.repeat(np.arange(n_tokens), np.diff(sets.word_starts))
        single = (sets.kinds[owner] != _CONNECTION) & (sets.kinds[owner] != _LIGAND)  # whose words tell of one element
        parts = WORDS.part[sets.words]
        self.element, self.oxidation, self.geometry = (np.full(n_tokens, _NONE) for _ in range(3))
        for part, words in ((_SYMBOL, self.element), (_OXIDATION, self.oxidation), (_GEOMETRY, self.geometry)):
            mine = single & (parts == part)
            words[owner[mine]] = sets.words[mine]
        grouped = np.flatnonzero(sets.groups >= 0)[::-1]
        self.group = np.full(n_tokens, _NONE)  # of the first word that has one: of a connection, where it is seen from
        self.group[owner[grouped]] = sets.groups[grouped]
        geometry = grouped[parts[grouped] == _GEOMETRY]
        self.geometry[owner[geometry]] = sets.words[geometry]  # of a connection that of its first end
        self.sharing = np.full(n_tokens, _NONE)
        self.sharing[owner[parts == _SHARING]] = sets.words[parts == _SHARING]
        n_kinds = len(TOKEN_KINDS)
        kinds = self.material * n_kinds + sets.kinds
        self.n_by_kind = np.bincount(kinds, minlength=n_materials * n_kinds).reshape(-1, n_kinds)
        motifs = sets.kinds == MOTIF
        group_keys = np.unique(self.material[motifs] * (1 << 16) + self.group[motifs])
        self.group_material, self.groups = group_keys >> 16, group_keys & 0xFFFF
        self.n_groups = np.bincount(self.group_material, minlength=n_materials)
        self.elements = np.flatnonzero(sets.kinds == _ELEMENTS)  # tokens
        of_element = self._amounts_beside(_ELEMENTS, self.element, sets.amounts)
        self.amounts = {  # of the element of each motif, and of its species, where that is told
            "element": of_element,
            "species": self._amounts_beside(SPECIES, self.element * len(WORDS.words) + self.oxidation, of_element),
        }

    def _amounts_beside(self, kind: int, names: NDArray[np.int64], rest: NDArray[Any]) -> NDArray[np.float64]:
        """Find the amount of the token of a kind that has the name of each token; where there is none, the rest."""
        keys = self.material * len(WORDS.words) ** 2 + names
        tokens = np.flatnonzero(self.sets.kinds == kind)
        tokens = tokens[np.argsort(keys[tokens])]
        place = np.minimum(np.searchsorted(keys[tokens], keys), max(len(tokens) - 1, 0))
        if not len(tokens):
            return rest.astype(np.float64)
        return np.where(keys[tokens[place]] == keys, self.sets.amounts[tokens[place]], rest).astype(np.float64)

    def lengths(self, wanted: Wanted) -> NDArray[np.int64]:
        """Count the tokens that will be left of each row, [CLS] with them, or a few more."""
        n_elements, n_species, n_motifs, n_connections, n_ligands, n_sites, n_space_groups = self.n_by_kind[
            wanted.rows
        ].T
        formula = wanted.objective == _FORMULA
        motifs = np.where(formula, self.n_groups[wanted.rows], n_motifs)
        connections = np.where(formula, 0, n_connections + n_ligands)
        rest = np.where(wanted.hides_oxidation, 0, n_species) + motifs + connections
        rest += np.where(wanted.symmetry, n_sites + n_space_groups, 0)
        return 1 + n_elements + np.where(wanted.structure, rest, 0)


def draw(index: Index, encoder: "MaskedLM", rng: np.random.Generator) -> Wanted:
    """Draw what to hide in each material."""
    n = len(index.n_groups)
    shares = np.array([encoder.shares[name] for name in get_args(Objective)], dtype=np.float64)
    objective = rng.choice(len(shares), size=n, p=shares / shares.sum())
    objective[index.n_groups == 0] = _ELEMENT
    group, element = np.full(n, _NONE), np.full(n, _NONE)
    formula, asks_element = objective == _FORMULA, objective == _ELEMENT
    one = ~formula & ~asks_element
    group[formula] = _ALL
    group[one] = index.groups[_one_of_each(index.n_groups, rng)[one]]
    tokens = index.elements[_one_of_each(index.n_by_kind[:, _ELEMENTS], rng)]
    element[asks_element] = index.element[tokens][asks_element]
    return Wanted(
        rows=np.arange(n),
        objective=objective,
        group=group,
        element=element,
        hides_oxidation=~asks_element & (rng.random(n) < encoder.hide_oxidation),
        symmetry=~formula & (rng.random(n) >= encoder.drop_symmetry),
        structure=~asks_element | (rng.random(n) < 0.5),
    )


def _one_of_each(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one of the members of each set; members are numbered through. Of an empty set, any number in range."""
    last = max(int(counts.sum()) - 1, 0)
    return np.minimum(np.cumsum(counts) - counts + (rng.random(len(counts)) * counts).astype(np.int64), last)


def asking(index: Index, given: Given, *, hidden: NDArray[np.bool_], symmetry: bool) -> Wanted:
    """Ask for the geometries of all groups, each by itself if the motifs of others are given."""
    objective = get_args(Given).index(given)
    rows = np.flatnonzero(index.n_groups) if given == "formula" else index.group_material
    n = len(rows)
    return Wanted(
        rows=rows,
        objective=np.full(n, objective),
        group=np.full(n, _ALL) if given == "formula" else index.groups,
        element=np.full(n, _NONE),
        hides_oxidation=hidden[rows],
        symmetry=np.full(n, symmetry and given != "formula"),
        structure=np.ones(n, dtype=np.bool_),
    )


def hide(index: Index, wanted: Wanted) -> Question:
    """Hide what is wanted of a batch of materials, in whole arrays.

    The motifs of a hidden group become one token that says no geometry, cn or ligands; its amount is that of the
    species, for how many of its sites have a motif is hidden too.
    Connections of a hidden group go, or say nothing of its geometry; those that then read alike become one. Each motif
    is then told how many corners, edges and faces it shares, as far as connections are told. Ligands lose the motifs of
    a hidden group, even where its connections are told, for they would tell its cn; they too become one if alike. What
    only a hidden group holds then reads as what no motif holds, for anions have tokens either way. Where nothing is
    hidden, all tokens stay as they are.
    """
    sets = index.sets
    tokens, material = members(sets.token_starts, wanted.rows)
    kinds, amounts = sets.kinds[tokens], sets.amounts[tokens].astype(np.float64)
    objective, hides_oxidation = wanted.objective[material], wanted.hides_oxidation[material]
    linking = (kinds == _CONNECTION) | (kinds == _LIGAND)
    every_word, owner = members(sets.word_starts, tokens)
    group, of_word = wanted.group[material], sets.groups[every_word]
    is_hidden = (of_word >= 0) & ((of_word == group[owner]) | (group[owner] == _ALL))
    is_hidden &= (linking | (kinds == MOTIF))[owner]
    touched = np.bincount(owner, is_hidden, len(tokens)) > 0
    hidden_motif, link = touched & (kinds == MOTIF), touched & (kinds == _CONNECTION)
    dropped = hidden_motif | (link & (objective != _LINKS)) | ((kinds == SPECIES) & hides_oxidation)
    dropped |= (kinds == _LIGAND) & (group == _ALL)
    dropped |= (kinds >= _SITE) & ~wanted.symmetry[material]
    dropped |= (kinds > _ELEMENTS) & ~wanted.structure[material]
    kept = np.flatnonzero(~dropped)

    # Words of the tokens that stay, with those left out or replaced that would tell.
    is_ligand = (kinds == _LIGAND)[owner]
    element = wanted.element[material[owner]]
    parts_of = np.where(element == _NONE, _NONE, element - _SYMBOL_WORDS[0] + _LIGAND_WORDS[0])  # in the same order
    stays = ~dropped[owner] & ~(is_hidden & is_ligand) & (sets.words[every_word] != parts_of)
    word_idx, token, is_hidden, element = every_word[stays], owner[stays], is_hidden[stays], element[stays]
    words, weights = sets.words[word_idx], sets.weights[word_idx]
    part, place = WORDS.part[words], np.cumsum(~dropped) - 1
    words[is_hidden & (part == _GEOMETRY)] = _HIDDEN_GEOMETRY
    words[is_hidden & (part == _OXIDATION) & hides_oxidation[token]] = _HIDDEN_OXIDATION
    words[words == element] = _HIDDEN_ELEMENT
    owner = place[token]
    hidden_first = np.zeros(len(tokens), dtype=np.bool_)  # connections that are seen from what is hidden
    hidden_first[link] = index.group[tokens[link]] == group[link]

    # Links that read alike become one, and ligands. A link has the amount a = n / (4 + n), and a / (1 - a) add up.
    merged = np.ones(len(kept), dtype=np.bool_)
    asks = (group != _NONE) | (wanted.element[material] != _NONE)
    alike = np.flatnonzero((asks & (link | (kinds == _LIGAND)))[kept])
    if len(alike):
        hashes = bag_hashes(words, weights, owner)[alike] ^ (HASHES[0] * material[kept[alike]].astype(np.uint64))
        _, first, same = np.unique(hashes, return_index=True, return_inverse=True)
        each, linked = amounts[kept[alike]], link[kept[alike]]
        each[linked] /= 1 - each[linked]
        total = np.bincount(same, each)
        amounts[kept[alike[first]]] = np.where(linked[first], total / (1 + total), total)
        merged[alike] = False
        merged[alike[first]] = True
    told, place = merged[owner], np.cumsum(merged) - 1
    word_idx, words, weights, owner = word_idx[told], words[told], weights[told], place[owner[told]]
    kept = kept[merged]

    # A token for each hidden group; for each element of a formula, if oxidation states are hidden too.
    motif = tokens[hidden_motif]
    by_element = (hides_oxidation & (objective == _FORMULA))[hidden_motif]
    key = np.where(by_element, (1 << 16) + index.element[motif], index.group[motif])
    _, first, same = np.unique(material[hidden_motif] * (1 << 20) + key, return_index=True, return_inverse=True)
    n_groups = len(first)
    group_rows, group_elements = material[hidden_motif][first], index.element[motif][first]
    group_oxidations, hides = index.oxidation[motif][first], wanted.hides_oxidation[group_rows]
    motif_amounts = amounts[hidden_motif]
    group_amounts = np.bincount(same, motif_amounts, n_groups)
    of_element, of_species = (index.amounts[name][motif[first]] for name in ("element", "species"))
    told_amounts = np.where(by_element[first], of_element, of_species)
    shares = [
        _shares(same, _places(answers, said[motif]), motif_amounts, n_groups, len(answers))
        for answers, said in ((GEOMETRY_WORDS, index.geometry), (STATE_WORDS, index.oxidation))
    ]
    told_oxidations = np.where(hides, _HIDDEN_OXIDATION, group_oxidations)
    new_words = _motif_words(group_elements, told_oxidations, _HIDDEN_GEOMETRY)

    # How many connections each motif has, as far as they are told.
    shown, seen_from = np.flatnonzero(kinds[kept] == MOTIF), np.flatnonzero(kinds[kept] == _CONNECTION)
    links, numbers = kept[seen_from], index.group[tokens]
    counts = _connection_counts(
        materials=np.concatenate([material[kept[shown]], group_rows, material[links]]),
        groups=np.concatenate([numbers[kept[shown]], numbers[hidden_motif][first], numbers[links]]),
        geometries=np.concatenate(
            [
                index.geometry[tokens[kept[shown]]],
                np.full(n_groups, _HIDDEN_GEOMETRY),
                np.where(hidden_first[links], _HIDDEN_GEOMETRY, index.geometry[tokens[links]]),
            ]
        ),
        amounts=np.concatenate([amounts[kept[shown]], group_amounts]),
        sharings=index.sharing[tokens[links]],
        linked=amounts[links] / (1 - amounts[links]),
    )
    is_symbol = WORDS.part[sets.words[word_idx]] == _SYMBOL
    around = (kinds[kept[owner]] == _LIGAND) & (sets.groups[word_idx] >= 0) & is_symbol
    n_links = np.zeros((len(kept) + n_groups, N_COUNTS), dtype=np.float32)
    n_links[np.concatenate([shown, len(kept) + np.arange(n_groups)]), :-1] = HALF_CONNECTED * counts
    odds = weights[around] / (1 - weights[around])
    n_links[: len(kept), -1] = HALF_CONNECTED * np.bincount(owner[around], odds, len(kept))

    # All tokens, by material.
    rows = np.concatenate([material[kept], group_rows])
    owner = np.concatenate([owner, len(kept) + np.repeat(np.arange(n_groups), 4)])
    order, word_order, token_starts, word_starts = _in_order(rows, owner, len(wanted.rows))
    position = np.argsort(order)
    asked_groups = position[len(kept) :]
    is_asked = (kinds[kept] == _ELEMENTS) & (index.element[tokens[kept]] == wanted.element[material[kept]])
    asked_elements = position[: len(kept)][is_asked]
    answers = _places(_SYMBOL_WORDS, wanted.element[wanted.element != _NONE])
    return Question(
        words=np.append(words, new_words)[word_order],
        weights=np.concatenate([weights, np.ones(4 * n_groups, dtype=np.float32)])[word_order],
        counts=n_links[order],
        word_starts=word_starts,
        amounts=np.append(amounts[kept], told_amounts)[order].astype(np.float32),
        csms=np.concatenate([sets.csms[tokens[kept]], np.full(n_groups, np.nan, dtype=np.float32)])[order],
        token_starts=token_starts,
        ask=np.concatenate([asked_groups, asked_groups[hides], asked_elements]),
        goals=np.concatenate(
            [wanted.objective[group_rows], np.full(hides.sum(), 4), np.full(len(asked_elements), _ELEMENT)]
        ),
        targets=(shares[0], shares[1][hides], np.eye(len(_SYMBOL_WORDS), dtype=np.float32)[answers]),
        group_rows=group_rows,
        group_elements=group_elements,
        group_oxidations=group_oxidations,
        hides_oxidation=hides,
    )


def _motif_words(elements: NDArray[np.int64], oxidations: NDArray[np.int64], geometry: int) -> NDArray[np.int32]:
    """List the words of motifs of which no more is told: shape (n_motifs, 4)."""
    words = np.empty((len(elements), 4), dtype=np.int32)
    words[:, 0], words[:, 1], words[:, 2], words[:, 3] = _MOTIF_WORD, elements, oxidations, geometry
    return words


def _connection_counts(
    *,
    materials: NDArray[np.int64],
    groups: NDArray[np.int64],
    geometries: NDArray[np.int64],
    amounts: NDArray[np.float64],
    sharings: NDArray[np.int64],
    linked: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Count the connections of motifs by sharing, given motifs and then connections.

    Connections are counted by centre of a group, in fours; where this has several geometries, each has its own.
    """
    n_motifs = len(amounts)
    _, of_group = np.unique(materials * (1 << 20) + groups, return_inverse=True)
    _, of_kind = np.unique(of_group * len(WORDS.words) + geometries, return_inverse=True)
    of_groups = np.bincount(of_group[:n_motifs], amounts, of_group.max(initial=-1) + 1)
    of_kinds = np.bincount(of_kind[:n_motifs], amounts, of_kind.max(initial=-1) + 1)
    share = of_kinds[of_kind[n_motifs:]] / np.maximum(of_groups[of_group[n_motifs:]], 1e-12)
    n_sharings = len(_SHARING_WORDS)
    code = of_kind[n_motifs:] * n_sharings + _places(_SHARING_WORDS, sharings)
    sums = np.bincount(code, linked / np.maximum(share, 1e-12), len(of_kinds) * n_sharings)
    counts: NDArray[np.float64] = sums.astype(np.float64).reshape(-1, n_sharings)[of_kind[:n_motifs]]
    return counts


def _shares(
    same: NDArray[np.int64], places: NDArray[np.int64], amounts: NDArray[np.float64], n_groups: int, n_answers: int
) -> NDArray[np.float32]:
    """Share out the amount of each group among answers, shape (n_groups, n_answers); zeros where none is known."""
    known = places >= 0
    flat = np.bincount(same[known] * n_answers + places[known], amounts[known], minlength=n_groups * n_answers)
    sums = flat.reshape(n_groups, n_answers)
    total = sums.sum(axis=1, keepdims=True)
    return (sums / np.where(total > 0, total, 1)).astype(np.float32)


def _places(answers: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find words among the answers: their places, -1 for one that is not there."""
    place_of = np.full(len(WORDS.words), -1)
    place_of[answers] = np.arange(len(answers))
    return np.where(words >= 0, place_of[words], -1)


def _in_order(
    material: NDArray[np.int64], owner: NDArray[np.int64], n_materials: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sort tokens by material and words by token: both orders, starts of materials and starts of tokens."""
    order = np.argsort(material, kind="stable")
    owner = np.argsort(order)[owner]
    word_order = np.argsort(owner, kind="stable")
    token_starts = starts(np.bincount(material, minlength=n_materials))
    return order, word_order, token_starts, starts(np.bincount(owner, minlength=len(material)))


def batches_of(
    lengths: NDArray[np.int64], batch_tokens: int, rng: np.random.Generator | None = None
) -> list[NDArray[np.int64]]:
    """Cut materials of like length into batches of at most `batch_tokens`, padding included; shuffled, given an rng."""
    jitter = np.zeros(len(lengths)) if rng is None else rng.random(len(lengths))
    order = np.argsort(-lengths - jitter, kind="stable")
    batches, start = [], 0
    while start < len(order):
        n = max(1, batch_tokens // int(lengths[order[start]]))
        batches.append(order[start : start + n])
        start += n
    return batches if rng is None else [batches[idx] for idx in rng.permutation(len(batches))]


def has_motifs(sets: MaterialSets) -> NDArray[np.bool_]:
    """Tell which materials have motifs."""
    material = np.repeat(np.arange(len(sets)), np.diff(sets.token_starts))
    return np.bincount(material[sets.kinds == MOTIF], minlength=len(sets)) > 0


def with_unknown_motifs(sets: MaterialSets, bare: NDArray[np.bool_], element: str | None) -> MaterialSets:
    """Give materials without motifs one for each cation, which are species of positive oxidation states.

    Where there is none, each element but the most electronegative (Pauling) has one, and so has the element named.
    """
    index = Index(sets)
    species = np.flatnonzero((sets.kinds == SPECIES) & bare[index.material])
    cations = species[[(charge_of(word) or 0) > 0 for word in index.oxidation[species].tolist()]]
    has_cations = np.bincount(index.material[cations], minlength=len(sets)) > 0
    others = index.elements[(bare & ~has_cations)[index.material[index.elements]]]
    asked = np.ones(len(others), dtype=np.bool_)
    last = _most_electronegative(index.material[others], index.element[others])
    asked[last] = index.n_by_kind[index.material[others[last]], _ELEMENTS] == 1
    if element is not None:
        asked |= index.element[others] == WORDS.id(element)
    tokens = np.sort(np.concatenate([cations, others[asked]]))
    material, symbols = index.material[tokens], index.element[tokens]
    states = np.where(sets.kinds[tokens] == SPECIES, index.oxidation[tokens], NO_OXIDATION)
    n_new, n_tokens = len(tokens), len(sets.kinds)
    owner = np.repeat(np.arange(n_tokens + n_new), np.append(np.diff(sets.word_starts), np.full(n_new, 4)))
    of_token = np.append(index.material, material)
    order, word_order, token_starts, word_starts = _in_order(of_token, owner, len(sets))
    words = _motif_words(symbols, states, GEOMETRY_WORDS[0])  # any geometry: it will be hidden
    numbers = (np.arange(n_new) - np.searchsorted(material, material)).astype(np.int16)
    return replace(
        sets,
        token_starts=token_starts,
        kinds=np.append(sets.kinds, np.full(n_new, MOTIF, dtype=np.int8))[order],
        amounts=np.append(sets.amounts, sets.amounts[tokens])[order],
        csms=np.append(sets.csms, np.full(n_new, np.nan, dtype=np.float32))[order],
        word_starts=word_starts,
        words=np.append(sets.words, words)[word_order],
        weights=np.append(sets.weights, np.ones(4 * n_new, dtype=np.float32))[word_order],
        groups=np.append(sets.groups, np.where(np.arange(4 * n_new) % 4, np.repeat(numbers, 4), -1))[word_order],
    )


def anions_of(index: Index) -> NDArray[np.int64]:
    """Name the most electronegative element (Pauling) of each material; none of a material of one element."""
    material, symbols = index.material[index.elements], index.element[index.elements]
    last = _most_electronegative(material, symbols)
    anions = np.full(len(index.n_by_kind), _NONE)
    anions[material[last]] = np.where(index.n_by_kind[material[last], _ELEMENTS] > 1, symbols[last], _NONE)
    return anions


def _most_electronegative(material: NDArray[np.int64], symbols: NDArray[np.int64]) -> NDArray[np.int64]:
    ranked = np.lexsort((symbols, _ELECTRONEGATIVITIES[symbols], material))
    return np.asarray(ranked[np.diff(material[ranked], append=-1) != 0])


def nothing_hidden(n_materials: int) -> Wanted:
    """Ask for nothing, and tell everything."""
    none, yes = np.full(n_materials, _NONE), np.ones(n_materials, dtype=np.bool_)
    return Wanted(
        rows=np.arange(n_materials),
        objective=np.full(n_materials, _ELEMENT),
        group=none,
        element=none,
        hides_oxidation=~yes,
        symmetry=yes,
        structure=yes,
    )
