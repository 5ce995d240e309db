"""Shared by all tests: no display, small shards, and where structures of databases lie that do not come along."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is slow; what must be true does not depend on it.
settings.register_profile("matembed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("matembed")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="session")
def database_structures() -> Path:
    """Return the folder of structures of databases that MATEMBED_TEST_STRUCTURES names; skip where there is none."""
    folder = os.environ.get("MATEMBED_TEST_STRUCTURES")
    if not folder:
        pytest.skip("MATEMBED_TEST_STRUCTURES names no folder of structures of databases")
    return Path(folder)


@pytest.fixture
def two_rows_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make shards of long builds so small that a handful of rows has several."""
    from matembed.corpus import _resumable
    from matembed.corpus._shards import ROWS_PER_SHARD

    monkeypatch.setattr(_resumable, "ROWS_PER_SHARD", dict.fromkeys(ROWS_PER_SHARD, 2))
