"""MaskedLM: sets in any order, alone or in batches; what is hidden stays hidden; a run that was cut ends the same."""

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import huggingface_hub  # noqa: E402

from matembed.cards import Card  # noqa: E402
from matembed.corpus.material_sets import MaterialSets  # noqa: E402
from matembed.corpus.set_building import formula_sets, structure_sets  # noqa: E402
from matembed.corpus.set_words import TOKEN_KINDS, WORD_PARTS, WORDS  # noqa: E402
from matembed.embeddings import UnknownTokenError  # noqa: E402
from matembed.encoders import _mlm_training  # noqa: E402
from matembed.encoders._masking import STATE_WORDS, Index, draw, hide, nothing_hidden  # noqa: E402
from matembed.encoders._states import read_states  # noqa: E402
from matembed.encoders._training import plain_settings  # noqa: E402
from matembed.encoders.masked_lm import MaskedLM  # noqa: E402
from matembed.encoders.set_transformer import SetTransformer, SetTransformerConfig  # noqa: E402
from matembed.sources.prototypes import read_prototypes  # noqa: E402

SMALL = {"dim": 32, "n_layers": 2, "n_heads": 2, "feed_forward": 64, "batch_tokens": 512}
GEOMETRIES = ("T:4", "O:6", "C:8")
# Numbers near 1 in 32 bits, summed in another order: a few times 1e-7.
ROUNDING = 1e-6


def token(kind, words, amount=1.0, csm=np.nan):
    """A token as (kind, [(word, weight, group)], amount, csm)."""
    named = [(f"<{kind.replace('_', ' ')}>", 1, -1), *((*word, -1)[:3] for word in words)]
    return (TOKEN_KINDS.index(kind), named, amount, csm)


def build(materials):
    """Put materials, given as lists of tokens, into columns."""
    tokens = [each for material in materials for each in material]
    words = [word for each in tokens for word in each[1]]
    return MaterialSets(
        ids=tuple(str(idx) for idx in range(len(materials))),
        formulas=tuple(f"made up {idx}" for idx in range(len(materials))),
        vocabulary=WORDS,
        token_starts=np.cumsum([0, *map(len, materials)]),
        kinds=[each[0] for each in tokens],
        amounts=[each[2] for each in tokens],
        csms=[each[3] for each in tokens],
        word_starts=np.cumsum([0, *(len(each[1]) for each in tokens)]),
        words=[WORDS.id(word) for word, _, _ in words],
        weights=[weight for _, weight, _ in words],
        groups=[group for _, _, group in words],
        card=Card("made-up", licence="CC0-1.0"),
    )


def take_apart(sets):
    """The inverse of `build`."""
    materials = []
    for start, stop in zip(sets.token_starts[:-1], sets.token_starts[1:], strict=True):
        materials.append([])
        for idx in range(start, stop):
            span = slice(sets.word_starts[idx], sets.word_starts[idx + 1])
            words = [
                (WORDS.words[word], float(weight), int(group))
                for word, weight, group in zip(sets.words[span], sets.weights[span], sets.groups[span], strict=True)
            ]
            materials[-1].append((int(sets.kinds[idx]), words, float(sets.amounts[idx]), float(sets.csms[idx])))
    return materials


def compound(first, second, anion, geometries):
    """A compound of two cations and an anion, 1:1:2, and the geometries of the cations."""
    tokens = [
        token("element", [(symbol, 1)], amount) for symbol, amount in ((first, 0.25), (second, 0.25), (anion, 0.5))
    ]
    for group, (symbol, geometry) in enumerate(zip((first, second), geometries, strict=True)):
        words = [(symbol, 1, group), ("ox+2", 1, group)]
        tokens.append(token("species", words, 0.25))
        cn = geometry.partition(":")[2]
        words += [(geometry, 1, group), (f"cn{cn}", 1, group), (f"ligand {anion}", 1, group)]
        tokens.append(token("motif", words, 0.25, 0.5 + group))
    ends = [
        [(word, 1, group) for word in (symbol, "ox+2", geometry)]
        for group, (symbol, geometry) in enumerate(zip((first, second), geometries, strict=True))
    ]
    for near, far in (ends, ends[::-1]):
        tokens.append(token("connection", [("corner", 1), *near, *((word, 0.5, group) for word, _, group in far)], 0.5))
    around = [(word, weight, group) for end, weight in zip(ends, (0.2, 0.4), strict=True) for word, _, group in end]
    tokens.append(token("ligand", [(anion, 1), ("ox-2", 1), *around], 0.5))
    return tokens


CATIONS = ("Mg", "Zn", "Co", "Fe", "Mn", "Cd", "Ca", "Sr", "Pb", "Ba")  # the later, the larger
ANIONS = ("O", "S", "Se")


def rule(symbol, anion):
    """Among larger anions a cation has fewer neighbours."""
    return GEOMETRIES[np.clip((CATIONS.index(symbol) - 2 * ANIONS.index(anion) + 1) // 3, 0, 2)]


def made_up(shuffled=False):
    """Compounds whose geometries follow from the element and the anion; or the same with labels mixed up."""
    chosen = [(a, b, x) for a in CATIONS for b in CATIONS if a < b for x in ANIONS]
    labels = [(rule(a, x), rule(b, x)) for a, b, x in chosen]
    if shuffled:
        flat = np.random.default_rng(0).permutation(np.ravel(labels)).reshape(-1, 2)
        labels = [tuple(pair) for pair in flat.tolist()]
    return build([compound(*each, label) for each, label in zip(chosen, labels, strict=True)])


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def crystals():
    """Small crystals with motifs and symmetry; some elements have several geometries or oxidation states."""
    structures = [row.to_structure() for row in read_prototypes(limit=200)]
    more = {"SrCuO2", "PbO", "NaCl", "CdI2", "TlSe"}  # so that each element of `made_up` was seen
    chosen = structures[:60] + [each for each in structures[60:] if each.reduced_formula in more]
    sets = structure_sets([each for each in chosen if len(each) <= 24])
    return sets[[idx for idx in range(len(sets)) if (sets[idx].kinds == TOKEN_KINDS.index("motif")).any()]]


@pytest.fixture(scope="module")
def model(crystals):
    return MaskedLM(**SMALL, epochs=2).fit(crystals)


def weights(model):
    return b"".join(each.detach().numpy().tobytes() for each in model.network_.parameters())


# The same set, however it is written


def test_order_of_tokens_does_not_matter(model, crystals):
    rng = np.random.default_rng(0)
    shuffled = build([[material[idx] for idx in rng.permutation(len(material))] for material in take_apart(crystals)])
    assert not np.array_equal(shuffled.kinds, crystals.kinds)
    np.testing.assert_allclose(model.encode(shuffled), model.encode(crystals), atol=ROUNDING)
    for given in ("formula", "others", "links"):
        before, after = (model.predict_geometry(sets, given=given).to_numpy() for sets in (crystals, shuffled))
        np.testing.assert_allclose(after, before, atol=ROUNDING)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_batch_equals_its_members_one_by_one(model, crystals, pooling):
    one_by_one = np.concatenate([model.encode(crystals[idx], pooling=pooling) for idx in range(len(crystals))])
    np.testing.assert_allclose(model.encode(crystals, pooling=pooling), one_by_one, atol=ROUNDING)
    with_motifs = [idx for idx in range(len(crystals)) if (crystals[idx].kinds == 2).any()]
    alone = pd.concat([model.predict_geometry(crystals[idx], given="links") for idx in with_motifs])
    together = model.predict_geometry(crystals[with_motifs], given="links")
    assert together.index.equals(alone.index)
    np.testing.assert_allclose(together, alone, atol=ROUNDING)


# What is hidden


def hide_slowly(material, objective, group, element, hides_oxidation, symmetry, structure):
    """Hide something of one material, as the definition reads: its tokens as a multiset, and answers by question."""
    hidden = {}
    links, ligands = Counter(), Counter()
    tokens, motifs, shared = [], [], Counter()
    amount_of = {  # of each element, and of each species
        tuple(word for word, *_ in words[1:]): amount
        for kind, words, amount, _ in material
        if TOKEN_KINDS[kind] in ("element", "species")
    }
    for kind, words, amount, csm in material:
        name = TOKEN_KINDS[kind]
        groups = [each for _, _, each in words if each >= 0]
        touched = name in ("motif", "connection", "ligand") and (group == "all" or group in groups)
        gone = name in ("site", "space_group") and not symmetry
        gone |= name != "element" and not structure
        gone |= name == "species" and hides_oxidation
        gone |= name == "connection" and touched and objective != "links"
        gone |= name == "ligand" and group == "all"
        if gone:
            continue
        if name == "motif" and touched:
            symbol, oxidation, geometry = words[1][0], words[2][0], words[3][0]
            key = symbol if objective == "formula" and hides_oxidation else groups[0]
            hidden.setdefault(key, []).append((groups[0], symbol, oxidation, geometry, amount))
            continue
        told, n_around = [], 0
        for word, weight, of in words:
            part = WORD_PARTS[WORDS.part[WORDS.id(word)]]
            if name == "ligand" and of >= 0 and of == group:
                continue
            if name == "ligand" and of >= 0 and part == "element":
                n_around += weight / (1 - weight)
            if name == "connection" and of >= 0 and of == group:
                if part == "geometry":
                    word = "[HIDDEN geometry]"
                elif part == "oxidation" and hides_oxidation:
                    word = "[HIDDEN oxidation]"
            if word == f"ligand {element}":
                continue
            told.append(("[HIDDEN element]" if word == element else word, weight))
        if name == "connection":
            first = next(word for word, _, of in words if of >= 0 and ":" in word)
            seen_from = (groups[0], "[HIDDEN geometry]" if groups[0] == group else first)
            shared[seen_from, words[1][0]] += amount / (1 - amount)
        if name == "connection" and touched:
            links[summed(told)] += amount / (1 - amount)
        elif name == "motif":
            motifs.append(((groups[0], words[3][0]), told, amount, amount, csm))
        elif name == "ligand":
            ligands[summed(told), (0.0, 0.0, 0.0, round(4.0 * n_around, 2))] += amount
        else:
            tokens.append((summed(told), round(amount, 4), round(csm, 4), (0.0,) * 4))
    tokens += [(words, round(n / (1 + n), 4), np.nan, (0.0,) * 4) for words, n in links.items()]
    tokens += [(words, round(amount, 4), np.nan, counts) for (words, counts), amount in ligands.items()]
    answers = []
    for parts in hidden.values():
        total = sum(amount for *_, amount in parts)
        number, symbol, oxidation = parts[0][:3]
        words = ["<motif>", symbol, "[HIDDEN oxidation]" if hides_oxidation else oxidation, "[HIDDEN geometry]"]
        merged = objective == "formula" and hides_oxidation
        said = amount_of[(symbol,)] if merged else amount_of.get((symbol, oxidation), amount_of[(symbol,)])
        motifs.append(((number, "[HIDDEN geometry]"), [(word, 1) for word in words], total, said, np.nan))
        answers.append(("geometry", symbol, shares((geometry, amount) for *_, geometry, amount in parts)))
        if hides_oxidation:
            states = [(state, amount) for _, _, state, _, amount in parts if state != "ox?"]
            answers.append(("oxidation", symbol, shares(states)))
    for key, told, _, said, csm in motifs:
        of_group = sum(each for (number, _), _, each, *_ in motifs if number == key[0])
        alike = sum(each for other, _, each, *_ in motifs if other == key)
        counts = [round(4.0 * shared[key, word] * of_group / alike, 2) for word in ("corner", "edge", "face")]
        tokens.append((summed(told), round(said, 4), round(csm, 4), (*counts, 0.0)))
    return tokens, answers


def summed(words):
    total = Counter()
    for word, weight in words:
        total[word] += round(float(weight), 4)
    return tuple(sorted(total.items()))


def shares(parts):
    total = Counter()
    for word, amount in parts:
        total[word] += amount
    whole = sum(total.values())
    return tuple(sorted((word, round(amount / whole, 3)) for word, amount in total.items()))


def decoded(question):
    """Tokens of each material of a question, and answers, as `hide_slowly` writes them."""
    tokens = []
    for start, stop in zip(question.token_starts[:-1], question.token_starts[1:], strict=True):
        tokens.append([])
        for idx in range(start, stop):
            span = slice(question.word_starts[idx], question.word_starts[idx + 1])
            named = zip(question.words[span], question.weights[span], strict=True)
            words = summed((WORDS.words[word], float(weight)) for word, weight in named)
            numbers = round(float(question.amounts[idx]), 4), round(float(question.csms[idx]), 4)
            tokens[-1].append((words, *numbers, tuple(round(float(n), 2) for n in question.counts[idx])))
    answers = [[] for _ in tokens]
    names = [[WORDS.words[word] for word in words] for words in (WORDS.ids("geometry"), STATE_WORDS)]
    hides = question.hides_oxidation
    for what, target, groups, words in zip(
        ("geometry", "oxidation"), question.targets, (np.arange(len(hides)), np.flatnonzero(hides)), names, strict=False
    ):
        for group, row in zip(groups, target, strict=True):
            told = tuple(sorted((words[at], round(float(row[at]), 3)) for at in np.flatnonzero(row)))
            answers[question.group_rows[group]].append((what, WORDS.words[question.group_elements[group]], told))
    return tokens, answers


def test_hiding_in_arrays_is_hiding_token_by_token(crystals):
    sets = MaterialSets.concat([crystals, made_up()[:10]])
    index = Index(sets)
    for seed in range(6):
        wanted = draw(index, MaskedLM(hide_oxidation=0.5), np.random.default_rng(seed))
        question = hide(index, wanted)
        tokens, answers = decoded(question)
        for row, material in enumerate(take_apart(sets)):
            group = int(wanted.group[row])
            expected_tokens, expected_answers = hide_slowly(
                material,
                ("formula", "others", "links", "element")[wanted.objective[row]],
                {-1: "all", -2: None}.get(group, group),
                WORDS.words[wanted.element[row]] if wanted.element[row] >= 0 else None,
                wanted.hides_oxidation[row],
                wanted.symmetry[row],
                wanted.structure[row],
            )
            assert sorted(map(repr, tokens[row])) == sorted(map(repr, expected_tokens))
            assert sorted(answers[row]) == sorted(expected_answers)
        assert (index.lengths(wanted) >= np.diff(question.token_starts) + 1).all()
        asked = question.ask[question.goals == 3]
        assert len(asked) == (wanted.objective == 3).sum()
        assert (question.words[question.word_starts[asked] + 1] == WORDS.id("[HIDDEN element]")).all()


def changed(material, group):
    """Give the motifs of a group another geometry, csm, cn, ligands and bonds, and the ends of connections too."""
    tokens = []
    for kind, words, amount, csm in material:
        name = TOKEN_KINDS[kind]
        if name == "motif" and words[1][2] == group:
            words = [*words[:3], *((word, 1.0, group) for word in ("TT_1:9", "cn9", "ligand N"))]
            # split in two of another geometry each: how many motifs there were does not tell either
            other = [*words[:3], *((word, 1.0, group) for word in ("L:2", "cn2", "ligand N"))]
            tokens.append((kind, other, amount / 2, 30.0))
            amount, csm = amount / 2, 12.0
        if name == "connection":
            words = [("TT_1:9" if of == group and ":" in word else word, weight, of) for word, weight, of in words]
        if name == "ligand":  # half of them are held by more, half by none
            others = [(word, weight, of) for word, weight, of in words if of != group]
            tokens.append((kind, others, amount / 2, csm))
            words = [
                ("TT_1:9" if of == group and ":" in word else word, 0.6 if of == group else weight, of)
                for word, weight, of in words
            ]
            amount /= 2
        tokens.append((kind, words, amount, csm))
    return tokens


@pytest.mark.parametrize("given", ["formula", "others", "links"])
@pytest.mark.parametrize("oxidation", ["known", "hidden"])
def test_what_is_hidden_does_not_leak(model, given, oxidation):
    sets = made_up()[:20]
    other = build([changed(material, 0) for material in take_apart(sets)])
    before, after = (
        model.predict_geometry(each, given=given, oxidation=oxidation, symmetry=True) for each in (sets, other)
    )
    firsts = [material[0][1][1][0] for material in take_apart(sets)]
    hidden = before.index.get_level_values("element") == np.repeat(firsts, 2)
    assert hidden.sum() == len(sets)
    np.testing.assert_allclose(after[hidden], before[hidden], atol=ROUNDING)
    if given == "formula":
        np.testing.assert_allclose(after, before, atol=ROUNDING)
    else:
        assert np.abs(after[~hidden].to_numpy() - before[~hidden].to_numpy()).max() > 1e-5  # the others see the change


def test_links_tell_and_others_do_not(model):
    sets = made_up()[:20]
    without = build(
        [[each for each in material if each[0] != TOKEN_KINDS.index("connection")] for material in take_apart(sets)]
    )
    for given, same in (("formula", True), ("others", True), ("links", False)):
        before, after = (model.predict_geometry(each, given=given).to_numpy() for each in (sets, without))
        assert np.allclose(before, after, atol=ROUNDING) is same


def test_symmetry_is_told_only_when_asked_for(model, crystals):
    without = build(
        [[each for each in material if each[0] < TOKEN_KINDS.index("site")] for material in take_apart(crystals)]
    )
    with_motifs = np.flatnonzero([(crystals[idx].kinds == 2).any() for idx in range(len(crystals))])
    for given, symmetry, same in (("others", False, True), ("others", True, False), ("formula", True, True)):
        before, after = (
            model.predict_geometry(each[with_motifs], given=given, symmetry=symmetry).to_numpy()
            for each in (crystals, without)
        )
        assert np.allclose(before, after, atol=ROUNDING) is same


# What is learned


@pytest.mark.parametrize("shuffled", [False, True])
def test_it_learns_what_follows_from_the_company(shuffled):
    sets = made_up(shuffled)
    held_out = np.arange(len(sets)) % 5 == 0
    model = MaskedLM(**SMALL | {"batch_tokens": 256}, epochs=60, learning_rate=0.005, dropout=0).fit(sets[~held_out])
    table = model.fill_mask(sets[held_out], n=1)
    anions = [material[2][1][1][0] for material in take_apart(sets[held_out])]
    expected = [rule(symbol, anion) for symbol, anion in zip(table["element"], np.repeat(anions, 2), strict=True)]
    right = (table["geometry"] == expected).mean()
    assert right < 0.6 if shuffled else right > 0.9  # by chance 1/3
    if not shuffled:
        (best,) = model.fill_mask("MgZnS2", element="Zn", n=1).itertuples()
        assert (best.geometry, best.oxidation) == (rule("Zn", "S"), 2)
        assert model.history_[-1]["formula"] < model.history_[0]["formula"] / 2


def test_losses_are_kept_by_what_was_asked(crystals):
    model = MaskedLM(**SMALL, epochs=2, hide_oxidation=0).fit(crystals, validation=made_up()[:20])
    names = {"loss", "formula", "others", "links", "element"}  # no oxidation state was hidden
    assert [set(row) for row in model.history_] == [{"epoch"} | names | {f"validation_{name}" for name in names}] * 2
    again = MaskedLM(**SMALL, epochs=2, hide_oxidation=0).fit(crystals)
    assert weights(again) == weights(model)


# Runs


def test_seed_decides_and_nothing_of_pytorch_is_changed(crystals):
    before = torch.get_rng_state()
    first, second, other = (MaskedLM(**SMALL, epochs=1, seed=seed).fit(crystals[:20]) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert weights(first) == weights(second) != weights(other)


def test_a_run_that_was_cut_ends_in_the_same_bytes(crystals, tmp_path, monkeypatch):
    settings = SMALL | {"epochs": 4}
    whole = MaskedLM(**settings).fit(crystals, validation=made_up()[:5])
    n_calls = Counter()

    def cut(index, wanted):
        n_calls["hide"] += 1
        if n_calls["hide"] > 7:
            raise KeyboardInterrupt
        return hide(index, wanted)

    monkeypatch.setattr(_mlm_training, "hide", cut)
    with pytest.raises(KeyboardInterrupt):
        MaskedLM(**settings).fit(crystals, validation=made_up()[:5], checkpoint=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["training.safetensors"]
    monkeypatch.undo()
    seen = []
    epoch = _mlm_training.Training._epoch
    monkeypatch.setattr(_mlm_training.Training, "_epoch", lambda *args: seen.append(args[2]) or epoch(*args))
    resumed = MaskedLM(**settings).fit(crystals, validation=made_up()[:5], checkpoint=tmp_path)
    assert seen[0] > 0
    assert weights(resumed) == weights(whole)
    assert resumed.history_ == whole.history_
    done = MaskedLM(**settings).fit(crystals, validation=made_up()[:5], checkpoint=tmp_path)
    assert weights(done) == weights(whole)
    with pytest.raises(ValueError, match="other settings or materials; remove it"):
        MaskedLM(**settings | {"seed": 1}).fit(crystals, validation=made_up()[:5], checkpoint=tmp_path)


class Alone:
    """Does for one process what an accelerate.Accelerator does."""

    device = torch.device("cpu")
    process_index, num_processes, is_main_process = 0, 1, True

    def prepare(self, *both):
        return both

    def backward(self, loss):
        loss.backward()

    def clip_grad_norm_(self, parameters, longest):
        torch.nn.utils.clip_grad_norm_(parameters, longest)

    def reduce(self, tensor, reduction):
        assert reduction == "sum"
        return tensor


class OneOfTwo(Alone):
    """One of two processes, after one another: each adds what those before it had summed; they share no gradients."""

    num_processes = 2

    def __init__(self, process_index, summed):
        self.process_index, self.summed, self.n_sums = process_index, summed, 0

    def reduce(self, tensor, reduction):
        total = super().reduce(tensor, reduction) + self.summed.get(self.n_sums, 0)
        self.summed[self.n_sums] = total
        self.n_sums += 1
        return total


def test_a_run_of_one_step_learns_something(model):
    sets = made_up()[:4]
    assert weights(MaskedLM(**SMALL, epochs=1).fit(sets, start=model)) != weights(model)


def test_a_checkpoint_that_cannot_be_kept_is_refused_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(_mlm_training.Training, "_epoch", lambda *_: pytest.fail("trained"))
    with pytest.raises(OSError, match="file"):
        MaskedLM(**SMALL).fit(made_up()[:4], checkpoint=tmp_path / "file")
    (tmp_path / "training.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"training\.safetensors is no whole state of training .*; remove it"):
        MaskedLM(**SMALL).fit(made_up()[:4], checkpoint=tmp_path)


def test_numbers_of_numpy_are_settings_too(tmp_path):
    shares = {"formula": np.float32(0.5), "others": 0.5, "links": 0, "element": np.int64(1)}
    numbers = {"dim": np.int64(32), "learning_rate": np.float32(0.001), "seed": np.int64(1), "shares": shares}
    model = MaskedLM(**SMALL | numbers, epochs=1).fit(made_up()[:4], checkpoint=tmp_path / "checkpoint")
    assert MaskedLM.from_pretrained(model.save_pretrained(tmp_path / "model")).seed == 1


def test_training_goes_on_from_another_network(model, crystals, tmp_path):
    before = weights(model)
    still = MaskedLM(**SMALL, epochs=1, learning_rate=1e-12, weight_decay=0).fit(crystals, start=model)
    near = zip(still.network_.parameters(), model.network_.parameters(), strict=True)
    assert all(torch.allclose(one, other, atol=1e-8) for one, other in near)
    further = MaskedLM(**SMALL, epochs=1).fit(crystals, start=model, checkpoint=tmp_path)
    assert weights(further) != before == weights(model)
    assert [one["settings"] for one in further.card_.corpus["trained_before"]] == [model.card_.settings]
    with pytest.raises(ValueError, match="other settings or materials"):
        MaskedLM(**SMALL, epochs=1).fit(crystals, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="start must have the same dim"):
        MaskedLM(dim=8, n_layers=1, n_heads=2).fit(crystals, start=model)


def test_what_the_first_network_saw_is_not_forgotten(model):
    further = MaskedLM(**SMALL, epochs=1).fit(formula_sets(["NaCl", "KCl"], oxidation="balanced"), start=model)
    assert {"Na", "K", "Cl"} < set(further.seen_["element"]) >= set(model.seen_["element"])
    assert further.seen_["element"]["Cl"] == 2
    assert set(further.embeddings("element").tokens) == set(further.seen_["element"])


def test_an_opened_model_says_that_its_weights_are_not_used(model, tmp_path):
    sets = formula_sets(["NaCl", "KCl"], oxidation="balanced")
    opened = MaskedLM.from_pretrained(model.save_pretrained(tmp_path / "model"))
    with pytest.warns(UserWarning, match=r"^the weights that from_pretrained opened .* start=model\)$") as told:
        opened.fit(sets)
    assert [each.filename for each in told] == [__file__]
    anew = MaskedLM(**SMALL, epochs=2).fit(sets)
    assert weights(opened) == weights(anew)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the weights")
        for each in (opened, anew):  # whose weights are their own
            assert weights(each.fit(sets)) == weights(opened)


def test_an_opened_model_goes_on_from_itself(model, tmp_path):
    sets = formula_sets(["NaCl", "KCl"], oxidation="balanced")
    opened = MaskedLM.from_pretrained(model.save_pretrained(tmp_path / "model"))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the weights")
        opened.fit(sets, start=opened)
    other = MaskedLM(**SMALL, epochs=2).fit(sets, start=model)
    assert weights(opened) == weights(other)
    assert (opened.seen_, opened.history_) == (other.seen_, other.history_)
    assert opened.card_.corpus == other.card_.corpus


def test_an_accelerator_changes_nothing_in_one_process(crystals):
    plain, accelerated = (MaskedLM(**SMALL, epochs=1).fit(crystals, accelerator=each) for each in (None, Alone()))
    assert weights(plain) == weights(accelerated)
    assert plain.history_ == accelerated.history_


def test_losses_are_means_over_all_processes(crystals):
    settings = SMALL | {"epochs": 2, "dropout": 0, "learning_rate": 1e-12, "weight_decay": 0}  # nothing is learned
    sets, checked = crystals[:16], made_up()[:5]  # of two batches, one for each process
    summed = {}
    whole, first, both = (
        MaskedLM(**settings).fit(sets, validation=checked, accelerator=each)
        for each in (None, OneOfTwo(0, summed), OneOfTwo(1, summed))
    )
    assert whole.history_[0]["loss"] != pytest.approx(first.history_[0]["loss"], rel=0.001)
    for one, other in zip(both.history_, whole.history_, strict=True):
        assert one == pytest.approx(other, rel=ROUNDING)


# Files


def test_saved_and_opened_again_it_is_the_same(model, crystals, tmp_path):
    folder = model.save_pretrained(tmp_path / "model")
    assert {each.name for each in folder.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
    }
    again = MaskedLM.from_pretrained(folder)
    assert weights(again) == weights(model)
    assert (again.card_, again.seen_, again.history_) == (model.card_, model.seen_, model.history_)
    assert again.encode(crystals).tobytes() == model.encode(crystals).tobytes()
    assert plain_settings(again) == plain_settings(model)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save_pretrained(folder)
    model.save_pretrained(folder, overwrite=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_who_may_read_a_model_follows_the_umask(model, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        folder = model.save_pretrained(tmp_path / "model")
    finally:
        os.umask(before)
    assert (folder / "model.safetensors").exists()
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {mode}


def test_classes_of_transformers_open_it(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "model")
    network = transformers.AutoModel.from_pretrained(folder)
    assert isinstance(network, SetTransformer)
    assert network.config.hidden_size == 32
    for name, each in model.network_.state_dict().items():
        assert torch.equal(each, network.state_dict()[name])
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert len(tokenizer) == len(WORDS)
    words = ["<motif>", "Ti", "ox+4", "O:6", "cn6", "ligand O", "[HIDDEN geometry]"]
    assert tokenizer(", ".join(words))["input_ids"] == [WORDS.id(word) for word in words]


def test_half_precision_halves_the_file(model, crystals, tmp_path):
    sizes = [
        (model.save_pretrained(tmp_path / str(half), half=half) / "model.safetensors").stat().st_size
        for half in (False, True)
    ]
    assert sizes[1] < 0.6 * sizes[0]
    again = MaskedLM.from_pretrained(tmp_path / "True")
    assert next(again.network_.parameters()).dtype == torch.float32
    np.testing.assert_allclose(again.encode(crystals), model.encode(crystals), atol=0.02)  # 3 digits, some layers on
    assert weights(model) != weights(again)


def test_pushing_uploads_the_whole_folder(model, monkeypatch):
    pushed = {}

    class Hub:
        def create_repo(self, repo_id, **_):
            return SimpleNamespace(repo_id=repo_id)

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            pushed[repo_id] = sorted(each.name for each in folder_path.iterdir())
            return f"https://hub/{repo_id}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    assert model.push_to_hub("someone/model", half=True) == "https://hub/someone/model"
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(pushed["someone/model"])


def test_nothing_of_pytorch_is_loaded_before_it_is_used():
    code = "import sys, matembed.encoders.masked_lm; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# Vectors of tokens


def test_static_vectors_are_sums_of_words(model, crystals):
    words = model.network_.words.weight.detach().numpy()
    elements, species = model.embeddings("element"), model.embeddings("species")
    np.testing.assert_allclose(elements["O"], words[[WORDS.id("<element>"), WORDS.id("O")]].sum(axis=0), atol=ROUNDING)
    expected = words[[WORDS.id(word) for word in ("<species>", "O", "ox-2")]].sum(axis=0)
    np.testing.assert_allclose(species["O2-"], expected, atol=ROUNDING)
    motifs = model.embeddings("motif", materials=made_up())
    ids = [WORDS.id(word) for word in ("<motif>", "Mg", "ox+2", "T:4", "cn4", "ligand O")]
    np.testing.assert_allclose(motifs["Mg2+O4:T:4"], words[ids].sum(axis=0), atol=ROUNDING)
    for kind, table in (("element", elements), ("species", species)):
        found = model.embeddings(kind, materials=crystals)
        assert found.tokens == table.tokens
        np.testing.assert_allclose(found.vectors, table.vectors, atol=ROUNDING)


def test_vectors_in_context_are_means_of_states(model):
    sets = made_up()
    table = model.embeddings("motif", contextual=True, layer=1, materials=sets)
    states = []
    for material in range(len(sets)):
        one = sets[material]
        ((_, _, found, _),) = read_states(model.network_, Index(one), nothing_hidden(1), batch_tokens=512, layer=1)
        motifs = np.flatnonzero(one.kinds == 2)
        is_wanted = [
            {"Mg", "T:4", "ligand O"}
            <= {WORDS.words[word] for word in one.words[one.word_starts[idx] : one.word_starts[idx + 1]]}
            for idx in motifs
        ]
        states += list(found[0, 1:][motifs[is_wanted]])
    assert len(states) == 9
    np.testing.assert_allclose(table["Mg2+O4:T:4"], np.mean(states, axis=0), atol=ROUNDING)


def test_tokens_seldom_seen_are_left_out(model):
    sets = made_up()
    counts = {min_count: len(model.embeddings(materials=sets, min_count=min_count).tokens) for min_count in (1, 30)}
    assert counts == {1: len(CATIONS) + len(ANIONS), 30: len(ANIONS)}


# Answers


def test_a_formula_asks_for_its_cations(model):
    table = model.fill_mask("SrTiO3", n=2)
    assert table["element"].tolist() == ["Ti", "Ti", "Sr", "Sr"]
    assert set(table["material"]) == {"SrTiO3"}
    alone = model.fill_mask("SrTiO3", element="Ti", n=2)  # says the same as among the others
    pd.testing.assert_frame_equal(alone, table[table["element"] == "Ti"].reset_index(drop=True))
    assert set(model.fill_mask("Si")["element"]) == {"Si"}
    assert table["oxidation"].tolist() == [4, 4, 2, 2]
    written = model.fill_mask(formula_sets(["Sr2Ti2O6"], oxidation="balanced"), n=2)
    np.testing.assert_allclose(written["probability"], table["probability"], atol=ROUNDING)
    untold = model.fill_mask(formula_sets(["SrTiO3"]), n=2)
    assert not np.allclose(untold["probability"], table["probability"], atol=ROUNDING)


def test_an_element_in_two_states_has_both(model):
    table = model.fill_mask("LiMn2O4", n=1, on_missing="guess")
    assert sorted(zip(table["element"], table["oxidation"], strict=True)) == [("Li", 1), ("Mn", 3), ("Mn", 4)]


@pytest.mark.parametrize(
    ("oxidation", "message"), [("balanced", "no cation of O in"), ("unknown", "O is the anion of")]
)
def test_anions_have_no_geometry(model, oxidation, message):
    with pytest.raises(ValueError, match=message):
        model.fill_mask(formula_sets(["SrTiO3"], oxidation=oxidation), element="O")


@pytest.mark.parametrize(
    ("formula", "asked"),
    [
        ("LaOF", {"La"}),
        ("Bi2O2S", {"Bi"}),
        ("BaTaO2N", {"Ba", "Ta"}),
        ("PH3", {"H"}),
        ("NH4Cl", {"H"}),
        ("F-", {"F"}),
    ],
)
def test_anions_are_not_asked_for(model, formula, asked):
    table = model.fill_mask(formula, n=1, on_missing="guess")
    told = table["oxidation"].dropna()
    assert (told > 0).all() or len(table) == 1
    assert set(table["element"]) == asked


@pytest.mark.parametrize("spellings", [("BaBiO3", "Ba2Bi2O6"), ("FeS2", "Fe2S4", "Fe4S8"), ("KMnO4", "K40Mn40O160")])
def test_a_formula_may_be_written_as_a_multiple(model, spellings):
    first, *others = (
        model.predict_geometry(formula_sets([one], oxidation="balanced", ids=["one"]), on_missing="guess")
        for one in spellings
    )
    assert first.index.get_level_values("oxidation").notna().all()
    for other in others:
        pd.testing.assert_frame_equal(first, other, atol=ROUNDING)


def test_a_crystal_of_which_its_formula_is_given_is_asked_as_its_formula(model, crystals):
    """Also where some sites of an element have no motif."""

    def species(sets, row):
        table = sets.describe(row)
        return set(table[table["kind"] == "species"]["words"])

    formulas = formula_sets(crystals.formulas, oxidation="balanced", ids=crystals.ids)
    alike = [row for row in range(len(crystals)) if species(crystals, row) == species(formulas, row) != set()]
    told, same = (model.predict_geometry(sets[alike]) for sets in (crystals, formulas))
    n_asked = [table.groupby("material").size() for table in (told, same)]
    whole = n_asked[0].index[n_asked[0] == n_asked[1].reindex(n_asked[0].index)]  # no cation is without any motif
    assert len(whole) > 10
    np.testing.assert_allclose(told.loc[whole], same.loc[whole], atol=ROUNDING)


@pytest.mark.parametrize("given", ["others", "links"])
def test_rows_are_named_by_the_true_states_where_these_are_hidden(model, given):
    sets = made_up()[:12]
    hidden, known = (model.predict_geometry(sets, given=given, oxidation=how) for how in ("hidden", "known"))
    assert hidden.index.equals(known.index)
    assert not np.allclose(hidden, known, atol=ROUNDING)
    remembered = model.remember(sets, given=given, oxidation="hidden")
    (memory,) = remembered._memories.values()
    assert pd.MultiIndex.from_frame(memory.rows).equals(known.index)


def test_each_material_is_compared_with_what_was_remembered_for_its_question(model):
    sets = made_up()[:20]
    informed = model.remember(sets).remember(sets, oxidation="hidden")
    asked = MaterialSets.concat([formula_sets(["SrTiO3"], oxidation="balanced"), formula_sets(["MgO"], ids=["bare"])])
    together = informed.nearest(asked, n=3)
    alone = pd.concat([informed.nearest(asked[[row]], n=3) for row in range(2)], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, atol=1e-5)
    with pytest.raises(ValueError, match=r"nothing was remembered for .*oxidation='hidden'"):
        model.remember(sets).nearest(asked)


def test_a_memory_of_formulas_has_no_symmetry(model, crystals):
    with_symmetry, without = (model.remember(crystals, symmetry=symmetry) for symmetry in (True, False))
    asked = made_up()[:5]
    pd.testing.assert_frame_equal(with_symmetry.fill_mask(asked), without.fill_mask(asked))
    pd.testing.assert_frame_equal(with_symmetry.nearest("SrTiO3"), without.nearest("SrTiO3", symmetry=True))


def test_states_of_a_formula_are_told_as_those_of_a_crystal(model):
    crystal = made_up()[:1]
    bare = build([[token for token in take_apart(crystal)[0] if token[0] < TOKEN_KINDS.index("motif")]])
    known, guessed = (model.predict_geometry(sets) for sets in (crystal, bare))
    np.testing.assert_allclose(known, guessed.loc[known.index], atol=ROUNDING)


def test_the_default_type_of_numbers_does_not_matter():
    sets = made_up()[:8]
    model = MaskedLM(**SMALL, epochs=1).fit(sets)
    torch.set_default_dtype(torch.float64)
    try:
        again = MaskedLM(**SMALL, epochs=1).fit(sets)
        encoded, attention = model.encode(sets), model.attention(sets[0])
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert weights(again) == weights(model)
    assert encoded.tobytes() == model.encode(sets).tobytes()
    assert attention.equals(model.attention(sets[0]))


def test_it_learns_where_gradients_are_off():
    sets = made_up()[:8]
    with torch.inference_mode():
        model = MaskedLM(**SMALL, epochs=1).fit(sets)
    assert weights(model) == weights(MaskedLM(**SMALL, epochs=1).fit(sets))


def test_training_in_bfloat16_learns_nearly_the_same(model, crystals):
    half = MaskedLM(**SMALL, epochs=2, precision="bfloat16").fit(crystals)
    assert weights(half) != weights(model)
    assert half.history_[-1]["loss"] == pytest.approx(model.history_[-1]["loss"], rel=0.01)
    assert {each.dtype for each in half.network_.parameters()} == {torch.float32}


def truth(sets):
    """The shares of geometries among the motifs of each element, as rows of `predict_geometry`."""
    rows = []
    for material, tokens in zip(sets.ids, take_apart(sets), strict=True):
        for kind, words, amount, _ in tokens:
            if TOKEN_KINDS[kind] == "motif":
                element, state, geometry = (word for word, _, _ in words[1:4])
                rows.append((material, element, int(state[2:]), geometry, amount))
    table = pd.DataFrame(rows, columns=["material", "element", "oxidation", "geometry", "amount"])
    shares = table.pivot_table("amount", ["material", "element", "oxidation"], "geometry", "sum", fill_value=0)
    return shares.div(shares.sum(axis=1), axis=0)


def test_what_is_remembered_answers_beside_the_network(model):
    sets = made_up()
    known, asked = sets[:1], sets[1:20]
    alone, informed = model.predict_geometry(asked), model.remember(known)
    together = informed.predict_geometry(asked)
    shares = truth(known)
    weights = 2 * together - alone  # what is remembered: a mean of the two answers that are known
    assert (weights.drop(columns=shares.columns).abs().to_numpy() < ROUNDING).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=ROUNDING)
    pd.testing.assert_frame_equal(model.predict_geometry(asked), alone)
    pd.testing.assert_frame_equal(
        informed.predict_geometry(asked, given="links"), model.predict_geometry(asked, given="links")
    )


@pytest.mark.parametrize("given", ["formula", "others", "links"])
def test_nothing_is_nearer_than_the_same(model, crystals, given):
    informed = model.remember(crystals, given=given)
    nearest = informed.nearest(crystals, given=given, n=1)
    np.testing.assert_allclose(nearest["cosine"], 1, atol=1e-5)
    assert (nearest["element"] == nearest["known_element"]).all()
    assert (nearest["oxidation"].dropna() == nearest["known_oxidation"].dropna()).all()
    listed = informed.nearest(crystals, given=given, n=4)
    assert (listed.groupby(["material", "element", "oxidation"])["cosine"].diff().dropna() <= 0).all()


def test_memories_of_several_questions_are_kept_apart(model):
    sets = made_up()[:20]
    both = model.remember(sets).remember(sets, oxidation="hidden")
    for oxidation in ("known", "hidden"):
        one = model.remember(sets, oxidation=oxidation)
        pd.testing.assert_frame_equal(
            both.predict_geometry(sets, oxidation=oxidation), one.predict_geometry(sets, oxidation=oxidation)
        )
    assert set(both.nearest("SrTiO3", element="Ti", n=3)["known"]) <= set(sets.ids)
    with pytest.raises(ValueError, match=r"nothing was remembered for .*oxidation='known'"):
        model.remember(sets, oxidation="hidden").nearest("SrTiO3")  # charges are balanced
    with pytest.raises(ValueError, match=r"nothing was remembered for .*oxidation='hidden'"):
        model.remember(sets).nearest(formula_sets(["SrTiO3"]))


def test_remembering_refuses_what_it_cannot_use(model):
    with pytest.raises(ValueError, match="SrTiO3 has no motifs to remember; leave out"):
        model.remember(formula_sets(["SrTiO3"]))
    with pytest.raises(ValueError, match=r"nothing was remembered for given='others'.*call remember"):
        model.remember(made_up()[:5]).nearest(made_up()[:5], given="others")
    with pytest.raises(TypeError, match="MaterialSets"):
        model.remember(["SrTiO3"])


UNSEEN = [compound("Po", "Mg", "O", ("O:6", "O:6")), compound("Mg", "Zn", "O", ("O:6", "T:4"))]


@pytest.mark.parametrize(
    "ask",
    [
        lambda model, sets, **options: model.encode(sets, **options),
        lambda model, sets, **options: model.predict_geometry(sets, given="links", **options).to_numpy(),
        lambda model, sets, **options: model.fill_mask(sets, **options)["probability"],
        lambda model, sets, **options: model.attention(sets[0], **options).to_numpy(),
        lambda model, sets, **options: model.remember(sets, **options).predict_geometry(made_up()[:3]).to_numpy(),
        lambda model, sets, **options: model.remember(made_up()).nearest(sets, **options)["cosine"],
    ],
    ids=["encode", "predict_geometry", "fill_mask", "attention", "remember", "nearest"],
)
def test_elements_that_were_never_learned_are_refused_or_guessed(model, ask):
    sets = build(UNSEEN)
    known = f"{len(model.seen_['element'])} elements are known"
    with pytest.raises(UnknownTokenError, match=f"no vector was learned for Po in made up 0; {known}: leave") as raised:
        ask(model, sets)
    assert "\n" not in str(raised.value)
    assert np.isfinite(ask(model, sets, on_missing="guess")).all()
    ask(model, sets[1:])


def test_the_refusal_names_a_few_materials(model):
    sets = formula_sets(["OgCl2", "PoO2", "NaCl", "RaO", "RaCl2"])
    with pytest.raises(UnknownTokenError, match="for Po, Ra, Og in Cl2Og, PoO2, RaO and 1 more of 5 materials; "):
        model.encode(sets)


@pytest.mark.parametrize("contextual", [False, True])
def test_what_was_never_learned_has_no_vector(model, contextual):
    sets = build(UNSEEN)
    assert set(model.embeddings(materials=sets, contextual=contextual).tokens) == {"Mg", "Zn", "O"}
    motifs = model.embeddings("motif", materials=sets, contextual=contextual)
    assert {token[:2] for token in motifs.tokens} == {"Mg", "Zn"}


def test_rows_are_materials_elements_and_oxidation_states(model):
    sets = made_up()[:3]
    for given in ("formula", "others", "links"):
        table = model.predict_geometry(sets, given=given)
        assert table.shape == (6, len(WORDS.ids("geometry")))
        assert table.index.names == ["material", "element", "oxidation"]
        assert table.index.get_level_values("material").tolist() == ["0", "0", "1", "1", "2", "2"]
        assert set(table.index.get_level_values("oxidation")) == {2}
        np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 30, "n_heads": 4}, "multiple of n_heads=4, got 30"),
        ({"epochs": 0}, "epochs must be a whole number, 1 or more, got 0"),
        ({"dropout": 2}, "dropout must be a share from 0 to 1, got 2"),
        ({"precision": "float16"}, "precision must be one of auto, float32, bfloat16, got 'float16'"),
        ({"learning_rate": 0}, "learning_rate must be a finite number, more than 0, got 0"),
        ({"shares": 3}, "shares must be a mapping of formula, others, links, element to numbers, got 3"),
        ({"shares": {"formula": 1}}, "shares must be of formula, others, links, element, got formula"),
        ({"shares": dict.fromkeys(("formula", "others", "links", "element"), 0)}, "shares are all 0"),
        ({"device": "tpu"}, "device must be 'cpu', 'cuda' or 'auto', got 'tpu'"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MaskedLM(**settings).fit(made_up()[:2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.encode(["SrTiO3"]), TypeError, "MaterialSets, such as formula_sets.*structure_sets.* got list"),
        (lambda m: m.encode(formula_sets([])), ValueError, "wanted one material or more, got none"),
        (lambda m: m.encode(made_up(), pooling="max"), ValueError, "pooling must be 'mean' or 'cls', got 'max'"),
        (lambda m: m.encode(made_up(), layer=7), ValueError, "layer must be a whole number from -3 to 2, got 7"),
        (lambda m: m.encode(made_up(), layer=True), ValueError, "layer must be a whole number from -3 to 2, got True"),
        (lambda m: m.encode(made_up(), on_missing="skip"), ValueError, "on_missing must be one of error, guess, got"),
        (
            lambda m: m.embeddings(contextual=True, materials=made_up(), layer="1"),
            ValueError,
            "layer must be a whole number from -3 to 2, got '1'",
        ),
        (
            lambda m: m.embeddings(contextual=True, materials=made_up(), layer=1.0),
            ValueError,
            r"layer must be a whole number from -3 to 2, got 1\.0",
        ),
        (lambda m: m.fill_mask("SrTiO3", element="Mn"), ValueError, "no cation of Mn in 'SrTiO3'; choose another"),
        (lambda m: m.fill_mask("SrTiO3", element="Xx"), ValueError, "element must be a symbol such as 'Mn', got 'Xx'"),
        (lambda m: m.fill_mask("SrTiO3", given="links"), ValueError, "SrTiO3 has no motifs, so given='links'"),
        (lambda m: m.fill_mask("SrTiO3", n=0), ValueError, "n must be a whole number, 1 or more, got 0"),
        (lambda m: m.fill_mask("Sr?TiO3"), ValueError, "Sr"),
        (
            lambda m: m.predict_geometry(made_up(), given="all"),
            ValueError,
            "given must be one of formula, others, links",
        ),
        (lambda m: m.predict_geometry(made_up(), oxidation=2), ValueError, "oxidation must be 'known' or 'hidden'"),
        (lambda m: m.embeddings("bond"), ValueError, "kind must be 'element', 'species' or 'motif', got 'bond'"),
        (lambda m: m.embeddings("motif"), ValueError, "vectors of motifs need materials .* pass materials"),
        (lambda m: m.embeddings(layer=1), ValueError, "layer=1 is of states in context; pass contextual=True"),
        (lambda m: m.embeddings(min_count=10**6), ValueError, "lower min_count"),
        (lambda m: m.fill_mask(["SrTiO3"]), TypeError, "wanted a formula or MaterialSets, .* got list"),
        (lambda m: m.attention(["SrTiO3"]), TypeError, "wanted a formula or MaterialSets, .* got list"),
        (lambda m: MaskedLM().fit("SrTiO3"), TypeError, "wanted MaterialSets"),
        (
            lambda m: MaskedLM().fit(made_up(), start="crystals"),
            TypeError,
            "start must be a fitted MaskedLM, got str 'crystals'; open a folder or name with MaskedLM.from_pretrained",
        ),
    ],
)
def test_senseless_questions_are_refused_in_one_line(model, call, error, message):
    with pytest.raises(error, match=message) as raised:
        call(model)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, folder: m.embeddings(),
        lambda m, folder: m.encode(made_up()),
        lambda m, folder: m.fill_mask("SrTiO3"),
        lambda m, folder: m.remember(made_up()),
        lambda m, folder: m.attention("SrTiO3"),
        lambda m, folder: m.save_pretrained(folder / "model"),
        lambda m, folder: MaskedLM(**SMALL).fit(made_up(), start=m),
    ],
    ids=["embeddings", "encode", "fill_mask", "remember", "attention", "save_pretrained", "start"],
)
def test_a_model_that_learned_nothing_says_what_to_do_whatever_was_called(call, tmp_path):
    told = r"^MaskedLM has learned nothing yet; call fit first, or open one with from_pretrained$"
    with pytest.raises(NotFittedError, match=told):
        call(MaskedLM(**SMALL), tmp_path)


def changed_config(folder, change):
    """Rewrite config.json of a folder; what is changed to None is taken out."""
    file = folder / "config.json"
    config = json.loads(file.read_text()) | change
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return folder


def test_a_folder_of_a_bare_network_is_refused(tmp_path):
    SetTransformer(SetTransformerConfig(dim=12, n_layers=1)).save_pretrained(tmp_path)
    told = r"^wanted a folder as MaskedLM\.save_pretrained writes it, got .* has no type, card, seen, history; write it"
    with pytest.raises(ValueError, match=told):
        MaskedLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("key", ["card", "seen", "history"])
def test_a_folder_without_what_was_learned_beside_the_network_is_refused(model, tmp_path, key):
    folder = changed_config(model.save_pretrained(tmp_path / "model"), {key: None})
    with pytest.raises(ValueError, match=rf"^wanted a folder .* whose config\.json has no {key}; write it anew .*$"):
        MaskedLM.from_pretrained(folder)


@pytest.mark.parametrize("change", [{"type": "another"}, {"n_words": 12}])
def test_another_model_is_refused(model, tmp_path, change):
    folder = changed_config(model.save_pretrained(tmp_path / "model"), change)
    with pytest.raises(ValueError, match="is no MaskedLM of this vocabulary"):
        MaskedLM.from_pretrained(folder)


def test_half_a_file_of_weights_is_refused(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "model")
    weights_file = folder / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"model: model\.safetensors is not whole .*; fetch or write the folder anew$"):
        MaskedLM.from_pretrained(folder)


def test_heads_that_the_card_does_not_tell_of_are_refused(model, tmp_path):
    """The weights of a layer have the same shape for any number of heads."""
    folder = changed_config(model.save_pretrained(tmp_path / "model"), {"n_heads": 4})
    with pytest.raises(ValueError, match=r"config\.json tells of n_heads=4, the card in it of 2; write it"):
        MaskedLM.from_pretrained(folder)


@pytest.mark.parametrize("change", [{"n_layers": 3}, {"n_layers": 1}, {"feed_forward": 32}])
def test_weights_of_another_network_are_refused(model, tmp_path, change):
    folder = changed_config(model.save_pretrained(tmp_path / "model"), change)
    with pytest.raises(ValueError, match=r"^.*another network than .* arrays differ, such as layers.*save_pretrained$"):
        MaskedLM.from_pretrained(folder)


# Attention


def test_rows_of_attention_sum_to_one_and_are_named_by_the_tokens(model, crystals):
    found = model.attention(crystals[0])
    assert found.index.tolist() == found.columns.tolist() == ["[CLS]", *crystals.describe(0)["words"]]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    heads = [model.attention(crystals[0], head=head) for head in range(model.n_heads)]
    np.testing.assert_allclose(sum(heads) / len(heads), found, atol=1e-6)
    assert model.attention("NaCl", layer=0).columns.tolist() == ["[CLS]", "Na", "Cl"]
    charged = formula_sets(["NaCl"], oxidation="balanced")
    assert model.attention(charged).columns.tolist() == ["[CLS]", "Na", "Cl", "Na ox+1", "Cl ox-1"]


def test_attention_is_what_mixes_the_values(model, crystals):
    """The states that a layer makes by itself are those made from its attention by hand."""
    question = hide(Index(crystals), nothing_hidden(len(crystals)))
    with torch.inference_mode():
        out = model.network_(**question.tensors(torch, "cpu"), output_hidden_states=True, output_attentions=True)
    layer, weights = model.network_.layers[0], out.attentions[0]
    assert len(out.attentions) == model.n_layers
    before, after = out.hidden_states[:2]
    n_materials, length, dim = before.shape
    with torch.inference_mode():
        value = layer.query_key_value(layer.attention_norm(before))[..., 2 * dim :]
        value = value.view(n_materials, length, model.n_heads, -1).transpose(1, 2)
        mixed = before + layer.mixed((weights @ value).transpose(1, 2).reshape(n_materials, length, dim))
        made = mixed + layer.narrow(torch.nn.functional.gelu(layer.wide(layer.feed_forward_norm(mixed))))
    real = torch.arange(length) <= torch.from_numpy(np.diff(question.token_starts))[:, None]
    np.testing.assert_allclose(made[real], after[real], atol=ROUNDING)


def test_attention_of_what_is_not_there_is_refused(model, crystals):
    with pytest.raises(ValueError, match="wanted one material, got 2"):
        model.attention(crystals[:2])
    with pytest.raises(ValueError, match="2 layers of 2 heads, got layer=2"):
        model.attention(crystals[0], layer=2)
    with pytest.raises(ValueError, match="head=2"):
        model.attention(crystals[0], head=2)
    with pytest.raises(ValueError, match=r"got layer=0\.5 and head=None; pass whole numbers"):
        model.attention(crystals[0], layer=0.5)
    with pytest.raises(ValueError, match=r"got layer=-1 and head='1'; pass whole numbers"):
        model.attention(crystals[0], head="1")
