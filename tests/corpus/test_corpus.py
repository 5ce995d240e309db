import json
from types import SimpleNamespace

import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from matembed import Card, find_motifs, motif_sentences
from matembed.corpus.build import build_corpus
from matembed.corpus.corpus import Corpus

FORMULAS = ["NaCl", "Sr2Ti2O6", "CuSO4.5H2O", "NaN", "Xx2", ""]


@pytest.fixture(scope="module")
def salts(tmp_path_factory):
    return build_corpus(FORMULAS, tmp_path_factory.mktemp("salts") / "corpus", progress=False)


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    cscl = Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    folder = tmp_path_factory.mktemp("crystals") / "corpus"
    corpus = build_corpus({"halite": salt, "cscl": cscl}, folder, progress=False)
    return SimpleNamespace(corpus=corpus, structures={"halite": salt, "cscl": cscl})


def test_sentences_can_be_read_again_and_are_counted(salts):
    for view in salts.views:
        corpus = salts.with_view(view)
        sentences = list(corpus)
        assert sentences == list(corpus)
        assert len(corpus) == len(sentences)
        assert corpus.card.counts[f"{view} tokens"] == sum(map(len, sentences))


def test_two_passes_at_once_do_not_disturb_each_other(salts):
    assert [pair[0] for pair in zip(salts, salts, strict=True)] == [pair[1] for pair in zip(salts, salts, strict=True)]


def test_tables(salts):
    assert salts.materials()["formula"].to_list() == ["NaCl", "SrTiO3", "CuH10SO9", "NaN"]
    assert salts.rejected()["row"].to_list() == [5, 6]
    rewritten = salts.rewritten()
    assert rewritten[["id", "input", "formula"]].to_numpy().tolist() == [["3", "CuSO4.5H2O", "CuH10SO9"]]
    assert "separator" in rewritten["rewrites"][0]
    counts = salts.card.counts
    assert (counts["read"], counts["kept"], counts["rejected"], counts["rewritten"]) == (6, 4, 2, 1)


def test_views_of_formulas_and_of_crystals(salts, crystals):
    assert (salts.view, salts.views) == ("environments", ("elements", "amounts", "environments"))
    corpus = crystals.corpus
    assert (corpus.view, corpus.views) == ("links", ("links", "walks", "elements", "amounts", "environments"))
    assert list(corpus.with_view("elements")) == [["Na", "Cl"], ["Cs", "Cl"]]
    with pytest.raises(ValueError, match="no view 'words'; choose one of elements"):
        salts.with_view("words")


def test_motif_graphs_come_back_as_they_were_found(crystals):
    graphs = dict(crystals.corpus.motif_graphs())
    assert graphs == {name: find_motifs(structure) for name, structure in crystals.structures.items()}
    expected = [sentence for graph in graphs.values() for sentence in motif_sentences(graph, "links")]
    assert list(crystals.corpus) == expected
    materials = crystals.corpus.materials().set_index("id")
    # Na in octahedra that share 12 edges and 6 corners; every pair is listed once, four Na a cell.
    assert materials.loc["halite", ["n_sites", "n_motifs", "n_connections"]].to_list() == [8, 4, 36]
    assert materials["volume_per_atom"].to_list() == pytest.approx([5.64**3 / 8, 4.12**3 / 2])


def test_a_corpus_of_formulas_has_no_motif_graphs(salts):
    with pytest.raises(ValueError, match="built from formulas and holds no motif graphs"):
        salts.motif_graphs()


def test_a_folder_can_be_moved_and_opened_with_a_view(salts, tmp_path):
    import shutil

    shutil.copytree(salts.path, tmp_path / "elsewhere")
    moved = Corpus.read(tmp_path / "elsewhere", view="elements")
    assert list(moved) == list(salts.with_view("elements"))
    assert moved.card == salts.card
    pd.testing.assert_frame_equal(moved.materials(), salts.materials())


def test_a_folder_that_is_no_corpus_is_refused(salts, tmp_path):
    import shutil

    with pytest.raises(FileNotFoundError, match="is no folder of a corpus; make one with build_corpus"):
        Corpus.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"config.json missing"):
        Corpus.read(tmp_path)
    (tmp_path / "begun.partial").mkdir()
    with pytest.raises(FileNotFoundError, match="run the same build again to finish it"):
        Corpus.read(tmp_path / "begun")
    config = json.loads((salts.path / "config.json").read_text())
    for change, message in [
        ({"type": "EmbeddingTable"}, "holds a EmbeddingTable, not a Corpus"),
        ({"schema": 99}, "upgrade matembed"),
        ({"card": None}, "is not the config of a corpus"),
    ]:
        copy = tmp_path / f"copy-{next(iter(change))}"
        shutil.copytree(salts.path, copy)
        (copy / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=message):
            Corpus.read(copy)


def test_a_changed_or_missing_file_is_noticed(salts, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(salts.path, copy)
    sentences = copy / "sentences" / "elements.txt"
    sentences.write_text(sentences.read_text().replace("Na", "K"))
    corpus = Corpus.read(copy)
    assert list(corpus) == list(salts)
    with pytest.raises(ValueError, match=r"elements.txt is not the file its config.json names"):
        list(corpus.with_view("elements"))
    (copy / "materials.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match=r"materials.parquet is not the file its config.json names"):
        corpus.materials()
    sentences.unlink()
    with pytest.raises(FileNotFoundError, match=r"elements.txt is missing"):
        Corpus.read(copy)


def test_the_card_says_what_and_how(crystals, salts):
    card = crystals.corpus.card
    assert card.settings["engine"] == "numba"
    assert card.seed == 0
    assert "pymatgen" in card.versions
    assert card.counts["motifs"] == 4 + 1
    assert (crystals.corpus.path / "README.md").read_text().startswith("---\n")
    assert salts.card.seed is None
    assert Card.from_dict(card.to_dict()) == card
    assert "2 materials" in repr(crystals.corpus)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["card"]["settings"].update(views=["elements", "../../secret"]),
        lambda config: config["card"]["settings"].update(views="elements"),
        lambda config: config["card"]["settings"].pop("views"),
        lambda config: config.update(view="links"),
        lambda config: config["card"]["sha256"].update({"../secret.txt": "0"}),
        lambda config: config["card"]["sha256"].pop("materials.parquet"),
    ],
)
def test_a_config_that_names_other_files_is_refused(salts, tmp_path, change):
    import shutil

    (tmp_path / "secret.txt").write_text("secret")
    copy = tmp_path / "copy"
    shutil.copytree(salts.path, copy)
    config = json.loads((copy / "config.json").read_text())
    change(config)
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"is not the config of a corpus: .*(views|sha256)"):
        Corpus.read(copy)


def test_pure_elements_have_no_environments_and_cost_nothing(tmp_path):
    corpus = build_corpus(["Fe", "NaCl", "O2"], tmp_path / "some", progress=False)
    assert list(corpus) == [["Na", "(1)Cl"], ["Cl", "(1)Na"]]
    assert len(corpus.with_view("elements")) == len(corpus.materials()) == 3
    corpus = build_corpus(["Fe"], tmp_path / "none", progress=False)
    assert (list(corpus), len(corpus), corpus.card.counts["environments tokens"]) == ([], 0, 0)
