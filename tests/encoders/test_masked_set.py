"""MaskedSet: sets with fractions, in any order, and nothing of PyTorch's left changed."""

import itertools
import math
import random
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from matembed.encoders import MaskedSet  # noqa: E402
from matembed.encoders.masked_set import _Network  # noqa: E402

SENTENCES = [
    ["Li", "Cl"],
    ["Na", "Cl"],
    ["Sr", "Ti", "O", "O", "O"],
    ["Ba", "Ti", "O", "O", "O"],
    ["Ti", "O", "O"],
    ["Al", "Al", "O", "O", "O"],
    ["Li", "Na", "Al", "Ti", "Cl", "O"],
]


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def small(**settings):
    return MaskedSet(**{"dim": 8, "feed_forward": 8, "epochs": 3} | settings)


def vectors(sentences=SENTENCES, **settings):
    """Vectors by token: the order of rows depends on counts."""
    table = small(**settings).fit(sentences).embeddings()
    return {token: table[token].tobytes() for token in table.tokens}


def test_order_of_tokens_and_of_sentences_does_not_matter():
    shuffled = [random.Random(idx).sample(sentence, len(sentence)) for idx, sentence in enumerate(SENTENCES)]
    assert shuffled != SENTENCES
    assert vectors(shuffled) == vectors()
    assert vectors(SENTENCES[::-1]) == vectors()


def test_only_ratios_of_counts_matter():
    sentences = [["Sr", "Ti", "O"], ["Sr", "O"], ["Ti", "O"]]  # counts of tokens keep their order when doubled
    assert vectors([sentences[0] * 2, *sentences[1:]]) == vectors(sentences)
    assert vectors([["Sr", "Ti", "O", "O", "O"], *sentences[1:]]) != vectors(sentences)


def test_a_distinct_set_counts_once_however_often_it_comes():
    often = SENTENCES + SENTENCES[-1:] * 3
    order = small().fit(SENTENCES).vocabulary_.tokens
    in_order = [[token for token in order for _ in range(s.count(token))] for s in SENTENCES]
    weights = {distinct: small(distinct=distinct).fit(often) for distinct in (True, False)}
    assert weights[True].embeddings().card.counts["sentences"] == len(often)
    assert not np.array_equal(weights[True].vectors_, weights[False].vectors_)
    assert vectors(in_order, distinct=False) == vectors(distinct=True)


def test_a_set_of_one_token_is_skipped():
    assert vectors([*SENTENCES, ["O"], ["O", "O"], []]) == vectors()


@pytest.mark.parametrize("seed", [0, 2**40])
def test_seed_decides(seed):
    assert vectors(seed=seed) == vectors(seed=seed)
    assert vectors(seed=seed) != vectors(seed=seed + 1)


@pytest.mark.parametrize(
    "setting",
    [
        {"n_layers": 2},
        {"n_heads": 2},
        {"feed_forward": 4},
        {"epochs": 4},
        {"batch_size": 2},
        {"learning_rate": 0.002},
        {"weight_decay": 0.5},
    ],
    ids=str,
)
def test_every_setting_reaches_the_network(setting):
    assert vectors(**setting) != vectors()


def test_pytorch_is_left_as_it_was():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    plain = vectors()
    torch.set_num_threads(2)
    with torch.no_grad():
        assert vectors() == plain
        assert not torch.is_grad_enabled()
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_loss_falls_from_that_of_a_guess():
    pairs = [[f"A{i}", f"B{i}"] for i in range(8)]  # the partner names the hidden token
    encoder = small(dim=16, epochs=200).fit(pairs)
    assert encoder.loss_.shape == (200,)
    assert encoder.loss_[0] == pytest.approx(math.log(16), abs=0.2)  # of 16 tokens; the first scores are about 0.1
    assert encoder.loss_[-1] < 0.1


def network(rng):
    return _Network(small(dim=8), 6, np.array([0.25, 0.5, 0.75]), rng, torch)


def test_guess_does_not_see_what_is_hidden_nor_the_order_of_the_others():
    net = network(np.random.default_rng(0))
    ids, fractions = torch.tensor([[0, 1, 2]]), torch.tensor([[1, 0, 0]])
    with torch.no_grad():
        losses = [net.loss(torch.tensor([[hidden, 1, 2]]), fractions) for hidden in range(6)]
        # exp(-loss) are the chances of all tokens: they add up to one only if the context does not depend on them
        assert float(torch.exp(-torch.stack(losses)).sum()) == pytest.approx(1, abs=1e-5)  # float32
        swapped = net.loss(ids[:, [0, 2, 1]], fractions[:, [0, 2, 1]])
        assert float(swapped) == pytest.approx(float(losses[0]), abs=1e-5)
        assert float(net.loss(ids, torch.tensor([[1, 0, 2]]))) != pytest.approx(float(losses[0]), abs=1e-3)


def test_a_batch_equals_its_members_one_by_one():
    net = network(np.random.default_rng(0))
    ids, fractions = torch.tensor([[0, 1, 2], [3, 4, 5], [5, 1, 0]]), torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    with torch.no_grad():
        alone = sum(float(net.loss(ids[i : i + 1], fractions[i : i + 1])) for i in range(3))
        assert float(net.loss(ids, fractions)) == pytest.approx(alone, rel=1e-5)  # float32


def test_layers_are_those_of_pytorch():
    net = network(np.random.default_rng(3))
    layer = net.layers[0]
    theirs = torch.nn.TransformerEncoderLayer(8, 4, 8, dropout=0.0, norm_first=True, batch_first=True)
    (query, query_bias), (both, both_bias) = layer["query"], layer["key_value"]
    weights = {
        "self_attn.in_proj_weight": torch.cat([query, both]),
        "self_attn.in_proj_bias": torch.cat([query_bias, both_bias]),
    }
    names = {
        "self_attn.out_proj": "mixed",
        "linear1": "wide",
        "linear2": "narrow",
        "norm1": "before",
        "norm2": "between",
    }
    for their_name, our_name in names.items():
        weights[f"{their_name}.weight"], weights[f"{their_name}.bias"] = layer[our_name]
    theirs.load_state_dict(weights)
    members = torch.from_numpy(np.random.default_rng(4).standard_normal((5, 3, 8)).astype(np.float32))
    with torch.no_grad():
        expected = theirs(members)
        torch.testing.assert_close(net._layer(members, members, layer), expected)
        torch.testing.assert_close(net._layer(members[:, :1], members, layer), expected[:, :1])


def test_long_sets_are_trained_in_smaller_batches(monkeypatch):
    sentences = [*SENTENCES, [f"word{i}" for i in range(40)], [f"word{i}" for i in range(1, 41)]]
    plain = vectors(sentences)
    assert len(plain) == 49
    monkeypatch.setattr("matembed.encoders.masked_set._PAIRS", 40**2)
    assert vectors(sentences) != plain


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"n_layers": 0}, "n_layers must be a whole number"),
        ({"n_heads": 0}, "n_heads must be a whole number"),
        ({"n_heads": 3}, "dim must be a multiple of n_heads=3, got 8"),
        ({"feed_forward": 0}, "feed_forward must be a whole number"),
        ({"epochs": 0}, "epochs must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a finite number, more than 0"),
        ({"weight_decay": math.inf}, "weight_decay must be a finite number"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
        ({"seed": None}, "seed must be a whole number"),
    ],
    ids=str,
)
def test_settings_of_its_own_are_checked(setting, says):
    with pytest.raises(ValueError, match=says):
        small(**setting).fit(SENTENCES)


class Changing:
    """Sentences that fail, or are gone, when they are read again."""

    def __init__(self):
        self.passes = itertools.count()

    def __iter__(self):
        if next(self.passes) > 1:
            raise FileNotFoundError("sentences are gone")
        return iter(SENTENCES)


def test_sentences_that_fail_later_raise():
    sentences = Changing()
    iter(sentences)
    with pytest.raises(FileNotFoundError, match="are gone"):
        small().fit(sentences)


def test_progress_is_shown_when_asked(capfd):
    small().fit(SENTENCES)
    assert capfd.readouterr().err == ""
    small(progress=True).fit(SENTENCES)
    assert f"{3 * len(SENTENCES):.1f}" in capfd.readouterr().err


def test_without_pytorch_the_error_names_the_remedy():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from matembed.encoders import MaskedSet\n"
        "try:\n    MaskedSet().fit([['Ti', 'O']])\n"
        "except ImportError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "matembed[transformer]"' in ran.stdout
