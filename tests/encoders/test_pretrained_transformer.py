"""The transformer that comes with the package: small, documented, and right about what every chemist knows."""

from importlib.resources import files

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import transformers  # noqa: E402
from safetensors import safe_open  # noqa: E402

from matembed.corpus.material_sets import formula_sets, structure_sets  # noqa: E402
from matembed.encoders.masked_lm import MaskedLM  # noqa: E402
from matembed.pretrained import MODELS, make_transformer  # noqa: E402
from matembed.sources.prototypes import read_prototypes  # noqa: E402

FOLDER = files("matembed") / "pretrained" / "models"


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return MaskedLM.from_pretrained("crystals")


def test_each_is_small_and_in_half_precision(name):
    sizes = [file.stat().st_size for file in (FOLDER / name).iterdir()]
    assert sum(sizes) < 12e6
    with safe_open(FOLDER / name / "model.safetensors", framework="np") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} == {np.dtype(np.float16)}  # noqa: SIM118


def test_each_says_where_it_comes_from(name):
    card = MaskedLM.from_pretrained(name).card_
    assert card.name == name
    assert card.licence == "CC-BY-4.0"
    assert "Materials Project" in card.source and card.citation
    assert card.settings["command"].startswith("python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY")
    seen = [one["counts"]["materials"] for one in card.corpus["trained_before"]]
    assert seen == sorted(seen) and seen[-1] > 130_000
    assert 30_000 < card.counts["materials"] < seen[-1]
    assert card.corpus["corpus"]["settings"]["strategy"] == "multi_weights"
    assert 1e6 < card.counts["weights"] < 5e6


def test_each_opens_with_the_classes_of_the_library(name):
    network = transformers.AutoModel.from_pretrained(str(FOLDER / name))
    assert network.config.model_type == "matembed-set-transformer"
    assert {file.name for file in (FOLDER / name).iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = MaskedLM(dim=16, n_layers=1, n_heads=2, feed_forward=32, epochs=1).fit(formula_sets(["NaCl", "KCl"]))
    small.save_pretrained("crystals")
    assert MaskedLM.from_pretrained("crystals").dim == 16


@pytest.mark.parametrize(
    "formula, element, oxidation, geometry",
    [
        ("SiO2", "Si", 4, "T:4"),
        ("LiMn2O4", "Li", 1, "T:4"),
        ("LiMn2O4", "Mn", 3, "O:6"),
        ("CaTiO3", "Ti", 4, "O:6"),
        ("Na3PO4", "P", 5, "T:4"),
        ("CaCO3", "C", 4, "TL:3"),
        ("MgO", "Mg", 2, "O:6"),
        ("KMnO4", "Mn", 7, "T:4"),
        ("LiFePO4", "Fe", 2, "O:6"),
        ("ZnS", "Zn", 2, "T:4"),
        ("NaCl", "Na", 1, "O:6"),
    ],
)
def test_it_knows_the_coordination_that_textbooks_have(model, formula, element, oxidation, geometry):
    best = model.fill_mask(formula, element=element, n=1)
    assert best.loc[0, ["oxidation", "geometry"]].tolist() == [oxidation, geometry]


def test_told_the_rest_of_a_crystal_it_finds_more_geometries(model):
    """On prototypes, each a structure type of its own; some are among what it was trained on."""
    structures = [row.to_structure() for row in read_prototypes()]
    sets = structure_sets([one for one in structures if len(one) <= 40])
    sets = sets[[row for row in range(len(sets)) if (sets[row].kinds == 2).any()]]
    truth = {(row.material, row.element): row.geometry for row in _geometries(sets)}
    right = {}
    for given in ("formula", "others", "links"):
        best = model.predict_geometry(sets, given=given).idxmax(axis=1).reset_index()
        found = [
            truth.get((material, element)) == geometry
            for material, element, _, geometry in best.itertuples(index=False)
        ]
        right[given] = np.mean(found)
    assert right["links"] > right["formula"] > 0.3


def _geometries(sets):
    for row in range(len(sets)):
        found = sets[row].describe(0)
        motifs = found[found["kind"] == "motif"].sort_values("amount", ascending=False)
        for words in motifs["words"]:
            element, _, geometry, *_ = words.split()
            yield type("Row", (), {"material": sets.ids[row], "element": element, "geometry": geometry})


def test_make_transformer_trains_and_goes_on(tmp_path):
    from matembed.corpus.motif_tables import build_motif_tables
    from matembed.corpus.symmetry import symmetry_table

    crystals = {row.id: row.to_structure() for row in read_prototypes(limit=12)}
    build_motif_tables(crystals, tmp_path / "motifs", progress=False)
    symmetry_table(crystals, tmp_path / "symmetry", progress=False)
    excluded = tmp_path / "exclude.txt"
    excluded.write_text(next(iter(crystals.values())).composition.reduced_formula + "\n")
    arguments = [str(tmp_path / "motifs"), str(tmp_path / "symmetry"), "--epochs", "1"]
    make_transformer.main([*arguments, "--exclude", str(excluded), "--out", str(tmp_path / "first")])
    make_transformer.main([*arguments, "--start", str(tmp_path / "first"), "--out", str(tmp_path / "second")])
    first, second = (MaskedLM.from_pretrained(tmp_path / each) for each in ("first", "second"))
    assert first.card_.counts["materials"] < second.card_.counts["materials"] == len(crystals)
    assert "--exclude FORMULAS (1)" in first.card_.settings["command"]
    assert [one["counts"] for one in second.card_.corpus["trained_before"]] == [first.card_.counts]
