"""Word2Vec: gensim's numbers, whole sentences, honest settings."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

gensim_models = pytest.importorskip("gensim.models")

from matembed.encoders import Word2Vec  # noqa: E402

# Every token has a count of its own (a: 24, b: 21, ...), so gensim's order of the vocabulary is not left to ties.
SENTENCES = [list("abcdefgh"[:n]) for n in range(1, 9)] * 3


@pytest.mark.parametrize("algorithm", ["skip-gram", "cbow"])
def test_numbers_are_those_of_gensim(algorithm):
    ours = Word2Vec(
        dim=6, window=2, algorithm=algorithm, epochs=7, negative=3, alpha=0.05, subsample=0.01, min_count=4, seed=5
    ).fit(SENTENCES)
    theirs = gensim_models.Word2Vec(
        SENTENCES,
        vector_size=6,
        window=2,
        shrink_windows=False,
        sg=int(algorithm == "skip-gram"),
        epochs=7,
        negative=3,
        alpha=0.05,
        sample=0.01,
        min_count=4,
        seed=5,
        workers=1,
    )
    assert ours.vocabulary_.tokens == tuple(theirs.wv.index_to_key)
    assert ours.vectors_.tobytes() == theirs.wv.vectors.tobytes()


def test_whole_sentence_is_a_window_as_long_as_the_longest():
    whole = Word2Vec(dim=4, epochs=3).fit(SENTENCES).vectors_
    assert Word2Vec(dim=4, epochs=3, window=50).fit(SENTENCES).vectors_.tobytes() == whole.tobytes()
    assert Word2Vec(dim=4, epochs=3, window=1).fit(SENTENCES).vectors_.tobytes() != whole.tobytes()


@pytest.mark.parametrize(
    "setting", [{"seed": 1}, {"algorithm": "cbow"}, {"negative": 9}, {"alpha": 0.1}, {"epochs": 4}, {"subsample": 1e-2}]
)
def test_every_setting_reaches_gensim(setting):
    plain = Word2Vec(dim=4, epochs=3).fit(SENTENCES).vectors_
    assert Word2Vec(**{"dim": 4, "epochs": 3} | setting).fit(SENTENCES).vectors_.tobytes() != plain.tobytes()


def test_tokens_after_the_ten_thousandth_are_trained():
    sentence = ["Li", "O"] * 5_500 + ["Ti", "Cl"] * 500
    table = Word2Vec(dim=4, window=2, epochs=3).fit([sentence]).embeddings()
    start = 0.5 / 4  # gensim starts every entry within 0.5 / dim of zero
    assert np.abs(table["Ti"]).max() > start
    assert np.abs(table["Cl"]).max() > start


def test_workers_are_recorded():
    card = Word2Vec(dim=4, epochs=2, workers=2, seed=3).fit(SENTENCES).embeddings().card
    assert card.settings["workers"] == 2
    assert card.seed == 3


class Failing:
    """Sentences whose file goes away in the middle of training."""

    def __init__(self):
        self.passes = itertools.count()

    def __iter__(self):
        if next(self.passes) > 3:
            raise FileNotFoundError("sentences are gone")
        return iter(SENTENCES)


def test_sentences_that_fail_in_training_raise():
    with pytest.raises(FileNotFoundError, match="are gone"):
        Word2Vec(dim=4, epochs=5).fit(Failing())


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"epochs": 0}, "epochs must be a whole number"),
        ({"negative": 0}, "negative must be a whole number"),
        ({"workers": 0}, "workers must be a whole number"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": 2**32}, "seed must be less than 4294967296"),
        ({"alpha": 0}, "alpha must be a finite number, more than 0"),
        ({"subsample": math.nan}, "subsample must be a finite number"),
        ({"algorithm": "glove"}, 'algorithm must be "skip-gram" or "cbow"'),
    ],
    ids=str,
)
def test_settings_of_its_own_are_checked(setting, says):
    with pytest.raises(ValueError, match=says):
        Word2Vec(**setting).fit(SENTENCES)


def test_progress_is_shown_when_asked(capfd):
    Word2Vec(dim=4, epochs=2).fit(SENTENCES)
    assert capfd.readouterr().err == ""
    Word2Vec(dim=4, epochs=2, progress=True).fit(SENTENCES)
    assert f"{2 * len(SENTENCES)}" in capfd.readouterr().err


def test_without_gensim_the_error_names_the_remedy():
    code = (
        "import sys; sys.modules['gensim'] = None\n"
        "from matembed.encoders import ContextSVD, Word2Vec\n"
        "ContextSVD().fit([['Ti', 'O'], ['Si', 'O']])\n"
        "try:\n    Word2Vec().fit([['Ti', 'O']])\n"
        "except ImportError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install" in ran.stdout
    assert "ContextSVD" in ran.stdout
