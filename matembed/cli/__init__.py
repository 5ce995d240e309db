"""The command line: each command parses, calls one function, and writes.

Exit status 0 is success; 1, the work was done but its result was refused (too many rejected rows);
2, the input or an option was wrong; 130, interrupted (the same command goes on with a build, a fetch or a benchmark).
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from matembed.cli import building, density, fetching, scoring, sharing, tables, training
from matembed.cli.options import add_command, add_output, check_outputs, positive_integer

__all__ = ["main", "parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``matembed``; those of the process by default.

    Returns
    -------
    int
        Exit status.

    Examples
    --------
    >>> main(["info", "no/such/folder"])
    2
    """
    known = parser()
    options = known.parse_args(arguments)
    if "command" not in options:
        known.print_help()
        return 2
    command: Callable[[argparse.Namespace], int | None] = options.command
    name = " ".join(["matembed", options.name, *([options.subcommand] if "subcommand" in options else [])])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name or a unit that a terminal cannot show is no failure
            stream.reconfigure(errors="backslashreplace")
    try:
        check_outputs(options)
        return command(options) or 0
    except KeyboardInterrupt as interruption:
        kept = str(interruption).replace("the same call", "the same command")
        resumes = "; the same command goes on from here" if "resumes" in options else ""
        print(f"{name}: {kept or f'interrupted{resumes}'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, LookupError, OSError, ImportError, RuntimeError) as error:
        if options.traceback:
            raise
        print(f"{name}: {_said(error)}", file=sys.stderr)
        return getattr(error, "exit_status", 2)


def _said(error: Exception) -> str:
    """Say an error in one line, one of the operating system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(str(error).splitlines()) or type(error).__name__


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands.

    Returns
    -------
    ArgumentParser
        Its commands call one function each.
    """
    from matembed import __version__

    known = argparse.ArgumentParser(
        prog="matembed", description="Formulas and crystals in; embeddings, predictions and pictures out."
    )
    known.add_argument("--version", action="version", version=f"matembed {__version__}")
    known.add_argument("--traceback", action="store_true", help="show where an error was raised")
    commands = known.add_subparsers(title="commands", metavar="COMMAND", dest="name")

    command = add_command(
        commands, "quickstart", _quickstart, "The whole path on 288 prototype crystals, offline, with a report."
    )
    add_output(command, "--out", folder=True, default=Path("matembed-quickstart"), help="folder (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of walks, training and folds (default: %(default)s)")
    command.add_argument(
        "--workers", type=positive_integer, default=os.cpu_count() or 1, help="processes (default: %(default)s)"
    )
    command.add_argument("--overwrite", action="store_true", help="replace an earlier run")
    command.set_defaults(resumes=True)
    for module in (fetching, building, training, sharing, tables, scoring, density):
        module.add_commands(commands)
    return known


def _quickstart(options: argparse.Namespace) -> None:
    from matembed.quickstart import quickstart

    report = quickstart(options.out, seed=options.seed, workers=options.workers, overwrite=options.overwrite)
    print(f"report: {report}")
