"""Vocabulary: order, counts and ids."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matembed.vocabulary import Vocabulary

corpora = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), max_size=12)


@given(corpora, st.integers(1, 3))
def test_counts_are_right_and_in_order(sentences, min_count):
    vocabulary = Vocabulary.from_sentences(sentences, min_count=min_count)
    counted = Counter(token for sentence in sentences for token in sentence)
    expected = {token: count for token, count in counted.items() if count >= min_count}
    assert dict(zip(vocabulary.tokens, vocabulary.counts, strict=True)) == expected
    keys = [(-count, token) for token, count in zip(vocabulary.tokens, vocabulary.counts, strict=True)]
    assert keys == sorted(keys)
    assert len(vocabulary) == len(expected)


@given(corpora, st.randoms(use_true_random=False))
def test_order_of_the_corpus_does_not_matter(sentences, rng: random.Random):
    turned = [rng.sample(sentence, len(sentence)) for sentence in rng.sample(sentences, len(sentences))]
    assert Vocabulary.from_sentences(turned) == Vocabulary.from_sentences(sentences)


@given(corpora)
def test_ids_are_positions(sentences):
    vocabulary = Vocabulary.from_sentences(sentences)
    for sentence in sentences:
        assert [vocabulary.tokens[idx] for idx in vocabulary.ids(sentence)] == sentence


def test_unknown_tokens_are_left_out_of_ids():
    vocabulary = Vocabulary(("O", "Ti"), (2, 1))
    assert vocabulary.ids(["Ti", "Po", "O"]) == [1, 0]
    assert "Ti" in vocabulary
    assert "Po" not in vocabulary


def test_prints_as_one_line():
    assert repr(Vocabulary(("O", "Ti"), (2, 1))) == "Vocabulary(2 tokens: O, Ti)"
    assert repr(Vocabulary((), ())) == "Vocabulary(no tokens)"
    many = Vocabulary(tuple(f"t{n}" for n in range(5000)), (1,) * 5000)
    assert repr(many) == "Vocabulary(5,000 tokens: t0, t1, t2, t3, t4, ...)"


@pytest.mark.parametrize(
    ("tokens", "counts", "says"),
    [
        (("O", "Ti"), (1,), "2 tokens need as many counts, got 1"),
        (("O", "O"), (1, 1), "must be unique"),
        (("band gap",), (1,), "no white space, got 'band gap'"),
        (("",), (1,), "one or more printable characters"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tokens, counts, says):
    with pytest.raises(ValueError, match=says):
        Vocabulary(tokens, counts)
