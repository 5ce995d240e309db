"""Files and folders that appear whole or not at all."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["refuse_occupied", "sha256_of", "whole_file", "whole_folder"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` when the block ends well.

    Parameters
    ----------
    path : Path
        Where the finished file belongs. Its folder is made if need be; an existing file is replaced.

    Yields
    ------
    Path
        Where to write. Removed when the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave the new name on an empty file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, kind: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling folder of `path`; rename it to `path` when the block ends well.

    Parameters
    ----------
    path : Path
        Where the finished folder belongs.
    kind : str
        The ``type`` that the block writes into ``config.json`` or ``manifest.json``, such as ``"Corpus"``.
    overwrite : bool, default False
        Replace a folder of the same kind. Nothing else is ever replaced.

    Yields
    ------
    Path
        An empty folder to write into. Removed when the block raises.

    Raises
    ------
    FileExistsError
        As `refuse_occupied` does.
    """
    path = path.resolve()
    refuse_occupied(path, kind=kind, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    partial.mkdir()
    try:
        yield partial
        for file in partial.rglob("*.safetensors"):
            file.chmod(partial.stat().st_mode & 0o666)  # safetensors lets nobody but the owner read, whatever the umask
        if path.exists():
            retired = partial.with_suffix(".old")
            path.rename(retired)
            try:
                partial.rename(path)
            except OSError:
                retired.rename(path)
                raise
            shutil.rmtree(retired)
        else:
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_occupied(path: Path, *, kind: str, overwrite: bool) -> None:
    """Refuse to write a folder where something is that must stay.

    Parameters
    ----------
    path : Path
        Where a folder is to be written. Nothing, or an empty folder, is no obstacle.
    kind : str
        The ``type`` in ``config.json`` or ``manifest.json`` of a folder that may be replaced.
    overwrite : bool
        Whether it may be replaced.

    Raises
    ------
    FileExistsError
        If something is there and `overwrite` is false, or what is there is of another kind.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        msg = f"{path} already exists; choose another path or pass overwrite=True (command line: --overwrite)"
        raise FileExistsError(msg)
    if kind not in (_type_in(path / "config.json"), _type_in(path / "manifest.json")):
        msg = f"{path} holds something other than {kind}, which is not overwritten; choose another path"
        raise FileExistsError(msg)


def _type_in(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))["type"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hash a file.

    Parameters
    ----------
    path : path-like
        An existing file.

    Returns
    -------
    str
        Hexadecimal SHA-256 digest.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
