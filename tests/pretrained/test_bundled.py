"""What comes with the package: whole, documented, small, chemically sensible, and there without a network."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_overloads

import numpy as np
import pytest

import matembed as me
from matembed.elements import SYMBOLS
from matembed.pretrained import MODELS, TABLES, fetch, load, make_tables


@pytest.fixture(scope="module", params=TABLES)
def table(request):
    return me.load(request.param)


def test_cards_say_what_is_needed_to_judge_and_repeat(table):
    card = table.card
    assert card.licence == "CC-BY-4.0"
    assert "Materials Project" in card.source
    assert any("Jain" in reference for reference in card.citation)
    assert "make_tables" in card.settings["command"]
    assert "Left out were the formulas of the Matbench tasks" in card.what
    assert card.scores
    assert set(card.sha256) == {"vectors.safetensors", "vocab.json"}


def test_learned_vectors_differ(table):
    learned = [row for row, token in enumerate(table.tokens) if token not in table.backed_off]
    assert len(np.unique(table.vectors[learned], axis=0)) > 0.9 * len(learned)


def test_all_together_are_small():
    folder = Path(make_tables.__file__).parent / "tables"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 10e6


@pytest.mark.parametrize("name", ["elements", "elements-from-formulas"])
def test_every_element_to_lawrencium_has_a_vector(name):
    elements = me.load(name)
    assert set(elements.tokens) == set(SYMBOLS[1:104])
    assert {"Fr", "Po", "Lr"} <= elements.backed_off
    assert not {"Na", "Fe", "O", "La"} & elements.backed_off
    for element, family in (
        ("Na", {"Li", "K", "Rb", "Ag"}),
        ("Br", {"Cl", "I"}),
        ("Ca", {"Sr", "Mg", "Ba", "Eu", "Yb"}),
        ("Nd", {"Pr", "Sm", "Ce"}),
        ("Zr", {"Hf"}),
    ):
        assert elements.nearest(element, 1)[0].token in family


def test_species_and_motifs_have_sensible_neighbours():
    species, motifs = me.load("species"), me.load("motifs")
    assert {found.token for found in species.nearest("Fe3+", 5)} & {"Mn3+", "Cr3+", "V3+", "Co3+"}
    found = motifs.nearest("SiO4:T:4", 5)
    assert all(neighbour.token.endswith("T:4") for neighbour in found)
    assert "GeO4:T:4" in {neighbour.token for neighbour in found}


def test_every_bundled_thing_is_listed_with_its_licence_and_is_whole():
    listed = me.available()
    assert list(listed) == [*TABLES, *MODELS]
    for name, entry in listed.items():
        assert (entry.where, entry.licence) == ("bundled", "CC-BY-4.0")
        assert entry.kind == ("EmbeddingTable" if name in TABLES else "MaskedLM")
        assert entry.size == sum(path.stat().st_size for path in fetch(name).iterdir())


def test_the_names_that_editors_complete_are_those_of_the_package():
    named = [get_args(overload.__annotations__["name"]) for overload in get_overloads(load)]
    assert named == [tuple(TABLES), tuple(MODELS), ()]


def test_transformers_are_loaded_by_name():
    pytest.importorskip("transformers")
    by_name, as_before = me.load("crystals"), me.MaskedLM.from_pretrained("crystals")
    assert by_name.card_ == as_before.card_
    salt = me.formula_sets(["NaCl"])
    assert np.array_equal(by_name.encode(salt), as_before.encode(salt))


def test_a_transformer_without_torch_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "matembed\[transformer\]"'):
        me.load("crystals")


def test_bundled_things_need_no_network_no_home_and_no_heavy_package(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    code = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("the network was wanted")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import matembed as me
assert me.load("elements").nearest("Na", 1)[0].token == "K"
assert len(me.available()) == 6
print([name for name in ("torch", "gensim", "pymatgen.core", "pandas", "requests", "huggingface_hub", "yaml")
       if name in sys.modules])
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MATEMBED", "XDG", "HF_"))}
    environment |= {"HOME": str(home), "MATEMBED_REGISTRY": "https://example.invalid/registry"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
    assert list(home.iterdir()) == []


def test_they_are_made_by_one_command(tmp_path):
    tables = me.build_motif_tables(
        me.read_prototypes(limit=40), tmp_path / "motifs", max_rejected=1, progress=False, card=me.Card("prototypes")
    )
    around = me.build_motif_tables(
        me.read_prototypes(limit=40), tmp_path / "all", max_rejected=1, progress=False, valences="none"
    )
    (tmp_path / "exclude.txt").write_text("NaCl\n")
    make_tables.main(
        [
            str(tables.path),
            str(around.path),
            "--exclude",
            str(tmp_path / "exclude.txt"),
            "--out",
            str(tmp_path / "made"),
            "--n-networks",
            "0",
        ]
    )
    for name in TABLES:
        assert "log_gvrh: 1." in me.EmbeddingTable.read(tmp_path / "made" / name).card.what
