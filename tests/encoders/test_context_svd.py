"""ContextSVD: what it counts, and that the vectors are those of the matrix in the definition."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy import sparse

from matembed.cards import Card
from matembed.corpus.context_counts import ContextCounts
from matembed.embeddings import EmbeddingTable
from matembed.encoders import ContextSVD, context_svd
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
    table = ContextSVD(**{"dim": 60, "smoothing": 1.0, "power": 1.0} | settings).fit(sentences).embeddings()
    matrix = definition(sentences, list(table.tokens), **settings)
    vectors = table.vectors.astype(float)
    # all dimensions kept: inner products are those of the rows, to float32
    assert np.allclose(vectors @ vectors.T, matrix @ matrix.T, atol=1e-6)


def test_few_dimensions_are_the_best_few():
    sentences = random_sentences()
    encoder = ContextSVD(dim=5, smoothing=1.0, power=1.0).fit(sentences)
    matrix = definition(sentences, list(encoder.vocabulary_.tokens))
    left, values, _ = np.linalg.svd(matrix)
    assert np.allclose(encoder.singular_values_, values[:5])
    best = left[:, :5] * values[:5]
    assert np.allclose(encoder.vectors_ @ encoder.vectors_.T, best @ best.T, atol=1e-6)  # float32


def test_power_scales_the_columns():
    sentences = random_sentences()
    flat = ContextSVD(dim=6, power=0).fit(sentences)
    assert np.allclose(flat.vectors_.T @ flat.vectors_, np.eye(6), atol=1e-6)  # float32
    for power in (0.5, 1, 2):
        scaled = ContextSVD(dim=6, power=power).fit(sentences)
        assert np.allclose(scaled.vectors_, flat.vectors_ * flat.singular_values_**power, atol=1e-6)  # float32


def test_largest_entry_of_each_column_is_positive():
    vectors = ContextSVD(dim=20).fit(random_sentences()).vectors_
    assert (vectors[np.abs(vectors).argmax(axis=0), range(20)] > 0).all()


def test_singular_values_fall():
    values = ContextSVD(dim=20).fit(random_sentences()).singular_values_
    assert (np.diff(values) <= 0).all()


def test_order_of_sentences_does_not_matter():
    sentences = random_sentences()
    first = ContextSVD(dim=10).fit(sentences).vectors_
    random.Random(1).shuffle(sentences)
    assert ContextSVD(dim=10).fit(sentences).vectors_.tobytes() == first.tobytes()


def test_order_within_a_sentence_matters_only_with_a_window():
    sentences = random_sentences()
    turned = [sorted(sentence) for sentence in sentences]
    assert ContextSVD().fit(sentences).vectors_.tobytes() == ContextSVD().fit(turned).vectors_.tobytes()
    assert ContextSVD(window=1).fit(sentences).vectors_.tobytes() != ContextSVD(window=1).fit(turned).vectors_.tobytes()


def test_whole_sentence_is_a_window_as_long_as_the_longest():
    sentences = random_sentences()
    whole = ContextSVD(dim=10).fit(sentences).vectors_
    assert ContextSVD(dim=10, window=8).fit(sentences).vectors_.tobytes() == whole.tobytes()
    assert ContextSVD(dim=10, window=10**6).fit(sentences).vectors_.tobytes() == whole.tobytes()
    assert ContextSVD(dim=10, window=2).fit(sentences).vectors_.tobytes() != whole.tobytes()


@pytest.mark.parametrize("window", [None, 2])
def test_counting_in_pieces_changes_nothing(window, monkeypatch):
    sentences = random_sentences()
    whole = ContextSVD(window=window).fit(sentences).vectors_
    monkeypatch.setattr(context_svd, "_CHUNK", 7)
    assert ContextSVD(window=window).fit(sentences).vectors_.tobytes() == whole.tobytes()


def test_sparse_and_dense_factorizations_agree(monkeypatch):
    sentences = random_sentences(2000, 90)
    dense = ContextSVD(dim=10).fit(sentences)
    monkeypatch.setattr(context_svd, "_DENSE", 30)
    sparse = ContextSVD(dim=10).fit(sentences)
    assert np.allclose(sparse.singular_values_, dense.singular_values_)
    assert np.allclose(sparse.vectors_, dense.vectors_, atol=1e-6)  # float32
    assert ContextSVD(dim=10).fit(sentences).vectors_.tobytes() == sparse.vectors_.tobytes()


def test_tall_and_wide_matrices_agree():
    # few contexts for many rows, and the other way round, hold the same information
    sentences = [[f"({1 + idx})O{2 + idx % 3}", element] for idx, element in enumerate("HBCNOFSPK" * 4)]
    tall = ContextSVD(dim=5, rows="environment", smoothing=1.0).fit(sentences)
    matrix = definition(sentences, list(tall.vocabulary_.tokens))
    assert matrix.shape[0] > matrix.shape[1]
    assert np.allclose(tall.singular_values_, np.linalg.svd(matrix, compute_uv=False)[: len(tall.singular_values_)])


def test_environments_give_the_matrix_of_atom2vec():
    table = ContextSVD(dim=20).fit(ENVIRONMENTS).embeddings()
    assert set(table.kinds) == {"element"}
    # same environments, same vector; no environment in common, nothing in common
    for twins in (("Na", "K"), ("Mg", "Ca"), ("Ti", "Si"), ("Cl", "Br")):
        assert table.similarity(*twins) == pytest.approx(1, abs=1e-6)
    assert table.similarity("Na", "Ti") == pytest.approx(0, abs=1e-6)
    # Four pairs of twins and oxygen: five different rows
    assert table.dim == 5


def test_asking_for_more_dimensions_than_there_are_gives_what_there_is():
    encoder = ContextSVD(dim=64).fit([["Li", "Cl"], ["Na", "Cl"], ["Ti", "O"]])
    table = encoder.embeddings()
    assert table.dim == len(encoder.singular_values_) == 4
    assert "4 dimensions" in table.card.what
    assert table.card.settings["dim"] == 64
    assert np.linalg.matrix_rank(table.vectors) == 4


def test_repeats_count():
    # amounts matter: in the second corpus oxygen is beside itself
    assert ContextSVD().fit([["Ti", "O"], ["Si", "O"]]).vectors_.shape == (3, 2)
    counts = ContextSVD(smoothing=1.0).fit([["Ti", "O", "O"], ["Si", "O"]])
    matrix = definition([["Ti", "O", "O"], ["Si", "O"]], list(counts.vocabulary_.tokens))
    assert np.allclose(counts.vectors_ @ counts.vectors_.T, matrix @ matrix.T, atol=1e-6)  # float32


def test_a_shift_too_large_is_refused():
    with pytest.raises(ValueError, match="shift=50"):
        ContextSVD(shift=50).fit(random_sentences())


@pytest.mark.parametrize(
    "setting", [{"power": -1}, {"power": math.nan}, {"smoothing": 0}, {"shift": -0.1}, {"shift": math.inf}], ids=str
)
def test_settings_of_its_own_are_checked(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"^{name} must be a finite number"):
        ContextSVD(**setting).fit(ENVIRONMENTS)


# Counts, and several views of them ------------------------------------------------------------------------------------


def random_counts(view="a", n_tokens=12, n_contexts=30, *, first=0, seed=0, density=0.3):
    """Weights of tokens w<first>... in contexts; every token and every context has some."""
    rng = np.random.default_rng(seed)
    weights = rng.gamma(2.0, 2.0, (n_tokens, n_contexts)) * (rng.random((n_tokens, n_contexts)) < density)
    weights[np.arange(n_tokens), np.arange(n_tokens) % n_contexts] += 1
    weights[np.arange(n_contexts) % n_tokens, np.arange(n_contexts)] += 1
    tokens = tuple(f"w{idx:03}" for idx in range(first, first + n_tokens))
    contexts = tuple(f"{view}{idx:03}" for idx in range(n_contexts))
    card = Card(f"crystals-{view}", source=f"source {view}", licence=f"licence {view}", citation=(f"paper {view}",))
    return ContextCounts(view, tokens, contexts, sparse.csr_array(weights), card)


def random_vectors(n_tokens=8, dim=5, *, first=0, backed_off=()):
    vectors = np.random.default_rng(9).standard_normal((n_tokens, dim)) + 0.5
    tokens = tuple(f"w{idx:03}" for idx in range(first, first + n_tokens))
    card = Card("vectors", source="source v", licence="licence v", citation=("paper v",))
    return EmbeddingTable(tokens, vectors, card, frozenset(backed_off))


def weighted(counts, weighting="ppmi", *, smoothing=0.75, shift=0.0):
    """The matrix of one view by double loops."""
    n_tokens, n_contexts = counts.shape
    matrix = np.zeros(counts.shape)
    chance = [sum(counts[i, j] for i in range(n_tokens)) ** smoothing for j in range(n_contexts)]
    for i in range(n_tokens):
        total = sum(counts[i, j] for j in range(n_contexts))
        for j in range(n_contexts):
            if counts[i, j] == 0:
                continue
            if weighting == "ppmi":
                matrix[i, j] = max(0, math.log(counts[i, j] / total / (chance[j] / sum(chance))) - shift)
            elif weighting == "hellinger":
                matrix[i, j] = math.sqrt(counts[i, j] / total)
            else:
                matrix[i, j] = counts[i, j]
        length = math.sqrt(sum(matrix[i, j] ** 2 for j in range(n_contexts)))
        matrix[i] /= length or 1
    return matrix


def gram_of(view, tokens, *, weighting="ppmi", weight=1.0, centre=False):
    """Inner products of all tokens in one view: centred and scaled; a token that it lacks is zero."""
    known = [token for token in tokens if token in view.tokens and token not in getattr(view, "backed_off", ())]
    rows = [view.tokens.index(token) for token in known]
    if isinstance(view, EmbeddingTable):
        matrix = view.vectors[rows].astype(float)
    else:
        matrix = weighted(view.counts.toarray()[rows], weighting)
    if centre:
        matrix = matrix - matrix.mean(axis=0)
    matrix = matrix * np.sqrt(weight / (matrix**2).sum(axis=1).mean())
    whole = np.zeros((len(tokens), matrix.shape[1]))
    whole[[tokens.index(token) for token in known]] = matrix
    return whole @ whole.T


def gram(encoder):
    """Inner products of what was learned, rows in alphabetical order of tokens."""
    order = np.argsort(encoder.vocabulary_.tokens)
    vectors = encoder.vectors_[order].astype(float)
    return vectors @ vectors.T


def views_apart():
    """Two views of counts and a table; each token is in some of them."""
    return {
        "a": random_counts("a", 12, 30),
        "b": random_counts("b", 10, 7, first=5, seed=1),
        "v": random_vectors(8, 5, first=3),
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"weighting": "ppmi"},
        {"weighting": "ppmi", "smoothing": 1.0, "shift": 0.2},
        {"weighting": "hellinger"},
        {"weighting": "frequency"},
    ],
    ids=str,
)
def test_counts_become_what_the_definition_says(settings):
    counts = random_counts()
    encoder = ContextSVD(dim=12, **settings).fit(counts)
    matrix = weighted(counts.counts.toarray(), **settings)
    assert np.allclose(gram(encoder), matrix @ matrix.T, atol=1e-6)  # float32
    named = ContextSVD(dim=12, **settings).fit({"a": counts})
    assert named.vectors_.tobytes() == encoder.vectors_.tobytes()


def test_frequency_of_sentences_is_their_counts():
    sentences = [["Na", "(1)Cl"]] * 3 + [["Na", "(1)Br"]] * 4 + [["K", "(1)Cl"]]
    table = ContextSVD(dim=2, weighting="frequency").fit(sentences).embeddings()
    assert table.similarity("Na", "K") == pytest.approx(3 / 5, abs=1e-6)  # (3, 4) and (1, 0)


@pytest.mark.parametrize("centre", [False, True])
def test_views_side_by_side_add_their_inner_products(centre):
    views = views_apart()
    weighting, weights = {"b": "hellinger"}, {"b": 0.5, "v": 2.0}
    encoder = ContextSVD(dim=50, weighting=weighting, weights=weights, centre=centre).fit(views)
    tokens = sorted(encoder.vocabulary_.tokens)
    assert tokens == [f"w{idx:03}" for idx in range(15)]
    wanted = sum(
        gram_of(view, tokens, weighting=weighting.get(name, "ppmi"), weight=weights.get(name, 1), centre=centre)
        for name, view in views.items()
    )
    assert np.allclose(gram(encoder), wanted, atol=1e-5)  # float32, and rank cut at rounding


def test_centred_vectors_sum_to_zero_and_a_view_lacked_says_nothing():
    counts = random_counts()
    stranger = random_counts("b", 1, 4, first=40, seed=2)
    vectors = ContextSVD(dim=40, centre=True).fit(counts).vectors_
    assert np.allclose(vectors.sum(axis=0), 0, atol=1e-5)  # float32
    both = random_counts("b", 6, 4, first=40, seed=2)
    encoder = ContextSVD(dim=40, centre=True, weighting={"b": "hellinger"}).fit({"a": counts, "b": both})
    table = encoder.embeddings()
    known, others = table.vectors[table.row("w000")], table.vectors[[table.row(token) for token in both.tokens]]
    assert np.allclose(others @ known, 0, atol=1e-6)  # no view in common: at right angles
    alone = ContextSVD(dim=40, centre=True).fit({"a": counts, "b": stranger}).embeddings()
    assert not alone.vectors[alone.row("w040")].any()  # the only token of a view is its centre


@pytest.mark.parametrize("seed", range(5))
def test_rounding_is_no_dimension_where_centring_leaves_little(seed):
    rng = np.random.default_rng(seed)
    numbers = sparse.csr_array(1e6 + 3e4 * rng.standard_normal((40, 60)))  # all rows but alike
    names = tuple(f"w{idx:02}" for idx in range(40)), tuple(f"c{idx:02}" for idx in range(60))
    counts = ContextCounts("a", *names, numbers, Card("a"))
    vectors = ContextSVD(weighting="hellinger", centre=True, power=0).fit(counts).vectors_
    assert vectors.shape == (40, 39)  # the mean of the rows is one less


def test_weight_scales_inner_products_and_zero_drops_a_view():
    views = views_apart()
    one, three = (ContextSVD(dim=12, weights={"a": weight}).fit(views["a"]) for weight in (1, 3))
    assert np.allclose(gram(three), 3 * gram(one), atol=1e-5)  # float32
    dropped = ContextSVD(dim=12, weights={"b": 0, "v": 0.0}).fit(views)
    assert dropped.vocabulary_ == one.vocabulary_  # nor do its tokens and counts remain
    assert dropped.vectors_.tobytes() == one.vectors_.tobytes()
    with pytest.raises(ValueError, match="weight of more than 0"):
        ContextSVD(weights=dict.fromkeys(views, 0)).fit(views)


@pytest.mark.parametrize("centre", [False, True])
def test_vectors_that_were_backed_off_are_no_view(centre):
    counts = random_counts()
    some = random_vectors(8, backed_off=("w001", "w004"))
    encoder = ContextSVD(dim=50, centre=centre).fit({"a": counts, "v": some})
    tokens = sorted(encoder.vocabulary_.tokens)
    wanted = gram_of(counts, tokens, centre=centre) + gram_of(some, tokens, centre=centre)
    assert np.allclose(gram(encoder), wanted, atol=1e-5)  # float32
    elsewhere = random_vectors(8, first=50)
    guessed = EmbeddingTable(elsewhere.tokens, elsewhere.vectors, elsewhere.card, frozenset(elsewhere.tokens))
    without = ContextSVD(dim=12, centre=centre).fit({"a": counts, "v": guessed})
    assert without.vocabulary_.tokens == ContextSVD().fit(counts).vocabulary_.tokens
    assert np.allclose(gram(without), gram_of(counts, tokens, centre=centre), atol=1e-5)  # float32


def test_a_table_alone_keeps_its_inner_products():
    table = random_vectors(12, 5)
    encoder = ContextSVD(dim=5).fit(table)
    assert encoder.vocabulary_.counts == (0,) * 12
    assert np.allclose(gram(encoder), gram_of(table, list(table.tokens)), atol=1e-5)  # float32


@pytest.mark.parametrize("centre", [False, True])
def test_order_of_tokens_contexts_and_views_does_not_matter(centre):
    views = views_apart()
    rng = np.random.default_rng(3)
    turned = {}
    for name, view in reversed(views.items()):
        rows = rng.permutation(len(view.tokens))
        tokens = tuple(view.tokens[row] for row in rows)
        if isinstance(view, EmbeddingTable):
            turned[name] = EmbeddingTable(tokens, view.vectors[rows], view.card)
        else:
            columns = rng.permutation(len(view.contexts))
            contexts = tuple(view.contexts[column] for column in columns)
            turned[name] = ContextCounts(name, tokens, contexts, view.counts[rows][:, columns], view.card)
    first, second = (ContextSVD(dim=6, centre=centre).fit(data) for data in (views, turned))
    assert second.vocabulary_ == first.vocabulary_
    assert np.allclose(second.singular_values_, first.singular_values_)
    assert np.allclose(second.vectors_, first.vectors_, atol=1e-5)  # float32


def test_same_views_give_the_same_bytes():
    first, second = (ContextSVD(dim=9, centre=True).fit(views_apart()).vectors_ for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize(("n_tokens", "n_contexts"), [(40, 120), (120, 40)], ids=["wide", "tall"])
def test_sparse_and_dense_factorizations_of_views_agree(monkeypatch, centre, n_tokens, n_contexts):
    views = {
        "a": random_counts("a", n_tokens, n_contexts // 2),
        "b": random_counts("b", n_tokens, n_contexts // 2, first=n_tokens // 4, seed=1),
    }
    settings = {"dim": 5, "centre": centre, "weighting": {"b": "hellinger"}}
    dense = ContextSVD(**settings).fit(views)
    monkeypatch.setattr(context_svd, "_DENSE", 20)
    thin = ContextSVD(**settings).fit(views)
    assert np.allclose(thin.singular_values_, dense.singular_values_)
    assert np.allclose(thin.vectors_, dense.vectors_, atol=1e-5)  # float32
    assert ContextSVD(**settings).fit(views).vectors_.tobytes() == thin.vectors_.tobytes()


def test_contexts_of_few_tokens_are_left_out():
    counts = random_counts("a", 12, 30, density=0.1)
    enough = (counts.counts.toarray() > 0).sum(axis=0) >= 3
    assert 0 < enough.sum() < 30
    for weighting in ("ppmi", "hellinger", "frequency"):
        matrix = weighted(counts.counts.toarray()[:, enough], weighting)
        encoder = ContextSVD(dim=30, weighting=weighting, min_tokens=3).fit(counts)
        wanted = matrix @ matrix.T * len(matrix) / (matrix**2).sum()
        assert np.allclose(gram(encoder), wanted, atol=1e-5)  # float32
        assert f"{enough.sum()} contexts" in encoder.card_.what
    with pytest.raises(ValueError, match="min_tokens"):
        ContextSVD(min_tokens=13).fit(counts)


def test_min_count_is_of_weight():
    counts = random_counts()
    totals = counts.counts.toarray().sum(axis=1)
    least = int(np.median(totals))
    kept = [token for token, total in zip(counts.tokens, totals, strict=True) if total >= least]
    encoder = ContextSVD(dim=12, min_count=least).fit(counts)
    assert 0 < len(kept) < len(totals)
    assert sorted(encoder.vocabulary_.tokens) == kept
    assert np.allclose(gram(encoder), gram_of(counts, kept), atol=1e-5)  # float32
    heaviest = sorted(zip(totals, counts.tokens, strict=True), reverse=True)[: len(kept)]
    assert encoder.vocabulary_.tokens == tuple(token for _, token in heaviest)
    assert encoder.vocabulary_.counts == tuple(math.ceil(total) for total, _ in heaviest)
    with pytest.raises(ValueError, match="min_count=1000 leaves no token"):
        ContextSVD(min_count=1000).fit(counts)
    with pytest.raises(ValueError, match=r"^min_count must be a whole number"):
        ContextSVD(min_count=0).fit(counts)


def test_a_weight_of_six_sixths_is_one():
    # a site shares its weight among its bonds, and six sixths add up to 1 less rounding
    table = sparse.csr_array([[1 / 6] * 6 + [0], [0.1] * 3 + [0] * 3 + [2.7]])
    counts = ContextCounts("a", ("Ti", "Zr"), tuple("abcdefg"), table, Card("six"))
    vocabulary = ContextSVD(dim=2).fit(counts).vocabulary_
    assert (vocabulary.tokens, vocabulary.counts) == (("Zr", "Ti"), (3, 1))


def test_zeros_that_are_stored_are_no_contexts():
    counts = random_counts()
    dense = counts.counts.toarray()
    stored = sparse.csr_array(np.ones_like(dense))
    stored.data[:] = dense.ravel()
    written_out = ContextCounts("a", counts.tokens, counts.contexts, stored, counts.card)
    for weighting in ("ppmi", "hellinger", "frequency"):
        first, second = (
            ContextSVD(dim=12, weighting=weighting, min_tokens=4).fit(view) for view in (counts, written_out)
        )
        assert first.vectors_.tobytes() == second.vectors_.tobytes()


def test_a_view_in_which_all_are_alike_adds_nothing_once_centred():
    counts = random_counts()
    alike = ContextCounts("b", counts.tokens, ("x", "y", "z"), sparse.csr_array(np.ones((12, 3))), counts.card)
    settings = {"dim": 11, "centre": True, "weighting": {"b": "hellinger"}}
    encoder = ContextSVD(**settings).fit({"a": counts, "b": alike})
    assert np.allclose(gram(encoder), gram_of(counts, list(counts.tokens), centre=True), atol=1e-5)  # float32
    with pytest.raises(ValueError, match="centre=False"):
        ContextSVD(**settings).fit(alike)


def test_the_card_names_all_views_with_their_sources_and_licences():
    views = views_apart()
    card = ContextSVD(dim=4, weighting={"b": "hellinger"}, weights={"v": 2}).fit(views).card_
    assert card.name == "contextsvd-a-b-v"
    assert card.source == "source a; source b; source v"
    assert card.licence == "licence a AND licence b AND licence v"
    assert card.citation == ("paper a", "paper b", "paper v")
    assert card.corpus.keys() == views.keys()
    for name, view in views.items():
        assert card.corpus[name]["name"] == view.card.name
        assert card.corpus[name]["settings"] == view.card.settings
    assert card.settings["weights"] == {"a": 1.0, "b": 1.0, "v": 2.0}
    assert card.settings["weighting"] == {"b": "hellinger"}
    assert card.counts == {"vectors": 15}
    assert "15 tokens: 42 contexts, 4 dimensions" in card.what


@pytest.mark.parametrize(
    ("settings", "data", "error", "wanted"),
    [
        ({"weighting": {"c": "ppmi"}}, views_apart(), ValueError, "the view 'c', which is not among 'a', 'b', 'v'"),
        ({"weights": {"c": 1}}, views_apart(), ValueError, "the view 'c', which is not among 'a', 'b', 'v'"),
        ({"weights": {"a": 1}}, ENVIRONMENTS, ValueError, "the view 'a', which is not among sentences"),
        ({"weighting": "tfidf"}, views_apart(), ValueError, "got 'tfidf'"),
        ({"weighting": {"a": "tfidf"}}, views_apart(), ValueError, "got 'tfidf'"),
        ({"weights": {"a": -1}}, views_apart(), ValueError, r"weights\['a'\] must be a finite number"),
        ({"min_tokens": 0}, views_apart(), ValueError, "min_tokens must be a whole number"),
        ({}, {"a": ENVIRONMENTS}, TypeError, "by name, got list as 'a'"),
        ({}, {}, TypeError, "by name, got none"),
        ({"rows": "motif"}, views_apart(), ValueError, "rows='motif' leaves no token"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(settings, data, error, wanted):
    with pytest.raises(error, match=wanted):
        ContextSVD(**settings).fit(data)
