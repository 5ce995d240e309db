"""Crystals that end the process that reads them, or never let it go.

Workers import this module by a name that no other package has; an installed package may be called ``tests``.
"""

import os
from pathlib import Path


class DeadlyOnce(dict):
    """A crystal that kills the process that reads it, the first time."""

    def get(self, key, default=None):
        mark = Path(self["mark"])
        if not mark.exists():
            mark.touch()
            os._exit(9)
        return super().get(key, default)


class Deadly(dict):
    """A crystal that kills every process that reads it."""

    def get(self, key, default=None):
        os._exit(9)


class Endless(dict):
    """A crystal that is never done, and swallows exceptions as libraries do."""

    def get(self, key, default=None):
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue
