"""The catalogues: a GNU gettext PO file for each language, whose messages are in English.

`python -m web.translations` collects the messages from the page's sources.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent
ENGLISH = "en"
LANGUAGES = {
    ENGLISH: "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "zh-Hans": "简体中文",
}
"""The languages by their tags (BCP 47), each with its own name; English needs no catalogue."""

CONTEXT_SEPARATOR = "\x04"
"""Between the context of a message and its text, as in compiled catalogues of GNU gettext."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The translations into one language.

    Attributes:
        messages: The translations by message, which a context may precede.
        script_messages: Those that the page's scripts use, for JSON; a list has the plural forms.
    """

    messages: dict[str, str]
    script_messages: dict[str, str | list[str]]

    def gettext(self, message: str) -> str:
        """Return the translation of a message, or the message itself if there is none."""
        return self.messages.get(message, message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the message for a number, in English: templates state no numbers."""
        return one if count == 1 else many

    def pgettext(self, context: str, message: str) -> str:
        """Return the translation of a message that has different meanings by context."""
        return self.messages.get(context + CONTEXT_SEPARATOR + message, message)


@cache
def catalogue(language: str) -> Catalogue:
    """Read the catalogue of one of `LANGUAGES`."""
    if language == ENGLISH:
        return Catalogue({}, {})
    with (FOLDER / f"{language}.po").open("rb") as file:
        entries = read_po(file)
    messages: dict[str, str] = {}
    script_messages: dict[str, str | list[str]] = {}
    for entry in entries:
        if not entry.id or not entry.string or entry.fuzzy:
            continue
        source = entry.id if isinstance(entry.id, str) else entry.id[0]
        key = f"{entry.context}{CONTEXT_SEPARATOR}{source}" if entry.context else source
        translation = entry.string if isinstance(entry.string, str) else list(entry.string)
        if isinstance(translation, str):
            messages[key] = translation
        if any(path.endswith(".js") for path, _ in entry.locations):
            script_messages[key] = translation
    return Catalogue(messages, script_messages)
