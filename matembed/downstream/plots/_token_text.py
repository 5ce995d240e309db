"""Tokens as a reader of a figure expects them."""

from functools import lru_cache

from matembed.tokens import Token, parse_token, species_token

__all__ = ["geometry_name", "parts_of", "pretty"]

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789.+-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁺⁻")


def pretty(token: str) -> str:
    """Write a token as chemists do: TiO₆ O:6 for TiO6:O:6, Ti⁴⁺ for Ti4+."""
    parts = parts_of(token)
    if parts is None or parts.element is None:
        return token
    charge = "" if parts.oxidation is None else species_token(parts.element, parts.oxidation)[len(parts.element) :]
    centre = parts.element + charge.translate(_SUPERSCRIPTS)
    if parts.kind != "motif":
        return centre
    ligands = "".join(symbol + ("" if amount == 1 else f"{amount:g}") for symbol, amount in parts.ligands)
    return f"{centre}{ligands.translate(_SUBSCRIPTS)} {parts.geometry}"


def parts_of(token: str) -> Token | None:
    """Parse a token, or give None for a word outside the grammar."""
    try:
        return parse_token(token)
    except ValueError:
        return None


@lru_cache
def geometry_name(symbol: str) -> str | None:
    """Spell a ChemEnv symbol out: octahedron for O:6; None where ChemEnv has no name."""
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries

    try:
        name = AllCoordinationGeometries().get_geometry_from_mp_symbol(symbol).name
    except LookupError:
        return None
    return str(name.partition(" - ")[0].lower())
