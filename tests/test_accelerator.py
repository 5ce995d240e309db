"""What must be true of every network on an accelerator: it learns there, and says the same on a processor after."""

import pickle

import numpy as np
import pytest
from pymatgen.core import Composition

import matembed as me

torch = pytest.importorskip("torch")
for library in ("transformers", "torch_geometric", "e3nn"):
    pytest.importorskip(library)
torch.set_num_threads(1)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no accelerator"),
]
DEVICE = "cuda"
ROUNDING = 1e-4  # of the largest number: float32, summed in another order by several layers

CATIONS, ANIONS = ("Li", "Na", "K", "Rb", "Mg", "Ca", "Sr", "Ba"), ("F", "Cl", "Br", "O", "S", "Se")
FORMULAS = [f"{cation}{n}{anion}" for cation in CATIONS for anion in ANIONS for n in (1, 2)]
SIZES = {"dim": 16, "n_layers": 1, "n_heads": 2, "feed_forward": 32}
TRAINING = {"max_epochs": 5, "batch_size": 16, "device": DEVICE}


@pytest.fixture(scope="module")
def crystals():
    return [row.to_structure() for row in me.read_prototypes(limit=40)]


def of_formulas():
    return FORMULAS, np.array([Composition(formula).weight for formula in FORMULAS])


def of_crystals(crystals, merge=True):
    graphs = me.graphs.atom_motif_graphs(crystals, merge=merge)
    return graphs, np.array([crystal.volume / len(crystal) for crystal in crystals])


NETWORKS = {
    "CompositionRegressor": lambda: me.CompositionRegressor(me.load("elements"), width=16, n_heads=2, **TRAINING),
    "CompositionClassifier": lambda: me.CompositionClassifier(me.load("elements"), width=16, n_heads=2, **TRAINING),
    "TransformerRegressor": lambda: me.TransformerRegressor(**SIZES, **TRAINING),
    "AtomMotifRegressor": lambda: me.AtomMotifRegressor(width=16, **TRAINING),
    "AtomMotifRegressor, two members": lambda: me.AtomMotifRegressor(width=16, n_members=2, **TRAINING),
    "AtomMotifRegressor, equivariant": lambda: me.AtomMotifRegressor(
        width=8, atom_layers="equivariant", elements=me.load("elements"), **TRAINING
    ),
    "TensorRegressor": lambda: me.graphs.TensorRegressor(width=8, **TRAINING),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_learned_there_holds_on_a_processor(name, crystals):
    model = NETWORKS[name]()
    if name.startswith(("Composition", "Transformer")):
        X, y = of_formulas()
    else:
        X, y = of_crystals(crystals, merge="equivariant" not in name and name != "TensorRegressor")
    if name == "TensorRegressor":
        y = y[:, None, None] * np.eye(3)
    if name == "CompositionClassifier":
        y = y > np.median(y)
    model.fit(X, y)
    ask = model.predict_proba if name == "CompositionClassifier" else model.predict
    there = ask(X)
    here = pickle.loads(pickle.dumps(model)).set_params(device="cpu")
    told = here.predict_proba(X) if name == "CompositionClassifier" else here.predict(X)
    np.testing.assert_allclose(there, told, atol=ROUNDING * np.abs(told).max())
    assert np.std(told) > 0
    assert not any(weight.is_cuda for member in model.members_ for weight in member.parameters())


def test_losses_fall_there(crystals):
    graphs, volume = of_crystals(crystals)
    model = me.AtomMotifRegressor(width=16, validation_fraction=0, **(TRAINING | {"max_epochs": 30}))
    losses = [epoch["loss"] for epoch in model.fit(graphs, volume).history_[0]]
    assert losses[-1] < losses[0]


def test_a_transformer_is_trained_there_and_opened_anywhere(tmp_path, crystals):
    sets = me.structure_sets(crystals)
    model = me.MaskedLM(**SIZES, epochs=3, device=DEVICE, precision="float32").fit(sets)
    there = model.encode(sets)
    folder = model.save_pretrained(tmp_path / "model")
    here = me.MaskedLM.from_pretrained(folder)
    assert not any(weight.is_cuda for weight in here.network_.parameters())
    np.testing.assert_allclose(there, here.encode(sets), atol=ROUNDING * np.abs(there).max())
