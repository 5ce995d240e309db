"""CompositionRegressor and CompositionClassifier: attention over the elements of a formula, from vectors of a table."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from matembed._optional import import_extra
from matembed.downstream._network_estimators import Device, Loss, NetworkClassifier, NetworkRegressor
from matembed.downstream.compositions import Compositions, read_compositions
from matembed.downstream.element_matrix import element_matrix
from matembed.downstream.materials import Column
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import check_count

if TYPE_CHECKING:
    from matembed.downstream._property_network import PropertyNetwork

__all__ = ["CompositionClassifier", "CompositionRegressor"]

_Estimator: TypeAlias = "CompositionRegressor | CompositionClassifier"


class CompositionRegressor(NetworkRegressor):
    """Predict a number of formulas, and how sure that is, by attention over their elements [1]_ [2]_.

    Materials are formulas, as text, pymatgen Compositions or mappings, or Structures, of which the formula is read. All
    runs in one thread.

    An element is its vector in a table and its fraction, written as waves of it and of its logarithm; layers of
    attention let elements hear each other, and a head reads the mean by fractions and an attended mean. It tells a
    location and a width, learned from the likelihood of the targets. Part of the formulas is kept aside in training:
    the weights, as a running mean over some epochs, are those of the epoch that predicts them best.

    A warning names elements of which nothing was learned: no formula had them, nor one whose vector is at all like
    theirs.

    Parameters
    ----------
    elements : EmbeddingTable
        Vectors of elements, from ``matembed.load("elements")``, a published table that `matembed.read_table` reads, or
        one-hot or random ones; those that it lacks are made by `matembed.back_off`.
    train_vectors : bool, default False
        Train the vectors further, instead of a map of them alone.
    statistics : bool, default False
        Let the head also read the mean, standard deviation, least and greatest of each number of the vectors, in their
        standard deviations over the formulas, through a perceptron. In training attention is then left out for half of
        the formulas, drawn anew in each step. Helps where compositions vary little by little, as those of glasses do;
        of compounds attention alone tells as much.
    width : int, default 64
        Numbers in the state of an element, a multiple of `n_heads`.
    n_layers : int, default 3
        Layers of attention.
    n_heads : int, default 4
        Attention heads of each layer.
    dropout : float, default 0.1
        Share of numbers set to zero in training.
    loss : {"laplace", "gaussian"}
        As in `TransformerRegressor`, and so are those that follow.
    n_members : int, default 1
        Networks whose mean is predicted.
    max_epochs : int, default 100
        Most passes over the formulas.
    patience : int, default 100
        Passes without a better prediction of what is kept aside, after which training ends. By default all are made:
        of a few hundred formulas so few are kept aside that their error rises and falls on the way.
    validation_fraction : float, default 0.1
        Share of the training formulas that is kept aside.
    batch_size : int, default 32
        Formulas in a step.
    learning_rate : float, default 0.001
        At its highest.
    head_learning_rate : float, default 0.001
        The same, of the head.
    weight_decay : float, default 0.01
        Of AdamW; biases and scales are exempt.
    device : {"cpu", "cuda", "auto"}
        Where to compute.
    seed : int, default 0
        Starts the weights, what is kept aside and the order of the formulas.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    members_ : list of torch.nn.Module, length n_members
        The networks.
    history_ : list of list of dict
        For each member and epoch, as in `TransformerRegressor`.

    See Also
    --------
    CompositionClassifier : The same for two classes.
    matembed.TransformerRegressor : Goes on from a network that has read many materials.

    References
    ----------
    .. [1] R. E. A. Goodall and A. A. Lee, Nat. Commun. 11, 6280 (2020).
    .. [2] A. Y.-T. Wang et al., npj Comput. Mater. 7, 77 (2021).

    Examples
    --------
    >>> from matembed.downstream.baselines import one_hot_table
    >>> table = one_hot_table(["Li", "Na", "K", "Rb", "F", "Cl", "Br"])
    >>> formulas = ["LiF", "LiCl", "LiBr", "NaF", "NaCl", "NaBr", "KF", "KCl", "KBr", "RbF", "RbCl", "RbBr"]
    >>> lattice_constant = [4.03, 5.14, 5.50, 4.63, 5.64, 5.97, 5.34, 6.29, 6.60, 5.65, 6.58, 6.89]  # Å
    >>> model = CompositionRegressor(table, width=16, n_layers=1, max_epochs=5).fit(formulas, lattice_constant)
    >>> predicted, std = model.predict(["RbF", "Na2Cl2"], return_std=True)
    >>> predicted.shape, bool((std > 0).all())
    ((2,), True)
    """

    def __init__(
        self,
        elements: EmbeddingTable,
        *,
        train_vectors: bool = False,
        statistics: bool = False,
        width: int = 64,
        n_layers: int = 3,
        n_heads: int = 4,
        dropout: float = 0.1,
        loss: Loss = "laplace",
        n_members: int = 1,
        max_epochs: int = 100,
        patience: int = 100,
        validation_fraction: float = 0.1,
        batch_size: int = 32,
        learning_rate: float = 0.001,
        head_learning_rate: float = 0.001,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.elements = elements
        self.train_vectors = train_vectors
        self.statistics = statistics
        self.width = width
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.dropout = dropout
        self.loss = loss
        self.n_members = n_members
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

    def _read(self, X: Column) -> Compositions:
        return read_compositions(X)

    def _maker(self, goal: str) -> "Callable[[], PropertyNetwork]":
        return _maker(self, goal)


class CompositionClassifier(NetworkClassifier):
    """Tell two classes of formulas apart by attention over their elements.

    As `CompositionRegressor`, with the same materials, but the head tells the logarithm of the odds, and the loss is
    the cross-entropy.

    Parameters
    ----------
    elements : EmbeddingTable
        As in `CompositionRegressor`, and so are those that follow.
    train_vectors : bool, default False
        Train the vectors further.
    statistics : bool, default False
        Read statistics of the vectors too.
    width : int, default 64
        Numbers in the state of an element, a multiple of `n_heads`.
    n_layers : int, default 3
        Layers of attention.
    n_heads : int, default 4
        Attention heads of each layer.
    dropout : float, default 0.1
        Share of numbers set to zero in training.
    n_members : int, default 1
        Networks whose mean probability is told.
    max_epochs : int, default 100
        Most passes over the formulas.
    patience : int, default 100
        Passes without a lower loss of what is kept aside, after which training ends.
    validation_fraction : float, default 0.1
        Share of the training formulas that is kept aside; one of each class is left to learn from.
    batch_size : int, default 32
        Formulas in a step.
    learning_rate : float, default 0.001
        At its highest.
    head_learning_rate : float, default 0.001
        The same, of the head.
    weight_decay : float, default 0.01
        Of AdamW; biases and scales are exempt.
    device : {"cpu", "cuda", "auto"}
        Where to compute.
    seed : int, default 0
        Starts the weights, what is kept aside and the order of the formulas.
    progress : bool, default False
        Show a bar.

    Attributes
    ----------
    members_ : list of torch.nn.Module, length n_members
        The networks.
    classes_ : array, shape (2,)
        The classes, sorted; the second is positive.
    history_ : list of list of dict
        For each member and epoch, as in `TransformerClassifier`.

    See Also
    --------
    CompositionRegressor : The same for numbers.

    Examples
    --------
    >>> from matembed.downstream.baselines import one_hot_table
    >>> formulas = ["LiF", "LiCl", "NaF", "NaCl", "KF", "KCl", "LiAl", "NaAl", "KAl", "LiZn", "NaZn", "KZn"]
    >>> table = one_hot_table(["Li", "Na", "K", "F", "Cl", "Al", "Zn"])
    >>> model = CompositionClassifier(table, width=16, n_layers=1, max_epochs=5)
    >>> model.fit(formulas, ["salt"] * 6 + ["metal"] * 6).predict_proba(["NaCl"]).shape
    (1, 2)
    """

    def __init__(
        self,
        elements: EmbeddingTable,
        *,
        train_vectors: bool = False,
        statistics: bool = False,
        width: int = 64,
        n_layers: int = 3,
        n_heads: int = 4,
        dropout: float = 0.1,
        n_members: int = 1,
        max_epochs: int = 100,
        patience: int = 100,
        validation_fraction: float = 0.1,
        batch_size: int = 32,
        learning_rate: float = 0.001,
        head_learning_rate: float = 0.001,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.elements = elements
        self.train_vectors = train_vectors
        self.statistics = statistics
        self.width = width
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.dropout = dropout
        self.n_members = n_members
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

    def _read(self, X: Column) -> Compositions:
        return read_compositions(X)

    def _maker(self, goal: str) -> "Callable[[], PropertyNetwork]":
        return _maker(self, goal)


def _check(estimator: _Estimator) -> None:
    """Raise an error if a setting makes no sense."""
    if not isinstance(estimator.elements, EmbeddingTable):
        got = f"{type(estimator.elements).__name__} {estimator.elements!r:.60}"
        msg = f"elements must be an EmbeddingTable, such as matembed.load('elements'), got {got}"
        raise TypeError(msg)
    for name in ("width", "n_layers", "n_heads"):
        check_count(name, getattr(estimator, name))
    for name in ("train_vectors", "statistics"):
        if not isinstance(getattr(estimator, name), bool):
            msg = f"{name} must be true or false, got {getattr(estimator, name)!r}"
            raise ValueError(msg)
    if estimator.width % estimator.n_heads:
        msg = f"width must be a multiple of n_heads={estimator.n_heads}, got {estimator.width}"
        raise ValueError(msg)


def _maker(estimator: _Estimator, goal: str) -> "Callable[[], PropertyNetwork]":
    """Return a function that makes a network with fresh weights."""
    import_extra("torch", extra="transformer")
    from matembed.downstream._composition_network import CompositionNetwork
    from matembed.downstream._property_network import PropertyNetwork, property_head

    vectors = element_matrix(estimator.elements)

    def make_network() -> PropertyNetwork:
        body = CompositionNetwork(
            vectors,
            train_vectors=estimator.train_vectors,
            statistics=estimator.statistics,
            width=estimator.width,
            n_layers=estimator.n_layers,
            n_heads=estimator.n_heads,
            dropout=estimator.dropout,
        )
        return PropertyNetwork(body, property_head(body.width, estimator.width, goal, estimator.dropout), goal)

    return make_network
