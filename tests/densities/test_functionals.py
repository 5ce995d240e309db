"""What is no functional of n, sigma and tau is refused by name, and exchange and correlation are told apart."""

import re

import numpy as np
import pytest

from matembed.densities._measures import Grid, spin_scaling
from matembed.densities.functionals import (
    CORRELATIONS,
    ExactShare,
    LibxcFunctional,
    LibxcHybrid,
    SpinPoints,
    TorchFunctional,
    as_functional,
    complete,
)

dft = pytest.importorskip("pyscf.dft")


def slater(n, sigma, tau):
    return -0.9305257363491 * (n ** (4 / 3)).sum(dim=0)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("WB97M_V", "nonlocal"),
        ("HYB_GGA_XC_CAMY_BLYP", "Yukawa"),
        ("BR89,", "Laplacian"),
        ("PBE-D3BJ", "dispersion"),
        ("LDA_K_TF", "kinetic energy"),
        ("GGA_X_LB", "potential without an energy"),
        ("LDA_XC_TIH", "potential without an energy"),
        ("LDA_X_2D", "fewer dimensions"),
        ("", "is none"),
        ("NO_SUCH", "libxc has no functional"),
    ],
)
def test_other_names_are_refused(name, what):
    with pytest.raises(ValueError, match=what):
        as_functional(name)


@pytest.mark.parametrize("name", ["B3LYP", "PBE0", "HF", "0.3*HF+0.7*PBE,PBE"])
def test_a_hybrid_is_no_function_of_points(name):
    points = SpinPoints.unpolarised([0.1, 1.0], s=0.5, alpha=1)
    with pytest.raises(ValueError, match=f"{re.escape(name)}' is a hybrid"):
        LibxcFunctional(name)
    with pytest.raises(ValueError, match="is a hybrid, whose exact exchange is no function"):
        as_functional(name).derivatives(points)
    with pytest.raises(ValueError, match="'PBE' is none"):
        LibxcHybrid("PBE")


@pytest.mark.parametrize(
    ("name", "exact", "kind", "family"),
    [
        ("PBE0", ExactShare(0.25, 0.25), "exchange-correlation", "GGA"),
        ("SCAN0", ExactShare(0.25, 0.25), "exchange-correlation", "MGGA"),
        ("HSE06", ExactShare(0.25, 0, 0.11), "exchange-correlation", "GGA"),
        ("CAM-B3LYP", ExactShare(0.19, 0.65, 0.33), "exchange-correlation", "GGA"),
        ("HYB_MGGA_X_SCAN0", ExactShare(0.25, 0.25), "exchange", "MGGA"),
        ("HF", ExactShare(1, 1), "exchange", "LDA"),
        ("HF,PBE", ExactShare(1, 1), "exchange-correlation", "GGA"),
        # the range of M11-L is not one of exact exchange
        ("0.5*M11-L+0.5*PBE0", ExactShare(0.125, 0.125), "exchange-correlation", "MGGA"),
    ],
)
def test_shares_of_exact_exchange(name, exact, kind, family):
    hybrid = as_functional(name)
    assert (hybrid.kind, hybrid.family) == (kind, family)
    assert [getattr(hybrid.exact, one) for one in ("short", "long", "omega")] == pytest.approx(
        [exact.short, exact.long, exact.omega]
    )


@pytest.mark.parametrize("name", ["M11-L", "LDA_X_ERF", ",LDA_C_PW_ERF", "GGA_C_PBE_ERF_GWS"])
def test_a_local_functional_of_a_range_is_no_hybrid(name):
    functional = as_functional(name)
    assert isinstance(functional, LibxcFunctional) and functional.name == name
    assert not np.isnan(functional.derivatives(SpinPoints.unpolarised([0.1, 1.0], s=0.5, alpha=1)).energy).any()
    with pytest.raises(ValueError, match=f"{re.escape(name)}' is none"):
        LibxcHybrid(name)


def test_what_is_left_of_pbe0_is_three_quarters_of_pbe_exchange_and_its_correlation():
    points = Grid.of([0.1, 1, 10], [0, 0.5], [0, 1, 3], 1).points
    exchange, correlation = as_functional("PBE0").split()
    for found, name, share in ((exchange, "PBE,", 0.75), (correlation, ",PBE", 1)):
        told, wanted = found.derivatives(points), as_functional(name).derivatives(points)
        for one, other in zip(told, wanted, strict=True):
            np.testing.assert_allclose(one, share * other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("number", CORRELATIONS)
def test_exchange_of_hybrids_that_libxc_has_as_one_obeys_spin_scaling(number):
    """It holds for exchange alone: with another correlation what is left would break it."""
    names = {int(one): name for name, one in dft.libxc.available_libxc_functionals().items()}
    exchange, correlation = as_functional(names[number]).split()
    assert spin_scaling(exchange).value < 1e-6
    assert spin_scaling(correlation).value > 1e-2


def test_hybrids_of_hybrids_are_split_by_their_shares():
    points = SpinPoints.unpolarised([0.1, 1.0], s=0.7, alpha=1)
    exchange, correlation = as_functional("0.5*PBE0+0.5*PBE").split()
    for found, name, share in ((exchange, "PBE,", 0.875), (correlation, ",PBE", 1)):
        wanted = share * as_functional(name).derivatives(points).energy
        np.testing.assert_allclose(found.derivatives(points).energy, wanted, rtol=1e-9)
    assert as_functional("B97-2").split() is None


@pytest.mark.parametrize(
    ("name", "kind", "family"),
    [
        ("PBE", "exchange-correlation", "GGA"),
        ("PBE,", "exchange", "GGA"),
        (",LYP", "correlation", "GGA"),
        ("B88", "exchange", "GGA"),
        ("SCAN", "exchange-correlation", "MGGA"),
        ("B97-D", "exchange-correlation", "GGA"),
        ("lda,vwn", "exchange-correlation", "LDA"),
        ("0.5*PBE+0.5*B88,LYP", "exchange-correlation", "GGA"),
    ],
)
def test_kinds_and_families(name, kind, family):
    functional = as_functional(name)
    assert (functional.kind, functional.family) == (kind, family)


def test_terms_add_up_to_the_whole():
    points = SpinPoints.unpolarised(np.geomspace(1e-3, 10, 7), s=0.7, alpha=0.5)
    terms = as_functional("0.5*PBE+0.5*B88,LYP").terms()
    parts = [as_functional(f"{terms['X']},"), as_functional(f",{terms['C']}")]
    whole = as_functional("0.5*PBE+0.5*B88,LYP").derivatives(points)
    assert np.allclose(sum(part.derivatives(points).energy for part in parts), whole.energy, rtol=1e-12)


def test_a_plain_torch_function_is_exchange_where_there_is_a_correlation():
    exchange, correlation = complete(slater, "PBE")
    assert (exchange.kind, correlation.name, correlation.kind) == ("exchange", ",PBE", "correlation")
    assert [one.kind for one in complete(slater, "none")] == ["exchange"]
    assert [one.kind for one in complete(slater, None)] == ["exchange-correlation"]
    with pytest.raises(ValueError, match="but PBE is exchange-correlation"):
        complete("PBE", "PBE")
    with pytest.raises(ValueError, match="wanted a correlation"):
        complete("PBE,", "B88,")


def test_what_torch_cannot_differentiate_is_refused():
    torch = pytest.importorskip("torch")
    points = SpinPoints.unpolarised([0.1, 1.0], s=0.5, alpha=1)
    with torch.no_grad():
        detached = TorchFunctional(lambda n, sigma, tau: slater(n, sigma, tau).detach(), "exchange")
    with pytest.raises(ValueError, match="cannot differentiate"):
        detached.derivatives(points)
    narrow = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"float64 tensors of the CPU.*double"):
        TorchFunctional(lambda n, sigma, tau: narrow(n.T)[:, 0], "exchange").derivatives(points)
    nothing = TorchFunctional(lambda n, sigma, tau: torch.zeros(2, dtype=torch.float64), "exchange").derivatives(points)
    assert not nothing.v_n.any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": np.ones((1, 3))}, r"n must have shape \(2, n_points\)"),
        ({"sigma": np.full((3, 3), np.nan)}, "sigma must be finite"),
        ({"tau": -np.ones((2, 3))}, "tau must be 0 or more"),
        ({"tau": np.ones((2, 4))}, "as many points"),
    ],
)
def test_bad_points_are_said_in_one_line(changed, message):
    given = {"n": np.ones((2, 3)), "sigma": np.ones((3, 3)), "tau": np.ones((2, 3))} | changed
    with pytest.raises(ValueError, match=message):
        SpinPoints(**given)
