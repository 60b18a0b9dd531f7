"""A small HTML parser that fails where elements are not well-formed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "img", "br"}


@dataclass
class Element:
    """An element and what it contains."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list["Element"] = field(default_factory=list)

    def everything(self) -> list["Element"]:
        """Return all elements that are in it, in document order."""
        return [each for child in self.inside for each in (child, *child.everything())]

    def all(self, name: str) -> list["Element"]:
        """Return the elements of a name that are in it, at any depth, in document order."""
        return [each for each in self.everything() if each.name == name]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        made = Element(tag, dict(attrs))
        self.open[-1].inside.append(made)
        if tag not in _VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.text += data


def read(page: str) -> Element:
    """Parse a page; fails unless each element is closed in order."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert parser.open == [parser.root], f"<{parser.open[-1].name}> is not closed"
    return parser.root


def table(page: Element, label: str) -> Element:
    """Return the table in the region of a label."""
    (region,) = (each for each in page.all("div") if each.attributes.get("aria-label") == label)
    return region.all("table")[0]


def row(page: Element, label: str, head: str) -> list[str]:
    """Return the texts of the cells in the row of a table that has a certain header."""
    rows = table(page, label).all("tr")
    found = next(each for each in rows if each.all("th")[0].text == head)
    return [cell.text.strip() for cell in found.all("td")]
