"""A table and a transformer, small, and a cache of their own for each test."""

import pytest

import matembed as me
from matembed.pretrained import build_registry


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("MATEMBED_REGISTRY", "MATEMBED_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MATEMBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("matembed._http._FIRST_WAIT", 0.01)
    return tmp_path / "cache"


@pytest.fixture
def table():
    card = me.Card("oxides", what="Two elements.", licence="CC0-1.0", citation=["A. Author, J. Oxides 1, 1 (2026)"])
    return me.EmbeddingTable(("Ti", "Zr"), [[1.0, 0.5], [0.9, 0.6]], card)


@pytest.fixture
def folder(tmp_path, table):
    """Return a registry with one table."""
    table.write(tmp_path / "registry" / "oxides")
    build_registry(tmp_path / "registry")
    return tmp_path / "registry"
