"""What is hidden of a crystal stays hidden: whatever it was, the network reads the same."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from matembed.corpus._set_tokens import state_codes
from matembed.corpus.set_building import graph_sets
from matembed.corpus.set_words import GEOMETRIES, STATES, WORDS
from matembed.encoders._masking import Index, asking, hide, nothing_hidden
from matembed.motifs import Crystal, Ligand, Motif, MotifGraph, find_motif_arrays
from matembed.motifs.connectivity import connect
from matembed.sources.prototypes import read_prototypes


def by_hand(formula, elements, states, shells):
    """A crystal of the motifs named: of each centre, its geometry and its ligands, all in the cell."""
    motifs = tuple(
        Motif(
            site,
            elements[site],
            states[site],
            geometry,
            1.0,
            tuple(Ligand(ligand, (0, 0, 0)) for ligand in ligands),
            tuple(elements[ligand] for ligand in ligands),
        )
        for site, (geometry, ligands) in shells.items()
    )
    return MotifGraph(formula, tuple(elements), motifs, connect(motifs), "numpy", "bonds", "given"), states


HAND_MADE = [
    by_hand(  # a superoxide, half of it far from any cation
        "Ca(MgO3)2",
        ["Ca", "Mg", "Mg", *["O"] * 6],
        [2, 2, 2, *[-1] * 6],
        {0: ("T:4", [3, 4, 5, 6]), 1: ("TL:3", [3, 4, 5]), 2: ("T:4", [3, 5, 6, 7])},
    ),
    by_hand(  # with a molecule of water, and an oxygen and a chlorine that no motif holds
        "NaTiH2ClO4",
        ["Na", "Ti", "H", "H", "Cl", *["O"] * 4],
        [1, 4, 1, 1, -1, *[-2] * 4],
        {0: ("L:2", [5, 6]), 1: ("L:2", [5, 7]), 2: ("S:1", [8]), 3: ("S:1", [8])},
    ),
    by_hand(  # two oxidation states of an element, oxygen held by either, both or neither
        "Fe4O7",
        ["Fe"] * 4 + ["O"] * 7,
        [2, 2, 3, 3, *[-2] * 7],
        {0: ("L:2", [4, 5]), 1: ("TL:3", [4, 5, 6]), 2: ("T:4", [6, 7, 8, 9]), 3: ("L:2", [8, 9])},
    ),
]


def prototypes():
    """Motif graphs and oxidation states of small prototypes of which no centre is a ligand."""
    for row in read_prototypes():
        crystal = Crystal.from_structure(row.to_structure())
        if len(crystal.numbers) > 30 or len(set(crystal.symbols)) < 3:
            continue
        arrays = find_motif_arrays(crystal, strategy="multi_weights")
        graph = arrays.to_graph(engine="numba", strategy="multi_weights")
        centres = {motif.site for motif in graph.motifs}
        held = {site for motif in graph.motifs for site, _ in motif.ligands}
        if arrays.oxidations is not None and centres and not centres & held:
            yield graph, arrays.oxidations.tolist()


@pytest.fixture(scope="module")
def crystals():
    return [*islice(prototypes(), 25), *HAND_MADE]


def state_of(motif):
    return STATES[state_codes(np.array([motif.oxidation]))[0]]


def another(motif, n_ligands, csm):
    """The motif with its first ligands alone, and another geometry than it had."""
    cn = min(n_ligands, motif.cn)
    geometry = next(one for one in GEOMETRIES if one.endswith(f":{cn}") and one != motif.geometry)
    first = {"ligands": motif.ligands[:cn], "ligand_elements": motif.ligand_elements[:cn]}
    return replace(motif, geometry=geometry, csm=csm, mixture=(), **first)


def with_others(graph, group, most):
    """The crystal with other motifs of a group; of most ligands, and with the connections that these make."""
    motifs = tuple(
        another(motif, most[row % len(most)], 3.0 * (row % 5)) if (motif.element, state_of(motif)) == group else motif
        for row, motif in enumerate(graph.motifs)
    )
    return replace(graph, motifs=motifs, connections=connect(motifs))


def read(graph, states, given, group, hides_oxidation):
    """What the network reads when asked for a group: words of each token, and numbers, in an order of their own."""
    index = Index(graph_sets([graph], oxidations=[states]))
    question = hide(index, asking(index, given, hidden=np.array([hides_oxidation]), symmetry=True))
    element, state = WORDS.id(group[0]), WORDS.id(f"ox{group[1]:+d}")
    asked = (question.group_elements == element) & (question.group_oxidations == state)
    row = 0 if given == "formula" else question.group_rows[asked].item()  # formulas are asked for all groups at once
    tokens = []
    for token in range(question.token_starts[row], question.token_starts[row + 1]):
        span = slice(question.word_starts[token], question.word_starts[token + 1])
        bag = sorted(zip(question.words[span].tolist(), question.weights[span].tolist(), strict=True))
        numbers = [question.amounts[token], question.csms[token], *question.counts[token]]
        tokens.append(([word for word, _ in bag], [weight for _, weight in bag], [float(one) for one in numbers]))
    tokens.sort(key=repr)
    return [words for words, *_ in tokens], [each for _, *parts in tokens for part in parts for each in part]


@pytest.mark.parametrize("hides_oxidation", [False, True])
@pytest.mark.parametrize(
    "given, most",
    [("formula", (1, 2)), ("others", (1,)), ("others", (2, 1)), ("others", (20,)), ("links", (20,))],
)
def test_nothing_is_read_of_the_motifs_that_are_asked_for(crystals, given, most, hides_oxidation):
    """Connections, of links, tell what ligands are shared, so these stay; all else may change."""
    for graph, states in crystals:
        for group in sorted({(motif.element, state_of(motif)) for motif in graph.motifs}):
            changed = with_others(graph, group, most)
            assert changed.motifs != graph.motifs
            words, numbers = read(graph, states, given, group, hides_oxidation)
            other_words, other_numbers = read(changed, states, given, group, hides_oxidation)
            assert other_words == words, (graph.formula, group)
            np.testing.assert_allclose(other_numbers, numbers, rtol=1e-5, err_msg=f"{graph.formula} {group}")


@pytest.mark.parametrize("hides_oxidation", [False, True])
@pytest.mark.parametrize("given", ["formula", "others"])
def test_how_many_sites_have_a_motif_is_not_read(crystals, given, hides_oxidation):
    n_tried = 0
    for graph, states in crystals:
        for group in sorted({(motif.element, state_of(motif)) for motif in graph.motifs}):
            mine = [row for row, motif in enumerate(graph.motifs) if (motif.element, state_of(motif)) == group]
            if len(mine) > 1:
                motifs = tuple(motif for row, motif in enumerate(graph.motifs) if row != mine[-1])
                fewer = replace(graph, motifs=motifs, connections=connect(motifs))
                words, numbers = read(graph, states, given, group, hides_oxidation)
                others, same_numbers = read(fewer, states, given, group, hides_oxidation)
                assert words == others
                np.testing.assert_allclose(numbers, same_numbers, atol=1e-6)
                n_tried += 1
    assert n_tried > 10


def test_where_nothing_is_hidden_all_tokens_stay():
    """Ligands may read alike and yet be two tokens, since each is held by other motifs."""
    graph, states = by_hand(
        "Fe2Ti2O10",
        ["Fe", "Fe", "Ti", "Ti", *["O"] * 10],
        [3, 3, 4, 4, *[-2] * 10],
        {
            0: ("T:4", [4, 5, 6, 7]),
            2: ("O:6", [4, 5, 6, 7, 8, 9]),
            1: ("O:6", [8, 9, 10, 11, 12, 13]),
            3: ("T:4", [10, 11, 12, 13]),
        },
    )
    sets = graph_sets([graph], oxidations=[states])
    question = hide(Index(sets), nothing_hidden(1))
    assert np.array_equal(question.word_starts, sets.word_starts)
    assert np.array_equal(np.sort(question.amounts), np.sort(sets.amounts))
    bags = [tuple(sorted(words.tolist())) for words in np.split(sets.words, sets.word_starts[1:-1])]
    assert len(set(bags)) < len(bags)
