"""TransformerRegressor and TransformerClassifier: a transformer that read many materials learns a property of a few."""

import copy
import os
import warnings
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from pymatgen.core.structure import IStructure

from matembed._optional import import_extra
from matembed.cards import Card
from matembed.corpus.formulas import FormulaError, parse_formula
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_building import formula_sets, graph_sets, structure_sets
from matembed.downstream._network_estimators import Device, Loss, NetworkClassifier, NetworkRegressor
from matembed.downstream.materials import Column, as_list
from matembed.encoders._training import check_count, not_fitted
from matembed.encoders.masked_lm import MaskedLM
from matembed.motifs import MotifGraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from matembed.downstream._property_network import PropertyNetwork

__all__ = ["TransformerClassifier", "TransformerRegressor", "read_sets"]

Freeze = Literal["none", "body"]
Materials: TypeAlias = "MaterialSets | Column"
_Estimator: TypeAlias = "TransformerRegressor | TransformerClassifier"


class TransformerRegressor(NetworkRegressor):
    """Predict a number of materials, and how sure that is, with a transformer that is trained further.

    A head of two layers reads the states of a `MaskedLM` and tells a location and a width; both networks learn
    together, by AdamW [1]_, from the likelihood of the targets. Part of the formulas is kept aside in training: the
    weights, as a running mean over some epochs, are those of the epoch that predicts them best. Their targets then
    scale the widths to what is missed on average; the fewer they are, the less.

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
        Share of the training materials that is kept aside, all polymorphs of a formula together and at least one
        formula. With 0, training goes on for `max_epochs`, its last weights are taken, and widths are not scaled.
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
    are rough where few materials are kept aside: look how many errors are within one of them (of a Laplace
    distribution 76 %) on rows of your own before you rely on them.

    Motifs are found, and formulas read, each time that rows are passed: where structures are used more than once, as in
    cross-validation, pass `structure_sets` of them.

    Motifs of a crystal depend on how they are found. `structure_sets`, and the models of the package, have them of
    ``strategy="multi_weights"``, which is not the default of `find_motifs`. Motif graphs and sets made in another way
    than those that `model` was trained on are read with a UserWarning.

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

    _strategy: str | None = None  # how motifs were found in what the model was trained on

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

    def _check(self) -> None:
        _check(self)

    def _read(self, X: Materials) -> MaterialSets:
        return _read(self, X)

    def _maker(self, goal: str) -> "Callable[[], PropertyNetwork]":
        return _maker(self, goal)


class TransformerClassifier(NetworkClassifier):
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

    _strategy: str | None = None  # how motifs were found in what the model was trained on

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

    def _check(self) -> None:
        _check(self)

    def _read(self, X: Materials) -> MaterialSets:
        return _read(self, X)

    def _maker(self, goal: str) -> "Callable[[], PropertyNetwork]":
        return _maker(self, goal)


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
        If it is no column, or not all are of one kind.
    ValueError
        If there are none, or one cannot be read.

    Examples
    --------
    >>> read_sets(["SrTiO3", "NaCl"]).formulas
    ('SrTiO3', 'NaCl')
    """
    if isinstance(materials, MaterialSets):
        return _some(materials)
    listed = as_list(materials, "materials")
    first = listed[0] if listed else None
    kind = next((kind for kind in (MaterialSets, MotifGraph, IStructure) if isinstance(first, kind)), None)
    if kind is None:
        return _some(_read_formulas(listed))
    for position, one in enumerate(listed):
        if not isinstance(one, kind):
            got = f"{type(first).__name__} at position 0 and {type(one).__name__} at position {position}"
            msg = f"wanted materials of one kind, got {got}; leave this out, or pass each kind by itself"
            raise TypeError(msg)
    if kind is MaterialSets:  # scikit-learn takes rows one by one
        several = next((len(one) for one in listed if len(one) != 1), 0)
        if several:
            msg = f"wanted sets of one material each in a list, got one of {several}; pass MaterialSets.concat(sets)"
            raise ValueError(msg)
        return MaterialSets.concat(listed)
    return graph_sets(listed) if kind is MotifGraph else structure_sets(listed)


def _read(estimator: _Estimator, materials: Materials) -> MaterialSets:
    """Write materials as sets, with a warning if their motifs were found in another way than those of the model."""
    sets = read_sets(materials)
    found, trained = _strategy(sets.card), estimator._strategy
    if found and trained and found != trained:
        msg = (
            f"motifs were found by strategy {found!r}, those that the model was trained on by {trained!r}, and many "
            "differ; pass graphs or sets of that strategy"
        )
        warnings.warn(msg, stacklevel=4)
    return sets


def _strategy(card: Card) -> str | None:
    """Look up how motifs were found, in a card or those of what it was made from."""
    known: Any = card.to_dict()
    while known and "strategy" not in known.get("settings", {}):
        known = known.get("corpus")
    return known["settings"]["strategy"] if known else None


def _read_formulas(formulas: list[Any]) -> MaterialSets:
    """Write formulas as sets, or raise FormulaError with the position of the first that cannot be read."""
    try:
        return formula_sets(formulas, oxidation="balanced")
    except FormulaError:
        for position, formula in enumerate(formulas):
            try:
                parse_formula(formula)
            except FormulaError as error:
                msg = f"formula at position {position}: {error}"
                raise FormulaError(msg) from error
        raise


def _some(sets: MaterialSets) -> MaterialSets:
    if not len(sets):
        msg = "wanted one material or more, got none; nothing can be learned or told"
        raise ValueError(msg)
    return sets


def _check(estimator: _Estimator) -> None:
    """Raise an error if a setting makes no sense."""
    if estimator.model is None:
        for name in ("dim", "n_layers", "n_heads", "feed_forward"):
            check_count(name, getattr(estimator, name))
        if estimator.dim % estimator.n_heads:
            msg = f"dim must be a multiple of n_heads={estimator.n_heads}, got {estimator.dim}"
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


def _maker(estimator: _Estimator, goal: str) -> "Callable[[], PropertyNetwork]":
    """Return a function that makes a network, with the weights of the model to start from where there is one."""
    import_extra("torch", extra="transformer")
    import_extra("transformers", extra="transformer")
    from matembed.downstream._property_network import PropertyNetwork, property_head
    from matembed.downstream._set_reader import SetReader
    from matembed.encoders.set_transformer import SetTransformer, SetTransformerConfig

    model = estimator.model
    if model is not None and not isinstance(model, MaskedLM):
        model = MaskedLM.from_pretrained(model)
    if model is not None and not hasattr(model, "network_"):
        raise not_fitted(model)
    estimator._strategy = None if model is None else _strategy(model.card_)

    def make_network() -> PropertyNetwork:
        if model is None:
            names = ("dim", "n_layers", "n_heads", "feed_forward")
            transformer = SetTransformer(SetTransformerConfig(**{name: getattr(estimator, name) for name in names}))
        else:
            transformer = copy.deepcopy(model.network_)
        body = SetReader(transformer, estimator.dropout, () if model is None else model.seen_["element"])
        head = property_head(body.width, transformer.config.dim, goal, estimator.dropout)
        if estimator.freeze == "body":
            body.requires_grad_(False)
        return PropertyNetwork(body, head, goal)

    return make_network
