import json
import re
import time

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pyscf")

import torch

from matembed.densities.conditions import CONDITIONS
from matembed.densities.electrons import default_densities, hydrogen
from matembed.densities.functionals import Derivatives, LibxcFunctional
from matembed.densities.scorecards import Scorecard, draw, page, scorecard
from matembed.densities.torch_functionals import add, lda_exchange, pbe_correlation, pbe_exchange

torch.set_num_threads(1)

SELF_INTERACTION = {"hydrogen exchange", "hydrogen correlation", "one-electron self-interaction"}
LIMIT = {"coordinate scaling", "scaling identity", "gradient expansion"}
# From the papers of the functionals: what they were built to meet, and what they are known to break.
BROKEN = {
    "LDA,PW": SELF_INTERACTION | {"gradient expansion", "high-density limit"},
    "PBE": SELF_INTERACTION | {"gradient expansion", "tight Lieb-Oxford"},
    "PBEsol": SELF_INTERACTION | {"tight Lieb-Oxford"},
    "RPBE": SELF_INTERACTION | {"gradient expansion", "tight Lieb-Oxford"},
    "revPBE": SELF_INTERACTION | {"gradient expansion", "local Lieb-Oxford", "tight Lieb-Oxford"},
    "BLYP": {
        *("gradient expansion", "local Lieb-Oxford", "tight Lieb-Oxford", "hydrogen exchange"),
        *("uniform gas correlation", "local non-positive correlation", "local scaling inequality"),
        "one-electron self-interaction",
    },
    "TPSS": {"tight Lieb-Oxford"},
    "SCAN": set(),
    "r2SCAN": set(),
    # its regularisation is what r2SCAN mended
    "rSCAN": {
        *("coordinate scaling", "scaling identity", "uniform gas exchange", "gradient expansion"),
        *("uniform gas correlation", "local scaling inequality"),
    },
    "MGGA_X_RPPSCAN+MGGA_C_RPPSCAN": {"gradient expansion"},
    "M06-L": {
        *("gradient expansion", "local Lieb-Oxford", "tight Lieb-Oxford", "hydrogen exchange"),
        *("local non-positive correlation", "local scaling inequality", "high-density limit"),
        "one-electron self-interaction",
    },
}
# Largest F_x for s up to 8, from the formulas where they have no alpha
LARGEST = {
    "PBE,": 1 + 0.804 - 0.804 / (1 + 0.2195149727645171 * 64 / 0.804),
    "RPBE,": 1 + 0.804 * (1 - np.exp(-0.2195149727645171 * 64 / 0.804)),
    "PBEsol,": 1 + 0.804 - 0.804 / (1 + 10 / 81 * 64 / 0.804),
    "SCAN,": 1.174,
    "MVS,": 1.174,
    "LDA,": 1.0,
}
# Exchange, correlation and Hartree's energy of hydrogen, mHa, as published to this many digits or fewer
ONE_ELECTRON = {"LDA,PW": 22.3, "BLYP": 2.7, "PBE": 0.6, "M06-L": -3.6, "TPSS": 0.0, "SCAN": 0.0, "r2SCAN": 0.0}


def broken(card):
    return {one.name for one in card.outcomes if one.passed is False}


@pytest.mark.parametrize("name", BROKEN)
def test_known_functionals_break_what_they_are_known_to(name):
    card = scorecard(name)
    assert broken(card) == BROKEN[name]
    assert all(one.passed is not None for one in card.outcomes)


@pytest.mark.parametrize("name", LARGEST)
def test_largest_enhancement_is_that_of_the_formula(name):
    assert scorecard(name)["local Lieb-Oxford"].measured == pytest.approx(LARGEST[name], abs=1e-6)


def test_becke_88_breaks_the_local_bound_yet_not_the_global_one():
    card = scorecard("B88,")
    assert card["local Lieb-Oxford"].measured == pytest.approx(3.05, abs=0.01)
    assert card["local Lieb-Oxford"].passed is False
    assert card["global Lieb-Oxford of exchange"].passed is True


@pytest.mark.parametrize("name", ONE_ELECTRON)
def test_one_electron_errors(name):
    # published for a basis set, to 0.1
    assert scorecard(name)["one-electron self-interaction"].measured == pytest.approx(ONE_ELECTRON[name], abs=0.06)


@pytest.mark.parametrize(
    ("name", "mu"), [("PBE,", 0.2195149727645171), ("B88,", 0.2743), ("MVS,", 0.1234), ("LDA,", 0)]
)
def test_gradient_coefficients(name, mu):
    assert scorecard(name)["gradient expansion"].measured == pytest.approx(mu, abs=1e-4)


@pytest.mark.parametrize(("name", "kind"), [("PBE,", "exchange"), ("GGA_X_PBE", "exchange"), (",LYP", "correlation")])
def test_conditions_of_the_other_part_do_not_apply(name, kind):
    card = scorecard(name)
    assert card.kind == kind
    for one in card.outcomes:
        assert (one.passed is None) == (one.part != kind)


def test_torch_and_libxc_agree():
    ours = scorecard(pbe_exchange, correlation=pbe_correlation)
    assert ours.kind == "exchange-correlation"
    for mine, theirs in zip(ours.outcomes, scorecard("PBE").outcomes, strict=True):
        assert mine.passed == theirs.passed
        # libxc's floors on empty spins, and the digits of constants
        assert mine.measured == pytest.approx(theirs.measured, rel=1e-4, abs=1e-5)


def test_a_sum_is_taken_apart_by_its_high_density_limit():
    whole, split = scorecard(add(pbe_exchange, pbe_correlation)), scorecard("PBE")
    assert {one.name for one in whole.outcomes if one.passed is None} == LIMIT
    for one in whole.outcomes:
        if one.name not in LIMIT:
            assert one.passed == split[one.name].passed
            # correlation is up to 2e-5 of exchange at g = 1,000,000
            assert one.measured == pytest.approx(split[one.name].measured, rel=1e-3, abs=4e-5)


def test_sums_without_numbers_at_high_density_are_judged_as_far_as_can_be():
    pbe = add(pbe_exchange, pbe_correlation)
    card = scorecard(lambda n, sigma, tau: pbe(n, sigma, tau) + torch.where(n.sum(dim=0) > 1e15, torch.inf, 0.0))
    assert card["local Lieb-Oxford"].note == "no numbers at high density"
    judged = {one.name for one in card.outcomes if one.passed is not None}
    sums = {
        "global Lieb-Oxford",
        "one-electron self-interaction",
        "local scaling inequality",
        "global scaling inequality",
    }
    assert judged == sums


def test_functionals_of_libxc_that_do_not_split_are_judged():
    card = scorecard("B97-D")
    assert {*LIMIT, "high-density limit"} == {one.name for one in card.outcomes if one.passed is None}
    # 1.0866 is the first coefficient of its exchange
    assert card["uniform gas exchange"].measured == pytest.approx(0.0866, abs=1e-4)


def test_densities_are_replaced():
    densities = {name: default_densities()[name] for name in ("He", "Ne")}
    card = scorecard("PBE", densities=densities)
    assert card.densities == ("He", "Ne")
    assert card["global non-positive correlation"].note == "He"
    weights, points = densities["He"]
    wanted = weights @ LibxcFunctional(",PBE").derivatives(points).energy
    assert card["global non-positive correlation"].measured == pytest.approx(wanted)


def test_writes_and_reads_the_same(tmp_path):
    for name in ("M06-L", "B97-D", "PBE,"):
        card = scorecard(name)
        assert Scorecard.from_json(card.to_json()) == card
        card.write(tmp_path / "card.json")
        assert Scorecard.read(tmp_path / "card.json") == card
        assert json.loads(card.to_json())["functional"] == name


def test_text_that_is_no_scorecard_is_told():
    for text in ("[]", "{", '{"functional": "PBE"}'):
        with pytest.raises(ValueError, match="wanted the JSON of a scorecard"):
            Scorecard.from_json(text)


def test_table_has_a_row_a_condition():
    table = scorecard("PBE,").to_frame().set_index("condition")
    assert list(table.index) == [one.name for one in CONDITIONS]
    assert table.loc["local Lieb-Oxford", "verdict"] == "pass"
    assert table.loc["tight Lieb-Oxford", "verdict"] == "fail"
    assert table.loc["high-density limit", "verdict"] == "not applicable"
    assert np.isnan(table.loc["high-density limit", "measured"])


def test_pages_say_numbers_and_sources():
    one, two = scorecard("PBE"), scorecard("B88,")
    assert page([one]) == one.to_markdown()
    assert "| exchange | local Lieb-Oxford | F_x at most 1.804 | 1.76 | pass |" in one.to_markdown()
    both = page([one, two])
    assert "**3.04**" in both
    assert both.count("| B88, |") == 1  # in the table of exchange alone
    assert all(condition.source in both for condition in CONDITIONS)
    assert repr(one).startswith("Scorecard(PBE, GGA: 15 of 20 conditions met; not gradient expansion")


def test_figures_show_numbers_and_names():
    cards = [scorecard("PBE"), scorecard("B97-D")]
    alone = [text.get_text() for text in cards[0].plot().axes[0].texts]
    assert {"PBE: 15 of 20 conditions met", "0.220", "F_x at most 1.804"} <= set(alone)
    table = [text.get_text() for text in draw(cards).axes[0].texts]
    assert {"PBE", "B97-D", "15 of 20", "–", "local Lieb-Oxford"} <= set(table)


@pytest.mark.parametrize("name", ["PBE", "r2SCAN", "MN15-L"])
def test_takes_less_than_a_second(name):
    scorecard("LDA")  # densities are made once
    start = time.process_time()
    scorecard(name)
    assert time.process_time() - start < 1


class WrongShape:
    name, kind, family = "wrong", "exchange", "LDA"

    def derivatives(self, points):
        return Derivatives(np.zeros(3), np.zeros((2, 3)), np.zeros((3, 3)), np.zeros((2, 3)))


def nowhere(n, sigma, tau):
    return (n * torch.log(n)).sum(dim=0)


@pytest.mark.parametrize(
    ("functional", "settings", "error", "message"),
    [
        ("PBEE", {}, ValueError, "libxc has no functional 'PBEE'"),
        ("B3LYP", {}, ValueError, "'B3LYP' is a hybrid"),
        ("LDA_K_TF", {}, ValueError, "'LDA_K_TF' is a kinetic energy"),
        (3, {}, TypeError, "wanted a name of libxc or a torch function of n, sigma and tau, got int"),
        (lambda n, sigma, tau: n.sum(), {"kind": "exchange"}, ValueError, "must return energies per volume of shape"),
        (lambda n, sigma, tau: n.sum(), {}, ValueError, "must return energies per volume of shape"),
        (lambda n, sigma, tau: n.sum(), {"kind": "kinetic"}, ValueError, "kind must be one of exchange"),
        (nowhere, {"kind": "exchange"}, ValueError, "is not finite at n ="),
        (WrongShape(), {}, ValueError, "derivatives of wrong: energy must have shape (4,), got (3,)"),
        ("PBE", {"correlation": ",LYP"}, ValueError, "correlation completes exchange"),
        (lda_exchange, {"correlation": "B88,"}, ValueError, "wanted a correlation to complete LDA exchange"),
        ("PBE", {"densities": {}}, ValueError, "at least one density"),
        (
            "PBE",
            {"densities": {"H": (-hydrogen()[0], hydrogen()[1])}},
            ValueError,
            "weights must be finite and 0 or more",
        ),
    ],
)
def test_wrong_input_is_told(functional, settings, error, message):
    with pytest.raises(error, match=re.escape(message)):
        scorecard(functional, **settings)


def test_unknown_conditions_are_told():
    with pytest.raises(KeyError, match="no condition 'scaling'"):
        scorecard("LDA,")["scaling"]


@pytest.mark.parametrize("write", [page, draw])
def test_nothing_is_not_drawn(write):
    with pytest.raises(ValueError, match="at least one scorecard"):
        write([])
