"""The recipes in corpora/ have complete cards, and those that need no data build."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from matembed import Corpus
from matembed.sources import PROTOTYPES_CARD

CORPORA = Path(__file__).parents[2] / "corpora"
RECIPES = sorted(path.parent for path in CORPORA.glob("*/card.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_a_card_is_complete(recipe):
    card = yaml.safe_load((recipe / "card.yaml").read_text(encoding="utf-8"))
    assert card["name"] == recipe.name
    assert all(card[field] for field in ("what", "source", "url", "licence", "citation"))
    assert all(isinstance(reference, str) for reference in card["citation"])
    assert f"`{recipe.name}`" in (CORPORA / "README.md").read_text(encoding="utf-8")


def test_prototypes_build(tmp_path):
    command = [sys.executable, CORPORA / "aflow_prototypes" / "build.py", "--out", tmp_path / "aflow", "--limit", "2"]
    subprocess.run(command, check=True, capture_output=True)
    corpus = Corpus.read(tmp_path / "aflow")
    assert corpus.card.name == "aflow_prototypes"
    assert "aflowlib.org" in corpus.card.source
    assert corpus.materials()["mineral"].to_list()[0] == "Cinnabar"


def test_a_corpus_that_is_there_is_kept_and_told_in_a_line(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    command = [sys.executable, CORPORA / "aflow_prototypes" / "build.py", "--out", tmp_path, "--limit", "1"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 2
    assert "already exists" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_materials_project_needs_its_files(tmp_path):
    command = [
        sys.executable,
        CORPORA / "materials_project_structures" / "build.py",
        tmp_path,
        "--out",
        tmp_path / "mp",
    ]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 2
    assert "holds no mp_oxides-*.jsonl.gz" in finished.stderr


def test_prototypes_are_cited_alike_by_the_recipe_and_the_reader():
    card = yaml.safe_load((CORPORA / "aflow_prototypes" / "card.yaml").read_text(encoding="utf-8"))
    assert tuple(card["citation"]) == PROTOTYPES_CARD.citation
    assert (card["name"], card["source"], card["licence"]) == (
        *(PROTOTYPES_CARD.name, PROTOTYPES_CARD.source, PROTOTYPES_CARD.licence),
    )
