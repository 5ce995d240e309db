"""A file among those that are read: what its name says it holds, how it is called, how many rows came before."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from matembed.sources.rows import bare_suffix, shortened

__all__ = ["JSON_LINES", "SourceFile", "files_below", "names_a_crystal", "without_suffix"]

JSON_LINES = (".jsonl", ".ndjson")
# Of files with one crystal each, which pymatgen reads.
_CRYSTAL_SUFFIXES = (".cif", ".mcif", ".vasp", ".cssr", ".xsf", ".res", ".json", ".yaml", ".yml")
_CRYSTAL_NAMES = ("*poscar*", "*contcar*", "chgcar*", "locpot*", "vasprun*.xml*")
_LABEL_ENDS_AT = (*JSON_LINES, *_CRYSTAL_SUFFIXES, ".extxyz", ".xyz", ".db", ".csv", ".tsv", ".parquet")


class SourceFile(NamedTuple):
    """A file that is being read; its rows are numbered on from `n_before`, those of the files before it."""

    path: Path
    # As a person sees it: its path below the folder that is read.
    name: str
    # What a crystal in it is called that has no id of its own; None where its number alone will do.
    label: str | None = None
    n_before: int = 0

    def place(self, where: object) -> str:
        """Tell where in the file something stands, in one short line."""
        return shortened(f"{self.name}, {where}")

    def id_of(self, row: int) -> str:
        """Name what has no id of its own: by its row; after the label, if there is one, by its number in the file."""
        return shortened(row if self.label is None else f"{self.label}:{row - self.n_before}")


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield what a folder and its subfolders hold, in order of name; nothing hidden, and no link that leads back up."""
    here = folder.resolve()
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from files_below(path, (*above, here))
        else:
            yield path


def names_a_crystal(path: Path) -> bool:
    """Tell whether a file is named as those are that pymatgen reads one crystal from."""
    name = path.name.lower()
    return bare_suffix(path) in _CRYSTAL_SUFFIXES or any(fnmatchcase(name, pattern) for pattern in _CRYSTAL_NAMES)


def without_suffix(name: str) -> str:
    """Cut off the suffix of a known kind of file, with that of a compression."""
    suffix = bare_suffix(Path(name))
    return name[: name.lower().rindex(suffix)] if suffix in _LABEL_ENDS_AT else name
