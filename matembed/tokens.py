"""The grammar of tokens: ``Ti``, ``Ti4+``, ``TiO6:O:6``, ``O:6``, ``-corner-``, ``(2)O3``.

Tokens hold no white space and their kinds cannot collide:

=========== ================================== ===========================================================
kind        examples                           reads as
=========== ================================== ===========================================================
element     ``Ti``                             a chemical element
species     ``Ti4+``, ``O2-``, ``Fe2.67+``     an element with an oxidation state
motif       ``TiO6:O:6``, ``Ti4+O6:O:6``       a centre, its ligands in alphabetical order, a geometry
geometry    ``O:6``, ``TT_1:9``                a coordination geometry alone, as a ChemEnv symbol
connection  ``-corner-``, ``-edge-``,          what two coordination polyhedra share
            ``-face-``
environment ``(2)O3``                          the rest of a formula around 2 atoms of an element (Atom2Vec)
=========== ================================== ===========================================================
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self, get_args

from matembed.elements import SYMBOLS

__all__ = [
    "SHARINGS",
    "Kind",
    "Sharing",
    "Token",
    "canonical_spelling",
    "connection_token",
    "element_token",
    "environment_token",
    "geometry_token",
    "kind_of",
    "motif_token",
    "parse_token",
    "species_token",
]

Kind = Literal["element", "species", "motif", "geometry", "connection", "environment"]
Sharing = Literal["corner", "edge", "face"]
SHARINGS: tuple[Sharing, ...] = get_args(Sharing)

_NUMBER = r"\d+(?:\.\d+)?"
_SYMBOL = r"[A-Z][a-z]?"
_CHARGE = rf"(?P<charge>{_NUMBER})?(?P<sign>[+-])"
_GEOMETRY = r"(?P<geometry>[A-Z][A-Z0-9_]*:(?P<cn>[1-9]\d*))"
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "element": re.compile(rf"(?P<element>{_SYMBOL})"),
    "species": re.compile(rf"(?P<element>{_SYMBOL}){_CHARGE}"),
    "motif": re.compile(rf"(?P<element>{_SYMBOL})(?:{_CHARGE})?(?P<ligands>(?:{_SYMBOL}\d*)+):{_GEOMETRY}"),
    "geometry": re.compile(_GEOMETRY),
    "connection": re.compile(rf"-(?P<sharing>{'|'.join(SHARINGS)})-"),
    "environment": re.compile(rf"\((?P<amount>{_NUMBER})\)(?P<ligands>(?:{_SYMBOL}(?:{_NUMBER})?)*)"),
}
_LOOSE_SPECIES = re.compile(
    rf"(?P<element>[A-Za-z]{{1,2}})(?:(?P<before>{_NUMBER})?(?P<sign>[+-])(?P<after>(?<=[a-z][+-]){_NUMBER})?)?",
    re.IGNORECASE,
)
_LONGEST = 100  # numbers of more digits are no charges and no amounts
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻−", "0123456789+--")


@lru_cache(maxsize=1)
def _element_symbols() -> frozenset[str]:
    from pymatgen.core.periodic_table import Element

    return frozenset(Element.__members__)


def _format_number(value: float) -> str:
    if math.isfinite(value) and value == int(value):
        return str(int(value))
    return f"{round(value, 6):.6f}".rstrip("0").rstrip(".")


def _format_charge(oxidation: float) -> str:
    size = f"{abs(oxidation):.2f}".rstrip("0").rstrip(".")
    sign = "-" if oxidation < 0 and size != "0" else "+"
    return ("" if size == "1" else size) + sign


def _format_amounts(amounts: Iterable[tuple[str, float]]) -> str:
    return "".join(symbol + ("" if amount == 1 else _format_number(amount)) for symbol, amount in amounts)


def _parse_amounts(text: str) -> tuple[tuple[str, float], ...]:
    return tuple((symbol, float(amount or 1)) for symbol, amount in re.findall(rf"({_SYMBOL})({_NUMBER})?", text))


@dataclass(frozen=True, slots=True)
class Token:
    """A token, taken apart.

    Attributes
    ----------
    kind : {"element", "species", "motif", "geometry", "connection", "environment"}
        What the token stands for.
    element : str or None
        Element symbol, or the symbol of a motif's centre.
    oxidation : float or None
        Oxidation state of the species or motif centre, in units of e, kept to 0.01.
    ligands : tuple of (str, float)
        Element symbols and amounts: a motif's ligands, or the rest of the formula of an environment.
        Alphabetical; every symbol once.
    geometry : str or None
        ChemEnv symbol, such as ``"O:6"``.
    sharing : {"corner", "edge", "face"} or None
        What a connection shares.
    amount : float or None
        How many atoms an environment surrounds.

    See Also
    --------
    parse_token : The inverse of ``str(token)``.

    Examples
    --------
    >>> token = parse_token("Ti4+O6:O:6")
    >>> token.element, token.oxidation, token.ligands, token.geometry, token.cn
    ('Ti', 4.0, (('O', 6.0),), 'O:6', 6)
    >>> str(token)
    'Ti4+O6:O:6'
    """

    kind: Kind
    element: str | None = None
    oxidation: float | None = None
    ligands: tuple[tuple[str, float], ...] = ()
    geometry: str | None = None
    sharing: Sharing | None = None
    amount: float | None = None

    @property
    def cn(self) -> int | None:
        """Coordination number of a motif or geometry; None for other kinds."""
        return None if self.geometry is None else int(self.geometry.rpartition(":")[2])

    def without_oxidation(self) -> Self:
        """Drop the oxidation state: a species becomes an element, a motif loses its charge.

        Returns
        -------
        Token
            The token itself if it has no oxidation state.
        """
        if self.oxidation is None:
            return self
        kind: Kind = "element" if self.kind == "species" else self.kind
        return type(self)(kind, element=self.element, ligands=self.ligands, geometry=self.geometry)

    def __str__(self) -> str:
        charge = "" if self.oxidation is None else _format_charge(self.oxidation)
        match self.kind:
            case "connection":
                return f"-{self.sharing}-"
            case "geometry":
                return str(self.geometry)
            case "environment":
                return f"({_format_number(self.amount or 0)}){_format_amounts(self.ligands)}"
            case "motif":
                return f"{self.element}{charge}{_format_amounts(self.ligands)}:{self.geometry}"
            case _:
                return f"{self.element}{charge}"


def element_token(element: str) -> str:
    """Format an element token.

    Parameters
    ----------
    element : str
        Element symbol.

    Returns
    -------
    str
        The token.

    Raises
    ------
    ValueError
        If there is no such element.

    Examples
    --------
    >>> element_token("Ti")
    'Ti'
    """
    return _checked(Token("element", element=element))


def species_token(element: str, oxidation: float) -> str:
    """Format a species token.

    Parameters
    ----------
    element : str
        Element symbol.
    oxidation : float
        Oxidation state in units of e; kept to two decimals, as averaged mixed valences such as Fe2.67+ are.

    Returns
    -------
    str
        The token.

    Raises
    ------
    ValueError
        If there is no such element, or the oxidation state is not a finite number.

    Examples
    --------
    >>> species_token("Ti", 4), species_token("O", -2), species_token("Na", 1), species_token("Fe", 8 / 3)
    ('Ti4+', 'O2-', 'Na+', 'Fe2.67+')
    """
    return _checked(Token("species", element=element, oxidation=_kept(oxidation)))


def motif_token(element: str, ligands: Mapping[str, int], geometry: str, oxidation: float | None = None) -> str:
    """Format a motif token.

    Parameters
    ----------
    element : str
        Symbol of the centre.
    ligands : mapping of str to int
        How many ligands of each element.
    geometry : str
        ChemEnv symbol, such as ``"O:6"``.
    oxidation : float, optional
        Oxidation state of the centre in units of e.

    Returns
    -------
    str
        The token.

    Raises
    ------
    ValueError
        If an element is unknown, or the ligands do not add up to the coordination number of the geometry.

    Examples
    --------
    >>> motif_token("Ti", {"O": 6}, "O:6"), motif_token("Ti", {"O": 4, "F": 2}, "O:6", oxidation=4)
    ('TiO6:O:6', 'Ti4+F2O4:O:6')
    """
    parts = tuple(sorted((symbol, float(amount)) for symbol, amount in ligands.items()))
    kept = None if oxidation is None else _kept(oxidation)
    return _checked(Token("motif", element=element, oxidation=kept, ligands=parts, geometry=geometry))


def geometry_token(geometry: str) -> str:
    """Format a geometry token.

    Parameters
    ----------
    geometry : str
        ChemEnv symbol, such as ``"O:6"``.

    Returns
    -------
    str
        The token.

    Raises
    ------
    ValueError
        If it is not written as a ChemEnv symbol.

    Examples
    --------
    >>> geometry_token("TT_1:9")
    'TT_1:9'
    """
    return _checked(Token("geometry", geometry=geometry))


def connection_token(sharing: Sharing) -> str:
    """Format a connection token.

    Parameters
    ----------
    sharing : {"corner", "edge", "face"}
        What two polyhedra share.

    Returns
    -------
    str
        The token.

    Raises
    ------
    ValueError
        If `sharing` is none of the three.

    Examples
    --------
    >>> connection_token("edge")
    '-edge-'
    """
    return _checked(Token("connection", sharing=sharing))


def environment_token(amount: float, rest: Mapping[str, float]) -> str:
    """Format an environment: the rest of a formula around one of its elements [1]_.

    Parameters
    ----------
    amount : float
        Atoms of the element itself, per formula unit.
    rest : mapping of str to float
        Amounts of the other elements. All amounts are kept to a millionth.

    Returns
    -------
    str
        The token.

    Raises
    ------
    ValueError
        If an element is unknown or an amount is not positive.

    References
    ----------
    .. [1] Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018), Atom2Vec.

    Examples
    --------
    >>> environment_token(2, {"Se": 3})  # Bi in Bi2Se3
    '(2)Se3'
    """
    unknown = rest.keys() - _element_symbols()
    if unknown:
        msg = f"{min(unknown)!r} is not a chemical element"
        raise ValueError(msg)
    kept = round(amount, 6)
    parts = tuple(sorted((symbol, round(each, 6)) for symbol, each in rest.items()))
    if not all(0 < each < math.inf for each in (kept, *(each for _, each in parts))):
        msg = f"amounts must be positive numbers, got {amount} and {dict(rest)}"
        raise ValueError(msg)
    return str(Token("environment", amount=kept, ligands=parts))


def _kept(oxidation: float) -> float:
    if not math.isfinite(oxidation):
        msg = f"an oxidation state must be a finite number, got {oxidation}"
        raise ValueError(msg)
    return round(float(oxidation), 2) + 0.0


def _checked(token: Token) -> str:
    text = str(token)
    if parse_token(text) != token:
        msg = f"the parts of a {token.kind} token, {token!r}, would read as something else: {parse_token(text)!r}"
        raise ValueError(msg)
    return text


@lru_cache(maxsize=65536)
def parse_token(text: str) -> Token:
    """Read a token; the inverse of ``str``.

    Parameters
    ----------
    text : str
        A token in canonical form: what ``str(token)`` would write.

    Returns
    -------
    Token
        Its parts.

    Raises
    ------
    ValueError
        If it is no token, names an unknown element, or is not in canonical form (``Na1+`` for ``Na+``).

    Examples
    --------
    >>> parse_token("Fe2.67+").oxidation, parse_token("-face-").sharing, parse_token("T:4").kind
    (2.67, 'face', 'geometry')
    >>> parse_token("Xx2+")
    Traceback (most recent call last):
        ...
    ValueError: 'Xx2+': 'Xx' is not a chemical element
    """
    matches = ((kind, pattern.fullmatch(text)) for kind, pattern in _PATTERNS.items())
    kind, match = next((found for found in matches if found[1]), ("element", None))
    if match is None:
        msg = f"{text!r} is no token: wanted an element Ti, species Ti4+, motif TiO6:O:6, geometry O:6 or link -corner-"
        raise ValueError(msg)
    parts = match.groupdict()
    ligands = _parse_amounts(parts.get("ligands") or "")
    for symbol in filter(None, (parts.get("element"), *(symbol for symbol, _ in ligands))):
        if symbol not in _element_symbols():
            msg = f"{text!r}: {symbol!r} is not a chemical element"
            raise ValueError(msg)
    if kind == "motif" and sum(amount for _, amount in ligands) != int(parts["cn"]):
        msg = f"{text!r}: {_format_amounts(ligands)} is not {parts['cn']} ligands"
        raise ValueError(msg)
    oxidation = None
    if parts.get("sign"):
        oxidation = float(parts["charge"] or 1) * (-1 if parts["sign"] == "-" else 1) + 0.0
    token = Token(
        kind,
        element=parts.get("element"),
        oxidation=oxidation,
        ligands=ligands,
        geometry=parts.get("geometry"),
        sharing=parts.get("sharing"),  # type: ignore[arg-type]
        amount=None if parts.get("amount") is None else float(parts["amount"]),
    )
    names = [symbol for symbol, _ in ligands]
    if (
        str(token) != text
        or names != sorted(set(names))
        or any(amount <= 0 for _, amount in ligands)
        or token.amount == 0
    ):
        wanted = canonical_spelling(text)
        hint = "" if wanted == text else f"; write {wanted}"
        msg = f"{text!r} is not in canonical form (element symbols sorted and once each, no needless 1, no zero){hint}"
        raise ValueError(msg)
    return token


def canonical_spelling(text: str) -> str:
    """Spell an element, a species or a motif as its token does.

    Parameters
    ----------
    text : str
        Such as "na", the atomic number "11", "Fe+3", "Fe³⁺" or a motif whose ligands are in another order.

    Returns
    -------
    str
        The token, or the text as it came where it is none of these; it may name no element.

    Examples
    --------
    >>> [canonical_spelling(text) for text in ("na", "11", "Fe+3", "Fe³⁺", "CuSe2O4:O:6")]
    ['Na', 'Na', 'Fe3+', 'Fe3+', 'CuO4Se2:O:6']
    """
    plain = text.translate(_SUPERSCRIPTS)
    if len(plain) > _LONGEST:
        return text
    if plain.isdecimal() and 0 < int(plain) < len(SYMBOLS):
        return SYMBOLS[int(plain)]
    if match := _LOOSE_SPECIES.fullmatch(plain):
        symbol, size, sign = match["element"].capitalize(), match["before"] or match["after"], match["sign"]
        charge = None if sign is None else float(f"{sign}{size or 1}")
        return str(Token("element" if charge is None else "species", element=symbol, oxidation=charge))
    if match := _PATTERNS["motif"].fullmatch(plain):
        amounts: Counter[str] = Counter()
        for symbol, amount in _parse_amounts(match["ligands"]):
            amounts[symbol] += int(amount)
        charge = float(f"{match['sign']}{match['charge'] or 1}") if match["sign"] else None
        ligands = tuple(sorted((symbol, float(amount)) for symbol, amount in amounts.items() if amount))
        if not ligands:
            return text
        return str(Token("motif", match["element"], charge, ligands, match["geometry"]))
    return text


def kind_of(text: str) -> Kind | None:
    """Tell the kind of a token.

    Parameters
    ----------
    text : str
        A token.

    Returns
    -------
    {"element", "species", "motif", "geometry", "connection", "environment"} or None
        None for a word outside the grammar, such as one of a table trained on text.

    Examples
    --------
    >>> [kind_of(token) for token in ("O", "O2-", "O:6", "TiO6:O:6", "perovskite")]
    ['element', 'species', 'geometry', 'motif', None]
    """
    try:
        return parse_token(text).kind
    except ValueError:
        return None
