"""AtomMotifRegressor and AtomMotifClassifier: properties of crystals from the dual graph of atoms and motifs."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from pymatgen.core.structure import IStructure

from matembed._optional import import_extra
from matembed.downstream._network_estimators import Device, Loss, NetworkClassifier, NetworkRegressor
from matembed.downstream.materials import Column, as_list
from matembed.embeddings import EmbeddingTable
from matembed.encoders._training import check_count
from matembed.graphs.atom_motif import RULES, AtomMotifGraph, AtomMotifGraphs
from matembed.graphs.building import Method, atom_motif_graphs
from matembed.motifs import Crystal

if TYPE_CHECKING:
    from matembed.downstream._property_network import PropertyNetwork
    from matembed.graphs._network import AtomMotifNetwork

__all__ = ["AtomMotifClassifier", "AtomMotifRegressor"]

Branches = Literal["both", "atoms"]
Coupling = Literal["layers", "readout"]
AtomLayers = Literal["invariant", "equivariant"]
Crystals: TypeAlias = "AtomMotifGraphs | Column"


class _OfGraphs:
    """What regressor and classifier have in common: how they are checked, what they read, and their network."""

    bonds: Method
    atom_layers: AtomLayers
    _rules: Mapping[str, str]

    def _check(self) -> None:
        check_network(self)

    def _read_training(self, X: Crystals) -> AtomMotifGraphs:
        graphs = read_graphs(X, self.bonds, self.atom_layers, {})
        self._rules = rules_of(X, self.bonds)
        return graphs

    def _read(self, X: Crystals) -> AtomMotifGraphs:
        return read_graphs(X, self.bonds, self.atom_layers, self._rules)

    def _maker(self, goal: str) -> "Callable[[], PropertyNetwork]":
        import_network(self.atom_layers)
        from matembed.downstream._property_network import PropertyNetwork, property_head

        settings: Any = self

        def make_network() -> PropertyNetwork:
            body = make_body(settings, self.atom_layers)
            return PropertyNetwork(body, property_head(body.width, 2 * settings.width, goal, settings.dropout), goal)

        return make_network


class AtomMotifRegressor(_OfGraphs, NetworkRegressor):
    """Predict a number of crystals, and how sure that is, from the dual graph of atoms and motifs [1]_.

    Atoms hear the atoms that they are bonded to, and motifs those that they share ligands with, through gated
    convolutions [2]_; after each layer a motif hears its centre and its ligands, and an atom the motifs it is in. A
    head reads the mean, the greatest and an attended mean of both, and tells a location and a width. How it learns, and
    what is kept aside for early stopping, is as in `matembed.TransformerRegressor`.

    Materials are an `AtomMotifGraphs`, or a sequence of pymatgen Structures or `Crystal`, or of `AtomMotifGraph`;
    graphs that are predicted on are made with the `bonds` and `strategy` of those learned from. All runs in one thread.

    The network knows elements, oxidation states, bond lengths, geometries and csm, how motifs share ligands, how far
    apart they are and at what angle. Turning, reflecting or repeating a crystal, or numbering its atoms otherwise,
    changes nothing.

    Parameters
    ----------
    branches : {"both", "atoms"}
        Atoms and motifs, or the atoms alone.
    motif_labels : bool, default True
        Tell the shapes of motifs: their csm against every model of their coordination number; and their tokens, if
        `motifs` is given. If false, a motif is known by its atoms and connections alone: the control that shows what
        labels are worth.
    connections : bool, default True
        Let motifs hear those that they share ligands with.
    coupling : {"layers", "readout"}
        Where atoms and motifs meet: after every layer, or in the head alone.
    atom_layers : {"invariant", "equivariant"}
        Whether atoms have scalars alone, or vectors and tensors too, which turn with the crystal [3]_ and tell in what
        directions neighbours are. The latter takes some ten times as long, needs e3nn, and graphs with
        ``merge=False``.
    elements : EmbeddingTable, optional
        Vectors of elements, of which a linear map is added to what is learned of each. Elements that the training
        materials lack are then known by their vectors.
    motifs : EmbeddingTable, optional
        The same for motifs; those that it lacks get vectors from their parts, as by `matembed.back_off`.
    width : int, default 64
        Numbers in the state of an atom or motif.
    n_layers : int, default 3
        Layers.
    dropout : float, default 0.1
        Share of numbers set to zero in training.
    bonds : {"shells", "crystalnn"}
        Where `X` holds structures: as in `atom_motif_graphs`.
    loss : {"laplace", "gaussian"}
        As in `TransformerRegressor`, and so are those that follow.
    n_members : int, default 1
        Networks whose mean is predicted.
    max_epochs : int, default 60
        Most passes over the materials.
    patience : int, default 20
        Passes without a better prediction of what is kept aside, after which training ends.
    validation_fraction : float, default 0.1
        Share of the training materials that is kept aside, all polymorphs of a formula together.
    batch_size : int, default 64
        Crystals in a step.
    learning_rate : float, default 0.003
        At its highest.
    head_learning_rate : float, default 0.003
        The same, of the head.
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
    history_ : list of list of dict
        For each member and epoch, as in `TransformerRegressor`.

    See Also
    --------
    matembed.graphs.atom_motif_graphs : Makes graphs once, for many fits.

    Notes
    -----
    Not as in ref. [1]_: states of motifs are learned from ChemEnv geometries and csm against every model of their
    coordination number, not from order parameters; connections tell sharing, length and angle; branches meet in every
    layer; atoms know their oxidation states.

    References
    ----------
    .. [1] H. R. Banjade et al., Sci. Adv. 7, eabf1754 (2021).
    .. [2] T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018).
    .. [3] M. Geiger and T. Smidt, arXiv:2207.09453 (2022).

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> lengths = {"NaF": 4.63, "NaCl": 5.64, "KF": 5.34, "KCl": 6.29, "RbF": 5.65, "RbCl": 6.58}
    >>> salts = [
    ...     Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [name.rstrip("FCl"), name.lstrip("NaKRb")], sites)
    ...     for sites in [[[0, 0, 0], [0.5, 0.5, 0.5]]]
    ...     for name, a in lengths.items()
    ... ]
    >>> model = AtomMotifRegressor(width=16, n_layers=1, max_epochs=5).fit(salts, list(lengths.values()))
    >>> predicted, std = model.predict(salts[:2], return_std=True)
    >>> predicted.shape, bool((std > 0).all())
    ((2,), True)
    """

    def __init__(
        self,
        *,
        branches: Branches = "both",
        motif_labels: bool = True,
        connections: bool = True,
        coupling: Coupling = "layers",
        atom_layers: AtomLayers = "invariant",
        elements: EmbeddingTable | None = None,
        motifs: EmbeddingTable | None = None,
        width: int = 64,
        n_layers: int = 3,
        dropout: float = 0.1,
        bonds: Method = "shells",
        loss: Loss = "laplace",
        n_members: int = 1,
        max_epochs: int = 60,
        patience: int = 20,
        validation_fraction: float = 0.1,
        batch_size: int = 64,
        learning_rate: float = 0.003,
        head_learning_rate: float = 0.003,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.branches = branches
        self.motif_labels = motif_labels
        self.connections = connections
        self.coupling = coupling
        self.atom_layers = atom_layers
        self.elements = elements
        self.motifs = motifs
        self.width = width
        self.n_layers = n_layers
        self.dropout = dropout
        self.bonds = bonds
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


class AtomMotifClassifier(_OfGraphs, NetworkClassifier):
    """Tell two classes of crystals apart from the dual graph of atoms and motifs.

    As `AtomMotifRegressor`, with the same materials, but the head tells the logarithm of the odds, and the loss is the
    cross-entropy.

    Parameters
    ----------
    branches : {"both", "atoms"}
        Atoms and motifs, or the atoms alone.
    motif_labels : bool, default True
        Tell the shapes of motifs: their csm against every model of their coordination number; and their tokens, if
        `motifs` is given. If false, a motif is known by its atoms and connections alone: the control that shows what
        labels are worth.
    connections : bool, default True
        Let motifs hear those that they share ligands with.
    coupling : {"layers", "readout"}
        Where atoms and motifs meet: after every layer, or in the head alone.
    atom_layers : {"invariant", "equivariant"}
        Whether atoms have scalars alone, or vectors and tensors too, which turn with the crystal and tell in what
        directions neighbours are. The latter takes some ten times as long, needs e3nn, and graphs with
        ``merge=False``.
    elements : EmbeddingTable, optional
        Vectors of elements, of which a linear map is added to what is learned of each. Elements that the training
        materials lack are then known by their vectors.
    motifs : EmbeddingTable, optional
        The same for motifs; those that it lacks get vectors from their parts, as by `matembed.back_off`.
    width : int, default 64
        Numbers in the state of an atom or motif.
    n_layers : int, default 3
        Layers.
    dropout : float, default 0.1
        Share of numbers set to zero in training.
    bonds : {"shells", "crystalnn"}
        Where `X` holds structures: as in `atom_motif_graphs`.
    n_members : int, default 1
        Networks whose mean is predicted.
    max_epochs : int, default 60
        Most passes over the materials.
    patience : int, default 20
        Passes without a better prediction of what is kept aside, after which training ends.
    validation_fraction : float, default 0.1
        Share of the training materials that is kept aside, all polymorphs of a formula together.
    batch_size : int, default 64
        Crystals in a step.
    learning_rate : float, default 0.003
        At its highest.
    head_learning_rate : float, default 0.003
        The same, of the head.
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
        For each member and epoch, as in `TransformerClassifier`.

    See Also
    --------
    AtomMotifRegressor : The same for numbers; says what is read and how.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> alloy = Structure(Lattice.cubic(2.99), ["Ti", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> model = AtomMotifClassifier(width=16, n_layers=1, max_epochs=2, validation_fraction=0)
    >>> model.fit([salt, alloy], ["insulator", "metal"]).predict_proba([salt]).shape
    (1, 2)
    """

    def __init__(
        self,
        *,
        branches: Branches = "both",
        motif_labels: bool = True,
        connections: bool = True,
        coupling: Coupling = "layers",
        atom_layers: AtomLayers = "invariant",
        elements: EmbeddingTable | None = None,
        motifs: EmbeddingTable | None = None,
        width: int = 64,
        n_layers: int = 3,
        dropout: float = 0.1,
        bonds: Method = "shells",
        n_members: int = 1,
        max_epochs: int = 60,
        patience: int = 20,
        validation_fraction: float = 0.1,
        batch_size: int = 64,
        learning_rate: float = 0.003,
        head_learning_rate: float = 0.003,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.branches = branches
        self.motif_labels = motif_labels
        self.connections = connections
        self.coupling = coupling
        self.atom_layers = atom_layers
        self.elements = elements
        self.motifs = motifs
        self.width = width
        self.n_layers = n_layers
        self.dropout = dropout
        self.bonds = bonds
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


def rules_of(crystals: Crystals, bonds: Method) -> dict[str, str]:
    """Tell by what rules graphs of crystals were made, or will be; those that are not known are left out."""
    if not isinstance(crystals, AtomMotifGraphs):
        listed = as_list(crystals, "crystals")
        made = any(isinstance(one, AtomMotifGraph) for one in listed)  # single graphs do not tell
        return {} if made else {"bonds": bonds, "strategy": "simplest"}
    settings = crystals.card.settings
    return {name: settings[name] for name in RULES if settings.get(name, "given") != "given"}


def read_graphs(
    crystals: Crystals, bonds: Method, atom_layers: AtomLayers, learned: Mapping[str, str]
) -> AtomMotifGraphs:
    """Make graphs of crystals, unless they are; refuse other rules than were learned from, and directions that lack."""
    invariant = atom_layers == "invariant"
    if isinstance(crystals, AtomMotifGraph):
        msg = "wanted graphs of many crystals, got one; pass [graph], or graphs[[3]] of many"
        raise TypeError(msg)
    for name, rule in rules_of(crystals, bonds).items():
        if learned.get(name, rule) != rule:
            got = f"wanted graphs made alike, got {name} {rule} and a model that learned from {name} {learned[name]}"
            msg = f"{got}; make all with one of them: atom_motif_graphs(structures, {name}=...)"
            raise ValueError(msg)
    graphs = (
        crystals if isinstance(crystals, AtomMotifGraphs) else _made(as_list(crystals, "crystals"), bonds, invariant)
    )
    if not len(graphs):
        msg = "wanted one crystal or more, got none; nothing can be learned or told"
        raise ValueError(msg)
    if not invariant and not graphs.has_vectors:
        msg = "an equivariant network reads the directions of bonds, and these graphs are merged; use merge=False"
        raise ValueError(msg)
    return graphs


def _made(listed: list[Any], bonds: Method, merge: bool) -> AtomMotifGraphs:
    if all(isinstance(one, AtomMotifGraph) for one in listed):  # scikit-learn takes rows one by one
        return AtomMotifGraphs.of(listed)
    wrong = next((one for one in listed if not isinstance(one, IStructure | Crystal | AtomMotifGraph)), None)
    if wrong is not None:
        got = f"{type(wrong).__name__} {wrong!r:.60}".replace("\n", " ")
        msg = f"wanted pymatgen Structures or AtomMotifGraphs, got {got}"
        raise TypeError(msg)
    n_graphs = sum(isinstance(one, AtomMotifGraph) for one in listed)
    if n_graphs:
        got = f"both: {len(listed) - n_graphs} Structures and {n_graphs} AtomMotifGraphs"
        msg = f"wanted pymatgen Structures or AtomMotifGraphs, got {got}; make graphs of all with atom_motif_graphs"
        raise TypeError(msg)
    return atom_motif_graphs(listed, bonds=bonds, merge=merge)


def check_network(estimator: Any) -> None:
    """Raise an error if a setting of the network makes no sense."""
    for name in ("width", "n_layers"):
        check_count(name, getattr(estimator, name))
    for name in ("motif_labels", "connections"):
        if not isinstance(getattr(estimator, name), bool):
            msg = f"{name} must be true or false, got {getattr(estimator, name)!r}"
            raise ValueError(msg)
    if not isinstance(estimator.bonds, str) or estimator.bonds not in get_args(Method):
        remedy = "for bonds of your own pass graphs, made by atom_motif_graphs(structures, bonds=...)"
        msg = f"bonds must be one of {', '.join(get_args(Method))}, got {type(estimator.bonds).__name__}; {remedy}"
        raise ValueError(msg)
    for name, known in (("branches", Branches), ("coupling", Coupling), ("atom_layers", AtomLayers)):
        if hasattr(estimator, name) and getattr(estimator, name) not in get_args(known):
            msg = f"{name} must be one of {', '.join(get_args(known))}, got {getattr(estimator, name)!r}"
            raise ValueError(msg)
    for name in ("elements", "motifs"):
        if not isinstance(getattr(estimator, name), EmbeddingTable | None):
            got = f"{type(getattr(estimator, name)).__name__} {getattr(estimator, name)!r:.40}"
            msg = f"{name} must be an EmbeddingTable, such as matembed.load({name!r}), or None; got {got}"
            raise TypeError(msg)
    if estimator.motifs is not None and (estimator.branches == "atoms" or not estimator.motif_labels):
        msg = "motifs is a table of motifs, which branches='atoms' and motif_labels=False do not read; leave it out"
        raise ValueError(msg)


def import_network(atom_layers: AtomLayers) -> None:
    """Import the libraries that a network needs, or name the line that installs them."""
    for library in ("torch", "torch_geometric") + (("e3nn",) if atom_layers == "equivariant" else ()):
        import_extra(library, extra="graph")


def make_body(estimator: Any, atom_layers: AtomLayers) -> "AtomMotifNetwork":
    """Make the network that reads graphs, with fresh weights, from the settings of an estimator."""
    from matembed.graphs._network import AtomMotifNetwork

    return AtomMotifNetwork(
        width=estimator.width,
        n_layers=estimator.n_layers,
        motifs=estimator.branches == "both",
        labels=estimator.motif_labels,
        connections=estimator.connections,
        exchange=estimator.coupling == "layers",
        equivariant=atom_layers == "equivariant",
        element_table=estimator.elements,
        motif_table=estimator.motifs,
        dropout=estimator.dropout,
    )
