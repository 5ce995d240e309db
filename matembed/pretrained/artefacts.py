"""What the folder of something pretrained holds, checked before anything of it is used."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matembed._atomic import sha256_of
from matembed.cards import Card
from matembed.pretrained.entries import KINDS, Entry, File, check_names

if TYPE_CHECKING:
    from matembed.embeddings import EmbeddingTable
    from matembed.encoders.masked_lm import MaskedLM

__all__ = ["check_artefact", "describe", "kind_in", "open_artefact"]

# What `MaskedLM.save_pretrained` writes. Other keys can make transformers fetch and run code.
_NETWORK_KEYS = {
    *("architectures", "card", "dim", "dropout", "dtype", "feed_forward", "history", "initializer_range"),
    *("model_type", "n_heads", "n_layers", "n_words", "seen", "transformers_version", "type"),
}
_LARGEST_CONFIG = 1 << 26  # bytes


def kind_in(folder: Path, *, called: str | None = None) -> str:
    """Look up what a folder holds.

    Parameters
    ----------
    folder : Path
        Any folder.
    called : str, optional
        How messages call it; by default by its path.

    Returns
    -------
    str
        ``"EmbeddingTable"`` or ``"MaskedLM"``.

    Raises
    ------
    ValueError
        If its config.json does not say that it holds one of these.
    """
    called = called or str(folder)
    kind = _read_config(folder, called).get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        msg = (
            f"{called} holds no {' or '.join(KINDS)} of matembed: its config.json has type {kind!r:.40}; "
            "write one with table.write or model.save_pretrained"
        )
        raise ValueError(msg)
    return kind


def check_artefact(folder: Path, *, called: str | None = None) -> str:
    """Check that the files which `load` would open are what they should be, without opening them for good.

    Parameters
    ----------
    folder : Path
        What `EmbeddingTable.write` or `MaskedLM.save_pretrained` made.
    called : str, optional
        How messages call it; by default by its path.

    Returns
    -------
    str
        ``"EmbeddingTable"`` or ``"MaskedLM"``.

    Raises
    ------
    ValueError
        If config.json is none of ours, a file is missing, the weights are no safetensors file (but a pickle, say), or
        they are not of the sizes that config.json tells.
    """
    called = called or str(folder)
    kind = kind_in(folder, called=called)
    config = _read_config(folder, called)
    weights = KINDS[kind].weights
    missing = [name for name in (weights, *KINDS[kind].needed) if not (folder / name).is_file()]
    if missing:
        msg = f"{called} is no whole {kind}: {', '.join(missing)} missing"
        raise ValueError(msg)
    card = _card_of(config, called)
    shapes = _shapes(folder / weights, called)
    if kind == "EmbeddingTable":
        wanted = [_count(config, key, called) for key in ("n_tokens", "dim")]
        if shapes != {"vectors": wanted}:
            msg = f"{called}: {weights} holds {_listed(shapes)}, but config.json tells of vectors {wanted}"
            raise ValueError(msg)
    else:
        _check_network(config, card, sum(math.prod(shape) for shape in shapes.values()), called)
    return kind


def describe(folder: Path, *, where: str = "registry") -> Entry:
    """Describe a folder by its card and the hashes of its files, once `check_artefact` has passed it.

    Parameters
    ----------
    folder : Path
        Its name is that of the entry.
    where : str
        The attribute of the entry.

    Returns
    -------
    Entry
        Paths begin with the name of the folder.

    Raises
    ------
    ValueError
        As `check_artefact` does; or if a file is there that does not belong to it, or is a link.
    """
    kind = check_artefact(folder)
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    check_names(kind, [path.name for path in paths], of=str(folder))
    for path in (folder, *paths):
        if path.is_symlink() or not (path == folder or path.is_file()):
            msg = f"{path} is a link or no file; put a copy of the file in its place"
            raise ValueError(msg)
    files = tuple(File(f"{folder.name}/{path.name}", sha256_of(path), path.stat().st_size) for path in paths)
    card = _card_of(_read_config(folder, str(folder)), str(folder))
    what, licence, *citation = map(_line, (card.what, card.licence, *card.citation))
    return Entry(folder.name, kind, what, licence, tuple(citation), KINDS[kind].since, files, where)


def open_artefact(folder: Path) -> "EmbeddingTable | MaskedLM":
    """Open what a folder holds.

    Parameters
    ----------
    folder : Path
        One that `check_artefact` passes.

    Returns
    -------
    EmbeddingTable or MaskedLM
        What it holds.

    Raises
    ------
    ImportError
        If it is a transformer, and what that needs is not installed; the message is the pip line.
    ValueError
        As `check_artefact` does, or if hashes on the card of a table do not fit its files.
    """
    if check_artefact(folder) == "EmbeddingTable":
        from matembed.embeddings import EmbeddingTable

        return EmbeddingTable.read(folder)
    from matembed.encoders.masked_lm import MaskedLM

    return MaskedLM.from_pretrained(folder)


def _read_config(folder: Path, called: str) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        msg = f"{called} holds nothing pretrained with matembed: there is no config.json"
        raise ValueError(msg)
    if path.stat().st_size > _LARGEST_CONFIG:
        msg = f"{called}: config.json has more than {_LARGEST_CONFIG:,} bytes, which none of matembed has"
        raise ValueError(msg)
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        msg = f"{called}: config.json is none of matembed: {type(error).__name__}, {error}"
        raise ValueError(msg) from error
    if not isinstance(config, dict):
        msg = f"{called}: config.json is none of matembed: wanted a mapping, got {config!r:.40}"
        raise ValueError(msg)
    return config


def _card_of(config: dict[str, Any], called: str) -> Card:
    try:
        card = Card.from_dict(config.get("card", {}))
    except (TypeError, ValueError) as error:
        msg = f"{called}: config.json has no card: {error}"
        raise ValueError(msg) from error
    if not all(isinstance(text, str) for text in (card.what, card.licence, *card.citation)):
        msg = f"{called}: config.json has a card whose what, licence or citation is no text"
        raise ValueError(msg)
    return card


def _line(text: str) -> str:
    """Write a text in one line, without what a terminal could take for a command."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def _shapes(path: Path, called: str) -> dict[str, list[int]]:
    """Read the shapes of the arrays in a safetensors file, and nothing else of it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        msg = f"{called}: {path.name} is no safetensors file, and nothing else is read, a pickle least of all: {error}"
        raise ValueError(msg) from error


def _check_network(config: dict[str, Any], card: Card, n_weights: int, called: str) -> None:
    """Refuse a config that would build more than the weights fill, or that says more than our networks need."""
    foreign = config.keys() - _NETWORK_KEYS
    if foreign:
        msg = f"{called}: config.json has the key {min(foreign)!r:.60}, which no MaskedLM has; it is not opened"
        raise ValueError(msg)
    sizes = {key: _count(config, key, called) for key in ("dim", "n_layers", "n_heads", "feed_forward")}
    n_words = _count(config, "n_words", called)
    dim, n_layers, n_heads, wide = sizes.values()
    least = n_words * dim + n_layers * (4 * dim**2 + 2 * dim * wide)
    if least > n_weights or n_heads > dim:
        msg = f"{called}: config.json tells of a network of {least:.3g} weights or more; its file has {n_weights:,}"
        raise ValueError(msg)
    if sizes != {key: card.settings.get(key) for key in sizes}:
        msg = f"{called}: the card in config.json tells of a network of other sizes than {sizes}"
        raise ValueError(msg)


def _count(config: dict[str, Any], key: str, called: str) -> int:
    value = config.get(key)
    if type(value) is not int or not 0 < value < 1 << 40:
        msg = f"{called}: {key} in config.json must be a whole number above 0, got {value!r:.40}"
        raise ValueError(msg)
    return value


def _listed(shapes: dict[str, list[int]]) -> str:
    few = [f"{name!r:.40} {shape}" for name, shape in list(shapes.items())[:3]]
    return ", ".join(few) + (", ..." if len(shapes) > 3 else "")
