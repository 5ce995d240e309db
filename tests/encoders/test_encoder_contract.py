"""What every encoder promises; a new encoder adds itself to ENCODERS."""

import copy
import hashlib
import itertools
import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from matembed.cards import Card, package_versions
from matembed.embeddings import EmbeddingTable
from matembed.encoders import ContextSVD, Encoder, MaskedSet, Word2Vec
from matembed.tokens import kind_of

ENCODERS = {
    "svd": lambda **settings: ContextSVD(**{"dim": 8} | settings),
    "skip-gram": lambda **settings: Word2Vec(**{"dim": 8, "epochs": 150} | settings),
    "cbow": lambda **settings: Word2Vec(**{"dim": 8, "epochs": 150, "algorithm": "cbow"} | settings),
    "masked-set": lambda **settings: MaskedSet(**{"dim": 8, "epochs": 20} | settings),
}
LIBRARIES = {"skip-gram": "gensim", "cbow": "gensim", "masked-set": "torch"}
FAMILIES = {
    "alkali": ("Li", "Na", "K", "Rb"),
    "alkaline earth": ("Mg", "Ca", "Sr", "Ba"),
    "halogen": ("F", "Cl", "Br", "I"),
    "chalcogen": ("O", "S", "Se", "Te"),
}
# Every alkali with every halogen, every alkaline earth with every chalcogen: who meets whom is known.
SALTS = [
    list(pair)
    for cations, anions in (("alkali", "halogen"), ("alkaline earth", "chalcogen"))
    for pair in itertools.product(FAMILIES[cations], FAMILIES[anions])
]


@pytest.fixture(params=ENCODERS)
def make(request):
    if request.param in LIBRARIES:
        pytest.importorskip(LIBRARIES[request.param])
    return ENCODERS[request.param]


class Salts:
    """Sentences with a card and a view, as a Corpus has them; it can be read any number of times."""

    view = "elements"
    card = Card(
        name="salts",
        source="made up",
        licence="CC0-1.0",
        citation=("Nobody",),
        counts={"read": 33, "kept": 32, "rejected": 1, "elements sentences": 32},
        settings={"views": ["elements"], "walk_length": 8},
        seed=5,
        versions={"pymatgen": "2025.1.1"},
        sha256={"sentences/elements.txt": "0" * 64},
    )

    def __iter__(self):
        return iter(SALTS)


def digest(table):
    return hashlib.sha256(repr(table.tokens).encode() + table.vectors.tobytes()).hexdigest()


def settings_of(encoder):
    return {field.name: getattr(encoder, field.name) for field in fields(encoder) if field.init}


def test_it_is_an_encoder(make):
    encoder: Encoder = make()
    assert encoder.fit(SALTS) is encoder
    assert isinstance(encoder.embeddings(), EmbeddingTable)


def test_settings_are_keyword_only_and_stored_untouched(make):
    rows = ["element"]
    encoder = make(rows=rows)
    with pytest.raises(TypeError):
        type(encoder)(8)
    before = copy.deepcopy(settings_of(encoder))
    encoder.fit(SALTS)
    assert settings_of(encoder) == before
    assert encoder.rows is rows


def test_nothing_is_checked_or_learned_before_fit(make):
    encoder = make(dim=-1)
    assert not [name for name in vars(encoder) if name.endswith("_")]


def test_asking_before_fit_says_so(make):
    with pytest.raises(NotFittedError, match=r"has learned nothing yet; call fit first"):
        make().embeddings()


def test_table_is_well_formed(make):
    sentences = [*SALTS, ["Li", "Cl"], ["Li", "Br"]]
    table = make().fit(sentences).embeddings()
    assert table.vectors.dtype == np.float32
    assert np.isfinite(table.vectors).all()
    assert np.abs(table.vectors).max() > 0
    assert 0 < table.dim <= 8
    # most frequent first, then alphabetical
    assert table.tokens == ("Li", "Br", "Cl", "Ba", "Ca", "F", "I", "K", "Mg", "Na", "O", "Rb", "S", "Se", "Sr", "Te")


def test_same_input_gives_same_bytes(make):
    encoder = make()
    first = encoder.fit(SALTS).embeddings()
    assert digest(encoder.fit(SALTS).embeddings()) == digest(first)
    assert digest(make().fit(SALTS).embeddings()) == digest(first)


def test_hash_seed_and_threads_do_not_matter():
    for library in LIBRARIES.values():
        pytest.importorskip(library)
    code = (
        "import test_encoder_contract as t\n"
        "for name, make in t.ENCODERS.items(): print(name, t.digest(make().fit(t.SALTS).embeddings()))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "2", "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    here = "".join(f"{name} {digest(make().fit(SALTS).embeddings())}\n" for name, make in ENCODERS.items())
    assert ran.stdout == here


def test_list_tuples_and_corpus_are_alike(make):
    from_list = make().fit(SALTS).embeddings()
    assert digest(make().fit(tuple(map(tuple, SALTS))).embeddings()) == digest(from_list)
    assert digest(make().fit(Salts()).embeddings()) == digest(from_list)
    from_arrays = make().fit([np.array(sentence) for sentence in SALTS]).embeddings()
    assert from_arrays.tokens == from_list.tokens
    assert from_arrays.vectors.tobytes() == from_list.vectors.tobytes()


def test_elements_with_the_same_partners_are_neighbours(make):
    table = make(dim=16, **({} if make is ENCODERS["svd"] else {"epochs": 600})).fit(SALTS).embeddings()
    for family in FAMILIES.values():
        for element in family:
            nearest = {found.token for found in table.nearest(element, n=3)}
            assert nearest == {*family} - {element}


def test_environments_and_connections_are_contexts_by_default(make):
    sentences = [
        ["Ti", "(1)O2"],
        ["Si", "(1)O2"],
        ["Zr", "(2)O3"],
        ["TiO6:O:6", "-corner-", "SiO4:T:4"],
        ["Ti4+", "O:6"],
        ["word", "Ti"],
    ]
    table = make().fit(sentences).embeddings()
    assert set(table.tokens) == {"Ti", "Si", "Zr", "TiO6:O:6", "SiO4:T:4", "Ti4+", "O:6", "word"}
    assert set(make(rows="environment").fit(sentences).embeddings()) == {"(1)O2", "(2)O3"}
    both = make(rows=("element", "connection")).fit(sentences).embeddings()
    assert {kind_of(token) for token in both} == {"element", "connection"}


def test_tokens_that_are_never_beside_another_have_no_vector(make):
    sentences = [*SALTS, ["He"], ["He"], [], ["Ne", "rare"]]
    assert "He" not in make().fit(sentences).embeddings()
    with_min_count = make(min_count=2).fit([*sentences, ["Ne"]]).embeddings()
    assert "Ne" not in with_min_count
    assert "rare" not in with_min_count
    assert "Ne" in make().fit(sentences).embeddings()


def test_min_count_leaves_out_rare_tokens(make):
    sentences = [*SALTS, ["Fr", "At"]]
    assert {"Fr", "At"} <= {*make().fit(sentences).embeddings()}
    assert {*make(min_count=2).fit(sentences).embeddings()} == {*itertools.chain(*FAMILIES.values())}


def test_card_tells_what_was_done(make):
    encoder = make(rows=("element",))
    card = encoder.fit(Salts()).embeddings().card
    assert card.name == f"{type(encoder).__name__.lower()}-elements"
    assert (card.source, card.licence, card.citation) == ("made up", "CC0-1.0", ("Nobody",))
    counts = {"read": 33, "kept": 32, "rejected": 1}
    made = {"settings": {"views": ["elements"], "walk_length": 8}, "seed": 5, "versions": {"pymatgen": "2025.1.1"}}
    assert card.corpus == {"name": "salts", "view": "elements"} | counts | {"sha256": "0" * 64} | made
    assert card.counts == {"sentences": 32, "tokens": 64, "vocabulary": 16, "vectors": 16}
    assert card.seed == getattr(encoder, "seed", None)
    expected = {name: value for name, value in settings_of(encoder).items() if name != "progress"}
    assert card.settings == {"encoder": type(encoder).__name__} | expected | {"rows": ["element"]}
    assert card.versions == package_versions()
    assert {"python", "numpy", "matembed"} <= card.versions.keys()
    assert json.loads(json.dumps(card.to_dict())) == card.to_dict()


def test_settings_may_be_numbers_of_numpy(make, tmp_path):
    encoder = make(dim=np.int64(8), min_count=np.int32(1), rows=[np.str_("element")])
    if hasattr(encoder, "seed"):
        encoder.seed = np.int64(3)
    table = encoder.fit(SALTS).embeddings()
    card = EmbeddingTable.read(table.write(tmp_path / "table")).card
    assert (card.settings["dim"], card.seed) == (8, 3 if hasattr(encoder, "seed") else None)


def test_plain_sentences_leave_the_corpus_of_the_card_empty(make):
    card = make().fit(SALTS).embeddings().card
    assert card.corpus == {}
    assert "-" not in card.name


def test_saved_then_read_is_exact(make, tmp_path):
    table = make().fit(Salts()).embeddings()
    again = EmbeddingTable.read(table.write(tmp_path / "table"))
    assert digest(again) == digest(table)
    assert replace(again.card, sha256={}) == table.card


def test_refitting_forgets(make):
    encoder = make().fit(SALTS)
    assert set(encoder.fit([["Si", "O"], ["Ge", "O"]]).embeddings()) == {"Si", "Ge", "O"}


@pytest.mark.parametrize(
    "setting",
    [
        {"dim": 0},
        {"dim": -3},
        {"dim": 1.5},
        {"dim": True},
        {"dim": "8"},
        {"window": 0},
        {"window": 2.5},
        {"min_count": 0},
        {"rows": "atom"},
        {"rows": ("element", "atom")},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(make, setting):
    (name,) = setting
    if name not in settings_of(make()):
        pytest.skip(f"has no {name}")
    with pytest.raises(ValueError, match=f"^{name} must be") as error:
        make(**setting).fit(SALTS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sentences", "says"),
    [
        ([], "no tokens"),
        ([[], []], "no tokens"),
        ([["Ti"]], "no two tokens share a sentence"),
        ([["Ti"], ["O"], ["Si"]], "no two tokens share a sentence"),
        ([["Ti O", "Si"]], "no white space, got 'Ti O'"),
        ([["-corner-", "-edge-"]], "leaves no token with a vector.*connection"),
    ],
    ids=["none", "empty", "one", "alone", "spaces", "contexts-only"],
)
def test_corpora_without_a_lesson_are_refused(make, sentences, says):
    with pytest.raises(ValueError, match=says):
        make().fit(sentences)


def test_min_count_that_leaves_nothing_is_refused(make):
    with pytest.raises(ValueError, match="min_count=99 leaves none of 64 tokens"):
        make(min_count=99).fit(SALTS)


@pytest.mark.parametrize(
    "sentences",
    [["Ti O", "Si O"], [["Ti", "O"], "SiO2"], [["Ti", 8]], [["Ti", None]], [{"Ti", "O"}], "TiO2"],
    ids=["strings", "one-string", "number", "none", "set", "text"],
)
def test_sentences_that_are_no_token_lists_are_refused(make, sentences):
    with pytest.raises(TypeError, match="list"):
        make().fit(sentences)


def test_a_bad_sentence_is_named_by_its_position(make):
    with pytest.raises(TypeError, match="sentence 32 must be a list"):
        make().fit([*SALTS, ["Ti", 8], ["Ti", "O"]])


def test_a_generator_is_refused_because_it_can_be_read_only_once(make):
    with pytest.raises(TypeError, match=r"read several times.*generator"):
        make().fit(sentence for sentence in SALTS)
