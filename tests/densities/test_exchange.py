"""What a learned enhancement factor obeys whatever it learned, and that it learns."""

import numpy as np
import pytest

from matembed.densities.exchange import LIEB_OXFORD, EnhancementFactor
from matembed.densities.functionals import SpinPoints, as_functional
from matembed.densities.records import load_records

KINDS = [{}, {"bound": LIEB_OXFORD}, {"bound": 1.174}, {"averaged": True}, {"averaged": True, "bound": LIEB_OXFORD}]


@pytest.fixture(scope="module")
def shipped():
    return {name: record for name, record in load_records().items() if record.n_electrons < 15}


@pytest.fixture(scope="module")
def calm(shipped):
    pytest.importorskip("torch").set_num_threads(1)
    return EnhancementFactor(bound=LIEB_OXFORD, noise=0.01).fit(list(shipped.values()))


@pytest.fixture(scope="module", params=KINDS, ids=str)
def model(request, shipped):
    return EnhancementFactor(**request.param).fit(list(shipped.values()))


def test_scaling_is_exact(model, shipped):
    for g in (0.1, 1 / 3, 0.9, 3, 10):
        scaled = model.predict([record.scaled(g) for record in shipped.values()])
        assert np.abs(scaled / (g * model.predict(list(shipped.values()))) - 1).max() < 1e-12


def test_the_uniform_gas_is_exact(model):
    assert abs(float(model.factor(0, 1, 1)) - 1) < 1e-14


def test_spin_scaling_is_exact(model, shipped):
    """Twice each spin density on its own, as a density without spin, has twice its part of the exchange."""
    from dataclasses import replace

    record = shipped["OH"]
    halves = []
    for row in (0, 1):
        kept = record.n[row] > 0
        channel = {name: getattr(record, name)[row : row + 1, kept] for name in ("n", "s", "alpha", "averaged")}
        halves.append(replace(record, weights=record.weights[kept], s_total=channel["s"][0], **channel))
    assert abs(model.predict([record])[0] - model.predict(halves).mean()) < 1e-12


def test_the_bound_holds_everywhere(model):
    grid = np.meshgrid(np.geomspace(1e-3, 1e3, 60), np.geomspace(1e-3, 1e3, 60), [0.01, 0.5, 1, 2, 50])
    factors = model.factor(*grid)
    if model.bound is None:
        assert np.isfinite(factors).all()
    else:
        assert factors.min() > 0
        assert factors.max() <= model.bound  # below it but for rounding


def test_it_learns(model, shipped):
    """Molecules it learned from are missed by less than a quarter of PBE's error."""
    exact, pbe = (
        np.array([one.energies[name] for one in shipped.values()]) for name in ("exact_exchange", "PBE exchange")
    )
    missed = np.abs(model.predict(list(shipped.values())) - exact).mean()
    assert missed < np.abs(pbe - exact).mean() / (2 if model.bound == 1.174 else 4)


def test_order_of_records_changes_nothing(shipped):
    records = list(shipped.values())
    one, other = (EnhancementFactor(bound=LIEB_OXFORD).fit(some) for some in (records, records[::-1]))
    # other rows may be chosen as centres, and these leave out a residue of 1e-5 of the variance
    assert np.allclose(one.predict(records), other.predict(records), atol=1e-5)


@pytest.mark.parametrize("bound", [None, LIEB_OXFORD])
def test_it_finds_the_factor_behind_given_energies(shipped, bound):
    """It starts from PBE; from energies of the uniform gas alone it finds F_x = 1 where most of the exchange is."""
    records = list(shipped.values())
    uniform, pbe = (np.array([one.energies[f"{name} exchange"] for one in records]) for name in ("LDA", "PBE"))
    model = EnhancementFactor(bound=bound).fit(records, uniform)
    assert np.abs(model.predict(records) - uniform).mean() < np.abs(pbe - uniform).mean() / 500
    assert np.abs(model.factor([[0.3, 0.5, 0.8]], [[0.3], [1]]) - 1).max() < 0.05  # that of PBE is up to 0.12 off


def test_written_and_read_is_the_same(model, shipped, tmp_path):
    read = EnhancementFactor.read(model.write(tmp_path / "model.safetensors"))
    assert (read.averaged, read.bound, read.length, read.noise) == (
        model.averaged,
        model.bound,
        model.length,
        model.noise,
    )
    assert (read.predict(list(shipped.values())) == model.predict(list(shipped.values()))).all()


@pytest.mark.filterwarnings("ignore:with noise")
@pytest.mark.parametrize("bound", [None, LIEB_OXFORD])
def test_the_torch_function_is_the_model(shipped, bound):
    pytest.importorskip("torch")
    pytest.importorskip("pyscf")
    model = EnhancementFactor(bound=bound).fit(list(shipped.values()))
    functional = as_functional(model.functional("mine"))
    assert (functional.name, functional.kind, functional.family) == ("mine", "exchange", "MGGA")
    for name in ("H2O", "OH", "H"):
        told = shipped[name].weights @ functional.derivatives(shipped[name].points()).energy
        assert abs(told - model.predict([shipped[name]])[0]) < 1e-7, name


@pytest.mark.filterwarnings("ignore:with noise")
def test_the_torch_function_of_a_short_length_is_the_model(shipped):
    """The exponents of its terms are up to 1,000, and their exponentials would overflow."""
    pytest.importorskip("torch")
    pytest.importorskip("pyscf")
    model = EnhancementFactor(length=0.03).fit(list(shipped.values())[:10])
    functional = as_functional(model.functional())
    for name in ("H2O", "OH"):
        told = functional.derivatives(shipped[name].points())
        assert all(np.isfinite(one).all() for one in told)
        assert abs(shipped[name].weights @ told.energy - model.predict([shipped[name]])[0]) < 1e-7, name


def test_a_file_of_another_kind_is_said_in_one_line(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"no safetensors file")
    with pytest.raises(ValueError, match=r"model\.safetensors is no safetensors file .*EnhancementFactor\.write"):
        EnhancementFactor.read(file)


def test_the_torch_function_has_finite_slopes_where_there_is_nothing(calm):
    functional = as_functional(calm.functional())
    n = np.array([[0.0, 1e-30, 1e-18, 1e-8], [0.0, 0.0, 1e-18, 1.0]])
    told = functional.derivatives(SpinPoints(n, np.zeros((3, 4)), np.zeros((2, 4))))
    assert all(np.isfinite(one).all() for one in told)
    assert told.energy[0] == 0


def test_bad_input_is_said_in_one_line(shipped):
    from dataclasses import replace

    records = list(shipped.values())
    for settings, message in (
        ({"bound": 0.9}, "more than 1"),
        ({"bound": np.inf}, "more than 1"),
        ({"length": 0}, "length"),
        ({"noise": -1}, "noise"),
    ):
        with pytest.raises(ValueError, match=message):
            EnhancementFactor(**settings).fit(records)
    with pytest.raises(ValueError, match="no exact exchange"):
        EnhancementFactor().fit([replace(records[0], energies={})])
    with pytest.raises(ValueError, match="finite energy for each"):
        EnhancementFactor().fit(records, [1.0])
    with pytest.raises(ValueError, match="1 of them not finite"):
        EnhancementFactor().fit(records[:1], [np.nan])
    with pytest.raises(TypeError, match=r"list\(records.values"):
        EnhancementFactor().fit(shipped)
    with pytest.raises(ValueError, match="got none"):
        EnhancementFactor().fit([])
    with pytest.raises(TypeError, match=r"wanted records, .* got 1$"):
        EnhancementFactor().fit([1])
    with pytest.warns(UserWarning, match="without a bound"):
        EnhancementFactor(averaged=True).fit(records).functional()
    with pytest.raises(ValueError, match="not fitted"):
        EnhancementFactor().predict(records)


def test_a_calculation_with_it_converges_and_has_forces(calm):
    """Closed and open shell: the potential is that of the energy, and so are the forces."""
    pytest.importorskip("pyscf")
    from pyscf import dft, gto

    from matembed.densities.pyscf_plug import attach, check_potential

    step = 0.002  # bohr
    for heavy, spin, length in (("F", 0, 1.75), ("Be", 1, 2.54)):
        energies, forces = [], []
        for place in (length - step, length, length + step):
            mol = gto.M(atom=f"{heavy} 0 0 0; H 0 0 {place}", basis="6-31g", spin=spin, unit="Bohr", verbose=0)
            mf = attach((dft.UKS if spin else dft.RKS)(mol), calm.functional(), correlation="PBE")
            assert mf.run(conv_tol=1e-11).converged
            assert check_potential(mf).relative_error < 1e-8
            energies.append(mf.e_tot)
            gradient = mf.nuc_grad_method()
            gradient.grid_response = True
            forces.append(gradient.kernel()[1, 2])
        assert abs((energies[2] - energies[0]) / (2 * step) - forces[1]) < 2e-5
    with pytest.warns(UserWarning, match="may not converge"):
        EnhancementFactor(bound=LIEB_OXFORD).fit(list(load_records().values())[:20]).functional()


def test_the_command_line_learns_and_scores(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("pyscf")
    from matembed.cli import main

    file = tmp_path / "exchange.safetensors"
    assert main(["density", "fit", "--bound", "1.804", "--folds", "2", "--out", str(file)]) == 0
    said = capsys.readouterr().out
    missed, pbe = (float(part.split(" mHa")[0].split()[-1]) for part in (said.split(";")[0], said.split("PBE ")[1]))
    assert missed < pbe / 3
    scores = tmp_path / "scores.json"
    assert main(["density", "scorecard", str(file), "--correlation", "PBE", "--json", str(scores)]) == 0
    assert "local Lieb-Oxford" in capsys.readouterr().out and scores.is_file()
    assert main(["density", "fit", "--out", str(file)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["density", "scorecard", "PBE", "--correlation", "PBE"]) == 2
    assert "no functional is exchange alone" in capsys.readouterr().err
    assert main(["density", "scorecard", "NO_SUCH"]) == 2
    assert "libxc has no functional 'NO_SUCH'" in capsys.readouterr().err
    file.write_bytes(b"no model")
    assert main(["density", "scorecard", str(file)]) == 2
    assert "is no safetensors file" in capsys.readouterr().err


def test_the_command_line_learns_from_records_with_exact_exchange_alone(shipped, tmp_path, capsys):
    from dataclasses import replace

    from matembed.cards import Card
    from matembed.cli import main
    from matembed.densities.records import write_records

    exact = [
        replace(one, energies={"exact_exchange": one.energies["exact_exchange"]}) for one in list(shipped.values())[:8]
    ]
    write_records(exact, tmp_path / "exact", Card("densities"))
    write_records([*exact[1:], replace(exact[0], energies={})], tmp_path / "none", Card("densities"))
    fit = ["density", "fit", "--out", str(tmp_path / "exchange.safetensors"), "--overwrite", "--records"]
    for folds in ("1", "2"):
        assert main([*fit, str(tmp_path / "exact"), "--folds", folds]) == 0
        said = capsys.readouterr().out
        assert ("2 folds: " in said) == (folds == "2") and "PBE" not in said
    assert main([*fit, str(tmp_path / "none")]) == 2
    assert f"1 records have no exact exchange, such as {exact[0].name!r}" in capsys.readouterr().err
