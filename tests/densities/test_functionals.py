"""What is no functional of n, sigma and tau is refused by name, and exchange and correlation are told apart."""

import numpy as np
import pytest

from matembed.densities.functionals import SpinPoints, TorchFunctional, as_functional, complete

pytest.importorskip("pyscf")


def slater(n, sigma, tau):
    return -0.9305257363491 * (n ** (4 / 3)).sum(dim=0)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("B3LYP", "a hybrid"),
        ("PBE0", "a hybrid"),
        ("WB97M_V", "hybrid|nonlocal"),
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
