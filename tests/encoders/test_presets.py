"""Presets: the settings of the papers, on the views that they name."""

import numpy as np
import pytest
from scipy import sparse

from matembed.cards import Card
from matembed.corpus.context_counts import ContextCounts
from matembed.corpus.contexts import FORMULA_VIEWS, formula_sentences
from matembed.corpus.motif_contexts import SITE_CONTEXTS
from matembed.encoders import PRESETS, ContextSVD, Preset, Word2Vec, preset

FORMULAS = ["NaCl", "KCl", "NaBr", "KBr", "MgO", "CaO", "TiO2", "SiO2", "SrTiO3", "BaTiO3", "NaCl", "Na2O", "K2O"]


def sentences_of(view):
    return [sentence for formula in FORMULAS for sentence in formula_sentences(formula, view)]


@pytest.mark.parametrize("name", PRESETS)
def test_each_says_what_it_is(name):
    chosen = preset(name)
    assert isinstance(chosen, Preset)
    assert chosen.name == name
    assert chosen.view in (*FORMULA_VIEWS, *SITE_CONTEXTS)
    assert name[-4:] in chosen.citation
    assert chosen.differences.endswith(".")


@pytest.mark.parametrize("name", PRESETS)
def test_each_call_gives_an_encoder_of_its_own_that_is_not_fitted(name):
    first, second = preset(name).encoder, preset(name).encoder
    assert first is not second
    assert not [attribute for attribute in vars(first) if attribute.endswith("_")]


def test_an_unknown_name_is_refused_with_those_known():
    with pytest.raises(ValueError, match="'atom2vec-2018', 'mat2vec-2019', 'skipatom-2022', got 'bert-2018'"):
        preset("bert-2018")


def test_atom2vec_is_the_row_normalised_matrix_cut_down():
    chosen = preset("atom2vec-2018")
    sentences = sentences_of(chosen.view)
    encoder = chosen.encoder.fit(sentences)
    elements, contexts = (sorted(set(tokens)) for tokens in zip(*sentences, strict=True))
    counts = np.zeros((len(elements), len(contexts)))
    for element, context in sentences:
        counts[elements.index(element), contexts.index(context)] += 1
    assert counts.max() == 2  # NaCl is listed twice, so that counts and not only presence matter
    matrix = counts / np.linalg.norm(counts, axis=1, keepdims=True)
    vectors = encoder.vectors_[np.argsort(encoder.vocabulary_.tokens)].astype(float)
    assert sorted(encoder.vocabulary_.tokens) == elements
    assert encoder.dim == 20
    assert np.allclose(vectors @ vectors.T, matrix @ matrix.T, atol=1e-6)  # float32; fewer than 20 elements


def test_mat2vec_has_the_settings_of_the_paper():
    pytest.importorskip("gensim")
    chosen = preset("mat2vec-2019")
    assert isinstance(chosen.encoder, Word2Vec)
    table = chosen.encoder.fit(sentences_of(chosen.view)).embeddings()
    assert table.dim == 200
    wanted = {"algorithm": "skip-gram", "dim": 200, "window": 8, "negative": 15, "alpha": 0.01, "subsample": 1e-4}
    wanted["epochs"] = 30
    assert {name: table.card.settings[name] for name in wanted} == wanted


def test_skipatom_fits_the_softmax_where_pairs_are_more_frequent_than_by_chance():
    chosen = preset("skipatom-2022")
    assert isinstance(chosen.encoder, ContextSVD)
    elements = ("Br", "Cl", "K", "Na")
    weights = np.array([[0, 0, 3, 1], [0, 0, 1, 3], [3, 1, 0, 0], [1, 3, 0, 0]])
    counts = ContextCounts(chosen.view, elements, elements, sparse.csr_array(weights), Card("salts"))
    encoder = chosen.encoder.fit(counts)
    # every partner has chance 1/4: log(P(partner | element) / P(partner)) is log 3 of the first, log 1 of the second
    assert np.allclose(encoder.singular_values_, 1)
    assert np.allclose(encoder.vectors_ @ encoder.vectors_.T, np.eye(4), atol=1e-6)  # float32
