"""What commands read: tables by path or name, cards."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matembed.cards import Card
    from matembed.embeddings import EmbeddingTable

__all__ = ["is_pretrained", "looks_up", "read_card", "read_table", "read_tables"]


def read_table(path: Path) -> "EmbeddingTable":
    """Read a table from disk, or a pretrained one by its name, unless a table of that name is here."""
    from matembed.embeddings import EmbeddingTable
    from matembed.interchange import read_table
    from matembed.pretrained import load

    if not is_pretrained(path):
        return read_table(path)
    name = path.as_posix()
    loaded = load(name)
    if not isinstance(loaded, EmbeddingTable):
        msg = f"{name} is a transformer, wanted a table; in Python: matembed.load({name!r}).embeddings()"
        raise TypeError(msg)
    return loaded


def is_pretrained(path: Path) -> bool:
    """Tell a name for `matembed.load` from a path: of the package, of the hub, or, if one is set, of a registry."""
    from matembed.pretrained import MODELS, TABLES
    from matembed.pretrained.registry import find_registry

    name = path.as_posix()
    if path.is_file() or (path / "vectors.safetensors").exists():
        return False
    if name.partition("@")[0] in (*TABLES, *MODELS) or name.startswith("hf:"):
        return True
    return "/" not in name and not path.exists() and find_registry() is not None


def read_tables(paths: Sequence[Path]) -> "dict[str, EmbeddingTable]":
    """Read several tables, by the names of their folders."""
    tables = {path.name: read_table(path) for path in paths}
    if len(tables) != len(paths):
        msg = f"tables need different folder names, got {', '.join(map(str, paths))}"
        raise ValueError(msg)
    return tables


def looks_up(tables: "Iterable[EmbeddingTable]") -> Literal["formulas", "motifs"]:
    """Tell what materials are to tables: formulas, or motifs."""
    kinds = {kind for table in tables for kind in table.kinds}
    return "motifs" if kinds & {"motif", "geometry"} else "formulas"


def read_card(path: Path) -> "Card":
    """Read a card that a person wrote in YAML."""
    import yaml

    from matembed.cards import Card

    try:
        return Card.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        msg = f"{path} is no card in YAML: {' '.join(str(error).split())}"
        raise ValueError(msg) from error
