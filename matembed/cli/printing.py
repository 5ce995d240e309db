"""How commands show cards and rows to a person."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from matembed.cards import Card

__all__ = ["print_card", "print_counts", "print_frame", "print_rows"]

_ROWS_SHOWN = 10


def print_card(card: "Card") -> None:
    """Show a card without its front matter, and without what a terminal would obey."""
    page = card.to_markdown().split("---", 2)[2].strip()
    print("".join(one if one.isprintable() or one == "\n" else "�" for one in page))


def print_frame(frame: "pd.DataFrame") -> None:
    """Show numbers with four digits."""
    print(frame.to_string(float_format=lambda value: f"{value:.4g}"))


def print_counts(what: str, values: "pd.Series[str]") -> None:
    """Show the commonest values to a person."""
    counts = sorted(values.value_counts().items(), key=lambda pair: (-pair[1], pair[0]))
    more = f", and {len(counts) - _ROWS_SHOWN:,} others" if len(counts) > _ROWS_SHOWN else ""
    print(f"{what}: {', '.join(f'{n:,} {value}' for value, n in counts[:_ROWS_SHOWN])}{more}")


def print_rows(what: str, rows: "pd.DataFrame") -> None:
    """Show the first rows to a person; all of them are in a file."""
    if rows.empty:
        return
    print(f"{len(rows):,} {what}:")
    for row in rows.head(_ROWS_SHOWN).to_dict("records"):
        quoted = f"{row['input']!r}: "  # as a parser does, too
        said = str(row.get("reason", row.get("rewrites"))).removeprefix(quoted)
        print(f"  row {row['row']} ({row['id']}): {quoted}{said}")
    if len(rows) > _ROWS_SHOWN:
        print(f"  ... and {len(rows) - _ROWS_SHOWN:,} more")
