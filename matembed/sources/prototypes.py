"""The AFLOW prototype crystals that pymatgen ships: real structures, offline, many with mineral names."""

import gzip
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from matembed.cards import Card
from matembed.sources.rows import Row, Rows, StructureRow

__all__ = ["PROTOTYPES_CARD", "read_prototypes"]

_N_PROTOTYPES = 288

PROTOTYPES_CARD = Card(
    name="aflow_prototypes",
    what="Prototype crystals of the AFLOW Library of Crystallographic Prototypes, as pymatgen ships them.",
    source="pymatgen, analysis/prototypes/aflow_prototypes.json.gz",
    licence="MIT",
    citation=(
        "M. J. Mehl et al., The AFLOW Library of Crystallographic Prototypes: Part 1, "
        "Comput. Mater. Sci. 136, S1 (2017), doi:10.1016/j.commatsci.2017.01.017",
        "D. Hicks et al., The AFLOW Library of Crystallographic Prototypes: Part 2, "
        "Comput. Mater. Sci. 161, S1 (2019), doi:10.1016/j.commatsci.2018.10.043",
        "S. P. Ong et al., Python Materials Genomics (pymatgen), "
        "Comput. Mater. Sci. 68, 314 (2013), doi:10.1016/j.commatsci.2012.10.028",
    ),
)


def read_prototypes(*, limit: int | None = None) -> Rows:
    """Read the AFLOW prototypes that pymatgen ships [1]_ [2]_.

    Parameters
    ----------
    limit : int, optional
        Only the first prototypes.

    Returns
    -------
    Rows
        288 crystals in pymatgen's order. The id is the AFLOW label and the formula; properties are ``aflow``,
        ``pearson``, ``strukturbericht`` and ``mineral`` where they are known.

    Raises
    ------
    FileNotFoundError
        If the installed pymatgen ships no prototypes.
    ValueError
        If `limit` is not positive.

    References
    ----------
    .. [1] M. J. Mehl et al., Comput. Mater. Sci. 136, S1 (2017).
    .. [2] D. Hicks et al., Comput. Mater. Sci. 161, S1 (2019).

    Examples
    --------
    >>> cinnabar = next(iter(read_prototypes()))
    >>> cinnabar.id, cinnabar.properties["mineral"], len(cinnabar.to_structure())
    ('AB_hP6_154_a_b:HgS', 'Cinnabar', 6)
    """
    path = _library()
    return Rows("structures", PROTOTYPES_CARD.name, _N_PROTOTYPES, lambda: _read(path), PROTOTYPES_CARD).first(limit)


def _library() -> Path:
    # Found, not imported: importing pymatgen.analysis.prototypes takes several seconds.
    spec = find_spec("pymatgen.analysis.prototypes")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "aflow_prototypes.json.gz"
        if path.is_file():
            return path
    msg = 'the installed pymatgen ships no AFLOW prototypes; run: pip install "pymatgen>=2026.10"'
    raise FileNotFoundError(msg)


def _read(path: Path) -> Iterator[Row]:
    from pymatgen.core.composition import Composition

    with gzip.open(path, "rt", encoding="utf-8") as file:
        entries = json.load(file)
    for row, entry in enumerate(entries, start=1):
        cell, tags = entry["snl"], entry["tags"]
        elements = [site["species"][0]["element"] for site in cell["sites"]]
        formula = Composition.from_dict({element: elements.count(element) for element in elements}).reduced_formula
        properties = {name: tags[name] for name in sorted(tags) if tags[name] not in ("", "None", None)}
        payload = {
            "lattice": cell["lattice"]["matrix"],
            "species": elements,
            "frac_coords": [site["abc"] for site in cell["sites"]],
        }
        yield StructureRow(row, f"{tags['aflow']}:{formula}", tags["mineral"] or formula, payload, properties)
