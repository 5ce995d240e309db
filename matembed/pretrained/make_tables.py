"""Make the tables that come with the package: ``python -m matembed.pretrained.make_tables MOTIFS ALL_SITES``."""

import argparse
from dataclasses import replace
from pathlib import Path

from matembed.corpus.motif_tables import MotifTables
from matembed.embeddings import EmbeddingTable
from matembed.recipes import fit_elements, fit_formula_elements, fit_motifs, fit_species

_HERE = Path(__file__).parent / "tables"
_COMMAND = "python -m matembed.pretrained.make_tables MOTIFS ALL_SITES --exclude FORMULAS"


def main(arguments: list[str] | None = None) -> None:
    """Make the tables.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("motifs", help="folder of motif tables, from matembed motifs")
    parser.add_argument("all_sites", help="the same around every site: matembed motifs --valences none")
    parser.add_argument("--exclude", type=Path, help="file of formulas to leave out, a line each")
    parser.add_argument("--out", type=Path, default=_HERE, help="folder for the tables")
    parser.add_argument("--only", nargs="*", help="names of tables to make; all by default")
    parser.add_argument("--n-networks", type=int, default=6)
    given = parser.parse_args(arguments)
    tables = MotifTables.read(given.motifs)
    exclude = given.exclude.read_text(encoding="utf-8").splitlines() if given.exclude else []
    formulas = tables.materials()["formula"].unique().tolist()
    settings = {"exclude": exclude, "n_networks": given.n_networks}
    makers = {
        "elements": lambda: fit_elements(tables, all_sites=MotifTables.read(given.all_sites), **settings),
        "elements-from-formulas": lambda: fit_formula_elements(formulas, card=tables.card, **settings),
        "species": lambda: fit_species(tables, exclude=exclude),
        "motifs": lambda: fit_motifs(tables, exclude=exclude),
    }
    for name in given.only or makers:
        table = makers[name]()
        said = f" Formulas of benchmark tasks were left out, by a list of {len(exclude):,}." if exclude else ""
        card = replace(table.card, what=table.card.what + said, settings={"command": _COMMAND, **table.card.settings})
        done: EmbeddingTable = replace(table, card=card)
        print(done, done.write(given.out / name, overwrite=True, half=name == "motifs"))


if __name__ == "__main__":
    main()
