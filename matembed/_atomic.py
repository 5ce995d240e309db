"""Files and folders that appear whole or not at all."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["sha256_of", "whole_file", "whole_folder"]


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
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling folder of `path`; rename it to `path` when the block ends well.

    Parameters
    ----------
    path : Path
        Where the finished folder belongs.
    overwrite : bool, default False
        Replace a folder that is already there.

    Yields
    ------
    Path
        An empty folder to write into. Removed when the block raises.

    Raises
    ------
    FileExistsError
        If `path` exists, is not an empty folder, and `overwrite` is false.
    """
    occupied = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if occupied and not overwrite:
        msg = f"{path} already exists; choose another path or pass overwrite=True (command line: --overwrite)"
        raise FileExistsError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            retired = partial.with_suffix(".old")
            path.rename(retired)
            partial.rename(path)
            shutil.rmtree(retired) if retired.is_dir() else retired.unlink()
        else:
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
