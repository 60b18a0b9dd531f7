"""Extraction of messages from the page's templates and scripts, and checks of the catalogues."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from web.translations.catalogue import FOLDER

_SOURCES = FOLDER.parent
_METHODS = [
    ("templates/**.html.jinja", "jinja2.ext:babel_extract"),
    ("static/js/**.js", "javascript"),
]
_OPTIONS = {"templates/**.html.jinja": {"trimmed": "true", "silent": "false"}}
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettextLater": None,
    "gettextNodes": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
_WIDTH = 100

_TAG = re.compile(r"<[^>]*>")
_PLACEHOLDER = re.compile(r"\{\w+\}")
_MARKUP_CHARACTERS = re.compile(r"[<>&\"]")


@cache
def extractions() -> list[tuple[str, str | tuple[str, ...], str | None]]:
    """Return the file, the message and the context of every text of the page."""
    found = extract_from_dir(_SOURCES, _METHODS, _OPTIONS, _KEYWORDS)
    return [
        (f"web/{Path(path).as_posix()}", message, context) for path, _, message, _, context in found
    ]


@cache
def extracted_messages() -> Catalog:
    """Return all messages of the page, with the files that they are in."""
    catalog = Catalog(charset="utf-8")
    for path, message, context in extractions():
        catalog.add(message, locations=[(path, 0)], context=context)
    return catalog


def updated_catalogue(language: str) -> Catalog:
    """Return the catalogue of a language with exactly the messages of the page."""
    stored = _stored_catalogue(language)
    updated = Catalog(
        locale=language.replace("-", "_"),
        header_comment=f"# The texts of Sightline's page in {_english_name(language)}.",
        project="Sightline",
        version="1",
        msgid_bugs_address="see CONTRIBUTING.md",
        last_translator="Sightline",
        language_team="Sightline",
        fuzzy=False,
        # Else each update would change them.
        creation_date=stored.creation_date,
        revision_date=stored.creation_date,
    )
    for message in sorted(extracted_messages(), key=_sort_key):
        if not message.id:
            continue
        known = stored.get(message.id, message.context)
        string = known.string if known else ""
        locations = sorted(set(message.locations))
        updated.add(message.id, string, locations=locations, context=message.context)
    return updated


def write_catalogue(language: str, catalog: Catalog) -> None:
    """Write a catalogue, in the same way every time."""
    with _path(language).open("wb") as file:
        write_po(file, catalog, width=_WIDTH, include_lineno=False, omit_header=False)


def faults_of(language: str) -> Iterator[str]:
    """Describe what is wrong with the catalogue of a language: one sentence per message."""
    stored = _stored_catalogue(language)
    wanted = {_key(message) for message in extracted_messages() if message.id}
    existing = {_key(message) for message in stored if message.id}
    for key in sorted(map(str, wanted - existing)):
        yield f"{key} is missing; run python -m web.translations"
    for key in sorted(map(str, existing - wanted)):
        yield f"{key} is not in the page any more; run python -m web.translations"
    for message in stored:
        if message.id:
            yield from (f"{_key(message)}: {fault}" for fault in _message_faults(stored, message))


def _message_faults(catalog: Catalog, message: Message) -> Iterator[str]:
    sources = [message.id] if isinstance(message.id, str) else list(message.id)
    strings = [message.string] if isinstance(message.string, str) else list(message.string or [""])
    if message.fuzzy:
        yield "the translation is marked as fuzzy"
    if isinstance(message.id, tuple) and len(strings) != catalog.num_plurals:
        yield f"{len(strings)} plural forms instead of {catalog.num_plurals}"
    if not all(strings):
        yield "there is no translation"
        return
    # The form for one may do without the number.
    expected = _parts(sources[-1])
    for index, string in enumerate(strings):
        parts = _parts(string)
        is_one = index == 0 and len(strings) > 1
        if parts != expected and not (is_one and parts == expected - {"{count}"}):
            yield f"“{string}” has other placeholders or markup"
        if not _markup_characters(string) <= _markup_characters(sources[-1]):
            yield f"“{string}” has a character of HTML outside a tag"


def _english_name(language: str) -> str:
    return str(Locale.parse(language, sep="-").english_name)


def _parts(text: str) -> set[str]:
    return {*_TAG.findall(text), *_PLACEHOLDER.findall(text)}


def _markup_characters(text: str) -> set[str]:
    return {*_MARKUP_CHARACTERS.findall(_TAG.sub("", text))}


def _key(message: Message) -> tuple[str, str]:
    return message.context or "", message.id if isinstance(message.id, str) else message.id[0]


def _sort_key(message: Message) -> tuple[str, str, str]:
    path = min((path for path, _ in message.locations), default="")
    return path, *_key(message)


def _path(language: str) -> Path:
    return FOLDER / f"{language}.po"


def _stored_catalogue(language: str) -> Catalog:
    path = _path(language)
    if not path.exists():
        return Catalog(locale=language.replace("-", "_"))
    with path.open("rb") as file:
        return read_po(file)
