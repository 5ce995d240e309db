"""Let one process at a time write a folder or a file."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["held"]

_SECONDS_BETWEEN_LOOKS = 0.05

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
def held(path: Path, *, work: str = "build", wait: bool = False) -> Iterator[None]:
    """Hold a path, there or not, for the block; where another holds it, wait, or raise RuntimeError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    while not _is_ours((file := lock.open("ab")).fileno(), lock):
        file.close()
        if not wait:
            msg = f"another {work} is writing {path}; wait for it, or choose another path"
            raise RuntimeError(msg)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    with file:
        try:
            yield
        finally:
            if sys.platform != "win32":
                lock.unlink(missing_ok=True)  # while it is held
    if sys.platform == "win32":
        with suppress(OSError):  # open again elsewhere: left to that process
            lock.unlink()


def _is_ours(file: int, lock: Path) -> bool:
    try:
        _lock(file)
        return os.path.samestat(os.fstat(file), lock.stat())  # not removed by its holder just now
    except (BlockingIOError, FileNotFoundError):
        return False
