"""Card: what goes in comes out, as JSON and as a page."""

import copy
import json
import pickle
from dataclasses import asdict, replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from matembed.cards import Card, package_versions

words = st.text(max_size=20)
numbers = st.dictionaries(words, st.integers(0, 10**9), max_size=3)
settings = st.dictionaries(
    words, st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words, max_size=4
)
cards = st.builds(
    Card,
    name=st.text(min_size=1, max_size=20),
    what=words,
    source=words,
    licence=words,
    citation=st.lists(words, max_size=3).map(tuple),
    corpus=settings,
    counts=numbers,
    settings=settings,
    seed=st.none() | st.integers(0, 2**32),
    versions=st.dictionaries(words, words, max_size=3),
    sha256=st.dictionaries(words, words, max_size=2),
)
FULL = Card(
    name="salts",
    what="Rock salts.",
    source="a mine",
    licence="CC-BY-4.0",
    citation=("A. Miner, 1999", "B. Smelter, 2001"),
    corpus={"name": "mine"},
    counts={"read": 1200, "kept": 1199},
    settings={"dim": 8},
    seed=0,
    versions={"numpy": "2.0"},
    sha256={"vocab.json": "ab"},
)


@given(cards)
def test_survives_json(card):
    assert Card.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_keys_of_newer_versions_are_ignored():
    assert Card.from_dict(FULL.to_dict() | {"colour": "blue"}) == FULL


@pytest.mark.parametrize("values", [{}, {"what": "no name"}, {"name": ""}, None, [], "salts"])
def test_a_card_has_a_name(values):
    with pytest.raises(ValueError, match="a card is a mapping with a name"):
        Card.from_dict(values)


def test_page_has_front_matter_and_everything_else():
    _, front, page = FULL.to_markdown().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "cc-by-4.0"
    assert page.startswith("\n# salts\n\nRock salts.\n")
    for line in ("- Source: a mine", "- Cite: A. Miner, 1999", "- Seed: 0", "| read | 1200 |", "| vocab.json | ab |"):
        assert f"\n{line}\n" in page


def test_hubs_read_the_licence_if_it_is_a_single_one():
    def front(licence):
        return yaml.safe_load(Card("demo", licence=licence).to_markdown().split("---")[1])

    assert front("CC-BY-4.0")["license"] == "cc-by-4.0"
    assert front("")["license"] == "unknown"
    two = front("CC-BY-4.0 AND MIT")
    assert (two["license"], two["license_name"]) == ("other", "CC-BY-4.0 AND MIT")


def test_any_value_stays_in_its_cell():
    card = replace(FULL, source="a mine\nin Ore", settings={"pattern": "a|b\n| c", "two\nlines": "a\\|b"})
    page = card.to_markdown()
    for line in ("- Source: a mine in Ore", r"| pattern | a\|b \| c |", r"| two lines | a\\\|b |"):
        assert f"\n{line}\n" in page


def test_what_was_passed_can_change_without_the_card():
    settings, citation = {"views": ["links"]}, ["A. Miner, 1999"]
    card = Card("salts", settings=settings, citation=citation)
    settings["views"].append("walks")
    settings["dim"] = 8
    citation.clear()
    assert card == Card("salts", settings={"views": ["links"]}, citation=("A. Miner, 1999",))


@given(cards)
def test_copies_are_equal_and_of_the_same_hash(card):
    twins = (
        pickle.loads(pickle.dumps(card)),
        copy.deepcopy(card),
        Card(**asdict(card)),
        Card.from_dict(card.to_dict()),
    )
    assert {card, *twins} == {card}


def test_an_empty_card_says_what_it_does_not_know():
    page = Card("bare").to_markdown()
    assert "Source: not stated" in page
    assert "Licence: not stated" in page
    assert yaml.safe_load(page.split("---\n")[1])["license"] == "unknown"


def test_notebooks_show_the_page_without_front_matter():
    assert FULL._repr_markdown_() == "\n# salts" + FULL.to_markdown().partition("# salts")[2]


def test_prints_as_one_line():
    assert repr(FULL) == "Card('salts', what='Rock salts.', licence='CC-BY-4.0')"
    assert repr(Card("bare")) == "Card('bare')"
    assert str(FULL) == "salts: Rock salts. (1,200 read, 1,199 kept)"


def test_versions_are_of_installed_packages():
    import platform

    import numpy as np

    versions = package_versions()
    assert versions["numpy"] == np.__version__
    assert versions["python"] == platform.python_version()
    assert package_versions(["surely-not-installed"]).keys() == {"python"}
