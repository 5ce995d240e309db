"""A folder with a card: its config.json and README.md, and files that are checked when they are first read."""

import json
import os
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from matembed._atomic import sha256_of
from matembed.cards import Card

__all__ = ["checked_file", "other_files", "read_config", "write_config"]


def write_config(folder: Path, card: Card, counts: Mapping[str, int], **config: Any) -> None:
    """Write ``config.json`` and ``README.md`` beside the finished files, with their counts and hashes in the card."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sha256 = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    card = replace(card, counts=counts, sha256=sha256)
    text = json.dumps(config | {"card": card.to_dict()}, indent=1, ensure_ascii=False) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(card.to_markdown(), encoding="utf-8", newline="\n")


def read_config(
    path: str | os.PathLike[str],
    *,
    kind: str,
    schema: int,
    noun: str,
    maker: str,
    problem: Callable[[Mapping[str, Any], Card], str],
) -> tuple[Path, dict[str, Any], Card]:
    """Read ``config.json``, and say in one line what is wrong if it is not that of a `kind`, or a file is missing.

    `noun` and `maker` are what a person calls such a folder, and the function that makes one. `problem` says what is
    wrong with what the config names, so that nothing outside the folder is read.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        what = f"is no {noun}: config.json missing" if folder.is_dir() else f"is no folder of a {noun}"
        unfinished = folder.with_name(f"{folder.name}.partial").is_dir()
        remedy = "run the same build again to finish it" if unfinished else f"make one with {maker}"
        msg = f"{folder} {what}; {remedy}"
        raise FileNotFoundError(msg)
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found_schema, found, card = config["schema"], config["type"], Card.from_dict(config["card"])
        wrong = problem(config, card) if (found, found_schema) == (kind, schema) else ""
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        msg = f"{folder / 'config.json'} is not the config of a {noun}: {error}"
        raise ValueError(msg) from error
    if found != kind:
        msg = f"{folder} holds a {found}, not a {kind}; make one with {maker}"
        raise ValueError(msg)
    if found_schema != schema:
        msg = f"{folder} has format {found_schema}; this matembed reads format {schema}: upgrade matembed"
        raise ValueError(msg)
    if wrong:
        msg = f"{folder / 'config.json'} is not the config of a {noun}: {wrong}"
        raise ValueError(msg)
    for name in card.sha256:
        if not (folder / name).is_file():
            msg = f"{folder / name} is missing; build the {noun} again"
            raise FileNotFoundError(msg)
    return folder, config, card


def other_files(card: Card, names: Set[str]) -> str:
    """Say what is wrong if the files that a card names are others than these; nothing if they are not."""
    wrong = sorted(names ^ card.sha256.keys())
    return f"sha256 must name {', '.join(sorted(names))} and no other; see {wrong[0]!r}" if wrong else ""


def checked_file(folder: Path, name: str, card: Card, checked: set[str], noun: str) -> Path:
    """Find a file, and compare it with its SHA-256 the first time; `checked` remembers which were."""
    path = folder / name
    if name not in checked:
        if sha256_of(path) != card.sha256[name]:
            msg = f"{path} is not the file its config.json names by SHA-256; build the {noun} again"
            raise ValueError(msg)
        checked.add(name)
    return path
