"""Options that several commands share, and how they are read."""

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matembed.downstream.pooling import Statistic

__all__ = [
    "TABLE",
    "Commands",
    "add_build_options",
    "add_command",
    "add_group",
    "add_materials",
    "add_motif_options",
    "add_output",
    "add_strategy",
    "check_outputs",
    "given",
    "pooling",
    "positive_integer",
    "whole_number",
    "words",
]

TABLE = "folder or file of a table, or a name that matembed list shows"  # what a person is told to give

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int | None], summary: str
) -> argparse.ArgumentParser:
    """Add a command that calls a function with what was parsed."""
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(command=run)
    return command


def add_group(commands: Commands, name: str, summary: str) -> Commands:
    """Add a command that has commands of its own."""
    group = commands.add_parser(name, help=summary, description=summary)
    return group.add_subparsers(title="commands", metavar="COMMAND", dest="subcommand", required=True)


def add_output(command: argparse.ArgumentParser, flag: str, *, folder: bool = False, **settings: Any) -> None:
    """Add the path of a file, or of a folder, that a command writes: `check_outputs` looks at it before the work."""
    added = command.add_argument(flag, type=Path, **settings)
    command.set_defaults(outputs={**(command.get_default("outputs") or {}), added.dest: folder})


def check_outputs(options: argparse.Namespace) -> None:
    """Refuse paths that nothing can be written to, before work is done that would be lost."""
    for name, folder in getattr(options, "outputs", {}).items():
        path: Path | None = getattr(options, name)
        if path is None:
            continue
        if path.is_dir() and not folder:
            msg = f"{path} is a folder, wanted a file to write; choose another path"
            raise IsADirectoryError(msg)
        above = path.absolute() if path.is_dir() else path.absolute().parent
        while not (above.exists() or above.is_symlink()):
            above = above.parent
        if not above.is_dir():
            msg = f"{path} cannot be written: {above} is no folder; choose another path"
            raise NotADirectoryError(msg)
        if not os.access(above, os.W_OK | os.X_OK):
            msg = f"{path} cannot be written: {above} is read-only; choose another path"
            raise PermissionError(msg)


def positive_integer(text: str) -> int:
    """Read a number of things, 1 or more."""
    return _integer(text, least=1)


def whole_number(text: str) -> int:
    """Read a number, 0 or more."""
    return _integer(text, least=0)


def _integer(text: str, *, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        msg = f"must be a whole number, {least} or more, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


def add_motif_options(command: argparse.ArgumentParser) -> None:
    """How motifs are found."""
    command.add_argument(
        "--engine",
        choices=("numba", "numpy", "chemenv"),
        default="numba",
        help="what finds motifs: compiled, readable, or pymatgen's ChemEnv (default: %(default)s)",
    )
    add_strategy(command)
    command.add_argument(
        "--search",
        choices=("fast", "certified"),
        default="fast",
        help="of the best fit; certified is proven, and far slower (default: %(default)s)",
    )
    command.add_argument(
        "--valences",
        choices=("structure", "bond_valence", "composition", "signs", "bv_analyzer", "none"),
        help="where oxidation states are from; the first with an answer by default",
    )


def add_strategy(command: argparse.ArgumentParser) -> None:
    """How the environment of a site is chosen."""
    command.add_argument(
        "--strategy",
        choices=("simplest", "multi_weights"),
        default="simplest",
        help="one environment a site, or several with fractions (default: %(default)s)",
    )


def add_build_options(command: argparse.ArgumentParser) -> None:
    """How a long build runs."""
    command.add_argument("--workers", type=positive_integer, default=1, help="processes (default: %(default)s)")
    command.add_argument(
        "--scheduler",
        default="processes",
        help='"processes", "dask", or the address of a Dask scheduler: tcp://... (default: %(default)s)',
    )
    command.add_argument("--time-limit", type=float, default=300.0, help="CPU seconds a crystal (default: %(default)s)")
    command.add_argument(
        "--max-rejected", type=float, default=0.5, help="share of rejected rows that is too much (default: %(default)s)"
    )
    command.add_argument("--card", type=Path, help="YAML with name, what, source, licence, citation of the data")
    command.add_argument("--overwrite", action="store_true", help="replace what an earlier run made")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def add_materials(command: argparse.ArgumentParser) -> None:
    """Formulas or a corpus, and how they become rows."""
    command.add_argument("input", type=Path, help="file of formulas, or a corpus")
    command.add_argument("--column", help="column of the formulas")
    command.add_argument("--id-column", help="column of the ids")
    command.add_argument(
        "--pooling", default="mean,std", help="comma-separated: mean,std,min,max,... (default: %(default)s)"
    )
    command.add_argument(
        "--on-missing",
        choices=("error", "nan", "mean", "neighbours", "back_off", "zero"),
        default="error",
        help="what to do for tokens with no vector (default: %(default)s)",
    )


def pooling(options: argparse.Namespace) -> "list[Statistic]":
    """Read names of statistics, separated by commas."""
    from matembed.downstream.pooling import STATISTICS

    names: list[Statistic] = []
    for name in options.pooling.split(","):
        if name.strip() not in STATISTICS:
            msg = f"--pooling takes some of {','.join(STATISTICS)}; got {name.strip()!r}"
            raise ValueError(msg)
        names.append(name.strip())
    return names


def given(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Keep the options that were given."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def words(names: Iterable[str]) -> str:
    """Write options as a person gives them."""
    return " ".join(f"--{name.replace('_', '-')}" for name in names)
