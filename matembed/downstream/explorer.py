"""A table of embeddings as one interactive page that works from a file: map, neighbours and periodic table."""

import html
import json
import os
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matembed._atomic import whole_file
from matembed.downstream._occurrences import Occurrence, occurrences
from matembed.downstream.plots._categories import LEGEND_TITLE, Color, categories_of, color_for
from matembed.downstream.plots._checks import check_table
from matembed.downstream.plots._families import unit
from matembed.downstream.plots._periodic_table_layout import cells
from matembed.downstream.plots._token_text import geometry_name, parts_of, pretty
from matembed.downstream.plots.maps import Method, check_map, map_points
from matembed.elements import ATOMIC_NUMBERS
from matembed.embeddings import EmbeddingTable
from matembed.tokens import Kind, Token

if TYPE_CHECKING:
    from matembed.corpus.corpus import Corpus
    from matembed.corpus.motif_tables import MotifTables

__all__ = ["Explorer", "explore"]

_METHOD_NAMES = {"pca": "principal components", "tsne": "t-SNE", "umap": "UMAP"}
_EXTENT = 10_000  # of the longer side of the map, whose points are whole numbers
_ROWS_AT_ONCE = 512
_DECIMALS = 12  # similarities that differ by less are ties, which go in row order
_FRAME = (
    '<iframe srcdoc="{page}" title="{title}" sandbox="allow-scripts" width="100%" height="760" '
    'style="border: 1px solid #8884; border-radius: 8px"></iframe>'
)


@dataclass(frozen=True)
class Explorer:
    """A page to explore a table of embeddings with; the last line of a notebook cell shows it.

    Attributes
    ----------
    title : str
        Heading of the page.
    n_tokens : int
        How many tokens are on the map.
    page : str
        The page as HTML, with all its data. It loads nothing, and its policy forbids it to.

    See Also
    --------
    explore : Makes one.
    """

    title: str
    n_tokens: int
    page: str

    def __repr__(self) -> str:
        return f"Explorer({self.title!r}, {self.n_tokens:,} tokens, {len(self.page) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame that can neither reach the notebook nor the network."""
        return _FRAME.format(page=html.escape(self.page), title=html.escape(self.title))

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page as one file, which any browser opens without a server or a network.

        Parameters
        ----------
        path : path-like
            File to make, such as ``"map.html"``. It appears whole or not at all.
        overwrite : bool, default False
            Replace a file that is there.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileExistsError
            If something is there and `overwrite` is false.
        """
        file = Path(path)
        if file.exists() and not overwrite:
            msg = f"{file} already exists; choose another path or pass overwrite=True (command line: --overwrite)"
            raise FileExistsError(msg)
        with whole_file(file) as partial:
            partial.write_text(self.page, encoding="utf-8", newline="\n")
        return file


def explore(
    table: EmbeddingTable,
    *,
    method: Method = "tsne",
    corpus: "Corpus | MotifTables | Mapping[str, tuple[int, Sequence[str]]] | None" = None,
    kind: Kind | None = None,
    limit: int = 10_000,
    n_neighbours: int = 10,
    seed: int = 0,
    title: str | None = None,
) -> Explorer:
    """Make a page to explore a table with: a map, the neighbours of each token, a search and a periodic table.

    Pointing at a token tells it in words, its nearest neighbours and, with `corpus`, how many materials hold it and
    examples. In a table of elements, the periodic table shows similarities to the chosen element; in others it shows
    how many tokens each element is the centre of, and picks them out.

    Parameters
    ----------
    table : EmbeddingTable
        Five tokens or more (three for "pca"), ``dim`` 2 or more.
    method : {"tsne", "pca", "umap"}
        As in `matembed.plots.embedding_map`. t-SNE keeps families of elements and motifs apart; of 10,000 motifs it
        takes about 40 s, PCA less than one.
    corpus : Corpus, MotifTables or mapping of str to (int, sequence of str), optional
        Where materials are counted and examples (three of the fewest elements) come from; or, by token, the count and
        the examples themselves. Species are counted in motif tables only.
    kind : {"element", "species", "motif", "geometry", "connection", "environment"}, optional
        Only tokens of this kind.
    limit : int, default 10_000
        The most tokens shown: the first of the table or, with `corpus`, those in the most materials.
    n_neighbours : int, default 10
        How many neighbours to tell, of the tokens shown, by cosine similarity.
    seed : int, default 0
        Seed of t-SNE and UMAP.
    title : str, optional
        By default the name of the table.

    Returns
    -------
    Explorer
        The page: ``.write("map.html")`` saves it, and notebooks show it. The same table and settings give the same
        bytes. Below 0.2 MB for elements, about 2 MB for 10,000 motifs.

    Raises
    ------
    TypeError
        If `table` is no EmbeddingTable or `corpus` is none of the above.
    ValueError
        If the table is too small or its vectors are all the same, a setting is unknown or out of range, a mapping
        holds something else, or motifs are to be counted in a corpus of formulas.
    ImportError
        If `method` is "umap" and umap-learn is not installed.

    See Also
    --------
    matembed.plots.embedding_map : The map as a figure.

    Examples
    --------
    >>> from matembed.pretrained import load
    >>> page = explore(load("elements"), method="pca")
    >>> page
    Explorer('elements', 103 tokens, 0.1 MB)
    """
    check_table(table)
    for name, number in (("limit", limit), ("n_neighbours", n_neighbours)):
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            msg = f"{name} must be a whole number, 1 or more, got {number!r}"
            raise ValueError(msg)
    if kind is not None and kind not in get_args(Kind):
        msg = f"kind must be one of {', '.join(get_args(Kind))}, or None for all tokens, got {kind!r}"
        raise ValueError(msg)
    candidates = table.subset(kind=kind)
    check_map(candidates, method)
    seen = None if corpus is None else occurrences(corpus, candidates.tokens)
    counts = {} if seen is None else {token: one.n_materials for token, one in seen.items()}
    most = sorted(candidates.tokens, key=lambda token: -counts.get(token, 0))[:limit]  # ties stay in order
    shown = candidates.subset(sorted(most, key=candidates.row))
    check_map(shown, method)
    points, axes = map_points(shown, method, seed)
    title = (table.card.name if title is None else str(title)).encode(errors="replace").decode()  # half a character
    data = {
        "title": title,
        "note": _note(shown, len(candidates), method, axes, by_count=seen is not None),
        "source": " · ".join(filter(None, (table.card.source, table.card.licence))),
        **_token_data(shown),
        **_point_data(points),
        **_neighbour_data(shown, int(n_neighbours)),
        **_occurrence_data(shown.tokens, seen),
        "colours": _colour_data(shown.tokens),
        "elements": _element_data(),
    }
    # in an HTML file, "<" could end the block of data
    text = json.dumps(data, separators=(",", ":")).replace("&", r"\u0026").replace("<", r"\u003c")
    template = files("matembed.downstream").joinpath("explorer.html").read_text(encoding="utf-8")
    return Explorer(title, len(shown), string.Template(template).substitute(title=html.escape(title), data=text))


def _note(shown: EmbeddingTable, n_candidates: int, method: Method, axes: tuple[str, str], *, by_count: bool) -> str:
    """Say what is on the map."""
    how = _METHOD_NAMES[method] + (f" {axes[0]} and {axes[1]}" if method == "pca" else "")
    if len(shown) == n_candidates:
        return f"{n_candidates:,} tokens by {how} of {shown.dim} columns"
    which = f"tokens {'in the most materials' if by_count else 'first in the table'}, and neighbours among them"
    return f"the {len(shown):,} of {n_candidates:,} {which}, by {how} of {shown.dim} columns"


def _token_data(table: EmbeddingTable) -> dict[str, Any]:
    """Write the tokens, what stands beside their points, their words, and the atomic number of their centre (or 0)."""
    parts = [parts_of(token) for token in table.tokens]
    return {
        "tokens": table.tokens,
        "labels": [pretty(token) for token in table.tokens],
        "words": ["" if part is None else _in_words(part) for part in parts],
        "centres": [0 if part is None else ATOMIC_NUMBERS.get(part.element or "", 0) for part in parts],
        "backedOff": [row for row, token in enumerate(table.tokens) if token in table.backed_off],
    }


def _in_words(token: Token) -> str:
    """Say what a token stands for: iron; titanium 4+ with 6 oxygen, octahedron."""
    centre = "" if token.element is None else _element_name(token.element)
    charge = "" if token.oxidation is None else f" {abs(token.oxidation):g}{'-' if token.oxidation < 0 else '+'}"
    geometry = "" if token.geometry is None else geometry_name(token.geometry) or f"{token.cn} neighbours"
    ligands = " and ".join(f"{amount:g} {_element_name(symbol)}" for symbol, amount in token.ligands)
    match token.kind:
        case "motif":
            return f"{centre}{charge} with {ligands}, {geometry}"
        case "geometry":
            return f"{geometry}, coordination number {token.cn}"
        case "connection":
            return f"two polyhedra that share {'an' if token.sharing == 'edge' else 'a'} {token.sharing}"
        case "environment":
            return f"{ligands or 'nothing else'} around {token.amount:g} atom{'s' * (token.amount != 1)} of an element"
        case _:
            return f"{centre}{charge}"


def _element_name(symbol: str) -> str:
    from pymatgen.core.periodic_table import Element

    return str(Element(symbol).long_name).lower()


def _point_data(points: NDArray[np.float64]) -> dict[str, list[int]]:
    """Write the points in whole numbers, y downwards as on a screen."""
    low = points.min(axis=0)
    x, y = np.rint((points - low) * (_EXTENT / (points - low).max())).astype(int).T
    return {"x": x.tolist(), "y": (y.max() - y).tolist(), "extent": [int(x.max()), int(y.max())]}


def _neighbour_data(table: EmbeddingTable, n_neighbours: int) -> dict[str, Any]:
    """Write the nearest tokens of each, most similar first, as `EmbeddingTable.nearest` finds them, row after row.

    Similarities are in hundredths. Of elements, those of all pairs are written too.
    """
    directions = unit(table.vectors.astype(np.float64))
    n_tokens, n_found = len(table), min(n_neighbours, len(table) - 1)
    rows = np.empty((n_tokens, n_found), dtype=np.intp)
    values = np.empty((n_tokens, n_found))
    with threadpool_limits(1):  # another number of threads, another order of sums
        for start in range(0, n_tokens, _ROWS_AT_ONCE):
            block = np.round(directions[start : start + _ROWS_AT_ONCE] @ directions.T, _DECIMALS)
            for row, similarity in enumerate(block, start):
                similarity[row] = -np.inf
                near = np.flatnonzero(similarity >= np.partition(similarity, -n_found)[-n_found])
                rows[row] = near[np.argsort(-similarity[near], kind="stable")][:n_found]
                values[row] = similarity[rows[row]]
        elements_only = set(table.kinds) == {"element"}
        pairs = _hundredths(table.similarity_matrix()) if elements_only else []
    return {"k": n_found, "neighbours": rows.ravel().tolist(), "similarities": _hundredths(values), "pairs": pairs}


def _hundredths(values: NDArray[np.float64]) -> list[int]:
    return [int(value) for value in np.rint(100 * values).ravel()]


def _occurrence_data(tokens: Collection[str], seen: Mapping[str, Occurrence] | None) -> dict[str, Any]:
    """Write the number of materials that hold each token, None where it is not known, and example compounds."""
    found = [None if seen is None else seen.get(token) for token in tokens]
    if all(one is None for one in found):
        return {"counts": [], "examples": []}
    return {
        "counts": [None if one is None else one.n_materials for one in found],
        "examples": [() if one is None else one.examples for one in found],
    }


def _colour_data(tokens: Sequence[str]) -> list[dict[str, Any]]:
    """Write what the points can be coloured by, what suits them first: the categories, and that of each token."""
    parts = [parts_of(token) for token in tokens]
    choices: list[Color | None] = [color_for(tokens, None)]
    if any(part is not None and part.geometry for part in parts):
        choices += ["geometry", "cn"]
    if any(part is not None and part.element for part in parts):
        choices += ["block", "group"]
    if any(part is not None and part.element and part.kind != "element" for part in parts):
        choices += ["element"]
    found = []
    for color in dict.fromkeys(choices):
        categories = categories_of(tokens, color)
        of = np.empty(len(tokens), dtype=int)
        for number, category in enumerate(categories):
            of[category.rows] = number
        found.append(
            {
                "title": "one colour" if color is None else " ".join(LEGEND_TITLE[color].split()),
                "names": [" ".join(category.name.split()) for category in categories],
                "hues": [category.color for category in categories],
                "marks": [category.marker for category in categories],
                "of": of.tolist(),
            }
        )
    return found


def _element_data() -> list[tuple[str, str, int, int]]:
    """Write symbol, name, column and row of the elements by atomic number; La to Lu and Ac to Lr are rows 7 and 8."""
    return [(cell.symbol, _element_name(cell.symbol), int(cell.column), int(cell.row)) for cell in cells()]
