"""find_motifs: from a crystal structure to its motif graph."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.elements import SYMBOLS
from matembed.motifs.arrays import MotifArrays, pack_environments
from matembed.motifs.crystal import Crystal, MotifError
from matembed.motifs.geometry import LARGEST_CN, model_geometries, nearest_geometry
from matembed.motifs.graph import Environment, Ligand, MotifGraph
from matembed.motifs.valences import VALENCE_METHODS, ValenceMethod, assign_valences, bond_valences, valence_signs

if TYPE_CHECKING:
    from pymatgen.analysis.graphs import StructureGraph
    from pymatgen.core.structure import IStructure

    from matembed.motifs.shells import Shell

__all__ = [
    "ENGINES",
    "SEARCHES",
    "STRATEGIES",
    "Engine",
    "Search",
    "Strategy",
    "find_motif_arrays",
    "find_motifs",
    "listed_bonds",
    "oxidation_states",
]

Engine = Literal["numba", "numpy", "chemenv"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
Strategy = Literal["simplest", "multi_weights"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
Search = Literal["fast", "certified"]
SEARCHES: tuple[Search, ...] = get_args(Search)

# By default valences are those of the first of these that has an answer. BVAnalyzer is left to be asked for.
_BY_DEFAULT: tuple[ValenceMethod, ...] = ("structure", "bond_valence", "composition", "signs", "none")
# A ligand is recognised by its place, in Å. The symmetry search lets atoms be 0.001 off, and none are within 0.5.
_SAME_PLACE = 0.05
# Images are packed into 20 bits each when connections are made.
_FARTHEST_IMAGE = 500_000


def find_motifs(
    structure: "IStructure | Crystal",
    *,
    engine: Engine = "numba",
    strategy: Strategy = "simplest",
    search: Search = "fast",
    valences: Sequence[float] | ValenceMethod | None = None,
    bonds: "Sequence[Sequence[int]] | StructureGraph | None" = None,
    symmetrise: bool = False,
) -> MotifGraph:
    """Find the coordination polyhedra of a crystal and what they share.

    Centres are the cations, and their ligands are anions. Where oxidation states are undefined, as in metals,
    every site is a centre and any atom a ligand.

    Parameters
    ----------
    structure : Structure or Crystal
        Of pymatgen, or as arrays: ordered, periodic in three dimensions, n_sites of 1 or more.
    engine : {"numba", "numpy", "chemenv"}
        What finds the shells and names their geometry, all by the rules of ChemEnv [1]_ [2]_: compiled kernels, several
        hundred times faster than ChemEnv once numba has compiled them (half a minute, once); the readable
        definition that the kernels are held equal to; or pymatgen's ChemEnv itself, the reference. ChemEnv may miss
        the lowest csm, and fails where an atom has no neighbours within 10 Å. The latter two analyse one site of each
        crystallographic orbit and carry its environments to the others by symmetry.
    strategy : {"simplest", "multi_weights"}
        With ``"simplest"``, as the Materials Project has it, ligands are up to 1.4 times as far as the nearest and
        fill at least 0.3 of the largest solid angle, both cutoffs moved to the end of the plateau they fall on; the
        geometry is that of lowest csm. Atoms beyond 1.41 times the nearest distance are not looked at, which is
        ChemEnv's ``maximum_distance_factor``. With ``"multi_weights"`` a site is a mixture of environments with
        fractions, over all plateaus of distance and angle, weighted as in ref. [2]_ by
        ``MultiWeightsChemenvStrategy.stats_article_weights_parameters()``; a site that resembles no model has none.
    search : {"fast", "certified"}
        How numba finds the best fit of seven ligands or more on a model: from starts that are enough in practice, or
        followed by a branch and bound over all rotations that proves it to 1e-4 in csm, some hundred times slower;
        not of mixtures. Up to six ligands, every ordering is tried anyway.
    valences : sequence of float, length n_sites, or str, optional
        Oxidation states in units of e, or where to take them from: ``"structure"``, the species of the structure;
        ``"bond_valence"``, the likeliest neutral assignment by bond valence sums; ``"composition"``, that for the
        formula; ``"signs"``, which elements are anions, no more; ``"bv_analyzer"``, pymatgen's BVAnalyzer, slower;
        or ``"none"``, undefined. By default the first of these that has an answer, BVAnalyzer left out. A site of
        valence 0 is a centre that may bond to any atom.
    bonds : sequence of (int, int, int, int, int), or StructureGraph, optional
        Neighbours found by other means, to name the shapes of: site i, site j, and the image of j that i bonds to in
        lattice vectors; each bond once. Bonds between two cations or two anions are left out, as above; with
        ``valences="none"`` all are kept and every site is a centre. Not with a `strategy`, nor with ChemEnv.
    symmetrise : bool, default False
        As in `matembed.motifs.connect`.

    Returns
    -------
    MotifGraph
        Motifs by site, csm rounded to 6 decimals, and their connections. Images of ligands refer to the
        coordinates as they stand in `structure`, in the cell or not. A centre with no neighbour, or with more
        than 20, has no motif; there is no limit to how long a bond is, below 200 Å, so that an atom alone in vacuum
        is bonded to its images.

    Raises
    ------
    MotifError
        If the structure is not an ordered crystal of chemical elements with its atoms apart, if the method
        asked for yields no valences, or if pymatgen's ChemEnv, where asked for, fails.
    TypeError
        If `structure` is no structure, `valences` neither numbers nor a name, or `bonds` no bonds.
    ValueError
        If an option is unknown or goes with no other, given valences are not n_sites finite numbers, or a bond names
        a site that there is not.

    See Also
    --------
    matembed.motifs.find_motif_arrays : The same as flat arrays, without an object for each motif.
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
    crystal = structure if isinstance(structure, Crystal) else Crystal.from_structure(structure)
    arrays = find_motif_arrays(
        crystal,
        engine=engine,
        strategy=strategy,
        search=search,
        valences=valences,
        bonds=bonds,
        symmetrise=symmetrise,
    )
    return arrays.to_graph(engine=engine, strategy=strategy if bonds is None else "bonds")


def find_motif_arrays(
    crystal: Crystal,
    *,
    engine: Engine = "numba",
    strategy: Strategy = "simplest",
    search: Search = "fast",
    valences: Sequence[float] | ValenceMethod | None = None,
    bonds: "Sequence[Sequence[int]] | StructureGraph | None" = None,
    symmetrise: bool = False,
) -> MotifArrays:
    """Find motifs and their connections as flat arrays.

    Parameters
    ----------
    crystal : Crystal
        The structure.
    engine, strategy, search, valences, bonds, symmetrise
        As in `find_motifs`.

    Returns
    -------
    MotifArrays
        Motifs by site.

    Raises
    ------
    MotifError, TypeError, ValueError
        As `find_motifs` does.

    Examples
    --------
    >>> found = find_motif_arrays(Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17]))
    >>> found.symbols(), found.ligands[:2].tolist()
    (['C:8'], [[1, -1, -1, -1], [1, -1, -1, 0]])
    """
    _check(engine, strategy, search, bonds)
    if not isinstance(crystal, Crystal):
        msg = f"a Crystal is wanted, got {type(crystal).__name__}; see Crystal.from_structure, or call find_motifs"
        raise TypeError(msg)
    joined = getattr(bonds, "structure", None)
    if joined is not None and tuple(site.specie.symbol for site in joined) != crystal.symbols:
        msg = f"the StructureGraph is of other sites than {crystal.reduced_formula}; make it from the same structure"
        raise ValueError(msg)
    charges, oxidations, source = _charges(crystal, valences)
    centres = np.flatnonzero(charges >= 0).astype(np.int64)
    neighbours = None if bonds is None else _neighbours(bonds, charges)
    if engine == "numba":
        return _compiled(crystal, charges, centres, neighbours, strategy, search, symmetrise, oxidations, source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's remarks on radii and electronegativities
        if neighbours is not None:
            environments = _named(crystal, centres, neighbours)
        else:
            environments = _by_orbit(crystal, charges, _finder(engine, strategy, source))
    return pack_environments(crystal, oxidations, source, environments, symmetrise=symmetrise)


def _check(engine: str, strategy: str, search: str, bonds: object) -> None:
    for name, value, known in (
        ("engine", engine, ENGINES),
        ("strategy", strategy, STRATEGIES),
        ("search", search, SEARCHES),
    ):
        if value not in known:
            msg = f"{name} must be {' or '.join(map(repr, known))}, got {value!r}"
            raise ValueError(msg)
    if search == "certified" and (engine != "numba" or strategy != "simplest"):
        wrong = f"engine={engine!r}" if engine != "numba" else f"strategy={strategy!r}"
        msg = f"search='certified' goes with engine='numba' and one shell for each site, got {wrong}"
        raise ValueError(msg)
    if bonds is not None and (engine == "chemenv" or strategy != "simplest"):
        wrong = "engine='chemenv'" if engine == "chemenv" else f"strategy={strategy!r}"
        msg = f"bonds name the neighbours, {wrong} finds its own; leave out one of them"
        raise ValueError(msg)


# Valences ------------------------------------------------------------------------------------------------------------


def _charges(
    crystal: Crystal, valences: Sequence[float] | str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, str]:
    """Charges of which the signs matter, oxidation states if they are known, and where both came from."""
    n_sites = len(crystal.numbers)
    given = _given_valences(valences, n_sites)
    if given is not None:
        return given, given, "given"
    for method in (valences,) if isinstance(valences, str) else _BY_DEFAULT:
        if method == "none":
            return np.zeros(n_sites), None, method
        if method == "signs":
            signs = valence_signs(crystal.numbers)
            if signs is not None:
                return signs.astype(np.float64), None, method
            continue
        found = oxidation_states(crystal, method)
        if found is not None:
            return found, found, method
    msg = f"valences={valences!r} yields no oxidation states for {crystal.reduced_formula}; give numbers, or 'none'"
    raise MotifError(msg)


def oxidation_states(crystal: Crystal, method: str) -> NDArray[np.float64] | None:
    """Take the oxidation states of a crystal from where a method takes them.

    Parameters
    ----------
    crystal : Crystal
        The structure, n_sites of them.
    method : {"structure", "bond_valence", "composition", "bv_analyzer"}
        As `valences` of `find_motifs`.

    Returns
    -------
    float array, shape (n_sites,), or None
        In units of e; None where the method has no answer.
    """
    if method == "structure":
        return crystal.valences
    if method == "bond_valence":
        return bond_valences(crystal.lattice, crystal.frac_coords, crystal.numbers)
    if method == "composition":
        from matembed.motifs.valences import likeliest_states

        numbers, counts = np.unique(crystal.numbers, return_counts=True)
        counts //= math.gcd(*counts.tolist())
        states = likeliest_states({SYMBOLS[z]: n for z, n in zip(numbers, counts.tolist(), strict=True)})
        return None if states is None else np.array([states[symbol] for symbol in crystal.symbols])
    from matembed.motifs.orbits import find_primitive

    cell = find_primitive(crystal.lattice, crystal.frac_coords, crystal.numbers.tolist())
    primitive = Crystal(cell.lattice, cell.frac_coords, crystal.numbers[cell.chosen_idx])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = assign_valences(primitive.to_structure(), "bv_analyzer")
    return None if found is None else np.array(found)[cell.copied_idx]


def _given_valences(valences: Sequence[float] | str | None, n_sites: int) -> NDArray[np.float64] | None:
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
    return np.array(given)


# Given bonds ---------------------------------------------------------------------------------------------------------


def _neighbours(bonds: Any, charges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the neighbours of each site start, and these, sorted; bonds of like charges are left out."""
    listed = listed_bonds(bonds)
    n_sites = len(charges)
    outside = (listed[:, :2] < 0) | (listed[:, :2] >= n_sites)
    if outside.any():
        msg = f"a bond names site {listed[:, :2][outside][0]}, but there are {n_sites} sites, counted from 0"
        raise ValueError(msg)
    itself = (listed[:, 0] == listed[:, 1]) & (listed[:, 2:] == 0).all(axis=1)
    if itself.any():
        msg = f"a bond joins site {listed[itself.argmax(), 0]} to itself; name the image of it"
        raise ValueError(msg)
    both = np.concatenate([listed, np.column_stack([listed[:, 1], listed[:, 0], -listed[:, 2:]])])
    both = np.unique(both[charges[both[:, 0]] * charges[both[:, 1]] <= 0], axis=0)
    starts = np.searchsorted(both[:, 0], np.arange(n_sites + 1)).astype(np.int64)
    return starts, np.ascontiguousarray(both[:, 1:])


def listed_bonds(bonds: Any) -> NDArray[np.int64]:
    """Write bonds as rows of site, site and image of the latter, or raise TypeError."""
    if hasattr(bonds, "graph") and hasattr(bonds, "structure"):
        bonds = [(i, j, *map(int, data["to_jimage"])) for i, j, data in bonds.graph.edges(data=True)]
    try:
        listed = np.asarray(bonds if len(bonds) else np.zeros((0, 5)))
        whole = listed.ndim == 2 and listed.shape[1] == 5 and bool((listed == np.floor(listed)).all())
        if not whole or not np.abs(listed).max(initial=0) <= _FARTHEST_IMAGE:
            raise ValueError
    except (TypeError, ValueError):
        wanted = "rows of five integers (site, site, image of the latter) or a StructureGraph"
        msg = f"bonds must be {wanted}, got {bonds!r:.60}"
        raise TypeError(msg) from None
    return listed.astype(np.int64)


def _named(
    crystal: Crystal, centres: NDArray[np.int64], neighbours: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> dict[int, list[Environment]]:
    starts, rows = neighbours
    environments = {}
    for site in centres.tolist():
        mine = rows[starts[site] : starts[site + 1]]
        if 0 < len(mine) <= LARGEST_CN:
            steps = crystal.frac_coords[mine[:, 0]] + mine[:, 1:] - crystal.frac_coords[site]
            geometry, csm = nearest_geometry(steps @ crystal.lattice, engine="numpy")
            ligands = tuple(Ligand(atom, (a, b, c)) for atom, a, b, c in mine.tolist())
            environments[site] = [Environment(geometry, csm, 1.0, ligands)]
    return environments


# Engines -------------------------------------------------------------------------------------------------------------


def _compiled(
    crystal: Crystal,
    charges: NDArray[np.float64],
    centres: NDArray[np.int64],
    neighbours: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    strategy: Strategy,
    search: Search,
    symmetrise: bool,
    oxidations: NDArray[np.float64] | None,
    source: str,
) -> MotifArrays:
    from matembed.motifs import _numba
    from matembed.motifs._jit import announce

    tables = model_geometries()[1:]
    lattice, frac_coords = crystal.lattice, crystal.frac_coords
    signs = np.sign(charges).astype(np.int64)
    if strategy == "multi_weights":
        announce(_numba.find_mixed)
        starts, environments, values, ligands = _numba.find_mixed(
            lattice, frac_coords, crystal.numbers, signs, centres, tables
        )
        geometries, spans, csms, fractions = environments[:, 0], environments[:, 1:], values[:, 0], values[:, 1]
        found = np.diff(starts) > 0
        centres, starts = centres[found], np.append(0, starts[1:][found])
    else:
        if neighbours is None:
            announce(_numba.find_simplest)
            found, shells, csms, ligands = _numba.find_simplest(lattice, frac_coords, signs, centres, tables)
            centres, geometries, spans = centres[found], shells[:, 0], np.ascontiguousarray(shells[:, 1:])
        else:
            first, ligands = neighbours
            cns = first[centres + 1] - first[centres]
            centres = centres[(cns > 0) & (cns <= LARGEST_CN)]
            spans = np.column_stack([first[centres], first[centres + 1]])
        if search == "certified":
            announce(_numba.find_certified)
            geometries, csms = _numba.find_certified(lattice, frac_coords, centres, spans, ligands, tables)
        elif neighbours is not None:
            announce(_numba.find_given)
            geometries, csms = _numba.find_given(lattice, frac_coords, centres, spans, ligands, tables)
        fractions, starts = np.ones(len(centres)), np.arange(len(centres) + 1)
    if np.abs(ligands[:, 1:]).max(initial=0) > _FARTHEST_IMAGE:
        msg = "the cell is too flat or its coordinates too far from it; reduce the cell first (get_reduced_structure)"
        raise MotifError(msg)
    likeliest = np.ascontiguousarray(spans[starts[:-1]])
    connections, shared = _numba.connect_all(centres, likeliest, ligands, frac_coords, symmetrise)
    return MotifArrays(
        crystal,
        oxidations,
        source,
        centres,
        starts,
        geometries,
        csms,
        fractions,
        spans,
        ligands,
        connections,
        shared,
    )


Finder = Callable[[Crystal, list[int], NDArray[np.float64]], "dict[int, list[Shell]]"]


def _finder(engine: Engine, strategy: Strategy, source: str) -> Finder:
    if engine == "numpy":
        from matembed.motifs.mixtures import find_mixed_shells
        from matembed.motifs.shells import find_shells

        return find_mixed_shells if strategy == "multi_weights" else find_shells

    def by_chemenv(crystal: Crystal, sites: list[int], charges: NDArray[np.float64]) -> "dict[int, list[Shell]]":
        from matembed.motifs import chemenv

        try:
            return chemenv.find_shells(
                crystal.to_structure(), sites, None if source == "none" else charges.tolist(), strategy=strategy
            )
        except Exception as error:  # whatever goes wrong within pymatgen and Qhull is a fact about this structure
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if "QH" in reason or "infinite vertex" in reason:
                reason = "too few atoms within 10 Å of one to close its Voronoi cell (a layer, vacuum, a lone atom)"
            msg = f"ChemEnv could not find the coordination shells: {reason}"
            raise MotifError(msg) from error

    return by_chemenv


def _by_orbit(crystal: Crystal, charges: NDArray[np.float64], find: Finder) -> dict[int, list[Environment]]:
    """Analyse one site of each crystallographic orbit, and carry what it has to the others."""
    from matembed.motifs.orbits import find_orbits, find_primitive

    kinds = list(zip(crystal.numbers.tolist(), charges.tolist(), strict=True))
    cell = find_primitive(crystal.lattice, crystal.frac_coords, kinds)
    primitive = Crystal(cell.lattice, cell.frac_coords, crystal.numbers[cell.chosen_idx])
    orbits = find_orbits(cell.lattice, cell.frac_coords, [kinds[site] for site in cell.chosen_idx])
    chosen = charges[cell.chosen_idx]
    shells = find(primitive, [int(s) for s in np.unique(orbits.representative_idx) if chosen[s] >= 0], chosen)
    environments: dict[int, list[Environment]] = {}
    for site, atom in enumerate(cell.copied_idx):
        environments[site] = [
            Environment(one.geometry, one.csm, one.fraction, _ligands(crystal, site, one, orbits.rotations[atom]))
            for one in shells.get(int(orbits.representative_idx[atom]), [])
        ]
    return environments


def _ligands(crystal: Crystal, site: int, shell: "Shell", rotation: NDArray[np.float64]) -> tuple[Ligand, ...]:
    """Look up the atoms where a shell, rotated and centred on a site, has its ligands."""
    lattice, frac_coords = crystal.lattice, crystal.frac_coords
    places = frac_coords[site] + shell.offsets @ rotation @ np.linalg.inv(lattice)
    steps = places[:, None] - frac_coords
    images = np.round(steps)
    distances = np.linalg.norm((steps - images) @ lattice, axis=2)
    distances[np.array(shell.elements)[:, None] != np.array(crystal.symbols)] = np.inf
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(places))
    if distances[rows, nearest].max() > _SAME_PLACE:
        msg = f"the symmetry found does not carry a coordination shell to site {site}"
        raise MotifError(msg)
    found = images[rows, nearest].astype(int).tolist()
    return tuple(sorted(Ligand(int(atom), (a, b, c)) for atom, (a, b, c) in zip(nearest, found, strict=True)))
