"""Bond networks: a crystal as masses and springs -> estimates of its vibrations and elastic moduli.

Every site is a centre and each of its bonds a spring, so that the crystal has a dynamical matrix D(q) [1]_ and, once
its atoms have relaxed, elastic constants. A spring resists stretching with k, and any displacement across it with
k / 10 (Born's transverse springs), which keeps networks of few bonds from being floppy; as these resist a rotation too,
they are no model of angles, and moduli are rough. Nothing is fitted; three textbook rules say what k is, in mdyn/Å
(100 N/m), for a bond of length d, radii r = r1 + r2 and Pauling's electronegativities chi:

======== ======================================================================================================
rule     k
======== ======================================================================================================
cube     10 / d^3, the fall with length that Badger found for bonds of one kind [2]_
relative (r / d)^6
gordy    1.67 n (chi1 chi2 / d^2)^(3/4), Gordy's rule without its constant [3]_, n = exp((r - d) / 0.31 Å)
         the bond order after Pauling [4]_
======== ======================================================================================================

Frequencies are in 1/cm, moduli in log10 of GPa. Their size is rough; how they change from crystal to crystal is what a
model learns from. They are taken in the primitive cell at the eight points q whose components are 0 or 1/2, which are
the same points for every choice of that cell.

References
----------
.. [1] M. Born, K. Huang, Dynamical Theory of Crystal Lattices (Clarendon, 1954).
.. [2] R. M. Badger, J. Chem. Phys. 2, 128 (1934).
.. [3] W. Gordy, J. Chem. Phys. 14, 305 (1946).
.. [4] L. Pauling, J. Am. Chem. Soc. 69, 542 (1947).
"""

import math
from itertools import product
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin

from matembed.downstream.materials import Column, as_list
from matembed.downstream.motif_batch import Floats, Integers, element_properties
from matembed.motifs import Crystal, MotifArrays, MotifError
from matembed.motifs.bonds import shell_bonds
from matembed.motifs.orbits import find_primitive

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["BondNetworkFeaturizer"]

_BENDING = 0.1  # of the stiffness along a bond
_POINTS = np.array(list(product((0, 1), repeat=3)))  # q, in halves of reciprocal lattice vectors
_WAVENUMBER = 1302.79  # 1/cm of a frequency sqrt(k / m), with k in mdyn/Å and m in u
_GPA = 1000.0  # GPa of mdyn/Å^2
_LEAST_MODULUS = 1e-3  # mdyn/Å^2, 1 GPa; moduli below are given as this
# mdyn/Å^2; what a crystal resists a strain with that stretches no bond, in any direction alike, in Voigt's order
_SOFTEST = 1e-6 * np.diag([1, 1, 1, 0.5, 0.5, 0.5])
_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # Voigt's order
_RULES = ("cube", "relative", "gordy")
_NUMBERS = (
    "max frequency",
    "max frequency at gamma",
    "mean max frequency",
    "mean frequency",
    "std frequency",
    "upper quartile frequency",
    "max site frequency",
    "min site frequency",
    "lightest site frequency",
    "log bulk modulus without relaxation",
    "log bulk modulus",
    "log shear modulus",
)


class BondNetworkFeaturizer(TransformerMixin, BaseEstimator):
    """Describe crystals by the vibrations and elastic moduli of springs along their bonds.

    Nothing is learned: a row depends on its crystal alone, and not on the choice of its cell, the order of its sites
    or its orientation. Bonds are those of motifs around every site (``valences="none"``), each counted once.

    Parameters
    ----------
    bending : float, default 0.1
        Stiffness of a spring across its bond, in units of that along it.

    See Also
    --------
    matembed.StructureFeaturizer : Motifs, bond lengths and the physics of single bonds.

    Notes
    -----
    "max frequency" is the largest over all points q and branches, "mean max" the mean over q of the largest branch. A
    site frequency is that of an atom which moves while all others rest. Moduli are the means after Hill of the bounds
    of Voigt and Reuss; at least 1 GPa. A primitive cell of n sites takes the time of some 30 eigenvalue problems of
    size 3n: milliseconds for ten sites, seconds for 200.

    Columns are smooth while the primitive cell stays the same. A displacement that makes it larger, however slight,
    moves the points q, and with them what is taken over these.

    Examples
    --------
    >>> diamond = Crystal([[0, 1.78, 1.78], [1.78, 0, 1.78], [1.78, 1.78, 0]], [[0, 0, 0], [0.25] * 3], [6, 6])
    >>> featurizer = BondNetworkFeaturizer().fit()
    >>> row = featurizer.transform([diamond])[0]
    >>> featurizer.get_feature_names_out()[24], int(row[24])  # the measured one is 1332
    ('bond_network: max frequency by gordy', 1111)
    """

    def __init__(self, *, bending: float = _BENDING) -> None:
        self.bending = bending

    def fit(self, X: "Column | None" = None, y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Check the setting.

        Parameters
        ----------
        X : sequence of structures, optional
            Not looked into; `transform` reads structures.
        y : object, optional
            Ignored.

        Returns
        -------
        BondNetworkFeaturizer
            This transformer.

        Raises
        ------
        ValueError
            If `bending` is not between 0 and 1.
        """
        if not isinstance(self.bending, Real) or not 0 <= self.bending <= 1:
            msg = f"bending must be between 0 and 1, got {self.bending!r}"
            raise ValueError(msg)
        self.n_features_out_ = len(_RULES) * len(_NUMBERS)
        return self

    def transform(self, X: "Column") -> NDArray[np.float64]:
        """Make the network of each structure and describe it.

        Parameters
        ----------
        X : sequence of Structure, Crystal or MotifArrays, length n_structures
            Crystals; of arrays only their crystal is looked at.

        Returns
        -------
        float64 array, shape (n_structures, 36)
            One row a structure; finite.

        Raises
        ------
        TypeError
            If `X` is no column, or an entry has no coordinates.
        MotifError
            If an entry is no crystal; the message begins with its position, counted from 0.
        """
        rows = [self._row(entry, position) for position, entry in enumerate(as_list(X, "structures"))]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(_RULES) * len(_NUMBERS))

    def _row(self, entry: Any, position: int) -> list[float]:
        try:
            if isinstance(entry, MotifArrays):
                entry = entry.crystal
            crystal = entry if isinstance(entry, Crystal) else Crystal.from_structure(entry)
            network = _find_network(crystal)
        except (MotifError, TypeError) as error:
            msg = f"structure at position {position}: {error}"
            raise type(error)(msg) from error
        return [number for stiffness in _stiffnesses(network) for number in _numbers(network, stiffness, self.bending)]

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Name the columns.

        Parameters
        ----------
        input_features : object, optional
            Ignored.

        Returns
        -------
        object array of str, shape (36,)
            ``"bond_network: {number} by {rule}"``.
        """
        return np.array([f"bond_network: {number} by {rule}" for rule in _RULES for number in _NUMBERS], dtype=object)

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.requires_fit = False
        return tags


class _Network(NamedTuple):
    """Bonds of a primitive cell, each from both of its ends."""

    numbers: Integers
    volume: float
    near: Integers
    far: Integers
    images: Integers
    lengths: Floats
    directions: Floats


def _find_network(crystal: Crystal) -> _Network:
    cell = find_primitive(crystal.lattice, crystal.frac_coords, crystal.numbers.tolist())
    primitive = Crystal(cell.lattice, cell.frac_coords, crystal.numbers[cell.chosen_idx])
    listed = shell_bonds(primitive)
    near, far, images = listed[:, 0], listed[:, 1], listed[:, 2:]
    there, back = np.column_stack([near, far, images]), np.column_stack([far, near, -images])
    bonds = np.unique(np.concatenate([there, back]), axis=0)
    near, far, images = bonds[:, 0], bonds[:, 1], bonds[:, 2:]
    offsets = (primitive.frac_coords[far] + images - primitive.frac_coords[near]) @ primitive.lattice
    lengths = np.linalg.norm(offsets, axis=1)
    return _Network(primitive.numbers, primitive.volume, near, far, images, lengths, offsets / lengths[:, None])


def _stiffnesses(network: _Network) -> list[Floats]:
    """Stiffness of every bond against stretching by each rule, in mdyn/Å."""
    elements, d = element_properties(), network.lengths
    one, other = network.numbers[network.near], network.numbers[network.far]
    radii = elements.radius[one] + elements.radius[other]
    chi = elements.electronegativity[one] * elements.electronegativity[other]
    order = np.exp((radii - d) / 0.31)
    return [10 / d**3, (radii / d) ** 6, 1.67 * order * (chi / d**2) ** 0.75]


def _numbers(network: _Network, stiffness: Floats, bending: float) -> list[float]:
    """Compute what `_NUMBERS` names."""
    along = network.directions[:, :, None] * network.directions[:, None, :]
    springs = stiffness[:, None, None] * ((1 - bending) * along + bending * np.eye(3))
    mass = element_properties().mass[network.numbers]
    matrices = _force_constants(network, springs)
    weight = np.repeat(1 / np.sqrt(mass), 3)
    squares = np.linalg.eigvalsh(matrices * weight[:, None] * weight)
    frequencies = _WAVENUMBER * np.sqrt(np.maximum(squares, 0))
    on_site = np.bincount(network.near, weights=np.trace(springs, axis1=1, axis2=2), minlength=len(mass)) / 3
    sites = _WAVENUMBER * np.sqrt(on_site / mass)
    return [
        float(frequencies.max()),
        float(frequencies[0].max()),
        float(frequencies.max(axis=1).mean()),
        float(frequencies.mean()),
        float(frequencies.std()),
        float(np.quantile(frequencies, 0.75)),
        float(sites.max()),
        float(sites.min()),
        float(sites[mass == mass.min()].max()),
        *_moduli(network, springs, matrices[0]),
    ]


def _force_constants(network: _Network, springs: Floats) -> Floats:
    """Second derivatives of the energy by displacements at each point q, shape (8, 3 n_sites, 3 n_sites)."""
    n_sites, n_bonds = len(network.numbers), len(network.near)
    phases = 1 - 2 * (network.images @ _POINTS.T % 2)  # exp(2 pi i q . image), which is 1 or -1
    values = np.concatenate([-phases[:, :, None, None] * springs[:, None], np.repeat(springs[:, None], 8, axis=1)])
    pair = np.concatenate([network.near * n_sites + network.far, network.near * (n_sites + 1)])
    summed = csr_array((np.ones(2 * n_bonds), (pair, np.arange(2 * n_bonds))), shape=(n_sites**2, 2 * n_bonds))
    blocks = (summed @ values.reshape(2 * n_bonds, -1)).reshape(n_sites, n_sites, 8, 3, 3)
    return np.asarray(blocks.transpose(2, 0, 3, 1, 4).reshape(8, 3 * n_sites, 3 * n_sites))


def _moduli(network: _Network, springs: Floats, matrix: Floats) -> tuple[float, float, float]:
    """Bulk modulus with atoms that follow the strain, then bulk and shear modulus with atoms that relax."""
    offsets = network.directions * network.lengths[:, None]
    stretches = np.zeros((len(offsets), 3, 6))  # how an offset changes with each strain
    for column, (a, b) in enumerate(_PAIRS):
        stretches[:, a, column] += offsets[:, b] / (1 if a == b else 2)
        if a != b:
            stretches[:, b, column] += offsets[:, a] / 2
    pulls = springs @ stretches
    affine = np.einsum("bic,bid->cd", stretches, pulls) / 2  # each bond was counted from both ends
    forces = np.zeros((len(network.numbers), 3, 6))
    np.add.at(forces, network.near, -pulls)
    flat = forces.reshape(-1, 6)
    relaxed = affine - flat.T @ np.linalg.pinv(matrix, rcond=1e-8, hermitian=True) @ flat
    bulk, _ = _hill(affine / network.volume)
    relaxed_bulk, relaxed_shear = _hill(relaxed / network.volume)
    return _log(bulk), _log(relaxed_bulk), _log(relaxed_shear)


def _hill(stiffness: Floats) -> tuple[float, float]:
    """Bulk and shear modulus of a polycrystal: means of the bounds of Voigt and Reuss."""
    compliance = np.linalg.inv(stiffness + _SOFTEST)  # without stiffness in a direction, Reuss gives none
    diagonal, across, angles = _invariants(stiffness)
    bulk, shear = (diagonal + 2 * across) / 9, (diagonal - across + 3 * angles) / 15
    diagonal, across, angles = _invariants(compliance)
    bulk_reuss, shear_reuss = 1 / (diagonal + 2 * across), 15 / (4 * diagonal - 4 * across + 3 * angles)
    return float((bulk + bulk_reuss) / 2), float((shear + shear_reuss) / 2)


def _invariants(matrix: NDArray[Any]) -> tuple[float, float, float]:
    """Sum the diagonal of normal strains, what couples them, and the diagonal of shear strains."""
    return np.trace(matrix[:3, :3]), matrix[0, 1] + matrix[0, 2] + matrix[1, 2], np.trace(matrix[3:, 3:])


def _log(modulus: float) -> float:
    return math.log10(max(modulus, _LEAST_MODULUS) * _GPA)
