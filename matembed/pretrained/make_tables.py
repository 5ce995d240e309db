"""Make the tables that come with the package: ``python -m matembed.pretrained.make_tables MOTIFS ALL_SITES``."""

import argparse
from dataclasses import replace
from pathlib import Path

from matembed.corpus.motif_tables import MotifTables
from matembed.embeddings import EmbeddingTable
from matembed.recipes import fit_elements, fit_formula_elements, fit_motifs, fit_species

_HERE = Path(__file__).parent / "tables"
_TASKS = (
    "the Matbench tasks steels, phonons, expt_gap, expt_is_metal, log_kvrh, perovskites, jdft2d, glass, dielectric and "
    "log_gvrh"
)
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
    parser.add_argument(
        "--exclude", type=Path, help="formulas to leave out, a line each, from benchmarks/embeddings.py"
    )
    parser.add_argument("--out", type=Path, default=_HERE, help="folder for the tables")
    parser.add_argument("--only", nargs="*", help="names of tables to make; all by default")
    parser.add_argument("--n-networks", type=int, default=6)
    given = parser.parse_args(arguments)
    tables = MotifTables.read(given.motifs)
    exclude = given.exclude.read_text(encoding="utf-8").splitlines() if given.exclude else []
    formulas = tables.materials()["formula"].unique().tolist()
    recipe = {"exclude": exclude, "n_networks": given.n_networks}
    makers = {
        "elements": lambda: fit_elements(tables, all_sites=MotifTables.read(given.all_sites), **recipe),
        "elements-from-formulas": lambda: fit_formula_elements(formulas, card=tables.card, **recipe),
        "species": lambda: fit_species(tables, exclude=exclude),
        "motifs": lambda: fit_motifs(tables, exclude=exclude),
    }
    for name in given.only or makers:
        table = makers[name]()
        said = f" Left out were the formulas of {_TASKS}: {len(exclude):,}." if exclude else ""
        settings = {"command": _COMMAND, **table.card.settings}
        card = replace(table.card, what=table.card.what + said, settings=settings)
        done: EmbeddingTable = replace(table, card=card)
        print(done, done.write(given.out / name, overwrite=True, half=name == "motifs"))


if __name__ == "__main__":
    main()
