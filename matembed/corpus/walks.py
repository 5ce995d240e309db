"""Motif graph -> sentences that depend on the crystal, never on the choice of cell, origin or site order."""

import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from matembed.motifs.graph import Motif, MotifGraph
from matembed.tokens import Sharing, connection_token, motif_token

__all__ = ["MIXTURES", "MOTIF_VIEWS", "Mixtures", "MotifClass", "MotifView", "motif_classes", "motif_sentences"]

MotifView = Literal["links", "walks"]
MOTIF_VIEWS: tuple[MotifView, ...] = get_args(MotifView)
Mixtures = Literal["likeliest", "drawn"]
MIXTURES: tuple[Mixtures, ...] = get_args(Mixtures)


class MotifClass(NamedTuple):
    """Motifs of a crystal that cannot be told apart by following connections.

    Attributes
    ----------
    token : str
        Motif token; of the likeliest environment where there are several.
    amount : int
        How many there are, in the smallest whole numbers for the crystal.
    links : tuple of (sharing, int)
        What one of them is connected to, as positions in the list of classes; sorted, once for every neighbour.
    mixture : tuple of (str, int)
        Token and percentage of each environment, where mixtures are told apart and it has several; else empty.
    """

    token: str
    amount: int
    links: tuple[tuple[Sharing, int], ...]
    mixture: tuple[tuple[str, int], ...] = ()


def motif_classes(graph: MotifGraph, *, oxidation: bool = False, mixtures: Mixtures = "likeliest") -> list[MotifClass]:
    """Reduce a motif graph to its smallest quotient, by colour refinement [1]_.

    Motifs start out coloured by their token, and are told apart by the sharings and colours of their neighbours
    until that changes nothing. Every cell of a crystal gives the same classes in the same order. The partition is
    equitable: all motifs of a class have equally many neighbours of each class by each sharing. So a random walk
    over the classes meets tokens with the very probabilities of a walk over the infinite periodic graph.

    Parameters
    ----------
    graph : MotifGraph
        The motifs of a crystal.
    oxidation : bool, default False
        Use tokens with oxidation states, where known.
    mixtures : {"likeliest", "drawn"}
        With ``"drawn"``, motifs start out coloured by the tokens and percentages of all their environments.

    Returns
    -------
    list of MotifClass
        Empty if there are no motifs.

    References
    ----------
    .. [1] B. Weisfeiler and A. Leman, Nauchno-Technicheskaya Informatsiya 2 (9), 12 (1968).
    """
    tokens = [motif.species_token if oxidation else motif.token for motif in graph.motifs]
    mixed = [_mixture(graph, motif, oxidation) if mixtures == "drawn" else () for motif in graph.motifs]
    links: list[list[tuple[Sharing, int]]] = [[] for _ in tokens]
    for connection in graph.connections:
        links[connection.source].append((connection.sharing, connection.target))
        links[connection.target].append((connection.sharing, connection.source))

    colours = _ranks(list(zip(tokens, mixed, strict=True)))
    n_colours = 0
    while len(set(colours)) > n_colours:
        n_colours = len(set(colours))
        colours = _ranks(
            [
                (colour, tuple(sorted((sharing, colours[idx]) for sharing, idx in neighbours)))
                for colour, neighbours in zip(colours, links, strict=True)
            ]
        )

    amounts = Counter(colours)
    common = math.gcd(*amounts.values())
    members = dict(zip(colours, range(len(colours)), strict=True))
    return [
        MotifClass(
            token=tokens[member],
            amount=amounts[colour] // common,
            links=tuple(sorted((sharing, colours[idx]) for sharing, idx in links[member])),
            mixture=mixed[member],
        )
        for colour, member in sorted(members.items())
    ]


def _mixture(graph: MotifGraph, motif: Motif, oxidation: bool) -> tuple[tuple[str, int], ...]:
    """Tokens and whole percentages of the environments of a motif, the largest first; none of a motif with one."""
    fractions: dict[str, float] = defaultdict(float)
    for one in motif.mixture:
        around = Counter(graph.elements[ligand.site] for ligand in one.ligands)
        fractions[motif_token(motif.element, around, one.geometry, motif.oxidation if oxidation else None)] += (
            one.fraction
        )
    listed = [(token, round(100 * round(fraction, 6))) for token, fraction in fractions.items()]
    found = sorted(((token, percent) for token, percent in listed if percent), key=lambda pair: (-pair[1], pair[0]))
    return tuple(found) if len(found) > 1 else ()


def _ranks(keys: Sequence[Any]) -> list[int]:
    """Rank each key among the distinct keys, sorted."""
    position = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return [position[key] for key in keys]


def motif_sentences(
    graph: MotifGraph,
    view: MotifView,
    *,
    mixtures: Mixtures = "likeliest",
    oxidation: bool = False,
    n_walks: int = 2,
    walk_length: int = 8,
    seed: int = 0,
) -> list[list[str]]:
    """Write a motif graph as sentences.

    The same crystal gives the same sentences in the same order, whatever its cell, origin, orientation and site
    order. Each class of motifs begins as many sentences, or `n_walks` times as many, as its amount in the
    smallest whole numbers (`MotifClass.amount`).

    Parameters
    ----------
    graph : MotifGraph
        The motifs of a crystal.
    view : {"links", "walks"}
        A motif followed by all its connections and neighbours; or random walks along the connections [1]_.
    mixtures : {"likeliest", "drawn"}
        How a site between several environments is written: as the likeliest, always; or, at every mention anew, as
        one drawn with its fraction, in whole percent, for probability. So over many sentences each environment is
        met as often as its fraction says. Connections are those of the likeliest environments either way.
    oxidation : bool, default False
        Write motifs with oxidation states, where known.
    n_walks : int, default 2
        Walks from each motif; for ``"walks"``.
    walk_length : int, default 8
        Motifs a walk visits, the first included; for ``"walks"``.
    seed : int, default 0
        Where the random numbers start, together with the crystal; of walks and of draws.

    Returns
    -------
    list of list of str
        Motif tokens with connection tokens between them. A motif without connections is a sentence of one token.

    Raises
    ------
    ValueError
        If the view or `mixtures` is unknown, or `n_walks` or `walk_length` is not positive.

    References
    ----------
    .. [1] B. Perozzi, R. Al-Rfou and S. Skiena, KDD 2014, 701 (DeepWalk).

    Examples
    --------
    >>> from matembed.motifs import Connection, Ligand, Motif
    >>> oxygen = tuple(Ligand(1, (0, 0, z)) for z in (-1, 0))
    >>> motif = Motif(0, "Cu", 2.0, "L:2", 0.0, oxygen, ("O", "O"))
    >>> chain = MotifGraph("CuO", ("Cu", "O"), (motif,), (Connection(0, 0, (0, 0, 1), oxygen[1:]),), "", "", "")
    >>> motif_sentences(chain, "links")
    [['CuO2:L:2', '-corner-', 'CuO2:L:2', '-corner-', 'CuO2:L:2']]
    >>> motif_sentences(chain, "walks", n_walks=1, walk_length=2)
    [['CuO2:L:2', '-corner-', 'CuO2:L:2']]
    """
    for name, value, known in (("view", view, MOTIF_VIEWS), ("mixtures", mixtures, MIXTURES)):
        if value not in known:
            msg = f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}"
            raise ValueError(msg)
    if n_walks < 1 or walk_length < 1:
        msg = f"n_walks and walk_length must be 1 or more, got {n_walks} and {walk_length}"
        raise ValueError(msg)
    classes = motif_classes(graph, oxidation=oxidation, mixtures=mixtures)
    # Where nothing is mixed, both ways start from the same numbers and write the same sentences.
    rng = random.Random(repr((int(seed), [tuple(one) if one.mixture else tuple(one)[:3] for one in classes])))
    if view == "links":
        return [_star(classes, start, rng) for start in classes for _ in range(start.amount)]
    return [_walk(classes, start, walk_length, rng) for start in classes for _ in range(n_walks * start.amount)]


def _star(classes: Sequence[MotifClass], start: MotifClass, rng: random.Random) -> list[str]:
    first = _mention(start, rng)
    links = sorted((connection_token(sharing), _mention(classes[idx], rng)) for sharing, idx in start.links)
    return [first, *itertools.chain.from_iterable(links)]


def _walk(classes: Sequence[MotifClass], start: MotifClass, walk_length: int, rng: random.Random) -> list[str]:
    here, sentence = start, [_mention(start, rng)]
    for _ in range(walk_length - 1 if start.links else 0):
        sharing, idx = rng.choice(here.links)
        here = classes[idx]
        sentence += [connection_token(sharing), _mention(here, rng)]
    return sentence


def _mention(one: MotifClass, rng: random.Random) -> str:
    """Write a motif: as its one token, or one of several drawn by their percentages."""
    if not one.mixture:
        return one.token
    tokens, percentages = zip(*one.mixture, strict=True)
    return str(rng.choices(tokens, percentages)[0])
