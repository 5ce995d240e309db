"""Make the transformer that comes with the package: ``python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY``.

MOTIFS are tables made with ``matembed motifs --strategy multi_weights``. Five passes make one model. Each leaves out
less than the one before, so that benchmarks can be run on what has seen nothing of their tests; the last goes on with
materials that were made, which are fewer than those that were only computed, and are what people ask for::

    python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY --exclude TASKS_AND_SYSTEMS --out first
    python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY --exclude SYSTEMS --start first --out system
    python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY --exclude FORMULAS --start system --out formula
    python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY --start formula --epochs 2 --out all
    python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY --ids EXPERIMENTAL --start all --epochs 16

FORMULAS and SYSTEMS are what ``benchmarks/masked_geometry.py`` lists with ``--list-seen``; TASKS_AND_SYSTEMS are the
latter and what ``benchmarks/embeddings.py`` leaves out. EXPERIMENTAL are ids of entries of the Materials Project that
match an experimental one.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from matembed.corpus.material_sets import table_sets
from matembed.corpus.motif_tables import MotifTables
from matembed.encoders.masked_lm import MaskedLM

_HERE = Path(__file__).parent / "models" / "crystals"
_SETTINGS: dict[str, Any] = {
    "dim": 160,
    "n_layers": 3,
    "n_heads": 5,
    "feed_forward": 640,
    "dropout": 0.1,
    "epochs": 10,
    "batch_tokens": 2048,
    "learning_rate": 0.002,
    "precision": "bfloat16",
    "hide_oxidation": 0.15,
    "shares": {"formula": 0.4, "others": 0.25, "links": 0.15, "element": 0.2},
}
_GO_ON: dict[str, Any] = {"epochs": 3, "learning_rate": 0.001}


def main(arguments: list[str] | None = None) -> None:
    """Train, and write the folder.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motifs", help="folder of motif tables, from matembed motifs")
    parser.add_argument("symmetry", help="folder of the symmetry of the same crystals, from symmetry_table")
    parser.add_argument("--exclude", type=Path, help="formulas to leave out, a line each")
    parser.add_argument("--ids", type=Path, help="ids of the materials to take, a line each; all by default")
    parser.add_argument("--start", help="folder of a model to go on from, for fewer epochs")
    parser.add_argument("--epochs", type=int, help="10 by default, 3 where it goes on")
    parser.add_argument("--checkpoint", type=Path, help="folder to keep the state of training in, to go on if cut")
    parser.add_argument("--out", type=Path, default=_HERE)
    given = parser.parse_args(arguments)
    exclude = given.exclude.read_text(encoding="utf-8").splitlines() if given.exclude else []
    sets = table_sets(MotifTables.read(given.motifs), exclude=exclude, symmetry=given.symmetry)
    if given.ids:
        wanted = set(given.ids.read_text(encoding="utf-8").splitlines())
        sets = sets[[row for row, name in enumerate(sets.ids) if name in wanted]]
        if not len(sets):
            parser.error(
                f"none of the {len(wanted):,} ids in {given.ids} is in {given.motifs}; give ids of its materials"
            )
    settings = _SETTINGS | (_GO_ON if given.start else {}) | ({"epochs": given.epochs} if given.epochs else {})
    start = MaskedLM.from_pretrained(given.start) if given.start else None
    model = MaskedLM(**settings, progress=True).fit(sets, start=start, checkpoint=given.checkpoint)
    asked = f" --exclude FORMULAS ({len(exclude):,})" if exclude else ""
    asked += f" --ids EXPERIMENTAL ({len(sets):,})" if given.ids else ""
    went_on = f" --start {Path(given.start).name}" if start else ""
    how_long = f" --epochs {given.epochs}" if given.epochs else ""
    command = f"python -m matembed.pretrained.make_transformer MOTIFS SYMMETRY{asked}{went_on}{how_long}"
    model.card_ = replace(model.card_, name="crystals", settings={"command": command, **model.card_.settings})
    print(model.save_pretrained(given.out, half=True, overwrite=True), model.history_[-1])


if __name__ == "__main__":
    main()
