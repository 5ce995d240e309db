"""Make a transformer that comes with the package: ``python -m matembed.pretrained.make_transformer SETS EXPERIMENTAL``.

SETS is a folder of the crystals of a database, as sets: with motif tables of ``matembed motifs --strategy
multi_weights`` and the table that `matembed.symmetry_table` makes of the same crystals, it is written by
``matembed.table_sets(matembed.MotifTables.read(MOTIFS), symmetry=SYMMETRY).write(SETS)``. EXPERIMENTAL lists ids of
those that match an experimental structure, a line each: where the column ``icsd`` of the tables is true.

A network reads all crystals first. Then it goes on with those that were made, which are fewer than those that were only
computed, and are what people ask for. ``--size large`` has four times the weights and wants an accelerator: seven
networks side by side took four minutes on an H200. The small one takes an hour and a half of one core. ``--exclude
FORMULAS`` leaves formulas out of both, so that benchmarks can be run on a network that has seen nothing of their tests:
``benchmarks/masked_geometry.py`` lists them with ``--list-seen``.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matembed.corpus.formulas import reduced_formulas
from matembed.corpus.material_sets import MaterialSets
from matembed.encoders.masked_lm import MaskedLM

_MODELS = Path(__file__).parent / "models"
_NAMES = {"small": "crystals", "large": "crystals-large"}
_SIZES: dict[str, dict[str, Any]] = {
    "small": {"dim": 160, "n_layers": 3, "n_heads": 5, "feed_forward": 640, "learning_rate": 0.002},
    "large": {"dim": 256, "n_layers": 5, "n_heads": 8, "feed_forward": 1024, "learning_rate": 0.0015},
}
_SETTINGS: dict[str, Any] = {
    "batch_tokens": 16384,
    "precision": "bfloat16",
    "hide_oxidation": 0.15,
    "shares": {"formula": 0.4, "others": 0.25, "links": 0.15, "element": 0.2},
}
_EPOCHS = (21, 32)  # of all, and of those that were made
_DROPOUT = (0.1, 0.2)


def main(arguments: list[str] | None = None) -> None:
    """Train, and write the folder.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", help="folder of MaterialSets")
    parser.add_argument("experimental", type=Path, help="ids of the materials that were made, a line each")
    parser.add_argument("--size", choices=_SIZES, default="small")
    parser.add_argument("--exclude", type=Path, help="formulas to leave out, a line each")
    parser.add_argument("--epochs", type=int, nargs=2, default=_EPOCHS, help="of all, and of those that were made")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--checkpoint", type=Path, help="folder to keep the state of training in, to go on if cut")
    parser.add_argument("--out", type=Path, help="folder to write; by default where the package keeps it")
    given = parser.parse_args(arguments)
    exclude = given.exclude.read_text(encoding="utf-8").splitlines() if given.exclude else []
    left_out, names = reduced_formulas(exclude), set(given.experimental.read_text(encoding="utf-8").splitlines())
    sets = MaterialSets.read(given.sets)
    sets = sets[np.flatnonzero([formula not in left_out for formula in sets.formulas])]
    made = np.flatnonzero([name in names for name in sets.ids])
    if not len(made):
        parser.error(f"none of the {len(names):,} ids in {given.experimental} is in {given.sets}; give ids of its own")
    model = _fit(_fit(None, 0, sets, given), 1, sets[made], given)
    command = "python -m matembed.pretrained.make_transformer SETS EXPERIMENTAL"
    command += "".join(f" --{key} {value}" for key, value in (("size", given.size), ("device", given.device)))
    command += f" --epochs {given.epochs[0]} {given.epochs[1]}" + (" --exclude FORMULAS" if exclude else "")
    model.card_ = replace(
        model.card_,
        name=_NAMES[given.size],
        counts={**model.card_.counts, "formulas excluded": len(left_out)},
        settings={"command": command, **model.card_.settings},
    )
    folder = model.save_pretrained(given.out or _MODELS / _NAMES[given.size], half=True, overwrite=True)
    print(folder, model.history_[-1])


def _fit(start: MaskedLM | None, stage: int, sets: MaterialSets, given: argparse.Namespace) -> MaskedLM:
    settings = _SETTINGS | _SIZES[given.size] | {"epochs": given.epochs[stage], "dropout": _DROPOUT[stage]}
    model = MaskedLM(**settings, device=given.device, progress=True)
    return model.fit(sets, start=start, checkpoint=given.checkpoint and given.checkpoint / str(stage))


if __name__ == "__main__":
    main()
