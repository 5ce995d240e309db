"""What was pretrained, by name: it comes with the package, from the cache, a registry, or the Hugging Face hub."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from matembed.pretrained.artefacts import describe, open_artefact
from matembed.pretrained.cache import cached, find_revision, keep
from matembed.pretrained.entries import Entry, is_name
from matembed.pretrained.hub import PREFIX, fetch_repository, push_to_hub
from matembed.pretrained.registry import VARIABLE, build_index, find_registry, read_index

if TYPE_CHECKING:
    from matembed.embeddings import EmbeddingTable
    from matembed.encoders.masked_lm import MaskedLM

__all__ = ["MODELS", "TABLES", "available", "build_registry", "fetch", "load", "push_to_hub"]

# What each table is; `make_tables.py` beside this file makes them.
TABLES = {
    "elements": "103 elements, from formulas and crystals; 512 columns",
    "elements-from-formulas": "103 elements, from formulas alone; 512 columns",
    "species": "elements with oxidation states, from how they sit in crystals; 128 columns",
    "motifs": "coordination polyhedra, from their parts and what they are connected to; 64 columns",
}

# Transformers; `make_transformer.py` makes them.
MODELS = {
    "crystals": "transformer that reads formulas and motif graphs; 160 columns, 3 layers, 1 million weights",
    "crystals-large": "the same with 256 columns, 5 layers, 4 million weights; four times as slow",
}

_HERE = Path(__file__).parent
_NAME = re.compile(r"([^@/\\]+)(?:@([0-9a-f]{16}))?")
_MAX_BYTES = 2_000_000_000


def available(*, registry: str | os.PathLike[str] | None = None, online: bool = False) -> dict[str, Entry]:
    """List what `load` finds by name: in the package, in the cache, and in the registry.

    What was fetched from the Hugging Face hub is kept, and listed, by huggingface_hub.

    Parameters
    ----------
    registry : path-like or str, optional
        Folder or URL of a registry; by default what ``MATEMBED_REGISTRY`` says.
    online : bool, default False
        Also read the index of a registry on a server. That of a folder is always read.

    Returns
    -------
    dict of str to Entry
        By name. ``where`` is ``"bundled"``, ``"cached"`` or ``"registry"``: the first of them that has it.

    Raises
    ------
    OSError
        If the index of the registry cannot be read.
    ValueError
        If it is no index, or what is meant is no registry.

    Examples
    --------
    >>> list(available())
    ['elements', 'elements-from-formulas', 'species', 'motifs', 'crystals', 'crystals-large']
    >>> available()["species"]
    Entry('species', EmbeddingTable, bundled, 0.65 MB, CC-BY-4.0: elements with oxidation states, from how they sit ...)
    """
    entries = {
        name: replace(describe(_bundled(name), where="bundled"), what=what) for name, what in (TABLES | MODELS).items()
    }
    place = find_registry(registry)
    if place is not None:
        entries = cached(place) | entries
        if online or isinstance(place, Path):
            entries = read_index(place) | entries
    order = ("bundled", "cached", "registry")
    return {entry.name: entry for entry in sorted(entries.values(), key=lambda entry: order.index(entry.where))}


def fetch(
    name: str,
    *,
    registry: str | os.PathLike[str] | None = None,
    update: bool = False,
    progress: bool = False,
    max_bytes: int = _MAX_BYTES,
) -> Path:
    """Find the folder of something pretrained, and download it where need be.

    What comes with the package is taken from there, then what was fetched before, then what the registry has. Each
    file is checked by size and SHA-256 before any is used. Nothing that could run code is read.

    Parameters
    ----------
    name : str
        One of `available`; or of the Hugging Face hub, ``"hf:owner/name"``. After ``@`` a revision: as `available`
        tells it; on the hub a branch, a tag or the hash of a commit.
    registry : path-like or str, optional
        Folder or URL of a registry; by default what ``MATEMBED_REGISTRY`` says.
    update : bool, default False
        Ask the registry, or the hub, for the newest revision, although one is cached.
    progress : bool, default False
        Show a bar for each file that is downloaded.
    max_bytes : int, default 2,000,000,000
        Largest size to download.

    Returns
    -------
    Path
        The folder; the name of one that was fetched is its revision.

    Raises
    ------
    OSError
        If it cannot be reached, or ``MATEMBED_OFFLINE`` is set and it is not cached, or the cache cannot be written.
    ValueError
        If nothing is called so, it is too large, or its files are not what they should be.

    Examples
    --------
    >>> fetch("elements").name
    'elements'
    """
    if not isinstance(name, str):
        msg = f"a name such as 'elements' is wanted, got {name!r:.80}; read a folder with EmbeddingTable.read"
        raise TypeError(msg)
    if name.startswith(PREFIX):
        return fetch_repository(name, update=update, max_bytes=max_bytes)
    match = _NAME.fullmatch(name)
    if not match or not is_name(match[1]):
        msg = f"a name such as 'elements', 'oxides@1a2b3c4d5e6f7a8b' or 'hf:owner/name' is wanted, got {name!r:.80}; "
        msg += "read a folder with EmbeddingTable.read or MaskedLM.from_pretrained"
        raise ValueError(msg)
    plain, revision = match.groups()
    if plain in TABLES or plain in MODELS:
        if revision and (here := describe(_bundled(plain)).revision) != revision:
            msg = f"this matembed comes with {plain}@{here}, wanted {revision}; install the version that has it"
            raise ValueError(msg)
        return _bundled(plain)
    place = find_registry(registry)
    if place is None:
        raise ValueError(_unknown(plain, f"and no registry is set: set {VARIABLE} to the folder or URL of one"))
    wanted = revision
    if not (wanted or update) and plain in (kept := cached(place)):
        wanted = kept[plain].revision
    if wanted and (folder := find_revision(place, plain, wanted)):
        return folder
    entries = read_index(place)
    if plain not in entries:
        there = ", ".join(entries) if len(entries) < 20 else f"{len(entries)} others"
        raise ValueError(_unknown(plain, f"nor is it in the registry {place} ({there or 'empty'})"))
    if revision and entries[plain].revision != revision:
        msg = f"{plain}@{revision} is not cached, and the registry {place} has {entries[plain].revision} in its place"
        raise ValueError(msg)
    return keep(place, entries[plain], max_bytes=max_bytes, progress=progress)


@overload
def load(
    name: Literal["elements", "elements-from-formulas", "species", "motifs"],
    *,
    registry: str | os.PathLike[str] | None = ...,
) -> "EmbeddingTable": ...
@overload
def load(
    name: Literal["crystals", "crystals-large"], *, registry: str | os.PathLike[str] | None = ...
) -> "MaskedLM": ...
@overload
def load(name: str, *, registry: str | os.PathLike[str] | None = ...) -> Any: ...
def load(name: str, *, registry: str | os.PathLike[str] | None = None) -> Any:
    """Load a pretrained table or transformer by name; download it where need be, once.

    Parameters
    ----------
    name : str
        One of `available`; or ``"hf:owner/name@revision"`` of the Hugging Face hub. See `fetch`.
    registry : path-like or str, optional
        Folder or URL of a registry; by default what ``MATEMBED_REGISTRY`` says.

    Returns
    -------
    EmbeddingTable or MaskedLM
        The hashes of its files checked. Its card names the data, their licence and citation, and the command that
        made it.

    Raises
    ------
    ImportError
        If it is a transformer, and what that needs is not installed; the message is the pip line.
    OSError
        As of `fetch`.
    ValueError
        As of `fetch`, or if files were changed.

    See Also
    --------
    matembed.back_off : Makes vectors for tokens that a table lacks.
    matembed.read_table : Reads a table from a file or folder.

    Examples
    --------
    >>> elements = load("elements")
    >>> [neighbour.token for neighbour in elements.nearest("Na", n=2)]
    ['K', 'Rb']
    """
    return open_artefact(fetch(name, registry=registry))


def build_registry(folder: str | os.PathLike[str]) -> Path:
    """Write the index that makes a folder of tables and transformers a registry.

    The folder can then be served by any web server, or shared as it is. What it holds is told by the cards: have them
    state the licence. Write new versions in place of old ones, and build again; the same folders give the same bytes.

    Parameters
    ----------
    folder : path-like
        Holds folders that `EmbeddingTable.write` or `MaskedLM.save_pretrained` made; their names are those to load
        them by.

    Returns
    -------
    Path
        The index, ``registry.json`` in the folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If a folder in it is something else, has a file too many, or a name that cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = load("elements").subset(["Li", "Na"]).write(Path(folder, "alkali"))
    ...     _ = build_registry(folder)
    ...     available(registry=folder)["alkali"].licence
    'CC-BY-4.0'
    """
    return build_index(Path(folder), reserved=TABLES.keys() | MODELS.keys())


def _bundled(name: str) -> Path:
    return _HERE / ("tables" if name in TABLES else "models") / name


def _unknown(name: str, why: str) -> str:
    known = ", ".join(TABLES | MODELS)
    read = f"; a folder is read with EmbeddingTable.read({name!r})" if Path(name).exists() else ""
    return f"nothing pretrained is called {name!r}: it is not in the package ({known}), {why}{read}"
