"""Motif tables -> ContextCounts: what surrounds elements, species and motifs in crystals, in named views.

Sites are seen in these views, as elements or, where oxidation states are known, as species:

============ ======================================================================================================
"partners"   an element bonded to, and how many atoms of it: ``"6 O"``
"pairs"      an element bonded to: ``"O"``, the bonded pairs of SkipAtom [1]_
"roles"      coordination number, as cation, anion, or neither where valences are not known: ``"cation, cn 6"``
"lengths"    an element bonded to, and how far: ``"O at 2.0 Å"``, in steps of 0.1 Å, smoothed by a Gaussian of as much
"contacts"   distance of the nearest atom bonded to, in steps of 0.1 Å, and as what: ``"cation, 1.95 Å"``
"volumes"    volume per atom of the crystal, in steps of 10 %, and how many elements it has
"shapes"     geometry of the motif, and how ideal it is: ``"O:6, csm 0.5 to 1"``
"states"     oxidation state and coordination number: ``"4+, cn 6"``
============ ======================================================================================================

Motifs are seen in these, as ``TiO6:O:6`` or, as species, ``Ti4+O6:O:6``:

============ ======================================================================================================
"links"      what is shared with which motif: ``"corner TiO6:O:6"``
"link_parts" what is shared with which centre, and with which geometry: ``"corner Ti"``, ``"corner O:6"``
"walks"      motifs met in up to three steps along connections, by the chance of a random walk [2]_
"ligands"    each kind of ligand and how many, and the centre: ``"6 O"``, ``"Ti"``
"forms"      geometry, with how ideal it is, and with the mean bond length in steps of 0.1 Å
"membership" reduced formula of the crystal: which materials have the motif
============ ======================================================================================================

Counts do not depend on the cell. Each reduced formula has weight 1, shared by its entries, so neither polymorphs nor
duplicates count more than a compound that is listed once; in an entry each token has weight 1, shared by its sites, and
a site shares its weight among its bonds or connections. A site that is no centre of a motif, as anions are not where
valences are known, is bonded to the centres that it is a ligand of.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from matembed.cards import Card
from matembed.corpus._motif_stream import MotifChunk, motif_chunks
from matembed.corpus.context_counts import ContextCounts, ContextTally
from matembed.corpus.formulas import reduced_formulas
from matembed.corpus.motif_tables import MotifTables, check_tables
from matembed.elements import SYMBOLS
from matembed.tokens import SHARINGS, parse_token

__all__ = ["MOTIF_CONTEXTS", "SITE_CONTEXTS", "MotifContexts", "SiteContexts", "count_contexts"]

SiteContexts = Literal["partners", "pairs", "roles", "lengths", "contacts", "volumes", "shapes", "states"]
MotifContexts = Literal["links", "link_parts", "walks", "ligands", "forms", "membership"]
SITE_CONTEXTS: tuple[SiteContexts, ...] = get_args(SiteContexts)
MOTIF_CONTEXTS: tuple[MotifContexts, ...] = get_args(MotifContexts)

_MOST_BONDS = 31  # coordination numbers and counts of partners beyond are taken for this
_STEP = 0.1  # Å
_FARTHEST = 10.0  # Å
_CSM_STEPS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
_WALK = 3  # steps
_ROLES = ("site", "cation", "anion")


class _Names(NamedTuple):
    """Names, each once, and which of them each row has."""

    distinct: tuple[str, ...]
    codes: NDArray[np.int64]


class _Entries(NamedTuple):
    """Weighted contexts of some rows: whole numbers that say which, and what writes them in words."""

    rows: NDArray[np.int64]
    parts: tuple[NDArray[np.int64], ...]
    write: Callable[..., str]
    weights: NDArray[np.float64]


class _Scene(NamedTuple):
    """A chunk and what its views share: names, weights, and bonds and connections from either end."""

    chunk: MotifChunk
    sites: _Names
    motifs: _Names
    geometries: _Names
    site_weights: NDArray[np.float64]
    motif_weights: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    lengths: NDArray[np.float64]
    cns: NDArray[np.int64]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    sharings: NDArray[np.int64]

    @property
    def centres(self) -> NDArray[np.int64]:
        """Atomic number of each motif's centre."""
        return self.chunk.site_numbers[self.chunk.motif_sites]

    def roles(self) -> NDArray[np.int64]:
        """Say what each site is: position in `_ROLES`."""
        chunk = self.chunk
        centre = np.zeros(len(chunk.site_numbers), dtype=np.int64)
        centre[chunk.motif_sites] = 1
        signed = (chunk.materials["valences"] != "none").to_numpy()[chunk.site_material]
        return np.where(signed, 2 - centre, 0)

    def per_link(self) -> NDArray[np.float64]:
        """Share the weight of each motif among its connections."""
        n_links = np.bincount(self.sources, minlength=len(self.chunk.cns))
        return self.motif_weights[self.sources] / n_links[self.sources]


def count_contexts(
    tables: MotifTables,
    views: SiteContexts | MotifContexts | Sequence[SiteContexts | MotifContexts],
    *,
    species: bool = False,
    exclude: Collection[str] = (),
) -> dict[str, ContextCounts]:
    """Count the contexts of elements, species or motifs in crystals.

    Parameters
    ----------
    tables : MotifTables
        Motifs and connections of crystals.
    views : str or sequence of str
        Which contexts to count; `matembed.corpus.motif_contexts` defines each. Several are counted in one reading.
    species : bool, default False
        Write oxidation states into tokens where they are known: ``Ti4+`` for ``Ti``, ``Ti4+O6:O:6`` for
        ``TiO6:O:6``. Sites of unknown oxidation state are then left out of the views of sites.
    exclude : collection of str
        Formulas, in any spelling, of materials to leave out, such as those a benchmark tests.

    Returns
    -------
    dict of str to ContextCounts
        By view, in the order asked for.

    Raises
    ------
    TypeError
        If `tables` are no MotifTables, or `exclude` is a single text.
    ValueError
        If a view is unknown, or no material is left.
    FormulaError
        If a formula of `exclude` cannot be read.

    See Also
    --------
    count_formula_contexts : The same for formulas.
    matembed.ContextSVD : Learns vectors from them.

    References
    ----------
    .. [1] L. M. Antunes, R. Grau-Crespo, K. T. Butler, npj Comput. Mater. 8, 44 (2022).
    .. [2] S. Cao, W. Lu, Q. Xu, CIKM 2015, 891 (GraRep).

    Examples
    --------
    >>> import tempfile
    >>> from matembed import build_motif_tables
    >>> salt = {"id": "CsCl", "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]], "species": ["Cs", "Cl"]}
    >>> salt["frac_coords"] = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tables = build_motif_tables([salt], f"{folder}/motifs", progress=False)
    ...     counts = count_contexts(tables, ["partners", "roles"])
    >>> counts["partners"].commonest("Cl"), counts["roles"].commonest("Cs")
    ([('8 Cs', 1.0)], [('cation, cn 8', 1.0)])
    """
    check_tables(tables)
    wanted = (views,) if isinstance(views, str) else tuple(views)
    known = (*SITE_CONTEXTS, *MOTIF_CONTEXTS)
    wrong = [view for view in wanted if view not in known]
    if wrong or not wanted:
        msg = f"views must be one or more of {', '.join(known)}; got {wrong[0] if wrong else views!r}"
        raise ValueError(msg)
    materials = tables.materials()[["formula"]]
    left_out = materials["formula"].isin(reduced_formulas(exclude)).to_numpy()
    if left_out.all():
        msg = f"exclude leaves none of {len(materials):,} materials; nothing can be counted"
        raise ValueError(msg)
    shares = np.where(left_out, 0, 1 / materials.groupby("formula")["formula"].transform("size").to_numpy(np.float64))
    tallies = {view: ContextTally() for view in wanted}
    links = not {"links", "link_parts", "walks"}.isdisjoint(wanted)
    start = 0
    for chunk in motif_chunks(tables, links=links):
        scene = _scene(chunk, shares[start : start + len(chunk.materials)], species)
        start += len(chunk.materials)
        for view in wanted:
            _tally(view, scene, species, tallies[view])
    counts = {"materials": int((~left_out).sum()), "formulas": int(materials["formula"][~left_out].nunique())}
    counts |= {"excluded": int(left_out.sum())}
    return {view: tally.counts(view, _card(tables.card, view, species, counts)) for view, tally in tallies.items()}


def _card(behind: Card, view: str, species: bool, counts: dict[str, int]) -> Card:
    return Card(
        name=f"{behind.name}-{view}",
        what=f"Contexts of {'species' if species else 'elements or motifs'} in crystals: view {view!r}.",
        source=behind.source,
        licence=behind.licence,
        citation=behind.citation,
        corpus={"name": behind.name, "counts": dict(behind.counts), "settings": dict(behind.settings)},
        counts=counts,
        settings={"view": view, "species": species, "weights": "a formula counts once, shared by its entries"},
        versions=behind.versions,
    )


def _named(names: Sequence[str]) -> _Names:
    known: dict[str, int] = {}
    codes = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
    return _Names(tuple(known), codes)


def _scene(chunk: MotifChunk, shares: NDArray[np.float64], species: bool) -> _Scene:
    sites = _named(chunk.site_tokens if species else [SYMBOLS[number] for number in chunk.site_numbers.tolist()])
    group = chunk.site_material * len(sites.distinct) + sites.codes
    _, of_group, sizes = np.unique(group, return_inverse=True, return_counts=True)
    weights = shares[chunk.site_material] / sizes[of_group]
    first, second, lengths = chunk.bonds()
    return _Scene(
        chunk=chunk,
        sites=sites,
        motifs=_named(_motif_tokens(chunk) if species else chunk.tokens),
        geometries=_named(chunk.geometries),
        site_weights=weights,
        motif_weights=weights[chunk.motif_sites],
        first=first,
        second=second,
        lengths=lengths,
        cns=np.bincount(first, minlength=len(weights)),
        sources=np.concatenate([chunk.link_sources, chunk.link_targets]),
        targets=np.concatenate([chunk.link_targets, chunk.link_sources]),
        sharings=np.tile(chunk.link_sharings, 2),
    )


def _motif_tokens(chunk: MotifChunk) -> list[str]:
    """Write the oxidation states of centres, where known, into the tokens of motifs."""
    centres = [chunk.site_tokens[site] for site in chunk.motif_sites.tolist()]
    with_state = {}
    for token, centre in set(zip(chunk.tokens, centres, strict=True)):
        with_state[token, centre] = centre + token.removeprefix(str(parse_token(centre).element))
    return [with_state[pair] for pair in zip(chunk.tokens, centres, strict=True)]


def _tally(view: str, scene: _Scene, species: bool, tally: ContextTally) -> None:
    site_view = view in SITE_CONTEXTS
    names = scene.sites if site_view else scene.motifs
    counted = np.ones(len(names.distinct), dtype=bool)
    if species and site_view:
        counted = np.array([parse_token(name).kind == "species" for name in names.distinct], dtype=bool)
    for rows, parts, write, weights in _VIEWS[view](scene):
        tokens = names.codes[rows]
        kept = np.flatnonzero((weights > 0) & counted[tokens])
        tally.add((names.distinct, write), [tokens[kept], *(part[kept] for part in parts)], weights[kept])


# Views of sites ------------------------------------------------------------------------------------------------------


def _partners(scene: _Scene) -> Iterable[_Entries]:
    pairs, n_bonds = np.unique(scene.first * len(SYMBOLS) + scene.chunk.site_numbers[scene.second], return_counts=True)
    sites, partners = pairs // len(SYMBOLS), pairs % len(SYMBOLS)
    weights = scene.site_weights[sites] * n_bonds / scene.cns[sites]
    yield _Entries(sites, (np.minimum(n_bonds, _MOST_BONDS), partners), lambda n, z: f"{n} {SYMBOLS[z]}", weights)


def _pairs(scene: _Scene) -> Iterable[_Entries]:
    weights = scene.site_weights[scene.first] / scene.cns[scene.first]
    yield _Entries(scene.first, (scene.chunk.site_numbers[scene.second],), lambda z: SYMBOLS[z], weights)


def _roles(scene: _Scene) -> Iterable[_Entries]:
    sites = np.flatnonzero(scene.cns)
    parts = (scene.roles()[sites], np.minimum(scene.cns[sites], _MOST_BONDS))
    yield _Entries(sites, parts, lambda role, cn: f"{_ROLES[role]}, cn {cn}", scene.site_weights[sites])


def _lengths(scene: _Scene) -> Iterable[_Entries]:
    place = scene.lengths / _STEP
    bins = np.floor(place).astype(np.int64)[:, None] + np.arange(-2, 3)
    smooth = np.exp(-0.5 * (bins + 0.5 - place[:, None]) ** 2)
    smooth *= (scene.site_weights[scene.first] / scene.cns[scene.first] / smooth.sum(axis=1))[:, None]
    partners = np.repeat(scene.chunk.site_numbers[scene.second], bins.shape[1])
    parts = (partners, np.clip(bins, 0, int(_FARTHEST / _STEP)).ravel())
    rows = np.repeat(scene.first, bins.shape[1])
    yield _Entries(rows, parts, lambda z, step: f"{SYMBOLS[z]} at {(step + 0.5) * _STEP:.2f} Å", smooth.ravel())


def _contacts(scene: _Scene) -> Iterable[_Entries]:
    sites = np.flatnonzero(scene.cns)
    shortest = np.full(len(scene.cns), np.inf)
    np.minimum.at(shortest, scene.first, scene.lengths)
    steps = np.minimum(np.floor(shortest[sites] / _STEP), _FARTHEST / _STEP).astype(np.int64)
    yield _Entries(
        sites,
        (scene.roles()[sites], steps),
        lambda role, step: f"{_ROLES[role]}, {(step + 0.5) * _STEP:.2f} Å",
        scene.site_weights[sites],
    )


def _volumes(scene: _Scene) -> Iterable[_Entries]:
    materials, of_site = scene.chunk.materials, scene.chunk.site_material
    steps = np.floor(np.log(materials["volume_per_atom"].to_numpy(np.float64)) / np.log(1.1)).astype(np.int64)
    n_elements = np.minimum(materials["n_elements"].to_numpy(np.int64), 9)

    def write(step: int, n: int) -> str:
        return f"{1.1 ** (step + 0.5):.3g} Å^3 an atom, {n} elements"

    yield _Entries(np.arange(len(of_site)), (steps[of_site], n_elements[of_site]), write, scene.site_weights)


def _shapes(scene: _Scene) -> Iterable[_Entries]:
    yield _Entries(scene.chunk.motif_sites, *_ideal(scene), scene.motif_weights)


def _states(scene: _Scene) -> Iterable[_Entries]:
    chunk = scene.chunk
    elements = [SYMBOLS[number] for number in chunk.site_numbers.tolist()]
    states = _named([token.removeprefix(element) for token, element in zip(chunk.site_tokens, elements, strict=True)])
    known = np.array([bool(state) for state in states.distinct], dtype=bool)[states.codes]
    sites = np.flatnonzero(known & (scene.cns > 0))
    parts = (states.codes[sites], np.minimum(scene.cns[sites], _MOST_BONDS))
    yield _Entries(sites, parts, lambda state, cn: f"{states.distinct[state]}, cn {cn}", scene.site_weights[sites])


def _ideal(scene: _Scene) -> tuple[tuple[NDArray[np.int64], ...], Callable[..., str]]:
    """Say of each motif what geometry it has and how ideal it is."""
    steps = np.digitize(np.nan_to_num(scene.chunk.csms, nan=100.0), _CSM_STEPS)
    bounds = ("0", *(f"{step:g}" for step in _CSM_STEPS), "100")
    names = scene.geometries.distinct
    parts = (scene.geometries.codes, steps.astype(np.int64))
    return parts, lambda geometry, step: f"{names[geometry]}, csm {bounds[step]} to {bounds[step + 1]}"


# Views of motifs -----------------------------------------------------------------------------------------------------


def _links(scene: _Scene) -> Iterable[_Entries]:
    names = scene.motifs.distinct
    parts = (scene.sharings, scene.motifs.codes[scene.targets])
    yield _Entries(scene.sources, parts, lambda s, motif: f"{SHARINGS[s]} {names[motif]}", scene.per_link())


def _link_parts(scene: _Scene) -> Iterable[_Entries]:
    halves, names = scene.per_link() / 2, scene.geometries.distinct
    parts = (scene.sharings, scene.centres[scene.targets])
    yield _Entries(scene.sources, parts, lambda s, z: f"{SHARINGS[s]} {SYMBOLS[z]}", halves)
    parts = (scene.sharings, scene.geometries.codes[scene.targets])
    yield _Entries(scene.sources, parts, lambda s, geometry: f"{SHARINGS[s]} {names[geometry]}", halves)


def _walks(scene: _Scene) -> Iterable[_Entries]:
    n_motifs, names = len(scene.chunk.cns), scene.motifs.distinct
    ones = np.ones(len(scene.sources))
    steps = sparse.coo_array((ones, (scene.sources, scene.targets)), shape=(n_motifs, n_motifs)).tocsr()
    n_links = np.bincount(scene.sources, minlength=n_motifs)
    chance = sparse.csr_array(sparse.diags_array(1 / np.maximum(n_links, 1)) @ steps)
    here = (np.arange(n_motifs), scene.motifs.codes)
    met = sparse.coo_array((np.ones(n_motifs), here), shape=(n_motifs, len(names))).tocsr()
    for _ in range(_WALK):  # the chance to stand on each token after one step, two, three
        met = chance @ met
        entries = met.tocoo()
        weights = entries.data * scene.motif_weights[entries.row] / _WALK
        yield _Entries(entries.row.astype(np.int64), (entries.col.astype(np.int64),), lambda m: names[m], weights)


def _ligands(scene: _Scene) -> Iterable[_Entries]:
    chunk = scene.chunk
    pairs, n_bonds = np.unique(
        chunk.bond_motifs * len(SYMBOLS) + chunk.site_numbers[chunk.bond_sites], return_counts=True
    )
    motifs, kinds = pairs // len(SYMBOLS), pairs % len(SYMBOLS)
    weights = scene.motif_weights[motifs] * n_bonds / chunk.cns[motifs] / 2
    yield _Entries(motifs, (n_bonds, kinds), lambda n, z: f"{n} {SYMBOLS[z]}", weights)
    yield _Entries(np.arange(len(chunk.cns)), (scene.centres,), lambda z: SYMBOLS[z], scene.motif_weights / 2)


def _forms(scene: _Scene) -> Iterable[_Entries]:
    chunk, names = scene.chunk, scene.geometries.distinct
    rows, halves = np.arange(len(chunk.cns)), scene.motif_weights / 2
    yield _Entries(rows, *_ideal(scene), halves)
    mean = np.bincount(chunk.bond_motifs, chunk.bond_lengths, len(rows)) / np.maximum(chunk.cns, 1)
    parts = (scene.geometries.codes, np.floor(mean / _STEP).astype(np.int64))
    yield _Entries(rows, parts, lambda g, step: f"{names[g]}, {(step + 0.5) * _STEP:.2f} Å", halves)


def _membership(scene: _Scene) -> Iterable[_Entries]:
    chunk = scene.chunk
    formulas = _named(chunk.materials["formula"].tolist())
    of_motif = formulas.codes[chunk.site_material[chunk.motif_sites]]
    yield _Entries(np.arange(len(of_motif)), (of_motif,), lambda f: formulas.distinct[f], scene.motif_weights)


_VIEWS: dict[str, Callable[[_Scene], Iterable[_Entries]]] = {
    "partners": _partners,
    "pairs": _pairs,
    "roles": _roles,
    "lengths": _lengths,
    "contacts": _contacts,
    "volumes": _volumes,
    "shapes": _shapes,
    "states": _states,
    "links": _links,
    "link_parts": _link_parts,
    "walks": _walks,
    "ligands": _ligands,
    "forms": _forms,
    "membership": _membership,
}
