import json
import re

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed.sources.optimade_records import record_of
from matembed.sources.rows import StructureRow

CSCL = {
    "lattice_vectors": [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]],
    "cartesian_site_positions": [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]],
    "species_at_sites": ["Cs", "anion"],
    "species": [
        {"name": "Cs", "chemical_symbols": ["Cs"], "concentration": [1]},
        {"name": "anion", "chemical_symbols": ["Cl"], "concentration": [1.0], "attached": None},
    ],
    "dimension_types": [1, 1, 1],
    "structure_features": [],
    "nsites": 2,
}


def species(**values):
    return [CSCL["species"][0], CSCL["species"][1] | values]


def test_the_attributes_of_the_reference_implementation_give_the_same_crystals(crystals):
    adapters = pytest.importorskip("optimade.adapters")
    for name, structure in crystals.items():
        attributes = json.loads(adapters.Structure.ingest_from(structure).attributes.model_dump_json())
        record = record_of(attributes, name)
        assert record["id"] == name
        assert record["species"] == [site.specie.symbol for site in structure]
        np.testing.assert_allclose(record["lattice"], structure.lattice.matrix)
        # Positions pass through Å and back: rounding of double precision remains.
        np.testing.assert_allclose(record["frac_coords"], structure.frac_coords, atol=1e-13)
        assert json.loads(json.dumps(record)) == record


def test_names_of_species_are_looked_up():
    assert record_of(CSCL, "a") == {
        "id": "a",
        "lattice": CSCL["lattice_vectors"],
        "species": ["Cs", "Cl"],
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    }


def test_only_the_three_lists_are_needed_where_the_names_are_symbols():
    bare = {key: CSCL[key] for key in ("lattice_vectors", "cartesian_site_positions")}
    assert record_of(bare | {"species_at_sites": ["Cs", "Cl"]}, "a") == record_of(CSCL, "a")
    with pytest.raises(ValueError, match="site 1 holds 'anion', which is not among the species"):
        record_of(bare | {"species_at_sites": ["Cs", "anion"]}, "a")


def test_arrays_of_a_table_are_read_as_lists_are():
    arrays = {key: np.array(CSCL[key]) for key in CSCL if key != "nsites"} | {"nsites": np.int64(2)}
    # pandas gives nested lists of Parquet as arrays of arrays.
    arrays["lattice_vectors"] = np.array([*map(np.array, CSCL["lattice_vectors"]), None], dtype=object)[:3]
    assert record_of(arrays, "a") == record_of(CSCL, "a")


@pytest.mark.parametrize(
    ("symbols", "parts", "composition"),
    [(["Cl", "Br"], [0.25, 0.75], {"Cs": 1, "Cl": 0.25, "Br": 0.75}), (["Cl"], [0.5], {"Cs": 1, "Cl": 0.5})],
)
def test_a_disordered_crystal_is_kept_as_pymatgen_writes_it(symbols, parts, composition):
    record = record_of(CSCL | {"species": species(chemical_symbols=symbols, concentration=parts)}, "a")
    assert list(record) == ["id", "structure"]
    structure = Structure.from_dict(record["structure"])
    assert structure.composition.as_dict() == composition
    assert structure.lattice == Lattice.cubic(4)
    with pytest.raises(ValueError, match="site 1 is disordered"):
        StructureRow(1, "a", "a", record).to_crystal()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dimension_types": [1, 1, 0]}, "is not periodic in three dimensions: dimension_types is [1, 1, 0]"),
        ({"lattice_vectors": None}, "there are no lattice_vectors"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [None] * 3]}, "lattice vector 2 holds no finite numbers"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], None]}, "lattice vector 2 holds no finite numbers"),
        ({"lattice_vectors": [[4, 0, 0], [0, float("inf"), 0], [0, 0, 4]]}, "lattice vector 1 holds no finite"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0]]}, "must be 3 vectors that span a cell"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]}, "must be 3 vectors that span a cell"),
        ({"lattice_vectors": [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]]}, "must be vectors of three numbers"),
        ({"lattice_vectors": "cubic"}, "lattice_vectors must be a list, got 'cubic'"),
        ({"cartesian_site_positions": [[0, 0, 0], [None] * 3]}, "site 1 has no position"),
        ({"cartesian_site_positions": [None, [2, 2, 2]]}, "site 0 has no position"),
        ({"cartesian_site_positions": [[0, 0, 0], [2, 2]]}, "must be vectors of three numbers"),
        ({"cartesian_site_positions": [[0, 0, 0], ["a", 2, 2]]}, "must be vectors of three numbers"),
        ({"cartesian_site_positions": [0, 0, 0]}, "must be vectors of three numbers"),
        ({"cartesian_site_positions": [[0, 0, 0]]}, "1 cartesian_site_positions and 2 species_at_sites"),
        ({"nsites": 3}, "2 cartesian_site_positions and 2 species_at_sites, where nsites is 3"),
        ({"cartesian_site_positions": [], "species_at_sites": [], "nsites": 0}, "the structure has no sites"),
        ({"species_at_sites": None}, "there are no species_at_sites"),
        ({"species_at_sites": ["Cs", "K"]}, "site 1 holds 'K', which is not among the species"),
        ({"species_at_sites": ["Cs", ["anion"]]}, "which is not among the species"),
        ({"species": ["Cs", "Cl"]}, "a species must be an object with a name, got 'Cs'"),
        ({"species": species(chemical_symbols=["vacancy"])}, "species 'anion' holds 'vacancy', which is not a chem"),
        ({"species": species(chemical_symbols=["X"])}, "species 'anion' holds 'X', which is not a chemical element"),
        ({"species": species(chemical_symbols=[["Cl"]])}, "which is not a chemical element"),
        ({"species": species(concentration=[0.5, 0.5])}, "has 1 chemical_symbols and 2 of concentration"),
        ({"species": species(concentration=[0])}, "has a concentration of 0; wanted one above 0, up to 1"),
        ({"species": species(concentration=[None])}, "has a concentration of None"),
        ({"species": species(attached=["H"], nattached=[3])}, "atoms without a position are attached to species"),
        ({"structure_features": ["assemblies"]}, "has sites that exclude each other"),
        ({"structure_features": ["implicit_atoms"]}, "has atoms without a position"),
        ({"structure_features": ["site_attachments"]}, "has atoms attached to a site"),
        ({"structure_features": ["unknown_positions"]}, "has sites without a position"),
    ],
)
def test_what_is_no_crystal_is_refused_with_one_line(change, reason):
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        record_of(CSCL | change, "a")
    assert "\n" not in str(error.value)


def test_disorder_alone_is_no_unsupported_feature():
    assert record_of(CSCL | {"structure_features": ["disorder"]}, "a") == record_of(CSCL, "a")
