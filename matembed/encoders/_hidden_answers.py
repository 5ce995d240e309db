"""What a network tells of geometries that are hidden from it, by itself and by known materials that it remembers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.corpus.formulas import amounts_of
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_words import WORDS
from matembed.encoders._bags import NO_OXIDATION, charge_of
from matembed.encoders._masking import (
    GEOMETRY_WORDS,
    MOTIF,
    SPECIES,
    STATE_WORDS,
    Given,
    Index,
    Question,
    anions_of,
    asking,
    has_motifs,
    with_unknown_motifs,
)
from matembed.encoders._memory import Memory
from matembed.encoders._states import read_states
from matembed.motifs.valences import may_balance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answers", "Told", "answer_hidden"]


class Told(NamedTuple):
    """What is told of a material beside its formula, when its geometries are asked for."""

    given: Given
    oxidation: str
    symmetry: bool

    @classmethod
    def of(cls, given: Given, oxidation: str, symmetry: bool) -> "Told":
        """Tell no symmetry with a formula."""
        return cls(given, oxidation, symmetry and given != "formula")


class Answers(NamedTuple):
    """Hidden groups of materials: their names, probabilities of geometries, states, and true shares of geometries."""

    rows: "pd.DataFrame"
    true_rows: "pd.DataFrame"  # the same, with the oxidation states that are known and none that is guessed
    hides_oxidation: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    states: NDArray[np.float32]
    shares: NDArray[np.float32]


def answer_hidden(
    network: Any,
    sets: MaterialSets,
    told: Told,
    memories: Mapping[Told, Memory],
    *,
    batch_tokens: int,
    element: str | None = None,
) -> Answers:
    """Ask for every group with motifs, or for those of an element, and average with the memories of such questions."""
    import pandas as pd

    bare = ~has_motifs(sets)
    if bare.any() and told.given != "formula":
        name = sets.formulas[int(bare.argmax())]
        msg = f"{name} has no motifs, so given={told.given!r} says no more than its formula; pass given='formula'"
        raise ValueError(msg)
    if bare.any():
        sets = with_unknown_motifs(sets, bare, element)
    index = Index(sets)
    if element is not None and WORDS.id(element) not in index.element[sets.kinds == MOTIF]:
        what = "cation" if bare.any() else "motif"
        msg = f"no {what} of {element} in {', '.join(sets.formulas)!r:.60}; choose another element or material"
        raise ValueError(msg)
    without_species = index.n_by_kind[:, SPECIES] == 0
    hides_states = (bare & without_species) | (told.oxidation == "hidden")
    names_states = hides_states & (told.given == "formula")
    stateless = without_species & names_states
    stateless[stateless] = [not may_balance(amounts_of(sets.formulas[row])) for row in np.flatnonzero(stateless)]
    anions = np.where(bare, anions_of(index), -1)
    if element is not None and (without_species & ~stateless & (anions == WORDS.id(element))).any():
        msg = (
            f"{element} is the anion of {', '.join(sets.formulas)!r:.60}, and geometries are of cations; choose another"
        )
        raise ValueError(msg)
    wanted = asking(index, told.given, hidden=hides_states, symmetry=told.symmetry)
    found = []
    for asked, question, states, logits in read_states(network, index, wanted, batch_tokens=batch_tokens):
        group_rows, hides, n_groups = question.group_rows, question.hides_oxidation, len(question.group_rows)
        material = wanted.rows[asked[group_rows]]
        true_states = _true_states(question)
        oxidations, named = true_states.copy(), names_states[material]
        oxidations[named] = STATE_WORDS[logits[n_groups:, STATE_WORDS].argmax(axis=1)[named[hides]]]
        oxidations[stateless[material] | (named & (question.group_elements == anions[material]))] = NO_OXIDATION
        probabilities = _softmax(logits[:n_groups, GEOMETRY_WORDS])
        at = states[group_rows, 1 + question.ask[:n_groups] - question.token_starts[group_rows]]
        for known, memory in memories.items():
            mine = hides == (known.oxidation == "hidden")
            if told._replace(oxidation=known.oxidation) == known and mine.any():
                probabilities[mine] = memory.mixed(at[mine], probabilities[mine])
        names = question.group_elements, oxidations, true_states, hides
        found.append((material, *names, probabilities, at, question.targets[0]))
    material, elements, oxidations, true_states, hides, probabilities, at, shares = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )
    order = np.lexsort((oxidations, elements, material))
    if element is not None:
        order = order[elements[order] == WORDS.id(element)]
    rows = pd.DataFrame(
        {
            "material": [sets.ids[idx] for idx in material[order]],
            "element": [WORDS.words[word] for word in elements[order]],
            "oxidation": _charges(oxidations[order]),
        }
    )
    true_rows = rows.assign(oxidation=_charges(true_states[order]))
    return Answers(rows, true_rows, hides[order], probabilities[order], at[order], shares[order])


def _true_states(question: Question) -> NDArray[np.int64]:
    """Name the oxidation words of groups, hidden or not; the commonest of a group, ``ox?`` where none is known."""
    states, shares = question.group_oxidations.copy(), question.targets[1]
    known = shares.any(axis=1)
    states[question.hides_oxidation] = np.where(known, STATE_WORDS[shares.argmax(axis=1)], NO_OXIDATION)
    return states


def _charges(words: NDArray[np.int64]) -> Any:
    """Read oxidation words as whole numbers, NA where a state is not known."""
    import pandas as pd

    return pd.array([charge_of(word) for word in words], dtype="Int64")


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
