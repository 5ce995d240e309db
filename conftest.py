"""Doctests of files that need an extra are left out where it is not installed."""

from importlib.util import find_spec

_TRANSFORMER = (
    "downstream/_property_network",
    "downstream/_set_reader",
    "downstream/fine_tuning",
    "encoders/_mlm_training",
    "encoders/set_transformer",
)
_GRAPHS = ("graphs/_hetero_data", "graphs/_layers", "graphs/_network", "graphs/regressor")
_COMPOSITIONS = ("downstream/_composition_network", "downstream/composition_models")
_DENSITIES = ("electrons", "functionals", "molecules", "pyscf_plug", "scorecards", "strategies")
_PYSCF = tuple(f"densities/{file}" for file in _DENSITIES)
_NEEDS = {
    "torch": (
        *_TRANSFORMER,
        *_GRAPHS,
        *_COMPOSITIONS,
        *("densities/functionals", "densities/pyscf_plug", "densities/torch_functionals"),
        *("densities/strategies", "densities/whole_density"),
        *("encoders/masked_lm", "encoders/masked_set"),
    ),
    "pyscf": _PYSCF,
    "torch_geometric": _GRAPHS,
    "e3nn": ("graphs/_equivariant", "graphs/tensors"),
    "transformers": (*_TRANSFORMER, "encoders/masked_lm"),
}

collect_ignore = [
    f"matembed/{file}.py" for extra, files in _NEEDS.items() if find_spec(extra) is None for file in files
]
