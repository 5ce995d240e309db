"""SetTransformer in the library that it is written for, and a training that goes wrong."""

import subprocess
import sys
from importlib.resources import files

import pytest

import matembed as me

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
torch.set_num_threads(1)

FOLDER = files("matembed") / "pretrained" / "models" / "crystals"


def test_a_fresh_process_opens_a_folder_with_classes_of_the_library():
    script = f"""
import matembed.encoders.set_transformer
from transformers import AutoConfig, AutoModel, AutoTokenizer

network = AutoModel.from_pretrained({str(FOLDER)!r})
print(type(network).__name__, AutoConfig.from_pretrained({str(FOLDER)!r}).hidden_size)
print(AutoTokenizer.from_pretrained({str(FOLDER)!r}).convert_ids_to_tokens([0]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["SetTransformer 160", "['[PAD]']"]


def test_importing_the_package_imports_no_torch():
    script = "import sys, matembed, matembed.encoders.masked_lm; print({'torch', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_loss_that_is_not_finite_ends_training(tmp_path):
    sets = me.formula_sets(["LiCl", "NaCl", "KCl", "MgO", "CaO", "TiO2"])
    model = me.MaskedLM(dim=16, n_layers=1, n_heads=2, feed_forward=32, epochs=3, learning_rate=1e30)
    with pytest.raises(ValueError, match=r"training diverged in epoch \d, step \d: .* lower learning_rate"):
        model.fit(sets, checkpoint=tmp_path)
    assert not hasattr(model, "network_")
