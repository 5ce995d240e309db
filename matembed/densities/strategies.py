"""How may a functional learn that exchange scales with the density? Six strategies behind one `fit`.

Atomic units: energies in hartree. Uniform scaling n_g(r) = g^3 n(g r) multiplies exchange by g. A network that sees the
whole density (`matembed.densities.whole_density`) does not know; what can be done about it:

============== ========================================================================================
"none"         nothing: energies of the densities as they are
"augment"      energies of scaled copies too
"contrastive"  learn first, without energies, which densities are scaled copies, then as "augment" [1]_
"consistency"  energies of the densities as they are, and a penalty on scaled copies, which needs none
"canonical"    bring each density to one size, predict, and multiply back: exact with any network
"architecture" no such network, but an enhancement factor of scale-invariant ingredients: exact by its form
============== ========================================================================================

Correlation, alone or with exchange, obeys an inequality only [2]_: E_c[n_g] > g E_c[n] for g > 1, and < for g < 1. It
has "none", "contrastive" and "consistency".

References
----------
.. [1] W. Gong et al., Digital Discovery 2, 1404 (2023).
.. [2] M. Levy, J. P. Perdew, Phys. Rev. A 32, 2010 (1985).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.densities.exchange import EnhancementFactor
from matembed.densities.records import DensityRecord
from matembed.densities.whole_density import (
    DensityRows,
    Law,
    WholeDensityNetwork,
    canonical,
    density_rows,
    learn,
    pretrain,
)
from matembed.encoders._training import check_count, check_number

__all__ = ["FACTORS", "FineTuning", "LearnedEnergy", "Strategy", "fit"]

Floats = NDArray[np.float64]
Strategy: TypeAlias = Literal["none", "augment", "contrastive", "consistency", "canonical", "architecture"]
FineTuning: TypeAlias = Literal["scaled", "plain"]

FACTORS = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)  # of Gong et al.
_PARTS = {"correlation": ("correlation",), "exchange-correlation": ("exact_exchange", "correlation")}
_OF_CORRELATION: tuple[Strategy, ...] = ("none", "contrastive", "consistency")


@dataclass(frozen=True, eq=False)
class LearnedEnergy:
    """An energy as a functional of the density, learned.

    Attributes
    ----------
    strategy : str
        How.
    target : str
        Which of the energies of records.
    model : WholeDensityNetwork or EnhancementFactor
        What learned.
    settings : mapping of str to object
        All that `fit` was told.
    history_ : mapping of str to float64 array, shape (n_steps,)
        Training curves: "error", root mean square relative error of the labelled densities of each step; "violation",
        the same of the law where it is a penalty; "contrast" and "factor", see `whole_density.pretrain`. Empty for
        "architecture", which is solved and takes no steps.
    """

    strategy: Strategy
    target: str
    model: WholeDensityNetwork | EnhancementFactor
    settings: Mapping[str, Any]
    history_: Mapping[str, Floats]

    def predict(self, records: Sequence[DensityRecord]) -> Floats:
        """Predict the energies of densities.

        Parameters
        ----------
        records : sequence of DensityRecord
            Any; their energies are not looked at.

        Returns
        -------
        float64 array, shape (n_records,)
            Hartree.
        """
        if isinstance(self.model, EnhancementFactor):
            return self.model.predict(records)
        return self.model.energies([_rows(record, self.strategy, self.target) for record in records])

    def violations(self, records: Sequence[DensityRecord], factors: Sequence[float]) -> Floats:
        """Tell by how much of ``|g E[n]|`` the law of scaling is violated.

        Parameters
        ----------
        records : sequence of DensityRecord
            Any.
        factors : sequence of float
            By which they are scaled.

        Returns
        -------
        float64 array, shape (n_records, n_factors)
            ``|E[n_g] - g E[n]| / |g E[n]|`` for exchange. For correlation the same where the inequality is violated,
            and 0 where it is not.
        """
        plain = self.predict(records)
        found = []
        for g in factors:
            ratio = self.predict([record.scaled(g) for record in records]) / (g * plain) - 1
            found.append(np.abs(ratio) if _law(self.target) == "equality" else np.maximum(np.sign(g - 1) * ratio, 0))
        return np.array(found).T

    def scaling_violation(self, records: Sequence[DensityRecord], factors: Sequence[float] = FACTORS) -> float:
        """Average `violations` over records and factors.

        Parameters
        ----------
        records : sequence of DensityRecord
            One or more.
        factors : sequence of float
            By which they are scaled; 1 is left out, where nothing can be violated.

        Returns
        -------
        float
            Relative.

        Raises
        ------
        ValueError
            If there are no records, or no factor but 1.
        """
        scaled = [g for g in factors if g != 1]
        if not len(records) or not scaled:
            msg = f"wanted records and a factor other than 1, got {len(records)} records and factors {list(factors)}"
            raise ValueError(msg)
        return float(self.violations(records, scaled).mean())


def fit(
    records: Sequence[DensityRecord],
    strategy: Strategy = "architecture",
    *,
    target: str = "exact_exchange",
    unlabelled: Sequence[DensityRecord] = (),
    factors: Sequence[float] = FACTORS,
    fine_tuning: FineTuning = "scaled",
    penalty: float = 1.0,
    width: int = 48,
    steps: int = 2000,
    pretraining_steps: int = 300,
    batch_size: int = 16,
    learning_rate: float = 0.005,
    seed: int = 0,
) -> LearnedEnergy:
    """Learn an energy as a functional of the density.

    Parameters
    ----------
    records : sequence of DensityRecord
        Densities with the energy `target`.
    strategy : {"architecture", "none", "augment", "contrastive", "consistency", "canonical"}
        How scaling is learned or built in; see the top of this module.
    target : str, default "exact_exchange"
        Which energy of the records: exchange of any name, "correlation", or "exchange-correlation", which is the sum of
        exact exchange and correlation.
    unlabelled : sequence of DensityRecord
        More densities, for "contrastive" and "consistency"; their energies are not looked at.
    factors : sequence of float, default 1/3, 1/2, 1, 2, 3
        By which densities are scaled in "augment", "contrastive" and "consistency".
    fine_tuning : {"scaled", "plain"}
        Of "contrastive": by the energies of scaled copies, as in the paper, or of the densities as they are.
    penalty : float, default 1
        Of "consistency": weight of the squared violation against that of the squared relative error.
    width : int, default 48
        Units of each layer of the network.
    steps : int, default 2000
        Of learning from energies.
    pretraining_steps : int, default 300
        Of learning by contrast.
    batch_size : int, default 16
        Labelled records of a step; "consistency" takes half as many more, pretraining twice as many.
    learning_rate : float, default 0.005
        The largest.
    seed : int, default 0
        Of the weights and the order. The same seed gives the same numbers.

    Returns
    -------
    LearnedEnergy
        With `predict`, `scaling_violation` and training curves.

    Raises
    ------
    ValueError
        If a setting is unknown or out of range, there are no records or one lacks the energy, an energy is not below 0,
        or `unlabelled` records or a strategy are not for this target.

    Examples
    --------
    >>> from matembed.densities.records import load_records
    >>> known = [record for record in load_records().values() if record.n_electrons < 11]
    >>> learned = fit(known, "canonical", steps=20)
    >>> learned.scaling_violation(known, (0.1, 10)) < 1e-12
    True
    """
    settings = dict(locals())
    energies = _checked(settings)
    settings = {name: value for name, value in settings.items() if name not in ("records", "unlabelled")}
    settings |= {"n_labelled": len(records), "n_unlabelled": len(unlabelled)}
    if strategy == "architecture":
        return LearnedEnergy(strategy, target, EnhancementFactor().fit(records, energies), settings, {})
    rows = [_rows(record, strategy, target) for record in records]
    everything = rows + [_rows(record, strategy, target) for record in unlabelled]
    network = WholeDensityNetwork.start(
        everything,
        width=width,
        log_per_electron=float(np.log(-energies / [one.n_electrons for one in rows]).mean()),
        seed=seed,
    )
    history: dict[str, Floats] = {}
    if strategy == "contrastive":
        history |= pretrain(
            network,
            everything,
            factors=factors,
            steps=pretraining_steps,
            batch_size=2 * batch_size,
            learning_rate=learning_rate,
            seed=seed,
        )
    of_copies = strategy == "augment" or (strategy == "contrastive" and fine_tuning == "scaled")
    history |= learn(
        network,
        rows,
        energies,
        factors=factors if of_copies else (1.0,),
        law=_law(target) if strategy == "consistency" else None,
        unlabelled=everything,
        unlabelled_factors=factors,
        penalty=penalty,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    network.modules.double()  # so that what is exact is so to the last digits
    return LearnedEnergy(strategy, target, network, settings, history)


def _law(target: str) -> Law:
    return "inequality" if target in _PARTS else "equality"


def _rows(record: DensityRecord, strategy: Strategy, target: str) -> DensityRows:
    rows = density_rows(record, spins="apart" if _law(target) == "equality" else "together")
    return canonical(rows) if strategy == "canonical" else rows


def _checked(settings: Mapping[str, Any]) -> Floats:
    """Check all that `fit` was told, and return the energies."""
    strategy, target, records = (settings[name] for name in ("strategy", "target", "records"))
    for name, choice in (("strategy", Strategy), ("fine_tuning", FineTuning)):
        if settings[name] not in get_args(choice):
            msg = f"{name} must be one of {', '.join(get_args(choice))}, got {settings[name]!r}"
            raise ValueError(msg)
    for name in ("width", "steps", "pretraining_steps", "batch_size"):
        check_count(name, settings[name])
    check_number("learning_rate", settings["learning_rate"], positive=True)
    check_number("penalty", settings["penalty"])
    factors = np.asarray(settings["factors"], dtype=np.float64)
    if factors.ndim != 1 or not (np.isfinite(factors) & (factors > 0)).all() or (factors == 1).all():
        msg = f"factors must be positive numbers, not all 1, got {settings['factors']!r}"
        raise ValueError(msg)
    if not (target.endswith("exchange") or target in _PARTS):
        known = "'exact_exchange', the exchange of a functional, 'correlation' or 'exchange-correlation'"
        msg = f"target must be {known}, got {target!r}"
        raise ValueError(msg)
    if target in _PARTS and strategy not in _OF_CORRELATION:
        msg = f"no rule tells the correlation of scaled densities: {', '.join(_OF_CORRELATION)} can, got {strategy!r}"
        raise ValueError(msg)
    if target in _PARTS and (strategy, settings["fine_tuning"]) == ("contrastive", "scaled"):
        msg = "no rule tells the correlation of scaled densities to tune by; pass fine_tuning='plain'"
        raise ValueError(msg)
    if len(settings["unlabelled"]) and strategy not in ("contrastive", "consistency"):
        msg = f"unlabelled records are for 'contrastive' and 'consistency'; {strategy!r} cannot learn from them"
        raise ValueError(msg)
    several = [*records, *settings["unlabelled"]]
    wrong = next((one for one in several if not isinstance(one, DensityRecord)), None)
    if not records or wrong is not None:
        msg = f"wanted a sequence of DensityRecord, got {'none' if wrong is None else repr(wrong)}"
        raise ValueError(msg)
    parts = _PARTS.get(target, (target,))
    lacking = [record.name for record in records if not set(parts) <= set(record.energies)]
    if lacking:
        msg = f"{len(lacking)} of {len(records)} records have no {target!r}, such as {lacking[0]!r}; leave them out"
        raise ValueError(msg)
    energies = np.array([sum(record.energies[part] for part in parts) for record in records])
    if not (energies < 0).all():
        name = records[int(np.flatnonzero(~(energies < 0))[0])].name
        msg = f"relative errors are learned, so energies must be below 0; {target!r} of {name!r} is not: leave it out"
        raise ValueError(msg)
    return energies
