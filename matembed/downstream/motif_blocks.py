"""Motif blocks: the motifs of crystals -> named columns that no choice of cell, site order or rotation changes.

Each block is a function of a `MotifBatch`; lengths come in only where it says so:

============== ====================================================================== ==========================
block          what its columns say                                                   lengths
============== ====================================================================== ==========================
centres        which element has which coordination, oxidation states and d electrons, no
               and the same seen from the ligands
geometries     fractions of the commonest ChemEnv geometries; CN and CSM              no (but CSM)
connections    corners, edges and faces that motifs share, between which centres; in  no
               how many dimensions the network of motifs extends
size           volume per atom, density, packing                                      volume of the cell
bond_lengths   lengths of the bonds of motifs, and relative to covalent radii         yes
bond_physics   reduced mass, electronegativity and stiffness of bonds                 yes
============== ====================================================================== ==========================

A mean, std, min or max is over the motifs of the cell unless the name says "per bond", "per link" or "per ligand"; what
is "per atom" is summed over the cell and divided by its atoms. A mean over a class of centres is 0 where the crystal
has none, and so is everything of a crystal without motifs, which the column "without motifs" tells from others. chi is
Pauling's electronegativity; strength is oxidation / cn, and 0 where oxidation states are not known. These may have been
found by bond valences, from lengths.

Blocks with lengths tell more where every site is a centre (``valences="none"``): the stiffest bond need not be one
between a cation and an anion.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.downstream.motif_batch import (
    Floats,
    MotifBatch,
    Segments,
    element_properties,
    geometry_codes,
    network_dimensions,
)
from matembed.elements import SYMBOLS
from matembed.motifs.geometry import LARGEST_CN

__all__ = ["BLOCKS", "GEOMETRIES", "MEASURED_BLOCKS", "Block", "block_columns", "describe_motifs"]

Block = Literal["centres", "geometries", "connections", "size", "bond_lengths", "bond_physics"]
BLOCKS: tuple[Block, ...] = get_args(Block)
MEASURED_BLOCKS: tuple[Block, ...] = ("size", "bond_lengths", "bond_physics")  # need coordinates, not labels alone

# The commonest by share of motifs, a crystal counting once, over 138,233 crystals of the Materials Project (2025).
_COMMONEST = (
    "O:6 T:4 C:12 S:1 UNKNOWN:14 S:5 AC:12 L:2 T:6 TT_1:9 C:8 TL:3 T:5 I:12 TY:3 SBT:8 ST:7 S:4 SS:4 A:2 DDPN:8 SA:8 "
    "PB:7 BS_2:10 SBSA:10 DI:11 FO:7 SH:13 SMA:9 UNKNOWN:16 MI:10 SY:4 BS_1:10 PP:6 TS:3 PCPA:11 TT_2:9 H:11 HB:8 "
    "PP:10 BO_1:8 SS:9 HP:12 BO_2:8"
)
GEOMETRIES: tuple[str, ...] = tuple(_COMMONEST.split())
# The links that most of these crystals have.
_TRIPLES: tuple[tuple[str, int, str], ...] = tuple(
    (first, n_shared, second)
    for n_shared, pairs in (
        (
            1,
            "O:6-O:6 O:6-T:4 T:4-T:4 C:12-C:12 UNKNOWN:14-UNKNOWN:14 S:5-S:5 S:5-T:4 O:6-S:5 TT_1:9-TT_1:9 S:1-S:1 "
            "SBT:8-SBT:8 T:4-T:5 I:12-I:12 T:5-T:5 AC:12-AC:12 ST:7-ST:7 O:6-T:5",
        ),
        (
            2,
            "O:6-O:6 T:4-T:4 S:5-S:5 UNKNOWN:14-UNKNOWN:14 O:6-T:4 C:8-C:8 AC:12-AC:12 T:6-T:6 O:6-S:5 C:12-C:12 "
            "ST:7-ST:7 TT_1:9-TT_1:9 SBT:8-SBT:8 T:5-T:5 S:5-T:4 I:12-I:12",
        ),
        (3, "O:6-O:6 C:12-C:12 C:12-O:6 UNKNOWN:14-UNKNOWN:14 AC:12-AC:12 TT_1:9-TT_1:9 I:12-I:12"),
    )
    for first, second in (pair.split("-") for pair in pairs.split())
)
_SHARED = ("corner", "edge", "face")
# With the metalloids: B, C to F, Si to Cl, Ge to Br, Sb to I.
_NONMETALS = (5, 6, 7, 8, 9, 14, 15, 16, 17, 32, 33, 34, 35, 51, 52, 53)
# Ligand-field stabilisation by number of d electrons, high spin, in units of the octahedral splitting.
_OCTAHEDRAL = np.array([0, -0.4, -0.8, -1.2, -0.6, 0, -0.4, -0.8, -1.2, -0.6, 0])
_TETRAHEDRAL = np.array([0, -0.6, -1.2, -0.8, -0.4, 0, -0.6, -1.2, -0.8, -0.4, 0]) * 4 / 9

Columns = dict[str, Floats]


def describe_motifs(batch: MotifBatch, blocks: Sequence[Block]) -> NDArray[np.float64]:
    """Compute the columns of blocks.

    Parameters
    ----------
    batch : MotifBatch
        Motifs of n_crystals crystals.
    blocks : sequence of str
        Some of `BLOCKS`.

    Returns
    -------
    float64 array, shape (n_crystals, n_columns)
        Finite; one row a crystal, columns as `block_columns` names them.

    Raises
    ------
    ValueError
        If a block needs lengths and the batch has none.

    Examples
    --------
    >>> from matembed.motifs import Crystal, find_motif_arrays
    >>> salt = find_motif_arrays(Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17]))
    >>> row = describe_motifs(MotifBatch.from_found([salt]), ["size"])[0]
    >>> dict(zip(block_columns(["size"]), row.round(3).tolist(), strict=True))
    {'size: volume per atom': 34.967, 'size: density': 3.998, 'size: packing': 0.934}
    """
    columns = _columns(batch, blocks)
    return np.column_stack(list(columns.values())) if columns else np.empty((batch.n_crystals, 0))


def block_columns(blocks: Sequence[Block]) -> list[str]:
    """Name the columns of blocks.

    Parameters
    ----------
    blocks : sequence of str
        Some of `BLOCKS`.

    Returns
    -------
    list of str
        ``"{block}: {column}"``, such as ``"centres: cn of lightest centre"``.

    Examples
    --------
    >>> block_columns(["geometries"])[:2]
    ['geometries: without motifs', 'geometries: O:6']
    """
    return [name for block in blocks for name in _names(block)]


@lru_cache(maxsize=len(BLOCKS))
def _names(block: Block) -> tuple[str, ...]:
    return tuple(_columns(MotifBatch.from_found([]), [block]))


def _columns(batch: MotifBatch, blocks: Sequence[Block]) -> Columns:
    return {f"{block}: {name}": values for block in blocks for name, values in _FUNCTIONS[block](batch).items()}


# Centres -------------------------------------------------------------------------------------------------------------


def _centres(batch: MotifBatch) -> Columns:
    return {
        "without motifs": _without_motifs(batch),
        **_coordination(batch),
        **_by_class(batch),
        **_per_atom(batch),
        **_electrons(batch),
        **_ligands(batch),
        **_bonded_elements(batch),
    }


def _without_motifs(batch: MotifBatch) -> Floats:
    return (batch.motifs.counts == 0).astype(np.float64)


def _coordination(batch: MotifBatch) -> Columns:
    """Properties of centres weighed by coordination number, and how ligands differ from centres."""
    elements, motifs, cn = element_properties(), batch.motifs, batch.cns.astype(np.float64)
    chi, mass, radius = (values[batch.numbers] for values in elements[:3])
    ligands = batch.site_numbers[batch.ligand_sites]
    ligand_chi, ligand_radius, number, square = (
        batch.per_motif(values, batch.ligand_motifs) / cn
        for values in (
            elements.electronegativity[ligands],
            elements.radius[ligands],
            ligands.astype(np.float64),
            ligands.astype(np.float64) ** 2,
        )
    )
    return {
        **motifs.four("chi / cn", chi / cn),
        **motifs.four("mass / cn", mass / cn),
        **motifs.four("radius^3 / cn", radius**3 / cn),
        **motifs.four("chi * cn", chi * cn),
        **motifs.four("chi of ligands - centre", ligand_chi - chi),
        **motifs.four("cn (radius of ligands / centre)^2", cn * (ligand_radius / radius) ** 2),
        "share of mixed ligands": motifs.mean((square - number**2 > 1e-6).astype(np.float64)),
    }


def _by_class(batch: MotifBatch) -> Columns:
    """Coordination of classes of centres."""
    motifs, cn = batch.motifs, batch.cns.astype(np.float64)
    columns = {}
    for name, members in _extreme_centres(batch).items():
        columns[f"cn of {name} centre"] = motifs.mean(cn, members)
        columns[f"csm of {name} centre"] = motifs.mean(batch.csms, members)
    octahedral = _is_geometry(batch, "O:6").astype(np.float64)
    for name, members in _families(batch).items():
        some = motifs.most(members.astype(np.float64))
        columns |= {
            f"cn of {name} centres": motifs.mean(cn, members),
            f"min cn of {name} centres": some * motifs.least(np.where(members, cn, LARGEST_CN + 1.0)),
            f"max cn of {name} centres": motifs.most(np.where(members, cn, 0.0)),
            f"csm of {name} centres": motifs.mean(batch.csms, members),
            f"octahedral share of {name} centres": motifs.mean(octahedral, members),
        }
    _, element, n_motifs = np.unique(
        batch.crystal_idx * len(SYMBOLS) + batch.numbers, return_inverse=True, return_counts=True
    )
    deviation = cn - (np.bincount(element, weights=cn, minlength=len(n_motifs)) / n_motifs)[element]
    columns["std of cn within an element"] = np.sqrt(motifs.mean(deviation**2))
    columns["max |cn - mean cn of its element|"] = motifs.most(np.abs(deviation))
    return columns


def _per_atom(batch: MotifBatch) -> Columns:
    """How much coordination there is per atom of the crystal, and how ionic it is.

    A bond between atoms that differ by dchi in electronegativity is stabilised by about dchi^2 [1]_.

    References
    ----------
    .. [1] L. Pauling, J. Am. Chem. Soc. 54, 3570 (1932).
    """
    elements, bonds = element_properties(), batch.bonds
    sites = Segments(batch.site_crystal_idx, batch.n_crystals)
    ligand = (np.bincount(batch.ligand_sites, minlength=len(batch.site_numbers)) > 0).astype(np.float64)
    centres, ligands = _bonded(batch)
    ionic = (elements.electronegativity[centres] - elements.electronegativity[ligands]) ** 2
    cn = batch.cns[batch.ligand_motifs].astype(np.float64)
    strength = np.nan_to_num(batch.oxidations)[batch.ligand_motifs] / cn
    inverse = 1 / (elements.radius[centres] + elements.radius[ligands])
    n_links = np.bincount(batch.crystal_idx[batch.links[:, 0]], minlength=batch.n_crystals)
    columns = {
        "centres per atom": batch.motifs.counts / sites.counts,
        "ligands per atom": sites.mean(ligand),
        "bonds per atom": bonds.counts / sites.counts,
        "links per atom": n_links / sites.counts,
    }
    for name, values in (
        ("dchi^2", ionic),
        ("dchi^2 / sqrt(cn)", ionic / np.sqrt(cn)),
        ("dchi^2 / cn", ionic / cn),
        ("dchi^2 sqrt(|strength|)", ionic * np.sqrt(np.abs(strength))),
        ("dchi^2 strength", ionic * strength),
        ("dchi^2 strength^2", ionic * strength**2),
        ("strength / radii", strength * inverse),
        ("strength valence / radii", strength * elements.anion_valence[ligands] * inverse),
    ):
        columns[f"{name} of bonds per atom"] = bonds.total(values) / sites.counts
    return columns


def _extreme_centres(batch: MotifBatch) -> Mapping[str, NDArray[np.bool_]]:
    """Motifs whose centre is the element of a crystal's centres that is extreme in something."""
    elements, motifs = element_properties(), batch.motifs
    chi, mass, radius = (values[batch.numbers] for values in elements[:3])
    return {
        "lightest": mass == motifs.least(mass)[batch.crystal_idx],
        "least electronegative": chi == motifs.least(chi)[batch.crystal_idx],
        "most electronegative": chi == motifs.most(chi)[batch.crystal_idx],
        "largest": radius == motifs.most(radius)[batch.crystal_idx],
    }


def _block_centres(batch: MotifBatch) -> Mapping[str, NDArray[np.bool_]]:
    """Motifs whose centre is of a block of the periodic table."""
    block = element_properties().block[batch.numbers]
    return {f"{name}-block": block == name for name in "spdf"}


def _families(batch: MotifBatch) -> Mapping[str, NDArray[np.bool_]]:
    """Motifs whose centre is of a family of elements."""
    elements, numbers = element_properties(), batch.numbers
    block, group, period = elements.block[numbers], elements.group[numbers], elements.period[numbers]
    nonmetal = np.isin(numbers, _NONMETALS)
    return {
        "hydrogen": numbers == 1,
        "alkali": (group == 1) & (numbers > 1),
        "alkaline earth": group == 2,
        "3d": (block == "d") & (period == 4),
        "4d and 5d": (block == "d") & (period > 4),
        "f-block": block == "f",
        "p-block metal": (block == "p") & ~nonmetal,
        "nonmetal": nonmetal,
    }


def _most_oxidised(batch: MotifBatch) -> NDArray[np.bool_]:
    oxidation = np.nan_to_num(batch.oxidations)
    # States that bond valences share out are fractions, equal up to rounding.
    return oxidation > batch.motifs.most(oxidation)[batch.crystal_idx] - 1e-6


def _is_geometry(batch: MotifBatch, symbol: str) -> NDArray[np.bool_]:
    return batch.geometries == geometry_codes()[symbol]


def _electrons(batch: MotifBatch) -> Columns:
    """Oxidation states of centres, bond strengths after Pauling, d electrons and lone pairs by coordination."""
    elements, motifs = element_properties(), batch.motifs
    known = np.isfinite(batch.oxidations)
    oxidation, cn = np.nan_to_num(batch.oxidations), batch.cns.astype(np.float64)
    strength = oxidation / cn
    group, period = elements.group[batch.numbers], elements.period[batch.numbers]
    block = elements.block[batch.numbers]
    octahedral, tetrahedral, square = (_is_geometry(batch, symbol) for symbol in ("O:6", "T:4", "S:4"))
    in_d = known & (block == "d")
    n_d = np.where(in_d, np.clip(group - oxidation, 0, 10), 0.0)
    in_octahedra, in_tetrahedra = (np.interp(n_d, np.arange(11), energy) for energy in (_OCTAHEDRAL, _TETRAHEDRAL))
    stabilisation = in_d * np.where(octahedral, in_octahedra, np.where(tetrahedral, in_tetrahedra, 0.0))
    degenerate = in_d & octahedral & ((np.abs(n_d - 4) < 0.5) | (np.abs(n_d - 9) < 0.5))
    lone_pair = known & (block == "p") & (period >= 4) & (np.abs(group - 12 - oxidation) < 0.5)
    most = _most_oxidised(batch)
    columns = {
        "share of known oxidations": motifs.mean(known.astype(np.float64)),
        **motifs.four("oxidation", oxidation),
        **motifs.four("oxidation / cn", strength),
        "cn of most oxidised centre": motifs.mean(cn, most),
        "csm of most oxidised centre": motifs.mean(batch.csms, most),
        "share with known d electrons": motifs.mean(in_d.astype(np.float64)),
        "d electrons": motifs.mean(n_d, in_d),
        "max d electrons": motifs.most(n_d),
        "ligand field stabilisation": motifs.mean(stabilisation, in_d),
        "preference for octahedra": motifs.mean(np.where(octahedral, 1, -1) * (in_octahedra - in_tetrahedra), in_d),
        "share of Jahn-Teller octahedra": motifs.mean(degenerate.astype(np.float64)),
        "csm of Jahn-Teller octahedra": motifs.mean(batch.csms, degenerate),
        "share of lone pairs": motifs.mean(lone_pair.astype(np.float64)),
        "cn of lone-pair centres": motifs.mean(cn, lone_pair),
        "csm of lone-pair centres": motifs.mean(batch.csms, lone_pair),
    }
    for name, members in (
        ("d0 octahedra", octahedral & (n_d < 0.5)),
        ("d0 tetrahedra", tetrahedral & (n_d < 0.5)),
        ("d8 squares", square & (np.abs(n_d - 8) < 0.5)),
        ("d10 with cn up to 4", (n_d > 9.5) & (cn <= 4)),
    ):
        columns[f"share of {name}"] = motifs.mean((in_d & members).astype(np.float64))
    for name, members in _block_centres(batch).items():
        columns[f"oxidation / cn of {name} centres"] = motifs.mean(strength, members)
    return columns


def _ligands(batch: MotifBatch) -> Columns:
    """Look from the ligands: how many centres each has, of which kind, and how strongly they bind it [1]_.

    References
    ----------
    .. [1] L. Pauling, J. Am. Chem. Soc. 51, 1010 (1929): the strengths that reach an anion, oxidation / cn of each of
       its centres, add up to its valence.
    """
    elements, motifs = element_properties(), batch.ligand_motifs

    def gathered(values: Floats) -> Floats:
        return np.bincount(batch.ligand_sites, weights=values, minlength=len(batch.site_numbers))[sites].astype(
            np.float64, copy=False
        )

    n_bonds = np.bincount(batch.ligand_sites, minlength=len(batch.site_numbers))
    sites = np.flatnonzero(n_bonds)
    n_centres = n_bonds[sites].astype(np.float64)
    ligands = Segments(batch.site_crystal_idx[sites], batch.n_crystals)
    numbers = batch.site_numbers[sites]
    chi = elements.electronegativity[numbers]
    strength = gathered((np.nan_to_num(batch.oxidations) / batch.cns)[motifs])
    excess = np.where(strength > 0, strength - elements.anion_valence[numbers], 0.0)
    centre_chi = elements.electronegativity[batch.numbers][motifs]
    mean_chi = gathered(centre_chi) / n_centres
    spread = np.sqrt(np.maximum(gathered(centre_chi**2) / n_centres - mean_chi**2, 0))
    # Rounding leaves about 1e-8 of a spread that is none.
    spread[spread < 1e-6] = 0
    return {
        **ligands.four("centres per ligand", n_centres),
        **ligands.four("strength per ligand", strength),
        **ligands.four("strength - valence per ligand", excess),
        "mean |strength - valence| per ligand": ligands.mean(np.abs(excess)),
        "rms strength - valence per ligand": np.sqrt(ligands.mean(excess**2)),
        **ligands.four("chi of centres per ligand", mean_chi),
        "mean std of chi of centres per ligand": ligands.mean(spread),
        **ligands.four("chi of ligand - centres per ligand", chi - mean_chi),
        **ligands.four("mass of centres per ligand", gathered(elements.mass[batch.numbers][motifs]) / n_centres),
        **ligands.four("cn of centres per ligand", gathered(batch.cns[motifs].astype(np.float64)) / n_centres),
        "centres per most electronegative ligand": ligands.mean(n_centres, chi == ligands.most(chi)[ligands.idx]),
        "share of terminal ligands": ligands.mean((n_centres == 1).astype(np.float64)),
        "share of bridging ligands": ligands.mean((n_centres == 2).astype(np.float64)),
        "share of ligands with 3 centres": ligands.mean((n_centres == 3).astype(np.float64)),
        "share of ligands with 4 centres": ligands.mean((n_centres == 4).astype(np.float64)),
    }


def _bonded_elements(batch: MotifBatch) -> Columns:
    """Pairs of elements that are bonded, without how far apart they are."""
    elements, bonds = element_properties(), batch.bonds
    centres, ligands = _bonded(batch)
    chi, mass, radius = elements[:3]
    in_d = elements.block == "d"
    return {
        **bonds.four("|chi difference| per bond", np.abs(chi[centres] - chi[ligands])),
        **bonds.four("sqrt(chi chi) per bond", np.sqrt(chi[centres] * chi[ligands])),
        **bonds.four("reduced mass per bond", mass[centres] * mass[ligands] / (mass[centres] + mass[ligands])),
        **bonds.four("sum of radii per bond", radius[centres] + radius[ligands]),
        **bonds.four("ratio of radii per bond", radius[centres] / radius[ligands]),
        "share of bonds between like atoms": bonds.mean((centres == ligands).astype(np.float64)),
        "share of bonds between d-block atoms": bonds.mean((in_d[centres] & in_d[ligands]).astype(np.float64)),
    }


def _bonded(batch: MotifBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Atomic numbers of the centre and the ligand of every bond."""
    return batch.numbers[batch.ligand_motifs], batch.site_numbers[batch.ligand_sites]


# Geometries ----------------------------------------------------------------------------------------------------------


def _geometries(batch: MotifBatch) -> Columns:
    motifs = batch.motifs
    columns = {"without motifs": _without_motifs(batch)}
    columns |= {symbol: motifs.mean(_is_geometry(batch, symbol).astype(np.float64)) for symbol in GEOMETRIES}
    codes = [geometry_codes()[symbol] for symbol in GEOMETRIES]
    columns["other"] = motifs.mean((~np.isin(batch.geometries, codes)).astype(np.float64))
    return columns | motifs.four("cn", batch.cns.astype(np.float64)) | motifs.four("csm", batch.csms)


# Connections ---------------------------------------------------------------------------------------------------------


def _connections(batch: MotifBatch) -> Columns:
    return {
        "without motifs": _without_motifs(batch),
        **_sharing(batch),
        **_linked_geometries(batch),
        **_linked_elements(batch),
        **_networks(batch),
    }


def _shared_kind(n_shared: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.minimum(n_shared, 3) - 1


def _sharing(batch: MotifBatch) -> Columns:
    """How many corners, edges and faces the motifs share, all and those of classes of centres."""
    motifs, (near, far, n_shared) = batch.motifs, batch.ends
    kind = _shared_kind(n_shared)
    links = {name: batch.per_motif((kind == k).astype(np.float64), near) for k, name in enumerate(_SHARED)}
    every = batch.per_motif(np.ones(len(near)), near)
    like = batch.per_motif((batch.numbers[near] == batch.numbers[far]).astype(np.float64), near)
    mean_links = motifs.mean(every)
    columns: Columns = {"share of isolated motifs": motifs.mean((every == 0).astype(np.float64))}
    for name, count in links.items():
        columns[f"mean {name} links"] = motifs.mean(count)
        columns[f"std {name} links"] = motifs.std(count)
        columns[f"max {name} links"] = motifs.most(count)
        columns[f"share of {name} links"] = motifs.mean(count) / np.where(mean_links > 0, mean_links, 1)
        columns[f"share of motifs with {name} links"] = motifs.mean((count > 0).astype(np.float64))
    columns |= motifs.four("links between like centres", like)
    classes = {
        **{f"{name} centre": members for name, members in _extreme_centres(batch).items()},
        "most oxidised centre": _most_oxidised(batch),
        **{f"{name} centres": members for name, members in _block_centres(batch).items()},
    }
    for name, members in classes.items():
        for what, count in {**links, "like": like}.items():
            columns[f"{what} links of {name}"] = motifs.mean(count, members)
    return columns


def _linked_geometries(batch: MotifBatch) -> Columns:
    """How many links of the commonest kinds there are per motif."""
    codes, (near, far, n_shared) = geometry_codes(), batch.ends
    first, second = batch.geometries[near], batch.geometries[far]

    def key(one: NDArray[np.int64], other: NDArray[np.int64], kind: NDArray[np.int64]) -> NDArray[np.int64]:
        return (np.minimum(one, other) * len(codes) + np.maximum(one, other)) * len(_SHARED) + kind

    wanted = key(
        np.array([codes[one] for one, _, _ in _TRIPLES]),
        np.array([codes[other] for _, _, other in _TRIPLES]),
        np.array([n - 1 for _, n, _ in _TRIPLES]),
    )
    column = np.full(len(codes) ** 2 * len(_SHARED), len(wanted))
    column[wanted] = np.arange(len(wanted))
    width = len(wanted) + 1
    cells = batch.crystal_idx[near] * width + column[key(first, second, _shared_kind(n_shared))]
    counts = np.bincount(cells, minlength=batch.n_crystals * width).reshape(batch.n_crystals, width)
    per_motif = counts[:, :-1] / np.maximum(batch.motifs.counts, 1)[:, None]
    names = (f"{one} {_SHARED[n - 1]} {other}" for one, n, other in _TRIPLES)
    return dict(zip(names, per_motif.T, strict=True))


def _linked_elements(batch: MotifBatch) -> Columns:
    """How alike the centres of linked motifs are, and how they repel each other across what they share."""
    elements, motifs, (near, far, n_shared) = element_properties(), batch.motifs, batch.ends
    links = Segments(batch.crystal_idx[near], batch.n_crystals)
    one, other = batch.numbers[near], batch.numbers[far]
    chi, mass, radius = elements[:3]
    oxidation, cn = np.nan_to_num(batch.oxidations), batch.cns.astype(np.float64)
    strength = oxidation / cn
    like, kind = (one == other).astype(np.float64), _shared_kind(n_shared)
    n_links = batch.per_motif(np.ones(len(near)), near)
    around = batch.per_motif(chi[other], near) / np.maximum(n_links, 1)
    columns = {
        **links.four("|chi difference| per link", np.abs(chi[one] - chi[other])),
        **motifs.four("chi of linked centres - centre", np.where(n_links > 0, around - chi[batch.numbers], 0.0)),
        "mean |log mass ratio| per link": links.mean(np.abs(np.log(mass[one] / mass[other]))),
        "mean |radius difference| per link": links.mean(np.abs(radius[one] - radius[other])),
        "mean |cn difference| per link": links.mean(np.abs(cn[near] - cn[far])),
        "mean |oxidation difference| per link": links.mean(np.abs(oxidation[near] - oxidation[far])),
        "share of links between like centres": links.mean(like),
    }
    for k, name in enumerate(_SHARED):
        such = (kind == k).astype(np.float64)
        repulsion = batch.per_motif(oxidation[near] * oxidation[far] * such, near)
        columns[f"share of {name} links between like centres"] = links.mean(like, such)
        columns[f"oxidation * oxidation over {name} links"] = motifs.mean(repulsion)
        columns[f"strength * strength over {name} links"] = motifs.mean(
            batch.per_motif(strength[near] * strength[far] * such, near)
        )
    return columns


def _networks(batch: MotifBatch) -> Columns:
    """In how many directions networks of motifs extend: by all links, by edges and faces, within one element."""
    motifs = batch.motifs
    like = batch.numbers[batch.links[:, 0]] == batch.numbers[batch.links[:, 1]]
    every, by_edges, by_element = (
        network_dimensions(len(batch.numbers), batch.links[some], batch.link_images[some]).astype(np.float64)
        for some in (np.ones(len(like), dtype=bool), batch.n_shared >= 2, like)
    )
    in_d = (element_properties().block[batch.numbers] == "d").astype(np.float64)
    return {
        "mean dimension": motifs.mean(every),
        **{f"share of dimension {n}": motifs.mean((every == n).astype(np.float64)) for n in range(4)},
        "mean dimension by edges and faces": motifs.mean(by_edges),
        "max dimension by edges and faces": motifs.most(by_edges),
        "mean dimension of one element": motifs.mean(by_element),
        "min dimension of one element": motifs.least(by_element),
        "max dimension of one element": motifs.most(by_element),
        "mean dimension of one d-block element": motifs.mean(by_element, in_d),
    }


# Blocks with lengths -------------------------------------------------------------------------------------------------


def _size(batch: MotifBatch) -> Columns:
    elements, sites = element_properties(), Segments(batch.site_crystal_idx, batch.n_crystals)
    volumes = _measured(batch.volumes)
    return {
        "volume per atom": volumes / sites.counts,
        "density": sites.total(elements.mass[batch.site_numbers]) / volumes * 1.66053907,  # g/cm^3 of u/Å^3
        "packing": sites.total(4 / 3 * math.pi * elements.radius[batch.site_numbers] ** 3) / volumes,
    }


def _bond_lengths(batch: MotifBatch) -> Columns:
    bonds, motifs, lengths = batch.bonds, batch.motifs, _measured(batch.lengths)
    relative = lengths / _radii(batch)
    return {
        **bonds.four("d", lengths),
        **bonds.four("d / radii", relative),
        **motifs.four("d / radii of a motif", batch.per_motif(relative, batch.ligand_motifs) / batch.cns),
    }


def _bond_physics(batch: MotifBatch) -> Columns:
    elements, bonds, lengths = element_properties(), batch.bonds, _measured(batch.lengths)
    centres, ligands = _bonded(batch)
    chi, mass = elements.electronegativity, elements.mass
    reduced = mass[centres] * mass[ligands] / (mass[centres] + mass[ligands])
    relative = lengths / _radii(batch)
    lighter = np.minimum(mass[centres], mass[ligands])
    lightest = lighter == bonds.least(lighter)[bonds.idx]
    far = 1e3  # beyond any bond
    some = (bonds.counts > 0).astype(np.float64)
    return {
        **bonds.four("reduced mass", reduced),
        **bonds.four("|chi difference|", np.abs(chi[centres] - chi[ligands])),
        **bonds.four("1 / sqrt(mass d^3)", 1 / np.sqrt(reduced * lengths**3)),
        **bonds.four("1 / sqrt(mass) (radii / d)^3", 1 / np.sqrt(reduced) / relative**3),
        **bonds.four("sqrt(chi chi / mass) / d", np.sqrt(chi[centres] * chi[ligands] / reduced) / lengths),
        "share of bonds of the lightest atom": bonds.mean(lightest.astype(np.float64)),
        "mean d of the lightest atom": bonds.mean(lengths, lightest),
        "min d of the lightest atom": some * bonds.least(np.where(lightest, lengths, far)),
        "mean d / radii of the lightest atom": bonds.mean(relative, lightest),
        "min d / radii of the lightest atom": some * bonds.least(np.where(lightest, relative, far)),
    }


def _radii(batch: MotifBatch) -> Floats:
    centres, ligands = _bonded(batch)
    radius = element_properties().radius
    return np.asarray(radius[centres] + radius[ligands])


def _measured(values: Floats | None) -> Floats:
    if values is None:
        wanted = "size, bond_lengths and bond_physics need coordinates, and a MotifGraph has none"
        msg = f"{wanted}; pass Structure, Crystal or MotifArrays, or leave these blocks out"
        raise ValueError(msg)
    return values


_FUNCTIONS: Mapping[Block, Callable[[MotifBatch], Columns]] = {
    "centres": _centres,
    "geometries": _geometries,
    "connections": _connections,
    "size": _size,
    "bond_lengths": _bond_lengths,
    "bond_physics": _bond_physics,
}
