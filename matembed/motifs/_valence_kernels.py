"""Compiled kernels for valences.py, held equal to what is written there by tests.

After an edit of what they take from _numba.py, delete __pycache__: numba notices edits of this file only.
"""

import math

import numpy as np

from matembed.motifs._jit import inner, kernel
from matembed.motifs._numba import _ascending, _make_grid, _typical_distance
from matembed.motifs.valences import ALIKE, LEAST_LIKELY, RADIUS, SCALE, SHARED_GAIN, SOFTNESS, TIE

__all__ = ["find_valences"]


@kernel
def find_valences(lattice, frac_coords, numbers, lengths, directions, n_states, states, means, deviations, log_weights):
    """Valence of each site, or an empty array; the tables are rows by atomic number, as in BondTable."""
    sums = _bond_sums(lattice, frac_coords, numbers, lengths, directions)
    groups, n_groups = _group(numbers, sums)
    kinds = np.empty(n_groups, np.int64)
    counts = np.zeros(n_groups, np.int64)
    odds = np.zeros((n_groups, states.shape[1]))
    for site in range(len(numbers)):
        group, kind = groups[site], numbers[site]
        kinds[group] = kind
        counts[group] += 1
        _add_log_odds(sums[site], n_states[kind], means[kind], deviations[kind], log_weights[kind], odds[group])
    divisor = 0
    for group in range(n_groups):
        for row in range(n_states[kinds[group]]):
            odds[group, row] /= counts[group]
        a, b = counts[group], divisor
        while b:
            a, b = b, a % b
        divisor = a
    for group in range(n_groups):
        counts[group] //= divisor
    whole, whole_odds = _whole_states(kinds, counts, odds, n_states, states)
    shared, shared_odds = _shared_states(kinds, counts, odds, n_states, states)
    if shared_odds > whole_odds + SHARED_GAIN * np.sum(counts):
        whole, whole_odds = shared, shared_odds
    if whole_odds == -np.inf:
        return np.empty(0)
    valences = np.empty(len(numbers))
    for site in range(len(numbers)):
        valences[site] = whole[groups[site]]
    return valences


@inner
def _group(numbers, sums):
    """Group of every site; groups are in order of atomic number and sum of bond valences."""
    groups = np.empty(len(sums), np.int64)
    order = _ascending(sums)
    n_groups = 0
    number = 0
    while True:
        following = 1 << 40
        for site in range(len(numbers)):
            if number < numbers[site] < following:
                following = numbers[site]
        if following == 1 << 40:
            return groups, n_groups
        number = following
        last = -np.inf
        for site in order:
            if numbers[site] == number:
                if sums[site] > last + ALIKE:
                    n_groups += 1
                last = sums[site]
                groups[site] = n_groups - 1


@inner
def _add_log_odds(bond_sum, n_states, means, deviations, log_weights, total):
    highest = -np.inf
    for row in range(n_states):
        highest = max(highest, log_weights[row] - 0.5 * ((bond_sum - means[row]) / deviations[row]) ** 2)
    norm = 0.0
    for row in range(n_states):
        norm += math.exp(log_weights[row] - 0.5 * ((bond_sum - means[row]) / deviations[row]) ** 2 - highest)
    norm = highest + math.log(norm)
    for row in range(n_states):
        total[row] += log_weights[row] - 0.5 * ((bond_sum - means[row]) / deviations[row]) ** 2 - norm


@inner
def _whole_states(kinds, counts, odds, n_states, states):
    """One state a group, as in _whole of valences.py: states, and their log odds (-inf if there are none)."""
    n_groups = len(kinds)
    chosen = np.zeros(n_groups)
    firsts = np.empty(n_groups + 1, np.int64)  # of the groups of each element
    n_elements = 0
    for group in range(n_groups):
        if group == 0 or kinds[group] != kinds[group - 1]:
            firsts[n_elements] = group
            n_elements += 1
    firsts[n_elements] = n_groups
    # charges an element may have, counted from the lowest
    sizes = np.empty(n_elements, np.int64)
    amounts = np.empty(n_elements, np.int64)
    lowest = 0
    n_charges = 1
    widest = 1
    for element in range(n_elements):
        kind = kinds[firsts[element]]
        amounts[element] = np.sum(counts[firsts[element] : firsts[element + 1]])
        sizes[element] = amounts[element] * (states[kind, n_states[kind] - 1] - states[kind, 0]) + 1
        lowest += amounts[element] * states[kind, 0]
        n_charges += sizes[element] - 1
        widest = max(widest, sizes[element])
    neutral = -lowest
    if not 0 <= neutral < n_charges:
        return chosen, -np.inf
    best = np.full((n_elements, widest), -np.inf)
    rows = np.zeros((n_elements, widest), np.int64)
    for element in range(n_elements):
        first, last = firsts[element], firsts[element + 1]
        kind = kinds[first]
        for row in range(n_states[kind]):
            start = amounts[element] * (states[kind, row] - states[kind, 0])
            adjacent = row + 1 < n_states[kind] and states[kind, row + 1] == states[kind, row] + 1
            reached = _raise(counts[first:last], odds[first:last], row, adjacent, np.zeros((0, 0), np.bool_))
            for charge in range(len(reached)):
                if reached[charge] > best[element, start + charge] + TIE:
                    best[element, start + charge] = reached[charge]
                    rows[element, start + charge] = row
    # charges of the first elements together
    together = np.full((n_elements, n_charges), -np.inf)
    added = np.zeros((n_elements, n_charges), np.int64)
    size = sizes[0]
    for charge in range(size):
        together[0, charge] = best[0, charge]
        added[0, charge] = charge
    for element in range(1, n_elements):
        for before in range(size):
            if together[element - 1, before] == -np.inf:
                continue
            start, stop = 0, sizes[element]
            if element == n_elements - 1:
                start, stop = max(0, neutral - before), min(stop, neutral - before + 1)
            for charge in range(start, stop):
                score = together[element - 1, before] + best[element, charge]
                if score > together[element, before + charge] + TIE:
                    together[element, before + charge] = score
                    added[element, before + charge] = charge
        size += sizes[element] - 1
    found = together[n_elements - 1, neutral]
    if found == -np.inf:
        return chosen, -np.inf
    remaining = neutral
    for element in range(n_elements - 1, -1, -1):
        first, last = firsts[element], firsts[element + 1]
        kind = kinds[first]
        charge = added[element, remaining]
        remaining -= charge
        row = rows[element, charge]
        adjacent = row + 1 < n_states[kind] and states[kind, row + 1] == states[kind, row] + 1
        raised = np.zeros((last - first, amounts[element] + 1), np.bool_)
        _raise(counts[first:last], odds[first:last], row, adjacent, raised)
        charge -= amounts[element] * (states[kind, row] - states[kind, 0])
        for group in range(last - 1, first - 1, -1):
            up = raised[group - first, charge]
            chosen[group] = states[kind, row + up]
            if odds[group, row + up] < LEAST_LIKELY:
                return chosen, -np.inf
            if up:
                charge -= counts[group]
    return chosen, found


@inner
def _raise(counts, odds, row, adjacent, raised):
    """Best log odds of groups in one state, some raised by one, by how many atoms are; notes which, given room."""
    n_atoms = np.sum(counts) if adjacent else 0
    reached = np.full(n_atoms + 1, -np.inf)
    reached[0] = 0.0
    top = 0
    for group in range(len(counts)):
        lower = counts[group] * odds[group, row]
        upper = counts[group] * odds[group, row + 1] if adjacent else -np.inf
        top = min(n_atoms, top + counts[group])
        for charge in range(top, -1, -1):
            score = reached[charge] + lower
            if charge >= counts[group] and reached[charge - counts[group]] + upper > score + TIE:
                score = reached[charge - counts[group]] + upper
                if len(raised):
                    raised[group, charge] = True
            reached[charge] = score
    return reached


@inner
def _shared_states(kinds, counts, odds, n_states, states):
    """States as averages, as in _shared of valences.py: states, and their log odds (-inf if there are none)."""
    n_groups = len(kinds)
    n_rows = states.shape[1]
    hulls = np.empty((n_groups, n_rows), np.int64)
    levels = np.zeros(n_groups, np.int64)  # place on the hull
    slopes = np.empty(n_groups * n_rows)
    owners = np.empty(n_groups * n_rows, np.int64)
    ends = np.empty(n_groups * n_rows, np.int64)
    chosen = np.empty(n_groups)
    n_steps = 0
    charge = 0.0
    for group in range(n_groups):
        state, score, hull = states[kinds[group]], odds[group], hulls[group]
        n = 0
        for row in range(n_states[kinds[group]]):
            while n > 1 and (score[hull[n - 1]] - score[hull[n - 2]]) * (state[row] - state[hull[n - 1]]) <= (
                score[row] - score[hull[n - 1]]
            ) * (state[hull[n - 1]] - state[hull[n - 2]]):
                n -= 1
            hull[n] = row
            n += 1
        for step in range(1, n):
            low, high = hull[step - 1], hull[step]
            slopes[n_steps] = (score[low] - score[high]) / (state[high] - state[low])
            owners[n_steps] = group
            ends[n_steps] = step
            n_steps += 1
        chosen[group] = state[0]
        charge += counts[group] * state[0]
    if charge > 0.0:
        return chosen, -np.inf
    order = _ascending(slopes[:n_steps])
    done = 0
    while done < n_steps and charge < 0.0:
        width = 0.0
        last = done
        while last < n_steps and slopes[order[last]] <= slopes[order[done]] + TIE:
            group, end = owners[order[last]], ends[order[last]]
            state = states[kinds[group]]
            width += counts[group] * (state[hulls[group, end]] - state[hulls[group, end - 1]])
            last += 1
        share = min(1.0, -charge / width)
        for idx in range(done, last):
            group, end = owners[order[idx]], ends[order[idx]]
            state = states[kinds[group]]
            chosen[group] += share * (state[hulls[group, end]] - state[hulls[group, end - 1]])
            levels[group] = end
        charge += share * width
        done = last
    if charge < -TIE:
        return chosen, -np.inf
    total = 0.0
    for group in range(n_groups):
        state, score = states[kinds[group]], odds[group]
        high = hulls[group, levels[group]]
        score_here = score[high]
        if chosen[group] < state[high] - TIE:
            low = hulls[group, levels[group] - 1]
            part = (chosen[group] - state[low]) / (state[high] - state[low])
            score_here = (1.0 - part) * score[low] + part * score[high]
            if state[low] < 0 < state[high]:
                return chosen, -np.inf
        if score_here < LEAST_LIKELY:
            return chosen, -np.inf
        total += counts[group] * score_here
    for group in range(n_groups):
        likeliest = 0
        for row in range(1, n_states[kinds[group]]):
            if odds[group, row] > odds[group, likeliest]:
                likeliest = row
        if chosen[group] * states[kinds[group], likeliest] < 0:
            for other in range(n_groups):
                if kinds[other] == kinds[group] and chosen[other] * chosen[group] < 0:
                    return chosen, -np.inf
    return chosen, total


@inner
def _bond_sums(lattice, frac_coords, numbers, lengths, directions):
    """Sum of bond valences at every site, positive at cations."""
    n_sites = len(frac_coords)
    sums = np.zeros(n_sites)
    grid = _make_grid(lattice, frac_coords, max(0.5 * RADIUS, _typical_distance(lattice, n_sites)))
    cell, heights, n_bins, bins, starts, binned, wrapped = grid
    reach = np.empty(3, np.int64)
    for axis in range(3):
        reach[axis] = int(RADIUS / heights[axis] * n_bins[axis]) + 1
    coords = np.zeros((n_sites, 3))
    for site in range(n_sites):
        for row in range(3):
            for axis in range(3):
                coords[site, axis] += wrapped[site, row] * cell[row, axis]
    for site in range(n_sites):
        for i in range(bins[site, 0] - reach[0], bins[site, 0] + reach[0] + 1):
            shift_i = i // n_bins[0]
            for j in range(bins[site, 1] - reach[1], bins[site, 1] + reach[1] + 1):
                shift_j = j // n_bins[1]
                row = ((i - shift_i * n_bins[0]) * n_bins[1] + j - shift_j * n_bins[1]) * n_bins[2]
                for k in range(bins[site, 2] - reach[2], bins[site, 2] + reach[2] + 1):
                    shift_k = k // n_bins[2]
                    idx = row + k - shift_k * n_bins[2]
                    if starts[idx] == starts[idx + 1]:
                        continue
                    x = shift_i * cell[0, 0] + shift_j * cell[1, 0] + shift_k * cell[2, 0] - coords[site, 0]
                    y = shift_i * cell[0, 1] + shift_j * cell[1, 1] + shift_k * cell[2, 1] - coords[site, 1]
                    z = shift_i * cell[0, 2] + shift_j * cell[1, 2] + shift_k * cell[2, 2] - coords[site, 2]
                    for position in range(starts[idx], starts[idx + 1]):
                        atom = binned[position]
                        if atom <= site or directions[numbers[site], numbers[atom]] == 0.0:
                            continue
                        squared = (coords[atom, 0] + x) ** 2 + (coords[atom, 1] + y) ** 2 + (coords[atom, 2] + z) ** 2
                        if squared <= RADIUS * RADIUS:
                            gap = lengths[numbers[site], numbers[atom]] - SCALE * math.sqrt(squared)
                            bond = math.exp(gap / SOFTNESS)
                            sums[site] += directions[numbers[site], numbers[atom]] * bond
                            sums[atom] += directions[numbers[atom], numbers[site]] * bond
    return sums
