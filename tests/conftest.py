"""Shared by all tests: no display."""

import os

os.environ.setdefault("MPLBACKEND", "agg")
