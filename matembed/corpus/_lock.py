"""Let one build at a time write a folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["held"]

# The system lets go of a lock when its process ends, however it ends: a killed build keeps nobody out.
if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # this file system knows no locks: then nobody is kept out
            return


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, there or not, for the block; RuntimeError if another build holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    with path.open("ab") as file:
        try:
            _lock(file.fileno())
            free = os.path.samestat(os.fstat(file.fileno()), path.stat())  # not removed by its holder just now
        except (BlockingIOError, FileNotFoundError):
            free = False
        if not free:
            msg = f"another build is writing {folder}; wait for it, or choose another path"
            raise RuntimeError(msg)
        try:
            yield
        finally:
            if sys.platform != "win32":
                path.unlink(missing_ok=True)  # while it is held
    if sys.platform == "win32":
        with suppress(OSError):  # open again elsewhere: left to that build
            path.unlink()
