"""Doctests of files that need an extra are left out where it is not installed."""

from importlib.util import find_spec

_TRANSFORMER = (
    "downstream/_property_network",
    "downstream/_set_reader",
    "downstream/fine_tuning",
    "encoders/_mlm_training",
    "encoders/_set_transformer",
)
_NEEDS = {
    "torch": (*_TRANSFORMER, "encoders/masked_lm", "encoders/masked_set"),
    "transformers": (*_TRANSFORMER, "encoders/masked_lm"),
}

collect_ignore = [
    f"matembed/{file}.py" for extra, files in _NEEDS.items() if find_spec(extra) is None for file in files
]
