"""find_motifs: from a crystal structure to its motif graph."""

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.motifs.connectivity import connect
from matembed.motifs.graph import Ligand, Motif, MotifGraph
from matembed.motifs.orbits import find_orbits, find_primitive
from matembed.motifs.valences import VALENCE_METHODS, ValenceMethod, assign_valences, stated_valences

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure, Structure

    from matembed.motifs.shells import Shell

__all__ = ["ENGINES", "Engine", "MotifError", "find_motifs"]

Engine = Literal["chemenv", "numba", "numpy"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

# No two atoms of a crystal are nearer: the shortest bond there is, H-H, measures 0.74 Å.
_NEAREST = 0.5
# A ligand is recognised by its place, in Å. The symmetry search lets atoms be 0.001 off, and none are within 0.5.
_SAME_PLACE = 0.05


class MotifError(ValueError):
    """A structure has no motif graph; the message is the reason, in one line."""


def find_motifs(
    structure: "IStructure",
    *,
    engine: Engine = "chemenv",
    strategy: Literal["simplest"] = "simplest",
    valences: Sequence[float] | ValenceMethod | None = None,
) -> MotifGraph:
    """Find the coordination polyhedra of a crystal and what they share.

    Centres are the cations, and their ligands are anions. Where oxidation states are undefined, as in metals,
    every site is a centre and any atom a ligand. One site of each crystallographic orbit is analysed and its
    shell carried to the others by symmetry, so that the answer does not depend on the choice of cell and a
    supercell costs little more than its primitive cell.

    Parameters
    ----------
    structure : Structure
        Of pymatgen: ordered, periodic in three dimensions, n_sites of 1 or more.
    engine : {"chemenv", "numba", "numpy"}
        What finds the shells and names their geometry, all by the rules of ChemEnv [1]_ [2]_: pymatgen's ChemEnv
        itself, in about 0.1 s for each distinct centre; compiled kernels, hundreds of times faster at this step once
        numba has compiled them (some 20 s, once), so that valences and symmetry take most of the time; or the
        readable definition that the kernels are held equal to. ChemEnv may miss the lowest csm, and fails where an
        atom has no neighbours within 10 Å.
    strategy : {"simplest"}
        Ligands are up to 1.4 times as far as the nearest and fill at least 0.3 of the largest solid angle, both
        cutoffs moved to the end of the plateau they fall on; the geometry is that of lowest csm. Atoms beyond
        1.41 times the nearest distance are not looked at, which is ChemEnv's ``maximum_distance_factor``.
    valences : sequence of float, length n_sites, or {"structure", "bond_valence", "composition", "none"}, optional
        Oxidation states in units of e, or where to take them from: the species of the structure, bond valence
        analysis, the likeliest neutral combination for the formula, or undefined. By default the first of
        these four that has an answer. A site of valence 0 is a centre that may bond to any atom.

    Returns
    -------
    MotifGraph
        Motifs by site, csm rounded to 6 decimals, and their connections. Images of ligands refer to the
        coordinates as they stand in `structure`, in the cell or not. A centre with no neighbour, or with more
        than 20, has no motif.

    Raises
    ------
    MotifError
        If the structure is not an ordered crystal of chemical elements with its atoms apart, if the method
        asked for yields no valences, or if pymatgen's ChemEnv, where asked for, fails.
    TypeError
        If `structure` is no pymatgen structure, or `valences` neither numbers nor a name.
    ValueError
        If an option is unknown, or given valences are not n_sites finite numbers.

    See Also
    --------
    matembed.motifs.connect : Finds the connections between motifs.

    References
    ----------
    .. [1] D. Waroquiers et al., Chem. Mater. 29, 8346 (2017).
    .. [2] D. Waroquiers et al., Acta Cryst. B 76, 683 (2020).

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> magnesia = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> print(find_motifs(magnesia))
    MgO: 4 MgO6:O:6; 24 edge, 12 corner connections
    """
    for name, value, known in (("engine", engine, ENGINES), ("strategy", strategy, ("simplest",))):
        if value not in known:
            msg = f"{name} must be {' or '.join(map(repr, known))}, got {value!r}"
            raise ValueError(msg)
    _refuse_bad(structure)
    given = _given_valences(valences, len(structure))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's remarks on radii and electronegativities
        motifs, source = _motifs(structure, engine, given, valences if isinstance(valences, str) else None)
    return MotifGraph(
        formula=structure.composition.element_composition.reduced_formula,
        elements=tuple(site.specie.symbol for site in structure),
        motifs=motifs,
        connections=connect(motifs),
        engine=engine,
        strategy=strategy,
        valences=source,
    )


def _motifs(
    structure: "IStructure", engine: Engine, given: list[float] | None, method: ValenceMethod | None
) -> tuple[tuple[Motif, ...], str]:
    """Find the motifs, and say where their valences came from."""
    from pymatgen.core.structure import Structure

    symbols = np.array([site.specie.symbol for site in structure])
    source = "given"
    if given is None and method in (None, "structure"):
        given, source = stated_valences(structure), "structure"
    cell = find_primitive(structure.lattice.matrix, structure.frac_coords, _kinds(symbols, given))
    primitive = Structure(cell.lattice, symbols[cell.chosen_idx].tolist(), cell.frac_coords)
    if given is None:
        valences, source = _assigned_valences(primitive, method)
    else:
        valences = [given[site] for site in cell.chosen_idx]
    orbits = find_orbits(cell.lattice, cell.frac_coords, _kinds(symbols[cell.chosen_idx], valences))
    shells = _shells(primitive, engine, np.unique(orbits.representative_idx), valences)
    motifs = []
    for site, atom in enumerate(cell.copied_idx):
        shell = shells.get(orbits.representative_idx[atom])
        if shell is None:
            continue
        ligands = _ligands(structure, symbols, site, shell, orbits.rotations[atom])
        motifs.append(
            Motif(
                site=site,
                element=str(symbols[site]),
                oxidation=None if valences is None else valences[atom],
                geometry=shell.geometry,
                csm=None if shell.csm is None else round(shell.csm, 6) + 0.0,
                ligands=ligands,
                ligand_elements=tuple(str(symbols[ligand.site]) for ligand in ligands),
            )
        )
    return tuple(motifs), source


def _kinds(symbols: NDArray[np.str_], valences: list[float] | None) -> list[tuple[str, float | None]]:
    return list(zip(symbols.tolist(), [None] * len(symbols) if valences is None else valences, strict=True))


def _assigned_valences(primitive: "Structure", method: ValenceMethod | None) -> tuple[list[float] | None, str]:
    for name in VALENCE_METHODS[1:] if method is None else (method,):
        valences = assign_valences(primitive, name)
        if valences is not None or name == "none":
            return valences, name
    msg = f"valences={method!r} yields no oxidation states for {primitive.reduced_formula}; give numbers, or 'none'"
    raise MotifError(msg)


def _shells(
    primitive: "Structure", engine: Engine, sites: NDArray[np.intp], valences: list[float] | None
) -> "dict[int, Shell]":
    centres = [int(site) for site in sites if valences is None or valences[site] >= 0]
    if engine != "chemenv":
        from matembed.motifs.shells import find_shells

        return find_shells(primitive, centres, valences, engine=engine)
    from matembed.motifs import chemenv

    try:
        return chemenv.find_shells(primitive, centres, valences)
    except Exception as error:  # whatever goes wrong within pymatgen and Qhull is a fact about this structure
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "QH" in reason or "infinite vertex" in reason:
            reason = (
                "an atom has too few neighbours within 10 Å to close its Voronoi cell (a layer, vacuum, a lone atom)"
            )
        msg = f"ChemEnv could not find the coordination shells: {reason}"
        raise MotifError(msg) from error


def _ligands(
    structure: "IStructure", symbols: NDArray[np.str_], site: int, shell: "Shell", rotation: NDArray[np.float64]
) -> tuple[Ligand, ...]:
    """Look up the atoms where a shell, rotated and centred on a site, has its ligands."""
    lattice, frac_coords = structure.lattice.matrix, structure.frac_coords
    places = frac_coords[site] + shell.offsets @ rotation @ np.linalg.inv(lattice)
    steps = places[:, None] - frac_coords
    images = np.round(steps)
    distances = np.linalg.norm((steps - images) @ lattice, axis=2)
    distances[np.array(shell.elements)[:, None] != symbols] = np.inf
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(places))
    if distances[rows, nearest].max() > _SAME_PLACE:
        msg = f"the symmetry found does not carry a coordination shell to site {site}"
        raise MotifError(msg)
    found = images[rows, nearest].astype(int).tolist()
    return tuple(sorted(Ligand(int(atom), (a, b, c)) for atom, (a, b, c) in zip(nearest, found, strict=True)))


def _given_valences(valences: Sequence[float] | str | None, n_sites: int) -> list[float] | None:
    if valences is None:
        return None
    if isinstance(valences, str):
        if valences in VALENCE_METHODS:
            return None
        msg = f"valences must be numbers or one of {', '.join(map(repr, VALENCE_METHODS))}, got {valences!r}"
        raise ValueError(msg)
    try:
        given = [float(valence) + 0.0 for valence in valences]
    except (TypeError, ValueError):
        msg = f"valences must be numbers or one of {', '.join(map(repr, VALENCE_METHODS))}, got {valences!r:.80}"
        raise TypeError(msg) from None
    if len(given) != n_sites or not all(map(math.isfinite, given)):
        msg = f"valences must be {n_sites} finite numbers, one for each site, got {valences!r:.80}"
        raise ValueError(msg)
    return given


def _refuse_bad(structure: "IStructure") -> None:
    from pymatgen.core.structure import IMolecule, IStructure

    if isinstance(structure, IMolecule):
        msg = "a molecule has no lattice; motifs are found in crystals"
        raise MotifError(msg)
    if not isinstance(structure, IStructure):
        msg = f"a pymatgen Structure is wanted, got {type(structure).__name__}; read files with Structure.from_file"
        raise TypeError(msg)
    reason = _unsound(structure)
    if reason is not None:
        raise MotifError(reason)


def _unsound(structure: "IStructure") -> str | None:
    """Say why a structure is no ordered crystal of atoms; None if it is."""
    from pymatgen.core.periodic_table import DummySpecies

    if len(structure) == 0:
        return "the structure has no sites"
    if not all(structure.lattice.pbc):
        return "the structure is not periodic in three dimensions"
    for idx, site in enumerate(structure):
        if not site.is_ordered:
            return f"site {idx} is disordered ({site.species_string}); order the structure first"
        if isinstance(site.specie, DummySpecies):
            return f"site {idx} holds {site.specie.symbol!r}, which is not a chemical element"
    if not (np.isfinite(structure.lattice.matrix).all() and np.isfinite(structure.frac_coords).all()):
        return "the lattice or the coordinates hold values that are not finite"
    if structure.volume < len(structure) * _NEAREST**3 / 2:
        return f"the cell of {structure.volume:.2g} Å³ is too small for {len(structure)} atoms"
    first, second, _, distances = structure.get_neighbor_list(_NEAREST)
    if len(distances):
        pair = distances.argmin()
        return f"sites {first[pair]} and {second[pair]} are {distances[pair]:.2g} Å apart"
    return None
