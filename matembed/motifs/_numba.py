"""Compiled kernels for voronoi.py, geometry.py, shells.py and mixtures.py, held equal to them by tests.

They are in one file since numba compiles a cached function anew when its own file changes, and no other.
"""

import math

import numpy as np

from matembed.motifs._jit import inner, inner_fast, kernel
from matembed.motifs.geometry import LARGEST_CN, LARGEST_ENUMERATED_CN, MOST_MODELS
from matembed.motifs.mixtures import ANGLE_BOUNDS, DISTANCE_BOUNDS, LARGEST_CSM, LARGEST_MIXED_CN
from matembed.motifs.shells import (
    ANGLE_CUTOFF,
    ANGLE_GAP,
    DISTANCE_CUTOFF,
    DISTANCE_GAP,
    MAXIMUM_DISTANCE,
    MINIMUM_ANGLE,
)
from matembed.motifs.voronoi import FARTHEST_CORNER, SHORTER, SMALLEST_FACET

__all__ = [
    "closest_pair",
    "connect_all",
    "find_certified",
    "find_given",
    "find_mixed",
    "find_nearest",
    "find_simplest",
    "largest_overlap",
    "measure_all",
]

# Corners nearer to a cutting plane are on it, and nearer to each other are one, relative to the distance of the plane.
_ON_PLANE = 1e-9
_SAME_CORNER = 1e-7
# A pair of ligands is laid on pairs of vertices whose angle differs by no more than this, in cosine.
_COSINE_TOLERANCE = 0.8
# Refined are seeds that promise an overlap of so much of the best known, and of the best promise on this model up to
# a slack: this, or what the best known overlap lacks to 1. The most promising come first, and once so many have led to
# the same fit the rest are left. On 402 shells of 7 to 13 ligands of real crystals the answers are those of the
# certified search, and on 1,220 of 7 to 20 ligands, two thirds displaced by 0.05 or 0.12 Å, none was missed that
# refining all seeds finds.
_PROMISING = 0.85
_SLACK = 0.02
_ENOUGH = 8
_SAME_PROMISE = 1e-9
# A fit is given up whose overlap, at the best rotation for the first ordering, is below so much of the best known.
_HOPEFUL = 0.95
# Where a floor is given, fits are as hard to find as if one of this share of it were known.
_FROM_FLOOR = 0.96
# A proof is to this in overlap, 1e-4 in csm; the last cubes are so small, in radians, that no vertex moves by more.
_TOLERANCE = 2.5e-7
_SMALLEST_CUBE = 1e-7
# So many orderings are remembered, by their overlap, lest they are refined again.
_N_SEEN = 64
# Two shells are one where their scalar products, of points scaled to unit norm, differ by less, and their overlap is
# above. Coordinates of crystals carry 4 to 6 decimals, so that copies by symmetry differ by 1e-5 or so; an overlap that
# rounding alone explains is looked for no further.
_SAME_PRODUCT = 2e-4
_SAME_SHAPE = 1 - 5e-10
_SAME_EXACTLY = 1 - 1e-12
# A pair at this cosine, 75 degrees, tells rotations apart best.
_BEST_COSINE = 0.26
# Overlaps that differ by less are equal.
_TIE = 1e-13
_ARRIVED = 1e-9
_SAME_ORDERING = 1e-11
# Instead of a floor: only the nearest model is wanted.
_NEAREST = -1.0
# An overlap below this means a csm above the largest that takes part in a mixture.
_FLOOR = math.sqrt(1 - LARGEST_CSM / 100)
# A csm is 0, and its geometry the only one, below this: np.isclose of ChemEnv.
_ZERO = 1e-10
# Neighbours that a set is told apart by: bits of a word, less the sign. Cells of real crystals have half as many.
_N_BITS = 62
_MOST_SETS = 512
_OXYGEN = 8
# Of a site, the likeliest so many are kept; of shells met before, the first.
_MOST_ENVIRONMENTS = 128
_MOST_KNOWN = 128


# Neighbours and Voronoi cells -----------------------------------------------------------------------------------------


@inner
def _copy(source, target):
    """Copy the values of a row to the beginning of another."""
    for idx in range(len(source)):
        target[idx] = source[idx]


@inner
def _determinant(m):
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@inner
def _inverse(m):
    """Columns are cross products of rows, over the determinant."""
    inverse = np.empty((3, 3))
    determinant = _determinant(m)
    for row in range(3):
        one, two = m[(row + 1) % 3], m[(row + 2) % 3]
        for axis in range(3):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            inverse[axis, row] = (one[first] * two[second] - one[second] * two[first]) / determinant
    return inverse


@inner
def _cross_length(u, v):
    x = u[1] * v[2] - u[2] * v[1]
    y = u[2] * v[0] - u[0] * v[2]
    z = u[0] * v[1] - u[1] * v[0]
    return math.sqrt(x * x + y * y + z * z)


@inner
def _reduced(lattice):
    """Shorten the vectors of a lattice as `reduce_lattice` does."""
    cell = lattice.copy()
    shorter = np.empty(3)
    changed = True
    while changed:
        changed = False
        for row in range(3):
            one, two = cell[(row + 1) % 3], cell[(row + 2) % 3]
            for trial in range(6):
                if trial < 2:
                    other = one if trial == 0 else two
                    n_one = -round(_dot(cell[row], other) / _dot(other, other))
                    n_one, n_two = (n_one, 0) if trial == 0 else (0, n_one)
                else:
                    n_one, n_two = 2 * (trial % 2) - 1, 2 * (trial // 4) - 1
                for axis in range(3):
                    shorter[axis] = cell[row, axis] + n_one * one[axis] + n_two * two[axis]
                if _dot(shorter, shorter) < (1.0 - SHORTER) * _dot(cell[row], cell[row]):
                    _copy(shorter, cell[row])
                    changed = True
    return cell


@inner
def _dot(u, v):
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


@inner
def _make_grid(lattice, frac_coords, width):
    """Sort atoms into bins about as wide as given, in Å: what `nearby` and `voronoi_facets` look neighbours up in."""
    n_atoms = len(frac_coords)
    cell = _reduced(lattice)
    volume = abs(_determinant(cell))
    heights = np.empty(3)
    for axis in range(3):
        heights[axis] = volume / _cross_length(cell[(axis + 1) % 3], cell[(axis + 2) % 3])
    steps = np.zeros((3, 3))  # the given vectors, counted in the new ones
    inverse = _inverse(cell)
    for row in range(3):
        for axis in range(3):
            for component in range(3):
                steps[row, axis] += lattice[row, component] * inverse[component, axis]
            steps[row, axis] = round(steps[row, axis])
    n_bins = np.empty(3, np.int64)
    for axis in range(3):
        n_bins[axis] = max(1, int(heights[axis] / width))
    wrapped = np.empty((n_atoms, 3))
    bins = np.empty((n_atoms, 3), np.int64)
    starts = np.zeros(n_bins[0] * n_bins[1] * n_bins[2] + 1, np.int64)
    flat = np.empty(n_atoms, np.int64)
    for atom in range(n_atoms):
        for axis in range(3):
            place = 0.0
            for row in range(3):
                place += frac_coords[atom, row] * steps[row, axis]
            wrapped[atom, axis] = place - math.floor(place)
            bins[atom, axis] = min(int(wrapped[atom, axis] * n_bins[axis]), n_bins[axis] - 1)
        flat[atom] = (bins[atom, 0] * n_bins[1] + bins[atom, 1]) * n_bins[2] + bins[atom, 2]
        starts[flat[atom] + 1] += 1
    for idx in range(1, len(starts)):
        starts[idx] += starts[idx - 1]
    filled = starts.copy()
    binned = np.empty(n_atoms, np.int64)
    for atom in range(n_atoms):
        binned[filled[flat[atom]]] = atom
        filled[flat[atom]] += 1
    return cell, heights, n_bins, bins, starts, binned, wrapped


@inner
def _typical_distance(lattice, n_atoms):
    """Edge of a cube that holds one atom on average, in Å."""
    return (abs(_determinant(lattice)) / n_atoms) ** (1 / 3)


@inner
def _nearby(grid, site, inner, outer):
    """Atoms farther than inner, if not negative, and up to outer from a site: x, y, z, distance; atom; order."""
    lattice, heights, n_bins, bins, starts, binned, wrapped = grid
    reach = np.empty(3, np.int64)
    for axis in range(3):
        reach[axis] = int(outer / heights[axis] * n_bins[axis]) + 1
    found = np.empty((128, 4))
    atoms = np.empty(128, np.int64)
    n_found = 0
    for i in range(bins[site, 0] - reach[0], bins[site, 0] + reach[0] + 1):
        shift_i = i // n_bins[0]
        for j in range(bins[site, 1] - reach[1], bins[site, 1] + reach[1] + 1):
            shift_j = j // n_bins[1]
            row = ((i - shift_i * n_bins[0]) * n_bins[1] + j - shift_j * n_bins[1]) * n_bins[2]
            for k in range(bins[site, 2] - reach[2], bins[site, 2] + reach[2] + 1):
                shift_k = k // n_bins[2]
                idx = row + k - shift_k * n_bins[2]
                for position in range(starts[idx], starts[idx + 1]):
                    atom = binned[position]
                    a = wrapped[atom, 0] - wrapped[site, 0] + shift_i
                    b = wrapped[atom, 1] - wrapped[site, 1] + shift_j
                    c = wrapped[atom, 2] - wrapped[site, 2] + shift_k
                    x = a * lattice[0, 0] + b * lattice[1, 0] + c * lattice[2, 0]
                    y = a * lattice[0, 1] + b * lattice[1, 1] + c * lattice[2, 1]
                    z = a * lattice[0, 2] + b * lattice[1, 2] + c * lattice[2, 2]
                    squared = x * x + y * y + z * z
                    if squared > outer * outer or (inner >= 0.0 and squared <= inner * inner):
                        continue
                    if n_found == len(found):
                        found, atoms = _longer(found, atoms)
                    found[n_found, 0], found[n_found, 1], found[n_found, 2] = x, y, z
                    found[n_found, 3] = math.sqrt(squared)
                    atoms[n_found] = atom
                    n_found += 1
    return found, atoms, _ascending(found[:n_found, 3])


@inner
def _longer(rows, numbers):
    n = len(numbers)
    more_rows, more_numbers = np.empty((2 * n, rows.shape[1])), np.empty(2 * n, np.int64)
    for idx in range(n):
        more_numbers[idx] = numbers[idx]
        for column in range(rows.shape[1]):
            more_rows[idx, column] = rows[idx, column]
    return more_rows, more_numbers


@inner
def _ascending(values):
    """Positions of values in ascending order, by Shell's sort."""
    n = len(values)
    order = np.arange(n)
    gap = n // 2
    while gap > 0:
        for idx in range(gap, n):
            moved = order[idx]
            slot = idx
            while slot >= gap and values[order[slot - gap]] > values[moved]:
                order[slot] = order[slot - gap]
                slot -= gap
            order[slot] = moved
        gap = 1 if gap == 2 else gap * 5 // 11
    return order


@inner
def _voronoi_facets(grid, site):
    """Neighbours of an atom, and of each: x, y, z, distance, solid angle; nearest first."""
    capacity = np.int64(64)  # typed, as a literal would be compiled for as well
    while True:
        n_facets, atoms, facets = _cell(grid, site, capacity)
        if n_facets >= 0:
            return atoms[:n_facets], facets[:n_facets]
        capacity *= 2


@inner
def _cell(grid, site, capacity):
    """Voronoi cell, by cutting a box: number of facets (-1 if there are too many), atoms; x, y, z, distance, angle."""
    lattice = grid[0]
    radius = 2.0 * _typical_distance(lattice, len(grid[-1]))
    corners = np.empty((capacity, capacity, 3))
    n_corners = np.zeros(capacity, np.int64)
    owners = np.zeros(capacity, np.int64)
    scratch = np.empty((capacity, 3))
    cut = np.empty((2 * capacity, 3))
    keys = np.empty(2 * capacity)
    # every cell is within half the sum of the lattice vectors
    half = 0.0
    for axis in range(3):
        half += 0.5005 * math.sqrt(lattice[axis, 0] ** 2 + lattice[axis, 1] ** 2 + lattice[axis, 2] ** 2)
    half = min(half, FARTHEST_CORNER)
    _box(corners, n_corners, owners, half)
    n_faces = np.int64(6)
    farthest = half * 2.0
    planes = np.empty((capacity, 4))
    behind = np.empty(capacity, np.int64)
    n_planes = np.int64(0)
    inner = 0.0
    while True:
        found, atoms, order = _nearby(grid, site, inner, radius)
        done = False
        for idx in order:
            distance = found[idx, 3]
            if distance > 2.0 * farthest:
                done = True
                break
            if n_planes == len(behind):
                planes, behind = _longer(planes, behind)
            n_faces, changed = _cut(corners, n_corners, owners, n_faces, found[idx], n_planes, scratch, cut, keys)
            if n_faces < 0:
                return -1, behind, planes
            if changed:
                _copy(found[idx], planes[n_planes])
                behind[n_planes] = atoms[idx]
                n_planes += 1
                farthest = 0.0
                for face in range(n_faces):
                    for corner in range(n_corners[face]):
                        p = corners[face, corner]
                        farthest = max(farthest, p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
                farthest = math.sqrt(farthest)
        if done or 2.0 * farthest <= radius:
            break
        inner = radius
        radius = min(1.5 * radius, 2.001 * farthest)
    angles = np.zeros(n_planes)
    for face in range(n_faces):
        if owners[face] >= 0:
            angles[owners[face]] = _solid_angle(corners[face], n_corners[face])
    facets = np.empty((n_planes, 5))
    neighbours = np.empty(n_planes, np.int64)
    n_facets = 0
    for plane in range(n_planes):
        if angles[plane] >= SMALLEST_FACET:
            _copy(planes[plane], facets[n_facets])
            facets[n_facets, 4] = angles[plane]
            neighbours[n_facets] = behind[plane]
            n_facets += 1
    return n_facets, neighbours, facets


@inner
def _box(corners, n_corners, owners, half):
    for axis in range(3):
        for side in range(2):
            face = 2 * axis + side
            n_corners[face] = 4
            owners[face] = -1
            for corner in range(4):
                corners[face, corner, axis] = half if side else -half
                corners[face, corner, (axis + 1) % 3] = half if corner in (1, 2) else -half
                corners[face, corner, (axis + 2) % 3] = half if corner >= 2 else -half


@inner
def _cut(corners, n_corners, owners, n_faces, neighbour, owner, scratch, cut, keys):
    """Cut a polyhedron with the plane midway to a neighbour: number of faces (-1 if too many), and if it changed."""
    capacity = len(n_corners)
    x, y, z = neighbour[0] / neighbour[3], neighbour[1] / neighbour[3], neighbour[2] / neighbour[3]
    level = 0.5 * neighbour[3]
    tolerance = _ON_PLANE * neighbour[3]
    limit = level + tolerance
    beyond = False
    for face in range(n_faces):
        for corner in range(n_corners[face]):
            p = corners[face, corner]
            if p[0] * x + p[1] * y + p[2] * z > limit:
                beyond = True
                break
        if beyond:
            break
    if not beyond:
        return n_faces, False
    n_cut = 0
    face = 0
    while face < n_faces:
        n = n_corners[face]
        polygon = corners[face]
        p = polygon[n - 1]
        last = p[0] * x + p[1] * y + p[2] * z - level
        previous = n - 1
        n_kept = 0
        n_outside = 0
        for corner in range(n):
            p = polygon[corner]
            height = p[0] * x + p[1] * y + p[2] * z - level
            if height > tolerance:
                n_outside += 1
            if (height > tolerance) != (last > tolerance):
                if n_kept >= capacity or n_cut >= len(keys):
                    return -1, True
                # the corner inside, if it is on the plane, else the point where the edge meets the plane
                inside = corner if height <= tolerance else previous
                on_plane = min(height, last) >= -tolerance
                share = last / (last - height)
                for axis in range(3):
                    if on_plane:
                        cut[n_cut, axis] = polygon[inside, axis]
                    else:
                        cut[n_cut, axis] = polygon[previous, axis] + share * (
                            polygon[corner, axis] - polygon[previous, axis]
                        )
                if not on_plane:
                    _copy(cut[n_cut], scratch[n_kept])
                    n_kept += 1
                n_cut += 1
            if height <= tolerance:
                if n_kept >= capacity:
                    return -1, True
                _copy(p, scratch[n_kept])
                n_kept += 1
            last = height
            previous = corner
        if n_outside == 0:
            face += 1
        elif n_kept >= 3:
            for corner in range(n_kept):
                _copy(scratch[corner], polygon[corner])
            n_corners[face] = n_kept
            face += 1
        else:
            n_faces -= 1
            if face < n_faces:
                for corner in range(n_corners[n_faces]):
                    _copy(corners[n_faces, corner], polygon[corner])
                n_corners[face] = n_corners[n_faces]
                owners[face] = owners[n_faces]
    if n_faces == capacity:
        return -1, True
    n_new = _order_around(cut, n_cut, x, y, z, _SAME_CORNER * neighbour[3], keys)
    if n_new > capacity:
        return -1, True
    if n_new >= 3:
        for corner in range(n_new):
            _copy(cut[corner], corners[n_faces, corner])
        n_corners[n_faces] = n_new
        owners[n_faces] = owner
        n_faces += 1
    return n_faces, True


@inner
def _order_around(cut, n_cut, x, y, z, same, keys):
    """Sort the corners of a new face around it and drop repeated ones; (x, y, z) is its normal."""
    mean = np.zeros(3)
    for corner in range(n_cut):
        for axis in range(3):
            mean[axis] += cut[corner, axis] / n_cut
    if abs(x) < 0.6:
        ux, uy, uz = 0.0, -z, y
    else:
        ux, uy, uz = z, 0.0, -x
    vx, vy, vz = y * uz - z * uy, z * ux - x * uz, x * uy - y * ux
    for corner in range(n_cut):
        dx, dy, dz = cut[corner, 0] - mean[0], cut[corner, 1] - mean[1], cut[corner, 2] - mean[2]
        key = math.atan2(dx * vx + dy * vy + dz * vz, dx * ux + dy * uy + dz * uz)
        px, py, pz = cut[corner, 0], cut[corner, 1], cut[corner, 2]
        slot = corner
        while slot > 0 and keys[slot - 1] > key:
            keys[slot] = keys[slot - 1]
            _copy(cut[slot - 1], cut[slot])
            slot -= 1
        keys[slot] = key
        cut[slot, 0], cut[slot, 1], cut[slot, 2] = px, py, pz
    n_new = 0
    for corner in range(n_cut):
        if n_new > 0 and _near(cut[corner], cut[n_new - 1], same):
            continue
        _copy(cut[corner], cut[n_new])
        n_new += 1
    while n_new > 1 and _near(cut[n_new - 1], cut[0], same):
        n_new -= 1
    return n_new


@inner
def _near(p, q, same):
    return abs(p[0] - q[0]) < same and abs(p[1] - q[1]) < same and abs(p[2] - q[2]) < same


@inner
def _solid_angle(polygon, n):
    total = 0.0
    a = polygon[0]
    length_a = math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    for corner in range(1, n - 1):
        b, c = polygon[corner], polygon[corner + 1]
        length_b = math.sqrt(b[0] * b[0] + b[1] * b[1] + b[2] * b[2])
        length_c = math.sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2])
        volume = (
            a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])
        )
        ab = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
        bc = b[0] * c[0] + b[1] * c[1] + b[2] * c[2]
        ac = a[0] * c[0] + a[1] * c[1] + a[2] * c[2]
        cosine = length_a * length_b * length_c + ab * length_c + bc * length_a + ac * length_b
        total += 2.0 * math.atan2(abs(volume), cosine)
    return total


# Fits on model polyhedra ----------------------------------------------------------------------------------------------


@kernel
def find_nearest(offsets, tables):
    """Model of lowest csm (-1 if there is none) and the csm; offsets are of 1 to 20 ligands, tables of the models."""
    return _nearest(_centred(offsets, np.arange(len(offsets))), tables, _nothing_known())


@kernel
def measure_all(offsets, tables):
    """Csm on each model of the coordination number."""
    cn = len(offsets)
    overlaps = np.empty(MOST_MODELS)
    placed = np.empty((MOST_MODELS, LARGEST_CN), np.int64)
    _fit(_centred(offsets, np.arange(cn)), 0.0, tables, overlaps, placed)
    csms = np.empty(tables[0][cn + 1] - tables[0][cn])
    for idx in range(len(csms)):
        csms[idx] = _csm_of(overlaps[idx])
    return csms


@inner
def _csm_of(overlap):
    return max(0.0, 100.0 * (1.0 - overlap * overlap))


@inner
def _fit(points, floor, tables, overlaps, placed):
    """Fit points on the models of their number, which overlaps and placed, the point on each vertex, are given for.

    The overlaps are the largest, or 0 where they are not above the floor. A negative floor asks for the nearest model
    only, and the others may be anything below its own. Returned are the nearest, counted from the first of its number
    (-1 if there is none), and how much farther the second is.
    """
    cn = len(points) - 1
    first, last = tables[0][cn], tables[0][cn + 1]
    if first == last:
        return -1, 2.0
    if cn <= LARGEST_ENUMERATED_CN:
        _enumerate(points, first, last, floor, tables, overlaps, placed)
        margin = 0.0
    else:
        margin = _search(points, first, last, floor, tables, overlaps, placed)
    best, nearest = 0.0, -1
    for idx in range(last - first):
        if overlaps[idx] > best + _TIE:
            best, nearest = overlaps[idx], idx
    return nearest, margin


@inner
def _centred(offsets, chosen):
    """Points of the centre and the chosen of its neighbours, moved to their mean and scaled to unit norm."""
    cn = len(chosen)
    points = np.zeros((cn + 1, 3))
    squares = 0.0
    for axis in range(3):
        mean = 0.0
        for ligand in range(cn):
            mean += offsets[chosen[ligand], axis]
        mean /= cn + 1
        points[0, axis] = -mean
        squares += mean * mean
        for ligand in range(cn):
            points[ligand + 1, axis] = offsets[chosen[ligand], axis] - mean
            squares += points[ligand + 1, axis] ** 2
    for point in range(cn + 1):
        for axis in range(3):
            points[point, axis] /= math.sqrt(squares)
    return points


@inner
def _singular_values_sum(h, least):
    """Sum of the singular values of a 3x3 matrix; -1 if it cannot be above least."""
    a = 0.0
    for idx in range(9):
        a += h[idx] * h[idx]
    if 3.0 * a <= least * least:
        return -1.0
    c0, c1, c2 = h[4] * h[8] - h[5] * h[7], h[5] * h[6] - h[3] * h[8], h[3] * h[7] - h[4] * h[6]
    c3, c4, c5 = h[2] * h[7] - h[1] * h[8], h[0] * h[8] - h[2] * h[6], h[1] * h[6] - h[0] * h[7]
    c6, c7, c8 = h[1] * h[5] - h[2] * h[4], h[2] * h[3] - h[0] * h[5], h[0] * h[4] - h[1] * h[3]
    b = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 + c4 * c4 + c5 * c5 + c6 * c6 + c7 * c7 + c8 * c8
    d = abs(h[0] * c0 + h[1] * c1 + h[2] * c2)
    # the largest root of (x^2 - a)^2 - 4 b - 8 d x, from above
    x = math.sqrt(a + 2.0 * math.sqrt(3.0 * b))
    if x <= least:
        return -1.0
    if b < 1e-24 * a * a:
        return math.sqrt(a + 2.0 * math.sqrt(b))
    for _ in range(60):
        rest = x * x - a
        slope = 4.0 * x * rest - 8.0 * d
        if slope <= 0.0:
            break
        step = (rest * rest - 4.0 * b - 8.0 * d * x) / slope
        x -= step
        if step < 1e-15 * x:
            break
    return x


@inner
def _same_shape(points, own, known_points, known, matches):
    """Ways in which points are known ones, turned, reflected, reordered, hardly moved: how many; which is which.

    Own and known are their profiles. Shells that are nearly symmetric match in several ways, and the best fit of one
    may go with any.
    """
    cn = len(points) - 1
    if _difference(own, known, cn) > cn * _SAME_PRODUCT:
        return 0
    pair = _pairs(points)[0]
    one, two = int(pair[10]), int(pair[11])
    seed = np.empty(3, np.int64)
    work = np.empty((8, max(cn + 1, 10)))
    scores = np.empty((cn, cn))
    seen = np.zeros(_N_SEEN)
    trial = np.empty(cn, np.int64)
    n_matches = 0
    product = 0.0
    for axis in range(3):
        product += points[one + 1, axis] * points[two + 1, axis]
    for first in range(cn):
        if abs(own[one, 0] - known[first, 0]) + abs(own[one, 1] - known[first, 1]) > _SAME_PRODUCT:
            continue
        for second in range(cn):
            other = 0.0
            for axis in range(3):
                other += known_points[first + 1, axis] * known_points[second + 1, axis]
            if second == first or abs(product - other) + abs(own[two, 0] - known[second, 0]) > _SAME_PRODUCT:
                continue
            seed[0], seed[1] = first, second
            for hand in range(2):
                if not _align(known_points, pair, seed, hand, work[0]):
                    continue
                seen[:] = 0.0
                found = _refine(points, known_points, 0.0, seen, scores, trial, work)
                if found <= _SAME_SHAPE:
                    continue
                if found > _SAME_EXACTLY:
                    n_matches = 0
                new = n_matches < len(matches)
                for other in range(n_matches):
                    same = True
                    for ligand in range(cn):
                        same = same and trial[ligand] == matches[other, ligand]
                    new = new and not same
                if new:
                    for ligand in range(cn):
                        matches[n_matches, ligand] = trial[ligand]
                    n_matches += 1
                if found > _SAME_EXACTLY:
                    return n_matches
    return n_matches


@inner
def _settle(points, vertices, assigned):
    """Overlap of an ordering, or of a better one that turning and assigning in turns leads to."""
    cn = len(points) - 1
    work = np.empty((8, max(cn + 1, 10)))
    for i in range(3):
        for j in range(3):
            total = points[0, i] * vertices[0, j]
            for vertex in range(cn):
                total += points[assigned[vertex] + 1, i] * vertices[vertex + 1, j]
            work[1, 3 * i + j] = total
    overlap = _singular_values_sum(work[1], 0.0)
    if not _polar(work[1], work[0]):
        return overlap
    return max(overlap, _refine(points, vertices, 0.0, np.zeros(_N_SEEN), np.empty((cn, cn)), assigned, work))


@inner
def _enumerate(points, first, last, floor, tables, overlaps, placed):
    """Try all orderings."""
    model_points, orderings, ordering_starts = tables[1], tables[2], tables[3]
    only_nearest, floor = floor < 0.0, max(floor, 0.0)
    cn = len(points) - 1
    products = np.empty((cn, cn, 9))
    h = np.empty(9)
    least = floor
    for model in range(first, last):
        vertices = model_points[model]
        for ligand in range(cn):
            for vertex in range(cn):
                for idx in range(9):
                    products[ligand, vertex, idx] = points[ligand + 1, idx // 3] * vertices[vertex + 1, idx % 3]
        best, chosen = least if only_nearest else floor, -1
        for ordering in range(ordering_starts[model], ordering_starts[model + 1]):
            for idx in range(9):
                h[idx] = points[0, idx // 3] * vertices[0, idx % 3]
            for vertex in range(cn):
                product = products[orderings[ordering, vertex], vertex]
                for idx in range(9):
                    h[idx] += product[idx]
            found = _singular_values_sum(h, best)
            if found > best + _TIE:
                best, chosen = found, ordering
        overlaps[model - first] = 0.0
        if chosen >= 0:
            least = overlaps[model - first] = best
            for vertex in range(cn):
                placed[model - first, vertex] = orderings[chosen, vertex]


@inner
def _search(points, first, last, floor, tables, overlaps, placed):
    """Try rotations that lay a pair of ligands on a pair of vertices; models that bounds exclude are left out."""
    model_points, seeds, seed_starts = tables[1], tables[4], tables[5]
    separations, profiles, spectral_norms = tables[6], tables[7], tables[8]
    only_nearest, floor = floor < 0.0, max(floor, 0.0)
    cn = len(points) - 1
    n_models = last - first
    own, norm = _profiles_of(points), _spectral_norm(points)
    distances = np.empty(n_models)  # of the best fit on each model
    seen = np.zeros((n_models, _N_SEEN))  # overlaps on the way to fits on each model
    least = np.empty(n_models)  # no fit is nearer
    hits = np.zeros(n_models, np.int64)  # seeds that led to the best fit on each model
    for idx in range(n_models):
        overlaps[idx] = floor
        distances[idx] = 2.0
        least[idx] = _difference(own, profiles[first + idx], cn) / (norm + spectral_norms[first + idx])
    order = _ascending(least)
    pairs = _pairs(points)
    promises = np.empty(2 * cn * cn * (cn - 1))
    work = np.empty((8, max(cn + 1, 10)))
    scores = np.empty((cn, cn))
    assigned = np.empty(cn, np.int64)
    highest = floor
    enough = _ENOUGH if only_nearest else 2 * _ENOUGH  # a poor fit is the harder to find
    for idx in order:
        model = first + idx
        if least[idx] >= math.sqrt(max(0.0, 2.0 - 2.0 * (highest if only_nearest else floor))):
            continue
        known = highest if only_nearest else _FROM_FLOOR * floor
        vertices = model_points[model]
        its_seeds = seeds[seed_starts[model] : seed_starts[model + 1]]
        n_promises = _promise(points, vertices, pairs, its_seeds, promises, work)
        likeliest = _ascending(-promises[:n_promises])
        threshold = max(_PROMISING * known, min(1.0 - _SLACK, known) * promises[likeliest[0]])
        last_hit = 9.0
        for position in likeliest:
            if promises[position] < threshold or hits[idx] >= enough:
                break
            pair, seed, hand = position // (2 * len(its_seeds)), position // 2 % len(its_seeds), position % 2
            _align(vertices, pairs[pair], its_seeds[seed], hand, work[0])
            found = _refine(points, vertices, known, seen[idx], scores, assigned, work)
            distances[idx] = min(distances[idx], math.sqrt(max(0.0, 2.0 - 2.0 * found)))
            if not only_nearest:
                known = max(known, found)
            if found > overlaps[idx] + _ARRIVED:
                hits[idx], last_hit = 1, promises[position]
            elif found > overlaps[idx] - _ARRIVED and promises[position] < last_hit - _SAME_PROMISE:
                # of seeds that the symmetry of the shell makes equal, one counts
                hits[idx], last_hit = hits[idx] + 1, promises[position]
            if found > overlaps[idx] + _TIE:
                overlaps[idx] = found
                highest = max(highest, found)
                known = max(known, found)
                for vertex in range(cn):
                    placed[idx, vertex] = assigned[vertex]
                # another ordering is at least as far as it is from this one, less the distance of this one
                if separations[model, model] - distances[idx] >= math.sqrt(max(0.0, 2.0 - 2.0 * max(known, floor))):
                    break
        for other in range(n_models):
            if other != idx:
                least[other] = max(least[other], separations[model, first + other] - distances[idx])
    margin = 2.0
    for idx in range(n_models):
        if overlaps[idx] <= floor:
            overlaps[idx] = 0.0
        if overlaps[idx] < highest:
            margin = min(margin, max(least[idx], distances[idx] if distances[idx] < 2.0 else 0.0))
    return margin - math.sqrt(max(0.0, 2.0 - 2.0 * highest))


@inner
def _pairs(points):
    """For each ligand, the one nearest to 75 degrees from it: the frame of both as rows, the cosine, which two."""
    cn = len(points) - 1
    units = np.empty((cn, 3))
    for ligand in range(cn):
        units[ligand, 0], units[ligand, 1], units[ligand, 2] = _unit(points, ligand)
    misses = np.empty(cn)
    partners = np.empty(cn, np.int64)
    for ligand in range(cn):
        misses[ligand] = 9.0
        for other in range(cn):
            cosine = (
                units[ligand, 0] * units[other, 0]
                + units[ligand, 1] * units[other, 1]
                + units[ligand, 2] * units[other, 2]
            )
            if other != ligand and abs(cosine - _BEST_COSINE) < misses[ligand]:
                misses[ligand] = abs(cosine - _BEST_COSINE)
                partners[ligand] = other
    order = _ascending(misses)
    pairs = np.empty((cn, 12))
    for idx in range(cn):
        _frame(units[order[idx]], units[partners[order[idx]]], pairs[idx])
        pairs[idx, 10], pairs[idx, 11] = order[idx], partners[order[idx]]
    return pairs


@inner
def _frame(u, v, frame):
    """Axes along the sum of two unit vectors, their difference, and across both; then the cosine between them."""
    cosine = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
    plus, minus = math.sqrt(max(2.0 + 2.0 * cosine, 1e-12)), math.sqrt(max(2.0 - 2.0 * cosine, 1e-12))
    for axis in range(3):
        frame[axis] = (u[axis] + v[axis]) / plus
        frame[3 + axis] = (u[axis] - v[axis]) / minus
    frame[6] = frame[1] * frame[5] - frame[2] * frame[4]
    frame[7] = frame[2] * frame[3] - frame[0] * frame[5]
    frame[8] = frame[0] * frame[4] - frame[1] * frame[3]
    frame[9] = cosine


@inner
def _align(vertices, pair, seed, hand, rotation):
    """Lay a pair of vertices on a pair of ligands; False if their angles are too different."""
    ux, uy, uz = _unit(vertices, seed[0])
    vx, vy, vz = _unit(vertices, seed[1])
    cosine = ux * vx + uy * vy + uz * vz
    if abs(cosine - pair[9]) > _COSINE_TOLERANCE or abs(cosine) > 0.999:
        return False
    plus, minus = 1.0 / math.sqrt(2.0 + 2.0 * cosine), 1.0 / math.sqrt(2.0 - 2.0 * cosine)
    px, py, pz = (ux + vx) * plus, (uy + vy) * plus, (uz + vz) * plus
    mx, my, mz = (ux - vx) * minus, (uy - vy) * minus, (uz - vz) * minus
    sign = -1.0 if hand else 1.0
    cx, cy, cz = sign * (py * mz - pz * my), sign * (pz * mx - px * mz), sign * (px * my - py * mx)
    for i in range(3):
        a, b, c = pair[i], pair[3 + i], pair[6 + i]
        rotation[3 * i] = a * px + b * mx + c * cx
        rotation[3 * i + 1] = a * py + b * my + c * cy
        rotation[3 * i + 2] = a * pz + b * mz + c * cz
    return True


@inner
def _unit(points, ligand):
    x = points[ligand + 1, 0] - points[0, 0]
    y = points[ligand + 1, 1] - points[0, 1]
    z = points[ligand + 1, 2] - points[0, 2]
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@inner_fast
def _promise(points, vertices, pairs, seeds, promises, work):
    """Overlap from each pair, seed and hand if each vertex, and each ligand, could have what it likes best."""
    cn = len(points) - 1
    rotation, xs, ys, zs, most = work[0], work[1], work[2], work[3], work[4]
    slot = 0
    for pair in range(len(pairs)):
        for seed in range(len(seeds)):
            for hand in range(2):
                promises[slot] = 0.0
                slot += 1
                if hand == seeds[seed, 2] or not _align(vertices, pairs[pair], seeds[seed], hand, rotation):
                    continue
                for vertex in range(cn):
                    xs[vertex], ys[vertex], zs[vertex] = _turn(rotation, vertices[vertex + 1])
                    most[vertex] = -9.0
                of_ligands = 0.0
                for ligand in range(1, cn + 1):
                    x, y, z = points[ligand, 0], points[ligand, 1], points[ligand, 2]
                    of_ligand = -9.0
                    for vertex in range(cn):
                        score = x * xs[vertex] + y * ys[vertex] + z * zs[vertex]
                        most[vertex] = max(most[vertex], score)
                        of_ligand = max(of_ligand, score)
                    of_ligands += of_ligand
                of_vertices = 0.0
                for vertex in range(cn):
                    of_vertices += most[vertex]
                promises[slot - 1] = min(of_ligands, of_vertices)
    return slot


@inner
def _turn(rotation, p):
    return (
        rotation[0] * p[0] + rotation[1] * p[1] + rotation[2] * p[2],
        rotation[3] * p[0] + rotation[4] * p[1] + rotation[5] * p[2],
        rotation[6] * p[0] + rotation[7] * p[1] + rotation[8] * p[2],
    )


@inner
def _refine(points, vertices, known, seen, scores, assigned, work):
    """Overlap reached from a rotation, assigning and turning in turns until neither gains, or at what was seen."""
    cn = len(points) - 1
    rotation, h = work[0], work[1]
    best = 0.0
    for _ in range(12):
        taken = 0
        for vertex in range(cn):
            x, y, z = _turn(rotation, vertices[vertex + 1])
            most = -9.0
            for ligand in range(cn):
                score = x * points[ligand + 1, 0] + y * points[ligand + 1, 1] + z * points[ligand + 1, 2]
                scores[vertex, ligand] = score
                if score > most:
                    most = score
                    assigned[vertex] = ligand
            taken |= 1 << assigned[vertex]
        if taken != (1 << cn) - 1:
            _assign(scores, assigned, work)
        for i in range(3):
            for j in range(3):
                total = points[0, i] * vertices[0, j]
                for vertex in range(cn):
                    total += points[assigned[vertex] + 1, i] * vertices[vertex + 1, j]
                h[3 * i + j] = total
        found = _singular_values_sum(h, 0.0)
        if found <= best + _ARRIVED:
            return max(found, best)
        slot = 0
        while slot < _N_SEEN and seen[slot] != 0.0:
            if abs(found - seen[slot]) < _SAME_ORDERING:
                return found
            slot += 1
        if slot < _N_SEEN:
            seen[slot] = found
        best = found
        if found < _HOPEFUL * known or not _polar(h, rotation):
            break
    return best


@inner
def _assign(scores, assigned, work):
    """Assign columns to rows at the highest total score, from the best column of each, by augmenting paths [1]_.

    .. [1] R. Jonker and A. Volgenant, Computing 38, 325 (1987).
    """
    n = len(scores)
    row_potentials, potentials, slacks = work[5], work[6], work[7]
    owner = np.zeros(n + 1, np.int64)
    way = np.zeros(n + 1, np.int64)
    used = np.empty(n + 1, np.bool_)
    for idx in range(n + 1):
        potentials[idx] = 0.0
    matched = 0
    for row in range(1, n + 1):
        row_potentials[row] = -scores[row - 1, assigned[row - 1]]
        if owner[assigned[row - 1] + 1] == 0:
            owner[assigned[row - 1] + 1] = row
            matched |= 1 << row
    for row in range(1, n + 1):
        if matched & (1 << row):
            continue
        owner[0] = row
        column = 0
        for idx in range(n + 1):
            slacks[idx] = 1e9
            used[idx] = False
        while True:
            used[column] = True
            current = owner[column]
            delta = 1e9
            following = 0
            for idx in range(1, n + 1):
                if not used[idx]:
                    reduced = -scores[current - 1, idx - 1] - row_potentials[current] - potentials[idx]
                    if reduced < slacks[idx]:
                        slacks[idx] = reduced
                        way[idx] = column
                    if slacks[idx] < delta:
                        delta = slacks[idx]
                        following = idx
            for idx in range(n + 1):
                if used[idx]:
                    row_potentials[owner[idx]] += delta
                    potentials[idx] -= delta
                else:
                    slacks[idx] -= delta
            column = following
            if owner[column] == 0:
                break
        while column != 0:
            owner[column] = owner[way[column]]
            column = way[column]
    for idx in range(1, n + 1):
        assigned[owner[idx] - 1] = idx - 1


@inner
def _polar(h, rotation):
    """Rotation or reflection nearest to a matrix, by Newton's iteration; False if the matrix is singular."""
    for idx in range(9):
        rotation[idx] = h[idx]
    for _ in range(30):
        r0, r1, r2, r3, r4, r5, r6, r7, r8 = (
            rotation[0],
            rotation[1],
            rotation[2],
            rotation[3],
            rotation[4],
            rotation[5],
            rotation[6],
            rotation[7],
            rotation[8],
        )
        c0, c1, c2 = r4 * r8 - r5 * r7, r5 * r6 - r3 * r8, r3 * r7 - r4 * r6
        c3, c4, c5 = r2 * r7 - r1 * r8, r0 * r8 - r2 * r6, r1 * r6 - r0 * r7
        c6, c7, c8 = r1 * r5 - r2 * r4, r2 * r3 - r0 * r5, r0 * r4 - r1 * r3
        determinant = r0 * c0 + r1 * c1 + r2 * c2
        size = r0 * r0 + r1 * r1 + r2 * r2 + r3 * r3 + r4 * r4 + r5 * r5 + r6 * r6 + r7 * r7 + r8 * r8
        if abs(determinant) < 1e-9 * size * math.sqrt(size):
            return False
        inverse_size = (
            c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 + c4 * c4 + c5 * c5 + c6 * c6 + c7 * c7 + c8 * c8
        ) / determinant**2
        scale = math.sqrt(math.sqrt(inverse_size / size))
        a, b = 0.5 * scale, 0.5 / (scale * determinant)
        rotation[0], rotation[1], rotation[2] = a * r0 + b * c0, a * r1 + b * c1, a * r2 + b * c2
        rotation[3], rotation[4], rotation[5] = a * r3 + b * c3, a * r4 + b * c4, a * r5 + b * c5
        rotation[6], rotation[7], rotation[8] = a * r6 + b * c6, a * r7 + b * c7, a * r8 + b * c8
        if abs(size - 3.0) < 1e-6 and abs(inverse_size - 3.0) < 1e-6:
            break
    return True


@inner
def _spectral_norm(points):
    gram = np.zeros((3, 3))
    for point in points:
        for i in range(3):
            for j in range(3):
                gram[i, j] += point[i] * point[j]
    # the largest eigenvalue is at most the largest row sum of magnitudes
    largest = 0.0
    for i in range(3):
        largest = max(largest, abs(gram[i, 0]) + abs(gram[i, 1]) + abs(gram[i, 2]))
    return math.sqrt(largest)


@inner
def _profiles_of(points):
    """Of each ligand: scalar products with itself, the centre, and all ligands in ascending order."""
    cn = len(points) - 1
    profiles = np.empty((cn, cn + 2))
    for ligand in range(cn):
        for other in range(cn + 1):
            product = 0.0
            for axis in range(3):
                product += points[ligand + 1, axis] * points[other, axis]
            if other == ligand + 1:
                profiles[ligand, 0] = product
            slot = other + 1
            while slot > 2 and profiles[ligand, slot - 1] > product:
                profiles[ligand, slot] = profiles[ligand, slot - 1]
                slot -= 1
            profiles[ligand, slot] = product
    return profiles


@inner
def _difference(own, model, cn):
    """Least difference of the Gram matrices in any ordering: each ligand takes the vertex most like it."""
    total_rows, total_columns = 0.0, 0.0
    least = np.empty(cn)
    for vertex in range(cn):
        least[vertex] = 1e9
    for ligand in range(cn):
        lowest = 1e9
        for vertex in range(cn):
            difference = 2.0 * (own[ligand, 1] - model[vertex, 1]) ** 2
            for idx in range(2, cn + 2):
                difference += (own[ligand, idx] - model[vertex, idx]) ** 2
            lowest = min(lowest, difference)
            least[vertex] = min(least[vertex], difference)
        total_rows += lowest
    for vertex in range(cn):
        total_columns += least[vertex]
    return math.sqrt(max(total_rows, total_columns))


# Proofs --------------------------------------------------------------------------------------------------------------


@inner
def _fit_certified(points, tables, overlaps, placed):
    """Find the nearest model as `_fit` does, and prove that no overlap is higher by more than the tolerance."""
    nearest, _ = _fit(points, _NEAREST, tables, overlaps, placed)
    cn = len(points) - 1
    first, last = tables[0][cn], tables[0][cn + 1]
    if cn <= LARGEST_ENUMERATED_CN or first == last:
        return nearest
    own, norm = _profiles_of(points), _spectral_norm(points)
    least = np.empty(last - first)
    for idx in range(last - first):
        least[idx] = _difference(own, tables[7][first + idx], cn) / (norm + tables[8][first + idx])
    for idx in _ascending(least):
        known = overlaps[nearest]
        if least[idx] >= math.sqrt(max(0.0, 2.0 - 2.0 * known)):
            continue
        found = _prove(points, tables[1][first + idx], known, placed[idx])
        if found > known + _TIE:
            overlaps[idx], nearest = found, idx
    return nearest


@kernel
def largest_overlap(points, vertices, known):
    """Overlap of two sets of points above the known one, proved to be the largest; 0 if there is none above."""
    return _prove(points, vertices, known, np.empty(LARGEST_CN, np.int64))


@inner
def _prove(points, vertices, known, placed):
    """Branch and bound over rotations and reflections [1]_; the overlap found above the known one, or 0.

    A cube of rotation vectors turns no vertex by more than half its diagonal from where its centre does, which caps the
    scalar product of each ligand with each vertex. Within a cube the orderings whose caps exceed the best overlap are
    tried one by one, or if they are many, as they are in a large cube, it is cut in eight.

    .. [1] R. I. Hartley and F. Kahl, Int. J. Comput. Vis. 82, 64 (2009).
    """
    cn = len(points) - 1
    n_cubes = 0
    cubes = np.empty((4096, 5))
    for hand in range(2):
        for x in range(4):
            for y in range(4):
                for z in range(4):
                    cubes[n_cubes, 0], cubes[n_cubes, 1] = (x - 1.5) * math.pi / 2, (y - 1.5) * math.pi / 2
                    cubes[n_cubes, 2], cubes[n_cubes, 3], cubes[n_cubes, 4] = (z - 1.5) * math.pi / 2, math.pi / 4, hand
                    n_cubes += 1
    best = known
    caps = np.empty((cn, cn))
    turned = np.empty((cn + 1, 3))
    rotation = np.empty(9)
    sizes, lengths = np.empty(cn + 1), np.empty(cn + 1)
    for row in range(cn + 1):
        sizes[row] = math.sqrt(points[row, 0] ** 2 + points[row, 1] ** 2 + points[row, 2] ** 2)
        lengths[row] = math.sqrt(vertices[row, 0] ** 2 + vertices[row, 1] ** 2 + vertices[row, 2] ** 2)
    found = 0.0
    while n_cubes > 0:
        n_cubes -= 1
        x, y, z, half, hand = cubes[n_cubes]
        reach = math.sqrt(3.0) * half
        length = math.sqrt(x * x + y * y + z * z)
        if length - reach > math.pi:
            continue
        _rotation_by(x, y, z, length, -1.0 if hand > 0.0 else 1.0, rotation)
        for row in range(cn + 1):
            turned[row, 0], turned[row, 1], turned[row, 2] = _turn(rotation, vertices[row])
        cosine, sine = (math.cos(reach), math.sin(reach)) if reach < math.pi else (-1.0, 0.0)
        total = _cap(points[0], turned[0], sizes[0] * lengths[0], cosine, sine)
        for ligand in range(cn):
            for vertex in range(cn):
                caps[vertex, ligand] = _cap(
                    points[ligand + 1],
                    turned[vertex + 1],
                    sizes[ligand + 1] * lengths[vertex + 1],
                    cosine,
                    sine,
                )
        overlap, done = _try_orderings(points, vertices, caps, total, best, placed, min(50.0 / half, 1e5))
        if overlap > best:
            best = found = overlap
        if done or half < _SMALLEST_CUBE:
            continue
        if n_cubes + 8 > len(cubes):
            more = np.empty((2 * len(cubes), 5))
            more[:n_cubes] = cubes[:n_cubes]
            cubes = more
        for corner in range(8):
            cubes[n_cubes, 0] = x + (half if corner & 1 else -half) / 2
            cubes[n_cubes, 1] = y + (half if corner & 2 else -half) / 2
            cubes[n_cubes, 2] = z + (half if corner & 4 else -half) / 2
            cubes[n_cubes, 3], cubes[n_cubes, 4] = half / 2, hand
            n_cubes += 1
    return found


@inner
def _rotation_by(x, y, z, angle, sign, rotation):
    """Rotation by a vector, by Rodrigues' formula; times -1 if the sign is."""
    one = math.sin(angle) / angle if angle > 1e-9 else 1.0
    two = (1.0 - math.cos(angle)) / (angle * angle) if angle > 1e-9 else 0.5
    cosine = math.cos(angle)
    rotation[0], rotation[4], rotation[8] = cosine + two * x * x, cosine + two * y * y, cosine + two * z * z
    rotation[1], rotation[3] = two * x * y - one * z, two * x * y + one * z
    rotation[2], rotation[6] = two * x * z + one * y, two * x * z - one * y
    rotation[5], rotation[7] = two * y * z - one * x, two * y * z + one * x
    for idx in range(9):
        rotation[idx] *= sign


@inner
def _cap(point, vertex, size, cosine, sine):
    """Largest scalar product when a vertex may turn by an angle in any direction."""
    product = point[0] * vertex[0] + point[1] * vertex[1] + point[2] * vertex[2]
    if product >= size * cosine:
        return size
    return product * cosine + math.sqrt(max(0.0, size * size - product * product)) * sine


@inner
def _try_orderings(points, vertices, caps, total, best, placed, most_nodes):
    """Try every ordering whose caps add up to more than the best overlap; what is found, and whether all were tried."""
    cn = len(caps)
    rest = np.empty(cn + 1)
    rest[cn] = 0.0
    of_ligands = total
    for vertex in range(cn - 1, -1, -1):
        most = -9.0
        for ligand in range(cn):
            most = max(most, caps[vertex, ligand])
        rest[vertex] = rest[vertex + 1] + most
    if total + rest[0] <= best + _TOLERANCE:
        return 0.0, True
    for ligand in range(cn):
        most = -9.0
        for vertex in range(cn):
            most = max(most, caps[vertex, ligand])
        of_ligands += most
    if of_ligands <= best + _TOLERANCE:
        return 0.0, True
    chosen = np.full(cn, -1)
    sums = np.empty(cn + 1)
    sums[0] = total
    h = np.empty(9)
    used, vertex, found = 0, 0, 0.0
    for _ in range(int(most_nodes)):
        ligand = chosen[vertex]
        if ligand >= 0:
            used &= ~(1 << ligand)
        ligand += 1
        while ligand < cn and (
            used & (1 << ligand) or sums[vertex] + caps[vertex, ligand] + rest[vertex + 1] <= best + _TOLERANCE
        ):
            ligand += 1
        if ligand == cn:
            chosen[vertex] = -1
            vertex -= 1
            if vertex < 0:
                return found, True
            continue
        chosen[vertex] = ligand
        used |= 1 << ligand
        sums[vertex + 1] = sums[vertex] + caps[vertex, ligand]
        vertex += 1
        if vertex < cn:
            chosen[vertex] = -1
            continue
        for i in range(3):
            for j in range(3):
                product = points[0, i] * vertices[0, j]
                for row in range(cn):
                    product += points[chosen[row] + 1, i] * vertices[row + 1, j]
                h[3 * i + j] = product
        overlap = _singular_values_sum(h, 0.0)
        if overlap > best:
            best = found = overlap
            for row in range(cn):
                placed[row] = chosen[row]
        vertex -= 1
    return found, False


# Coordination shells --------------------------------------------------------------------------------------------------


@kernel
def find_simplest(lattice, frac_coords, signs, centres, tables):
    """Shells of the centres, by strategy "simplest"; signs are of valences, tables of the models.

    Returned are which centres have a shell; of each, the model (-1 if there is none), and where its ligands start and
    end; its csm; and the ligands, as a site and an image, sorted within a shell.
    """
    grid = _make_grid(lattice, frac_coords, _typical_distance(lattice, len(frac_coords)))
    inverse = _inverse(lattice)
    known = _nothing_known()
    found = np.zeros(len(centres), np.bool_)
    shells, csms = np.empty((len(centres), 3), np.int64), np.empty(len(centres))
    ligands = np.empty((len(centres) * LARGEST_CN, 4), np.int64)
    n_found, n_ligands = np.int64(0), np.int64(0)
    for row in range(len(centres)):
        site = centres[row]
        atoms, facets = _voronoi_facets(grid, site)
        chosen = _choose(signs[site], signs, atoms, facets)
        if not 0 < len(chosen) <= LARGEST_CN:
            continue
        found[row] = True
        shells[n_found, 0], csms[n_found] = _nearest(_centred(facets, chosen), tables, known)
        shells[n_found, 1] = n_ligands
        places = _places(site, atoms, facets, frac_coords, inverse)
        n_ligands = _add_ligands(chosen, places, ligands, n_ligands)
        shells[n_found, 2] = n_ligands
        n_found += 1
    return found, shells[:n_found].copy(), csms[:n_found].copy(), ligands[:n_ligands].copy()


@kernel
def find_given(lattice, frac_coords, centres, spans, ligands, tables):
    """Nearest model (-1 if there is none) and csm of each centre; spans are of its ligands, given as site and image."""
    models, csms = np.full(len(centres), -1), np.zeros(len(centres))
    known = _nothing_known()
    for row in range(len(centres)):
        points = _given_points(lattice, frac_coords, centres[row], ligands[spans[row, 0] : spans[row, 1]])
        models[row], csms[row] = _nearest(points, tables, known)
    return models, csms


@kernel
def find_certified(lattice, frac_coords, centres, spans, ligands, tables):
    """Return what `find_given` does, with a proof for each."""
    models, csms = np.full(len(centres), -1), np.zeros(len(centres))
    overlaps = np.empty(MOST_MODELS)
    placed = np.empty((MOST_MODELS, LARGEST_CN), np.int64)
    for row in range(len(centres)):
        points = _given_points(lattice, frac_coords, centres[row], ligands[spans[row, 0] : spans[row, 1]])
        nearest = _fit_certified(points, tables, overlaps, placed)
        if nearest >= 0:
            models[row], csms[row] = tables[0][len(points) - 1] + nearest, _csm_of(overlaps[nearest])
    return models, csms


@inner
def _given_points(lattice, frac_coords, centre, ligands):
    offsets = np.zeros((len(ligands), 3))
    for ligand in range(len(ligands)):
        for axis in range(3):
            step = frac_coords[ligands[ligand, 0], axis] + ligands[ligand, 1 + axis] - frac_coords[centre, axis]
            for component in range(3):
                offsets[ligand, component] += step * lattice[axis, component]
    return _centred(offsets, np.arange(len(ligands)))


@inner
def _twice(rows):
    longer = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    for row in range(len(rows)):
        _copy(rows[row], longer[row])
    return longer


@inner
def _places(site, atoms, facets, frac_coords, inverse):
    """Neighbours as atoms and their images, in the given lattice vectors."""
    places = np.empty((len(atoms), 4), np.int64)
    for facet in range(len(atoms)):
        atom = atoms[facet]
        places[facet, 0] = atom
        for axis in range(3):
            step = frac_coords[site, axis] - frac_coords[atom, axis]
            for component in range(3):
                step += facets[facet, component] * inverse[component, axis]
            places[facet, 1 + axis] = round(step)
    return places


@inner
def _add_ligands(chosen, places, ligands, n_ligands):
    """Insert the ligands in order, and return where they end."""
    for row in range(len(chosen)):
        slot = n_ligands + row
        while slot > n_ligands and _after(ligands[slot - 1], places[chosen[row]]):
            _copy(ligands[slot - 1], ligands[slot])
            slot -= 1
        _copy(places[chosen[row]], ligands[slot])
    return n_ligands + len(chosen)


@inner
def _choose(sign, signs, atoms, facets):
    """Positions of the ligands; facets are in order of distance."""
    n_facets = len(facets)
    if n_facets == 0:
        return np.empty(0, np.int64)
    shortest = facets[0, 3]
    n_near = 0
    previous = 1.0
    for facet in range(n_facets):
        distance = facets[facet, 3] / shortest
        if distance > MAXIMUM_DISTANCE or (distance > DISTANCE_CUTOFF and distance - previous > DISTANCE_GAP):
            break
        previous = distance
        n_near += 1
    angles = facets[:, 4]
    order = _ascending(angles)
    widest = angles[order[-1]]
    smallest = 1.0
    for facet in order[::-1]:
        angle = angles[facet] / widest
        if angle < MINIMUM_ANGLE or (angle < ANGLE_CUTOFF and smallest - angle > ANGLE_GAP):
            break
        smallest = angle
    chosen = np.empty(n_near, np.int64)
    cn = 0
    for facet in range(n_near):
        if facets[facet, 4] / widest >= smallest and sign * signs[atoms[facet]] <= 0:
            chosen[cn] = facet
            cn += 1
    return chosen[:cn]


# Shells met before -------------------------------------------------------------------------------------------------


@inner
def _nothing_known():
    """Shells of one crystal: points, profiles, overlaps, orderings on each model; cn, key and margin; and how many."""
    return (
        np.empty((_MOST_KNOWN, LARGEST_CN + 1, 3)),
        np.empty((_MOST_KNOWN, LARGEST_CN, LARGEST_CN + 2)),
        np.empty((_MOST_KNOWN, MOST_MODELS)),
        np.empty((_MOST_KNOWN, MOST_MODELS, LARGEST_CN), np.int64),
        np.empty((_MOST_KNOWN, 3)),
        np.zeros(1, np.int64),
    )


@inner
def _fit_known(points, floor, tables, known, overlaps, placed):
    """Fit as `_fit` does, from the orderings that fitted a shell of the same shape, if there was one."""
    cn = len(points) - 1
    first = tables[0][cn]
    n_models = tables[0][cn + 1] - first
    if cn <= LARGEST_ENUMERATED_CN or n_models == 0:
        return _fit(points, floor, tables, overlaps, placed)[0]
    all_points, all_profiles, all_overlaps, all_placed, keys, n_known = known
    own = _profiles_of(points)
    key = 0.0
    for ligand in range(cn):
        key += own[ligand, 0] * own[ligand, 0]
    assigned, matches = np.empty(cn, np.int64), np.empty((8, cn), np.int64)
    for shell in range(n_known[0]):
        if keys[shell, 0] != cn or abs(keys[shell, 1] - key) > 1e-3 or (floor < 0.0 and keys[shell, 2] < 1e-3):
            continue
        n_matches = _same_shape(points, own, all_points[shell], all_profiles[shell], matches)
        if n_matches == 0:
            continue
        best, nearest = 0.0, -1
        for idx in range(n_models):
            overlaps[idx] = 0.0
            for match in range(n_matches if all_overlaps[shell, idx] > 0.0 else 0):
                for vertex in range(cn):
                    assigned[vertex] = matches[match, all_placed[shell, idx, vertex]]
                found = _settle(points, tables[1][first + idx], assigned)
                if found > overlaps[idx]:
                    overlaps[idx] = found
                    for vertex in range(cn):
                        placed[idx, vertex] = assigned[vertex]
            if overlaps[idx] > best:
                best, nearest = overlaps[idx], idx
        return nearest
    nearest, margin = _fit(points, floor, tables, overlaps, placed)
    slot = n_known[0]
    if slot < _MOST_KNOWN:
        for row in range(cn + 1):
            _copy(points[row], all_points[slot, row])
        for ligand in range(cn):
            _copy(own[ligand], all_profiles[slot, ligand])
        for idx in range(n_models):
            all_overlaps[slot, idx] = overlaps[idx] if floor >= 0.0 or idx == nearest else 0.0
            _copy(placed[idx], all_placed[slot, idx])
        keys[slot, 0], keys[slot, 1], keys[slot, 2] = cn, key, margin
        n_known[0] += 1
    return nearest


@inner
def _nearest(points, tables, known):
    """Model of lowest csm (-1 if there is none) and the csm."""
    overlaps = np.empty(MOST_MODELS)
    placed = np.empty((MOST_MODELS, LARGEST_CN), np.int64)
    nearest = _fit_known(points, _NEAREST, tables, known, overlaps, placed)
    if nearest < 0:
        return -1, 0.0
    return tables[0][len(points) - 1] + nearest, _csm_of(overlaps[nearest])


# Mixtures ----------------------------------------------------------------------------------------------------------


@kernel
def find_mixed(lattice, frac_coords, numbers, signs, centres, tables):
    """Environments of the centres, by strategy "multi_weights"; numbers are atomic, signs of valences.

    Returned are where those of each centre start; of each, the model, and where its ligands start and end; its csm and
    fraction; and the ligands, as a site and an image, sorted within an environment.
    """
    grid = _make_grid(lattice, frac_coords, _typical_distance(lattice, len(frac_coords)))
    inverse = _inverse(lattice)
    known = _nothing_known()
    starts = np.zeros(len(centres) + 1, np.int64)
    environments = np.empty((2 * len(centres) + _MOST_ENVIRONMENTS, 3), np.int64)
    values = np.empty((len(environments), 2))
    ligands = np.empty((len(environments) * LARGEST_CN, 4), np.int64)
    n_found, n_ligands = np.int64(0), np.int64(0)
    for row in range(len(centres)):
        if len(environments) < n_found + _MOST_ENVIRONMENTS:
            environments, values, ligands = _twice(environments), _twice(values), _twice(ligands)
        site = centres[row]
        atoms, facets = _voronoi_facets(grid, site)
        places = _places(site, atoms, facets, frac_coords, inverse)
        if len(facets) > 0:
            n_found, n_ligands = _mix(
                site,
                numbers,
                signs,
                atoms,
                facets,
                places,
                tables,
                known,
                environments,
                values,
                ligands,
                n_found,
                n_ligands,
            )
        starts[row + 1] = n_found
    return starts, environments[:n_found].copy(), values[:n_found].copy(), ligands[:n_ligands].copy()


@inner
def _mix(site, numbers, signs, atoms, facets, places, tables, known, environments, values, ligands, n_found, n_ligands):
    """Add the environments of a site, likeliest first."""
    masks, crossing, n_sets, candidates = _sets(site, numbers, signs, atoms, facets)
    cns = np.zeros(n_sets, np.int64)
    for idx in range(n_sets):
        for bit in range(len(candidates)):
            cns[idx] += (masks[idx] >> bit) & 1
    csms = np.full((n_sets, MOST_MODELS), 100.0)
    effective = np.full(n_sets, 100.0)
    weights = np.zeros(n_sets)
    smallest = LARGEST_CN + 1
    for idx in range(n_sets):
        if crossing[idx]:
            effective[idx] = _effective(masks[idx], cns[idx], candidates, facets, tables, known, csms[idx])
            share = min(effective[idx] / LARGEST_CSM, 1.0)
            weights[idx] = (share - 1.0) ** 2 * math.exp(-share)
            if weights[idx] > 0.0:
                smallest = min(smallest, cns[idx])
    for idx in range(n_sets):
        if not crossing[idx] and cns[idx] > smallest:
            effective[idx] = _effective(masks[idx], cns[idx], candidates, facets, tables, known, csms[idx])
    total = 0.0
    for idx in range(n_sets):
        if weights[idx] > 0.0:
            least = 1.0
            for other in range(n_sets):
                more = cns[other] - cns[idx]
                if more > 0:
                    least = min(least, _preferred(effective[other] - effective[idx], min(more, 12)))
            weights[idx] *= least
            total += weights[idx]
    if total <= 1e-9:
        return n_found, n_ligands
    shares = np.zeros(n_sets * MOST_MODELS)
    for idx in range(n_sets):
        if weights[idx] > 0.0:
            fractions = _shares(csms[idx], 2)
            for model in range(MOST_MODELS):
                shares[idx * MOST_MODELS + model] = weights[idx] / total * fractions[model]
    first_of = np.full(n_sets, -1)
    for position in _ascending(-shares)[:_MOST_ENVIRONMENTS]:
        if shares[position] == 0.0:
            break
        idx, model = position // MOST_MODELS, position % MOST_MODELS
        environments[n_found, 0] = tables[0][cns[idx]] + model
        values[n_found, 0], values[n_found, 1] = csms[idx, model], shares[position]
        if first_of[idx] < 0:
            first_of[idx] = n_found
            environments[n_found, 1] = n_ligands
            n_ligands = _add_ligands(_members(masks[idx], cns[idx], candidates), places, ligands, n_ligands)
            environments[n_found, 2] = n_ligands
        else:
            environments[n_found, 1] = environments[first_of[idx], 1]
            environments[n_found, 2] = environments[first_of[idx], 2]
        n_found += 1
    return n_found, n_ligands


@inner
def _sets(site, numbers, signs, atoms, facets):
    """Neighbour sets as bits of the candidates, and whether they may be shells; how many sets; the candidates."""
    n_facets = len(facets)
    distances, angles = facets[:, 3] / facets[0, 3], facets[:, 4] / facets[:, 4].max()
    # the group of each facet by distance and by angle, ascending from 0; edges are of the next group
    by_distance, by_angle = np.full(n_facets, -1), np.full(n_facets, -1)
    near, wide = np.empty(n_facets + 1), np.empty(n_facets + 1)
    n_near, n_wide = 0, 0
    for facet in range(n_facets):
        if distances[facet] > DISTANCE_BOUNDS[1]:
            break
        if facet == 0 or distances[facet] - distances[facet - 1] > DISTANCE_GAP:
            near[n_near] = distances[facet]
            n_near += 1
        by_distance[facet] = n_near - 1
    near[n_near] = DISTANCE_BOUNDS[1]
    order = _ascending(-angles)
    for rank in range(n_facets):
        angle = angles[order[rank]]
        if angle < MINIMUM_ANGLE:
            break
        if rank == 0 or angles[order[rank - 1]] - angle > ANGLE_GAP:
            wide[n_wide] = angle
            n_wide += 1
        by_angle[order[rank]] = n_wide - 1
    wide[n_wide] = MINIMUM_ANGLE
    candidates = np.empty(n_facets, np.int64)
    n_candidates = 0
    for facet in range(n_facets):
        if by_distance[facet] >= 0 and by_angle[facet] >= 0 and n_candidates < _N_BITS:
            candidates[n_candidates] = facet
            n_candidates += 1
    masks = np.empty(_MOST_SETS, np.int64)
    crossing = np.zeros(_MOST_SETS, np.bool_)
    n_sets = 0
    for distance in range(n_near):
        for angle in range(n_wide):
            every, allowed, unlike, both, oxides = 0, 0, 0, 0, 0
            for bit in range(n_candidates):
                facet = candidates[bit]
                if by_distance[facet] > distance or by_angle[facet] > angle:
                    continue
                atom = atoms[facet]
                may_bond = signs[site] * signs[atom] <= 0
                differ = numbers[site] != numbers[atom]
                every |= 1 << bit
                allowed |= may_bond << bit
                unlike |= differ << bit
                both |= (may_bond and differ) << bit
                oxides |= ((numbers[site] == _OXYGEN) != (numbers[atom] == _OXYGEN)) << bit
            crosses = _crosses(near[distance], near[distance + 1], wide[angle + 1], wide[angle])
            n_sets = _insert(allowed, crosses, masks, crossing, n_sets)
            for competing in (every, unlike, both, oxides):
                n_sets = _insert(competing, False, masks, crossing, n_sets)
    return masks, crossing, n_sets, candidates[:n_candidates]


@inner
def _insert(mask, crosses, masks, crossing, n_sets):
    for idx in range(n_sets):
        if masks[idx] == mask:
            crossing[idx] |= crosses
            return n_sets
    if mask == 0 or n_sets == _MOST_SETS:
        return n_sets
    masks[n_sets], crossing[n_sets] = mask, crosses
    return n_sets + 1


@inner
def _crosses(near, far, narrow, wide):
    """Whether a rectangle of distances and angles meets the surface between two quarters of ellipses."""
    low, high = DISTANCE_BOUNDS
    if far <= low or near >= high:
        return False
    at_far = (high - min(far, high)) / (high - low)
    at_near = (max(near, low) - low) / (high - low)
    span = ANGLE_BOUNDS[1] - ANGLE_BOUNDS[0]
    lower = ANGLE_BOUNDS[1] - span * math.sqrt(1.0 - at_far * at_far)
    upper = ANGLE_BOUNDS[0] + span * math.sqrt(1.0 - at_near * at_near)
    return wide > lower and narrow < upper


@inner
def _members(mask, cn, candidates):
    chosen = np.empty(cn, np.int64)
    slot = 0
    for bit in range(len(candidates)):
        if (mask >> bit) & 1:
            chosen[slot] = candidates[bit]
            slot += 1
    return chosen


@inner
def _effective(mask, cn, candidates, facets, tables, known, csms):
    """Mean csm of a set, as its geometries are weighted; csms is filled in, 100 where above the largest."""
    if cn > LARGEST_MIXED_CN:
        return 100.0
    points = _centred(facets, _members(mask, cn, candidates))
    overlaps = np.zeros(MOST_MODELS)
    placed = np.empty((MOST_MODELS, LARGEST_CN), np.int64)
    _fit_known(points, _FLOOR, tables, known, overlaps, placed)
    found = False
    for idx in range(tables[0][cn + 1] - tables[0][cn]):
        if overlaps[idx] > 0.0:
            csms[idx] = _csm_of(overlaps[idx])
            found = True
    if not found:
        return 100.0
    fractions = _shares(csms, 1)
    mean = 0.0
    for idx in range(MOST_MODELS):
        mean += fractions[idx] * csms[idx]
    return mean


@inner
def _shares(csms, power):
    """Fractions of geometries of one set: (x - 1)^2 / x^power, x the csm relative to the largest."""
    fractions = np.zeros(len(csms))
    total = 0.0
    for idx in range(len(csms)):
        if csms[idx] < _ZERO:
            fractions[:] = 0.0
            fractions[idx] = 1.0
            return fractions
        share = min(csms[idx] / LARGEST_CSM, 1.0)
        fractions[idx] = (share - 1.0) ** 2 / share**power
        total += fractions[idx]
    if total > 0.0:
        fractions /= total
    return fractions


@inner
def _preferred(difference, more):
    """From 0 to 1, as the csm of a set with so many more neighbours is the higher by so much."""
    low = 0.25 + 0.25 * more
    share = min(max((difference - low) / 4.75, 0.0), 1.0)
    return share**3 * (share * (share * 6.0 - 15.0) + 10.0)


# Connections ---------------------------------------------------------------------------------------------------------


@kernel
def closest_pair(lattice, frac_coords, limit):
    """Find the two sites nearest to each other below a limit in Å, and their distance; -1 if there are none."""
    grid = _make_grid(lattice, frac_coords, _typical_distance(lattice, len(frac_coords)))
    first, second, least = -1, -1, limit
    for site in range(len(frac_coords)):
        found, atoms, order = _nearby(grid, site, -1.0, limit)
        for idx in order:
            itself = atoms[idx] == site and found[idx, 3] < 1e-9
            if not itself and found[idx, 3] < least:
                first, second, least = site, atoms[idx], found[idx, 3]
    return first, second, least


@kernel
def connect_all(centres, spans, ligands, frac_coords, symmetrised):
    """Pairs of motifs that share ligands: source, target, image, where its shared ligands start; and these.

    Spans are of each motif's ligands. Images are counted in the cell while at work, so that they are small.
    """
    n_motifs, n_sites = len(centres), len(frac_coords)
    cells = np.empty((n_sites, 3), np.int64)
    for site in range(n_sites):
        for axis in range(3):
            cells[site, axis] = math.floor(frac_coords[site, axis])
    motif_of = np.full(n_sites, -1)
    for motif in range(n_motifs):
        motif_of[centres[motif]] = motif
    # holders of each site: a motif and the image of the site in its shell, sorted
    holders = np.empty((2 * len(ligands) if symmetrised else len(ligands), 2), np.int64)
    sites = np.empty(len(holders), np.int64)
    n_holders = 0
    for motif in range(n_motifs):
        for row in range(spans[motif, 0], spans[motif, 1]):
            site, centre = ligands[row, 0], centres[motif]
            image = _packed(
                ligands[row, 1] + cells[site, 0] - cells[centre, 0],
                ligands[row, 2] + cells[site, 1] - cells[centre, 1],
                ligands[row, 3] + cells[site, 2] - cells[centre, 2],
            )
            sites[n_holders], holders[n_holders, 0], holders[n_holders, 1] = site, motif, image
            n_holders += 1
            if symmetrised and motif_of[site] >= 0:
                sites[n_holders], holders[n_holders, 0], holders[n_holders, 1] = centre, motif_of[site], -image
                n_holders += 1
    holder_starts, holders = _grouped(sites[:n_holders], holders[:n_holders], n_sites)
    n_records = 0
    for site in range(n_sites):
        n_here = holder_starts[site + 1] - holder_starts[site]
        n_records += n_here * (n_here - 1) // 2
    sources = np.empty(n_records, np.int64)
    records = np.empty((n_records, 4), np.int64)  # target, image, site, image of the site; packed
    n_records = 0
    for site in range(n_sites):
        for one in range(holder_starts[site], holder_starts[site + 1]):
            if one > holder_starts[site] and _same_row(holders, one, one - 1):
                continue
            for two in range(one + 1, holder_starts[site + 1]):
                if _same_row(holders, two, two - 1):
                    continue
                image = holders[one, 1] - holders[two, 1]
                from_first = holders[one, 0] < holders[two, 0] or image > 0
                sources[n_records] = holders[one, 0]
                records[n_records, 0] = holders[two, 0]
                records[n_records, 1] = image if from_first else -image
                records[n_records, 2] = site
                records[n_records, 3] = holders[one, 1] if from_first else holders[two, 1]
                n_records += 1
    source_starts, records = _grouped(sources[:n_records], records[:n_records], n_motifs)
    connections = np.empty((n_records, 6), np.int64)
    shared = np.empty((n_records, 4), np.int64)
    n_connections = 0
    for source in range(n_motifs):
        for row in range(source_starts[source], source_starts[source + 1]):
            target, site = records[row, 0], records[row, 2]
            centre, other = centres[source], centres[target]
            if (
                row == source_starts[source]
                or records[row, 0] != records[row - 1, 0]
                or records[row, 1] != records[row - 1, 1]
            ):
                connections[n_connections, 0], connections[n_connections, 1] = source, target
                for axis in range(3):
                    step = _unpacked(records[row, 1], axis)
                    connections[n_connections, 2 + axis] = step - cells[other, axis] + cells[centre, axis]
                connections[n_connections, 5] = row
                n_connections += 1
            shared[row, 0] = site
            for axis in range(3):
                step = _unpacked(records[row, 3], axis)
                shared[row, 1 + axis] = step - cells[site, axis] + cells[centre, axis]
    return connections[:n_connections].copy(), shared


@inner
def _packed(a, b, c):
    """Three small integers as one that sorts, adds and changes sign as they do."""
    return (a << 40) + (b << 20) + c


@inner
def _unpacked(packed, axis):
    c = ((packed + (1 << 19)) & ((1 << 20) - 1)) - (1 << 19)
    packed = (packed - c) >> 20
    b = ((packed + (1 << 19)) & ((1 << 20) - 1)) - (1 << 19)
    if axis == 2:
        return c
    return b if axis == 1 else (packed - b) >> 20


@inner
def _same_row(rows, one, two):
    for column in range(rows.shape[1]):
        if rows[one, column] != rows[two, column]:
            return False
    return True


@inner
def _grouped(groups, rows, n_groups):
    """Where each group starts; and the rows, group by group, sorted within."""
    starts = np.zeros(n_groups + 1, np.int64)
    for group in groups:
        starts[group + 1] += 1
    for group in range(n_groups):
        starts[group + 1] += starts[group]
    filled = starts.copy()
    ordered = np.empty_like(rows)
    moved = np.empty(rows.shape[1], np.int64)
    for row in range(len(rows)):
        slot = filled[groups[row]]
        filled[groups[row]] += 1
        _copy(rows[row], ordered[slot])
    for group in range(n_groups):
        start, end = starts[group], starts[group + 1]
        gap = (end - start) // 2
        while gap > 0:
            for idx in range(start + gap, end):
                _copy(ordered[idx], moved)
                slot = idx
                while slot >= start + gap and _after(ordered[slot - gap], moved):
                    _copy(ordered[slot - gap], ordered[slot])
                    slot -= gap
                _copy(moved, ordered[slot])
            gap = 1 if gap == 2 else gap * 5 // 11
    return starts, ordered


@inner
def _after(one, two):
    for column in range(len(one)):
        if one[column] != two[column]:
            return one[column] > two[column]
    return False
