"""Card: what a corpus or a table is, where it came from, and what made it."""

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np

__all__ = ["Card", "package_versions", "plain"]

_PACKAGES = (
    *("matembed", "gensim", "numba", "numpy", "pandas", "pyarrow"),
    *("pymatgen", "pymatgen-core", "scikit-learn", "scipy", "spglib", "torch"),
)


def package_versions(names: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Look up the versions of installed packages, and of Python.

    Parameters
    ----------
    names : iterable of str
        Distribution names. Those not installed are left out.

    Returns
    -------
    dict of str to str
        Version by name.

    Examples
    --------
    >>> "numpy" in package_versions()
    True
    """
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def plain(value: Any) -> Any:
    """Turn what NumPy made into what JSON takes.

    Parameters
    ----------
    value : object
        A number, or a mapping, list or tuple that may hold such, however deep.

    Returns
    -------
    object
        The same, with numbers of Python, dicts and lists.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"dim": np.int64(8), "seeds": (np.int32(0), 1)})
    {'dim': 8, 'seeds': [0, 1]}
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


@dataclass(frozen=True, repr=False)
class Card:
    """What a corpus or an embedding table is, and what is needed to judge and repeat it.

    A card holds no time and no machine, so the same inputs and settings give the same bytes. It keeps copies of the
    mappings it is given; treat those as read-only, and make another card with `dataclasses.replace`.

    Attributes
    ----------
    name : str
        Short name, such as ``"aflow_prototypes"``.
    what : str
        One sentence.
    source : str
        Where the data came from.
    licence : str
        Licence of the data, as an SPDX identifier where there is one.
    citation : tuple of str
        What to cite.
    corpus : mapping
        The corpus behind a table: its name, view, counts, sha256, settings, seed and versions.
    counts : mapping of str to int
        Such as read, kept, rejected, rewritten, sentences, tokens.
    settings : mapping
        Every setting, as passed.
    seed : int or None
        What randomness started from.
    scores : mapping
        What it scored, beside what else was measured in the same run; set by whoever measured.
    versions : mapping of str to str
        Versions of the packages behind the numbers.
    sha256 : mapping of str to str
        Hexadecimal digest of each file beside the card.

    Examples
    --------
    >>> card = Card(name="demo", what="Two formulas.", licence="CC0-1.0", counts={"read": 2, "kept": 2})
    >>> Card.from_dict(card.to_dict()) == card
    True
    """

    name: str
    what: str = ""
    source: str = ""
    licence: str = ""
    citation: tuple[str, ...] = ()
    corpus: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "citation", tuple(self.citation))
        for each in fields(self):
            if each.default_factory is dict:
                object.__setattr__(self, each.name, deepcopy(dict(getattr(self, each.name))))

    def __hash__(self) -> int:
        return hash((self.name, self.what, self.source, self.licence, self.citation, self.seed))

    def to_dict(self) -> dict[str, Any]:
        """Turn the card into plain values for JSON.

        Returns
        -------
        dict
            The attributes, in their order.
        """
        return asdict(self) | {"citation": list(self.citation)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a card from what `to_dict` wrote.

        Parameters
        ----------
        values : mapping
            Attributes; unknown keys are ignored, so that cards of newer versions can be read.

        Returns
        -------
        Card
            The card.

        Raises
        ------
        ValueError
            If there is no name.
        """
        if not isinstance(values, Mapping) or not values.get("name"):
            msg = f"a card is a mapping with a name, got {values!r:.80}"
            raise ValueError(msg)
        known = {key: values[key] for key in cls.__dataclass_fields__ if key in values}
        citation = values.get("citation", ())
        return cls(**known | {"citation": (citation,) if isinstance(citation, str) else tuple(citation)})

    def to_markdown(self) -> str:
        """Write the card as a Markdown page with YAML front matter, as model hubs show it.

        Returns
        -------
        str
            The page.
        """
        import yaml

        front = {"library_name": "matembed", **_licence(self.licence), "tags": ["materials-science"]}
        lines = ["---", yaml.safe_dump(front, sort_keys=False).strip(), "---", "", f"# {_line(self.name)}", ""]
        lines += [_line(self.what), ""] if self.what else []
        source, licence = _line(self.source), _line(self.licence)
        lines += [f"- Source: {source or 'not stated'}", f"- Licence: {licence or 'not stated'}"]
        lines += [f"- Cite: {_line(reference)}" for reference in self.citation]
        lines += [] if self.seed is None else [f"- Seed: {self.seed}"]
        for title, values in (
            ("Corpus", self.corpus),
            ("Counts", self.counts),
            ("Scores", self.scores),
            ("Settings", self.settings),
            ("Versions", self.versions),
            ("SHA-256", self.sha256),
        ):
            if values:
                lines += ["", f"## {title}", "", "| | |", "|---|---|"]
                lines += [f"| {_cell(key)} | {_cell(value)} |" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    def _repr_markdown_(self) -> str:
        return self.to_markdown().partition("\n---\n")[2]  # notebooks show no front matter

    def __repr__(self) -> str:
        """Show what the card is of; `to_dict` and `to_markdown` tell all."""
        shown = [repr(self.name), *(f"{key}={value!r}" for key in ("what", "licence") if (value := getattr(self, key)))]
        return f"Card({', '.join(shown)})"

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {what}" for what, count in self.counts.items())
        return f"{self.name}: {self.what}" + (f" ({counts})" if counts else "")


def _licence(licence: str) -> dict[str, str]:
    """Name a licence as model hubs do, which know single ones alone."""
    if len(licence.split()) > 1:
        return {"license": "other", "license_name": licence}
    return {"license": licence.lower() or "unknown"}


def _line(value: object) -> str:
    return " ".join(str(value).split())


def _cell(value: object) -> str:
    return _line(value).replace("\\", "\\\\").replace("|", "\\|")
