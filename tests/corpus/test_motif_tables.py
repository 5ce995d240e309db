"""Tables of motifs: what `find_motifs` finds, row for row; the same bytes however they were made; no crash, no hang."""

import json

import numpy as np
import pandas as pd
import pytest
from interrupted import Interrupting
from pymatgen.core import Lattice, Structure

from matembed import Card, build_corpus, find_motifs, read_prototypes
from matembed.corpus import _motif_columns, _resumable
from matembed.corpus._shards import ROWS_PER_SHARD
from matembed.corpus.build import TooManyRejectedError
from matembed.corpus.motif_tables import MotifTables, build_motif_tables
from matembed.sources.rows import Rows, StructureRow

NAMES = ("Na", "K", "Rb", "Cs", "Li", "Fe")


def cell(metal, a=4.1, **others):
    """A crystal of the caesium chloride type, as a line of JSON holds it."""
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return {"lattice": lattice, "species": [metal, "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]} | others


def crystals(*payloads):
    rows = [StructureRow(i, f"x{i}", f"line {i}", payload, {"n": i}) for i, payload in enumerate(payloads, start=1)]
    return Rows("structures", "crystals", len(rows), lambda: iter(rows))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def built(source, folder, **options):
    return build_motif_tables(source, folder, progress=False, **options)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "motifs"
    built(crystals(*map(cell, NAMES)), folder)
    return contents(folder)


@pytest.fixture(scope="module", params=["simplest", "multi_weights"])
def prototypes(request, tmp_path_factory):
    """Tables of some prototypes, and the graphs of the same crystals by `find_motifs`."""
    rows = read_prototypes(limit=12)
    tables = built(rows, tmp_path_factory.mktemp("prototypes") / "motifs", strategy=request.param, max_rejected=1)
    kept = set(tables.materials()["id"])
    graphs = {row.id: find_motifs(row.to_crystal(), strategy=request.param) for row in rows if row.id in kept}
    return request.param, tables, graphs


def test_the_tables_hold_what_find_motifs_finds(prototypes):
    strategy, tables, graphs = prototypes
    motifs = tables.motifs().astype(object).replace({np.nan: None})
    wanted = [
        [id_, k, m.site, m.element, m.oxidation, m.geometry, m.cn, m.csm, m.environments[0].fraction, m.token]
        for id_, graph in graphs.items()
        for k, m in enumerate(graph.motifs)
    ]
    assert motifs[list(motifs.columns[:10])].values.tolist() == wanted
    shells = [[list(ligand) for ligand in m.ligands] for graph in graphs.values() for m in graph.motifs]
    found = [
        [[site, tuple(image)] for site, image in zip(sites, images, strict=True)]
        for sites, images in zip(motifs["ligands"], motifs["images"], strict=True)
    ]
    assert found == shells
    links = [
        [id_, c.source, c.target, *c.image, c.sharing, len(c.ligands)]
        for id_, graph in graphs.items()
        for c in graph.connections
    ]
    assert tables.connections().values.tolist() == links
    materials = tables.materials()
    assert materials["id"].to_list() == list(graphs)
    assert materials["valences"].to_list() == [graph.valences for graph in graphs.values()]
    assert materials["n_motifs"].to_list() == [len(graph.motifs) for graph in graphs.values()]
    assert (tables.card.counts["motifs"], tables.card.counts["connections"]) == (len(wanted), len(links))
    if strategy == "simplest":
        with pytest.raises(ValueError, match="build with 'multi_weights'"):
            tables.environments()


def test_environments_are_those_of_the_mixtures(prototypes):
    strategy, tables, graphs = prototypes
    if strategy == "simplest":
        return
    environments = tables.environments().astype(object).replace({np.nan: None})
    wanted = [
        [id_, k, m.site, one.geometry, len(one.ligands), one.csm, one.fraction, [x.site for x in one.ligands]]
        for id_, graph in graphs.items()
        for k, m in enumerate(graph.motifs)
        for one in m.environments
    ]
    environments["ligands"] = [sites.tolist() for sites in environments["ligands"]]
    columns = ["id", "motif", "site", "geometry", "cn", "csm", "fraction", "ligands"]
    assert environments[columns].values.tolist() == wanted
    assert len(environments) > len(tables.motifs())
    assert environments.groupby(["id", "motif"])["fraction"].sum().astype(float).to_numpy() == pytest.approx(
        1, abs=1e-5
    )


def test_materials_are_those_of_a_corpus(tmp_path):
    rows = read_prototypes(limit=10)
    corpus = build_corpus(rows, tmp_path / "corpus", progress=False, max_rejected=1)
    tables = built(rows, tmp_path / "motifs", max_rejected=1)
    for name in ("rejected", "rewritten"):
        assert contents(tables.path)[f"{name}.parquet"] == contents(corpus.path)[f"{name}.parquet"]
    pd.testing.assert_frame_equal(tables.materials().drop(columns="sites"), corpus.materials())


def test_columns_and_materials_can_be_chosen(reference, tmp_path):
    tables = built(crystals(*map(cell, NAMES)), tmp_path / "motifs")
    assert tables.motifs(["x2", "x5"], ["token"])["token"].to_list() == ["KCl8:C:8", "LiCl8:C:8"]
    assert set(tables.connections("x3")["id"]) == {"x3"}
    assert set(reference) == {
        *("README.md", "config.json", "connections.parquet", "materials.parquet", "motifs.parquet"),
        *("rejected.parquet", "rewritten.parquet"),
    }


def test_two_workers_and_small_shards_write_the_same_bytes(reference, tmp_path, two_rows_a_shard):
    built(crystals(*map(cell, NAMES)), tmp_path / "motifs", workers=2)
    assert contents(tmp_path / "motifs") == reference
    assert list(tmp_path.iterdir()) == [tmp_path / "motifs"]


def test_row_groups_do_not_depend_on_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(_motif_columns, "ROWS_PER_GROUP", {"motifs": 3, "connections": 17})
    whole = contents(built(crystals(*map(cell, NAMES)), tmp_path / "whole").path)
    monkeypatch.setattr(_resumable, "ROWS_PER_SHARD", dict.fromkeys(ROWS_PER_SHARD, 1))
    tables = built(crystals(*map(cell, NAMES)), tmp_path / "parts")
    assert contents(tables.path) == whole
    assert tables.connections()["id"].to_list() == sorted(tables.connections()["id"])
    assert tables.motifs()["site"].to_list() == [0] * 5 + [0, 1][: len(tables.motifs()) - 5]


def test_an_interrupted_build_goes_on_to_the_same_bytes(reference, tmp_path, two_rows_a_shard):
    payloads = [Interrupting(cell(name)) if name == "Cs" else cell(name) for name in NAMES]
    Interrupting.pressed = False
    with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
        built(crystals(*payloads), tmp_path / "motifs")
    partial = tmp_path / "motifs.partial"
    assert [path.name for path in partial.iterdir()] == ["shard-000000.zip"]
    with pytest.raises(FileNotFoundError, match="run the same build again to finish it"):
        MotifTables.read(tmp_path / "motifs")
    read = []
    with pytest.MonkeyPatch.context() as patch:
        read_crystal = StructureRow.read_crystal
        patch.setattr(StructureRow, "read_crystal", lambda row: read.append(row.id) or read_crystal(row))
        built(crystals(*payloads), tmp_path / "motifs")
    assert read == ["x3", "x4", "x5", "x6"]
    assert contents(tmp_path / "motifs") == reference


def test_everything_is_motifs_or_a_row_of_rejects(tmp_path):
    disordered = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    needle = cell("Cs") | {"lattice": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 900]]}
    lines = {
        "one": cell("Cs") | {"species": ["Po"], "frac_coords": [[0, 0, 0]]},
        "two": cell("Cs"),
        "none": cell("Cs") | {"species": [], "frac_coords": []},
        "nan": cell("Cs", a=float("nan")),
        "nan place": cell("Cs") | {"frac_coords": [[0, 0, 0], [0.5, float("nan"), 0.5]]},
        "coincident": cell("Cs") | {"frac_coords": [[0, 0, 0], [1, 0, 0]]},
        "disordered": {"structure": disordered.as_dict()},
        "disordered too": cell({"Na": 0.5, "K": 0.5}),
        "unknown": cell("Xx"),
        "vacuum": cell("Cs", a=400),
        "noble": cell("He") | {"species": ["He", "Ar"]},
        "deuterium": cell("Li", a=2.6) | {"species": ["Li+", "D-"]},
        "needle": needle,
        "flat": cell("Cs") | {"lattice": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]},
        "ragged": cell("Cs") | {"frac_coords": [[0, 0, 0]]},
        "number": cell("Cs") | {"species": 7},
        "numbers": cell("Cs") | {"species": [55, 17]},
        "no place": {"lattice": cell("Cs")["lattice"], "species": ["Cs"]},
    }
    path = tmp_path / "crystals.jsonl"
    path.write_text("\n".join(json.dumps(line | {"id": id_}) for id_, line in lines.items()) + "\n{cut off\n")
    tables = built(path, tmp_path / "motifs", max_rejected=0.9)
    kept = tables.materials().set_index("id")
    assert set(kept.index) == {"one", "two", "vacuum", "noble", "deuterium", "needle", "numbers"}
    assert kept.loc["one", "valences"] == "none"
    assert tables.rewritten()[["id", "formula", "rewrites"]].values.tolist() == [["deuterium", "LiH", "D read as H"]]
    reasons = tables.rejected().set_index("id")["reason"]
    assert reasons["none"] == "the structure has no sites"
    assert "not finite" in reasons["nan"]
    assert "not finite" in reasons["nan place"]
    assert "sites 0 and 1 are" in reasons["coincident"]
    assert "disordered" in reasons["disordered"]
    assert "disordered" in reasons["disordered too"]
    assert reasons["unknown"] == "site 0 holds 'Xx', which is not a chemical element"
    assert "small" in reasons["flat"]
    assert "no 'frac_coords' in it" in reasons["no place"]
    assert "is not JSON" in reasons["19"]
    for reason in reasons:
        assert 0 < len(reason.splitlines()) == 1


def test_too_many_rejects_and_a_card(tmp_path):
    source = crystals(cell("Na"), cell("Xx"), cell("Yy"))
    with pytest.raises(TooManyRejectedError, match="2 of 3 rows were rejected"):
        built(source, tmp_path / "motifs")
    card = Card("salts", source="a book", licence="CC0-1.0")
    tables = built(source, tmp_path / "motifs", max_rejected=1, card=card, valences="signs")
    again = MotifTables.read(tmp_path / "motifs")
    assert again == tables
    assert (again.card.name, again.card.licence) == ("salts", "CC0-1.0")
    assert again.card.settings["valences"] == "signs"
    assert {name: again.card.counts[name] for name in ("read", "kept", "rejected")} == {
        "read": 3,
        "kept": 1,
        "rejected": 2,
    }
    (tables.path / "motifs.parquet").write_bytes(b"something else")
    with pytest.raises(ValueError, match="by SHA-256"):
        MotifTables.read(tables.path).motifs()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "magic"}, "engine must be"),
        ({"strategy": "magic"}, "strategy must be"),
        ({"search": "magic"}, "search must be"),
        ({"search": "certified", "engine": "numpy"}, "goes with engine='numba'"),
        ({"valences": [1, -1]}, "valences must be"),
        ({"workers": 0}, "workers must be"),
        ({"scheduler": "slurm"}, "scheduler must be"),
        ({"time_limit": float("nan")}, "time_limit must be"),
        ({"max_rejected": 50}, "max_rejected is a share"),
    ],
)
def test_settings_out_of_range_are_refused_before_any_work(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        built(crystals(cell("Na")), tmp_path / "motifs", **options)
    assert not any(tmp_path.iterdir())


def test_formulas_and_other_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"motifs are found in crystals, got formulas \(a list\); give a folder of"):
        built(["NaCl"], tmp_path / "motifs")
    (tmp_path / "salts.csv").write_text("formula\nNaCl\n")
    with pytest.raises(ValueError, match=r"got formulas \(salts\); give a folder of"):
        built(tmp_path / "salts.csv", tmp_path / "motifs")
    corpus = build_corpus(["NaCl"], tmp_path / "corpus", progress=False)
    with pytest.raises(ValueError, match="holds a Corpus, not a MotifTables; make one with "):
        MotifTables.read(corpus.path)
    with pytest.raises(FileExistsError, match="something other than MotifTables"):
        built(crystals(cell("Na")), corpus.path, overwrite=True)
