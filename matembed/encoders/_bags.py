"""Bags of words: which token each spells, as `matembed.tokens` writes it, and how many materials hold it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.ragged import members, starts
from matembed.corpus.set_words import TOKEN_KINDS, WORD_PARTS, WORDS
from matembed.tokens import element_token, motif_token, parse_token, species_token

__all__ = ["HASHES", "NO_OXIDATION", "Bag", "bag_hashes", "bag_of", "charge_of", "count_materials", "tokens_of"]

Bag = tuple[NDArray[np.int32], NDArray[np.float32]]
NO_OXIDATION = WORDS.id("ox?")
HASHES = np.random.default_rng(0).integers(1 << 63, size=len(WORDS.words), dtype=np.uint64)


def tokens_of(sets: MaterialSets, kind: str) -> tuple[NDArray[np.int64], list[str], dict[str, Bag]]:
    """Name the tokens of a kind: their places, the text of each, and the words and weights of each text."""
    tokens = np.flatnonzero(sets.kinds == TOKEN_KINDS.index(kind))
    word_idx, owner = members(sets.word_starts, tokens)
    hashes = bag_hashes(sets.words[word_idx], sets.weights[word_idx], owner)
    _, first, same = np.unique(hashes, return_index=True, return_inverse=True)
    spans = [slice(sets.word_starts[token], sets.word_starts[token + 1]) for token in tokens[first]]
    bags = [(sets.words[span], sets.weights[span]) for span in spans]
    texts = [_text(ids, weights, kind) for ids, weights in bags]
    return tokens, [texts[idx] for idx in same], dict(zip(texts, bags, strict=True))


def _text(ids: NDArray[np.int32], weights: NDArray[np.float32], kind: str) -> str:
    """Write a token, from its words, as `matembed.tokens` does."""
    words: dict[str, list[str]] = {part: [] for part in WORD_PARTS}
    shares = {}
    for idx, weight in zip(ids.tolist(), weights.tolist(), strict=True):
        words[WORD_PARTS[WORDS.part[idx]]].append(WORDS.words[idx])
        shares[WORDS.words[idx]] = weight
    (element,) = words["element"]
    if kind == "element":
        return element_token(element)
    charge = charge_of(WORDS.id(words["oxidation"][0]))
    if kind == "species":
        return species_token(element, charge or 0)
    (geometry,) = words["geometry"]
    cn = int(geometry.rpartition(":")[2])
    ligands = {word.removeprefix("ligand "): round(shares[word] * cn) for word in words["ligand"]}
    return motif_token(element, ligands, geometry, charge)


def bag_of(token: str, kind: str) -> Bag:
    """List the words of an element or a species, and their weights; the inverse of `_text`."""
    parsed = parse_token(token)
    words = [f"<{kind}>", str(parsed.element)]
    words += [] if parsed.oxidation is None else [f"ox{int(parsed.oxidation):+d}"]
    return np.array([WORDS.id(word) for word in words], dtype=np.int32), np.ones(len(words), dtype=np.float32)


def count_materials(sets: MaterialSets, tokens: NDArray[np.int64], texts: Sequence[str]) -> dict[str, int]:
    """Count the materials that hold each token."""
    names = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    material = np.searchsorted(sets.token_starts, tokens, side="right") - 1
    rows = np.array([names[text] for text in texts], dtype=np.int64)
    width = len(names) + 1
    counts = np.bincount(np.unique(material * width + rows) % width, minlength=width)
    return {name: int(counts[row]) for name, row in names.items()}


def bag_hashes(words: NDArray[np.int32], weights: NDArray[np.float32], owner: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash the words and weights of each token, in any order; sums of 64-bit numbers wrap around."""
    if not len(words):
        return np.zeros(0, dtype=np.uint64)
    each = HASHES[words] * np.rint(weights * 1000).astype(np.uint64)
    return np.add.reduceat(each, starts(np.bincount(owner))[:-1])


def charge_of(word: int) -> int | None:
    """Read an oxidation word: ``ox+4`` is 4, ``ox?`` None."""
    return None if word == NO_OXIDATION else int(WORDS.words[word].removeprefix("ox"))
