"""Which coordination polyhedra of a crystal touch, and by which ligands."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from matembed.motifs.graph import Connection, Image, Ligand, Motif

__all__ = ["connect"]


def connect(
    motifs: Sequence[Motif], *, engine: Literal["numba", "numpy"] = "numba", symmetrise: bool = False
) -> tuple[Connection, ...]:
    """Find which coordination polyhedra touch, and how.

    One shared ligand is a corner, two an edge, three or more a face [1]_. A ligand is shared if it is the same
    atom, that is the same site in the same image, and belongs to both shells.

    Parameters
    ----------
    motifs : sequence of Motif, length n_motifs
        Ligands are (site, image) pairs; an image is three integers, in lattice vectors.
    engine : {"numba", "numpy"}
        Compiled, or the readable definition it is held equal to.
    symmetrise : bool, default False
        Where every site is the centre of a motif, as in metals, a shell may hold an atom whose own shell does not hold
        it back. If true, it counts as if it did; pymatgen's connectivity has it so where valences are undefined.

    Returns
    -------
    tuple of Connection
        Each pair once, with all shared ligands, sorted by (source, target, image).

    Raises
    ------
    ValueError
        If two motifs share a centre, or `engine` is unknown.

    References
    ----------
    .. [1] L. Pauling, J. Am. Chem. Soc. 51, 1010 (1929).

    Examples
    --------
    A square net of one atom with four ligands halfway to its images shares corners along both axes.

    >>> x, y = [Ligand(1, (a, 0, 0)) for a in (-1, 0)], [Ligand(2, (0, b, 0)) for b in (-1, 0)]
    >>> motif = Motif(0, "Cu", 2.0, "S:4", 0.0, (*x, *y), ("O",) * 4)
    >>> [(connection.sharing, connection.image) for connection in connect([motif])]
    [('corner', (0, 1, 0)), ('corner', (1, 0, 0))]
    """
    centres = [motif.site for motif in motifs]
    if len(set(centres)) < len(centres):
        twice = next(site for site in centres if centres.count(site) > 1)
        msg = f"every motif needs a centre of its own, got two on site {twice}"
        raise ValueError(msg)
    if engine == "numba":
        return _compiled(motifs, symmetrise)
    if engine != "numpy":
        msg = f"engine must be 'numba' or 'numpy', got {engine!r}"
        raise ValueError(msg)
    holders: defaultdict[int, set[tuple[int, Image]]] = defaultdict(set)
    motif_of = {site: idx for idx, site in enumerate(centres)}
    for idx, motif in enumerate(motifs):
        for site, (a, b, c) in motif.ligands:
            holders[site].add((idx, (a, b, c)))
            if symmetrise and site in motif_of:
                holders[motif.site].add((motif_of[site], (-a, -b, -c)))
    shared: defaultdict[tuple[int, int, Image], list[Ligand]] = defaultdict(list)
    for site, entries in holders.items():
        for source, (a, b, c) in entries:
            for target, (x, y, z) in entries:
                image = (a - x, b - y, c - z)
                if source < target or (source == target and image > (0, 0, 0)):
                    shared[source, target, image].append(Ligand(site, (a, b, c)))
    return tuple(Connection(*pair, tuple(sorted(ligands))) for pair, ligands in sorted(shared.items()))


def _compiled(motifs: Sequence[Motif], symmetrise: bool) -> tuple[Connection, ...]:
    from matembed.motifs._numba import connect_all

    ends = np.cumsum([0, *(len(motif.ligands) for motif in motifs)])
    ligands = np.array([(s, *i) for m in motifs for s, i in m.ligands], dtype=np.int64).reshape(-1, 4)
    centres = np.array([motif.site for motif in motifs], dtype=np.int64)
    n_sites = int(max(centres.max(initial=-1), ligands[:, 0].max(initial=-1))) + 1
    spans = np.column_stack([ends[:-1], ends[1:]])
    connections, shared = connect_all(centres, spans, ligands, np.zeros((n_sites, 3)), symmetrise)
    starts = [*connections[:, 5].tolist(), len(shared)]
    found = [Ligand(site, (a, b, c)) for site, a, b, c in shared.tolist()]
    return tuple(
        Connection(source, target, (a, b, c), tuple(found[starts[row] : starts[row + 1]]))
        for row, (source, target, a, b, c, _) in enumerate(connections.tolist())
    )
