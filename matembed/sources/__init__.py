"""Where formulas and structures come from: files, tables, Python objects, prototype crystals."""

from matembed.sources.files import read_rows, read_structures
from matembed.sources.prototypes import PROTOTYPES_CARD, read_prototypes
from matembed.sources.rows import FormulaRow, Row, Rows, SourceKind, StructureRow, UnreadableRow, shortened
from matembed.sources.tables import read_formulas, read_properties

__all__ = [
    "PROTOTYPES_CARD",
    "FormulaRow",
    "Row",
    "Rows",
    "SourceKind",
    "StructureRow",
    "UnreadableRow",
    "read_formulas",
    "read_properties",
    "read_prototypes",
    "read_rows",
    "read_structures",
    "shortened",
]
