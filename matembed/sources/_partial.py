"""What a fetch keeps until all has come: a folder beside the one to be made, and how far it is."""

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matembed._atomic import whole_file

__all__ = ["MANIFEST", "STATE", "is_made_of", "partial_of", "read_json", "take_up", "write_json"]

MANIFEST = "manifest.json"
STATE = "state.json"


def partial_of(out: str | os.PathLike[str]) -> Path:
    """Tell where what came is kept until all has come.

    Parameters
    ----------
    out : path-like
        Where the folder belongs.

    Returns
    -------
    Path
        ``<out>.partial``.
    """
    folder = Path(out).resolve()
    return folder.with_name(f"{folder.name}.partial")


def take_up(work: Path, request: Mapping[str, Any], overwrite: bool) -> dict[str, Any]:
    """Take up what was begun, or begin.

    Parameters
    ----------
    work : Path
        The folder to keep things in.
    request : mapping
        What is asked for, in plain values.
    overwrite : bool
        Begin anew where something else was begun.

    Returns
    -------
    dict
        The state: ``request``, ``date`` (UTC) of the beginning, and what was added to it since.

    Raises
    ------
    FileExistsError
        If something else was begun there, and `overwrite` is false.
    """
    state: Any = None
    try:
        state = read_json(work / STATE)
        begun = dict(state["request"])
    except FileNotFoundError:
        begun = {}
    except (ValueError, LookupError, TypeError):
        if not overwrite:
            msg = f"{work / STATE} is damaged; pass overwrite=True (command line: --overwrite) to begin anew"
            raise FileExistsError(msg) from None
        begun = {}
    if begun == request:
        return dict(state)
    if begun and not overwrite:
        changed = sorted(key for key in request.keys() | begun.keys() if request.get(key) != begun.get(key))
        msg = (
            f"{work} holds another download that was begun, of another {' and '.join(changed)}; choose another path, "
            "or pass overwrite=True (command line: --overwrite) to begin anew"
        )
        raise FileExistsError(msg)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    state = {"request": dict(request), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(work / STATE, state)
    return state


def is_made_of(folder: Path, kind: str, request: Mapping[str, Any]) -> bool:
    """Tell whether a folder is a finished download, and of this request.

    Parameters
    ----------
    folder : Path
        A folder, there or not.
    kind : str
        The ``type`` in its ``manifest.json``.
    request : mapping
        Values that must stand in the manifest too.

    Returns
    -------
    bool
        True if it is.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        return bool(manifest["type"] == kind) and all(manifest[key] == value for key, value in request.items())
    except (OSError, ValueError, LookupError, TypeError):
        return False


def read_json(path: Path) -> Any:
    """Read a small file of JSON.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    object
        What it says.
    """
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a small file of JSON, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    values : mapping
        Plain values.
    """
    with whole_file(path) as partial:
        partial.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
