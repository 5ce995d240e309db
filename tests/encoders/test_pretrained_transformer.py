"""The transformer that comes with the package: small, documented, and right about what every chemist knows."""

from importlib.resources import files

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import transformers  # noqa: E402
from safetensors import safe_open  # noqa: E402

from matembed.corpus.set_building import formula_sets, structure_sets  # noqa: E402
from matembed.downstream.fine_tuning import TransformerRegressor  # noqa: E402
from matembed.embeddings import UnknownTokenError  # noqa: E402
from matembed.encoders.masked_lm import MaskedLM  # noqa: E402
from matembed.pretrained import MODELS, make_transformer  # noqa: E402
from matembed.sources.prototypes import read_prototypes  # noqa: E402

FOLDER = files("matembed") / "pretrained" / "models"


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.set_num_threads(1)
    return MaskedLM.from_pretrained(request.param)


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
    assert card.settings["command"].startswith("python -m matembed.pretrained.make_transformer SETS EXPERIMENTAL")
    (all_crystals,) = card.corpus["trained_before"]
    assert all_crystals["counts"]["materials"] > 130_000
    assert 30_000 < card.counts["materials"] < all_crystals["counts"]["materials"]
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


def test_a_name_that_is_none_is_refused_at_once():
    for name in ("crystal", "/nothing/here", "./out", "a/b/c"):
        with pytest.raises(
            OSError, match=rf"'{name}' is no folder, nor a model of the package \(crystals, crystals-large"
        ):
            MaskedLM.from_pretrained(name)


def test_a_folder_of_something_else_hides_no_model_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("crystals", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "NaCl.cif").touch()
    assert MaskedLM.from_pretrained("crystals").dim == 160
    with pytest.raises(OSError, match=r"'other' is a folder without config\.json, nor a model"):
        MaskedLM.from_pretrained("other")


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
        ("Al2O3", "Al", 3, "O:6"),
        ("MgAl2O4", "Mg", 2, "T:4"),
    ],
)
def test_it_knows_the_coordination_that_textbooks_have(model, formula, element, oxidation, geometry):
    best = model.fill_mask(formula, element=element, n=1)
    assert best.loc[0, ["oxidation", "geometry"]].tolist() == [oxidation, geometry]


@pytest.mark.parametrize(
    ("formula", "element"), [("Co3O4", "Co"), ("Mn3O4", "Mn"), ("ZnMn2O4", "Mn"), ("LiMn2O4", "Mn")]
)
def test_it_knows_the_sites_of_spinels(model, formula, element):
    best = model.fill_mask(formula, element=element, n=1).set_index("oxidation")["geometry"].to_dict()
    assert best.pop(2, "T:4") == "T:4"
    assert set(best.values()) == {"O:6"}


@pytest.mark.parametrize("formula", ["Fe", "He", "O2", "Ni3Al", "MgB2", "FeSi", "Fe0.25Ni0.75", "MnO4", "KO2", "TiSi2"])
def test_it_invents_no_oxidation_state_where_none_balance(model, formula):
    assert model.fill_mask(formula, n=2)["oxidation"].isna().all()
    rows = model.predict_geometry(formula_sets([formula], oxidation="balanced")).index.to_frame()
    assert rows["oxidation"].isna().all()


@pytest.mark.parametrize(
    ("formula", "element", "oxidation"),
    [
        ("MnO4-", "Mn", 7),
        ("ClO4-", "Cl", 7),
        ("Fe^3+", "Fe", 3),
        ("Fe3+", "Fe", 3),
        ("Fe2+", "Fe", 2),
        ("SO4^2-", "S", 6),
        ("Zr0.92Y0.08O1.96", "Y", 3),
    ],
)
def test_the_charge_of_an_ion_and_fractions_are_balanced(model, formula, element, oxidation):
    table = model.fill_mask(formula, element=element, n=1)
    assert table[["material", "oxidation"]].values.tolist() == [[formula, oxidation]]


def test_elements_of_no_crystal_are_refused(model):
    assert len(model.seen_["element"]) == 89
    for formula, symbol in (("PoO2", "Po"), ("RaO", "Ra"), ("OgF2", "Og")):
        with pytest.raises(UnknownTokenError, match=f"no vector was learned for {symbol} in .*; 89 elements are known"):
            model.fill_mask(formula)
        assert len(model.fill_mask(formula, on_missing="guess", n=3)) == 3


def test_sizes_of_a_regressor_do_not_matter_where_a_model_is_given():
    formulas, gaps = ["LiF", "NaF", "KF", "LiCl", "NaCl", "KCl"], [14.2, 11.5, 10.8, 9.4, 8.5, 8.4]  # eV
    regressor = TransformerRegressor("crystals", dim=7, n_heads=2, freeze="body", max_epochs=1)
    assert np.isfinite(regressor.fit(formulas, gaps).predict(["RbF"])).all()


def test_told_the_rest_of_a_crystal_it_finds_more_geometries(model):
    """On prototypes, each a structure type of its own; some are among what it was trained on."""
    structures = [row.to_structure() for row in read_prototypes()]
    sets = structure_sets([one for one in structures if len(one) <= 40])
    sets = sets[[row for row in range(len(sets)) if (sets[row].kinds == 2).any()]]
    truth = {(row.material, row.element): row.geometry for row in _geometries(sets)}
    right = {}
    for given in ("formula", "others", "links"):
        best = model.predict_geometry(sets, given=given, on_missing="guess").idxmax(axis=1).reset_index()
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


def test_make_transformer_reads_all_and_then_what_was_made(tmp_path):
    structures = [row.to_structure() for row in read_prototypes(limit=12)]
    sets = structure_sets(structures)
    sets.write(tmp_path / "sets")
    made, excluded = tmp_path / "made.txt", tmp_path / "exclude.txt"
    made.write_text("\n".join(sets.ids[:5]))
    excluded.write_text(sets.formulas[0] + "\n")
    n_excluded = sets.formulas.count(sets.formulas[0])
    arguments = [str(tmp_path / "sets"), str(made), "--epochs", "2", "1", "--out", str(tmp_path / "model")]
    make_transformer.main([*arguments, "--exclude", str(excluded)])
    card = MaskedLM.from_pretrained(tmp_path / "model").card_
    (before,) = card.corpus["trained_before"]
    assert before["counts"]["materials"] == len(sets) - n_excluded
    assert card.counts["materials"] == sum(formula != sets.formulas[0] for formula in sets.formulas[:5])
    assert (before["settings"]["epochs"], card.settings["epochs"]) == (2, 1)
    assert card.settings["command"].endswith("--size small --device cpu --epochs 2 1 --exclude FORMULAS")


def test_make_transformer_refuses_ids_of_another_database(tmp_path, capsys):
    formula_sets(["NaCl", "KCl"]).write(tmp_path / "sets")
    (tmp_path / "made.txt").write_text("mp-1\n")
    with pytest.raises(SystemExit):
        make_transformer.main([str(tmp_path / "sets"), str(tmp_path / "made.txt")])
    assert "none of the 1 ids" in capsys.readouterr().err
