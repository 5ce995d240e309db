"""PPMI: what it counts, and that the vectors are those of the matrix in the definition."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest

from matembed.encoders import PPMI, ppmi
from matembed.tokens import environment_token

FORMULAS = {
    "NaCl": {"Na": 1, "Cl": 1},
    "KCl": {"K": 1, "Cl": 1},
    "NaBr": {"Na": 1, "Br": 1},
    "KBr": {"K": 1, "Br": 1},
    "MgO": {"Mg": 1, "O": 1},
    "CaO": {"Ca": 1, "O": 1},
    "TiO2": {"Ti": 1, "O": 2},
    "SiO2": {"Si": 1, "O": 2},
}
ENVIRONMENTS = [
    [element, environment_token(amount, {other: n for other, n in formula.items() if other != element})]
    for formula in FORMULAS.values()
    for element, amount in formula.items()
]


def random_sentences(n_sentences=400, n_words=60, *, seed=0):
    rng = random.Random(seed)
    words = [f"w{idx:02}" for idx in range(n_words)]
    weights = [1 / (1 + idx) for idx in range(n_words)]
    return [rng.choices(words, weights, k=rng.randint(1, 9)) for _ in range(n_sentences)]


def definition(sentences, tokens, *, window=math.inf, smoothing=1.0, shift=0.0):
    """The matrix by double loops: rows of unit length, columns all tokens."""
    pairs = Counter(
        (sentence[i], sentence[j])
        for sentence in sentences
        for i, j in itertools.permutations(range(len(sentence)), 2)
        if abs(i - j) <= window and sentence[i] in tokens
    )
    row_sums, context_sums = Counter(), Counter()
    for (token, context), count in pairs.items():
        row_sums[token] += count
        context_sums[context] += count
    chance = {context: count**smoothing for context, count in context_sums.items()}
    total = sum(chance.values())
    contexts = sorted(chance)
    matrix = np.zeros((len(tokens), len(contexts)))
    for (token, context), count in pairs.items():
        information = math.log(count / row_sums[token] / (chance[context] / total)) - shift
        matrix[tokens.index(token), contexts.index(context)] = max(0, information)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"window": 1},
        {"window": 3},
        {"smoothing": 0.75},
        {"shift": 0.3},
        {"window": 2, "smoothing": 0.5, "shift": 0.1},
    ],
    ids=str,
)
def test_vectors_are_those_of_the_definition(settings):
    sentences = random_sentences()
    table = PPMI(**{"dim": 60, "smoothing": 1.0, "power": 1.0} | settings).fit(sentences).embeddings()
    matrix = definition(sentences, list(table.tokens), **settings)
    vectors = table.vectors.astype(float)
    # all dimensions kept: inner products are those of the rows, to float32
    assert np.allclose(vectors @ vectors.T, matrix @ matrix.T, atol=1e-6)


def test_few_dimensions_are_the_best_few():
    sentences = random_sentences()
    encoder = PPMI(dim=5, smoothing=1.0, power=1.0).fit(sentences)
    matrix = definition(sentences, list(encoder.vocabulary_.tokens))
    left, values, _ = np.linalg.svd(matrix)
    assert np.allclose(encoder.singular_values_, values[:5])
    best = left[:, :5] * values[:5]
    assert np.allclose(encoder.vectors_ @ encoder.vectors_.T, best @ best.T, atol=1e-6)  # float32


def test_power_scales_the_columns():
    sentences = random_sentences()
    flat = PPMI(dim=6, power=0).fit(sentences)
    assert np.allclose(flat.vectors_.T @ flat.vectors_, np.eye(6), atol=1e-6)  # float32
    for power in (0.5, 1, 2):
        scaled = PPMI(dim=6, power=power).fit(sentences)
        assert np.allclose(scaled.vectors_, flat.vectors_ * flat.singular_values_**power, atol=1e-6)  # float32


def test_largest_entry_of_each_column_is_positive():
    vectors = PPMI(dim=20).fit(random_sentences()).vectors_
    assert (vectors[np.abs(vectors).argmax(axis=0), range(20)] > 0).all()


def test_singular_values_fall():
    values = PPMI(dim=20).fit(random_sentences()).singular_values_
    assert (np.diff(values) <= 0).all()


def test_order_of_sentences_does_not_matter():
    sentences = random_sentences()
    first = PPMI(dim=10).fit(sentences).vectors_
    random.Random(1).shuffle(sentences)
    assert PPMI(dim=10).fit(sentences).vectors_.tobytes() == first.tobytes()


def test_order_within_a_sentence_matters_only_with_a_window():
    sentences = random_sentences()
    turned = [sorted(sentence) for sentence in sentences]
    assert PPMI().fit(sentences).vectors_.tobytes() == PPMI().fit(turned).vectors_.tobytes()
    assert PPMI(window=1).fit(sentences).vectors_.tobytes() != PPMI(window=1).fit(turned).vectors_.tobytes()


def test_whole_sentence_is_a_window_as_long_as_the_longest():
    sentences = random_sentences()
    whole = PPMI(dim=10).fit(sentences).vectors_
    assert PPMI(dim=10, window=8).fit(sentences).vectors_.tobytes() == whole.tobytes()
    assert PPMI(dim=10, window=10**6).fit(sentences).vectors_.tobytes() == whole.tobytes()
    assert PPMI(dim=10, window=2).fit(sentences).vectors_.tobytes() != whole.tobytes()


@pytest.mark.parametrize("window", [None, 2])
def test_counting_in_pieces_changes_nothing(window, monkeypatch):
    sentences = random_sentences()
    whole = PPMI(window=window).fit(sentences).vectors_
    monkeypatch.setattr(ppmi, "_CHUNK", 7)
    assert PPMI(window=window).fit(sentences).vectors_.tobytes() == whole.tobytes()


def test_sparse_and_dense_factorizations_agree(monkeypatch):
    sentences = random_sentences(2000, 90)
    dense = PPMI(dim=10).fit(sentences)
    monkeypatch.setattr(ppmi, "_DENSE", 30)
    sparse = PPMI(dim=10).fit(sentences)
    assert np.allclose(sparse.singular_values_, dense.singular_values_)
    assert np.allclose(sparse.vectors_, dense.vectors_, atol=1e-6)  # float32
    assert PPMI(dim=10).fit(sentences).vectors_.tobytes() == sparse.vectors_.tobytes()


def test_tall_and_wide_matrices_agree():
    # few contexts for many rows, and the other way round, hold the same information
    sentences = [[f"({1 + idx})O{2 + idx % 3}", element] for idx, element in enumerate("HBCNOFSPK" * 4)]
    tall = PPMI(dim=5, rows="environment", smoothing=1.0).fit(sentences)
    matrix = definition(sentences, list(tall.vocabulary_.tokens))
    assert matrix.shape[0] > matrix.shape[1]
    assert np.allclose(tall.singular_values_, np.linalg.svd(matrix, compute_uv=False)[: len(tall.singular_values_)])


def test_environments_give_the_matrix_of_atom2vec():
    table = PPMI(dim=20).fit(ENVIRONMENTS).embeddings()
    assert set(table.kinds) == {"element"}
    # same environments, same vector; no environment in common, nothing in common
    for twins in (("Na", "K"), ("Mg", "Ca"), ("Ti", "Si"), ("Cl", "Br")):
        assert table.similarity(*twins) == pytest.approx(1, abs=1e-6)
    assert table.similarity("Na", "Ti") == pytest.approx(0, abs=1e-6)
    # Four pairs of twins and oxygen: five different rows
    assert table.dim == 5


def test_asking_for_more_dimensions_than_there_are_gives_what_there_is():
    encoder = PPMI(dim=64).fit([["Li", "Cl"], ["Na", "Cl"], ["Ti", "O"]])
    table = encoder.embeddings()
    assert table.dim == len(encoder.singular_values_) == 4
    assert "4 dimensions" in table.card.what
    assert table.card.settings["dim"] == 64
    assert np.linalg.matrix_rank(table.vectors) == 4


def test_repeats_count():
    # amounts matter: in the second corpus oxygen is beside itself
    assert PPMI().fit([["Ti", "O"], ["Si", "O"]]).vectors_.shape == (3, 2)
    counts = PPMI(smoothing=1.0).fit([["Ti", "O", "O"], ["Si", "O"]])
    matrix = definition([["Ti", "O", "O"], ["Si", "O"]], list(counts.vocabulary_.tokens))
    assert np.allclose(counts.vectors_ @ counts.vectors_.T, matrix @ matrix.T, atol=1e-6)  # float32


def test_a_shift_too_large_is_refused():
    with pytest.raises(ValueError, match="shift=50"):
        PPMI(shift=50).fit(random_sentences())


@pytest.mark.parametrize(
    "setting", [{"power": -1}, {"power": math.nan}, {"smoothing": 0}, {"shift": -0.1}, {"shift": math.inf}], ids=str
)
def test_settings_of_its_own_are_checked(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"^{name} must be a finite number"):
        PPMI(**setting).fit(ENVIRONMENTS)
