"""Spare the garbage collector what is there to stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["freeze_heap", "frozen_heap"]


def freeze_heap() -> None:
    """Leave all that is there now out of later collections.

    Reading rows makes so many small objects that the collector runs all the time; looking through every imported
    module again and again is what would make it slow.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Do so for the block."""
    if gc.get_freeze_count():  # someone else did, and will undo it
        yield
        return
    freeze_heap()
    try:
        yield
    finally:
        gc.unfreeze()
