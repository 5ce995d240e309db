"""Foreign formats: what goes out comes back, and other programs read it."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from matembed.cards import Card
from matembed.embeddings import EmbeddingTable
from matembed.interchange import from_keyed_vectors, read_table, to_keyed_vectors, write_table

FORMATS = {"matembed": "", "word2vec": ".vec", "word2vec-binary": ".bin", "csv": ".csv", "json": ".json"}
FOREIGN = {name: suffix for name, suffix in FORMATS.items() if name != "matembed"}


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


def test_only_the_folder_keeps_the_card(table, tmp_path):
    assert read_table(write_table(table, tmp_path / "folder")).card.licence == "CC0-1.0"
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
    for suffix in FOREIGN.values():
        assert same(read_table(write_table(table, tmp_path / f"bits{suffix}")), table)


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


def test_elementembeddings_reads_what_we_write(tmp_path):
    core = pytest.importorskip("elementembeddings.core", reason="ElementEmbeddings is not installed")
    vectors = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    elements = EmbeddingTable(("Na", "O", "Ti"), vectors, Card("elements"))
    species = EmbeddingTable(("Na+", "O2-", "Ti4+"), vectors, Card("species"))
    for table, reader in ((elements, core.Embedding), (species, core.SpeciesEmbedding)):
        for suffix, read in ((".csv", reader.from_csv), (".json", reader.from_json)):
            theirs = read(str(write_table(table, tmp_path / f"{table.card.name}{suffix}")), "ours")
            assert tuple(theirs.embeddings) == table.tokens
            assert np.array_equal(np.array(list(theirs.embeddings.values()), dtype=np.float32), vectors)
            assert theirs.dim == 4


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_we_read_what_elementembeddings_writes(kind, tmp_path):
    core = pytest.importorskip("elementembeddings.core", reason="ElementEmbeddings is not installed")
    theirs = core.Embedding.load_data("megnet16")
    theirs.to(kind, str(tmp_path / f"megnet.{kind}"))
    table = read_table(tmp_path / f"megnet.{kind}")
    assert table.tokens == tuple(theirs.embeddings)
    assert np.array_equal(table.vectors, np.array(list(theirs.embeddings.values()), dtype=np.float32))


def test_we_read_the_tables_elementembeddings_ships():
    core = pytest.importorskip("elementembeddings.core", reason="ElementEmbeddings is not installed")
    from pathlib import Path

    folders = Path(core.data_directory).glob("*_representations")
    files = sorted(file for folder in folders for file in folder.iterdir() if file.suffix in (".csv", ".json"))
    assert len(files) > 20
    refused = {}
    for file in files:
        try:
            table = read_table(file)
        except ValueError as error:
            refused[file.name] = str(error)
        else:
            assert len(table) > 80
    assert set(refused) == {"oliynyk.csv", "random_200_new.csv"}
    assert "'H' has no number in column 'Miracle_Radius_[pm]'" in refused["oliynyk.csv"]
    assert "'Uuh' twice" in refused["random_200_new.csv"]


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
    ],
    ids=["plain", "bom-crlf", "spaces", "no-label", "label-second", "quoted"],
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
    ],
)
def test_json_refused_with_a_reason(text, says, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"table\.json") as error:
        read_table(path)
    assert says in str(error.value)


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
