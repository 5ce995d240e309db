"""A record scales exactly, is written and read, and gives functionals what they need."""

import json

import numpy as np
import pytest

from matembed.cards import Card
from matembed.densities.functionals import LDA_EXCHANGE, LibxcFunctional
from matembed.densities.records import DensityRecord, load_records, read_records, write_records

pytest.importorskip("pyscf")


def integral(record, functional):
    return float(record.weights @ LibxcFunctional(functional).derivatives(record.points()).energy)


@pytest.mark.parametrize("name", ["H2O", "OH"])
@pytest.mark.parametrize("g", [0.1, 1 / 3, 2, 10])
def test_scaling_moves_no_electron_and_multiplies_exchange(records, name, g):
    record = records[name]
    scaled = record.scaled(g)
    assert abs(scaled.n_electrons - record.n_electrons) < 1e-12
    assert abs(integral(scaled, "PBE,") / (g * integral(record, "PBE,")) - 1) < 1e-13
    assert abs(scaled.energies["exact_exchange"] / (g * record.energies["exact_exchange"]) - 1) < 1e-15
    assert abs(scaled.energies["kinetic"] / (g**2 * record.energies["kinetic"]) - 1) < 1e-15


def test_scaling_there_and_back(records):
    there = records["OH"].scaled(3).scaled(1 / 3)
    assert np.allclose(there.n, records["OH"].n, rtol=1e-14) and np.allclose(there.weights, records["OH"].weights)


def test_energies_that_do_not_scale_by_a_rule_are_left_out(records):
    from dataclasses import replace

    record = replace(records["H2O"], energies={**records["H2O"].energies, "correlation": -0.3})
    assert "correlation" not in record.scaled(2).energies and "PBE exchange" in record.scaled(2).energies


@pytest.mark.parametrize("name", ["He", "H2O", "OH", "N"])
def test_exchange_rows_obey_spin_scaling(records, name):
    """Half the exchange of twice each spin density is what libxc gives for both."""
    rows = records[name].exchange_rows()
    slater = LDA_EXCHANGE * rows.weights @ rows.n ** (4 / 3)
    assert abs(slater - integral(records[name], "LDA,")) < 1e-10
    factor = 1.804 - 0.804 / (1 + 0.2195149727645171 * rows.s**2 / 0.804)
    pbe = LDA_EXCHANGE * rows.weights @ (rows.n ** (4 / 3) * factor)
    assert abs(pbe - integral(records[name], "PBE,")) < 1e-9
    assert abs(rows.weights @ rows.n - records[name].n_electrons) < 1e-12


def test_written_and_read_keeps_every_electron(records, tmp_path):
    folder = write_records(records.values(), tmp_path / "set", Card("densities"))
    found = read_records(folder)
    assert list(found) == list(records)
    for name, record in found.items():
        assert abs(record.n_electrons - round(record.n_electrons)) < 1e-12
        assert abs(integral(record, "PBE,") - integral(records[name], "PBE,")) < 1e-4  # s keeps 3 digits
        assert record.energies == pytest.approx(records[name].energies, rel=1e-11)
        assert (record.spin, record.elements, len(record)) == (
            records[name].spin,
            records[name].elements,
            len(records[name]),
        )


def test_the_same_bytes_again(records, tmp_path):
    one, other = (write_records(records.values(), tmp_path / name, Card("densities")) for name in ("one", "other"))
    for file in ("rows.safetensors", "records.json"):
        assert (one / file).read_bytes() == (other / file).read_bytes()
    again = write_records(read_records(one).values(), tmp_path / "again", Card("densities"))
    told = [json.loads((folder / "records.json").read_text()) for folder in (one, again)]
    assert told[0] == told[1]


def test_a_changed_file_is_refused(records, tmp_path):
    folder = write_records(records.values(), tmp_path / "set", Card("densities"))
    path = folder / "records.json"
    path.write_text(path.read_text().replace("H2O", "D2O"))
    with pytest.raises(ValueError, match="changed"):
        read_records(folder)
    with pytest.raises(FileNotFoundError, match=r"no folder|config\.json"):
        read_records(tmp_path / "nothing")


def test_energies_of_any_size_keep_their_digits(records, tmp_path):
    record = records["OH"].scaled(1e-6)
    found = read_records(write_records([record], tmp_path / "set", Card("densities")))["OH"]
    assert found.energies == pytest.approx(record.energies, rel=1e-11, abs=0)
    assert np.allclose(found.n, record.n, rtol=1e-6, atol=1e-40)


def test_what_cannot_be_written_is_refused_before_anything_is_replaced(records, tmp_path):
    from dataclasses import replace

    folder = write_records(records.values(), tmp_path / "set", Card("densities"))
    for record, message in (
        (replace(records["H2O"], s=1e5 * (1 + records["H2O"].s)), "H2O: s is up to .* no more than 6.55e"),
        (replace(records["OH"], s_total=1e5 * (1 + records["OH"].s_total)), "OH: s_total is up to"),
        (records["He"].scaled(1e-15), "He: weights is up to"),
        (replace(records["He"], n=records["He"].n * 1e-50), "He: of .* electrons 0.0% are left"),
    ):
        with pytest.raises(ValueError, match=message):
            write_records([records["N"], record], folder, Card("densities"), overwrite=True)
    assert list(read_records(folder)) == list(records)


def test_two_records_of_one_name_are_refused(records, tmp_path):
    with pytest.raises(ValueError, match="'He' twice"):
        write_records([records["He"], records["He"]], tmp_path / "set", Card("densities"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": [-1.0, 1.0]}, "weights must be finite and 0 or more"),
        ({"n": [[np.nan, 1.0]]}, "n must be finite"),
        ({"n": [1.0, 2.0]}, "wanted weights of shape"),
        ({"n": [[0.0, 0.0]]}, "got none"),
        ({"s": [[1.0]]}, "s must have a row a spin"),
        ({"s_total": [[1.0, 1.0]]}, "s_total must have one row"),
    ],
)
def test_bad_input_is_said_in_one_line(changed, message):
    row = [[1.0, 2.0]]
    good = {"weights": row[0], "n": row, "s": row, "alpha": row, "averaged": row, "s_total": row[0]}
    with pytest.raises(ValueError, match=message):
        DensityRecord("wrong", 0, **good | changed)
    with pytest.raises(ValueError, match="positive number"):
        DensityRecord("right", 0, **good).scaled(0)


def test_the_set_of_the_package():
    """What its card promises: species from H to Ar, spins of both kinds, exact exchange, whole electrons."""
    found = load_records()
    assert len(found) >= 120
    assert {"H", "Ne", "Na", "Ar"} <= {element for record in found.values() for element in record.elements}
    assert sum(record.spin > 0 for record in found.values()) >= 25
    for record in found.values():
        assert abs(record.n_electrons - round(record.n_electrons)) < 1e-12
        for functional, tolerance in (("LDA", 1e-5), ("PBE", 1e-3), ("TPSS", 1e-3)):
            told = integral(record, f"{functional},") - record.energies[f"{functional} exchange"]
            assert abs(told) < tolerance, (record.name, functional)
        assert record.energies["exact_exchange"] < 0 < record.energies["kinetic"]
    one_electron = found["H"].energies
    assert one_electron["exact_exchange"] == pytest.approx(-one_electron["coulomb"], abs=2e-8)
