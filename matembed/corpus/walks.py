"""Motif graph -> sentences that depend on the crystal, never on the choice of cell, origin or site order."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from matembed.motifs.graph import MotifGraph
from matembed.tokens import Sharing, connection_token

__all__ = ["MOTIF_VIEWS", "MotifClass", "MotifView", "motif_classes", "motif_sentences"]

MotifView = Literal["links", "walks"]
MOTIF_VIEWS: tuple[MotifView, ...] = get_args(MotifView)


class MotifClass(NamedTuple):
    """Motifs of a crystal that cannot be told apart by following connections.

    Attributes
    ----------
    token : str
        Motif token.
    amount : int
        How many there are, in the smallest whole numbers for the crystal.
    links : tuple of (sharing, int)
        What one of them is connected to, as positions in the list of classes; sorted, once for every neighbour.
    """

    token: str
    amount: int
    links: tuple[tuple[Sharing, int], ...]


def motif_classes(graph: MotifGraph, *, oxidation: bool = False) -> list[MotifClass]:
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

    Returns
    -------
    list of MotifClass
        Empty if there are no motifs.

    References
    ----------
    .. [1] B. Weisfeiler and A. Leman, Nauchno-Technicheskaya Informatsiya 2 (9), 12 (1968).
    """
    tokens = [motif.species_token if oxidation else motif.token for motif in graph.motifs]
    links: list[list[tuple[Sharing, int]]] = [[] for _ in tokens]
    for connection in graph.connections:
        links[connection.source].append((connection.sharing, connection.target))
        links[connection.target].append((connection.sharing, connection.source))

    colours = _ranks(tokens)
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
        )
        for colour, member in sorted(members.items())
    ]


def _ranks(keys: Sequence[Any]) -> list[int]:
    """Rank each key among the distinct keys, sorted."""
    position = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return [position[key] for key in keys]


def motif_sentences(
    graph: MotifGraph,
    view: MotifView,
    *,
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
    oxidation : bool, default False
        Write motifs with oxidation states, where known.
    n_walks : int, default 2
        Walks from each motif; for ``"walks"``.
    walk_length : int, default 8
        Motifs a walk visits, the first included; for ``"walks"``.
    seed : int, default 0
        Where the random numbers start, together with the crystal; for ``"walks"``.

    Returns
    -------
    list of list of str
        Motif tokens with connection tokens between them. A motif without connections is a sentence of one token.

    Raises
    ------
    ValueError
        If the view is unknown, or `n_walks` or `walk_length` is not positive.

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
    if view not in MOTIF_VIEWS:
        msg = f"view must be one of {', '.join(map(repr, MOTIF_VIEWS))}, got {view!r}"
        raise ValueError(msg)
    if n_walks < 1 or walk_length < 1:
        msg = f"n_walks and walk_length must be 1 or more, got {n_walks} and {walk_length}"
        raise ValueError(msg)
    classes = motif_classes(graph, oxidation=oxidation)
    if view == "links":
        return [sentence for start in classes for sentence in [_star(classes, start)] * start.amount]
    rng = random.Random(repr((int(seed), [tuple(one) for one in classes])))
    return [_walk(classes, start, walk_length, rng) for start in classes for _ in range(n_walks * start.amount)]


def _star(classes: Sequence[MotifClass], start: MotifClass) -> list[str]:
    links = sorted((connection_token(sharing), classes[idx].token) for sharing, idx in start.links)
    return [start.token, *itertools.chain.from_iterable(links)]


def _walk(classes: Sequence[MotifClass], start: MotifClass, walk_length: int, rng: random.Random) -> list[str]:
    here, sentence = start, [start.token]
    for _ in range(walk_length - 1 if start.links else 0):
        sharing, idx = rng.choice(here.links)
        here = classes[idx]
        sentence += [connection_token(sharing), here.token]
    return sentence
