"""The README's code runs, and its picture of the package is true."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), "README.md", "exec"), {"__name__": "readme"})
    assert (tmp_path / "parity.png").stat().st_size > 10_000


def test_commands_are_accepted(capsys):
    from matembed.cli import parser

    lines = [shlex.split(line, comments=True) for line in README.splitlines() if line.startswith("matembed ")]
    assert len(lines) >= 5
    for words in lines:
        assert parser().parse_args(words[1:]).command is not None


def test_file_list_is_true():
    named = set(re.findall(r"`([\w./]+?/?)`", README.split("## What is where")[1].split("## Licence")[0]))
    for name in named:
        if "/" in name:
            assert (ROOT / name).exists(), name
    modules = {path.name for path in (ROOT / "matembed").glob("*.py")} - {"__init__.py"}
    listed = {name.rsplit("/", 1)[-1] for name in named}
    assert modules <= listed, f"not in README's file list: {sorted(modules - listed)}"


@pytest.mark.parametrize(
    "command", ["pip install . && matembed quickstart", 'pip install ".[test]" && pytest -n 2 --dist loadfile']
)
def test_the_two_commands_are_there(command):
    assert f"\n{command}\n" in README
