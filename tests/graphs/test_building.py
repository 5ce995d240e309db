"""Graphs in a folder: those in memory; the same bytes however they were made; no crash, and nothing is lost."""

import numpy as np
import pandas as pd
import pytest
from interrupted import Interrupting
from pymatgen.core import Lattice, Structure
from safetensors.numpy import load_file

import matembed as me
from matembed.corpus import _resumable
from matembed.corpus._shards import ROWS_PER_SHARD
from matembed.corpus.build import TooManyRejectedError
from matembed.graphs import AtomMotifGraphs, atom_motif_graphs, build_graphs
from matembed.graphs.atom_motif import TABLES
from matembed.sources.rows import Rows, StructureRow

NAMES = ("Na", "K", "Rb", "Cs", "Li", "Fe")
SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def cell(metal, a=4.1):
    """A crystal of the caesium chloride type, as a line of JSON holds it."""
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return {"lattice": lattice, "species": [metal, "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}


def crystals(*payloads):
    rows = [StructureRow(i, f"x{i}", f"line {i}", payload, {"n": i}) for i, payload in enumerate(payloads, start=1)]
    return Rows("structures", "crystals", len(rows), lambda: iter(rows))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def built(source, folder, **options):
    return build_graphs(source, folder, progress=False, **options)


def same(one, other):
    """Whether graphs are alike, bit for bit."""
    texts = [(graphs.ids, graphs.formulas, graphs.names) for graphs in (one, other)]
    return texts[0] == texts[1] and all(
        a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array(a[k]).tobytes() == b[k].tobytes() for k in a)
        for a, b in ((one.columns, other.columns), (one.ends, other.ends))
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "graphs"
    built(crystals(*map(cell, NAMES)), folder)
    return contents(folder)


@pytest.mark.parametrize("options", [{}, {"merge": False}, {"strategy": "multi_weights"}], ids=str)
def test_a_folder_holds_the_graphs_of_single_crystals(tmp_path, monkeypatch, options):
    monkeypatch.setattr(_resumable, "ROWS_PER_SHARD", dict.fromkeys(ROWS_PER_SHARD, 7))
    rows = list(me.read_prototypes(limit=30))
    made = built(me.read_prototypes(limit=30), tmp_path / "graphs", **options).graphs
    alone = [atom_motif_graphs({row.id: row.to_structure()}, **options) for row in rows]
    assert same(made, AtomMotifGraphs.concat(alone))
    read = AtomMotifGraphs.read(tmp_path / "graphs")
    assert same(read, made)
    assert isinstance(read.columns["bond_lengths"].base, np.memmap)
    stored = load_file(tmp_path / "graphs" / "graphs.safetensors")
    assert stored.keys() == read.columns.keys() | {f"{table}_ends" for table in TABLES}
    assert all(np.array_equal(stored[name], read.columns[name], equal_nan=True) for name in read.columns)
    at_once = build_graphs(me.read_prototypes(limit=30), progress=False, **options).graphs
    assert (at_once.names, at_once.counts()) == (made.names, made.counts())
    assert made.card.counts == made.counts() | {"read": 30, "kept": 30, "rejected": 0, "rewritten": 0}
    assert made.card.settings == at_once.card.settings | {"time_limit": 300.0}
    if not options.get("merge", True):
        assert same(made, at_once)


def test_two_workers_and_small_shards_write_the_same_bytes(reference, tmp_path, two_rows_a_shard):
    built(crystals(*map(cell, NAMES)), tmp_path / "graphs", workers=2)
    assert contents(tmp_path / "graphs") == reference
    assert list(tmp_path.iterdir()) == [tmp_path / "graphs"]


def test_an_interrupted_build_goes_on_to_the_same_bytes(reference, tmp_path, two_rows_a_shard):
    payloads = [Interrupting(cell(name)) if name == "Cs" else cell(name) for name in NAMES]
    Interrupting.pressed = False
    with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
        built(crystals(*payloads), tmp_path / "graphs")
    assert [path.name for path in (tmp_path / "graphs.partial").iterdir()] == ["shard-000000.zip"]
    with pytest.raises(FileNotFoundError, match="run the same build again to finish it"):
        AtomMotifGraphs.read(tmp_path / "graphs")
    read = []
    with pytest.MonkeyPatch.context() as patch:
        read_crystal = StructureRow.read_crystal
        patch.setattr(StructureRow, "read_crystal", lambda row: read.append(row.id) or read_crystal(row))
        built(crystals(*payloads), tmp_path / "graphs")
    assert read == ["x3", "x4", "x5", "x6"]
    assert contents(tmp_path / "graphs") == reference


def test_given_bonds_go_with_their_crystals(tmp_path, two_rows_a_shard):
    bonds = {"a": [[0, 4, 0, 0, 0]], "b": [[0, 1, 0]], "d": np.array([[0, 4, 0, 0, 0], [1, 5, 0, 0, 0]])}
    source = dict.fromkeys("abcd", SALT)
    graphs, rejected = built(source, tmp_path / "graphs", bonds=bonds, max_rejected=1)
    in_memory = build_graphs(source, bonds=bonds, progress=False)
    assert same(graphs, in_memory.graphs)
    assert rejected == in_memory.rejected
    assert rejected[1] == ("c", "bonds has no entry for 'c'")
    assert graphs.card.settings["bonds"] == "given"
    again = built(source, tmp_path / "two", bonds=bonds, max_rejected=1, workers=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "graphs")
    assert again.rejected == rejected


def test_what_is_rejected_and_what_came_with_crystals_stays_beside_the_graphs(tmp_path, two_rows_a_shard):
    """A shard of which nothing is left, deuterium, an id that came before, and a crystal of arrays."""
    crystal = me.Crystal.from_record(cell("Cs"))
    heavy = cell("Li", a=2.6) | {"species": ["Li+", "D-"]}
    source = crystals(cell("Xx"), cell("Yy"), crystal, heavy)
    folder = tmp_path / "graphs"
    with pytest.raises(TooManyRejectedError, match="2 of 4 rows were rejected"):
        built(source, folder, max_rejected=0.4)
    graphs, rejected = built(source, folder, max_rejected=0.5, card=me.Card("salts", licence="CC0-1.0"))
    assert graphs.ids == ("x3", "x4")
    assert [one for one, _ in rejected] == ["x1", "x2"]
    assert rejected[0][1] == "site 0 holds 'Xx', which is not a chemical element"
    assert pd.read_parquet(folder / "rejected.parquet")["input"].to_list() == ["line 1", "line 2"]
    assert pd.read_parquet(folder / "rewritten.parquet")["rewrites"].to_list() == ["D read as H"]
    tables = me.build_motif_tables(source, tmp_path / "motifs", progress=False)
    materials = pd.read_parquet(folder / "materials.parquet")
    pd.testing.assert_frame_equal(materials, tables.materials().drop(columns="sites"))
    assert materials["n"].to_list() == [3, 4]
    assert (graphs.card.name, graphs.card.licence, graphs.card.counts["read"]) == ("salts", "CC0-1.0", 4)
    twice = [{"id": "a"} | cell("Na"), {"id": "a"} | cell("K"), {"id": "b"} | cell("Li")]
    assert built(twice, tmp_path / "twice").rejected == [("a", "id 'a' is that of row 1")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bonds": "nearest"}, "bonds must be"),
        ({"merge": "no"}, "merge must be"),
        ({"strategy": "best"}, "strategy must be"),
        ({"workers": 0}, "workers must be"),
        ({"scheduler": "slurm"}, "scheduler must be"),
        ({"time_limit": float("nan")}, "time_limit must be"),
        ({"max_rejected": 50}, "max_rejected is a share"),
        ({"limit": 0}, "limit must be"),
    ],
)
def test_settings_out_of_range_are_refused_before_any_work(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        built(crystals(cell("Na")), tmp_path / "graphs", **options)
    assert not any(tmp_path.iterdir())


def test_settings_of_folders_do_nothing_in_memory_and_are_refused():
    assert build_graphs([SALT, SALT], limit=1, progress=False).graphs.ids == ("1",)
    with pytest.raises(ValueError, match="workers, max_rejected is for graphs in a folder; pass out, or leave it out"):
        build_graphs([SALT], workers=2, max_rejected=0.1, progress=False)


def test_a_folder_is_replaced_only_if_asked(tmp_path):
    built([SALT], tmp_path / "graphs")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        built([SALT], tmp_path / "graphs")
    made = built({"salt": SALT}, tmp_path / "graphs", overwrite=True).graphs
    assert AtomMotifGraphs.read(tmp_path / "graphs").ids == made.ids == ("salt",)
    (tmp_path / "graphs" / "rejected.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"rejected\.parquet is missing"):
        AtomMotifGraphs.read(tmp_path / "graphs")
