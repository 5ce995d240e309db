"""What is told of something pretrained, in an index or from its folder, and held to rules that keep it harmless."""

import hashlib
import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Self

__all__ = ["KINDS", "Entry", "File", "Kind", "check_names", "is_name"]


class Kind(NamedTuple):
    """What the folder of one kind of pretrained things holds.

    Attributes
    ----------
    weights : str
        Name of the file with the numbers.
    needed : tuple of str
        What else there must be.
    optional : tuple of str
        What else there may be. Nothing more is ever fetched.
    since : str
        The first version of matembed that reads what this one writes.
    """

    weights: str
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    since: str

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (self.weights, *self.needed, *self.optional)


# By the type in config.json.
KINDS = {
    "EmbeddingTable": Kind("vectors.safetensors", ("config.json", "vocab.json"), ("README.md",), since="0.1.0"),
    "MaskedLM": Kind(
        "model.safetensors", ("config.json",), ("tokenizer.json", "tokenizer_config.json", "README.md"), since="0.1.0"
    ),
}
# Folders are named so in the cache; Windows takes con, nul and the like for devices.
_NAME = re.compile(
    r"(?!(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?"
)
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")  # of a path: neither "..", nor hidden, nor a drive
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RELEASE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}")


@dataclass(frozen=True)
class File:
    """A file of something pretrained.

    Attributes
    ----------
    path : str
        Where it is, from the folder of the registry on, with ``/`` between folders.
    sha256 : str
        Hexadecimal digest.
    size : int
        Bytes.

    Raises
    ------
    ValueError
        If the path could lead out of the folder, or the digest or size is none.

    Examples
    --------
    >>> File("oxides/vocab.json", "0" * 64, 12).name
    'vocab.json'
    """

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not (
            isinstance(self.path, str) and all(map(_PART.fullmatch, self.path.split("/"))) and len(self.path) < 300
        ):
            msg = f"a path is made of folders and a file name below the registry, got {self.path!r:.80}"
            raise ValueError(msg)
        if not (isinstance(self.sha256, str) and _SHA256.fullmatch(self.sha256)):
            msg = f"the sha256 of {self.path} must be 64 hexadecimal digits, got {self.sha256!r:.80}"
            raise ValueError(msg)
        if type(self.size) is not int or self.size < 0:
            msg = f"the size of {self.path} must be a number of bytes, got {self.size!r:.80}"
            raise ValueError(msg)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Entry:
    """Something pretrained, by name.

    Attributes
    ----------
    name : str
        Letters, digits, ``.``, ``_`` and ``-``.
    kind : {"EmbeddingTable", "MaskedLM"}
        What `load` makes of it.
    what : str
        What it is, in a line.
    licence : str
        As its card has it; empty if not stated.
    citation : tuple of str
        What to cite.
    requires : str
        The oldest version of matembed that reads it.
    files : tuple of File
        By name.
    where : {"bundled", "cached", "registry"}
        In the package, in the cache, or still to be fetched.

    Raises
    ------
    ValueError
        If something is not as above, or the files are not those of its kind, unless it requires a newer matembed.
    """

    name: str
    kind: str
    what: str
    licence: str
    citation: tuple[str, ...]
    requires: str
    files: tuple[File, ...]
    where: str = "registry"

    def __post_init__(self) -> None:
        if not is_name(self.name):
            msg = f"a name is letters, digits, '.', '_' and '-', up to 100, none of a device, got {self.name!r:.80}"
            raise ValueError(msg)
        for text in (self.what, self.licence, *self.citation):
            if not (isinstance(text, str) and text.isprintable()):
                msg = f"what, licence and citation of {self.name} must be lines of text, got {text!r:.80}"
                raise ValueError(msg)
        if not (isinstance(self.requires, str) and _RELEASE.fullmatch(self.requires)):
            msg = f"{self.name} must require a version such as '0.1.0', got {self.requires!r:.80}"
            raise ValueError(msg)
        if not (isinstance(self.kind, str) and self.kind.isidentifier()):
            msg = f"the kind of {self.name} must be a word such as 'EmbeddingTable', got {self.kind!r:.80}"
            raise ValueError(msg)
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            msg = f"{self.name} lists a file twice: {', '.join(sorted(names))}"
            raise ValueError(msg)
        if not self.is_too_new:
            check_names(self.kind, names, of=self.name)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def revision(self) -> str:
        """Sixteen hexadecimal digits that differ when a file does; ``name@revision`` asks for it."""
        lines = sorted(f"{file.name} {file.size} {file.sha256}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]

    @property
    def is_too_new(self) -> bool:
        """Whether it requires a newer matembed than this one, which may know more kinds."""
        return _release(self.requires) > _installed()

    def __repr__(self) -> str:
        size = f"{self.size / 1e6:.2g} MB" if self.size < 1e8 else f"{self.size / 1e6:,.0f} MB"
        licence = self.licence or "licence not stated"
        return f"Entry({self.name!r}, {self.kind}, {self.where}, {size}, {licence}: {self.what.partition('. ')[0]})"

    def to_dict(self) -> dict[str, Any]:
        """Turn the entry into plain values for an index.

        Returns
        -------
        dict
            All but `where`, in their order.
        """
        files = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in self.files]
        return {
            "name": self.name,
            "kind": self.kind,
            "what": self.what,
            "licence": self.licence,
            "citation": list(self.citation),
            "requires": self.requires,
            "files": files,
        }

    @classmethod
    def from_dict(cls, values: object, *, where: str = "registry") -> Self:
        """Make an entry of what an index holds, trusting none of it.

        Parameters
        ----------
        values : object
            What `to_dict` wrote; unknown keys are ignored, so that indexes of newer versions can be read.
        where : str
            The attribute.

        Returns
        -------
        Entry
            The entry.

        Raises
        ------
        ValueError
            If it is no entry.
        """
        if not isinstance(values, Mapping):
            msg = f"an entry is a mapping with a name, got {values!r:.80}"
            raise ValueError(msg)
        name = values.get("name")
        listed, citation = values.get("files"), values.get("citation", [])
        if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
            msg = f"the files of {name!r:.80} must be a list of path, sha256 and size, got {listed!r:.80}"
            raise ValueError(msg)
        if not isinstance(citation, list):
            msg = f"the citation of {name!r:.80} must be a list of texts, got {citation!r:.80}"
            raise ValueError(msg)
        return cls(
            name=values.get("name", ""),
            kind=values.get("kind", ""),
            what=values.get("what", ""),
            licence=values.get("licence", ""),
            citation=tuple(citation),
            requires=values.get("requires", "0"),
            files=tuple(File(one.get("path", ""), one.get("sha256", ""), one.get("size", -1)) for one in listed),
            where=where,
        )


def is_name(name: object) -> bool:
    """Tell whether something can be the name of an entry.

    Parameters
    ----------
    name : object
        Anything.

    Returns
    -------
    bool
        Whether it is letters, digits, ``.``, ``_`` and ``-``, up to 100, and no device of Windows, such as ``con``.

    Examples
    --------
    >>> is_name("mp-elements_2.0"), is_name("../elements"), is_name("con")
    (True, False, False)
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_names(kind: object, names: Iterable[str], *, of: str) -> None:
    """Check that files are those of a kind.

    Parameters
    ----------
    kind : object
        A key of `KINDS`, or what came in its place.
    names : iterable of str
        Names of the files.
    of : str
        Whose files they are, for the message.

    Raises
    ------
    ValueError
        If there is no such kind, a file is missing, or one does not belong there.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        msg = f"{of} is of kind {kind!r:.40}, wanted {' or '.join(KINDS)}; upgrade matembed if that is newer"
        raise ValueError(msg)
    missing = {KINDS[kind].weights, *KINDS[kind].needed}.difference(names)
    foreign = set(names).difference(KINDS[kind].files)
    if missing or foreign:
        wrong = f"{', '.join(sorted(missing))} missing" if missing else f"{min(foreign)!r:.80} does not belong there"
        msg = f"{of} has not the files of one {kind}: {wrong}"
        raise ValueError(msg)


@cache
def _installed() -> list[int]:
    """Look up the version of this matembed, once: an index may have thousands of entries."""
    version = _RELEASE.match(importlib.metadata.version("matembed"))
    return _release(version.group() if version else "0")


def _release(version: str) -> list[int]:
    return [*map(int, version.split(".")), 0, 0, 0][:4]
