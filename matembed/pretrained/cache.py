"""Where fetched things are kept: a folder for each registry, name and revision, which appears whole and then stays."""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from matembed._atomic import whole_file
from matembed._lock import held
from matembed.pretrained.artefacts import check_artefact, describe
from matembed.pretrained.entries import Entry
from matembed.pretrained.registry import copy_file

__all__ = ["cache_folder", "cached", "find_revision", "keep"]

VARIABLE = "MATEMBED_CACHE"

_LATEST = "latest.json"  # the entry that was fetched last, beside the folders of its revisions
_REMEDIES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "is not writable;"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "has no space left; make room, or"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "is no folder;"),
    errno.ENOENT: "cannot be made;",  # on a drive that is not there
}


def cache_folder() -> Path:
    """Find the folder of the cache, which need not be there.

    Returns
    -------
    Path
        What ``MATEMBED_CACHE`` says; else ``matembed`` where the system keeps what programs can fetch again.

    Raises
    ------
    OSError
        If the home folder, to put it in, is not found.
    """
    given = os.environ.get(VARIABLE, "").strip()
    variable, below_home = "XDG_CACHE_HOME", ".cache"
    if sys.platform == "win32":
        variable, below_home = "LOCALAPPDATA", "AppData/Local"
    elif sys.platform == "darwin":
        variable, below_home = "", "Library/Caches"
    base = Path(os.environ.get(variable, ""))
    try:
        if given:
            return Path(given).expanduser().resolve()
        return (base if base.is_absolute() else Path.home() / below_home) / "matembed"
    except RuntimeError as error:
        msg = f"no home folder is found to keep fetched files in; set {VARIABLE} to the whole path of a folder"
        raise OSError(msg) from error


def cached(registry: str | Path) -> dict[str, Entry]:
    """List what was fetched from a registry.

    Parameters
    ----------
    registry : str or Path
        From `find_registry`.

    Returns
    -------
    dict of str to Entry
        By name, sorted: the revision that was fetched last, if it is still there.
    """
    entries = (_latest(path.parent) for path in sorted(_home(registry).glob(f"*/{_LATEST}")))
    return {entry.name: entry for entry in entries if entry}


def find_revision(registry: str | Path, name: str, revision: str) -> Path | None:
    """Find the folder of a revision in the cache, and check that nobody changed its files.

    Parameters
    ----------
    registry : str or Path
        From `find_registry`.
    name : str
        Name of an entry.
    revision : str
        Its revision.

    Returns
    -------
    Path or None
        The folder; None if it was not fetched.

    Raises
    ------
    ValueError
        If files in it were changed after they were fetched.
    """
    folder = _home(registry) / name / revision
    if not folder.is_dir():
        return None
    try:
        unchanged = describe(folder).revision == revision
    except ValueError:
        unchanged = False
    if not unchanged:
        msg = f"files in {folder} were changed after they were fetched; remove that folder and fetch {name} again"
        raise ValueError(msg)
    return folder


def keep(registry: str | Path, entry: Entry, *, max_bytes: int, progress: bool = False) -> Path:
    """Fetch an entry of a registry into the cache, if it is not there.

    Files come into a folder of their own, which is kept if the connection is cut, and gone on with by the next call.
    Once all of them are whole, it is renamed. Of several processes one fetches, and the others wait.

    Parameters
    ----------
    registry : str or Path
        From `find_registry`.
    entry : Entry
        From its index.
    max_bytes : int
        Largest size of all files together.
    progress : bool, default False
        Show a bar for each file.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OSError
        If a file cannot be had, or the cache cannot be written.
    ValueError
        If the entry is too large, requires a newer matembed, or its files are not what its index says, be it that
        they were changed after they were fetched.
    """
    if entry.is_too_new:
        msg = f'{entry.name} requires a newer matembed; run: pip install "matembed>={entry.requires}"'
        raise ValueError(msg)
    if entry.size > max_bytes:
        msg = (
            f"{entry.name} has {entry.size:,} bytes, more than {max_bytes:,}; pass max_bytes={entry.size} (--max-bytes)"
        )
        raise ValueError(msg)
    home = _home(registry) / entry.name
    folder = home / entry.revision
    with _told_what_to_do():
        if not find_revision(registry, entry.name, entry.revision):
            with held(folder, work="download", wait=True):
                if not folder.is_dir():  # nor fetched by another process just now
                    _fill(registry, entry, folder, progress)
        if _latest(home) != replace(entry, where="cached"):
            with whole_file(home / _LATEST) as partial:
                partial.write_text(json.dumps(entry.to_dict(), indent=1) + "\n", encoding="utf-8")
    return folder


def _home(registry: str | Path) -> Path:
    """Name the folder of a registry: what people recognise, and what tells two registries apart."""
    told = re.sub(r"[^A-Za-z0-9._-]+", "-", str(registry).rpartition("://")[2])[-40:].strip("-.")
    return cache_folder() / f"{told or 'registry'}-{hashlib.sha256(str(registry).encode()).hexdigest()[:12]}"


def _latest(home: Path) -> Entry | None:
    """Read what was fetched last; None if nothing was, or its note is damaged, so that it is fetched again."""
    note = home / _LATEST
    try:
        if not note.is_file():
            return None
        entry = Entry.from_dict(json.loads(note.read_bytes()), where="cached")
    except (OSError, ValueError, RecursionError):
        return None
    return entry if entry.name == home.name and (home / entry.revision).is_dir() else None


def _fill(registry: str | Path, entry: Entry, folder: Path, progress: bool) -> None:
    parts = folder.with_name(f".{folder.name}.part")
    for path in (parts, *parts.glob("*")):
        if path.is_symlink():
            path.unlink()  # or files would be written where it leads
    parts.mkdir(exist_ok=True)
    for file in entry.files:
        copy_file(registry, file, parts / file.name, progress=progress)
    for path in parts.iterdir():
        if path.name not in {file.name for file in entry.files}:
            path.unlink()  # left by a copy that was killed
    try:
        kind = check_artefact(parts, called=f"{entry.name} of {registry}")
        if kind != entry.kind:
            msg = f"{entry.name} is listed as {entry.kind}, but is {kind}; it was not kept"
            raise ValueError(msg)
    except ValueError:
        shutil.rmtree(parts)
        raise
    parts.rename(folder)


@contextmanager
def _told_what_to_do() -> Iterator[None]:
    """Say in one line what is wrong with the cache, where that is what is wrong."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        msg = f"the cache {cache_folder()} {_REMEDIES[error.errno]} set {VARIABLE} to another folder"
        raise OSError(msg) from error
