"""Crystals that were fetched from a server: the folder they are kept in, how it is made, and how it is read."""

import gzip
import importlib.metadata
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

from matembed._atomic import refuse_occupied, sha256_of, whole_file, whole_folder
from matembed._http import HttpError
from matembed._lock import held
from matembed.cards import Card
from matembed.sources._partial import MANIFEST, STATE, is_made_of, partial_of, read_json, take_up, write_json
from matembed.sources._source_file import SourceFile
from matembed.sources.rows import Rows, properties_of, shortened
from matembed.sources.structure_objects import object_rows

__all__ = ["Page", "is_download", "make_download", "read_download", "with_properties"]

_TYPE = "Download"
_SCHEMA = 1
_CRYSTALS = "crystals.jsonl.gz"
_DROPPED = "dropped.jsonl.gz"
_FETCH_AGAIN = "fetch the crystals again with overwrite=True (command line: --overwrite)"
_NOTHING_YET: dict[str, Any] = {"n_pages": 0, "n_entries": 0, "then": None, "facts": {}}


@dataclass(frozen=True)
class Page:
    """What a server sent at once.

    Attributes
    ----------
    entries : sequence of mapping
        In the server's order. A crystal is its record: ``id``, ``lattice`` (Å, rows are vectors), ``species`` and
        ``frac_coords``, or ``structure`` in pymatgen's form; and ``properties``. What cannot be used is ``id`` and
        ``reason``.
    then : object
        Plain values that tell how to go on after this page; None where it is the last.
    facts : mapping
        What the server says of itself, for the manifest; those of the first page are written.
    n_expected : int or None
        How many entries all pages hold, for a progress bar.
    """

    entries: Sequence[Mapping[str, Any]]
    then: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    n_expected: int | None = None


def make_download(
    out: str | os.PathLike[str],
    request: Mapping[str, Any],
    pages: Callable[[Any], Generator[Page]],
    *,
    limit: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch page after page into ``<out>.partial``, then make the folder of all of them.

    Parameters
    ----------
    out : path-like
        Where the folder belongs.
    request : mapping
        What is asked for, in plain values: ``source``, ``query``, ``fields``, ``limit``, ... It is written into the
        manifest, and tells whether a download that is there, or was begun, is this one. It holds no key.
    pages : callable
        Takes `then` of the last page that is there, or None, and yields the pages that follow.
    limit : int, optional
        Only the first entries.
    overwrite : bool, default False
        Replace the download in `out`, and begin anew where another was begun.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Path
        The folder. If it holds this very download already, nothing is asked for, unless `overwrite` is true.

    Raises
    ------
    FileExistsError
        If `out` holds something else, or another download was begun there.
    HttpError
        If the server fails; what came is kept, and the same call goes on from there.
    RuntimeError
        If another process is writing `out`, or the server has no entries.
    ValueError
        If `limit` is not positive.

    Notes
    -----
    The folder holds ``crystals.jsonl.gz``, ``dropped.jsonl.gz`` and ``manifest.json``. The same entries give the same
    bytes of the first two, whatever happened on the way.
    """
    if limit is not None and limit < 1:
        msg = f"limit must be 1 or more, or None for all; got {limit}"
        raise ValueError(msg)
    folder = Path(out).resolve()
    asked: dict[str, Any] = json.loads(json.dumps({**request, "limit": limit}))
    with held(folder, work="download"):
        if not overwrite and is_made_of(folder, _TYPE, asked):
            return folder
        refuse_occupied(folder, kind=_TYPE, overwrite=overwrite)
        work = partial_of(folder)
        state = _NOTHING_YET | take_up(work, asked, overwrite)
        try:
            state = _fetch(work, state, pages, limit, folder.name if progress else None)
        except BaseException as error:
            state = _NOTHING_YET | read_json(work / STATE)
            if not state["n_pages"]:
                shutil.rmtree(work)
                raise
            kept = f"{state['n_entries']:,} entries are kept in {work}, and the same call goes on from there"
            if isinstance(error, HttpError):
                raise type(error)(f"{error}. {kept}", status=error.status, answer=error.answer) from error
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(f"interrupted; {kept}") from None
            raise
        if not state["n_entries"]:
            shutil.rmtree(work)
            msg = f"{asked['source']} has no entries for {shortened(asked.get('query') or 'this query')!r}"
            raise RuntimeError(msg)
        n_announced = state["n_announced"] or 0
        if limit is None and n_announced > state["n_entries"]:
            msg = (
                f"{asked['source']} announced {n_announced:,} entries and sent {state['n_entries']:,}, as the manifest "
                "says; fetch again later with overwrite=True, or tell the provider"
            )
            warnings.warn(msg, stacklevel=3)
        with whole_folder(folder, kind=_TYPE, overwrite=overwrite) as made:
            _assemble(work, state, made)
        shutil.rmtree(work)
    return folder


def with_properties(record: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Add properties to the record of a crystal.

    Parameters
    ----------
    record : mapping
        The crystal.
    values : mapping of str to object
        Anything, by name.

    Returns
    -------
    dict
        The record; its ``properties`` are the values that `properties_of` keeps and JSON can hold.

    Examples
    --------
    >>> with_properties({"id": "po"}, {"gap": 0.5, "hull": float("inf"), "sites": [1]})
    {'id': 'po', 'properties': {'gap': 0.5}}
    """
    kept = properties_of(values)
    finite = {name: value for name, value in kept.items() if not isinstance(value, float) or math.isfinite(value)}
    return {**record, "properties": finite}


def is_download(folder: Path) -> bool:
    """Tell whether a folder is one that `make_download` made.

    Parameters
    ----------
    folder : Path
        A folder, there or not.

    Returns
    -------
    bool
        True if its ``manifest.json`` says so, or if it has the files of one and no manifest that can be read.
    """
    return is_made_of(folder, _TYPE, {}) or all((folder / name).is_file() for name in (_CRYSTALS, _DROPPED))


def read_download(folder: str | os.PathLike[str]) -> Rows:
    """Read the crystals of a download.

    Parameters
    ----------
    folder : path-like
        The folder that a ``fetch_`` function returned.

    Returns
    -------
    Rows
        The crystals, in the server's order; the card says source, version, query, date and licence.

    Raises
    ------
    FileNotFoundError
        If there is no download.
    ValueError
        If a file is not the one that was downloaded, or a newer matembed made the folder.
    """
    folder = Path(folder).resolve()
    if not is_made_of(folder, _TYPE, {}):
        msg = (
            f"{folder} holds no download of crystals: there is no {MANIFEST} that says so; copy the whole folder, "
            "or remove it and fetch it again"
        )
        raise FileNotFoundError(msg)
    manifest = read_json(folder / MANIFEST)
    if manifest.get("schema") != _SCHEMA:
        msg = f"{folder} has schema {manifest.get('schema')!r}, this matembed reads {_SCHEMA}; upgrade matembed"
        raise ValueError(msg)
    try:
        hashes, n_kept, card = dict(manifest["sha256"]), int(manifest["counts"]["kept"]), _card(folder.name, manifest)
    except (LookupError, TypeError, ValueError) as error:
        msg = f"{folder / MANIFEST} is damaged ({shortened(error)}); {_FETCH_AGAIN}"
        raise ValueError(msg) from error
    for name in (_CRYSTALS, _DROPPED):
        path = folder / name
        if not path.is_file() or sha256_of(path) != hashes.get(name):
            msg = f"{path} is not the file that was downloaded: {MANIFEST} has another SHA-256; {_FETCH_AGAIN}"
            raise ValueError(msg)
    crystals = SourceFile(folder / _CRYSTALS, f"{folder.name}/{_CRYSTALS}")
    return Rows("structures", folder.name, n_kept, lambda: object_rows(crystals), card)


def _card(name: str, manifest: Mapping[str, Any]) -> Card:
    counts = manifest["counts"]
    asked = {key: manifest[key] for key in ("query", "fields", "limit") if manifest.get(key)}
    parts = [
        manifest.get("url") or manifest["source"],
        f"version {manifest['version']}" if manifest.get("version") else "",
        "; ".join(f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in asked.items()),
        f"fetched {manifest['date']}",
        f"{counts['offered']:,} offered, {counts['dropped']:,} dropped",
    ]
    return Card(
        name=name,
        what=f"Crystals of {manifest['source']}.",
        source="; ".join(filter(None, parts)),
        licence=manifest.get("licence") or "",
        citation=tuple(manifest.get("citation") or ()),
    )


def _fetch(
    work: Path, state: dict[str, Any], pages: Callable[[Any], Generator[Page]], limit: int | None, title: str | None
) -> dict[str, Any]:
    """Write the pages that are missing; the state of the last."""
    from tqdm import tqdm

    if state["n_pages"] and state["then"] is None:
        return state
    with (
        closing(pages(state["then"])) as coming,
        tqdm(desc=title, unit=" crystal", initial=state["n_entries"], disable=title is None) as bar,
    ):
        for page in coming:
            entries = list(page.entries if limit is None else islice(page.entries, limit - state["n_entries"]))
            with whole_file(_page(work, state["n_pages"])) as path:
                path.write_text("".join(_line(entry) for entry in entries), encoding="utf-8")
            n_entries = state["n_entries"] + len(entries)
            is_last = page.then is None or n_entries == limit
            state = state | {
                "n_pages": state["n_pages"] + 1,
                "n_entries": n_entries,
                "then": None if is_last else page.then,
                "facts": state["facts"] or dict(page.facts),
                "n_announced": page.n_expected,
            }
            write_json(work / STATE, state)
            bar.total = page.n_expected if limit is None else min(limit, page.n_expected or limit)
            bar.update(len(entries))
            if is_last:
                break
    return state


def _assemble(work: Path, state: Mapping[str, Any], made: Path) -> None:
    """Join the pages, without the entries whose id came before."""
    n_lines = {"offered": state["n_entries"], "kept": 0, "dropped": 0}
    first_pages: dict[str, int] = {}
    with _gzipped(made / _CRYSTALS) as crystals, _gzipped(made / _DROPPED) as dropped:
        for line, number in _lines(work, state["n_pages"]):
            entry = json.loads(line)
            if "reason" not in entry and (first := first_pages.setdefault(entry["id"], number)) != number:
                entry = {"id": entry["id"], "reason": f"the id came before, in entry {first}"}
            fate = "dropped" if "reason" in entry else "kept"
            n_lines[fate] += 1
            (dropped if fate == "dropped" else crystals).write(_line(entry).encode())
    manifest = {
        "type": _TYPE,
        "schema": _SCHEMA,
        **state["request"],
        **state["facts"],
        "date": state["date"],
        "counts": n_lines,
        "announced": state["n_announced"],
        "matembed": importlib.metadata.version("matembed"),
        "sha256": {_CRYSTALS: sha256_of(made / _CRYSTALS), _DROPPED: sha256_of(made / _DROPPED)},
    }
    write_json(made / MANIFEST, manifest)


def _lines(work: Path, n_pages: int) -> Iterator[tuple[str, int]]:
    """Yield every entry and its number, counted from 1."""
    numbers = count(1)
    for page in range(n_pages):
        with _page(work, page).open(encoding="utf-8") as file:
            yield from zip(file, numbers, strict=False)


def _page(work: Path, page: int) -> Path:
    return work / f"page-{page:06d}.jsonl"


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n"


@contextmanager
def _gzipped(path: Path) -> Iterator[gzip.GzipFile]:
    """Open a file whose bytes are those of its lines, without name and time."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
        yield file
