"""What was pretrained and comes with the package, by name, with no network: tables of vectors, and transformers."""

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matembed.embeddings import EmbeddingTable

__all__ = ["MODELS", "TABLES", "available", "load"]

# What each table is; `make_tables.py` beside this file makes them.
TABLES = {
    "elements": "103 elements, from formulas and crystals; 512 columns",
    "elements-from-formulas": "103 elements, from formulas alone; 512 columns",
    "species": "elements with oxidation states, from how they sit in crystals; 128 columns",
    "motifs": "coordination polyhedra, from their parts and what they are connected to; 64 columns",
}

# `MaskedLM.from_pretrained` opens them; `make_transformer.py` makes them.
MODELS = {
    "crystals": "transformer that reads formulas and motif graphs; 160 columns, 3 layers, 1 million weights",
    "crystals-large": "the same with 256 columns, 5 layers, 4 million weights; four times as slow",
}


def available() -> dict[str, str]:
    """List the tables that `load` knows.

    Returns
    -------
    dict of str to str
        Name, and what it is in a line.

    Examples
    --------
    >>> list(available())
    ['elements', 'elements-from-formulas', 'species', 'motifs']
    """
    return dict(TABLES)


def load(name: str) -> "EmbeddingTable":
    """Load a pretrained table by name.

    Parameters
    ----------
    name : str
        One of `available`.

    Returns
    -------
    EmbeddingTable
        The table, its hashes checked. Its card names the data, their licence and citation, and the command that made
        it.

    Raises
    ------
    ValueError
        If there is no table of that name, or its files were changed.

    See Also
    --------
    matembed.back_off : Makes vectors for tokens that a table lacks.

    Examples
    --------
    >>> elements = load("elements")
    >>> [neighbour.token for neighbour in elements.nearest("Na", n=2)]
    ['K', 'Rb']
    """
    from matembed.embeddings import EmbeddingTable

    if name not in TABLES:
        msg = f"no pretrained table {name!r}; there are {', '.join(TABLES)}: see matembed.available()"
        raise ValueError(msg)
    with as_file(files(__name__) / "tables" / name) as folder:
        return EmbeddingTable.read(folder)
