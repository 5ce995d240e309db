"""Which model polyhedron a coordination shell resembles most, by continuous symmetry measure."""

from functools import lru_cache
from importlib.resources import files
from itertools import permutations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LARGEST_CN",
    "LARGEST_ENUMERATED_CN",
    "MOST_MODELS",
    "ModelGeometries",
    "all_fits",
    "centre_and_scale",
    "model_geometries",
    "nearest_geometry",
    "overlap",
    "symmetry_measures",
]

# The largest coordination number that has a model; larger shells have no geometry and no motif.
LARGEST_CN = 20
# Up to here all orderings of the ligands are tried; beyond, 7! = 5040 and more, starts are refined.
LARGEST_ENUMERATED_CN = 6
# The most models of one coordination number.
MOST_MODELS = 11
_N_ROTATIONS = 3000
# A model must be nearer than those before it by more than rounding errors, in overlap.
_TIE = 1e-13


class ModelGeometries(NamedTuple):
    """ChemEnv's active model polyhedra, sorted by coordination number.

    Attributes
    ----------
    symbols : tuple of str, length n_models
        Such as ``"O:6"``.
    cn_starts : int array, shape (LARGEST_CN + 2,)
        Models of coordination number cn are those from ``cn_starts[cn]`` to ``cn_starts[cn + 1]``.
    points : float array, shape (n_models, 1 + LARGEST_CN, 3)
        The centre, the vertices, and zeros; centred on their mean, squares summing to 1.
    orderings : int array, shape (n_orderings, LARGEST_ENUMERATED_CN)
        The ligand on each vertex, for small models: all that symmetry does not make equal, one after another.
    ordering_starts : int array, shape (n_models + 1,)
        Where the orderings of each model start.
    seeds : int array, shape (n_seeds, 3)
        For large models: ordered pairs of vertices that symmetry does not make equal, and whether right and left
        hand differ (2) or not (1).
    seed_starts : int array, shape (n_models + 1,)
        Where the seeds of each model start.
    separations : float array, shape (n_models, n_models)
        For large models of one coordination number: distance at the best rotation and ordering. On the diagonal,
        to the model itself in the best wrong ordering.
    profiles : float array, shape (n_models, LARGEST_CN, LARGEST_CN + 2)
        Of each vertex of a large model: scalar products with itself, with the centre, and with all vertices in
        ascending order, of which cn are used.
    spectral_norms : float array, shape (n_models,)
        Largest singular values of the points.
    """

    symbols: tuple[str, ...]
    cn_starts: NDArray[np.int64]
    points: NDArray[np.float64]
    orderings: NDArray[np.int64]
    ordering_starts: NDArray[np.int64]
    seeds: NDArray[np.int64]
    seed_starts: NDArray[np.int64]
    separations: NDArray[np.float64]
    profiles: NDArray[np.float64]
    spectral_norms: NDArray[np.float64]


@lru_cache(maxsize=1)
def model_geometries() -> ModelGeometries:
    """Load the model polyhedra.

    Returns
    -------
    ModelGeometries
        Of pymatgen's ``AllCoordinationGeometries``, as ``make_model_geometries.py`` wrote them.

    Examples
    --------
    >>> models = model_geometries()
    >>> models.symbols[models.cn_starts[6] : models.cn_starts[7]]
    ('O:6', 'T:6', 'PP:6')
    """
    with (files("matembed.motifs") / "model_geometries.npz").open("rb") as file, np.load(file) as stored:
        tables = {name: stored[name] for name in stored.files}
    points = tables["points"]
    profiles = np.zeros((len(points), LARGEST_CN, LARGEST_CN + 2))
    for row, cn in enumerate(tables["cns"]):
        profiles[row, :cn, : cn + 2] = _profiles(points[row, : cn + 1])
    return ModelGeometries(
        symbols=tuple(tables["symbols"].tolist()),
        cn_starts=np.searchsorted(tables["cns"], np.arange(LARGEST_CN + 2)).astype(np.int64),
        points=points,
        orderings=np.ascontiguousarray(tables["orderings"], dtype=np.int64),
        ordering_starts=tables["ordering_starts"].astype(np.int64),
        seeds=np.ascontiguousarray(tables["seeds"], dtype=np.int64),
        seed_starts=tables["seed_starts"].astype(np.int64),
        separations=tables["separations"],
        profiles=profiles,
        spectral_norms=np.linalg.norm(points, ord=2, axis=(1, 2)),
    )


def _profiles(points: NDArray[np.float64]) -> NDArray[np.float64]:
    gram = points @ points.T
    ligands = gram[1:, 1:]
    return np.column_stack([np.diag(ligands), gram[1:, 0], np.sort(ligands, axis=1)])


def centre_and_scale(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move points to their mean, and scale them to unit norm.

    Parameters
    ----------
    points : float array, shape (n_points, 3)
        The centre and its ligands.

    Returns
    -------
    float array, shape (n_points, 3)
        Zero mean; squares sum to 1.
    """
    centred = points - points.mean(axis=0)
    return centred / np.linalg.norm(centred)


def overlap(points: NDArray[np.float64], model: NDArray[np.float64]) -> float:
    """Measure how well points fit on those of a model, row by row, by the best rotation or reflection.

    Parameters
    ----------
    points, model : float array, shape (n_points, 3)
        Centred, of unit norm.

    Returns
    -------
    float
        n, the sum of singular values of ``points.T @ model``, from 0 to 1. At the best scale as well, the continuous
        symmetry measure [1]_ is ``100 * (1 - n**2)``.

    References
    ----------
    .. [1] M. Pinsky and D. Avnir, Inorg. Chem. 37, 5575 (1998).
    """
    return float(np.linalg.svd(points.T @ model, compute_uv=False).sum())


def all_fits(
    points: NDArray[np.float64], model: NDArray[np.float64], *, n_rotations: int = _N_ROTATIONS
) -> NDArray[np.float64]:
    """Fit points on a model from many starts, whatever their order.

    From each of many random rotations and reflections, the best assignment of points to vertices and the best
    rotation for the assignment are found in turns until neither changes.

    Parameters
    ----------
    points, model : float array, shape (1 + cn, 3)
        The centre, which stays the first, and ligands or vertices; centred, of unit norm.
    n_rotations : int
        Starts; the same each time.

    Returns
    -------
    float array, shape (n_ends,)
        The overlaps that they end with; the largest is the answer sought.
    """
    rotations, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n_rotations, 3, 3)))
    rotations[::2] *= -1  # QR of a 3x3 matrix always makes rotations
    orderings = _assigned(points, model, rotations)
    while True:
        left, singular_values, right = np.linalg.svd(np.einsum("vi,ovj->oij", model, points[orderings]))
        following = _assigned(points, model, left @ right)
        if np.array_equal(following, orderings):
            return singular_values.sum(axis=1)
        orderings = following


def _assigned(
    points: NDArray[np.float64], model: NDArray[np.float64], rotations: NDArray[np.float64]
) -> NDArray[np.intp]:
    """List the orderings, the centre first, that fit best on the model turned in any of many ways."""
    from scipy.optimize import linear_sum_assignment

    scores = model[1:] @ rotations @ points[1:].T
    orderings = {(0, *(linear_sum_assignment(score, maximize=True)[1] + 1).tolist()) for score in scores}
    return np.array(sorted(orderings), dtype=np.intp)


def _best_overlap(points: NDArray[np.float64], model: NDArray[np.float64]) -> float:
    if len(points) - 1 > LARGEST_ENUMERATED_CN:
        return float(all_fits(points, model).max())
    orderings = np.array([(0, *ordering) for ordering in permutations(range(1, len(points)))])
    products = np.einsum("oki,kj->oij", points[orderings], model)
    return float(np.linalg.svd(products, compute_uv=False).sum(axis=1).max())


def nearest_geometry(
    offsets: NDArray[np.float64], *, engine: Literal["numba", "numpy"] = "numba"
) -> tuple[str, float | None]:
    """Name the geometry of a shell: the model with the lowest continuous symmetry measure.

    The measure is ChemEnv's: the centre counts as a point like the ligands, all are placed on their mean, and mirror
    images are equal.

    Parameters
    ----------
    offsets : float array, shape (cn, 3)
        From the centre to each ligand, Cartesian, in any unit; cn from 1 to 20.
    engine : {"numba", "numpy"}
        Compiled, or the readable definition that it is held equal to. Up to six ligands both try all orderings;
        beyond, the definition refines 3,000 random rotations on every model, and the kernels rotations that lay a
        pair of ligands on a pair of vertices, on models that no bound excludes.

    Returns
    -------
    symbol : str
        ChemEnv symbol, or ``"UNKNOWN:n"`` where no model has n vertices.
    csm : float or None
        Continuous symmetry measure, from 0 (ideal) to 100.

    Examples
    --------
    >>> square = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    >>> symbol, csm = nearest_geometry(2.04 * square)
    >>> symbol, round(abs(csm), 6)
    ('S:4', 0.0)
    """
    cn = len(offsets)
    if engine == "numba":
        from matembed.motifs._numba import find_nearest

        models = model_geometries()
        model, csm = find_nearest(np.array(offsets, dtype=np.float64, order="C"), models[1:])
        return (f"UNKNOWN:{cn}", None) if model < 0 else (models.symbols[model], float(csm))
    best, nearest = 0.0, None
    for symbol, found in _overlaps(offsets).items():
        if found > best + _TIE:
            best, nearest = found, symbol
    if nearest is None:
        return f"UNKNOWN:{cn}", None
    return nearest, max(0.0, 100 * (1 - best**2))


def _overlaps(offsets: NDArray[np.float64]) -> dict[str, float]:
    models, cn = model_geometries(), len(offsets)
    points = centre_and_scale(np.vstack([np.zeros(3), offsets]))
    rows = range(models.cn_starts[cn], models.cn_starts[cn + 1])
    return {models.symbols[row]: _best_overlap(points, models.points[row, : cn + 1]) for row in rows}


def symmetry_measures(offsets: NDArray[np.float64], *, engine: Literal["numba", "numpy"] = "numba") -> dict[str, float]:
    """Measure how far a shell is from every model of its coordination number.

    Parameters
    ----------
    offsets : float array, shape (cn, 3)
        From the centre to each ligand, Cartesian, in any unit; cn from 1 to 20.
    engine : {"numba", "numpy"}
        As in `nearest_geometry`.

    Returns
    -------
    dict of str to float
        Continuous symmetry measure, from 0 (ideal) to 100, by ChemEnv symbol; empty where no model has cn vertices.

    Examples
    --------
    >>> square = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    >>> {symbol: round(abs(csm), 3) for symbol, csm in symmetry_measures(square).items()}
    {'T:4': 33.333, 'S:4': 0.0, 'SY:4': 3.226, 'SS:4': 8.367}
    """
    if engine == "numpy":
        return {symbol: max(0.0, 100 * (1 - found**2)) for symbol, found in _overlaps(offsets).items()}
    from matembed.motifs._numba import measure_all

    models, cn = model_geometries(), len(offsets)
    csms = measure_all(np.array(offsets, dtype=np.float64, order="C"), models[1:])
    return dict(zip(models.symbols[models.cn_starts[cn] : models.cn_starts[cn + 1]], csms.tolist(), strict=True))
