"""TransformerRegressor and TransformerClassifier: a transformer that read many materials learns a property of a few."""

import copy
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.structure import IStructure
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from matembed._optional import import_extra
from matembed.corpus.material_sets import MaterialSets, formula_sets, graph_sets, structure_sets
from matembed.downstream.materials import Column, as_list
from matembed.downstream.tasks import LabelledMaterials, Task, read_labelled
from matembed.encoders._training import (
    check_count,
    check_number,
    choose_device,
    not_fitted,
    one_thread,
    warm_then_cosine,
)
from matembed.encoders.masked_lm import MaskedLM
from matembed.motifs import MotifGraph

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from matembed.downstream._heads import PropertyNetwork

__all__ = ["TransformerClassifier", "TransformerRegressor", "read_sets"]

Loss = Literal["laplace", "gaussian"]
Freeze = Literal["none", "body"]
Device = Literal["cpu", "cuda", "auto"]
Materials: TypeAlias = "MaterialSets | Column"
_Estimator: TypeAlias = "TransformerRegressor | TransformerClassifier"

_WARM_UP = 0.1  # of all steps: the learning rates rise
_BETAS = (0.9, 0.98)  # of AdamW
_LONGEST_GRADIENT = 1.0
_AVERAGED = 2.0  # epochs that the running mean of the weights reaches back


class TransformerRegressor(RegressorMixin, BaseEstimator):
    """Predict a number of materials, and how sure that is, with a transformer that is trained further.

    A head of two layers reads the states of a `MaskedLM` and tells a location and a width; both networks learn
    together, by AdamW [1]_, from the likelihood of the targets. Part of the formulas is kept aside in training: the
    weights, as a running mean over some epochs, are those of the epoch that predicts them best. Their targets then
    scale the widths, so that these are neither too narrow nor too wide.

    The same seed gives the same bytes on the same machine, if that has no accelerator.

    Parameters
    ----------
    model : MaskedLM, path-like or str, optional
        A fitted model, which is not changed, or what `MaskedLM.from_pretrained` opens. By default a network of the
        four sizes that follow is trained from scratch.
    dim : int, default 192
        Length of the vectors, a multiple of `n_heads`.
    n_layers : int, default 4
        Layers of attention and feed-forward network.
    n_heads : int, default 6
        Attention heads of each layer.
    feed_forward : int, default 768
        Width of the feed-forward networks.
    dropout : float, default 0.0
        Share of numbers set to zero in training, whatever the model was trained with. Sets of a few elements have no
        number to spare: band gaps were predicted no better with 0.1.
    loss : {"laplace", "gaussian"}
        Distribution of the target around its prediction. The first minimises mean absolute errors, the second squared
        ones.
    n_members : int, default 1
        Networks whose mean is predicted. Each starts from a seed of its own and keeps other formulas aside.
    freeze : {"none", "body"}
        ``"body"`` trains the head alone, within seconds.
    max_epochs : int, default 100
        Most passes over the materials.
    patience : int, default 20
        Passes without a better prediction of what is kept aside, after which training ends.
    validation_fraction : float, default 0.1
        Share of the training materials that is kept aside, all polymorphs of a formula together. With 0, training
        goes on for `max_epochs`, its last weights are taken, and widths are not scaled.
    batch_size : int, default 32
        Materials in a step.
    learning_rate : float, default 0.0003
        Of the transformer, at its highest: it rises over the first tenth of `max_epochs`, then falls along half a
        cosine.
    head_learning_rate : float, default 0.001
        The same, of the head.
    weight_decay : float, default 0.01
        Of AdamW; biases and scales are exempt.
    device : {"cpu", "cuda", "auto"}
        Where to compute; ``"auto"`` takes an accelerator if there is one.
    seed : int, default 0
        Starts the weights, what is kept aside and the order of the materials.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    members_ : list of torch.nn.Module, length n_members
        The networks.
    history_ : list of list of dict
        For each member and epoch: its number, ``loss`` and ``validation_loss`` (mean negative log-likelihood, weighted
        by widths, of the standardised target), and ``validation_error``: the mean absolute error, or the root mean
        squared error with ``loss="gaussian"``, in the unit of the target.

    See Also
    --------
    TransformerClassifier : The same for two classes.
    matembed.encoders.masked_lm.MaskedLM : What to start from.

    Notes
    -----
    Targets are standardised by the mean and the standard deviation of those that are learned from. The loss of a row is
    its negative log-likelihood times the width, or with ``"gaussian"`` the squared width, taken as constant [2]_: the
    location then learns from all rows alike.

    Member m predicts the location y_m and the standard deviation s_m, which of a Laplace distribution is the square
    root of 2 times its width. The prediction is y = mean(y_m), and its variance mean(s_m²) + mean((y_m - y)²): the
    scatter of targets for all that is known of a material, and what the members disagree about [3]_. These deviations
    rank errors well and are too small for the worst, above all where many targets are alike, as the zeros among band
    gaps.

    Motifs are found, and formulas read, each time that rows are passed: where structures are used more than once, as in
    cross-validation, pass `structure_sets` of them.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, arXiv:1711.05101 (2017).
    .. [2] M. Seitzer et al., arXiv:2203.09168 (2022).
    .. [3] B. Lakshminarayanan et al., Adv. Neural Inf. Process. Syst. 30, 6402 (2017).

    Examples
    --------
    >>> formulas = ["LiF", "LiCl", "LiBr", "NaF", "NaCl", "NaBr", "KF", "KCl", "KBr", "RbF", "RbCl", "RbBr"]
    >>> lattice_constant = [4.03, 5.14, 5.50, 4.63, 5.64, 5.97, 5.34, 6.29, 6.60, 5.65, 6.58, 6.89]  # Å
    >>> model = TransformerRegressor(dim=16, n_layers=1, n_heads=2, feed_forward=32, max_epochs=5)
    >>> predicted, std = model.fit(formulas, lattice_constant).predict(["CsF", "CsCl"], return_std=True)
    >>> predicted.shape, bool((std > 0).all())
    ((2,), True)
    """

    def __init__(
        self,
        model: MaskedLM | str | os.PathLike[str] | None = None,
        *,
        dim: int = 192,
        n_layers: int = 4,
        n_heads: int = 6,
        feed_forward: int = 768,
        dropout: float = 0.0,
        loss: Loss = "laplace",
        n_members: int = 1,
        freeze: Freeze = "none",
        max_epochs: int = 100,
        patience: int = 20,
        validation_fraction: float = 0.1,
        batch_size: int = 32,
        learning_rate: float = 0.0003,
        head_learning_rate: float = 0.001,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.dim = dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.feed_forward = feed_forward
        self.dropout = dropout
        self.loss = loss
        self.n_members = n_members
        self.freeze = freeze
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.device = device
        self.seed = seed
        self.progress = progress

    def fit(self, X: Materials, y: Column) -> Self:
        """Train on materials.

        Parameters
        ----------
        X : MaterialSets, or sequence of formulas, Structures or MotifGraphs, length n_materials
            What to learn from. Of structures, motifs and symmetry are found; of formulas, charges are balanced, as by
            ``formula_sets(formulas, oxidation="balanced")``.
        y : sequence of float, length n_materials
            The target, in any unit.

        Returns
        -------
        TransformerRegressor
            Itself, fitted.

        Raises
        ------
        ImportError
            If PyTorch or transformers is not installed.
        NotFittedError
            If the model has learned nothing yet.
        OSError
            If there is no model of that name.
        TypeError
            If the model is of another kind, or `X` is no column.
        ValueError
            If a setting makes no sense, materials and targets do not fit each other, or a target is missing.
        """
        _check(self)
        if self.loss not in get_args(Loss):
            msg = f"loss must be one of {', '.join(get_args(Loss))}, got {self.loss!r}"
            raise ValueError(msg)
        labelled = _labelled(X, y, "regression")
        self.members_, self.history_ = _fitted(self, read_sets(X), labelled.y, self.loss)
        return self

    def predict(
        self, X: Materials, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the target of materials.

        Parameters
        ----------
        X : MaterialSets, or sequence of formulas, Structures or MotifGraphs, length n_materials
            Materials, of the kind that was learned from.
        return_std : bool, default False
            Tell the standard deviation too.

        Returns
        -------
        float64 array, shape (n_materials,), or two of them
            In the unit of the target: the prediction; and its standard deviation, as under Notes.
        """
        check_is_fitted(self)
        locations, stds = _predictions(self.members_, read_sets(X))
        predicted = locations.mean(axis=0)
        if not return_std:
            return predicted
        return predicted, np.sqrt((stds**2).mean(axis=0) + locations.var(axis=0))

    def __sklearn_tags__(self) -> "Tags":
        return _column_tags(super().__sklearn_tags__())


class TransformerClassifier(ClassifierMixin, BaseEstimator):
    """Tell two classes of materials apart with a transformer that is trained further.

    As `TransformerRegressor`, but the head tells the logarithm of the odds, and the loss is the cross-entropy.

    Parameters
    ----------
    model : MaskedLM, path-like or str, optional
        As in `TransformerRegressor`, and so are all that follow.
    dim : int, default 192
        Length of the vectors, a multiple of `n_heads`.
    n_layers : int, default 4
        Layers of attention and feed-forward network.
    n_heads : int, default 6
        Attention heads of each layer.
    feed_forward : int, default 768
        Width of the feed-forward networks.
    dropout : float, default 0.0
        Share of numbers set to zero in training.
    n_members : int, default 1
        Networks whose mean probability is told.
    freeze : {"none", "body"}
        ``"body"`` trains the head alone.
    max_epochs : int, default 100
        Most passes over the materials.
    patience : int, default 20
        Passes without a lower loss of what is kept aside, after which training ends.
    validation_fraction : float, default 0.1
        Share of the training materials that is kept aside.
    batch_size : int, default 32
        Materials in a step.
    learning_rate : float, default 0.0003
        Of the transformer, at its highest.
    head_learning_rate : float, default 0.001
        Of the head, at its highest.
    weight_decay : float, default 0.01
        Of AdamW; biases and scales are exempt.
    device : {"cpu", "cuda", "auto"}
        Where to compute.
    seed : int, default 0
        Starts the weights, what is kept aside and the order of the materials.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    members_ : list of torch.nn.Module, length n_members
        The networks.
    classes_ : array, shape (2,)
        The classes, sorted; the second is positive.
    history_ : list of list of dict
        For each member and epoch: its number, ``loss``, ``validation_loss`` and ``validation_error``, the same once
        more: mean cross-entropies, in nats.

    See Also
    --------
    TransformerRegressor : The same for numbers.

    Examples
    --------
    >>> formulas = ["LiF", "LiCl", "NaF", "NaCl", "KF", "KCl", "LiAl", "NaAl", "KAl", "LiZn", "NaZn", "KZn"]
    >>> model = TransformerClassifier(dim=16, n_layers=1, n_heads=2, feed_forward=32, max_epochs=5)
    >>> model.fit(formulas, ["salt"] * 6 + ["metal"] * 6).predict_proba(["RbF"]).shape
    (1, 2)
    """

    def __init__(
        self,
        model: MaskedLM | str | os.PathLike[str] | None = None,
        *,
        dim: int = 192,
        n_layers: int = 4,
        n_heads: int = 6,
        feed_forward: int = 768,
        dropout: float = 0.0,
        n_members: int = 1,
        freeze: Freeze = "none",
        max_epochs: int = 100,
        patience: int = 20,
        validation_fraction: float = 0.1,
        batch_size: int = 32,
        learning_rate: float = 0.0003,
        head_learning_rate: float = 0.001,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.dim = dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.feed_forward = feed_forward
        self.dropout = dropout
        self.n_members = n_members
        self.freeze = freeze
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.device = device
        self.seed = seed
        self.progress = progress

    def fit(self, X: Materials, y: Column) -> Self:
        """Train on materials.

        Parameters
        ----------
        X : MaterialSets, or sequence of formulas, Structures or MotifGraphs, length n_materials
            What to learn from. Of structures, motifs and symmetry are found; of formulas, charges are balanced, as by
            ``formula_sets(formulas, oxidation="balanced")``.
        y : sequence of two different values, length n_materials
            The class of each.

        Returns
        -------
        TransformerClassifier
            Itself, fitted.

        Raises
        ------
        ImportError
            If PyTorch or transformers is not installed.
        NotFittedError
            If the model has learned nothing yet.
        OSError
            If there is no model of that name.
        TypeError
            If the model is of another kind, or `X` is no column.
        ValueError
            If a setting makes no sense, materials and classes do not fit each other, or there are not two classes.
        """
        _check(self)
        labelled = _labelled(X, y, "classification")
        self.members_, self.history_ = _fitted(self, read_sets(X), labelled.y.astype(np.float64), "logistic")
        self.classes_ = np.array(labelled.classes)
        return self

    def predict_proba(self, X: Materials) -> NDArray[np.float64]:
        """Tell the probability of each class.

        Parameters
        ----------
        X : MaterialSets, or sequence of formulas, Structures or MotifGraphs, length n_materials
            Materials, of the kind that was learned from.

        Returns
        -------
        float64 array, shape (n_materials, 2)
            Columns in the order of `classes_`: means over the members.
        """
        check_is_fitted(self)
        probabilities, _ = _predictions(self.members_, read_sets(X))
        positive = probabilities.mean(axis=0)
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Materials) -> NDArray[Any]:
        """Tell the likelier class.

        Parameters
        ----------
        X : MaterialSets, or sequence of formulas, Structures or MotifGraphs, length n_materials
            Materials, of the kind that was learned from.

        Returns
        -------
        array, shape (n_materials,)
            One of `classes_` each.
        """
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_tags__(self) -> "Tags":
        tags = _column_tags(super().__sklearn_tags__())
        tags.classifier_tags.multi_class = False
        return tags


def read_sets(materials: Materials) -> MaterialSets:
    """Write materials of any kind as sets; of formulas, charges are balanced.

    Parameters
    ----------
    materials : MaterialSets, or sequence of formulas, Structures, MotifGraphs or MaterialSets
        All of one kind.

    Returns
    -------
    MaterialSets
        In the order given.

    Raises
    ------
    TypeError
        If it is no column.
    ValueError
        If there are none, or one cannot be read.

    Examples
    --------
    >>> read_sets(np.array(["SrTiO3", "NaCl"], dtype=object)).formulas
    ('SrTiO3', 'NaCl')
    """
    if isinstance(materials, MaterialSets):
        return _some(materials)
    listed = as_list(materials, "materials")
    first = listed[0] if listed else None
    if isinstance(first, MaterialSets):  # scikit-learn takes rows one by one
        return _some(MaterialSets.concat(listed))
    if isinstance(first, MotifGraph):
        return graph_sets(listed)
    if isinstance(first, IStructure):
        return structure_sets(listed)
    return _some(formula_sets(listed, oxidation="balanced"))


def _some(sets: MaterialSets) -> MaterialSets:
    if not len(sets):
        msg = "wanted one material or more, got none; nothing can be learned or told"
        raise ValueError(msg)
    return sets


def _labelled(X: Materials, y: Column, task: Task) -> LabelledMaterials:
    return read_labelled(X.ids if isinstance(X, MaterialSets) else X, y, task=task)


def _check(estimator: _Estimator) -> None:
    """Raise an error if a setting makes no sense."""
    counts = ("dim", "n_layers", "n_heads", "feed_forward", "n_members", "max_epochs", "patience", "batch_size")
    for name in counts:
        check_count(name, getattr(estimator, name))
    if estimator.dim % estimator.n_heads:
        msg = f"dim must be a multiple of n_heads={estimator.n_heads}, got {estimator.dim}"
        raise ValueError(msg)
    check_count("seed", estimator.seed, least=0)
    for name in ("learning_rate", "head_learning_rate"):
        check_number(name, getattr(estimator, name), positive=True)
    check_number("weight_decay", estimator.weight_decay)
    for name in ("dropout", "validation_fraction"):
        check_number(name, getattr(estimator, name))
        if getattr(estimator, name) >= 1:
            msg = f"{name} must be a share below 1, got {getattr(estimator, name)}"
            raise ValueError(msg)
    if estimator.freeze not in get_args(Freeze):
        msg = f"freeze must be one of {', '.join(get_args(Freeze))}, got {estimator.freeze!r}"
        raise ValueError(msg)
    if estimator.freeze == "body" and estimator.model is None:
        msg = "freeze='body' would keep random weights; pass a fitted MaskedLM as model, or freeze='none'"
        raise ValueError(msg)
    if estimator.model is not None and not isinstance(estimator.model, MaskedLM | str | os.PathLike):
        got = f"{type(estimator.model).__name__} {estimator.model!r:.60}"
        msg = f"model must be a MaskedLM, the folder or name of one, or None to start from scratch; got {got}"
        raise TypeError(msg)


def _fitted(
    estimator: _Estimator, sets: MaterialSets, target: NDArray[np.float64], goal: str
) -> tuple[list["PropertyNetwork"], list[list[dict[str, float]]]]:
    """Train all members; return them and their histories."""
    torch: Any = import_extra("torch", extra="transformer")
    import_extra("transformers", extra="transformer")
    device = choose_device(estimator.device, torch)
    model = estimator.model
    if model is not None and not isinstance(model, MaskedLM):
        model = MaskedLM.from_pretrained(model)
    if model is not None and not hasattr(model, "network_"):
        raise not_fitted(model)
    members, histories = [], []
    for member in range(estimator.n_members):
        with (
            one_thread(torch),
            torch.enable_grad(),
            torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []),
        ):
            training = _Training(estimator, model, sets, target, goal, member, device, torch)
            members.append(training.run())
            histories.append(training.history)
    return members, histories


def _predictions(
    members: Sequence["PropertyNetwork"], sets: MaterialSets
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ask all members: locations and standard deviations, shape (n_members, n_materials)."""
    with one_thread(import_extra("torch", extra="transformer")):
        both = [member.predict(sets) for member in members]
    locations, stds = zip(*both, strict=True)
    return np.stack(locations), np.stack(stds)


class _Training:
    """Of one member: its network, the rows that it learns from and those kept aside, and how far it has come."""

    def __init__(
        self,
        estimator: _Estimator,
        model: MaskedLM | None,
        sets: MaterialSets,
        target: NDArray[np.float64],
        goal: str,
        member: int,
        device: Any,
        torch: Any,
    ) -> None:
        from matembed.downstream._heads import GOALS, PropertyNetwork
        from matembed.encoders._set_transformer import SetTransformer, SetTransformerConfig

        self.estimator, self.torch, self.goal = estimator, torch, GOALS[goal]
        self.rng = np.random.default_rng([estimator.seed, member])
        self.rows, self.aside = _inner_split(sets.formulas, estimator.validation_fraction, self.rng)
        torch.manual_seed(int(self.rng.integers(1 << 62)))
        if model is None:
            names = ("dim", "n_layers", "n_heads", "feed_forward")
            body = SetTransformer(SetTransformerConfig(**{name: getattr(estimator, name) for name in names}))
        else:
            body = copy.deepcopy(model.network_)
        self.network: Any = PropertyNetwork(body, goal, estimator.dropout).to(device)
        if goal != "logistic":
            self.network.centre.fill_(target[self.rows].mean())
            self.network.scale.fill_(target[self.rows].std() or 1.0)
        standard = (torch.tensor(target, device=device) - self.network.centre) / self.network.scale
        self.target = standard.float()
        self.sets, self.pooled = sets, None
        if estimator.freeze == "body":  # what it makes of materials stays the same
            self.network.body.requires_grad_(False)
            self.pooled = self.network.over(sets, self.network.pooled)
        n_batches = math.ceil(len(self.rows) / estimator.batch_size)
        share = 1 / (_AVERAGED * n_batches)
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.network, avg_fn=lambda mean, now, n: mean.lerp(now, max(share, 1 / (float(n) + 1)))
        )
        self.optimizer = self._optimizer()
        self.history: list[dict[str, float]] = []

    def _optimizer(self) -> Any:
        estimator, network = self.estimator, self.network
        groups = []
        for part, rate in ((network.body, estimator.learning_rate), (network.head, estimator.head_learning_rate)):
            for decay, decays in ((estimator.weight_decay, True), (0.0, False)):
                weights = [each for each in part.parameters() if each.requires_grad and (each.ndim > 1) == decays]
                groups.append({"params": weights, "rate": rate, "weight_decay": decay})
        return self.torch.optim.AdamW([group for group in groups if group["params"]], betas=_BETAS, fused=True)

    def run(self) -> "PropertyNetwork":
        """Train until nothing gets better, and return the network at its best."""
        estimator = self.estimator
        best, since, kept = math.inf, 0, None
        for epoch in tqdm(range(estimator.max_epochs), unit=" epochs", disable=not estimator.progress):
            self.history.append({"epoch": epoch + 1, "loss": self._epoch(epoch)} | self._validate())
            if not len(self.aside):
                continue
            since += 1
            if self.history[-1]["validation_error"] < best:
                best, since = self.history[-1]["validation_error"], 0
                kept = copy.deepcopy(self.averaged.module.state_dict())
            if since == estimator.patience:
                break
        network: PropertyNetwork = self.averaged.module
        if kept is not None:
            network.load_state_dict(kept)
            network.widening.fill_(self.goal.widen(*self._answers()))
        return network.eval().requires_grad_(False)

    def _epoch(self, epoch: int) -> float:
        """Go through the rows once; return the mean loss."""
        estimator, torch = self.estimator, self.torch
        order = self.rng.permutation(self.rows)
        starts = range(0, len(order), estimator.batch_size)
        total = 0.0
        self.network.train()
        for step, start in enumerate(starts):
            rows = order[start : start + estimator.batch_size]
            loss = self.goal.loss(self._outputs(rows), self.target[rows]).mean()
            done = (epoch + (step + 1) / len(starts)) / estimator.max_epochs
            for group in self.optimizer.param_groups:
                group["lr"] = group["rate"] * warm_then_cosine(done, _WARM_UP)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_GRADIENT)
            self.optimizer.step()
            self.averaged.update_parameters(self.network)
            total += float(loss.detach()) * len(rows)
        return total / len(order)

    def _outputs(self, rows: NDArray[np.int64]) -> Any:
        """Read rows in training."""
        return self.network(self.sets[rows]) if self.pooled is None else self.network.head(self.pooled[rows])

    def _answers(self) -> tuple[Any, Any]:
        """Read what is kept aside with the averaged weights: outputs and targets."""
        network = self.averaged.module.eval()
        with self.torch.inference_mode():
            if self.pooled is None:
                outputs = network.over(self.sets[self.aside], network)
            else:
                outputs = network.head(self.pooled[self.aside])
        return outputs, self.target[self.aside]

    def _validate(self) -> dict[str, float]:
        if not len(self.aside):
            return {}
        answers = self._answers()
        error = self.goal.error(*answers) * float(self.network.scale)
        return {"validation_loss": float(self.goal.loss(*answers).mean()), "validation_error": error}


def _inner_split(
    formulas: Sequence[str], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw rows to keep aside, all or none of each formula: rows to learn from, and these."""
    _, group, sizes = np.unique(np.array(formulas), return_inverse=True, return_counts=True)
    drawn = rng.permutation(len(sizes))
    n_before = np.cumsum(sizes[drawn]) - sizes[drawn]
    aside = np.zeros(len(sizes), dtype=np.bool_)
    aside[drawn[n_before < round(fraction * len(group))]] = True
    if aside.all():
        msg = f"all {len(group)} materials have one formula, so none can be kept aside; pass validation_fraction=0"
        raise ValueError(msg)
    return np.flatnonzero(~aside[group]), np.flatnonzero(aside[group])


def _column_tags(tags: "Tags") -> "Tags":
    tags.input_tags.two_d_array = False
    tags.input_tags.one_d_array = True
    tags.input_tags.string = True
    return tags
