"""HTML that is well-formed and safe by how it is made: text is escaped, markup is a type."""

import html
import re

_VOID = frozenset({"br", "img", "meta", "col"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
# Those that XML allows nowhere, and HTML as good as nowhere.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


class Markup(str):
    """HTML as it is sent; whatever else is a `str` is text."""

    __slots__ = ()


Content = Markup | str | int | None
"""What an element holds: nothing is left out; all but markup is escaped."""


def text(content: Content) -> Markup:
    """Escape what is no markup; a character that no page may hold becomes U+FFFD."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    return Markup(html.escape(_CONTROL.sub("\ufffd", str(content))))


def join(*contents: Content) -> Markup:
    """Put contents one after the other."""
    return Markup("".join(map(text, contents)))


def element(
    name: str, /, *contents: Content, **attributes: str | int | float | bool | None
) -> Markup:
    """Make an element.

    Args:
        name: Of the tag.
        contents: What it holds.
        attributes: By their names, with "_" for "-"; "class_" and "for_" are "class" and "for".
            One that is None or False is left out; one that is True stands without a value.

    Raises:
        ValueError: If the name is none, or an element that holds nothing is to hold something.
    """
    if not _NAME.fullmatch(name) or (name in _VOID and contents):
        raise ValueError(f"<{name}> cannot hold {len(contents)} contents")
    opened = f"<{name}{''.join(map(_attribute, attributes, attributes.values()))}>"
    if name in _VOID:
        return Markup(opened)
    return Markup(f"{opened}{join(*contents)}</{name}>")


def _attribute(name: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
