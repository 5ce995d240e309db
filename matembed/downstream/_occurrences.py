"""In how many materials of a corpus each token occurs, and in which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

from matembed.corpus.corpus import Corpus
from matembed.corpus.motif_tables import MotifTables
from matembed.tokens import kind_of, parse_token

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Occurrence", "occurrences"]

_N_EXAMPLES = 3


class Occurrence(NamedTuple):
    """How many materials hold a token, and a few of their formulas."""

    n_materials: int
    examples: tuple[str, ...]


def occurrences(
    corpus: "Corpus | MotifTables | Mapping[str, tuple[int, Collection[str]]]", tokens: Collection[str]
) -> dict[str, Occurrence]:
    """Count the materials that hold each of the tokens; a token that cannot be counted there is left out.

    A corpus counts elements, motifs and geometries; motif tables, species as well. Examples are the compounds of the
    fewest elements, first in the corpus first. A mapping is checked and taken as it is.
    """
    import pandas as pd

    if isinstance(corpus, Mapping):
        return {token: _checked(token, corpus[token]) for token in tokens if token in corpus}
    if not isinstance(corpus, Corpus | MotifTables):
        msg = (
            "corpus must be a Corpus, MotifTables or a mapping of token to (count, examples), "
            f"got {type(corpus).__name__}"
        )
        raise TypeError(msg)
    counted = {"element", "motif", "geometry"} | ({"species"} if isinstance(corpus, MotifTables) else set())
    kinds = {kind_of(token) for token in tokens}
    wanted = [token for token in tokens if kind_of(token) in counted]
    materials = corpus.materials()
    found = [_exploded(materials["chemsys"].str.split("-"))]
    if kinds & (counted - {"element"}):
        found += [_of_graphs(corpus)] if isinstance(corpus, Corpus) else _of_tables(corpus, materials)
    pairs = pd.concat(found, ignore_index=True)
    pairs = pairs[pairs["token"].isin(wanted)].drop_duplicates()
    counts = pairs["token"].value_counts()
    shown = pairs.join(materials[["formula", "n_elements"]], on="material").query("n_elements > 1")
    shown = shown.sort_values(["n_elements", "material"], kind="stable").drop_duplicates(["token", "formula"])
    examples = shown.groupby("token", sort=False)["formula"].apply(lambda formulas: tuple(formulas[:_N_EXAMPLES]))
    return {token: Occurrence(int(counts.get(token, 0)), examples.get(token, ())) for token in wanted}


def _checked(token: str, value: object) -> Occurrence:
    """Read a count and its examples."""
    if isinstance(value, Sequence) and len(value) == 2 and not isinstance(value[1], str):
        count, examples = value
        counts = isinstance(count, Integral) and not isinstance(count, bool) and int(count) >= 0
        if counts and isinstance(examples, Collection) and all(isinstance(one, str) for one in examples):
            return Occurrence(int(count), tuple(examples)[:_N_EXAMPLES])
    msg = f"corpus must map tokens to (count, examples), such as (12, ['TiO2']), got {value!r:.80} for {token!r}"
    raise ValueError(msg)


def _of_graphs(corpus: Corpus) -> "pd.DataFrame":
    """List the motifs, with and without oxidation states, and the geometries of each material (its row)."""
    import pandas as pd

    found = [
        {token for motif in graph.motifs for token in (motif.token, motif.species_token, motif.geometry)}
        for _, graph in corpus.motif_graphs()
    ]
    return _exploded(pd.Series([sorted(tokens) for tokens in found], dtype=object))


def _of_tables(tables: MotifTables, materials: "pd.DataFrame") -> "list[pd.DataFrame]":
    """List the species, motifs and geometries of each material."""
    import pandas as pd

    row_of = pd.Series(materials.index, index=materials["id"])
    motifs = tables.motifs(columns=["id", "token", "oxidation", "geometry"]).drop_duplicates()
    motifs["material"] = motifs["id"].map(row_of)
    charged = motifs.dropna(subset="oxidation")
    names = {
        (token, oxidation): str(replace(parse_token(token), oxidation=oxidation))
        for token, oxidation in charged[["token", "oxidation"]].drop_duplicates().itertuples(index=False)
    }
    tokens = [names[pair] for pair in charged[["token", "oxidation"]].itertuples(index=False, name=None)]
    return [
        _exploded(materials["sites"].str.split().map(lambda sites: sorted(set(sites)))),
        motifs[["material", "token"]],
        motifs[["material", "geometry"]].rename(columns={"geometry": "token"}),
        charged[["material"]].assign(token=tokens),
    ]


def _exploded(tokens: "pd.Series") -> "pd.DataFrame":
    """Turn the tokens of each material into pairs of a material and a token."""
    return tokens.explode().dropna().rename("token").rename_axis("material").reset_index()
