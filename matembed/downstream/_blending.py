"""How members of a blend learn: columns and weights from rows left out, then a fit to all rows.

What members and transforms are is told in `matembed.downstream.blends`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal, NamedTuple, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog, nnls
from scipy.sparse import csr_matrix, hstack, identity, vstack
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from matembed._optional import import_extra
from matembed.downstream.column_ranks import FEWEST_RANKED, rank_columns, spread
from matembed.downstream.models import ModelName, check_model, make_model
from matembed.downstream.tasks import Task, read_groups
from matembed.encoders._training import check_count

__all__ = [
    "MEMBERS",
    "Fitted",
    "Member",
    "Members",
    "Settings",
    "Transform",
    "Tried",
    "Weighting",
    "as_several",
    "best_members",
    "blended",
    "fit_members",
    "is_count",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Transform = Literal["none", "log", "ratio", "difference"]
Weighting = Literal["fitted", "equal"]
Tried: TypeAlias = "int | Sequence[int | None] | Mapping[str, int | Sequence[int | None] | None] | None"
Members: TypeAlias = "Sequence[ModelName] | Mapping[str, ModelName | BaseEstimator]"

MEMBERS: tuple[ModelName, ...] = ("kernel_ridge", "extra_trees", "boosted_trees")
_FEWER: tuple[int | None, ...] = (30, 100, 300, None)  # columns to try for models that cannot choose some themselves
_TREES = ("extra_trees", "random_forest", "boosted_trees")
_SEEDS = ("random_state", "seed")  # names that estimators have for theirs
_N_SEEDS = 2**32  # as many as scikit-learn takes, from 0 on
_GRAIN = 2.0**-40  # of each target: last digits differ between units, and would choose between equal splits
_MOST_WEIGHED = 5000  # rows left out that weights are found from
_LEAST_WEIGHT = 1e-3  # members of less are left out


@dataclass(frozen=True)
class Settings:
    """Settings of a blend, checked."""

    models: dict[str, Any]
    task: Task
    n_columns: dict[str, tuple[int | None, ...]]
    equal: bool
    n_splits: int
    n_seeds: int
    max_rank_rows: int
    seed: int

    @classmethod
    def read(cls, blend: BaseEstimator, task: Task) -> Self:
        told = blend.get_params(deep=False)
        given, n_columns, weighting = told["models"], told["n_columns"], told["weighting"]
        listed = given if isinstance(given, Collection) and not isinstance(given, str) else ()
        models = dict(given) if isinstance(given, Mapping) else {str(name): name for name in listed}
        if not models or len(models) < len(listed) or "blend" in models:
            msg = f"models must be a list or mapping of one or more, each once and none 'blend'; got {given!r:.80}"
            raise ValueError(msg)
        for model in models.values():
            check_model(model, task)
        tried = _tried_columns(n_columns, models)
        if not all(several and all(one is None or is_count(one, 1) for one in several) for several in tried.values()):
            msg = f"n_columns must hold whole numbers from 1 on, or None for all columns; got {n_columns!r}"
            raise ValueError(msg)
        if weighting not in get_args(Weighting):
            msg = f"weighting must be one of {', '.join(get_args(Weighting))}, got {weighting!r}"
            raise ValueError(msg)
        least = {"n_splits": 2, "n_seeds": 1, "max_rank_rows": FEWEST_RANKED, "seed": 0}
        for name, fewest in least.items():
            check_count(name, told[name], least=fewest)
        return cls(models, task, tried, weighting == "equal", **{name: told[name] for name in least})


def _tried_columns(n_columns: Tried, models: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    by_model = n_columns if isinstance(n_columns, Mapping) else {}
    if not set(by_model) <= set(models):
        msg = f"n_columns is for {', '.join(map(repr, by_model))}, but models are {', '.join(map(repr, models))}"
        raise ValueError(msg)
    default = {name: (None,) if model in _TREES else _FEWER for name, model in models.items()}
    if n_columns is not None and not isinstance(n_columns, Mapping):
        default = dict.fromkeys(models, as_several(n_columns))
    return {name: as_several(by_model[name]) if name in by_model else default[name] for name in models}


def as_several(given: Any) -> tuple[Any, ...]:
    """Make one entry, or several, a tuple."""
    return tuple(given) if isinstance(given, Collection) and not isinstance(given, str) else (given,)


def is_count(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


@dataclass(frozen=True)
class Member:
    """A model that is fitted, with the setting that it got."""

    name: str
    transform: str
    n_columns: int
    estimate: int | None
    scale: float
    weight: float
    fitted: list[Any]

    @property
    def key(self) -> str:
        return f"{self.name}: {self.transform}"

    def predict(self, rows: Floats, columns: Integers) -> Floats:
        rows = _scaled(rows, self.estimate, self.scale)
        seen, estimate = rows[:, columns[: self.n_columns]], _estimate(rows, self.estimate)
        told = np.mean([_predicted(one, seen, estimate, self.transform) for one in self.fitted], axis=0)
        return np.asarray(self.scale * told)


class Fitted(NamedTuple):
    members: list[Member]
    columns: Integers
    errors: dict[str, float]


def best_members(members: Sequence[Member], errors: Mapping[str, float]) -> list[Member]:
    """Choose the member of each model that has the least error on rows left out."""
    best: dict[str, Member] = {}
    for one in sorted(members, key=lambda member: errors.get(member.key, 0.0)):
        best.setdefault(one.name, one)
    return [best[name] for name in dict.fromkeys(one.name for one in members)]


def fit_members(
    rows: Floats,
    target: Floats,
    groups: ArrayLike | None,
    settings: Settings,
    transforms: Sequence[str],
    estimate: int | None,
) -> Fitted:
    """Choose the columns of each member and the weights from rows left out, then fit all rows."""
    scale = spread(target) if settings.task == "regression" else 1.0  # models and solvers have thresholds near 1
    rows, target = _scaled(rows, estimate, scale), target / scale
    estimates, n_all = _estimate(rows, estimate), rows.shape[1]
    tried = [
        (name, transform, n_columns)
        for name, several in settings.n_columns.items()
        for transform in transforms
        for n_columns in sorted({n_all if one is None else min(int(one), n_all) for one in several})
    ]
    left_out = {setting: np.zeros(len(target)) for setting in tried}
    for train, test in _folds(target, groups, settings):
        if settings.task == "classification" and len(np.unique(target[train])) < 2:
            msg = f"one class is missing where {len(test)} rows are left out; use fewer n_splits, or other groups"
            raise ValueError(msg)
        columns = _ranked(rows[train], target[train], settings)
        for name, transform, n_columns in tried:
            seen, model = columns[:n_columns], _made(settings, name, settings.seed)
            learned = _learned(target[train], estimates[train], transform)
            _fit_one(model, rows[np.ix_(train, seen)], learned, settings.task)
            predicted = _predicted(model, rows[np.ix_(test, seen)], estimates[test], transform)
            left_out[name, transform, n_columns][test] = np.clip(predicted, target[train].min(), target[train].max())
    errors = {setting: _error(predicted, target, settings.task) for setting, predicted in left_out.items()}
    chosen = [
        min((one for one in tried if one[:2] == member), key=errors.__getitem__)
        for member in dict.fromkeys(one[:2] for one in tried)
    ]
    table = np.column_stack([left_out[setting] for setting in chosen])
    weights = np.full(len(chosen), 1 / len(chosen)) if settings.equal else _weights(table, target, settings.task)
    told = {f"{setting[0]}: {setting[1]}": scale * errors[setting] for setting in chosen}
    told["blend"] = scale * _error(table @ weights, target, settings.task)
    least = {name: min(errors[one] for one in chosen if one[0] == name) for name in settings.models}
    columns = _ranked(rows, target, settings)
    members = []
    for setting, weight in zip(chosen, weights.tolist(), strict=True):
        name, transform, n_columns = setting
        if weight < _LEAST_WEIGHT and errors[setting] > least[name]:
            continue  # neither in the blend nor the best of its model
        seeds = [(settings.seed + draw) % _N_SEEDS for draw in range(_n_draws(settings, name))]
        fitted = [_made(settings, name, seed) for seed in seeds]
        for model in fitted:
            _fit_one(model, rows[:, columns[:n_columns]], _learned(target, estimates, transform), settings.task)
        members.append(Member(name, transform, n_columns, estimate, scale, weight, fitted))
    total = sum(one.weight for one in members)
    return Fitted([replace(one, weight=one.weight / total) for one in members], columns, told)


def _scaled(rows: Floats, estimate: int | None, scale: float) -> Floats:
    """Divide the column that estimates the target, if there is one, by what targets are divided by."""
    if estimate is None:
        return rows
    divided = rows.copy()
    divided[:, estimate] /= scale
    return divided


def _estimate(rows: Floats, estimate: int | None) -> Floats:
    return np.ones(len(rows)) if estimate is None else rows[:, estimate]


def _learned(target: Floats, estimate: Floats, transform: str) -> Floats:
    match transform:
        case "log":
            learned = np.log(target)
        case "ratio":
            learned = np.log(target / estimate)
        case "difference":
            learned = target - estimate
        case _:
            learned = target
    mantissa, exponent = np.frexp(learned)
    return np.ldexp(np.rint(mantissa / _GRAIN) * _GRAIN, exponent)


def _folds(target: Floats, groups: ArrayLike | None, settings: Settings) -> Iterator[tuple[Integers, Integers]]:
    labels = None if groups is None else read_groups(groups, len(target))
    n_kinds = len(target) if labels is None else len(np.unique(labels))
    if n_kinds < settings.n_splits:
        msg = f"{settings.n_splits} folds (n_splits) need as many rows or groups, got {n_kinds}"
        raise ValueError(msg)
    several = {
        ("regression", False): KFold,
        ("regression", True): GroupKFold,
        ("classification", False): StratifiedKFold,
        ("classification", True): StratifiedGroupKFold,
    }
    splitter = several[settings.task, labels is not None](settings.n_splits, shuffle=True, random_state=settings.seed)
    return iter(splitter.split(target, target, labels))


def _ranked(rows: Floats, target: Floats, settings: Settings) -> Integers:
    numbers = [one for several in settings.n_columns.values() for one in several]
    if all(one is None or one >= rows.shape[1] for one in numbers):
        return np.arange(rows.shape[1])
    return rank_columns(rows, target, task=settings.task, max_rows=settings.max_rank_rows, seed=settings.seed)


def _made(settings: Settings, name: str, seed: int) -> Any:
    """Make a member; one of the user's own gets the seed, by the name it has for it."""
    model, regression = settings.models[name], settings.task == "regression"
    if not isinstance(model, str):
        made = clone(model)
        return made.set_params(**{name: seed for name in _SEEDS if name in made.get_params()})
    if model == "extra_trees":
        kind = ExtraTreesRegressor if regression else ExtraTreesClassifier
        return kind(n_estimators=200, max_features=0.3, n_jobs=1, random_state=seed)
    if model == "boosted_trees":
        lightgbm = import_extra("lightgbm", extra="boost")
        kind = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
        return kind(
            n_estimators=500,
            learning_rate=0.04,
            num_leaves=31,
            colsample_bytree=0.25,
            subsample=0.8,
            subsample_freq=1,
            max_bin=63,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            random_state=seed,
            verbose=-1,
        )
    return make_model(model, settings.task, seed=seed)  # type: ignore[arg-type]


def _n_draws(settings: Settings, name: str) -> int:
    """Count how often a member is fitted in the end: once where no seed changes much."""
    model = settings.models[name]
    if isinstance(model, str):
        return 1 if model in ("ridge", "kernel_ridge") else settings.n_seeds
    return settings.n_seeds if any(name in model.get_params() for name in _SEEDS) else 1


def _fit_one(model: Any, rows: Floats, learned: Floats, task: Task) -> None:
    model.fit(rows, learned if task == "regression" else learned.astype(np.int64))


def _predicted(model: Any, rows: Floats, estimate: Floats, transform: str) -> Floats:
    """Predict numbers, or the probability of class 1."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)
    if hasattr(model, "decision_function"):
        return np.clip(np.asarray(model.decision_function(rows), dtype=np.float64) + 0.5, 0, 1)
    predicted = np.asarray(model.predict(rows), dtype=np.float64)
    match transform:
        case "log":
            return np.exp(np.clip(predicted, -700, 700))
        case "ratio":
            return np.exp(np.clip(predicted, -700, 700)) * estimate
        case "difference":
            return predicted + estimate
        case _:
            return predicted


def _error(predicted: Floats, target: Floats, task: Task) -> float:
    missed = predicted - target
    return float(np.abs(missed).mean() if task == "regression" else (missed**2).mean())


def _weights(table: Floats, target: Floats, task: Task) -> Floats:
    """Find weights from 0 on that add to 1: least mean absolute error of numbers, least squares of probabilities."""
    if len(table) > _MOST_WEIGHED:  # which takes seconds; twice as many rows take four times as long
        some = np.random.default_rng(0).permutation(len(table))[:_MOST_WEIGHED]
        table, target = table[some], target[some]
    n_rows, n_members = table.shape
    if n_members == 1:
        return np.ones(1)
    if task == "classification":
        sure = 1e3 * np.sqrt(n_rows)  # as good as a constraint
        found = nnls(np.vstack([table, np.full(n_members, sure)]), np.append(target, sure))[0]
        return np.asarray(found / found.sum())
    table, target = table - target.mean(), target - target.mean()  # as weights add to 1, errors stay what they are
    cost = np.concatenate([np.zeros(n_members), np.ones(n_rows)])
    one = identity(n_rows, format="csr")  # each row's error bounds its own miss from both sides
    solved = linprog(
        cost,
        A_ub=vstack([hstack([csr_matrix(sign * table), -one]) for sign in (1, -1)]),  # type: ignore[call-overload]
        b_ub=np.concatenate([target, -target]),
        A_eq=np.concatenate([np.ones(n_members), np.zeros(n_rows)])[None],
        b_eq=[1],
        method="highs",
    )
    if not solved.success:
        msg = f'no weights were found: {solved.message} Pass weighting="equal", or other models'
        raise ValueError(msg)
    return np.asarray(solved.x[:n_members] / solved.x[:n_members].sum())


def blended(members: Sequence[Member], columns: Integers, rows: Floats) -> Floats:
    return np.asarray(sum(one.weight * one.predict(rows, columns) for one in members if one.weight > 0))
