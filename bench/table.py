"""A table of figures, some of which have a bar to meet."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Table:
    """Rows of what was measured.

    Attributes:
        heads: The columns' names.
        rows: The cells, as text.
        missed: How many bars were not met.
    """

    heads: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    missed: int = 0

    def add(self, *cells: object) -> None:
        """Add a row."""
        self.rows.append(tuple(str(cell) for cell in cells))

    def judge(self, figure: float, *, at_most: float) -> str:
        """Return a figure beside its bar, and count it if it is above."""
        met = figure <= at_most
        self.missed += not met
        return f"{figure:g} (bar {at_most:g}{'' if met else ', MISSED'})"

    def render(self) -> str:
        """Return the table as Markdown."""
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        lines = [self.heads, tuple("-" * width for width in widths), *self.rows]
        return "\n".join(
            "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
            for line in lines
        )
