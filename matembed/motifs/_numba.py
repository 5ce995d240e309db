"""Compiled kernels for shells.py, voronoi.py and geometry.py, held equal to what is written there by tests."""

import math

import numpy as np
from numba import njit

from matembed.motifs.geometry import LARGEST_CN, LARGEST_ENUMERATED_CN
from matembed.motifs.shells import (
    ANGLE_CUTOFF,
    ANGLE_GAP,
    DISTANCE_CUTOFF,
    DISTANCE_GAP,
    MAXIMUM_DISTANCE,
    MINIMUM_ANGLE,
)
from matembed.motifs.voronoi import SMALLEST_FACET

__all__ = ["find_all", "find_nearest"]

# Corners nearer to a cutting plane are on it, and nearer to each other are one, relative to the distance of the plane.
_ON_PLANE = 1e-9
_SAME_CORNER = 1e-7
# Seeds of a fit: how many pairs of ligands, and how different their angle may be from that of the vertices, in cosine.
_N_PAIRS = 12
_COSINE_TOLERANCE = 1.2
# Refined are seeds that promise an overlap of so much of the best known, and of the best promise for this pair and
# model up to a slack: this, or what the best known overlap lacks to 1. None was missed on 1,473 shells of 7 to 13
# ligands, half of them displaced by 0.05 Å, that refining all seeds of all pairs finds.
_PROMISING = 0.85
_SLACK = 0.02
# So many orderings are remembered, by their overlap, lest they are refined again.
_N_SEEN = 64
# A pair at this cosine, 75 degrees, tells rotations apart best.
_BEST_COSINE = 0.26
# Overlaps that differ by less are equal.
_TIE = 1e-13
_ARRIVED = 1e-9
_SAME_ORDERING = 1e-11


@njit(cache=True)
def find_all(
    lattice,
    frac_coords,
    signs,
    sites,
    cn_starts,
    model_points,
    orderings,
    ordering_starts,
    seeds,
    seed_starts,
    separations,
    profiles,
    spectral_norms,
):
    """Ligands, geometry and csm of each of the sites; signs are of valences, the rest as in ModelGeometries."""
    n_chosen = len(sites)
    cns = np.zeros(n_chosen, np.int64)
    ligands = np.zeros((n_chosen, LARGEST_CN), np.int64)
    offsets = np.zeros((n_chosen, LARGEST_CN, 3))
    nearest = np.zeros(n_chosen, np.int64)
    csms = np.zeros(n_chosen)
    n_atoms = len(frac_coords)
    volume = abs(_determinant(lattice))
    heights = np.empty(3)
    for axis in range(3):
        heights[axis] = volume / _cross_length(lattice[(axis + 1) % 3], lattice[(axis + 2) % 3])
    radius = 2.0 * (volume / n_atoms) ** (1 / 3)
    n_bins, bins, bin_starts, binned, wrapped = _bin(frac_coords, heights, radius / 2)
    capacity = 64
    for row in range(n_chosen):
        while True:
            n_facets, atoms, facets = _cell(
                lattice, heights, wrapped, sites[row], radius, n_bins, bins, bin_starts, binned, capacity
            )
            if n_facets >= 0:
                break
            capacity *= 2
        cn = _choose(signs[sites[row]], signs, atoms, facets, n_facets)
        cns[row] = cn
        if cn == 0 or cn > LARGEST_CN:
            continue
        for ligand in range(cn):
            ligands[row, ligand] = atoms[ligand]
            _copy(facets[ligand, :3], offsets[row, ligand])
        nearest[row], csms[row] = find_nearest(
            offsets[row, :cn],
            cn_starts,
            model_points,
            orderings,
            ordering_starts,
            seeds,
            seed_starts,
            separations,
            profiles,
            spectral_norms,
        )
    return cns, ligands, offsets, nearest, csms


@njit(cache=True)
def find_nearest(
    offsets,
    cn_starts,
    model_points,
    orderings,
    ordering_starts,
    seeds,
    seed_starts,
    separations,
    profiles,
    spectral_norms,
):
    """Model of lowest csm (-1 if there is none) and the csm; offsets are of 1 to 20 ligands."""
    cn = len(offsets)
    first, last = cn_starts[cn], cn_starts[cn + 1]
    if first == last:
        return -1, 0.0
    points = _centred(offsets)
    if cn <= LARGEST_ENUMERATED_CN:
        model, overlap = _enumerate(points, first, last, model_points, orderings, ordering_starts)
    else:
        model, overlap = _search(
            points, first, last, model_points, seeds, seed_starts, separations, profiles, spectral_norms
        )
    return model, max(0.0, 100.0 * (1.0 - overlap * overlap))


@njit(cache=True)
def _copy(source, target):
    for idx in range(len(source)):
        target[idx] = source[idx]


@njit(cache=True)
def _determinant(m):
    return (
        m[0, 0] * (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1])
        - m[0, 1] * (m[1, 0] * m[2, 2] - m[1, 2] * m[2, 0])
        + m[0, 2] * (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0])
    )


@njit(cache=True)
def _cross_length(u, v):
    x = u[1] * v[2] - u[2] * v[1]
    y = u[2] * v[0] - u[0] * v[2]
    z = u[0] * v[1] - u[1] * v[0]
    return math.sqrt(x * x + y * y + z * z)


@njit(cache=True)
def _bin(frac_coords, heights, width):
    """Sort atoms into bins about as wide as given: number of bins by axis, bin of each atom, atoms bin by bin."""
    n_atoms = len(frac_coords)
    n_bins = np.empty(3, np.int64)
    for axis in range(3):
        n_bins[axis] = max(1, int(heights[axis] / width))
    wrapped = np.empty((n_atoms, 3))
    bins = np.empty((n_atoms, 3), np.int64)
    starts = np.zeros(n_bins[0] * n_bins[1] * n_bins[2] + 1, np.int64)
    flat = np.empty(n_atoms, np.int64)
    for atom in range(n_atoms):
        for axis in range(3):
            wrapped[atom, axis] = frac_coords[atom, axis] - math.floor(frac_coords[atom, axis])
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
    return n_bins, bins, starts, binned, wrapped


@njit(cache=True)
def _nearby(lattice, heights, wrapped, site, inner, outer, n_bins, bins, starts, binned):
    """Atoms farther than inner and up to outer from a site, nearest first: x, y, z, distance; atom."""
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
                    if squared > outer * outer or squared <= inner * inner:
                        continue
                    if n_found == len(found):
                        found, atoms = _longer(found, atoms)
                    found[n_found, 0], found[n_found, 1], found[n_found, 2] = x, y, z
                    found[n_found, 3] = math.sqrt(squared)
                    atoms[n_found] = atom
                    n_found += 1
    return found, atoms, _ascending(found[:n_found, 3])


@njit(cache=True)
def _longer(rows, numbers):
    n = len(numbers)
    more_rows, more_numbers = np.empty((2 * n, rows.shape[1])), np.empty(2 * n, np.int64)
    for idx in range(n):
        more_numbers[idx] = numbers[idx]
        for column in range(rows.shape[1]):
            more_rows[idx, column] = rows[idx, column]
    return more_rows, more_numbers


@njit(cache=True)
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


@njit(cache=True)
def _cell(lattice, heights, wrapped, site, radius, n_bins, bins, starts, binned, capacity):
    """Voronoi cell, by cutting a box: number of facets (-1 if there are too many), atoms; x, y, z, distance, angle."""
    corners = np.empty((capacity, capacity, 3))
    n_corners = np.zeros(capacity, np.int64)
    owners = np.zeros(capacity, np.int64)
    scratch = np.empty((capacity, 3))
    cut = np.empty((2 * capacity, 3))
    keys = np.empty(2 * capacity)
    # every cell is within half the sum of the lattice vectors
    half = 0.0
    for axis in range(3):
        half += 0.5 * math.sqrt(lattice[axis, 0] ** 2 + lattice[axis, 1] ** 2 + lattice[axis, 2] ** 2)
    _box(corners, n_corners, owners, 1.001 * half)
    n_faces = 6
    farthest = half * 2.0
    planes = np.empty((capacity, 4))
    behind = np.empty(capacity, np.int64)
    n_planes = 0
    inner = 0.0
    while True:
        found, atoms, order = _nearby(lattice, heights, wrapped, site, inner, radius, n_bins, bins, starts, binned)
        done = False
        for idx in order:
            distance = found[idx, 3]
            if distance > 2.0 * farthest:
                done = True
                break
            if n_planes == capacity:
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _near(p, q, same):
    return abs(p[0] - q[0]) < same and abs(p[1] - q[1]) < same and abs(p[2] - q[2]) < same


@njit(cache=True)
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


@njit(cache=True)
def _choose(sign, signs, atoms, facets, n_facets):
    """Move the ligands to the front, nearest first, and count them; facets are in order of distance."""
    if n_facets == 0:
        return 0
    shortest = facets[0, 3]
    n_near = 0
    previous = 1.0
    for facet in range(n_facets):
        distance = facets[facet, 3] / shortest
        if distance > MAXIMUM_DISTANCE or (distance > DISTANCE_CUTOFF and distance - previous > DISTANCE_GAP):
            break
        previous = distance
        n_near += 1
    angles = facets[:n_facets, 4]
    order = _ascending(angles)
    widest = angles[order[-1]]
    smallest = 1.0
    for facet in order[::-1]:
        angle = angles[facet] / widest
        if angle < MINIMUM_ANGLE or (angle < ANGLE_CUTOFF and smallest - angle > ANGLE_GAP):
            break
        smallest = angle
    cn = 0
    for facet in range(n_near):
        if facets[facet, 4] / widest >= smallest and sign * signs[atoms[facet]] <= 0:
            atoms[cn] = atoms[facet]
            _copy(facets[facet], facets[cn])
            cn += 1
    return cn


@njit(cache=True)
def _centred(offsets):
    cn = len(offsets)
    points = np.zeros((cn + 1, 3))
    squares = 0.0
    for axis in range(3):
        mean = 0.0
        for ligand in range(cn):
            mean += offsets[ligand, axis]
        mean /= cn + 1
        points[0, axis] = -mean
        squares += mean * mean
        for ligand in range(cn):
            points[ligand + 1, axis] = offsets[ligand, axis] - mean
            squares += points[ligand + 1, axis] ** 2
    for point in range(cn + 1):
        for axis in range(3):
            points[point, axis] /= math.sqrt(squares)
    return points


@njit(cache=True)
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


@njit(cache=True)
def _enumerate(points, first, last, model_points, orderings, ordering_starts):
    """Nearest model and its overlap, over all orderings."""
    cn = len(points) - 1
    products = np.empty((cn, cn, 9))
    h = np.empty(9)
    best, nearest = 0.0, first
    for model in range(first, last):
        vertices = model_points[model]
        for ligand in range(cn):
            for vertex in range(cn):
                for idx in range(9):
                    products[ligand, vertex, idx] = points[ligand + 1, idx // 3] * vertices[vertex + 1, idx % 3]
        for ordering in range(ordering_starts[model], ordering_starts[model + 1]):
            for idx in range(9):
                h[idx] = points[0, idx // 3] * vertices[0, idx % 3]
            for vertex in range(cn):
                product = products[orderings[ordering, vertex], vertex]
                for idx in range(9):
                    h[idx] += product[idx]
            found = _singular_values_sum(h, best)
            if found > best + _TIE:
                best, nearest = found, model
    return nearest, best


@njit(cache=True)
def _search(points, first, last, model_points, seeds, seed_starts, separations, profiles, spectral_norms):
    """Nearest model and its overlap, from seeds; models that bounds exclude are left out."""
    cn = len(points) - 1
    n_models = last - first
    own, norm = _profiles(points), _spectral_norm(points)
    distances = np.empty(n_models)  # of the best fit on each model
    seen = np.zeros((n_models, _N_SEEN))  # overlaps on the way to fits on each model
    least = np.empty(n_models)  # no fit is nearer
    for idx in range(n_models):
        distances[idx] = 2.0
        least[idx] = _bound(own, profiles[first + idx], cn) / (norm + spectral_norms[first + idx])
    order = _ascending(least)
    pairs = _pairs(points)
    promises = np.empty((cn * (cn - 1), 2))
    work = np.empty((8, max(cn + 1, 10)))
    scores = np.empty((cn, cn))
    best, nearest, limit = 0.0, first, 2.0  # largest overlap, its model, its distance
    for pair in pairs:
        for idx in order:
            model = first + idx
            # another ordering is at least as far as it is from the one found, less the distance of that one
            if least[idx] >= limit or separations[model, model] - distances[idx] >= limit:
                continue
            vertices = model_points[model]
            start, n_seeds = seed_starts[model], seed_starts[model + 1] - seed_starts[model]
            highest = _promise(points, vertices, pair, seeds[start : start + n_seeds], promises, work)
            threshold = max(_PROMISING * best, min(1.0 - _SLACK, best) * highest)
            for seed in range(n_seeds):
                for hand in range(seeds[start + seed, 2]):
                    if promises[seed, hand] < threshold:
                        continue
                    _align(vertices, pair, seeds[start + seed], hand, work[0])
                    found = _refine(points, vertices, seen[idx], scores, work)
                    distance = math.sqrt(max(0.0, 2.0 - 2.0 * found))
                    distances[idx] = min(distances[idx], distance)
                    if found > best + _TIE:
                        best, nearest, limit = found, model, distance
            for other in range(n_models):
                if other != idx:
                    least[other] = max(least[other], separations[model, first + other] - distances[idx])
    return nearest, best


@njit(cache=True)
def _pairs(points):
    """Pairs of ligands with different first ones, angles nearest 75 degrees first; frames as rows, then the cosine."""
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
    pairs = np.empty((min(_N_PAIRS, cn), 10))
    for idx in range(len(pairs)):
        _frame(units[order[idx]], units[partners[order[idx]]], pairs[idx])
    return pairs


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _unit(points, ligand):
    x = points[ligand + 1, 0] - points[0, 0]
    y = points[ligand + 1, 1] - points[0, 1]
    z = points[ligand + 1, 2] - points[0, 2]
    scale = 1.0 / math.sqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@njit(cache=True)
def _promise(points, vertices, pair, seeds, promises, work):
    """Overlap from each seed if each vertex could have the ligand it likes best; and the highest."""
    cn = len(points) - 1
    rotation, xs, ys, zs, most = work[0], work[1], work[2], work[3], work[4]
    highest = 0.0
    for seed in range(len(seeds)):
        for hand in range(seeds[seed, 2]):
            promises[seed, hand] = 0.0
            if not _align(vertices, pair, seeds[seed], hand, rotation):
                continue
            for vertex in range(cn):
                xs[vertex], ys[vertex], zs[vertex] = _turn(rotation, vertices[vertex + 1])
                most[vertex] = -9.0
            for ligand in range(1, cn + 1):
                x, y, z = points[ligand, 0], points[ligand, 1], points[ligand, 2]
                for vertex in range(cn):
                    score = x * xs[vertex] + y * ys[vertex] + z * zs[vertex]
                    most[vertex] = max(most[vertex], score)
            total = 0.0
            for vertex in range(cn):
                total += most[vertex]
            promises[seed, hand] = total
            highest = max(highest, total)
    return highest


@njit(cache=True)
def _turn(rotation, p):
    return (
        rotation[0] * p[0] + rotation[1] * p[1] + rotation[2] * p[2],
        rotation[3] * p[0] + rotation[4] * p[1] + rotation[5] * p[2],
        rotation[6] * p[0] + rotation[7] * p[1] + rotation[8] * p[2],
    )


@njit(cache=True)
def _refine(points, vertices, seen, scores, work):
    """Overlap reached from a rotation, assigning and turning in turns until neither gains, or at what was seen."""
    cn = len(points) - 1
    rotation, h = work[0], work[1]
    assigned = np.empty(cn, np.int64)
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
        if not _polar(h, rotation):
            break
    return best


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _profiles(points):
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


@njit(cache=True)
def _bound(own, model, cn):
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
