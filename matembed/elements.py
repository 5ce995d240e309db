"""The chemical elements, by atomic number."""

__all__ = ["ATOMIC_NUMBERS", "SYMBOLS"]

# SYMBOLS[Z] is the symbol of atomic number Z; there is none for 0.
SYMBOLS: tuple[str, ...] = (
    "",
    *("H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr".split()),
    *("Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu".split()),
    *("Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr".split()),
    *("Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og".split()),
)
# Deuterium and tritium are hydrogen.
ATOMIC_NUMBERS: dict[str, int] = {symbol: number for number, symbol in enumerate(SYMBOLS) if number} | {"D": 1, "T": 1}
