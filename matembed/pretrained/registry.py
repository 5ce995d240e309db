"""A registry: a folder, or a plain web server, of pretrained things with one index, ``registry.json``."""

import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from matembed._atomic import sha256_of, whole_file
from matembed.pretrained.artefacts import describe
from matembed.pretrained.entries import Entry, File, is_name

__all__ = ["build_index", "copy_file", "find_registry", "read_index"]

INDEX = "registry.json"
VARIABLE = "MATEMBED_REGISTRY"

_SCHEMA = 1
_LARGEST_INDEX = 10_000_000  # bytes
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # a single letter is a drive
_HERE = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


def find_registry(registry: str | os.PathLike[str] | None = None) -> str | Path | None:
    """Find out which registry is meant.

    Parameters
    ----------
    registry : path-like or str, optional
        A folder, or a URL, or the index there; by default what the variable ``MATEMBED_REGISTRY`` says.

    Returns
    -------
    str, Path or None
        The URL without a slash at its end, the whole path of the folder, or None if nothing says.

    Raises
    ------
    ValueError
        If it can be neither, is a URL of another kind than http and https, or holds a password, a query or a fragment.

    Warns
    -----
    UserWarning
        If the connection is not encrypted, to other machines than this one.
    """
    given = os.fsdecode(registry or os.environ.get(VARIABLE, "")).strip()
    if not given:
        return None
    refusal = f"a registry is a folder, or a URL that begins with https:// or http://, got {given!r:.80}"
    try:
        if not _URL.match(given):
            folder = Path(given).expanduser().resolve()
            return folder.parent if folder.name == INDEX else folder
        parts = urlsplit(given)
    except (RuntimeError, ValueError) as error:  # nobody's home, a character that no path has, or half an address
        raise ValueError(f"{refusal}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not given.isprintable():
        raise ValueError(refusal)
    if "@" in parts.netloc or parts.query or parts.fragment:
        msg = f"the URL of a registry holds no password, query or fragment, got one at {parts.hostname}; leave it out"
        raise ValueError(msg)
    if parts.scheme == "http" and not _HERE.fullmatch(parts.hostname):
        msg = f"the connection to {given} is not encrypted: others can change what is fetched; use https where you can"
        warnings.warn(msg, stacklevel=3)
    return given.removesuffix(f"/{INDEX}").rstrip("/")


def read_index(registry: str | Path) -> dict[str, Entry]:
    """Read the index of a registry.

    Parameters
    ----------
    registry : str or Path
        From `find_registry`.

    Returns
    -------
    dict of str to Entry
        By name, in the order of the index.

    Raises
    ------
    OSError
        If there is no index, or its server cannot be reached; an `HttpError` in the latter case.
    ValueError
        If it is too large, no index, of a newer format, or lists something twice or something that is no entry.
    """
    if isinstance(registry, Path):
        path = registry / INDEX
        if not path.is_file():
            msg = f"no {INDEX} in {registry}; make one with: matembed registry build {registry}"
            raise FileNotFoundError(msg)
        with path.open("rb") as file:
            text = file.read(_LARGEST_INDEX + 1)
        if len(text) > _LARGEST_INDEX:
            msg = f"{path} has more than {_LARGEST_INDEX:,} bytes, which no index has"
            raise ValueError(msg)
        return _parse(text, str(path))
    from matembed._http import download

    url = f"{registry}/{INDEX}"
    with tempfile.TemporaryDirectory() as folder:
        return _parse(download(url, Path(folder, INDEX), max_bytes=_LARGEST_INDEX).read_bytes(), url)


def copy_file(registry: str | Path, file: File, path: Path, *, progress: bool = False) -> None:
    """Copy a file of a registry, and check its size and hash; a download that was cut goes on.

    Parameters
    ----------
    registry : str or Path
        From `find_registry`.
    file : File
        From its index.
    path : Path
        Where the copy belongs.
    progress : bool, default False
        Show a bar if it is downloaded.

    Raises
    ------
    OSError
        If it is not there or cannot be reached.
    ValueError
        If it is not what the index says.
    """
    if isinstance(registry, str):
        from matembed._http import download

        download(f"{registry}/{file.path}", path, size=file.size, sha256=file.sha256, progress=progress)
        return
    source = registry / file.path
    if source.resolve() != source or not source.is_file() or not os.access(source, os.R_OK):
        msg = f"{source} is missing, unreadable, or behind a link, which is not followed; ask whoever keeps {registry}"
        raise FileNotFoundError(msg)
    with whole_file(path) as partial:
        if source.stat().st_size == file.size:
            shutil.copyfile(source, partial)
        if not partial.exists() or sha256_of(partial) != file.sha256:
            msg = f"{source} is not the file that {INDEX} names; run: matembed registry build {registry}"
            raise ValueError(msg)


def build_index(folder: Path, *, reserved: Collection[str] = ()) -> Path:
    """Write the index of the folders in a folder; the same folders give the same bytes.

    Parameters
    ----------
    folder : Path
        Each folder in it is one that `EmbeddingTable.write` or `MaskedLM.save_pretrained` made. Files beside them, and
        what is hidden, are left alone.
    reserved : collection of str
        Names that would never be asked for there.

    Returns
    -------
    Path
        The index.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If a folder in it holds something else, or has a name that cannot be used, or there is none.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        msg = f"no folder {folder}; wanted one that holds folders of tables or transformers"
        raise FileNotFoundError(msg)
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        msg = f"{folder} holds no folders of tables or transformers; write some there first, as with table.write(path)"
        raise ValueError(msg)
    for path in found:
        if not is_name(path.name) or path.name in reserved:
            why = (
                "is one that comes with the package"
                if path.name in reserved
                else "is not letters, digits, '.', '_', '-', or that of a device"
            )
            msg = f"the name {path.name!r:.80} {why}; rename the folder"
            raise ValueError(msg)
    entries = [describe(path).to_dict() for path in found]
    text = json.dumps({"schema": _SCHEMA, "type": "Registry", "entries": entries}, indent=1, ensure_ascii=False) + "\n"
    _parse(text.encode(), str(folder))
    with whole_file(folder / INDEX) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return folder / INDEX


def _parse(text: bytes, place: str) -> dict[str, Entry]:
    try:
        index = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{place} is no index of a registry, check the address: {type(error).__name__}, {error}"
        raise ValueError(msg) from error
    if not isinstance(index, dict) or index.get("type") != "Registry" or not isinstance(index.get("entries"), list):
        msg = f"{place} is no index of a registry; make one with: matembed registry build FOLDER"
        raise ValueError(msg)
    if index.get("schema") != _SCHEMA:
        msg = f"{place} has format {index.get('schema')!r:.40}; wanted {_SCHEMA}; run: pip install -U matembed"
        raise ValueError(msg)
    entries: dict[str, Entry] = {}
    taken = set[str]()  # a file system may take Oxides and oxides for the same
    for values in index["entries"]:
        try:
            entry = Entry.from_dict(values)
        except ValueError as error:
            msg = f"{place} is refused: {error}"
            raise ValueError(msg) from error
        if entry.name.lower() in taken:
            msg = f"{place} is refused: it lists {entry.name!r} twice"
            raise ValueError(msg)
        taken.add(entry.name.lower())
        entries[entry.name] = entry
    return entries
