"""Commands that fetch crystals of databases to a folder, once."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from matembed.cli.options import Commands, add_command, add_group, add_output, given, positive_integer

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    of_fetching = add_group(commands, "fetch-crystals", "Fetch crystals of a database to a folder, to read offline.")

    summary = "From any provider of OPTIMADE."
    command = add_command(of_fetching, "optimade", _fetch_optimade, summary)
    command.add_argument("provider", help="address, such as https://optimade.materialsproject.org, or a known id: oqmd")
    command.add_argument("--filter", help="""such as 'elements HAS ALL "Ti","O" AND nelements=3'""")
    command.add_argument("--fields", type=_names, help="comma-separated: other fields to keep as properties")
    command.add_argument("--page-limit", type=positive_integer, help="crystals asked for at a time (100)")
    _add_folder(command)

    summary = "From the Materials Project; the key is that of MP_API_KEY in the environment."
    command = add_command(of_fetching, "mp", _fetch_materials_project, summary)
    command.add_argument(
        "--query", type=_query, help="""JSON, such as '{"elements": ["Ti", "O"], "num_sites": [1, 20]}'"""
    )
    command.add_argument("--fields", type=_names, help="comma-separated: fields to keep as properties")
    _add_folder(command)

    summary = "Parquet files of a data set on the Hugging Face hub."
    command = add_command(of_fetching, "hub", _fetch_hub_table, summary)
    command.add_argument("repo", help="owner/name, such as LeMaterial/LeMat-Bulk")
    command.add_argument("--pattern", help="which files (*.parquet)")
    command.add_argument("--revision", help="branch, tag or commit (main)")
    _add_folder(command, limit=False)


def _add_folder(command: argparse.ArgumentParser, *, limit: bool = True) -> None:
    add_output(command, "--out", folder=True, required=True, help="folder to make; the same command goes on with it")
    if limit:
        command.add_argument("--limit", type=positive_integer, help="crystals at most (all)")
    command.add_argument("--overwrite", action="store_true", help="fetch anew what is there")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(resumes=True)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _query(text: str) -> dict[str, Any]:
    try:
        query = json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"is no JSON: {error}"
        raise argparse.ArgumentTypeError(msg) from error
    if not isinstance(query, dict):
        msg = f"must be a JSON object, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return query


def _fetch_optimade(options: argparse.Namespace) -> None:
    from matembed.sources.optimade import fetch_optimade

    settings = given(options, ("filter", "page_limit", "limit", "overwrite"))
    fields = {} if options.fields is None else {"response_fields": options.fields}
    _say(fetch_optimade(options.provider, options.out, **settings, **fields, progress=_progress(options)))


def _fetch_materials_project(options: argparse.Namespace) -> None:
    from matembed.sources.materials_project import fetch_materials_project

    settings = given(options, ("query", "fields", "limit", "overwrite"))
    _say(fetch_materials_project(options.out, **settings, progress=_progress(options)))


def _fetch_hub_table(options: argparse.Namespace) -> None:
    from matembed.sources.hub_tables import fetch_hub_table

    settings = given(options, ("pattern", "revision", "overwrite"))
    _say(fetch_hub_table(options.repo, options.out, **settings, progress=_progress(options)))


def _progress(options: argparse.Namespace) -> bool:
    return not options.quiet and sys.stderr.isatty()


def _say(folder: Path) -> None:
    """Tell what was fetched, as the manifest says it."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    counts = ", ".join(f"{count:,} {what}" for what, count in manifest.get("counts", {}).items())
    print(f"{folder}" + (f": {counts}" if counts else ""))
    print(f"matembed build {shlex.quote(str(folder))} --out CORPUS reads it, with no network")
