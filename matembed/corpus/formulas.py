"""What does a written formula mean? A strict reading: what was changed is reported, what is doubtful is refused."""

import math
import re
import unicodedata
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from numbers import Real

from pymatgen.core.composition import Composition
from pymatgen.core.ion import Ion
from pymatgen.core.periodic_table import DummySpecies, Element, Species

__all__ = ["ELECTRONEGATIVITIES", "FormulaError", "ParsedFormula", "amounts_of", "parse_formula", "reduced_formulas"]

_MAX_LENGTH = 1_000
_MAX_DEPTH = 20
_MIN_AMOUNT = 10 * Composition.amount_tolerance  # pymatgen takes amounts up to its tolerance, 1e-8, for zero
_MAX_AMOUNT = 1e6
_PARTS = 10**8  # that amounts are counted in, where fractions are made whole

with warnings.catch_warnings():
    # pymatgen warns once for each element without a value, and keeps the values: ask here, and no user sees it.
    warnings.simplefilter("ignore", UserWarning)
    ELECTRONEGATIVITIES: dict[str, float] = {element.symbol: element.X for element in Element}
"""Pauling electronegativity by element symbol, dimensionless; nan where there is none (He, Ne, Ar, Rf and beyond)."""

_ISOTOPES = {"D": "H", "T": "H"}
_MISWRITTEN = frozenset(symbol for symbol in ELECTRONEGATIVITIES if len(symbol) == 2 and symbol[0] == "T")  # TIO2
_SYMBOLS = frozenset(ELECTRONEGATIVITIES)
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_AMOUNT = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:[1-9][0-9]{0,5}(?:\.[0-9]+)?|0\.[0-9]+)?)+")
_SYMBOL_AND_NUMBER = re.compile(r"([A-Z][a-z]?)([0-9.]*)")
_BRACKETED = re.compile(r"[A-Za-z0-9()\[\]{}]+")
_PIECE = re.compile(
    rf"(?P<symbol>[A-Z][a-z]?)(?P<number>{_NUMBER})?|(?P<open>[(\[{{])|(?P<close>[)\]}}])(?P<factor>{_NUMBER})?"
)
_ANY_SYMBOL = re.compile("|".join(sorted(_SYMBOLS, key=lambda symbol: (-len(symbol), symbol))))

_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_FRACTIONS = {"½": "0.5", "¼": "0.25", "¾": "0.75"}
_DASHES = frozenset("‐‑‒–—−﹣－")
_SEPARATORS = frozenset("·•∙⋅‧・･·*＊")
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_CLOSES = {"(": ")", "[": "]", "{": "}"}

_WATER = re.compile(r"(?<=[A-Za-z)\]}])(?P<run>[0-9]*(?:\.[0-9]+)+)(?P<water>[HD]2O|\([HD]2O\))$")
_MOLECULES = ("NH3", "ND3", "CH3OH", "C2H5OH")
_ROMAN = re.compile(r"\((?!VI\)[0-9]+$)(?:I{1,3}|IV|VI{0,3})\)|II(?![a-z])")
_VARIABLE = re.compile(r"(?<![A-Za-z])[mnwxyzδΔεₓ](?![A-Za-z])")
_PLACEHOLDER = re.compile("Nn|Ww|Yy")  # rather than an element and a variable amount
_MISSING = frozenset({"nan", "none", "null", "na", "n/a", "<na>"})
_HINTS = {
    "+": "a sign inside a formula; write a charge at the end, as in SO4^2-, leave oxidation states out",
    "-": "a hyphen inside a formula; write · between the parts of an adduct, and a charge at the end, as in SO4^2-",
    ",": "a comma; write a decimal point (Fe0.5Ni0.5), and give each of several elements on a site its amount",
    "/": "a slash; write a decimal number for a fraction (0.5), and · between the parts of an adduct",
    "^": "a superscript that is no charge at the end (such as ^2-); leave mass numbers out",
    ".": "a dot that is no decimal point; write · between the parts of an adduct",
}
_HINTS |= dict.fromkeys("_<>$\\", "mark-up that is not understood; write Fe2O3, Fe_2O_3 or Fe<sub>2</sub>O<sub>3</sub>")


class FormulaError(ValueError):
    """A formula that cannot be read, or could be read in more than one way."""


@dataclass(frozen=True, slots=True)
class ParsedFormula:
    """A formula that was read.

    Attributes
    ----------
    composition : pymatgen Composition
        Elements (never species, isotopes or dummies) with their amounts as written.
    formula : str
        Canonical form: pymatgen's reduced formula, elements by electronegativity. Integer amounts are divided
        by their greatest common divisor, except that H2, N2, O2, F2, Cl2 and the peroxides H2O2, Li2O2, Na2O2,
        K2O2, Rb2O2, Cs2O2 stay whole. A formula with a fractional amount keeps all its amounts, to 8 decimals and
        never with an exponent.
    rewrites : tuple of str
        What was changed in reading, a short phrase each; empty if the formula was read as it stands.
    charge : float
        Of an ion with the amounts as written, in units of e: -2 of ``SO4^2-``, -4 of ``2 SO4^2-``; else 0.
    """

    composition: Composition
    formula: str
    rewrites: tuple[str, ...] = ()
    charge: float = 0.0


def parse_formula(text: object) -> ParsedFormula:
    """Read a formula strictly.

    Brackets of three kinds, decimal amounts, adducts and hydrates, leading coefficients, charges at the end,
    Unicode and mark-up subscripts are understood. Everything changed on the way is listed in ``rewrites``:
    white space removed, a charge dropped, D and T read as H, a dot read as a separator. A text with two sensible
    readings is refused, not guessed at.

    Parameters
    ----------
    text : str or pymatgen Composition
        One formula, of at most 1,000 characters.

    Returns
    -------
    ParsedFormula
        Composition, canonical formula, rewrites and charge.

    Raises
    ------
    FormulaError
        If the formula is missing, not text, unreadable, ambiguous or of variable composition, names something that
        is no element, or an amount is not between 1e-7 and 1,000,000. The message says what to write instead.

    See Also
    --------
    amounts_of : Only the amounts, several times faster.

    Notes
    -----
    In ``CuSO4.5H2O`` a dot between digits may be a decimal point or a separator. It is a separator where nH2O or
    nD2O follows to the end, n is an integer, the number before the dot is an integer of at least 2, and no other
    amount is decimal. Of two dots before water the first is the separator (``CaSO4.0.5H2O`` is CaSO4 with half a
    water). Hence ``Na0.5H2O`` has half a sodium (there is no ``Na0``), and ``Ca1.5H2O`` is refused, since nobody
    writes the 1 of ``Ca1``. Elsewhere a dot between digits is a decimal point, and one before a capital letter or
    bracket a separator; ``Al2O3.2SiO2``, where it could be both, is refused. ``·`` and ``*`` are always separators.

    A single digit before a sign is the charge of a lone element or of a bracketed ion (``Fe3+``, ``[Fe(CN)6]3-``)
    and else the last amount (``NH4+``, ``NO3-``); ``SO42-`` and ``VO2+`` could be both and are refused.

    Examples
    --------
    >>> parse_formula("Sr2Ti2O6").formula
    'SrTiO3'
    >>> hydrate = parse_formula("CuSO4.5H2O")
    >>> hydrate.composition["H"], hydrate.composition["O"], hydrate.rewrites
    (10.0, 9.0, ('. read as a separator of adducts: CuSO4 + 5 H2O',))
    >>> parse_formula("2 SO4^2-").charge
    -4.0
    >>> parse_formula("YBa2Cu3O7-x")
    Traceback (most recent call last):
        ...
    matembed.corpus.formulas.FormulaError: 'YBa2Cu3O7-x': variable amount 'x'; give a number
    """
    rewrites: list[str] = []
    amounts, charge = _read(text, rewrites)
    composition = Composition(amounts)
    return ParsedFormula(composition, _reduced(composition), tuple(rewrites), charge)


def amounts_of(text: object) -> dict[str, float]:
    """Read the amounts of a formula, as strictly as `parse_formula` and without its report.

    Parameters
    ----------
    text : str or pymatgen Composition
        One formula.

    Returns
    -------
    dict of str to float
        Amount by element symbol, in order of appearance; not reduced.

    Raises
    ------
    FormulaError
        Where `parse_formula` does.

    Examples
    --------
    >>> amounts_of("Sr2Ti2O6"), amounts_of("CH3CH2OH")
    ({'Sr': 2.0, 'Ti': 2.0, 'O': 6.0}, {'C': 2.0, 'H': 6.0, 'O': 1.0})
    """
    return _read(text, [])[0]


def reduced_formulas(formulas: Collection[str]) -> frozenset[str]:
    """Write formulas as pymatgen reduces them, so that any spelling is found among those of corpora and tables.

    Fractions are written as they are, and as the smallest whole numbers in the same proportions.

    Parameters
    ----------
    formulas : collection of str
        Formulas in any spelling.

    Returns
    -------
    frozenset of str
        Reduced formulas.

    Raises
    ------
    TypeError
        If it is a single text.
    FormulaError
        If a formula cannot be read.

    Examples
    --------
    >>> sorted(reduced_formulas(["Sr2Ti2O6", "ClNa", "Al0.5Ga0.5As"]))
    ['Al0.5Ga0.5As1', 'AlGaAs2', 'NaCl', 'SrTiO3']
    """
    if isinstance(formulas, str):
        msg = f"wanted a list of formulas, got the text {formulas!r}; pass [{formulas!r}] for one"
        raise TypeError(msg)
    return frozenset(spelling for formula in formulas for spelling in _spellings(amounts_of(formula)))


def _spellings(amounts: dict[str, float]) -> Iterator[str]:
    """Write the reduced formula, and where amounts are fractions also that of whole numbers."""
    yield _reduced(Composition(amounts))
    if any(amount != round(amount) for amount in amounts.values()):
        whole = {symbol: round(amount * _PARTS) for symbol, amount in amounts.items()}
        divisor = math.gcd(*whole.values())
        yield _reduced(Composition({symbol: amount // divisor for symbol, amount in whole.items()}))


def _reduced(composition: Composition) -> str:
    formula = composition.reduced_formula
    if "e-" in formula:
        formula = re.sub(r"[0-9.]+e-[0-9]+", lambda match: f"{float(match[0]):.8f}".rstrip("0"), formula)
    return str(formula)


def _read(text: object, rewrites: list[str]) -> tuple[dict[str, float], float]:
    """Read amounts and charge."""
    if isinstance(text, str):
        amounts = _read_plain(text)
        if amounts is not None:
            return amounts, 0.0
    if _is_missing(text):
        msg = (
            "missing formula (if it was sodium nitride: pandas reads NaN as missing, so read the file with "
            "keep_default_na=False and pass the text 'NaN')"
        )
        raise FormulaError(msg)
    if not isinstance(text, str | Composition):
        more = f" {text}" if isinstance(text, Real) else "; pass its .composition" * hasattr(text, "composition")
        msg = f"a formula is a str or a pymatgen Composition, got {type(text).__name__}{more}"
        raise FormulaError(msg)
    try:
        if isinstance(text, str):
            amounts, charge = _read_text(text, rewrites)
            return _within_limits(amounts), charge
        return _within_limits(_read_composition(text, rewrites)), float(text.charge) if isinstance(text, Ion) else 0.0
    except FormulaError as error:
        shown = repr(text if isinstance(text, str) else " ".join(f"{part}{text[part]:g}" for part in text))
        msg = f"{shown if len(shown) <= 80 else shown[:77] + '...'}: {error}"
        raise FormulaError(msg) from None


def _read_plain(text: str) -> dict[str, float] | None:
    """Read symbols and amounts that need no thought, such as Fe2O3 and Fe0.5Ni0.5; None for all other texts."""
    if len(text) > _MAX_LENGTH or _PLAIN.fullmatch(text) is None:
        return None
    pairs = _SYMBOL_AND_NUMBER.findall(text)
    amounts = {symbol: float(number) if number else 1.0 for symbol, number in pairs}
    if len(amounts) < len(pairs) or not _SYMBOLS.issuperset(amounts) or "OAc" in text:
        return None
    if "." in text and (min(amounts.values()) < _MIN_AMOUNT or text.endswith(("H2O", "NH3"))):
        return None
    return amounts


def _is_missing(text: object) -> bool:
    if isinstance(text, str):
        return not text.strip()
    if isinstance(text, Real):
        return text != text
    return text is None or type(text).__name__ in {"NAType", "NaTType"}


def _within_limits(amounts: dict[str, float]) -> dict[str, float]:
    for symbol, amount in amounts.items():
        if not _MIN_AMOUNT <= amount <= _MAX_AMOUNT:
            msg = f"{amount:g} atoms of {symbol}; an amount lies between {_MIN_AMOUNT:g} and {_MAX_AMOUNT:,.0f}"
            raise FormulaError(msg)
    return amounts


def _read_composition(composition: Composition, rewrites: list[str]) -> dict[str, float]:
    amounts: dict[str, float] = {}
    if not composition:
        msg = "empty composition; a formula needs at least one element"
        raise FormulaError(msg)
    for part, amount in composition.items():
        if isinstance(part, DummySpecies):
            msg = f"{part.symbol!r} is not a chemical element; use real elements"
            raise FormulaError(msg)
        if isinstance(part, Species):
            _report(rewrites, "oxidation states dropped")
        name = part.element.name if isinstance(part, Species) else part.name
        if name in _ISOTOPES:
            _report(rewrites, f"{name} read as H")
        amounts[part.symbol] = amounts.get(part.symbol, 0.0) + float(amount)
    return amounts


def _read_text(text: str, rewrites: list[str]) -> tuple[dict[str, float], float]:
    if len(text) > _MAX_LENGTH:
        msg = f"{len(text):,} characters; a formula has at most {_MAX_LENGTH:,}"
        raise FormulaError(msg)
    if text.strip() == "NaT":
        msg = "looks like a missing value of pandas; write NaH for sodium tritide"
        raise FormulaError(msg)
    if _BRACKETED.fullmatch(text) and not text[0].isdigit():
        return _read_groups(text, rewrites), 0.0
    plain = _read_characters(text, rewrites)
    if any(char.isspace() for char in text):
        rewrites.append("white space removed")
    joined = [_join(part) for part in re.sub(r"\s+\.\s*|\.\s+", "·", plain).split("·")]
    parts = [piece for part in joined for piece in _split_at_dots(part)]
    if not all(parts):
        msg = "a separator of adducts with nothing before or after it; remove it, or write the missing part"
        raise FormulaError(msg)
    amounts: dict[str, float] = {}
    total = 0.0
    shown = []
    for part in parts:
        neutral, charge = _split_charge(part, rewrites)
        coefficient, body = _split_coefficient(neutral)
        total += charge * _amount(coefficient)
        shown.append(f"{coefficient} {body}".strip())
        for symbol, amount in _read_groups(body, rewrites).items():
            amounts[symbol] = amounts.get(symbol, 0.0) + amount * _amount(coefficient)
    if len(parts) > 1:
        signs = dict.fromkeys(char for char in text if char in _SEPARATORS)
        separators = " and ".join([*signs, *["."] * (len(parts) - 1 > sum(char in _SEPARATORS for char in text))])
        rewrites.append(f"{separators} read as a separator of adducts: {' + '.join(shown)}")
    elif coefficient:
        rewrites.append(f"leading {coefficient} read as a multiplier: {shown[0]}")
    return amounts, total


def _report(rewrites: list[str], phrase: str) -> None:
    if phrase not in rewrites:
        rewrites.append(phrase)


def _read_characters(text: str, rewrites: list[str]) -> str:
    """Write a formula with plain letters, ``·`` for separators and ``^`` for superscripts."""
    chars: list[str] = []
    kinds: list[str] = []
    for char in _read_markup(text, rewrites):
        kind, plain = "", char
        if char in _INVISIBLE:
            _report(rewrites, "zero-width characters removed")
            continue
        if char in _SUBSCRIPTS:
            kind, plain = "subscript", _SUBSCRIPTS[char]
            _report(rewrites, f"subscript {char} read as {plain}")
        elif char in _SUPERSCRIPTS:
            kind, plain = "superscript", _SUPERSCRIPTS[char]
        elif char in _FRACTIONS:
            kind, plain = "fraction", _FRACTIONS[char]
            _report(rewrites, f"{char} read as {plain}")
        elif char in _SEPARATORS:
            plain = "·"
        elif char in _DASHES:
            plain = "-"
            _report(rewrites, f"{char} read as a minus sign")
        elif "！" <= char <= "～":
            plain = chr(ord(char) - 0xFEE0)
            _report(rewrites, "full-width characters read as plain ones")
        before = kinds[-1] if kinds else ""
        if kind == "superscript" and before != "superscript":
            chars.append("^")
        elif kind != before and plain[0].isdigit() and chars and chars[-1][-1].isdigit():
            chars.append(" ")
        chars.append(plain)
        kinds.append(kind)
    return "".join(chars)


def _read_markup(text: str, rewrites: list[str]) -> str:
    """Take the mark-up of HTML and LaTeX away; a space keeps a subscript apart from a digit beside it."""

    def set_apart(match: re.Match[str]) -> str:
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        return " " * before.isdigit() + match[match.lastindex or 0] + " " * after.isdigit()

    bare = text.replace("$", "")
    bare = re.sub(rf"<(?:sub|inf)>\s*({_NUMBER})\s*</(?:sub|inf)>", set_apart, bare, flags=re.IGNORECASE)
    bare = re.sub(rf"_\{{({_NUMBER})\}}|_({_NUMBER})", set_apart, bare)
    bare = re.sub(r"<sup>\s*([^<>]*?)\s*</sup>", r"^\1", bare, flags=re.IGNORECASE)
    bare = re.sub(r"\^\{([^{}]*)\}", r"^\1", bare)
    if bare != text:
        rewrites.append("mark-up of subscripts and superscripts removed")
    return bare


def _join(part: str) -> str:
    """Remove white space that parts nothing."""
    marked = re.sub(r"\s+\^?([0-9]?[+-]+)$", r"^\1", part.strip())
    doubtful = re.search(r"[0-9]\s+[0-9.]", marked)
    if doubtful:
        msg = f"numbers apart in {doubtful[0]!r}; write · between the parts of an adduct, or remove the space"
        raise FormulaError(msg)
    if re.search(r"\s[a-z]", marked):
        msg = "a space before a small letter; write the formula alone, and · between the parts of an adduct"
        raise FormulaError(msg)
    return "".join(marked.split())


def _split_at_dots(part: str) -> list[str]:
    """Tell the dots that separate adducts from decimal points."""
    if "." not in part:
        return [part]
    if part.startswith(".") or part.endswith(".") or ".." in part:
        msg = "a dot at the start, at the end or doubled; write 0.5 for .5, and · between the parts of an adduct"
        raise FormulaError(msg)
    pieces = re.sub(r"\.(?=[A-Z(\[{])", "·", part).split("·")
    water = _WATER.search(pieces[-1])
    if water:
        pieces[-1:] = _split_at_water(pieces[-1][: water.start()], water["run"], water["water"])
    for piece in pieces:
        _check_decimals(piece, separated=len(pieces) > 1)
    return pieces


def _split_at_water(head: str, run: str, water: str) -> list[str]:
    """Split such as CuSO, 4.5, H2O into CuSO4 and 5H2O."""
    numbers = run.split(".")
    if len(numbers) == 2 and numbers[0] == "0":
        return [head + run + water]
    readings = []
    for idx in range(1, len(numbers)):
        before, after = ".".join(numbers[:idx]), ".".join(numbers[idx:])
        if (before == "" or _is_amount(before)) and _is_amount(after):
            readings.append([head + before, after + water])
    decimal_elsewhere = len(numbers) == 2 and numbers[0] != "" and "." in head
    if not readings or decimal_elsewhere or (numbers[0] == "1" and (len(numbers) == 2 or len(readings) == 2)):
        msg = (
            f"{run!r} before {water} may be one number or two; write · between the parts of an adduct (CuSO4·5H2O), "
            "or put the water first if it is a decimal number"
        )
        raise FormulaError(msg)
    return readings[0]


def _check_decimals(piece: str, *, separated: bool) -> None:
    """Refuse dots between digits that may be separators."""
    for match in re.finditer(r"[0-9]*(?:\.[0-9]+)+", piece):
        number = match[0]
        before, *after = number.split(".")
        if before == "" or len(after) > 1:
            msg = f"{number!r} is no number; write 0.5 for .5, and · between the parts of an adduct"
            raise FormulaError(msg)
        if match.start() == 0 or int(before) < 2:
            continue
        head, tail = piece[: match.start()], piece[match.end() :]
        shared = set(_ANY_SYMBOL.findall(head)) & set(_ANY_SYMBOL.findall(tail))
        multiplies = re.fullmatch(r"[2-9]|[1-9][0-9]", after[0]) is not None
        if multiplies and (separated or shared or tail in _MOLECULES):
            msg = (
                f"{number!r} may be a decimal number, or {before} and then {after[0]} times what follows; "
                "write · between the parts of an adduct, or each element only once"
            )
            raise FormulaError(msg)


def _split_charge(part: str, rewrites: list[str]) -> tuple[str, int]:
    """Take the charge at the end of an ion from it."""
    match = re.search(r"\^(?:(?P<size>[1-9]?[0-9]?)(?P<signs>[+-]{1,3})|(?P<sign>[+-])(?P<number>[1-9][0-9]?))$", part)
    if match:
        body, size = part[: match.start()], match["size"] or ""
    else:
        match = re.search(r"(?P<size>[0-9.]*)(?P<signs>[+-]{1,3})$|(?P<sign>[+-])(?P<number>[1-9])$", part)
        if not match:
            return part, 0
        body = part[: match.start()]
        whole = body in _SYMBOLS or body in _ISOTOPES or _is_one_group(body)
        size = match["size"] or ""
        if match["number"] and not whole:
            msg = f"{match[0]!r} at the end; write a charge as in SO4^2-, and leave sample numbers out"
            raise FormulaError(msg)
        if size and not (whole and len(size) == 1 and len(match["signs"]) == 1):
            double = len(size) > 1 and "." not in size
            titanyl = size in ("2", "3") and "+" in match["signs"]
            if double or titanyl or whole or body.endswith((")", "]", "}")):
                msg = f"{match[0]!r} may be an amount and a charge, or a charge alone; write the charge as in SO4^2-"
                raise FormulaError(msg)
            body += size
            size = ""
    signs = match["signs"] or match["sign"]
    number = match["number"] or size
    rewrites.append(f"charge {number}{signs} dropped")
    return body, int(number or 1) * (signs.count("+") - signs.count("-"))


def _is_one_group(body: str) -> bool:
    """Tell whether the first bracket closes at the very end."""
    if body[:1] not in _CLOSES:
        return False
    depth = 0
    for idx, char in enumerate(body):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return idx == len(body) - 1
    return False


def _split_coefficient(part: str) -> tuple[str, str]:
    match = re.match(_NUMBER, part)
    coefficient = match[0] if match else ""
    body = part[len(coefficient) :]
    if not body:
        msg = "no element; write symbols such as Fe2O3"
        raise FormulaError(msg)
    return coefficient, body


def _is_amount(number: str) -> bool:
    return re.fullmatch(_AMOUNT, number) is not None and float(number) > 0


def _amount(number: str | None) -> float:
    if not number:
        return 1.0
    if number[0] == "0" and number[1:2].isdigit():
        msg = f"{number!r} begins with a zero; write the number without it, or the letter O if oxygen was meant"
        raise FormulaError(msg)
    amount = float(number)
    if not _MIN_AMOUNT <= amount <= _MAX_AMOUNT:
        msg = f"an amount of {number:.20}; an amount lies between {_MIN_AMOUNT:g} and {_MAX_AMOUNT:,.0f}"
        raise FormulaError(msg)
    return amount


def _read_groups(body: str, rewrites: list[str]) -> dict[str, float]:
    """Add up symbols, amounts and brackets."""
    roman = _ROMAN.search(body)
    if roman:
        msg = f"{roman[0]!r} reads as a Roman numeral; leave oxidation states out, or write I2 for two iodine atoms"
        raise FormulaError(msg)
    if "OAc" in body:
        msg = "'OAc' is acetate or actinium; write C2H3O2 for acetate, or put Ac before O"
        raise FormulaError(msg)
    alien = re.search(r"[^A-Za-z0-9.()\[\]{}]", body)
    if alien:
        raise FormulaError(_explain(body, alien.start()))
    groups: list[dict[str, float]] = [{}]
    opened: list[str] = []
    at = 0
    while at < len(body):
        match = _PIECE.match(body, at)
        if match is None:
            raise FormulaError(_explain(body, at))
        if match["open"]:
            opened.append(match["open"])
            groups.append({})
            if len(opened) > _MAX_DEPTH:
                msg = f"brackets nested deeper than {_MAX_DEPTH}"
                raise FormulaError(msg)
        elif match["close"]:
            if not opened or _CLOSES[opened.pop()] != match["close"] or not groups[-1]:
                msg = f"{match['close']!r} closes no bracket of its kind, or an empty one"
                raise FormulaError(msg)
            factor = _amount(match["factor"])
            for symbol, amount in groups.pop().items():
                groups[-1][symbol] = groups[-1].get(symbol, 0.0) + amount * factor
        else:
            symbol = match["symbol"]
            if symbol in _ISOTOPES:
                if symbol + body[match.end("symbol") : match.end("symbol") + 1].lower() in _MISWRITTEN:
                    raise FormulaError(_explain(body, at))
                _report(rewrites, f"{symbol} read as H")
                symbol = _ISOTOPES[symbol]
            elif symbol not in _SYMBOLS:
                raise FormulaError(_explain(body, at))
            groups[-1][symbol] = groups[-1].get(symbol, 0.0) + _amount(match["number"])
        at = match.end()
    if opened:
        msg = f"{opened[-1]!r} is never closed"
        raise FormulaError(msg)
    return groups[0]


def _explain(body: str, at: int) -> str:
    """Say why a formula cannot be read on from a position, and what to write instead."""
    if body.lower() in _MISSING:
        return "looks like a missing value; sodium nitride is written NaN"
    if re.match(r"[^\W\dA-Z]-", body):
        return f"a label of the phase, {body[:2]!r}; write the formula alone"
    state = re.search(r"\((?:s|l|g|aq|cr|am)\)$", body)
    if state:
        return f"a label of the state, {state[0]!r}; write the formula alone"
    placeholder = _PLACEHOLDER.search(body)
    if placeholder:
        return f"{placeholder[0]!r} is not a chemical element"
    variable = _VARIABLE.search(_ANY_SYMBOL.sub(" ", body))
    if variable:
        return f"variable amount {variable[0]!r}; give a number"
    if re.match(r"[0-9]e[0-9]", body[max(at - 1, 0) :]):
        return "a number with an exponent; write it out, 1000 for 1e3"
    char = body[at]
    if char in _HINTS:
        return _HINTS[char]
    if not char.isascii():
        name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
        return f"{char!r} ({name}) has no meaning in a formula; write plain letters, digits and brackets"
    likely = list(islice(_recased(body), 2)) if len(body) <= 15 else []
    hint = f"; did you mean {likely[0]}?" if len(likely) == 1 else ""
    word = re.match(r"[a-z]+", body[at:])
    if word:
        return f"{word[0]!r} is no element; symbols begin with a capital letter{hint}"
    symbol = re.match(r"[A-Z][a-z]?", body[at:])
    if symbol:
        return f"{symbol[0]!r} is not a chemical element{hint}"
    if char.isdigit():
        return "a number where an element should stand; write · before the number of an adduct"
    return f"{char!r} has no meaning in a formula"


def _recased(text: str) -> Iterator[str]:
    """Yield the formulas that differ from a text only in capital letters."""
    number = re.match(r"[0-9]*", text)
    digits = number[0] if number else ""
    rest = text[len(digits) :]
    if not rest:
        yield digits
    for length in (1, 2):
        symbol = rest[:length].capitalize()
        if len(symbol) == length and symbol in _SYMBOLS:
            yield from (digits + symbol + more for more in _recased(rest[length:]))
