"""EmbeddingTable: its laws, its folder, and what it refuses."""

import copy
import json
import pickle
import re
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from matembed._atomic import sha256_of
from matembed.cards import Card
from matembed.embeddings import EmbeddingTable, Neighbour, UnknownTokenError

CARD = Card(name="demo", what="A demonstration.", licence="CC0-1.0", settings={"dim": 4}, seed=3)
TOKENS = ("Li", "Na", "Cl", "Ti4+", "TiO6:O:6", "O:6", "-corner-", "(2)O3", "word")


@pytest.fixture
def table():
    return EmbeddingTable(TOKENS, np.random.default_rng(0).standard_normal((len(TOKENS), 4)), CARD)


@st.composite
def tables(draw):
    tokens = draw(st.lists(st.sampled_from(TOKENS), min_size=2, max_size=6, unique=True))
    numbers = st.floats(-1e3, 1e3, width=32)
    vectors = draw(hnp.arrays(np.float32, (len(tokens), draw(st.integers(1, 5))), elements=numbers))
    return EmbeddingTable(tokens, vectors, CARD)


def same(first, second):
    return first.tokens == second.tokens and first.vectors.tobytes() == second.vectors.tobytes()


# What it is


def test_shape_and_access(table):
    assert (len(table), table.dim, table.vectors.dtype) == (9, 4, np.float32)
    assert "Ti4+" in table
    assert "Po" not in table
    assert list(table) == list(TOKENS)
    assert table["Na"].tolist() == table.vectors[1].tolist()
    kinds = ("element", "element", "element", "species", "motif", "geometry", "connection", "environment", None)
    assert table.kinds == kinds


def test_it_cannot_be_changed(table):
    given = np.ones((1, 2), dtype=np.float32)
    other = EmbeddingTable(["Li"], given, CARD)
    given[0] = 7
    assert other["Li"].tolist() == [1, 1]
    for frozen in (table, pickle.loads(pickle.dumps(table)), copy.deepcopy(table)):
        with pytest.raises(ValueError, match="read-only"):
            frozen.vectors[0, 0] = 1
        with pytest.raises(ValueError, match="read-only"):
            frozen["Li"][0] = 1
        with pytest.raises(FrozenInstanceError):
            frozen.tokens = ()


def test_pickled_and_copied_tables_are_the_same(table):
    for twin in (pickle.loads(pickle.dumps(table)), copy.copy(table), copy.deepcopy(table)):
        assert same(twin, table)
        assert twin.card == table.card
        assert twin.row("O:6") == table.row("O:6")


@pytest.mark.parametrize(
    ("tokens", "vectors", "says"),
    [
        (["Li"], [1.0, 2.0], r"1 tokens need vectors of shape \(1, dim\), got \(2,\)"),
        (["Li"], [[1.0], [2.0]], r"got \(2, 1\)"),
        (["Li", "Li"], [[1.0], [2.0]], "'Li' twice"),
        (["Li", "Na"], [[1.0], [np.nan]], "'Na' is not finite"),
        (["Li", "Na"], [[1.0], [np.inf]], "'Na' is not finite"),
        (["band gap"], [[1.0]], "no white space, got 'band gap'"),
        (["Li\n"], [[1.0]], "no white space"),
        (["\u00a0"], [[1.0]], "no white space"),
        (["Li\x1b[2J"], [[1.0]], "printable"),
        ([""], [[1.0]], "one or more printable characters"),
    ],
)
def test_what_is_no_table_is_refused(tokens, vectors, says):
    with pytest.raises(ValueError, match=says):
        EmbeddingTable(tokens, vectors, CARD)


@pytest.mark.parametrize(
    ("tokens", "card", "says"),
    [
        ([1], CARD, "tokens must be text such as 'Ti', got 1"),
        (["Li", None], CARD, "tokens must be text such as 'Ti', got None"),
        (["Li"], None, r"card must be a Card, such as Card\('name'\), got None"),
        (["Li"], {"name": "demo"}, "card must be a Card"),
    ],
)
def test_wrong_kinds_are_refused_at_the_door(tokens, card, says):
    with pytest.raises(TypeError, match=says):
        EmbeddingTable(tokens, np.ones((len(tokens), 1)), card)


def test_unknown_tokens_are_key_errors_that_help(table):
    for ask in (table.row, table.__getitem__, table.nearest, lambda token: table.subset([token])):
        with pytest.raises(UnknownTokenError, match=r"no vector for 'Po' among 9 tokens \(element: Li, Na, Cl"):
            ask("Po")
    assert issubclass(UnknownTokenError, KeyError)
    with pytest.raises(UnknownTokenError, match=r"no vector for 'TiO6:O:6' among 1 tokens \(no motif"):
        EmbeddingTable(("Li",), [[1.0]], Card("one")).row("TiO6:O:6")


@pytest.mark.parametrize(
    ("written", "known"),
    [
        *[(written, "Na") for written in ("na", "NA", "11", 11)],
        *[(written, "Fe3+") for written in ("Fe+3", "Fe³⁺", "fe3+")],
        *[("Na1+", "Na+"), ("CuSe2O4:O:6", "CuO4Se2:O:6"), ("Ti4+O3O3:O:6", "Ti4+O6:O:6")],
    ],
)
def test_tokens_spelt_otherwise_are_told_the_spelling_that_is_known(written, known):
    table = EmbeddingTable(("Li", known), [[1.0], [2.0]], Card("one"))
    with pytest.raises(UnknownTokenError, match=re.escape(f"did you mean {known!r}?")):
        table.row(written)
    for strange in ("Cs", "1" * 5000):
        with pytest.raises(UnknownTokenError, match=r"; see \.tokens"):
            table.row(strange)


# Nearest, similarity, analogy


@given(tables())
def test_similarity_is_symmetric_and_bounded(table):
    matrix = table.similarity_matrix()
    assert np.array_equal(matrix, matrix.T)
    for i, first in enumerate(table):
        for j, second in enumerate(table):
            cosine = table.similarity(first, second)
            # float64 rounding of a dot product of at most five terms
            assert abs(cosine) <= 1 + 1e-12
            assert cosine == pytest.approx(matrix[i, j], abs=1e-12)
            assert cosine == pytest.approx(table.similarity(second, first), abs=1e-12)


@given(tables(), st.integers(1, 8))
def test_nearest_is_similarity_in_order(table, n):
    token = table.tokens[0]
    found = table.nearest(token, n)
    assert len(found) == min(n, len(table) - 1)
    assert token not in [neighbour.token for neighbour in found]
    for neighbour in found:
        assert neighbour.similarity == pytest.approx(table.similarity(token, neighbour.token), abs=1e-12)
    similarities = [neighbour.similarity for neighbour in found]
    assert similarities == sorted(similarities, reverse=True)
    rest = {*table} - {token} - {neighbour.token for neighbour in found}
    assert all(table.similarity(token, other) <= similarities[-1] + 1e-12 for other in rest)


def test_nearest_by_vector_kind_and_exclusion(table):
    by_vector = table.nearest(table["Li"], n=9)
    assert by_vector[0].token == "Li"
    assert by_vector[0].similarity == pytest.approx(1)
    assert by_vector[1:] == table.nearest("Li", n=9)
    assert {found.token for found in table.nearest("Ti4+", kind="element")} == {"Li", "Na", "Cl"}
    assert [found.token for found in table.nearest("Li", kind="element", exclude=["Cl"])] == ["Na"]
    assert table.nearest("Ti4+", kind="species") == []


def test_nearest_breaks_ties_by_row():
    table = EmbeddingTable(("Li", "Na", "K", "Rb"), [[1, 0], [0, 1], [0, 1], [0, 1]], CARD)
    assert [found.token for found in table.nearest("Li")] == ["Na", "K", "Rb"]


def test_vectors_of_zeros_are_like_nothing():
    table = EmbeddingTable(("Li", "Na"), [[0, 0], [1, 0]], CARD)
    assert table.similarity("Li", "Na") == 0
    assert table.nearest("Li")[0].similarity == 0


def test_nearest_refuses_nonsense(table):
    with pytest.raises(ValueError, match="vector of length 4, got shape"):
        table.nearest([1.0, 2.0])
    with pytest.raises(ValueError, match="a query must be finite, got nan"):
        table.nearest([1.0, np.nan, 0.0, 0.0])
    for n in (0, 2.5, True):
        with pytest.raises(ValueError, match="n must be a whole number, 1 or more"):
            table.nearest("Li", n=n)
    for ask in (lambda **kind: table.nearest("Li", **kind), table.subset):
        with pytest.raises(ValueError, match=r"kind must be one of element, species, motif, .*, got 'elements'"):
            ask(kind="elements")
    with pytest.raises(TypeError, match=r"exclude is a list of tokens, got the text 'Na'; pass \['Na'\] for one"):
        table.nearest("Li", exclude="Na")


@pytest.mark.parametrize("dim", [3, 33, 200])
def test_equal_rows_come_in_their_order_and_no_cosine_is_above_1(dim):
    row = np.random.default_rng(dim).standard_normal(dim)
    table = EmbeddingTable([f"t{idx}" for idx in range(40)], [row] * 40, CARD)
    found = table.nearest("t0", n=39)
    assert [one.token for one in found] == list(table.tokens[1:])
    assert {one.similarity for one in found} == {1.0}
    assert table.similarity("t0", "t1") <= 1


def test_seeds_and_complex_numbers_are_refused(table):
    for turn in (table.rebase, lambda seed: table.widen(3, seed=seed)):
        with pytest.raises(ValueError, match="seed must be a whole number, 0 or more, got -1"):
            turn(seed=-1)
    with pytest.raises(TypeError, match="vectors must be real, got complex numbers"):
        EmbeddingTable(("Li",), np.array([[1 + 2j]]), CARD)


def test_analogy_by_hand():
    vectors = {"Li": [1, 0, 0], "F": [1, 1, 0], "Na": [0, 0, 1], "Cl": [0, 1, 1], "Xe": [-1, -1, -1]}
    table = EmbeddingTable(tuple(vectors), list(vectors.values()), CARD)
    assert table.analogy("Li", "F", "Na", n=1)[0].token == "Cl"
    assert not {"Li", "F", "Na"} & {found.token for found in table.analogy("Li", "F", "Na", n=9)}
    assert table.analogy("Li", "F", "Na", kind="motif") == []


def test_neighbours_unpack_as_two_and_tell_who_was_backed_off():
    table = EmbeddingTable(("Li", "Na", "K"), [[1, 0], [1, 1], [1, 2]], CARD, frozenset(["K"]))
    sodium, potassium = table.nearest("Li")
    assert (sodium.backed_off, potassium.backed_off) == (False, True)
    token, similarity = potassium
    assert (token, similarity) == ("K", potassium.similarity)
    assert repr(Neighbour("Na", 0.5)) == "Neighbour(token='Na', similarity=0.5)"
    assert repr(Neighbour("K", 0.5, backed_off=True)) == "Neighbour(token='K', similarity=0.5, backed off)"
    assert pickle.loads(pickle.dumps(potassium)) == potassium
    table = EmbeddingTable(("Li", "Na", "F", "Cl"), [[1, 0], [2, 0], [0, 1], [1, 1]], CARD, frozenset(["Cl"]))
    assert table.analogy("Li", "F", "Na")[0] == Neighbour("Cl", pytest.approx(0.5**0.5), backed_off=True)


# Subset, concat, normalize, to_frame


def test_subset_keeps_order_vectors_and_card(table):
    smaller = table.subset(["O:6", "Li"])
    assert smaller.tokens == ("O:6", "Li")
    assert smaller["Li"].tobytes() == table["Li"].tobytes()
    assert same(table.subset(), table)
    assert table.subset(kind="element").tokens == ("Li", "Na", "Cl")
    assert table.subset(["Ti4+", "Cl"], kind="element").tokens == ("Cl",)


def test_cards_say_what_was_changed(table):
    before = dict(table.card.settings)
    smaller = table.subset(kind="element")
    assert smaller.card == replace(table.card, settings=before | {"subset": "3 of 9 tokens"})
    assert smaller.subset(["Cl"]).card.settings["subset"] == "1 of 3 of 9 tokens"
    assert table.subset().card == table.subset(table.tokens).card == table.card
    assert smaller.normalize().card.settings == before | {"subset": "3 of 9 tokens", "steps": [{"normalize": {}}]}
    assert table.card.settings == before


def test_concat_puts_columns_side_by_side(table):
    turned = replace(table.subset(TOKENS[::-1]), card=Card("other", licence="MIT", citation=("Somebody",)))
    both = table.concat(turned)
    assert both.tokens == TOKENS
    assert both.dim == 8
    assert np.array_equal(both["O:6"], np.concatenate([table["O:6"], turned["O:6"]]))
    assert (both.card.name, both.card.licence, both.card.citation) == ("demo+other", "CC0-1.0 AND MIT", ("Somebody",))


def test_concat_of_different_tokens(table):
    metals, salts = table.subset(["Li", "Na"]), table.subset(["Na", "Cl"])
    with pytest.raises(ValueError, match='2 tokens are in one table only; pass tokens="shared"'):
        metals.concat(salts)
    assert metals.concat(salts, tokens="shared").tokens == ("Na",)
    with pytest.raises(ValueError, match="share no token"):
        metals.concat(table.subset(["Cl"]), tokens="shared")
    with pytest.raises(ValueError, match='tokens must be "same" or "shared"'):
        metals.concat(salts, tokens="all")


@given(tables())
def test_normalize_makes_unit_vectors_and_keeps_cosines(table):
    unit = table.normalize()
    lengths = np.linalg.norm(unit.vectors.astype(float), axis=1)
    zero = ~table.vectors.any(axis=1)
    # float32 rounding of each entry
    assert np.allclose(lengths, np.where(zero, 0, 1), atol=1e-6)
    assert np.allclose(unit.similarity_matrix(), table.similarity_matrix(), atol=1e-6)
    assert np.allclose(unit.normalize().vectors, unit.vectors, atol=1e-6)


def test_to_frame(table):
    frame = table.to_frame()
    assert frame.shape == (9, 4)
    assert tuple(frame.index) == TOKENS
    assert frame.index.name == "token"
    assert np.array_equal(frame.to_numpy(), table.vectors)
    frame.iloc[0, 0] = 99
    assert table.vectors[0, 0] != 99


# Rebase, widen, align


def large(n_tokens=40, dim=6, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n_tokens, dim)) * np.arange(1, dim + 1) + 3
    return EmbeddingTable([f"word{row}" for row in range(n_tokens)], vectors, CARD)


def distances(table):
    vectors = table.vectors.astype(float)
    return np.linalg.norm(vectors[:, None] - vectors, axis=2)


def test_rebase_with_power_one_keeps_the_centred_gram_matrix_but_for_scale():
    table = large()
    centred = table.vectors - table.vectors.astype(float).mean(axis=0)
    before = centred @ centred.T
    turned = table.rebase(1).vectors.astype(float)
    scale = np.linalg.svd(centred, compute_uv=False)[0] ** 2
    # float32 rounding of entries below 1
    assert np.allclose(turned @ turned.T, before / scale, atol=1e-6)
    assert np.allclose(distances(table.rebase(1)) * np.sqrt(scale), distances(table), atol=1e-4)


@pytest.mark.parametrize("power", [0, 0.5, 1, 1.5, 3])
def test_rebase_weights_the_axes_by_the_power(power):
    table = large()
    values = np.linalg.svd(table.vectors - table.vectors.astype(float).mean(axis=0), compute_uv=False)
    turned = np.linalg.svd(table.rebase(power).vectors.astype(float), compute_uv=False)
    assert np.allclose(turned, (values / values[0]) ** power, atol=1e-6)


def test_another_seed_only_turns():
    table = large()
    first, second = table.rebase(seed=0), table.rebase(seed=1)
    assert not np.allclose(first.vectors, second.vectors, atol=0.01)
    assert np.allclose(first.vectors @ first.vectors.T, second.vectors @ second.vectors.T, atol=1e-6)


@pytest.mark.parametrize("change", [lambda t: t.rebase(), lambda t: t.widen(9), lambda t: t.align(large(seed=1))])
def test_same_settings_same_bytes(change):
    assert same(change(large()), change(large()))
    assert change(large()).tokens == large().tokens


def test_rebase_mixes_every_axis_into_every_column():
    spread = large(400, 20).rebase().vectors.astype(float).std(axis=0)
    before = large(400, 20).vectors.astype(float).std(axis=0)
    assert spread.max() / spread.min() < before.max() / before.min() / 2


def test_rebase_keeps_the_axes_above_rounding():
    flat = replace(large(), vectors=large().vectors[:, :2] @ np.random.default_rng(0).standard_normal((2, 6)))
    assert flat.rebase().dim == 2
    assert large().rebase(dim=3).dim == 3
    few = large().subset(["word0", "word1", "word2"])
    assert few.rebase().dim == 2
    with pytest.raises(ValueError, match="dim must be at most 2, the axes above rounding, got 3; leave dim out"):
        few.rebase(dim=3)


def test_backed_off_vectors_set_no_axes_but_go_along():
    table = large()
    made = np.vstack([table.vectors, table.vectors[:5] * 100])
    flagged = EmbeddingTable((*table.tokens, *"ABCDE"), made, CARD, frozenset("ABCDE"))
    turned = flagged.rebase(1)
    assert np.allclose(turned.subset(table.tokens).vectors, table.rebase(1).vectors, atol=1e-6)
    ratio = distances(turned)[0, 1:] / distances(flagged)[0, 1:]
    assert np.allclose(ratio, ratio[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: table.rebase(-1), "power must be a finite number, 0 or more, got -1"),
        (lambda table: table.rebase(np.nan), "power must be a finite number, 0 or more, got nan"),
        (lambda table: table.rebase(dim=0), "dim must be a whole number, 1 or more, got 0"),
        (lambda table: table.subset(["Li"]).rebase(), "rebase needs two learned vectors or more, got 1"),
        (lambda table: replace(table, vectors=np.ones((9, 4))).rebase(), "the 9 learned vectors are all alike"),
        (lambda table: table.widen(0), "dim must be a whole number, 1 or more, got 0"),
        (lambda table: table.widen(2.5), "dim must be a whole number, 1 or more, got 2.5"),
        (lambda table: table.widen(True), "dim must be a whole number, 1 or more, got True"),
        (lambda table: table.align(table.widen(3)), "same dim, got 4 and 3; widen or rebase one of them first"),
        (lambda table: table.align(table.subset(["Li"])), "two learned tokens or more in both tables, got 1"),
        (lambda table: table.align(replace(table, backed_off=set(TOKENS[1:]))), "in both tables, got 1"),
    ],
)
def test_changes_that_make_no_sense_are_refused(change, says, table):
    with pytest.raises(ValueError, match=says):
        change(table)


def test_widen_keeps_inner_products_on_average(table):
    before = table.vectors.astype(float) @ table.vectors.T
    size = np.abs(before).max()
    # over n random columns an inner product is off by at most size * sqrt(2 / n), one sigma; four are allowed
    wide = table.widen(20_000).vectors.astype(float)
    assert np.allclose(wide @ wide.T, before, atol=4 * size / 100)
    narrow = [table.widen(2, seed=seed).vectors.astype(float) for seed in range(100)]
    assert np.allclose(np.mean([each @ each.T for each in narrow], axis=0), before, atol=4 * size / 10)


def test_widen_is_linear_so_adds_no_axes(table):
    assert np.linalg.matrix_rank(table.widen(50).vectors) == table.dim
    assert table.widen(2).dim == 2
    assert not np.array_equal(table.widen(5).vectors, table.widen(5, seed=1).vectors)


def test_align_recovers_a_turned_and_shifted_copy():
    table = large()
    turn, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))
    copy_ = replace(table, vectors=table.vectors.astype(float) @ turn + np.arange(6), card=Card("other"))
    back = copy_.align(table.subset(table.tokens[:20]))
    # float32 rounding of entries of about 20
    assert np.allclose(back.vectors, table.vectors, atol=1e-5)
    assert back.card.name == "other"


def test_align_keeps_distances_and_comes_closer():
    table, goal = large(), large(seed=1)
    aligned = table.align(goal)
    assert np.allclose(distances(aligned), distances(table), atol=1e-4)
    assert np.linalg.norm(aligned.vectors - goal.vectors) < np.linalg.norm(table.vectors - goal.vectors)


def test_align_looks_at_learned_tokens_only():
    table = large()
    moved = table.vectors.copy()
    moved[:5] += 50
    flagged = table.align(replace(table, vectors=moved, backed_off=set(table.tokens[:5])))
    assert np.allclose(flagged.vectors, table.vectors, atol=1e-5)


def test_steps_stand_on_the_card_in_order(table, tmp_path):
    changed = table.normalize().rebase(2, seed=1, dim=3).widen(4, seed=2).align(table)
    steps = [
        {"normalize": {}},
        {"rebase": {"power": 2, "seed": 1, "dim": 3}},
        {"widen": {"dim": 4, "seed": 2}},
        {"align": {"to": "demo", "n_shared": 9}},
    ]
    assert changed.card.settings == {**table.card.settings, "steps": steps}
    assert "steps" not in table.card.settings
    assert EmbeddingTable.read(changed.write(tmp_path / "table")).card.settings == changed.card.settings


def test_numbers_of_numpy_can_be_written(table, tmp_path):
    changed = table.rebase(np.float32(2), seed=np.int64(1), dim=np.int64(2)).widen(np.int64(3), seed=np.int64(1))
    assert EmbeddingTable.read(changed.write(tmp_path / "table")).card.settings == changed.card.settings


# What was backed off


def test_flags_follow_their_tokens(table):
    flagged = replace(table, backed_off=["Na", "Ti4+"])
    assert flagged.backed_off == {"Na", "Ti4+"}
    assert repr(flagged) == "EmbeddingTable('demo', 9 tokens, dim 4, 2 backed off)"
    assert repr(table) == "EmbeddingTable('demo', 9 tokens, dim 4)"
    assert flagged.subset(kind="species").backed_off == {"Ti4+"}
    assert flagged.subset(["Cl"]).backed_off == frozenset()
    other = replace(table, backed_off=["Cl"])
    assert flagged.concat(other).backed_off == {"Na", "Ti4+", "Cl"}
    assert flagged.concat(other.subset(["Cl", "Na"]), tokens="shared").backed_off == {"Cl", "Na"}
    for changed in (flagged.normalize(), flagged.rebase(), flagged.widen(2), flagged.align(table)):
        assert changed.backed_off == flagged.backed_off
    for twin in (pickle.loads(pickle.dumps(flagged)), copy.copy(flagged), copy.deepcopy(flagged)):
        assert twin.backed_off == flagged.backed_off


def test_flags_are_tokens_of_the_table(table):
    with pytest.raises(ValueError, match="backed_off must name tokens of the table, got 'K'; drop it"):
        replace(table, backed_off={"Li", "K"})
    with pytest.raises(TypeError, match="backed_off is a set of tokens, got the text 'Li'"):
        replace(table, backed_off="Li")


def test_flags_are_written_only_if_there_are_any(table, tmp_path):
    assert "backed_off" not in json.loads((table.write(tmp_path / "learned") / "config.json").read_text("utf-8"))
    folder = replace(table, backed_off={"Na", "Cl"}).write(tmp_path / "made")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["backed_off"] == ["Cl", "Na"]
    assert EmbeddingTable.read(folder).backed_off == {"Na", "Cl"}
    for broken, says in ((7, "not the config"), (["K"], "must name tokens"), ([["Na"]], "not the config")):
        (folder / "config.json").write_text(json.dumps(config | {"backed_off": broken}), encoding="utf-8")
        with pytest.raises(ValueError, match=says):
            EmbeddingTable.read(folder)


# The folder


def test_written_then_read_is_exact(table, tmp_path):
    limits = np.finfo(np.float32)
    vectors = table.vectors.copy()
    vectors[0] = [limits.max, limits.smallest_subnormal, -0.0, 1 / 3]
    table = replace(table, vectors=vectors)
    folder = table.write(tmp_path / "deep" / "table")
    assert {file.name for file in folder.iterdir()} == {"config.json", "vectors.safetensors", "vocab.json", "README.md"}
    again = EmbeddingTable.read(folder)
    assert same(again, table)
    assert replace(again.card, sha256={}) == table.card
    assert set(again.card.sha256) == {"vectors.safetensors", "vocab.json"}
    assert (folder / "README.md").read_text(encoding="utf-8") == again.card.to_markdown()


def test_files_are_those_other_programs_read(table, tmp_path):
    from safetensors.numpy import load_file

    folder = table.write(tmp_path / "table")
    assert np.array_equal(load_file(folder / "vectors.safetensors")["vectors"], table.vectors)
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert vocab == {token: row for row, token in enumerate(TOKENS)}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["type"], config["n_tokens"], config["dim"]) == ("EmbeddingTable", 9, 4)


def test_same_table_gives_same_bytes(table, tmp_path):
    first, second = table.write(tmp_path / "a"), table.write(tmp_path / "b")
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()
    again = EmbeddingTable.read(first).write(tmp_path / "c")
    for file in first.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes()


@pytest.mark.parametrize("name", ["vectors.safetensors", "vocab.json"])
def test_tampered_files_are_refused(name, table, tmp_path):
    path = table.write(tmp_path / "table") / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{name} is not the file its config.json names by SHA-256"):
        EmbeddingTable.read(tmp_path / "table")


@pytest.mark.parametrize(
    "vocab",
    [
        "[]",
        "{}",
        "[" * 100_000,
        '{"Li": ' + "1" * 5000 + "}",
        *(json.dumps(dict(zip(TOKENS, rows, strict=False))) for rows in (range(1, 10), "012345678", [0] * 9, range(8))),
        json.dumps(dict.fromkeys(TOKENS, True)),
        json.dumps(dict.fromkeys(TOKENS, float("nan"))),
    ],
)
def test_a_vocabulary_that_numbers_no_rows_is_refused(vocab, table, tmp_path):
    folder = table.write(tmp_path / "table")
    (folder / "vocab.json").write_text(vocab, encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["card"]["sha256"]["vocab.json"] = sha256_of(folder / "vocab.json")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.json must give each token its row, 0 to 8|cannot be read"):
        EmbeddingTable.read(folder)


@pytest.mark.parametrize("name", ["config.json", "vectors.safetensors", "vocab.json"])
def test_missing_files_are_named(name, table, tmp_path):
    (table.write(tmp_path / "table") / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no embedding table: {name} missing"):
        EmbeddingTable.read(tmp_path / "table")


def test_what_is_no_config_is_refused(table, tmp_path):
    config = table.write(tmp_path / "table") / "config.json"
    whole = json.loads(config.read_text(encoding="utf-8"))
    for broken in ("", "{", "[]", "{}", json.dumps(whole | {"card": {}}), json.dumps(whole | {"card": None})):
        config.write_text(broken, encoding="utf-8")
        with pytest.raises(ValueError, match=r"config\.json is not the config of an embedding table"):
            EmbeddingTable.read(tmp_path / "table")
    config.write_text(json.dumps(whole | {"schema": 2}), encoding="utf-8")
    with pytest.raises(ValueError, match="upgrade matembed"):
        EmbeddingTable.read(tmp_path / "table")
    whole["card"].pop("sha256")
    config.write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(ValueError, match="SHA-256"):
        EmbeddingTable.read(tmp_path / "table")


def test_nothing_is_replaced_unasked(table, tmp_path):
    folder = table.write(tmp_path / "table")
    smaller = table.subset(["Li"])
    with pytest.raises(FileExistsError, match="overwrite=True"):
        smaller.write(folder)
    assert same(EmbeddingTable.read(folder), table)
    assert same(EmbeddingTable.read(smaller.write(folder, overwrite=True)), smaller)
    assert [found.name for found in tmp_path.iterdir()] == ["table"]


def test_folder_appears_whole_or_not_at_all(table, tmp_path, monkeypatch):
    old = table.subset(["Li"]).write(tmp_path / "old")
    monkeypatch.setattr(Card, "to_markdown", lambda self: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        table.write(tmp_path / "new")
    with pytest.raises(OSError, match="disk full"):
        table.write(old, overwrite=True)
    assert [found.name for found in tmp_path.iterdir()] == ["old"]
    assert EmbeddingTable.read(old).tokens == ("Li",)
