"""The languages of the page: complete catalogues, and the right one for each request."""

import re
from collections import Counter
from pathlib import Path

import pytest

from stream.load import LoadLevel
from tests.support.servers.feed_app import serve_feeds
from web.translations import ENGLISH, LANGUAGES, catalogue
from web.translations.maintenance import extractions, faults_of

SCRIPTS = Path(__file__).parents[2] / "web" / "static" / "js"
TRANSLATED = [language for language in LANGUAGES if language != ENGLISH]
CALL = re.compile(r"\b(?:gettext|gettextLater|gettextNodes|ngettext|pgettext)\(")
START = {
    "en": "Point your camera at something.",
    "de": "Richten Sie die Kamera auf etwas.",
    "es": "Apunte la cámara hacia algo.",
    "fr": "Pointez votre caméra vers quelque chose.",
    "zh-Hans": "将摄像头对准某物。",
}


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_every_message_with_its_placeholders_markup_and_plurals(
    language: str,
) -> None:
    """`python -m web.translations` brings the catalogues up to date."""
    assert list(faults_of(language)) == []


def test_every_call_in_the_scripts_is_extracted() -> None:
    """A call within another, or without a literal, is not."""
    extracted = Counter(path for path, *_ in extractions() if path.endswith(".js"))
    calls = {
        f"web/static/js/{path.relative_to(SCRIPTS).as_posix()}": len(CALL.findall(path.read_text()))
        for path in SCRIPTS.glob("*/*.js")
        if path.name != "i18n.js"
    }
    assert extracted == {path: count for path, count in calls.items() if count}


def test_the_languages_agree_on_plural_forms_with_browsers() -> None:
    # As CLDR has them: one; one, other; one, many, other.
    forms = {
        language: {
            len(each)
            for each in catalogue(language).script_messages.values()
            if isinstance(each, list)
        }
        for language in TRANSLATED
    }
    assert forms == {"de": {2}, "es": {3}, "fr": {3}, "zh-Hans": {1}}


def test_the_page_knows_the_texts_of_load_levels() -> None:
    texts = {level.message for level in LoadLevel if level.message}
    assert len(texts) > 2
    assert texts <= catalogue("de").script_messages.keys()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT", "de"),
        ("zh-CN,zh;q=0.9", "zh-Hans"),
        ("zh-TW", "en"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("fr;q=0.5, en", "en"),
        ("en;q=0.5, fr", "fr"),
        ("pt-BR,es;q=0.4", "es"),
        ("pt-BR", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("de;q=x, *", "en"),
        ("", "en"),
    ],
)
async def test_a_page_is_in_the_best_accepted_language(accepted: str, language: str) -> None:
    async with serve_feeds(feeds={}) as client:
        async with client.get("/", headers={"Accept-Language": accepted}) as response:
            page = await response.text()
        assert START[language] in page
        assert f'<html lang="{language}"' in page
        assert response.headers["Content-Language"] == language
        assert response.headers["Vary"] == "Accept-Language, Cookie"


async def test_the_choice_of_the_user_wins() -> None:
    german = {"Accept-Language": "de"}
    async with serve_feeds(feeds={}) as client:
        cookie = {"sightline-language": "fr"}
        for path, language in (("/", "fr"), ("/?lang=es", "es"), ("/?lang=xx", "fr")):
            async with client.get(path, headers=german, cookies=cookie) as response:
                assert response.headers["Content-Language"] == language, path
        async with client.get("/?lang=es&wall", headers=german) as response:
            assert "<h1>Todos los canales</h1>" in await response.text()
        browser = {**german, "Accept": "text/html"}
        async with client.get("/nothing", headers=browser) as response:
            assert (response.status, response.headers["Content-Language"]) == (404, "de")
            assert "<h1>Seite nicht gefunden</h1>" in await response.text()
        async with client.get("/login", headers=german) as response:
            assert "<h1>Anmelden</h1>" in await response.text()
        # For developers.
        async with client.get("/api", headers=german) as response:
            assert '<html lang="en"' in await response.text()


async def test_a_browser_keeps_a_page_until_it_changes() -> None:
    async with serve_feeds(feeds={}) as client:
        async with client.get("/", headers={"Accept-Language": "de"}) as response:
            tag = response.headers["ETag"]
            assert response.headers["Cache-Control"] == "no-cache"
        known = {"If-None-Match": tag}
        async with client.get("/", headers={"Accept-Language": "de", **known}) as response:
            assert (response.status, await response.read()) == (304, b"")
            assert response.headers["ETag"] == tag
        async with client.get("/", headers={"Accept-Language": "fr", **known}) as response:
            assert response.status == 200
