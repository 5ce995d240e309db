"""Writes model_geometries.npz: ChemEnv's model polyhedra, with what their symmetry lets a search leave out.

Run ``python -m matembed.motifs.make_model_geometries`` after pymatgen changes a model; it takes a few minutes.
"""

from itertools import combinations, permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries

from matembed.motifs._numba import largest_overlap
from matembed.motifs.geometry import LARGEST_CN, LARGEST_ENUMERATED_CN, all_fits, centre_and_scale

__all__ = ["automorphisms", "main", "orderings", "pair_seeds", "separation"]

# Coordinates of some models are rounded; Gram matrices of unit trace that differ by less are the same.
_SAME_PLACE = 1e-4
# Two fits are the same where their overlaps, 1 at best, differ by less.
_SAME_FIT = 1e-7
# Between models of up to so many vertices the distance that random starts find is proved; DD:20 is alone of its number.
_LARGEST_PROVED_CN = 13


def automorphisms(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """List the permutations of ligands that some rotation or reflection about the centre undoes.

    Parameters
    ----------
    points : float array, shape (1 + cn, 3)
        The centre, then the ligands.

    Returns
    -------
    int array, shape (n_automorphisms, cn)
        The identity among them.
    """
    gram = points @ points.T
    found: list[list[int]] = [[0]]
    for row in range(1, len(points)):
        found = [
            [*partial, image]
            for partial in found
            for image in range(1, len(points))
            if image not in partial
            and np.allclose(gram[row, : row + 1], gram[image, [*partial, image]], rtol=0, atol=_SAME_PLACE)
        ]
    return np.array(found, dtype=np.intp)[:, 1:] - 1


def orderings(group: NDArray[np.intp]) -> NDArray[np.intp]:
    """List the ways to put ligands on the vertices of a model that its symmetry does not make equal.

    Parameters
    ----------
    group : int array, shape (n_automorphisms, cn)
        From `automorphisms`.

    Returns
    -------
    int array, shape (cn! / n_automorphisms, cn)
        The ligand on each vertex.
    """
    distinct = [
        ligands
        for ligands in permutations(range(group.shape[1]))
        if all(ligands <= tuple(ligands[vertex] for vertex in automorphism) for automorphism in group.tolist())
    ]
    return np.array(distinct, dtype=np.intp)


def pair_seeds(group: NDArray[np.intp]) -> NDArray[np.intp]:
    """List the ordered pairs of vertices that symmetry does not make equal.

    Parameters
    ----------
    group : int array, shape (n_automorphisms, cn)
        From `automorphisms`.

    Returns
    -------
    int array, shape (n_pairs, 3)
        Two vertices; then 1 if a mirror plane holds both, 2 if right and left hand have to be tried.
    """
    cn = group.shape[1]
    seeds = []
    for first, second in permutations(range(cn), 2):
        images = group[:, [first, second]]
        if (first, second) == min(map(tuple, images.tolist())):
            n_stabilizers = int((images == (first, second)).all(axis=1).sum())
            seeds.append((first, second, 1 if n_stabilizers > 1 else 2))
    return np.array(seeds, dtype=np.intp)


def separation(first: NDArray[np.float64], second: NDArray[np.float64], *, n_rotations: int = 30_000) -> float:
    """Measure how far apart two models are, or a model and the worst mistake in ordering its own vertices.

    Parameters
    ----------
    first, second : float array, shape (1 + cn, 3)
        Centred, of unit norm; equal to ask for the second best fit of a model to itself.
    n_rotations : int
        Random starts.

    Returns
    -------
    float
        ``|first - second|`` at the best rotation and ordering; for equal models at the best ordering that is no
        automorphism.
    """
    overlaps = all_fits(first, second, n_rotations=n_rotations)
    if first is second:
        cn = len(first) - 1
        mistakes = [_cycled(cn, *swap) for size in (2, 3) for swap in combinations(range(cn), size)]
        mistakes += [_cycled(cn, *swap[:1], *swap[:0:-1]) for swap in combinations(range(cn), 3)]
        mistakes += [a[b] for a, b in combinations([_cycled(cn, *swap) for swap in combinations(range(cn), 2)], 2)]
        rows = np.concatenate([np.zeros((len(mistakes), 1), dtype=np.intp), np.array(mistakes) + 1], axis=1)
        products = np.einsum("pki,kj->pij", first[rows], first)
        overlaps = np.concatenate([overlaps, np.linalg.svd(products, compute_uv=False).sum(axis=1)])
        overlaps = overlaps[overlaps < 1 - _SAME_FIT]
    return float(np.sqrt(2 - 2 * overlaps.max()))


def _cycled(cn: int, *vertices: int) -> NDArray[np.intp]:
    ordering = np.arange(cn)
    ordering[list(vertices)] = np.roll(vertices, 1)
    return ordering


def main() -> None:
    """Write the tables beside this module."""
    every = AllCoordinationGeometries()
    models = [model for cn in range(1, LARGEST_CN + 1) for model in every.get_implemented_geometries(cn)]
    points = np.zeros((len(models), 1 + LARGEST_CN, 3))
    separations = np.zeros((len(models), len(models)))
    all_orderings, n_orderings, all_seeds, n_seeds = [], [0], [], [0]
    for row, model in enumerate(models):
        cn = len(model.points)
        points[row, : cn + 1] = centre_and_scale(np.array([model.get_central_site(), *model.points], dtype=float))
        group = automorphisms(points[row, : cn + 1])
        if cn <= LARGEST_ENUMERATED_CN:
            listed = orderings(group)
            all_orderings.append(np.pad(listed, ((0, 0), (0, LARGEST_ENUMERATED_CN - cn))))
            n_orderings.append(n_orderings[-1] + len(listed))
            continue
        listed = pair_seeds(group)
        all_seeds.append(listed)
        n_seeds.append(n_seeds[-1] + len(listed))
        for other in range(row + 1):
            if len(models[other].points) == cn:
                first = points[row, : cn + 1]
                second = first if other == row else points[other, : cn + 1]
                apart = separation(first, second)
                if other != row and cn <= _LARGEST_PROVED_CN:
                    nearer = largest_overlap(first, second, 1 - apart**2 / 2)
                    apart = float(np.sqrt(2 - 2 * nearer)) if nearer > 0 else apart
                separations[row, other] = separations[other, row] = apart
    n_enumerated = len(n_orderings) - 1
    np.savez_compressed(
        Path(__file__).with_name("model_geometries.npz"),
        symbols=np.array([model.mp_symbol for model in models]),
        cns=np.array([len(model.points) for model in models]),
        points=points,
        orderings=np.concatenate(all_orderings),
        ordering_starts=np.array(n_orderings + n_orderings[-1:] * (len(models) - n_enumerated)),
        seeds=np.concatenate(all_seeds),
        seed_starts=np.array([0] * n_enumerated + n_seeds),
        separations=separations,
    )


if __name__ == "__main__":
    main()
