"""What the page says about captioners, and what it offers with those that can do less."""

import re
from dataclasses import replace

from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from inference.captioning.caption import Alternative, Caption
from inference.endpoints import EndpointCaptioner
from inference.endpoints.availability import Pauses
from inference.engine.service import EngineState
from inference.explanations.target import MethodCard, Target
from models.catalogue import CaptionerReference
from stream.settings import StreamSettings
from tests.support.captions import ScriptedCaptions, confident_caption, uncalibrated_caption
from tests.support.page.scripted_page import (
    HOST,
    SOON,
    ExplainedCaptions,
    announcements,
    cell_map,
    more_captions,
    serve_page,
    show_page,
    with_maps,
)
from tests.support.servers.fake_endpoint import error, fake_endpoint
from web.app import create_app
from web.settings.server import ServerSettings

PERCENTAGE = re.compile(r"\d+ ?(?:%|percent)")
TEXT_AND_NAMES = """() => [document.body.innerText, ...[...document.querySelectorAll('*')]
  .filter((element) => element.checkVisibility())
  .map((element) => element.getAttribute('aria-label') ?? '')].join('\\n')"""
COST = "17 requests to the endpoint"
REVISION = "82a37760796d32b1411fe092ab5d4e227313294b"


def ranked_caption() -> Caption:
    """Return a caption whose second word is ranked first, with maps."""
    caption = uncalibrated_caption("A dog runs")
    scores = (0.52, 0.9, 0.07)
    words = tuple(
        replace(word, prob=score, alternatives=(Alternative("cat", 0.04),))
        for word, score in zip(caption.words, scores, strict=True)
    )
    maps = (cell_map(0, 0, 0.5), cell_map(4, 4, 2.0), cell_map(8, 8))
    return with_maps(replace(caption, words=words), *maps)


class Uncalibrated(ExplainedCaptions):
    """A captioner whose confidence and maps nobody has measured."""

    info = replace(
        ExplainedCaptions.info,
        name="blip-image-captioning-base",
        captioner="hf:Salesforce/blip-image-captioning-base",
        revision=REVISION,
        licence="BSD-3-Clause",
        calibrated=False,
        verified=(),
        tags=False,
        hardened=False,
        concepts=False,
        analyses=("adversarial",),
    )


class Endpoint(ExplainedCaptions):
    """Captions of another server: without probabilities, and with occlusion on request."""

    info = replace(
        ExplainedCaptions.info,
        name="llava",
        captioner="endpoint:kitchen",
        encoder=None,
        vocabulary_size=None,
        beam_width=None,
        licence="",
        calibrated=False,
        verified=(),
        tags=False,
        hardened=False,
        concepts=False,
        analyses=(),
        live_method=None,
        methods=(
            MethodCard("occlusion", "Occlusion", "a paper", COST, "share", ("word",)),
            MethodCard("occlusion-fine", "Fine occlusion", "a paper", COST, "share", ("word",)),
        ),
    )


async def facts(page: Page) -> dict[str, str]:
    """Return the main facts of the captioner's card."""
    rows = await page.locator("#captioner-facts > div").all_inner_texts()
    return dict(row.split("\n")[:2] for row in rows)


async def test_an_uncalibrated_captioner_ranks_words_and_shows_no_percentage(page: Page) -> None:
    async with show_page(page, Uncalibrated(ranked_caption())):
        await expect(page.locator("#certainty")).to_have_text("Not calibrated")
        words = page.locator("#caption .word")
        assert [await word.get_attribute("aria-label") for word in await words.all()] == [
            "A, ranked 2 of 3",
            "dog, ranked 1 of 3",
            "runs, ranked 3 of 3",
        ]
        thickness = "(word) => parseFloat(getComputedStyle(word).textDecorationThickness)"
        second, first, third = [await word.evaluate(thickness) for word in await words.all()]
        assert first > second > third
        # The legend gives way to the word under the pointer.
        await page.mouse.move(0, 0)
        await expect(page.locator("[data-legend=ranked]")).to_be_visible()
        await expect(page.locator("[data-legend=calibrated]")).to_be_hidden()
        await words.nth(1).focus()
        detail = page.locator("#word-detail")
        await expect(detail).to_contain_text("“dog” ranked 1 of 3. Runners-up: cat. Based on:")
        assert await announcements(page) == ["A dog runs"]
        # How strong a map is beside the strongest one's is measured, and is no confidence.
        await page.locator("#stop").focus()
        assert not PERCENTAGE.search(await page.evaluate(TEXT_AND_NAMES))

        await page.click("#freeze")
        await expect(page.locator("#chosen")).to_have_text("“dog” ranked 1 of 3")
        await expect(page.locator("#rivals")).to_contain_text("instead of “cat”")
        await expect(page.locator("#check-bars")).to_contain_text("\N{MULTIPLICATION SIGN} 0.11")
        await expect(page.locator("#check-scale")).to_have_text(
            "Score of “dog”, relative to the original frame:"
        )
        found = set(PERCENTAGE.findall(await page.locator("#frozen").inner_text()))
        assert found <= {"20%"}, "only the share of the map"
        await expect(page.locator("#attack-tab")).to_be_visible()
        await expect(page.locator("#concepts-tab")).to_be_hidden()
        await page.keyboard.press("Escape")


async def test_captions_of_an_endpoint_are_explained_on_request_and_told_the_cost(
    page: Page,
) -> None:
    captions = Endpoint(uncalibrated_caption("A dog runs", scores=False))
    async with show_page(page, captions):
        words = page.locator("#caption .word")
        assert await words.nth(1).get_attribute("aria-label") is None
        assert await words.nth(1).evaluate("(w) => getComputedStyle(w).textDecorationLine") == (
            "none"
        )
        await words.nth(1).focus()
        await expect(page.locator("#word-detail")).to_have_text(
            "“dog”. Freeze the caption to compute its map."
        )
        for offered in ("#heat-maps", "#objects", "#beam-width-field"):
            await expect(page.locator(offered)).to_be_hidden()
        await expect(page.get_by_text("Frames leave this server.")).to_be_visible()
        await expect(page.get_by_text("Private by design")).to_be_hidden()

        await page.click("#freeze")
        await expect(page.locator(".tile")).to_have_count(3)
        for lacking in ("#rival-set", "#check", "#frozen-tabs", "#reading-set"):
            await expect(page.locator(lacking)).to_be_hidden()
        offer = page.locator(".map-panel").first
        await expect(offer).to_contain_text(f"Occlusion: {COST}.")
        await page.get_by_role("radio", name="runs").click()
        await page.get_by_text("More methods").click()
        await page.locator(".method", has_text="Fine occlusion").click()
        await expect(offer).to_contain_text(f"Fine occlusion: {COST}.")
        await page.locator(".method").first.click()
        await more_captions(page)
        assert captions.targets == []
        await offer.get_by_role("button", name="Compute for “runs”").click()
        await expect(offer).to_have_attribute("data-state", "shown")
        assert captions.targets == [("occlusion", Target("word", 2))]
        # It was quick, but the next one is not free either.
        await page.get_by_role("radio", name="dog").click()
        await expect(offer).to_have_attribute("data-state", "offered")
        assert not PERCENTAGE.search(await page.locator("#frozen").inner_text())
        await page.keyboard.press("Escape")

        captions.state = EngineState.PAUSED
        captions.message = "Captions paused: the endpoint answers 503."
        await expect(page.locator("#note")).to_have_text(
            "Captions paused: the endpoint answers 503. Captions resume automatically; the video "
            "goes on."
        )


async def test_a_pause_of_an_endpoint_has_its_reason_and_ends(page: Page) -> None:
    async with fake_endpoint() as fake:
        captioner = EndpointCaptioner(fake.endpoint(), Pauses(0.5, 0.5, 60))
        captioner.start()
        app = create_app(ServerSettings(stream=StreamSettings(interval_s=0.25)), captioner)
        try:
            async with TestServer(app, host=HOST) as server:
                await page.goto(str(server.make_url("/")))
                await page.click("#start-camera")
                await more_captions(page, 1)
                fake.responses = [error(503, "out of memory") for _ in range(500)]
                note = page.locator("#note")
                await expect(note).to_have_text(
                    "Captions paused: the endpoint answers 503: out of memory. "
                    "Captions resume automatically; the video goes on.",
                    timeout=SOON,
                )
                fake.responses.clear()
                await expect(note).to_be_empty(timeout=SOON)
                await more_captions(page, 1)
        finally:
            await captioner.stop()


async def test_without_any_explanation_nothing_is_offered(page: Page) -> None:
    captions = Endpoint(uncalibrated_caption("A dog runs", scores=False))
    captions.info = replace(Endpoint.info, methods=())
    async with show_page(page, captions):
        await expect(page.locator("#freeze")).to_be_hidden()
        await expect(page.locator("#caption")).to_have_text("A dog runs")
        await page.locator("#caption .word").nth(1).focus()
        await expect(page.locator("#word-detail")).to_have_text("“dog”.")


async def test_the_start_page_has_a_card_of_the_captioner(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    captions = Uncalibrated(ranked_caption())
    captions.state, captions.info = EngineState.STARTING, None  # type: ignore[assignment]
    reference = CaptionerReference.parse("hf:Salesforce/blip-image-captioning-base")
    app = create_app(ServerSettings(captioner=reference), captions)
    async with TestServer(app, host=HOST) as server:
        await page.goto(str(server.make_url("/")))
        card = page.get_by_role("region", name="Captioner")
        await expect(card).to_contain_text("Loading the captioner…")
        # Nothing is promised that this captioner may lack.
        await expect(page.get_by_text("underlined by confidence")).to_be_hidden()
        captions.state, captions.message = EngineState.PAUSED, "The captioner cannot be loaded."
        await expect(card).to_contain_text(captions.message, timeout=SOON)
        captions.state, captions.info = EngineState.READY, Uncalibrated.info

        await expect(card).to_contain_text("blip-image-captioning-base", timeout=SOON)
        await expect(card).not_to_contain_text("cannot be loaded")
        facts = dict(
            pair.split("\n")[:2]
            for pair in await page.locator("#captioner-facts > div").all_inner_texts()
        )
        assert facts == {
            "Name": "blip-image-captioning-base",
            "Runs": "on this server",
            "Licence": "BSD-3-Clause",
            "Confidence": "not calibrated",
            "Verified maps": "not measured",
        }
        await page.keyboard.press("Tab")
        await card.locator("summary").focus()
        await page.keyboard.press("Enter")
        pinned = f"{reference}@{REVISION}"
        await expect(card).to_contain_text(f"models.calibrate --captioner {pinned}")
        await expect(card).to_contain_text(f"inference.faithfulness --captioner {pinned}")
        wider = "() => document.documentElement.scrollWidth - innerWidth"
        assert await page.evaluate(wider) <= 0
        await expect(page.get_by_text("Private by design")).to_be_visible()
        await expect(page.get_by_text("Every word is underlined by confidence")).to_be_hidden()


async def test_the_card_names_verified_maps_and_no_address_of_an_endpoint(page: Page) -> None:
    captions = ScriptedCaptions(uncalibrated_caption("A dog runs"))
    read = MethodCard("readcam", "Word map (Read-CAM)", "a paper", COST, "logit", ("word",))
    captions.info = replace(captions.info, methods=(*captions.info.methods, read))
    async with serve_page(captions) as url:
        await page.goto(url)
        card = page.get_by_role("region", name="Captioner")
        await expect(card).to_contain_text("scripted")
        # What is said of live maps is said of their method only.
        await expect(page.locator("[data-live-method]")).to_have_text("Grad-CAM")
        await expect(page.locator("[data-needs='live:readcam']")).to_have_attribute("hidden", "")
        shown = await facts(page)
        assert (shown["Confidence"], shown["Verified maps"]) == ("calibrated", "Grad-CAM")
        captions.info = Endpoint.info
        await page.reload()
        await expect(card).to_contain_text("Frames are sent to the endpoint “kitchen”")
        assert (await facts(page))["Licence"] == "unknown"
        assert HOST not in await card.inner_text()


class Choosing(ExplainedCaptions):
    """A captioner that chooses among the captions that its search finds."""

    info = replace(ExplainedCaptions.info, consensus=True)


async def test_a_choice_among_captions_is_stated_with_the_runner_up(page: Page) -> None:
    maps = (cell_map(0, 0, 0.5), cell_map(4, 4, 2.0), cell_map(8, 8))
    plain = with_maps(confident_caption("A dog runs"), *maps)
    chosen = replace(plain, runner_up="A dog sits", instead_of="A cat runs")
    captions = Choosing(chosen)
    reason = "Chosen over “A cat runs” because similar images are described this way."
    async with show_page(page, captions):
        note = page.locator("#choice-note")
        await expect(note).to_have_text(reason)
        await expect(note).to_be_visible()
        box, hint = await note.bounding_box(), await page.locator(".hint").bounding_box()
        assert box and hint and box["y"] + box["height"] <= hint["y"] + hint["height"] + 1
        await page.locator("#caption .word").nth(1).focus()
        await expect(note).to_be_hidden()
        await page.locator("#stop").focus()
        assert await announcements(page) == ["A dog runs"]

        await page.click("#freeze")
        others = page.locator("#frozen-others")
        await expect(others).to_have_text(f"Runner-up: “A dog sits”. {reason}")
        await page.keyboard.press("Escape")

        # It does not concern what is shown in place of an unlikely caption.
        captions.caption = replace(chosen, fallback="shorter", text="A dog", guess="A dog runs")
        await expect(page.locator("#lead")).to_have_text("Not sure. Possibly:", timeout=SOON)
        await expect(note).to_be_empty()
        captions.caption = replace(plain, runner_up="A dog sits")
        await expect(page.locator("#lead")).to_be_empty(timeout=SOON)
        await expect(note).to_be_empty()
        await page.click("#freeze")
        await expect(others).to_have_text("Runner-up: “A dog sits”.")
        await page.keyboard.press("Escape")
        captions.caption = replace(plain, runner_up="A dog sits", instead_of="A dog sits")
        await expect(note).to_have_text(reason.replace("A cat runs", "A dog sits"), timeout=SOON)
        await page.click("#freeze")
        await expect(others).to_have_text(
            "Chosen over the runner-up, “A dog sits”, because similar images are described this "
            "way."
        )
        await page.keyboard.press("Escape")
        assert (await facts(page))["Choice of caption"] == "by similar images"


async def test_a_captioner_that_takes_the_first_caption_says_nothing_of_a_choice(
    page: Page,
) -> None:
    maps = (cell_map(0, 0, 0.5), cell_map(4, 4, 2.0), cell_map(8, 8))
    async with show_page(
        page, ExplainedCaptions(with_maps(confident_caption("A dog runs"), *maps))
    ):
        await expect(page.locator("#choice-note")).to_be_hidden()
        assert "Choice of caption" not in await facts(page)
        await page.click("#freeze")
        await expect(page.locator("#frozen-others")).to_be_empty()
        await page.keyboard.press("Escape")
