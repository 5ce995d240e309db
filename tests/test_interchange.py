"""Foreign formats: what goes out comes back, and other programs read it."""

import json
import pickle
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from matembed import interchange
from matembed.cards import Card
from matembed.downstream.features import FormulaFeaturizer
from matembed.embeddings import EmbeddingTable
from matembed.interchange import from_keyed_vectors, read_table, to_keyed_vectors, write_table

FORMATS = {
    "matembed": "",
    "safetensors": ".safetensors",
    "word2vec": ".vec",
    "word2vec-binary": ".bin",
    "csv": ".csv",
    "json": ".json",
}
FOREIGN = {name: suffix for name, suffix in FORMATS.items() if name not in ("matembed", "safetensors")}


@pytest.fixture
def table():
    """Tokens of every kind and a foreign word; numbers at the edges of float32."""
    tokens = ("Li", "Ti4+", "TiO6:O:6", "O:6", "-corner-", "(2)O3", 'a,"b"', "Å")
    vectors = np.random.default_rng(0).standard_normal((len(tokens), 5)).astype(np.float32)
    limits = np.finfo(np.float32)
    vectors[0] = [limits.max, limits.min, limits.smallest_subnormal, -0.0, 1 / 3]
    vectors[1] = [limits.tiny, limits.eps, 1 + limits.eps, 16777217, 0.1]
    return EmbeddingTable(tokens, vectors, Card("demo", what="A demonstration.", licence="CC0-1.0"))


def same(first, second):
    return first.tokens == second.tokens and first.vectors.tobytes() == second.vectors.tobytes()


@pytest.mark.parametrize("name", FORMATS)
def test_written_then_read_is_exact(name, table, tmp_path):
    path = write_table(table, tmp_path / f"table{FORMATS[name]}")
    assert same(read_table(path), table)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", FORMATS)
def test_format_can_be_named_whatever_the_suffix(name, table, tmp_path):
    path = write_table(table, tmp_path / "table.dat", format=name)
    assert same(read_table(path, format=name), table)


@pytest.mark.parametrize("name", FORMATS)
def test_same_table_gives_same_bytes(name, table, tmp_path):
    first, second = (write_table(table, tmp_path / f"{copy}{FORMATS[name]}") for copy in "ab")
    files = (lambda path: sorted(path.iterdir())) if name == "matembed" else (lambda path: [path])
    assert [file.read_bytes() for file in files(first)] == [file.read_bytes() for file in files(second)]


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_replaced_unasked(name, table, tmp_path):
    path = write_table(table, tmp_path / f"table{FORMATS[name]}")
    smaller = table.subset(["Li"])
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_table(smaller, path)
    assert same(read_table(path), table)
    assert same(read_table(write_table(smaller, path, overwrite=True)), smaller)


@pytest.mark.parametrize("tokens, told", [(("1", "2"), "atomic numbers"), (("Sodium", "iron"), "symbols of elements")])
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_tokens_that_would_be_read_as_others_are_not_written(tokens, told, suffix, tmp_path):
    table = EmbeddingTable(tokens, [[1.0], [2.0]], Card("words"))
    with pytest.raises(
        ValueError, match=rf"tokens such as '{tokens[0]}' would be read from .* as {told}; write a folder"
    ):
        write_table(table, tmp_path / f"words{suffix}")
    assert not list(tmp_path.iterdir())
    assert read_table(write_table(table, tmp_path / "words.safetensors")).tokens == tokens


def test_only_the_folder_and_safetensors_keep_the_card(table, tmp_path):
    assert read_table(write_table(table, tmp_path / "folder")).card.licence == "CC0-1.0"
    assert read_table(write_table(table, tmp_path / "table.safetensors")).card == table.card
    for suffix in FOREIGN.values():
        card = read_table(write_table(table, tmp_path / f"table{suffix}")).card
        assert card.name == "table"
        assert card.source.startswith(f"table{suffix}, SHA-256 ")
        assert len(card.source.split()[-1]) == 64
        assert (card.licence, card.citation, card.settings) == ("", (), {})


def test_random_float32_survive_nine_digits(tmp_path):
    bits = np.random.default_rng(1).integers(0, 2**32, size=(100, 50), dtype=np.uint32)
    vectors = bits.view(np.float32)
    vectors = np.where(np.isfinite(vectors), vectors, np.float32(0))
    table = EmbeddingTable([f"t{row}" for row in range(100)], vectors, Card("bits"))
    for suffix in (*FOREIGN.values(), ".safetensors"):
        assert same(read_table(write_table(table, tmp_path / f"bits{suffix}")), table)


# safetensors


def test_the_safetensors_library_alone_reads_what_we_write(table, tmp_path):
    path = write_table(table, tmp_path / "table.safetensors")
    with safe_open(path, framework="numpy") as file:
        assert list(file.keys()) == ["vectors"]
        assert file.get_tensor("vectors").tobytes() == table.vectors.tobytes()
        assert tuple(json.loads(file.metadata()["tokens"])) == table.tokens
        assert Card.from_dict(json.loads(file.metadata()["card"])) == table.card


def test_we_read_what_the_safetensors_library_writes(table, tmp_path):
    metadata = {"matembed": "1", "tokens": json.dumps(table.tokens), "card": json.dumps(table.card.to_dict())}
    save_file({"vectors": table.vectors}, tmp_path / "table.safetensors", metadata)
    found = read_table(tmp_path / "table.safetensors")
    assert same(found, table)
    assert found.card == table.card


def test_safetensors_remember_what_was_backed_off(table, tmp_path):
    table = EmbeddingTable(table.tokens, table.vectors, table.card, frozenset({"Li"}))
    assert read_table(write_table(table, tmp_path / "table.safetensors")).backed_off == {"Li"}


def header_of(n_bytes, text=b"{}"):
    return n_bytes.to_bytes(8, "little") + text


TENSOR = {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}


def file_of(metadata, tensor=TENSOR, data=bytes(4)):
    text = json.dumps({"__metadata__": metadata, "vectors": tensor}).encode()
    return header_of(len(text), text) + data


GOOD = {"matembed": "1", "tokens": '["Li"]', "card": '{"name": "x"}'}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is no safetensors file: 0 bytes"),
        (b"abc", "is no safetensors file: 3 bytes"),
        (header_of(2**63), "the header would take 9,223,372,036,854,775,808"),
        (header_of(99_999_999), "the header would take 99,999,999"),
        (header_of(2, b"[]"), "is no table that write_table made"),
        (header_of(100_000, b"[" * 100_000), "is no table that write_table made"),
        (pickle.dumps({"Li": 1}), "is no safetensors file"),
        (file_of({}), "'tokens' and 'card' in the metadata"),
        (file_of(GOOD | {"matembed": "2"}), "upgrade matembed"),
        (file_of(GOOD | {"tokens": "[" * 100_000}), "recursion"),
        (file_of(GOOD | {"tokens": '["Li", "Na"]'}), "2 tokens need vectors of shape (2, dim), got (1, 1)"),
        (file_of(GOOD | {"tokens": "[3]"}), "tokens must be text"),
        (file_of(GOOD | {"tokens": "3"}), "not iterable"),
        (file_of(GOOD | {"card": "[]"}), "a card is a mapping with a name"),
        (file_of(GOOD | {"card": '{"name": "x", "counts": 3}'}), "is no table that write_table made"),
        (file_of(GOOD, TENSOR | {"shape": [2**40, 2**20]}), "is no table that write_table made"),
        (file_of(GOOD, TENSOR | {"data_offsets": [0, 2**40]}), "is no table that write_table made"),
        (file_of(GOOD, data=b""), "is no table that write_table made"),
        (file_of(GOOD, data=b"\0\0\x80\x7f"), "the vector of 'Li' is not finite"),
        (file_of(GOOD, TENSOR | {"dtype": "I32"}), "must be floating-point numbers"),
    ],
)
def test_safetensors_gone_wrong_or_made_to_do_harm_are_refused(data, says, tmp_path):
    path = tmp_path / "table.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"table\.safetensors") as error:
        read_table(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_more_tokens_than_a_safetensors_header_holds_are_not_written(table, tmp_path, monkeypatch):
    monkeypatch.setattr(interchange, "_LARGEST_HEADER", 100)
    with pytest.raises(ValueError, match="write a folder"):
        write_table(table, tmp_path / "table.safetensors")
    assert not list(tmp_path.iterdir())


# gensim


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_we_write(binary, table, tmp_path):
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    path = write_table(table, tmp_path / ("table.bin" if binary else "table.vec"))
    keyed = keyed_vectors.load_word2vec_format(str(path), binary=binary)
    assert tuple(keyed.index_to_key) == table.tokens
    assert keyed.vectors.tobytes() == table.vectors.tobytes()


@pytest.mark.parametrize("binary", [False, True])
def test_we_read_what_gensim_writes(binary, table, tmp_path):
    pytest.importorskip("gensim")
    path = tmp_path / ("table.bin" if binary else "table.txt")
    to_keyed_vectors(table).save_word2vec_format(str(path), binary=binary)
    assert same(read_table(path), table)


def test_keyed_vectors_there_and_back(table):
    pytest.importorskip("gensim")
    keyed = to_keyed_vectors(table)
    assert same(from_keyed_vectors(keyed, name="again"), table)
    assert from_keyed_vectors(keyed, name="again").card.name == "again"
    assert keyed.similarity("TiO6:O:6", "O:6") == pytest.approx(
        table.similarity("TiO6:O:6", "O:6"), abs=1e-6
    )  # float32


def test_keyed_vectors_with_spaces_in_keys_are_refused():
    models = pytest.importorskip("gensim.models")
    keyed = models.KeyedVectors(2)
    keyed.add_vectors(["band gap"], np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="no white space, got 'band gap'"):
        from_keyed_vectors(keyed)


def test_only_keyed_vectors_need_gensim(table, tmp_path):
    code = (
        "import sys; sys.modules['gensim'] = None\n"
        "from matembed.interchange import read_table, to_keyed_vectors\n"
        "table = read_table(sys.argv[1])\n"
        "try:\n    to_keyed_vectors(table)\n"
        "except ImportError as error:\n    print(error)\n"
    )
    path = write_table(table, tmp_path / "table.bin")
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "pip install" in ran.stdout


def test_word2vec_binary_of_the_original_program_ends_each_vector_with_a_newline(tmp_path):
    path = tmp_path / "google.bin"
    vectors = np.array([[1, 2], [3, 4]], dtype="<f4")
    path.write_bytes(b"2 2\n" + b"Li " + vectors[0].tobytes() + b"\nNa " + vectors[1].tobytes() + b"\n")
    table = read_table(path)
    assert table.tokens == ("Li", "Na")
    assert table.vectors.tolist() == [[1, 2], [3, 4]]


# ElementEmbeddings


ELEMENTS = ("Na", "O", "Ti", "Sr")
SPECIES = ("Na+", "O2-", "Ti4+", "Sr2+")


@pytest.fixture
def vectors():
    return np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@pytest.mark.parametrize("kind", ["element", "species"])
def test_elementembeddings_reads_what_we_write_and_gives_it_back(kind, suffix, vectors, tmp_path):
    core = pytest.importorskip("elementembeddings.core", reason="ElementEmbeddings is not installed")
    table = EmbeddingTable(ELEMENTS if kind == "element" else SPECIES, vectors, Card("ours"))
    reader = core.Embedding if kind == "element" else core.SpeciesEmbedding
    read = reader.from_csv if suffix == ".csv" else reader.from_json
    theirs = read(str(write_table(table, tmp_path / f"ours{suffix}")), "ours")
    assert (tuple(theirs.embeddings), theirs.dim) == (table.tokens, 5)
    assert np.array_equal(np.array(list(theirs.embeddings.values()), dtype=np.float32), vectors)
    for first, second in zip(table.tokens, table.tokens[1:], strict=False):
        cosine = theirs.compute_correlation_metric(first, second, "cosine_similarity")
        assert cosine == pytest.approx(table.similarity(first, second), abs=1e-6)  # of nine digits
    if suffix == ".csv" and kind == "species":
        return  # SpeciesEmbedding writes no CSV
    theirs.to(suffix[1:], str(tmp_path / f"back{suffix}"))
    assert same(read_table(tmp_path / f"back{suffix}"), table)


def test_elementembeddings_pools_our_elements_as_we_do(vectors, tmp_path):
    composition = pytest.importorskip("elementembeddings.composition", reason="ElementEmbeddings is not installed")
    from elementembeddings.core import Embedding

    table = EmbeddingTable(ELEMENTS, vectors, Card("ours"))
    theirs = Embedding.from_csv(str(write_table(table, tmp_path / "ours.csv")), "ours")
    pooled = composition.CompositionalEmbedding("SrTiO3", theirs).feature_vector("mean")
    assert pooled == pytest.approx((table["Sr"] + table["Ti"] + 3 * table["O"]) / 5, abs=1e-6)


def shipped(package, *folders):
    """Tables that come with an installed package; one that asks for it where it is missing."""
    spec = find_spec(package)
    if spec is None:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{package} is not installed"))]
    root = Path(next(iter(spec.submodule_search_locations)))
    files = sorted(file for folder in folders for file in root.glob(folder) if file.suffix in (".csv", ".json"))
    return [pytest.param(file, id=file.name) for file in files]


EE_TABLES = shipped("elementembeddings", "data/element_representations/*", "data/species_representations/*")
CBFV_TABLES = shipped("CBFV", "element_properties/*.csv")
# What is wrong with the file itself: a gap, and a token twice.
FAULTY = {"oliynyk.csv": "'H' has no number in column 'Miracle_Radius_[pm]'", "random_200_new.csv": "'Uuh' twice"}


@pytest.mark.parametrize("file", [*EE_TABLES, *CBFV_TABLES])
def test_we_read_the_tables_that_others_ship_number_by_number(file):
    if file.name in FAULTY:
        with pytest.raises(ValueError, match=re.escape(FAULTY[file.name])):
            read_table(file)
        return
    table = read_table(file)
    if file.suffix == ".json":
        known = json.loads(file.read_text())
        tokens, numbers = list(known), np.array([np.ravel(value) for value in known.values()])
    else:
        frame = pd.read_csv(file, index_col=0, keep_default_na=False)
        tokens, numbers = list(frame.index), frame.to_numpy()
    assert table.tokens == tuple(tokens)
    assert np.array_equal(table.vectors, numbers.astype(np.float32))
    assert len(table.subset(kind=table.kinds[-1])) > 80


def test_gaps_of_a_shipped_table_can_be_left_out_or_filled():
    files = [parameter.values[0] for parameter in EE_TABLES if parameter.id == "oliynyk.csv"]
    if not files:
        pytest.skip("ElementEmbeddings is not installed")
    kept, filled = read_table(files[0], on_missing="drop"), read_table(files[0], on_missing="mean")
    frame = pd.read_csv(files[0], index_col="element")
    assert kept.tokens == tuple(frame.dropna().index)
    assert np.allclose(filled.vectors, frame.fillna(frame.mean()), rtol=1e-6)


# SkipAtom, which keeps vectors in objects, and CBFV, which reads the tables in its folder


def test_skipatom_pools_our_vectors_as_we_do_and_gives_them_back(vectors, tmp_path):
    skipatom = pytest.importorskip("skipatom", reason="skipatom is not installed")
    from pymatgen.core import Composition

    written = read_table(write_table(EmbeddingTable(ELEMENTS, vectors, Card("ours")), tmp_path / "ours.csv"))
    theirs = skipatom.AtomVectors()
    theirs.elems, theirs.vectors = list(written.tokens), written.vectors.tolist()
    theirs.dictionary = {token: written.row(token) for token in written}
    theirs.save(tmp_path / "ours.dv")
    loaded = skipatom.AtomVectors.load(tmp_path / "ours.dv")
    pooled = skipatom.mean_pool(Composition("SrTiO3"), loaded.dictionary, loaded.vectors)
    mean = FormulaFeaturizer(written, pooling="mean").fit_transform(["SrTiO3"])[0]
    assert pooled == pytest.approx(mean, abs=1e-6)
    assert same(EmbeddingTable(tuple(loaded.elems), loaded.vectors, Card("back")), written)
    with pytest.raises(ValueError, match="pickle"):
        read_table(tmp_path / "ours.dv", format="csv")


@pytest.mark.filterwarnings("ignore")  # of pandas, about what CBFV does with it
def test_cbfv_featurizes_with_our_table(vectors, tmp_path, monkeypatch, capsys):
    if find_spec("CBFV") is None:
        pytest.skip("CBFV is not installed")
    table = EmbeddingTable(ELEMENTS, vectors, Card("ours"))
    path = write_table(table, tmp_path / "ours.csv")
    # It takes its tables from its own folder through pkg_resources, which newer setuptools lack.
    monkeypatch.setitem(sys.modules, "pkg_resources", SimpleNamespace(resource_stream=lambda *_: path.open("rb")))
    monkeypatch.delitem(sys.modules, "CBFV.composition", raising=False)
    from CBFV.composition import generate_features

    with pd.option_context("future.infer_string", False):  # it adds text to arrays of text, as pandas 2 has them
        frame = pd.DataFrame({"formula": [*ELEMENTS, "SrTiO3"], "target": 0.0})
        features = generate_features(frame, elem_prop="ours")[0]
    means = features[[f"avg_{column}" for column in range(table.dim)]].to_numpy()
    assert np.array_equal(means[:4].astype(np.float32), vectors)
    assert means[4] == pytest.approx((table["Sr"] + table["Ti"] + 3 * table["O"]) / 5, abs=1e-6)
    assert same(EmbeddingTable(ELEMENTS, means[:4], Card("back")), read_table(path))


# aviary, MEGNet and CGCNN, whose loaders do no more than this with a file


def test_aviary_and_megnet_find_in_our_json_what_they_look_for(vectors, tmp_path):
    """A JSON object of lists of numbers, of one length, keyed by symbols that pymatgen knows."""
    from pymatgen.core import Element

    table = EmbeddingTable((*ELEMENTS, "Ti4+"), np.vstack([vectors, vectors[:1]]), Card("ours"))
    path = write_table(table.subset(kind="element"), tmp_path / "ours.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [Element(symbol).Z for symbol in found] == [11, 8, 22, 38]
    assert np.array_equal(np.array(list(found.values()), dtype=np.float32), vectors)
    assert same(read_table(path), table.subset(kind="element"))


def test_json_by_atomic_number_is_read_by_symbol(tmp_path):
    path = tmp_path / "atom_init.json"
    path.write_text('{"1": [0, 1], "2": [1, 0], "22": [1, 1]}')
    assert read_table(path).tokens == ("H", "He", "Ti")
    path.write_text('{"0": [0, 1], "1": [1, 0]}')
    with pytest.raises(ValueError, match="atomic numbers, 1 to 118; got '0'"):
        read_table(path)


def test_json_of_wyckoff_positions_by_space_group_is_no_table(tmp_path):
    path = tmp_path / "bra-alg-off.json"
    path.write_text('{"1": {"a": [0, 1]}, "2": {"i": [1, 0]}}')
    with pytest.raises(ValueError, match="'1' must have a list of numbers"):
        read_table(path)


# CSV and JSON as people write them


@pytest.mark.parametrize(
    "text",
    [
        "element,0,1\nLi,0.5,1\nNa,-2e-3,3\n",
        "\ufeffelement,0,1\r\nLi,0.5,1\r\nNa,-2e-3,3\r\n",
        "Element,mass,radius\nLi, 0.5 ,1\nNa,-2e-3,3",
        ",0,1\nLi,0.5,1\n\nNa,-2e-3,3\n",
        "0,element,1\n0.5,Li,1\n-2e-3,Na,3\n",
        '"symbol","x, y","z"\n"Li","0.5","1"\n"Na","-2e-3","3"\n',
        "x,Symbol,y\n0.5,Li,1\n-2e-3,Na,3\n",
        ",element,0,1\n0,Li,0.5,1\n1,Na,-2e-3,3\n",
        "Unnamed: 0,element,0,1\n1,Li,0.5,1\n2,Na,-2e-3,3\n",
        "element,0,1\nLithium,0.5,1\nSodium,-2e-3,3\n",
        "name,0,1\nlithium,0.5,1\nsodium,-2e-3,3\n",
    ],
    ids=[
        *("plain", "bom-crlf", "spaces", "no-label", "label-second", "quoted", "symbol-second", "rows-from-0"),
        *("rows-from-1", "names", "names-small"),
    ],
)
def test_csv_variants(text, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    table = read_table(path)
    assert table.tokens == ("Li", "Na")
    assert np.array_equal(table.vectors, np.array([[0.5, 1], [-2e-3, 3]], dtype=np.float32))


@pytest.mark.parametrize(("kind", "label"), [("element", "element"), ("species", "species"), (None, "token")])
def test_csv_label_tells_what_the_tokens_are(kind, label, table, tmp_path):
    path = write_table(table.subset(kind=kind), tmp_path / "table.csv")
    assert path.read_text(encoding="utf-8").splitlines()[0] == f"{label},0,1,2,3,4"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "header"),
        ("element\nLi\n", "header"),
        ("Li,0.5,1\nNa,2,3\n", "header"),
        ("element;0;1\nLi;0;1\n", "header"),
        ("element,0,1\n", "holds no vectors"),
        ("element,0,1\nLi,0.5\n", "line 2: wanted 3 cells"),
        ("element,0,1\nLi,0.5,1\nNa,heavy,3\n", "'Na' has 'heavy' in column '0'"),
        ("element,0,1\nLi,0.5,1\nNa,inf,3\n", "'Na' is not finite"),
        ("element,0,1\nLi,0.5,1\nLi,2,3\n", "'Li' twice"),
        ("element,0,1\nband gap,0.5,1\n", "white space, got 'band gap'"),
        ("element,0\nAluminium,1\nAluminum,2\n", "'Al' twice"),
        (",atom,0\n1,Li,0.5\n2,Na,3\n", "'1' has 'Li' in column 'atom'"),
        (",0,1\n1,0.5,1\n2,-2e-3,3\n", "column '' holds numbers; name the column that holds the tokens 'element'"),
    ],
)
def test_csv_refused_with_a_reason(text, says, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"table\.csv") as error:
        read_table(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "wanted a JSON object"),
        ("{", "is not JSON"),
        ("{}", "holds no vectors"),
        ('{"Li": []}', "holds no vectors"),
        ('{"Li": [1, 2], "Na": [1]}', "that of 'Na' is not"),
        ('{"Li": {"mass": 7}}', "'Li' must have a list of numbers"),
        ('{"Li": ["heavy"]}', "'Li' must have a list of numbers"),
        ('{"Li": [Infinity]}', "'Li' is not finite"),
        ('{"Li": [1], "Na": [2], "Li": [3]}', "'Li' twice"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_json_refused_with_a_reason(text, says, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"table\.json") as error:
        read_table(path)
    assert says in str(error.value)


def test_a_column_of_numbers_that_count_rows_is_kept_where_it_has_a_name(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("element,number,mass\nH,1,1.008\nHe,2,4.003\n")
    assert read_table(path).vectors[:, 0].tolist() == [1, 2]


def test_names_beside_symbols_or_other_words_stay_as_they_are(tmp_path):
    path = tmp_path / "words.json"
    path.write_text('{"sodium": [1], "Na": [2]}')
    assert read_table(path).tokens == ("sodium", "Na")
    path.write_text('{"sodium": [1], "chloride": [2]}')
    assert read_table(path).tokens == ("sodium", "chloride")
    path.write_text('{"Aluminium": [1], "Caesium": [2], "Sulphur": [3]}')
    assert read_table(path).tokens == ("Al", "Cs", "S")


def test_json_of_single_numbers_is_a_table_of_one_column(tmp_path):
    path = tmp_path / "scale.json"
    path.write_text('{"Li": 3, "Na": 11}')
    assert read_table(path).vectors.tolist() == [[3], [11]]


GAPS_CSV = "element,mass,radius\nLi,7,\nNa,23,186\nK,NaN,227\n"
GAPS_JSON = '{"Li": [7, null], "Na": [23, 186], "K": [NaN, 227]}'


@pytest.mark.parametrize(("suffix", "text", "column"), [(".csv", GAPS_CSV, "radius"), (".json", GAPS_JSON, "1")])
def test_missing_numbers(suffix, text, column, tmp_path):
    path = tmp_path / f"gaps{suffix}"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"'Li' has no number in column '{column}' \(2 numbers are missing in all\)"):
        read_table(path)
    dropped = read_table(path, on_missing="drop")
    assert dropped.tokens == ("Na",)
    assert "without 2 tokens" in dropped.card.what
    filled = read_table(path, on_missing="mean")
    assert filled.vectors.tolist() == [[7, 206.5], [23, 186], [15, 227]]
    assert "2 missing numbers" in filled.card.what
    with pytest.raises(ValueError, match="on_missing must be"):
        read_table(path, on_missing="zero")


def test_missing_numbers_that_nothing_can_fill(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("element,mass,radius\nLi,7,\nNa,23,\n")
    with pytest.raises(ValueError, match="no mean"):
        read_table(path, on_missing="mean")
    with pytest.raises(ValueError, match="none is left"):
        read_table(path, on_missing="drop")


# word2vec files gone wrong


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "n_tokens dim"),
        ("Li 0.1 0.2\n", "n_tokens dim"),
        ("0 2\n", "0 vectors of length 2"),
        ("2 2\nLi 1 2\n", "says it holds 2 vectors, and holds 1"),
        ("1 2\nLi 1 2\nNa 1 2\n", "says it holds 1 vectors, and holds 2"),
        ("1 2\nLi 1 2 3\n", "line 2"),
        ("1 2\nband gap 1 2\n", "line 2"),
        ("1 2\nLi 1 nan\n", "no number in column '1'"),
    ],
)
def test_word2vec_text_refused_with_a_reason(text, says, tmp_path):
    path = tmp_path / "table.vec"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"table\.vec") as error:
        read_table(path)
    assert says in str(error.value)


def test_word2vec_binary_cut_short_or_too_long_is_refused(table, tmp_path):
    path = write_table(table, tmp_path / "table.bin")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(ValueError, match="cut short"):
        read_table(path)
    path.write_bytes(whole + b"Na 1234")
    with pytest.raises(ValueError, match="holds more"):
        read_table(path)


# Never a pickle


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was read",))


@pytest.mark.parametrize(
    "name", ["t.pkl", "t.kv", "t.model", "t.npy", "t.npz", "t.pt", "t.json", "t.csv", "t.txt", "t.bin"]
)
def test_pickles_are_refused_unread(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"Li": Trap()}))
    with pytest.raises(ValueError, match="pickle"):
        read_table(path)


def test_numpy_archives_are_refused_whatever_they_are_called(tmp_path):
    for save, name in ((np.save, "a.npy"), (np.savez, "b.npz")):
        save(tmp_path / name, np.ones(3))
        path = (tmp_path / name).rename(tmp_path / "table.bin")
        with pytest.raises(ValueError, match="archive"):
            read_table(path)


def test_pickles_are_not_written(table, tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        write_table(table, tmp_path / "table.pkl")
    assert not list(tmp_path.iterdir())


# The door


def test_paths_and_formats_that_cannot_be(table, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")
    odd = tmp_path / "table.xlsx"
    odd.write_text("?")
    with pytest.raises(ValueError, match=r"cannot tell the format.*word2vec-binary"):
        read_table(odd)
    with pytest.raises(ValueError, match="unknown format 'excel'"):
        write_table(table, odd, format="excel")
    with pytest.raises(ValueError, match="is a folder, and this is not"):
        read_table(odd, format="matembed")
    with pytest.raises(ValueError, match="is a file, and this is not"):
        read_table(tmp_path, format="csv")
    with pytest.raises(FileNotFoundError, match="no embedding table"):
        read_table(tmp_path)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("element,Größe\nLi,1\n".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        read_table(latin)


def test_json_is_plain_json(table, tmp_path):
    values = json.loads(write_table(table, tmp_path / "table.json").read_text(encoding="utf-8"))
    assert list(values) == list(table.tokens)
    assert np.float32(values["Ti4+"][4]) == np.float32(0.1)
