"""The same crystals, written to each format by another program, are read alike."""

import gzip
import json
import pickle

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter

import matembed as me
from matembed.sources import StructureRow, read_rows, read_structures


def atoms_of(name, structure):
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.info = {"material_id": name, "n_sites": len(structure)}
    return atoms


def write_frames(crystals, folder, name="crystals.extxyz"):
    ase_io = pytest.importorskip("ase.io")
    ase_io.write(folder / name, [atoms_of(*item) for item in crystals.items()], format="extxyz")
    return folder / name


def write_packed_frames(crystals, folder):
    path = folder / "crystals.xyz.gz"
    path.write_bytes(gzip.compress(write_frames(crystals, folder).read_bytes()))
    return path


def write_database(crystals, folder, name="crystals.db"):
    path = folder / name
    with pytest.importorskip("ase.db").connect(path, type=path.suffix[1:]) as database:
        for one, structure in crystals.items():
            database.write(atoms_of(one, structure), material_id=one, n_sites=len(structure))
    return path


def write_json_database(crystals, folder):
    return write_database(crystals, folder, "crystals.json")


def optimade_table(crystals):
    adapters = pytest.importorskip("optimade.adapters")
    entries = []
    for name, structure in crystals.items():
        attributes = json.loads(adapters.Structure.ingest_from(structure).attributes.model_dump_json())
        entries.append(
            {key: value for key, value in attributes.items() if value is not None and key != "structure_features"}
            # As LeMat-Bulk has them: species as text, forces beside the crystal.
            | {"immutable_id": name, "species": json.dumps(attributes["species"]), "n_sites": len(structure)}
            | {"forces": [[0.0, 0.0, 0.0]] * len(structure), "functional": "pbe", "energy": -3.5 * len(structure)}
        )
    return pd.DataFrame(entries)


def write_optimade_parquet(crystals, folder):
    optimade_table(crystals).to_parquet(folder / "crystals.parquet")
    return folder / "crystals.parquet"


def write_optimade_csv(crystals, folder):
    optimade_table(crystals).to_csv(folder / "crystals.csv", index=False)
    return folder / "crystals.csv"


def write_shards(crystals, folder):
    table = optimade_table(crystals)
    (folder / "crystals").mkdir()
    for part in range(0, len(table), 4):
        path = folder / "crystals" / f"train-{part // 4:05d}-of-00003.parquet"
        table[part : part + 4].to_parquet(path)
    return folder / "crystals"


def write_records_parquet(crystals, folder):
    records = [
        {
            "id": name,
            "lattice": structure.lattice.matrix.tolist(),
            "species": [site.specie.symbol for site in structure],
            "frac_coords": structure.frac_coords.tolist(),
            "n_sites": len(structure),
        }
        for name, structure in crystals.items()
    ]
    pq.write_table(pa.Table.from_pylist(records), folder / "crystals.parquet")
    return folder / "crystals.parquet"


def pymatgen_table(crystals, write):
    columns = {"id": list(crystals), "n_sites": list(map(len, crystals.values()))}
    return columns | {"structure": [write(structure) for structure in crystals.values()]}


def write_pymatgen_parquet(crystals, folder):
    def without_empty(structure):  # Parquet has no empty objects
        found = json.loads(structure.to_json())
        return {
            "lattice": found["lattice"],
            "sites": [{"species": s["species"], "abc": s["abc"]} for s in found["sites"]],
        }

    pq.write_table(pa.table(pymatgen_table(crystals, without_empty)), folder / "crystals.parquet")
    return folder / "crystals.parquet"


def write_pymatgen_json(crystals, folder):
    pq.write_table(
        pa.table(pymatgen_table(crystals, lambda structure: structure.to_json())), folder / "crystals.parquet"
    )
    return folder / "crystals.parquet"


def write_cif_csv(crystals, folder):
    table = pd.DataFrame(pymatgen_table(crystals, lambda structure: str(CifWriter(structure))))
    table.rename(columns={"structure": "cif"}).to_csv(folder / "crystals.csv.gz", index=False)
    return folder / "crystals.csv.gz"


WRITERS = [
    write_frames,
    write_packed_frames,
    write_database,
    write_json_database,
    write_optimade_parquet,
    write_optimade_csv,
    write_shards,
    write_records_parquet,
    write_pymatgen_parquet,
    write_pymatgen_json,
    write_cif_csv,
]


@pytest.fixture(params=WRITERS, ids=lambda write: write.__name__.removeprefix("write_"))
def path(request, crystals, tmp_path):
    return request.param(crystals, tmp_path)


@pytest.fixture(scope="module")
def graphs(crystals):
    return {name: me.find_motifs(structure) for name, structure in crystals.items()}


def described(graph):
    motifs = [(motif.element, motif.geometry, [ligand.site for ligand in motif.ligands]) for motif in graph.motifs]
    return graph.formula, motifs, sorted((one.source, one.target, one.sharing) for one in graph.connections)


def test_every_format_gives_the_same_crystals_and_motif_graphs(path, crystals, graphs):
    rows = read_rows(path)
    assert (rows.kind, rows.name) == ("structures", "crystals")
    found = list(rows)
    assert rows.n_rows in (len(crystals), None)
    assert [row.row for row in found] == list(range(1, len(crystals) + 1))
    assert [row.id for row in found] == list(crystals)
    matcher = StructureMatcher(primitive_cell=False, scale=False)
    for row in found:
        assert isinstance(row, StructureRow)
        assert int(row.properties["n_sites"]) == len(crystals[row.id])
        assert matcher.fit(row.to_structure(), crystals[row.id])
        assert described(me.find_motifs(row.to_crystal())) == described(graphs[row.id])


def test_rows_are_the_same_again_and_travel(path):
    rows = read_structures(path)
    first = list(rows)
    assert list(rows) == first
    assert pickle.loads(pickle.dumps(first)) == first
    assert [row.row for row in read_structures(path, limit=2)] == [1, 2]
    for row in first:
        assert str(path.parent) not in row.input
        assert path.name in row.input or "train-" in row.input


def test_every_format_gives_the_same_sentences(path, crystals, tmp_path):
    built = me.build_corpus(path, tmp_path / "built", views=["links"], progress=False)
    wanted = me.build_corpus(dict(crystals), tmp_path / "wanted", views=["links"], progress=False)
    assert list(built) == list(wanted)
    assert len(list(wanted)) > 0
