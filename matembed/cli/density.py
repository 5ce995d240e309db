"""Commands on density functionals."""

import argparse
from pathlib import Path
from typing import Any

from matembed.cli.options import Commands, add_command, add_group, add_output, positive_integer, whole_number

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    of_density = add_group(commands, "density", "Density functionals: exact conditions, and learned exchange.")
    command = add_command(of_density, "scorecard", _scorecard, "Which exact conditions functionals meet.")
    command.add_argument("functional", nargs="+", help="names of libxc (PBE, PBE0), or files that density fit wrote")
    command.add_argument("--correlation", help="of functionals that are exchange alone, such as PBE")
    add_output(command, "--json", help="file to write; one functional")
    add_output(command, "--figure", help="picture to write: .png, .svg or .pdf")
    command.add_argument("--overwrite", action="store_true", help="replace a file and a picture that are there")
    summary = "Learn exchange from exact exchange, and say how far held-out molecules are missed."
    command = add_command(of_density, "fit", _density_fit, summary)
    command.add_argument("--records", type=Path, help="folder of density records (those of the package)")
    command.add_argument("--bound", type=float, help="keep 0 < F_x < BOUND; 1.804 implies the Lieb-Oxford bound")
    command.add_argument("--averaged", action="store_true", help="see the averaged density too, which is not local")
    command.add_argument("--noise", type=float, default=0.01, help="hartree a root electron (default: %(default)s)")
    command.add_argument("--folds", type=positive_integer, default=5, help="by molecule (default: %(default)s)")
    command.add_argument("--seed", type=whole_number, default=0, help="of the folds (default: %(default)s)")
    add_output(command, "--out", required=True, help="file of the model: .safetensors")
    command.add_argument("--overwrite", action="store_true", help="replace a model that is there")


def _scorecard(options: argparse.Namespace) -> None:
    from matembed._atomic import whole_file
    from matembed.densities import as_functional, draw, page, scorecard

    if options.figure and options.figure.suffix not in (".png", ".svg", ".pdf"):
        msg = f"pictures are written as .png, .svg or .pdf, got {options.figure.name!r}"
        raise ValueError(msg)
    for path in (options.json, options.figure):
        if path and path.exists() and not options.overwrite:
            msg = f"{path} already exists; choose another path or pass --overwrite"
            raise FileExistsError(msg)
    if options.json and len(options.functional) > 1:
        msg = f"--json is for one functional, got {len(options.functional)}; leave it out, or name one"
        raise ValueError(msg)
    functionals = [as_functional(_functional(name)) for name in options.functional]
    if options.correlation and all(one.kind != "exchange" for one in functionals):
        msg = f"--correlation completes exchange, but no functional is exchange alone; leave out {options.correlation}"
        raise ValueError(msg)
    cards = [scorecard(one, correlation=options.correlation if one.kind == "exchange" else None) for one in functionals]
    print(page(cards))
    if options.json:
        with whole_file(options.json) as partial:
            cards[0].write(partial)
    if options.figure:
        with whole_file(options.figure) as partial:
            draw(cards).savefig(partial, format=options.figure.suffix[1:], bbox_inches="tight")


def _functional(name: str) -> Any:
    if not name.endswith(".safetensors"):
        return name
    from matembed.densities import EnhancementFactor

    return EnhancementFactor.read(name).functional(Path(name).stem)


def _density_fit(options: argparse.Namespace) -> None:
    import numpy as np
    from sklearn.model_selection import KFold, cross_val_predict

    from matembed.densities import EnhancementFactor, load_records, read_records

    if options.out.suffix != ".safetensors":
        msg = f"--out must be a .safetensors file, got {options.out}"
        raise ValueError(msg)
    if options.out.exists() and not options.overwrite:
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise FileExistsError(msg)
    records = list((read_records(options.records) if options.records else load_records()).values())
    if options.folds > len(records):
        msg = f"--folds takes 1 to {len(records)}, the number of densities; got {options.folds}"
        raise ValueError(msg)
    model = EnhancementFactor(averaged=options.averaged, bound=options.bound, noise=options.noise).fit(records)
    if options.folds > 1:
        exact = np.array([one.energies["exact_exchange"] for one in records])
        folds = KFold(options.folds, shuffle=True, random_state=options.seed)
        told = {"": cross_val_predict(model, records, exact, cv=folds)}
        if all("PBE exchange" in one.energies for one in records):
            told["PBE "] = np.array([one.energies["PBE exchange"] for one in records])
        missed = [f"{name}{1e3 * np.abs(values - exact).mean():.1f} mHa" for name, values in told.items()]
        print(f"held-out molecules, {options.folds} folds: {'; '.join(missed)}")
    model.write(options.out)
    print(f"{len(records)} densities, {len(model.centres_)} terms: {options.out}")
