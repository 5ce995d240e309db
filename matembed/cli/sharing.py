"""Commands on what is pretrained: list it, fetch it, share it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from matembed.cli.options import Commands, add_command, add_group, positive_integer

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    command = add_command(commands, "list", _list, "List what is pretrained; names go where a table is asked.")
    command.add_argument("--registry", help="folder or URL of a registry (what MATEMBED_REGISTRY says)")
    command.add_argument("--online", action="store_true", help="ask a registry on a server what it has, too")

    command = add_command(commands, "fetch", _fetch, "Download what is pretrained, and print its folder.")
    command.add_argument("names", nargs="+", metavar="NAME", help="of matembed list, or hf:owner/name@revision")
    command.add_argument("--registry", help="folder or URL of a registry (what MATEMBED_REGISTRY says)")
    command.add_argument("--update", action="store_true", help="ask for the newest revision, although one is cached")
    command.add_argument(
        "--max-bytes", type=positive_integer, default=2_000_000_000, help="refuse what is larger (default: %(default)s)"
    )

    of_registry = add_group(commands, "registry", "Share tables and transformers from a folder or a web server.")
    summary = "Write the index that makes a folder of tables and transformers a registry."
    command = add_command(of_registry, "build", _build, summary)
    command.add_argument("folder", type=Path, help="holds a folder for each, named as it will be loaded")


def _list(options: argparse.Namespace) -> None:
    from matembed.pretrained import available

    for entry in available(registry=options.registry, online=options.online).values():
        size = f"{entry.size / 1e6:.2f} MB" if entry.size >= 1e4 else f"{entry.size / 1e3:.1f} kB"
        what = entry.what.partition(". ")[0]
        print(f"{entry.name:<24} {entry.where:<9} {size:>9}  {entry.licence or 'not stated':<12} {what}")


def _fetch(options: argparse.Namespace) -> None:
    from matembed.pretrained import fetch

    how: dict[str, Any] = {"registry": options.registry, "update": options.update, "max_bytes": options.max_bytes}
    for name in options.names:
        print(fetch(name, progress=sys.stderr.isatty(), **how))


def _build(options: argparse.Namespace) -> None:
    from matembed.pretrained import build_registry

    print(build_registry(options.folder))
