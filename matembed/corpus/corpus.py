"""Corpus: a folder of sentences, read line by line as often as training needs."""

import gzip
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from matembed.cards import Card
from matembed.corpus._folder import checked_file, read_config
from matembed.corpus.contexts import FORMULA_VIEWS
from matembed.corpus.walks import MOTIF_VIEWS
from matembed.motifs.graph import MotifGraph

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Corpus"]

SCHEMA = 1
_TABLES = ("materials.parquet", "rejected.parquet", "rewritten.parquet")
_GRAPHS = "motif_graphs.jsonl.gz"


@dataclass(frozen=True)
class Corpus:
    """Sentences of tokens in a folder, with the materials they came from.

    Iterating gives each sentence as a list of tokens and can be repeated; the file is never held in memory.
    ``len(corpus)`` is the number of sentences. Each file is checked when it is first read: one that is not the file
    that was built, by its SHA-256 in the card, raises a ValueError.

    Attributes
    ----------
    path : Path
        The folder: ``config.json``, ``README.md`` (the card), ``sentences/<view>.txt`` (a sentence a line, tokens
        apart by a space), ``materials.parquet``, ``rejected.parquet``, ``rewritten.parquet`` and, of crystals,
        ``motif_graphs.jsonl.gz``.
    view : str
        Which sentences: ``"links"`` or ``"walks"`` of motifs; ``"elements"``, ``"amounts"`` or
        ``"environments"`` of formulas.
    card : Card
        Source, licence, counts, settings and hashes.

    See Also
    --------
    matembed.build_corpus : Makes one.

    Examples
    --------
    >>> import tempfile
    >>> from matembed import build_corpus
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus = build_corpus(["NaCl", "TiO2", "Xx2"], f"{folder}/three", progress=False)
    ...     print(corpus)
    ...     print(list(corpus.with_view("elements")))
    ...     print(corpus.rejected()["input"].to_list())
    Corpus('formulas', view 'environments', 4 sentences of 2 materials)
    [['Na', 'Cl'], ['Ti', 'O']]
    ['Xx2']
    """

    path: Path
    view: str
    card: Card
    _checked: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str], view: str | None = None) -> Self:
        """Open the folder of a corpus.

        Parameters
        ----------
        path : path-like
            Folder that `build_corpus` made.
        view : str, optional
            Which sentences; by default ``"links"`` of crystals and ``"environments"`` of formulas.

        Returns
        -------
        Corpus
            The corpus.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If the folder is no corpus, was written by a newer format, or has no such view.
        """
        folder, config, card = read_config(
            path, kind="Corpus", schema=SCHEMA, noun="corpus", maker="build_corpus", problem=_problem
        )
        corpus = cls(folder, config["view"], card)
        return corpus if view is None else corpus.with_view(view)

    @property
    def views(self) -> tuple[str, ...]:
        """Which sentences there are."""
        return tuple(self.card.settings["views"])

    def with_view(self, view: str) -> Self:
        """Look at the other sentences of the same materials.

        Parameters
        ----------
        view : str
            One of `views`.

        Returns
        -------
        Corpus
            The same folder, with that view.

        Raises
        ------
        ValueError
            If there are no such sentences.
        """
        if view not in self.views:
            msg = f"corpus {self.card.name!r} has no view {view!r}; choose one of {', '.join(self.views)}"
            raise ValueError(msg)
        return replace(self, view=view)

    def __iter__(self) -> Iterator[list[str]]:
        with self._file(f"sentences/{self.view}.txt").open(encoding="utf-8") as file:
            for line in file:
                yield line.split()

    def __len__(self) -> int:
        return self.card.counts[f"{self.view} sentences"]

    def __repr__(self) -> str:
        n_materials = self.card.counts["kept"]
        return f"Corpus({self.card.name!r}, view {self.view!r}, {len(self):,} sentences of {n_materials:,} materials)"

    def materials(self) -> "pd.DataFrame":
        """Read the table of the materials that were kept.

        Returns
        -------
        DataFrame, shape (n_materials, n_columns)
            In the order of the input: id, row, formula (reduced), chemsys, n_elements; of crystals also n_sites,
            n_motifs, n_connections, valences (where they came from) and volume_per_atom (Å^3); then the
            properties that came with the input, ``input_<name>`` where a name is taken.
        """
        return self._table("materials")

    def rejected(self) -> "pd.DataFrame":
        """Read the table of the rows that could not be used.

        Returns
        -------
        DataFrame, shape (n_rejected, 4)
            In the order of the input: id, row, input (shortened) and reason.
        """
        return self._table("rejected")

    def rewritten(self) -> "pd.DataFrame":
        """Read the table of the formulas that were read otherwise than they were written.

        Returns
        -------
        DataFrame, shape (n_rewritten, 5)
            In the order of the input: id, row, input, formula (reduced) and rewrites (what was changed).
        """
        return self._table("rewritten")

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        return pd.read_parquet(self._file(f"{name}.parquet"))

    def _file(self, name: str) -> Path:
        return checked_file(self.path, name, self.card, self._checked, "corpus")

    def motif_graphs(self) -> Iterator[tuple[str, MotifGraph]]:
        """Read the motif graphs one at a time, in the order of `materials`.

        Yields
        ------
        (str, MotifGraph)
            Id and graph of each crystal.

        Raises
        ------
        ValueError
            If this is a corpus of formulas.
        """
        if _GRAPHS not in self.card.sha256:
            msg = (
                f"corpus {self.card.name!r} was built from formulas and holds no motif graphs; build it from structures"
            )
            raise ValueError(msg)
        return self._motif_graphs(self._file(_GRAPHS))

    def _motif_graphs(self, path: Path) -> Iterator[tuple[str, MotifGraph]]:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                values = json.loads(line)
                yield values["id"], MotifGraph.from_dict(values)


def _problem(config: Mapping[str, Any], card: Card) -> str:
    """Say what is wrong with the views and files a config names."""
    view = config["view"]
    views = card.settings.get("views")
    known = (*MOTIF_VIEWS, *FORMULA_VIEWS)
    if not isinstance(views, list | tuple) or not views or any(one not in known for one in views):
        return f"views must be some of {', '.join(known)}; got {views!r}"
    if view not in views:
        return f"its view {view!r} is none of its views"
    wanted = {*_TABLES, *(f"sentences/{one}.txt" for one in views)}
    wrong = sorted(wanted ^ (card.sha256.keys() - {_GRAPHS}))
    return f"sha256 must name each file of a corpus and no other; see {wrong[0]!r}" if wrong else ""
