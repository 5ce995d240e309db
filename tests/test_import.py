"""Importing matembed is cheap, and every public name is there."""

import importlib.util
import subprocess
import sys

import pytest

import matembed

HEAVY = ("torch", "transformers", "gensim", "umap", "matplotlib", "pymatgen", "sklearn", "pandas", "numba", "scipy")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = run(f"import sys, matembed; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]"


def test_import_takes_under_a_second_of_cpu():
    seconds = float(run("import time; t = time.process_time(); import matembed; print(time.process_time() - t)"))
    assert seconds < 1


def test_motifs_and_the_command_line_do_not_load_the_oracle():
    code = "import sys, matembed.cli, matembed.motifs; print([m for m in sys.modules if 'pymatgen.analysis' in m])"
    assert run(code) == "[]"


@pytest.mark.parametrize("name", matembed.__all__)
def test_every_public_name_is_there(name):
    assert getattr(matembed, name) is not None
    assert name in dir(matembed)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        matembed.no_such_name  # noqa: B018


def test_what_the_package_imports_is_not_offered():
    assert {"Any", "TYPE_CHECKING", "importlib"}.isdisjoint(dir(matembed))


def test_no_public_name_is_that_of_a_module():
    """Importing a module puts it into the package under its name, where it would hide the public one."""
    assert [name for name in matembed.__all__ if importlib.util.find_spec(f"matembed.{name}")] == []
