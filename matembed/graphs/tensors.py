"""TensorRegressor: symmetric tensors of rank 2, which turn with the crystal."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from matembed.downstream._network_estimators import Device
from matembed.downstream._property_training import ask_members, check_training, train_members
from matembed.embeddings import EmbeddingTable
from matembed.graphs.building import Method
from matembed.graphs.regressor import (
    Branches,
    Coupling,
    Crystals,
    check_network,
    import_network,
    make_body,
    read_graphs,
    rules_of,
)
from matembed.sources import shortened

__all__ = ["TensorRegressor"]

_ASYMMETRY = 1e-6  # of the largest number of a tensor


class TensorRegressor(BaseEstimator):
    """Predict symmetric tensors of rank 2, such as dielectric ones, with an equivariant atom branch.

    A crystal that is turned has its tensor turned, exactly; one that is inverted has the same. The loss is the
    Frobenius norm of what is missed, so no axis is special.

    Parameters
    ----------
    branches, motif_labels, connections, coupling, elements, motifs
        As in `AtomMotifRegressor`. Tensors are read off atoms, so that motifs tell them something only with
        ``coupling="layers"``; ``"readout"`` goes with ``branches="atoms"`` alone, where it changes nothing.
    width : int, default 32
        Scalars in the state of an atom or motif; atoms have half as many vectors and a quarter as many tensors.
    n_layers, dropout, bonds
        As in `AtomMotifRegressor`, and so are all that follow.
    n_members, max_epochs, patience, validation_fraction, batch_size, learning_rate, weight_decay
        Of the training.
    device, seed, progress
        Where and how it runs.

    Attributes
    ----------
    members_ : list of torch.nn.Module, length n_members
        The networks.
    history_ : list of list of dict
        For each member and epoch; errors are mean Frobenius norms of what is missed, in the unit of the target.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> cells = [Structure(Lattice.tetragonal(4, c), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]) for c in (3.9, 4.2)]
    >>> tensors = [np.diag([2.0, 2.0, 2.5]), np.diag([2.0, 2.0, 1.8])]
    >>> model = TensorRegressor(width=8, n_layers=1, max_epochs=2, validation_fraction=0).fit(cells, tensors)
    >>> model.predict(cells).shape
    (2, 3, 3)
    """

    head_learning_rate = 0.003  # which training reads of every estimator; the head here has no weights

    def __init__(
        self,
        *,
        branches: Branches = "both",
        motif_labels: bool = True,
        connections: bool = True,
        coupling: Coupling = "layers",
        elements: EmbeddingTable | None = None,
        motifs: EmbeddingTable | None = None,
        width: int = 32,
        n_layers: int = 3,
        dropout: float = 0.1,
        bonds: Method = "shells",
        n_members: int = 1,
        max_epochs: int = 60,
        patience: int = 20,
        validation_fraction: float = 0.1,
        batch_size: int = 32,
        learning_rate: float = 0.003,
        weight_decay: float = 0.01,
        device: Device = "cpu",
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.branches = branches
        self.motif_labels = motif_labels
        self.connections = connections
        self.coupling = coupling
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
        self.weight_decay = weight_decay
        self.device = device
        self.seed = seed
        self.progress = progress

    def fit(self, X: Crystals, y: ArrayLike) -> Self:
        """Train on crystals.

        Parameters
        ----------
        X : AtomMotifGraphs with directions, or sequence of Structure or Crystal, length n_crystals
            What to learn from.
        y : float array-like, shape (n_crystals, 3, 3)
            Symmetric tensors, Cartesian, along the axes in which lattices are written; in any unit.

        Returns
        -------
        TensorRegressor
            Itself, fitted.

        Raises
        ------
        ImportError
            If PyTorch, PyTorch Geometric or e3nn is not installed.
        ValueError
            If a setting makes no sense, a crystal cannot be read, or targets are no symmetric tensors, one a crystal.
        """
        import_network("equivariant")
        check_training(self)
        check_network(self)
        if self.branches == "both" and self.coupling == "readout":
            why = "coupling='readout' keeps motifs from atoms, which tensors are read off"
            msg = f"{why}; use coupling='layers', or branches='atoms'"
            raise ValueError(msg)
        graphs = read_graphs(X, self.bonds, "equivariant", {})
        tensors = _as_tensors(y, len(graphs))
        missing = np.flatnonzero(~np.isfinite(tensors).all(axis=(1, 2)))
        if len(missing):
            msg = f"tensors must be finite; that at position {missing[0]} is not; leave this crystal out"
            raise ValueError(msg)
        skew = np.abs(tensors - tensors.transpose(0, 2, 1)).max(axis=(1, 2), initial=0)
        wrong = np.flatnonzero(skew > _ASYMMETRY * np.abs(tensors).max(axis=(1, 2), initial=0))
        if len(wrong):
            msg = (
                f"tensors must be symmetric; that at position {wrong[0]} is not; take the mean of it and its transpose"
            )
            raise ValueError(msg)
        if np.ptp(tensors, axis=0).max(initial=0) == 0 and len(tensors) > 1:
            msg = "all tensors are the same, so there is nothing to learn; pass tensors that differ"
            raise ValueError(msg)
        target = np.einsum("nij,kij->nk", tensors, _basis())
        self.members_, self.history_ = train_members(self, self._make_network, graphs, target)
        self._rules = rules_of(X, self.bonds)
        return self

    def score(self, X: Crystals, y: ArrayLike) -> float:
        """Score predictions by minus the mean Frobenius norm of what is missed.

        Parameters
        ----------
        X : AtomMotifGraphs with directions, or sequence of Structure or Crystal, length n_crystals
            Crystals.
        y : float array-like, shape (n_crystals, 3, 3)
            Their tensors.

        Returns
        -------
        float
            In the unit of the target; 0 is perfect.

        Raises
        ------
        ValueError
            If there is not one tensor for each crystal.
        """
        told = np.asarray(self.predict(X))
        return -float(np.linalg.norm(told - _as_tensors(y, len(told)), axis=(1, 2)).mean())

    def _make_network(self) -> Any:
        from matembed.downstream._property_network import PropertyNetwork
        from matembed.graphs._equivariant import TensorReadout

        return PropertyNetwork(TensorReadout(make_body(self, "equivariant"), self.width), _same(), "tensor")

    def predict(
        self, X: Crystals, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the tensors of crystals.

        Parameters
        ----------
        X : AtomMotifGraphs with directions, or sequence of Structure or Crystal, length n_crystals
            Crystals.
        return_std : bool, default False
            Tell the standard deviation over the members too, of which there must be several: what they disagree about.

        Returns
        -------
        float64 array, shape (n_crystals, 3, 3), or two of them
            In the unit of the target: symmetric tensors, means over the members; and the standard deviation of each
            component over the members, which depends on the axes and does not turn with the crystal.

        Raises
        ------
        ValueError
            If a crystal cannot be read, or a standard deviation is asked of one member.
        """
        check_is_fitted(self)
        if return_std and len(self.members_) < 2:
            msg = "the standard deviation is one over members, and there is one; fit with n_members=2 or more"
            raise ValueError(msg)
        told, _ = ask_members(self.members_, read_graphs(X, self.bonds, "equivariant", self._rules), self.device)
        tensors = np.einsum("mnk,kij->mnij", told, _basis())
        return (tensors.mean(axis=0), tensors.std(axis=0)) if return_std else tensors.mean(axis=0)


def _as_tensors(y: ArrayLike, n_crystals: int) -> NDArray[np.float64]:
    """Read one tensor for each crystal."""
    wanted = f"wanted tensors of shape ({n_crystals}, 3, 3), one a crystal"
    try:
        tensors = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{wanted}, got what is no array of numbers: {shortened(error)}"
        raise ValueError(msg) from error
    if tensors.shape != (n_crystals, 3, 3):
        msg = f"{wanted}, got shape {tensors.shape}"
        raise ValueError(msg)
    return tensors


def _same() -> Any:
    """Make a head that changes nothing."""
    from torch import nn

    return nn.Identity()


def _basis() -> NDArray[np.float64]:
    from matembed.graphs._equivariant import symmetric_basis

    return np.asarray(symmetric_basis().double().numpy())
