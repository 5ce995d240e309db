"""Density functionals: exact constraints, learned exchange, a scorecard, a plug for PySCF. Atomic units throughout."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matembed.densities.averaging import AveragedFunctional
    from matembed.densities.exchange import LIEB_OXFORD, EnhancementFactor
    from matembed.densities.functionals import (
        ExactShare,
        LibxcFunctional,
        LibxcHybrid,
        SpinPoints,
        TorchFunctional,
        as_functional,
    )
    from matembed.densities.molecules import record_of
    from matembed.densities.pyscf_plug import PotentialCheck, attach, check_potential
    from matembed.densities.records import DensityRecord, load_records, read_records, write_records
    from matembed.densities.scorecards import Scorecard, draw, page, scorecard
    from matembed.densities.strategies import LearnedEnergy, fit
    from matembed.densities.voxel_grids import electron_points, voxels

_HOMES = {
    "LIEB_OXFORD": "exchange",
    "AveragedFunctional": "averaging",
    "DensityRecord": "records",
    "EnhancementFactor": "exchange",
    "ExactShare": "functionals",
    "LearnedEnergy": "strategies",
    "LibxcFunctional": "functionals",
    "LibxcHybrid": "functionals",
    "PotentialCheck": "pyscf_plug",
    "Scorecard": "scorecards",
    "SpinPoints": "functionals",
    "TorchFunctional": "functionals",
    "as_functional": "functionals",
    "attach": "pyscf_plug",
    "check_potential": "pyscf_plug",
    "draw": "scorecards",
    "electron_points": "voxel_grids",
    "fit": "strategies",
    "load_records": "records",
    "page": "scorecards",
    "read_records": "records",
    "record_of": "molecules",
    "scorecard": "scorecards",
    "voxels": "voxel_grids",
    "write_records": "records",
}
__all__ = [
    "LIEB_OXFORD",
    "AveragedFunctional",
    "DensityRecord",
    "EnhancementFactor",
    "ExactShare",
    "LearnedEnergy",
    "LibxcFunctional",
    "LibxcHybrid",
    "PotentialCheck",
    "Scorecard",
    "SpinPoints",
    "TorchFunctional",
    "as_functional",
    "attach",
    "check_potential",
    "draw",
    "electron_points",
    "fit",
    "load_records",
    "page",
    "read_records",
    "record_of",
    "scorecard",
    "voxels",
    "write_records",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'matembed.densities' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"matembed.densities.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
