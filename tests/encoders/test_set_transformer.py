"""SetTransformer in the library that it is written for, and a training that goes wrong."""

import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from packaging.version import Version
from pymatgen.core import Lattice, Structure

import matembed as me

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)

from matembed.corpus.set_words import WORDS  # noqa: E402
from matembed.encoders._masking import Index, asking, hide  # noqa: E402
from matembed.encoders.set_transformer import WordTokenizer, word_tokenizer  # noqa: E402

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


@pytest.fixture
def question():
    """What the network is asked when the motifs of three salts are hidden."""
    index = Index(me.structure_sets(list(salts())))
    wanted = asking(index, "formula", hidden=np.ones(3, dtype=bool), symmetry=False)
    return hide(index, wanted).tensors(torch, "cpu")


def salts():
    for cation, a in (("Li", 5.14), ("Na", 5.64), ("K", 6.29)):
        yield Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_as_a_masked_language_model_of_the_library_it_tells_the_same(question):
    network = transformers.AutoModelForMaskedLM.from_pretrained(str(FOLDER), dtype=torch.float32)
    expected = me.MaskedLM.from_pretrained("crystals").network_(**question).logits
    assert torch.equal(network.eval()(**question).logits, expected)
    assert expected.shape == (len(question["ask"]), len(WORDS))


def test_the_library_finds_and_sets_the_vectors_of_words(question):
    network = transformers.AutoModel.from_pretrained(str(FOLDER), dtype=torch.float32)
    assert network.get_input_embeddings() is network.words
    network.set_input_embeddings(torch.nn.Embedding(*network.words.weight.shape))
    assert not torch.equal(network(**question).logits, me.MaskedLM.from_pretrained(FOLDER).network_(**question).logits)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")  # of newer versions
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_of_gradients_change_no_gradient(question, reentrant):
    gradients = []
    for checkpoints in (False, True):
        network = transformers.AutoModel.from_pretrained(str(FOLDER), dtype=torch.float32).train()
        if checkpoints:
            network.gradient_checkpointing_enable({"use_reentrant": reentrant})
        torch.manual_seed(0)  # of dropout
        out = network(**question, output_attentions=True)
        assert len(out.attentions) == network.config.n_layers
        out.logits.logsumexp(dim=1).sum().backward()
        gradients.append({name: each.grad for name, each in network.named_parameters()})
    for name, gradient in gradients[0].items():
        assert (gradient is None) == (gradients[1][name] is None)
        assert gradient is None or torch.equal(gradient, gradients[1][name])


def test_words_become_text_and_the_same_words_again(tmp_path):
    ids = list(range(len(WORDS)))
    folder = me.MaskedLM.from_pretrained("crystals").save_pretrained(tmp_path / "model")
    for opener in (transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast):
        tokenizer = opener.from_pretrained(folder)
        assert tokenizer.decode(ids) == ", ".join(WORDS.words)
        assert tokenizer(tokenizer.decode(ids))["input_ids"] == ids
        assert tokenizer.decode([0, 33, 19], skip_special_tokens=True) == "Ti, O"
        assert tokenizer.decode([]) == ""
    shipped = transformers.AutoTokenizer.from_pretrained(str(FOLDER))
    assert shipped.get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("text", "word"),
    [("<motif>, Xx", "'Xx'"), (["Ti", "O, ox+99"], "'ox+99'"), ("Ti,O", "'Ti,O'"), ([("O", "Xx")], "('O', 'Xx')")],
)
def test_a_word_that_is_none_is_named(text, word):
    for tokenizer in (word_tokenizer(), WordTokenizer.from_pretrained(str(FOLDER))):
        with pytest.raises(ValueError, match=f"no word .*{re.escape(word)}.* among 637; separate words by ', '"):
            tokenizer(text)


@pytest.mark.skipif(Version(transformers.__version__) < Version("5.24"), reason="may open the plain class")
def test_the_library_opens_the_class_that_names_words(tmp_path):
    me.MaskedLM.from_pretrained("crystals").save_pretrained(tmp_path / "model")
    assert isinstance(transformers.AutoTokenizer.from_pretrained(tmp_path / "model"), WordTokenizer)


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
