"""Tables with a caption and headers on both sides, which scroll where they are too wide."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.report.markup import Content, Markup, element, join


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: Content
    numbers: bool = False
    """Whether it holds numbers, which stand below each other."""


def table(
    caption: Content, columns: Sequence[Column], rows: Sequence[Sequence[Content]], name: str
) -> Markup:
    """Make a table.

    Args:
        caption: What it shows and in which units.
        columns: The first holds what each row is about.
        rows: As long as there are columns.
        name: For screen readers, of the part of the page that scrolls.

    Raises:
        ValueError: If a row is of another length.
    """
    head = element("tr", *(_header(column) for column in columns))
    body = [_row(columns, row) for row in rows]
    made = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    # Reached by the keyboard, as what scrolls has to be.
    return element("div", made, class_="scrolls", role="region", aria_label=name, tabindex=0)


def _header(column: Column) -> Markup:
    return element("th", column.title, scope="col", class_="number" if column.numbers else None)


def _row(columns: Sequence[Column], row: Sequence[Content]) -> Markup:
    cells = [
        element("td", content, class_="number" if column.numbers else None)
        for column, content in zip(columns[1:], row[1:], strict=True)
    ]
    return element("tr", element("th", row[0], scope="row"), *cells)


def lines(*contents: Content) -> Markup:
    """Put contents below each other in a cell."""
    return join(*(element("div", content) for content in contents))
