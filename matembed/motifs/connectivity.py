"""Which coordination polyhedra of a crystal touch, and by which ligands."""

from collections import defaultdict
from collections.abc import Sequence

from matembed.motifs.graph import Connection, Image, Ligand, Motif

__all__ = ["connect"]


def connect(motifs: Sequence[Motif]) -> tuple[Connection, ...]:
    """Find which coordination polyhedra touch, and how.

    One shared ligand is a corner, two an edge, three or more a face [1]_. A ligand is shared if it is the same
    atom, that is the same site in the same image, and belongs to both shells. Nothing else counts: where
    every site is the centre of a motif, a shell may hold an atom whose own shell does not hold it back.

    Parameters
    ----------
    motifs : sequence of Motif, length n_motifs
        Ligands are (site, image) pairs; an image is three integers, in lattice vectors.

    Returns
    -------
    tuple of Connection
        Each pair once, with all shared ligands, sorted by (source, target, image).

    Raises
    ------
    ValueError
        If two motifs share a centre.

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
    holders: defaultdict[int, list[tuple[int, Image]]] = defaultdict(list)
    for idx, motif in enumerate(motifs):
        for ligand in motif.ligands:
            holders[ligand.site].append((idx, ligand.image))
    shared: defaultdict[tuple[int, int, Image], list[Ligand]] = defaultdict(list)
    for site, entries in holders.items():
        for source, (a, b, c) in entries:
            for target, (x, y, z) in entries:
                image = (a - x, b - y, c - z)
                if source < target or (source == target and image > (0, 0, 0)):
                    shared[source, target, image].append(Ligand(site, (a, b, c)))
    return tuple(Connection(*pair, tuple(sorted(ligands))) for pair, ligands in sorted(shared.items()))
