"""How networks learn a property: rows kept aside by formula, early stopping on them, members, widths put right."""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from matembed._optional import import_extra
from matembed.encoders._training import (
    check_count,
    check_number,
    choose_device,
    one_thread,
    single_precision,
    warm_then_cosine,
)

if TYPE_CHECKING:
    from matembed.downstream._property_network import Materials, PropertyNetwork

__all__ = ["TrainingSettings", "ask_members", "check_training", "inner_split", "train_members"]

_WARM_UP = 0.1  # of all steps: the learning rates rise
_BETAS = (0.9, 0.98)  # of AdamW
_LONGEST_GRADIENT = 1.0
_AVERAGED = 2.0  # epochs that the running mean of the weights reaches back


class TrainingSettings(Protocol):
    """What an estimator says of its training; `TransformerRegressor` documents each."""

    n_members: int
    max_epochs: int
    patience: int
    validation_fraction: float
    dropout: float
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    device: Any
    seed: int
    progress: bool


def check_training(settings: TrainingSettings) -> None:
    """Raise ValueError if a setting makes no sense."""
    for name in ("n_members", "max_epochs", "patience", "batch_size"):
        check_count(name, getattr(settings, name))
    check_count("seed", settings.seed, least=0)
    for name in ("learning_rate", "head_learning_rate"):
        check_number(name, getattr(settings, name), positive=True)
    check_number("weight_decay", settings.weight_decay)
    for name in ("dropout", "validation_fraction"):
        check_number(name, getattr(settings, name))
        if getattr(settings, name) >= 1:
            msg = f"{name} must be a share below 1, got {getattr(settings, name)}"
            raise ValueError(msg)


def train_members(
    settings: TrainingSettings,
    make_network: "Callable[[], PropertyNetwork]",
    materials: "Materials",
    target: NDArray[np.float64],
    *,
    classes: bool = False,
) -> tuple[list["PropertyNetwork"], list[list[dict[str, float]]]]:
    """Train all members; return them and their histories.

    Parameters
    ----------
    settings : TrainingSettings
        Of the estimator.
    make_network : callable
        Makes a network with fresh weights where it has any; PyTorch's seed is set. A body whose weights take no
        gradient is asked once.
    materials : Materials, length n_materials
        What to learn from; rows of one formula are kept aside together.
    target : float array, shape (n_materials,)
        In its unit; 0 and 1 of classes; of tensors, six columns.
    classes : bool, default False
        The target is classes, each of which has to be among what is learned from.

    Returns
    -------
    list of PropertyNetwork, and list of list of dict
        Of each member, on the CPU, and of each of its epochs.

    Raises
    ------
    ValueError
        If there is no accelerator though one was asked for, no formula can be kept aside or none is left to learn
        from, or a loss is not finite.
    """
    torch: Any = import_extra("torch", extra="transformer")
    device = choose_device(settings.device, torch)
    members, histories = [], []
    for member in range(settings.n_members):
        with (
            one_thread(torch),
            single_precision(torch),
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []),
        ):
            training = _Training(settings, make_network, materials, target, classes, member, device, torch)
            members.append(training.run().cpu())
            histories.append(training.history)
    return members, histories


def ask_members(
    members: Sequence["PropertyNetwork"], materials: "Materials", device: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ask all members on a device: locations and standard deviations, shape (n_members, n_materials)."""
    torch: Any = import_extra("torch", extra="transformer")
    where = choose_device(device, torch)
    not_met = [member.not_met(materials) for member in members]
    unknown = [symbol for symbol in not_met[0] if all(symbol in each for each in not_met)]
    if unknown:
        msg = f"nothing was learned of {', '.join(unknown)}; predictions of materials that hold them are guesses"
        warnings.warn(msg, stacklevel=3)
    with one_thread(torch), single_precision(torch):
        both = []
        for member in members:
            both.append(member.to(where).predict(materials))
            member.cpu()
    locations, stds = zip(*both, strict=True)
    return np.stack(locations), np.stack(stds)


class _Training:
    """Of one member: its network, the rows that it learns from and those kept aside, and how far it has come."""

    def __init__(
        self,
        settings: TrainingSettings,
        make_network: "Callable[[], PropertyNetwork]",
        materials: "Materials",
        target: NDArray[np.float64],
        classes: bool,
        member: int,
        device: Any,
        torch: Any,
    ) -> None:
        from matembed.downstream._property_network import GOALS

        self.settings, self.torch, self.materials = settings, torch, materials
        self.rng = np.random.default_rng([settings.seed, member])
        labels = target if classes else None
        self.rows, self.aside = inner_split(materials.formulas, settings.validation_fraction, self.rng, labels)
        torch.manual_seed(int(self.rng.integers(1 << 62)))
        self.network: Any = make_network().to(device)
        self.network.meet(materials[self.rows])
        self.goal = GOALS[self.network.goal]
        centre, scale = self.goal.standard(target[self.rows])
        if not np.ptp(target[self.rows], axis=0).any():
            scale = self.goal.standard(target)[1]  # rows learned from are alike: the spread of all of them
        self.network.centre = torch.tensor(centre, dtype=torch.float64, device=device)
        self.network.scale.fill_(scale or 1.0)
        standard = (torch.tensor(target, device=device) - self.network.centre) / self.network.scale
        self.target = standard.float()
        self.made = None  # of materials, by a body that does not change
        if not any(weight.requires_grad for weight in self.network.body.parameters()):
            self.made = self.network.over(materials, self.network.body)
        n_batches = math.ceil(len(self.rows) / settings.batch_size)
        share = 1 / (_AVERAGED * n_batches)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.network,
            multi_avg_fn=lambda mean, now, n: torch._foreach_lerp_(mean, now, max(share, 1 / (float(n) + 1))),
        )
        self.optimizer = self._optimizer()
        self.history: list[dict[str, float]] = []

    def _optimizer(self) -> Any:
        settings, network = self.settings, self.network
        groups = []
        for part, rate in ((network.body, settings.learning_rate), (network.head, settings.head_learning_rate)):
            for decay, decays in ((settings.weight_decay, True), (0.0, False)):
                weights = [each for each in part.parameters() if each.requires_grad and (each.ndim > 1) == decays]
                groups.append({"params": weights, "rate": rate, "weight_decay": decay})
        return self.torch.optim.AdamW([group for group in groups if group["params"]], betas=_BETAS, fused=True)

    def run(self) -> "PropertyNetwork":
        """Train until nothing gets better, and return the network at its best."""
        settings = self.settings
        best, since, kept = math.inf, 0, None
        for epoch in tqdm(range(settings.max_epochs), unit=" epochs", disable=not settings.progress):
            self.history.append({"epoch": epoch + 1, "loss": self._epoch(epoch)} | self._validate())
            if not len(self.aside):
                continue
            since += 1
            if self.history[-1]["validation_error"] < best:
                best, since = self.history[-1]["validation_error"], 0
                kept = copy.deepcopy(self.averaged.module.state_dict())
            if since == settings.patience:
                break
        network: PropertyNetwork = self.averaged.module
        if kept is not None:
            network.load_state_dict(kept)
            network.widening.fill_(self.goal.widen(*self._answers()))
        return network.eval().requires_grad_(False)

    def _epoch(self, epoch: int) -> float:
        """Go through the rows once; return the mean loss."""
        settings, torch = self.settings, self.torch
        order = self.rng.permutation(self.rows)
        starts = range(0, len(order), settings.batch_size)
        total = torch.zeros((), device=self.target.device)
        self.network.train()
        for step, start in enumerate(starts):
            rows = order[start : start + settings.batch_size]
            loss = self.goal.loss(self._outputs(rows), self.target[rows]).mean()
            done = (epoch + (step + 0.5) / len(starts)) / settings.max_epochs
            for group in self.optimizer.param_groups:
                group["lr"] = group["rate"] * warm_then_cosine(done, _WARM_UP)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
            self.optimizer.step()
            self.averaged.update_parameters(self.network)
            total += loss.detach() * len(rows)
        if not math.isfinite(total):
            msg = f"training diverged in epoch {epoch + 1}: the loss is {float(total)}; lower learning_rate"
            raise ValueError(msg)
        return float(total) / len(order)

    def _outputs(self, rows: NDArray[np.int64]) -> Any:
        """Read rows in training."""
        return self.network(self.materials[rows]) if self.made is None else self.network.head(self.made[rows])

    def _answers(self) -> tuple[Any, Any]:
        """Read what is kept aside with the averaged weights: outputs and targets."""
        network = self.averaged.module.eval()
        with self.torch.inference_mode():
            if self.made is None:
                outputs = network.over(self.materials[self.aside], network)
            else:
                outputs = network.head(self.made[self.aside])
        return outputs, self.target[self.aside]

    def _validate(self) -> dict[str, float]:
        if not len(self.aside):
            return {}
        answers = self._answers()
        error = self.goal.error(*answers) * float(self.network.scale)
        return {"validation_loss": float(self.goal.loss(*answers).mean()), "validation_error": error}


def inner_split(
    formulas: Sequence[str], fraction: float, rng: np.random.Generator, labels: NDArray[Any] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw rows to keep aside, all or none of each formula: rows to learn from, and these.

    Formulas go aside in the order drawn, those that have more rows than are still wanted passed over; if all have, the
    one with the fewest goes. Formulas that are the last of a class of the labels stay.
    """
    _, group, sizes = np.unique(np.array(formulas), return_inverse=True, return_counts=True)
    drawn = rng.permutation(len(sizes))
    wanted = max(1, round(fraction * len(group))) if fraction else 0
    if not wanted:
        return np.arange(len(group)), np.arange(0)
    if len(sizes) == 1:
        msg = f"all {len(group)} materials have one formula, so none can be kept aside; pass validation_fraction=0"
        raise ValueError(msg)
    if wanted == len(group):
        got = f"validation_fraction={fraction} keeps all {len(sizes)} formulas aside"
        msg = f"{got}, so there is none to learn from; pass a smaller fraction"
        raise ValueError(msg)
    aside = _drawn_aside(group, drawn, wanted, np.zeros(len(group)) if labels is None else labels)
    return np.flatnonzero(~aside[group]), np.flatnonzero(aside[group])


def _drawn_aside(
    group: NDArray[np.int64], drawn: NDArray[np.int64], wanted: int, labels: NDArray[Any]
) -> NDArray[np.bool_]:
    """Choose the formulas to keep aside, none of them the last of a class: a mask of formulas."""
    classes, of_row = np.unique(labels, return_inverse=True)
    n_rows = np.zeros((len(drawn), len(classes)), dtype=np.int64)
    np.add.at(n_rows, (group, of_row), 1)
    sizes, has = n_rows.sum(axis=1), n_rows > 0
    n_left = has.sum(axis=0)  # formulas of each class
    aside, n_wanted = np.zeros(len(drawn), dtype=np.bool_), wanted
    for formula in drawn.tolist():
        if sizes[formula] <= n_wanted and (n_left[has[formula]] > 1).all():
            aside[formula] = True
            n_wanted -= sizes[formula]
            n_left -= has[formula]
    if not aside.any():
        free = [formula for formula in drawn.tolist() if (n_left[has[formula]] > 1).all()]
        if not free:
            got = f"{len(drawn)} formulas, each the only one of a class"
            msg = f"wanted two formulas or more of a class, to keep one aside, got {got}; pass validation_fraction=0"
            raise ValueError(msg)
        aside[min(free, key=sizes.__getitem__)] = True
    return aside
