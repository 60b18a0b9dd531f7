"""`/api/caption` and `/api/explain` over real HTTP."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from aiohttp import ClientSession, FormData
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from inference.captioning.caption import Caption
from inference.engine.service import ExplanationResult
from inference.explanations.map import CaptionMaps, Map
from stream.usage_limits import LocalLimits
from tests.support.captions import ScriptedCaptions, confident_caption, uncalibrated_caption
from tests.support.servers.feed_app import serve_feeds
from tests.support.servers.in_process_server import in_process_server
from tests.web.routes.test_api import valid
from tests.web.routes.test_completions import HeldCaptions, PausedCaptions, png, until
from web.images import MAX_IMAGES
from web.keys import ENGINE, IMAGE_CAPTIONS, USAGE_LIMITS

PHOTOGRAPH = Path(skimage.__file__).parent / "data" / "motorcycle_left.png"
DOT = png(np.zeros((3, 2, 3), np.uint8))
ADMIN, VIEWER, PROGRAM = "a" * 20, "v" * 20, "c" * 20
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER, "caption_token": PROGRAM}


@pytest.fixture(scope="module")
def photograph() -> bytes:
    return PHOTOGRAPH.read_bytes()


def with_maps(text: str = "A dog runs") -> Caption:
    caption = confident_caption(text, dog=0.9)
    words = tuple(
        Map(np.full((3, 4), place + 1, np.float32)) for place, _ in enumerate(caption.words)
    )
    return replace(caption, maps=CaptionMaps("gradcam", words, Map(np.eye(3, 4, dtype=np.float32))))


def parts(*images: bytes, field: str = "image") -> FormData:
    form = FormData()
    for index, image in enumerate(images):
        form.add_field(field, image, filename=f"{index}.png", content_type="image/png")
    return form


def read_npz(body: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return dict(arrays)


async def error_of(response: Any) -> tuple[int, str, str]:
    error = (await response.json())["error"]
    return response.status, error["code"], error["message"]


async def test_a_photograph_gets_the_captioners_caption_and_maps(
    client: TestClient[Any, Any], photograph: bytes
) -> None:
    assert client.app
    engine = client.app[ENGINE]
    await engine.wait_ready()
    assert engine.info
    pixels = np.asarray(Image.open(PHOTOGRAPH).convert("RGB"), np.uint8)
    expected = await engine.caption(engine.info.resizing.apply(pixels))
    assert expected.maps

    async with client.post("/api/caption", data=photograph) as response:
        plain = await response.json()
    async with client.post("/api/caption?maps=true", data=photograph) as response:
        mapped = await response.json()
    async with client.post("/api/caption?format=npz", data=photograph) as response:
        assert response.content_type == "application/x-npz"
        arrays = read_npz(await response.read())
    async with client.post(
        "/api/caption", data=photograph, headers={"Accept": "image/png"}
    ) as response:
        sheet = Image.open(io.BytesIO(await response.read()))

    valid("ImageCaption").validate(plain)
    valid("ImageCaption").validate(mapped)
    assert plain["said"] == plain["text"] == expected.text and "motorcycle" in expected.text
    assert plain["confidence"] == expected.confidence and plain["maps"] is None
    assert [word["text"] for word in plain["words"]] == [word.text for word in expected.words]
    assert plain["image"] == {"width": pixels.shape[1], "height": pixels.shape[0]}
    assert mapped["maps"] == expected.maps.to_json()
    assert arrays["words"].tolist() == [word.text for word in expected.words]
    assert np.array_equal(arrays["maps"], [each.values for each in expected.maps.words])
    assert np.array_equal(arrays["caption_map"], expected.maps.caption.values)
    assert json.loads(str(arrays["json"]))["text"] == expected.text
    assert sheet.format == "PNG" and sheet.width == 1280


async def test_a_blank_image_has_no_words(client: TestClient[Any, Any]) -> None:
    async with client.post("/api/caption?format=npz", data=DOT) as response:
        arrays = read_npz(await response.read())
    body = json.loads(str(arrays["json"]))
    assert (body["fallback"], arrays["words"].shape) == ("blank", (0,))
    assert arrays["maps"].shape == (0, *arrays["caption_map"].shape)
    async with client.post("/api/caption?format=png", data=DOT) as response:
        assert Image.open(io.BytesIO(await response.read())).format == "PNG"
    async with client.post("/api/explain?word=dog", data=DOT) as response:
        assert (await error_of(response))[1:] == (
            "no-such-target",
            "the caption has no such word; its words: none",
        )
    async with client.post("/api/explain", data=DOT) as response:
        status, code, message = await error_of(response)
    assert (status, code) == (400, "cannot-explain"), message


async def test_a_word_is_explained_as_the_engine_explains_it(
    client: TestClient[Any, Any], photograph: bytes
) -> None:
    async with client.post("/api/explain?word=Motorcycle", data=photograph) as response:
        result = await response.json()
    valid("ImageExplanation").validate(result)
    explanation = result["explanation"]
    index = [word["text"] for word in result["words"]].index("motorcycle")
    assert explanation["of"] == {"kind": "word", "index": index}
    heat = Map.from_json(explanation["map"])
    assert heat.values.max() > 0

    async with client.post(
        f"/api/explain?index={index}&method=saliency&format=npz", data=photograph
    ) as response:
        arrays = read_npz(await response.read())
    by_saliency = json.loads(str(arrays["json"]))["explanation"]
    assert by_saliency["method"] == "saliency" != explanation["method"]
    assert arrays["map"].shape != heat.values.shape or not np.allclose(arrays["map"], heat.values)

    async with client.post(
        "/api/explain?word=motorcycle&instead_of=car&format=png", data=photograph
    ) as response:
        painted = np.asarray(Image.open(io.BytesIO(await response.read())))
    pixels = np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))
    assert painted.shape == pixels.shape and np.any(painted != pixels)


async def test_several_images_get_a_list_with_an_error_in_place_of_a_failed_one() -> None:
    async with serve_feeds(ScriptedCaptions(with_maps()), feeds={}) as client:
        async with client.post("/api/caption", data=parts(DOT, b"%PDF", DOT)) as response:
            assert response.status == 200
            results = (await response.json())["results"]
        assert [result.get("said") for result in results] == ["A dog runs", None, "A dog runs"]
        assert results[1]["error"]["code"] == "invalid-image"
        async with client.post("/api/caption?format=npz", data=parts(DOT, b"%PDF")) as response:
            arrays = read_npz(await response.read())
        assert set(arrays) == {"0/words", "0/maps", "0/caption_map", "0/json", "1/json"}
        assert arrays["0/maps"].shape == (3, 3, 4) and "not an image" in str(arrays["1/json"])
        async with client.post("/api/explain?word=dog", data=parts(DOT)) as response:
            (result,) = (await response.json())["results"]
        assert result["explanation"]["of"] == {"kind": "word", "index": 1}
        async with client.post("/api/explain?word=cat", data=parts(DOT, DOT)) as response:
            assert (await error_of(response))[:2] == (400, "no-such-target"), "none succeeded"
        async with client.post("/api/caption?format=png", data=parts(DOT, DOT)) as response:
            assert "a PNG shows one image" in (await error_of(response))[2]


async def test_a_captioner_without_maps_says_so() -> None:
    service = ScriptedCaptions(uncalibrated_caption("A dog", scores=False))
    async with serve_feeds(service, feeds={}) as client:
        for query in ("maps=true", "format=png", "format=npz"):
            async with client.post(f"/api/caption?{query}", data=DOT) as response:
                status, code, message = await error_of(response)
            assert (status, code) == (400, "not-available") and "/api/explain" in message
        async with client.post("/api/caption", data=DOT) as response:
            body = await response.json()
        valid("ImageCaption").validate(body)
        assert body["confidence"] is None


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("caption", b"", {}, 400, "the body is empty"),
        ("caption", b"hello", {}, 400, "is not an image"),
        ("caption", b"{}", {"Content-Type": "application/json"}, 415, "/v1/chat/completions"),
        ("caption", DOT, {"Content-Encoding": "gzip"}, 415, "without Content-Encoding"),
        ("caption", DOT, {"Accept": "text/html"}, 406, "application/x-npz"),
        ("caption?format=gif", DOT, {}, 400, "format must be one of json, png, npz"),
        ("caption?map=true", DOT, {}, 400, "unknown parameter 'map'"),
        ("caption", parts(field="image"), {}, 400, "has no image"),
        ("caption", parts(DOT, field="file"), {}, 400, "unknown part 'file'"),
        ("caption", parts(*[DOT] * (MAX_IMAGES + 1)), {}, 400, "more than 16 images"),
        ("explain?word=cat", DOT, {}, 400, "its words: a, dog, runs"),
        ("explain?index=3", DOT, {}, 400, "no such word"),
        ("explain?word=dog&index=1", DOT, {}, 400, "exclude each other"),
        ("explain?instead_of=cat", DOT, {}, 400, "needs a word"),
        ("explain?method=rays", DOT, {}, 400, "methods for this: gradcam, saliency"),
        ("explain?tag=dog", DOT, {}, 400, "no method that explains a tag"),
        ("explain?word=", DOT, {}, 400, "word must have 1 to 60"),
    ],
)
async def test_an_invalid_request_gets_a_reason(
    path: str, body: Any, headers: dict[str, str], status: int, reason: str
) -> None:
    if isinstance(body, FormData) and not body._fields:
        body.add_field("image", b"", filename="none.png")
        body._fields.clear()
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        body = b"--b--\r\n"
    async with (
        serve_feeds(ScriptedCaptions(with_maps()), feeds={}) as client,
        client.post(f"/api/{path}", data=body, headers=headers) as response,
    ):
        got, _, message = await error_of(response)
    assert (got, reason in message) == (status, True), message


async def test_tokens_decide_who_may_send_images() -> None:
    async with serve_feeds(feeds={}, access=TOKENS) as client:
        for token, status in ((ADMIN, 200), (PROGRAM, 200), (VIEWER, 403), ("w" * 20, 401)):
            headers = {"Authorization": f"Bearer {token}"}
            for path in ("/api/caption", "/api/explain"):
                async with client.post(path, data=DOT, headers=headers) as response:
                    assert response.status == status, (path, token)


async def test_a_larger_image_than_allowed_is_not_read(tmp_path: Path) -> None:
    text = "[limits]\nimage_bytes = 100000\n"
    large = bytes(300_000)

    part = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}

    async def chunks(*parts: bytes) -> Any:
        for each in parts:
            yield each

    async with (
        in_process_server(tmp_path, text) as server,
        ClientSession(f"http://127.0.0.1:{server.port}") as http,
    ):
        bodies: list[tuple[Any, dict[str, str]]] = [
            (large, {}),
            (chunks(large), {}),
            (parts(large), {}),
            (parts(*[bytes(50_000)] * 5), {}),
            (chunks(part, large), multipart),
            (chunks(*[part, bytes(50_000), b"\r\n"] * 5), multipart),
        ]
        for body, headers in bodies:
            async with http.post("/api/caption", data=body, headers=headers) as response:
                assert (await error_of(response))[:2] == (413, "too-large")


async def test_a_client_that_leaves_gives_its_place_away(tmp_path: Path) -> None:
    captions = HeldCaptions()
    async with (
        in_process_server(tmp_path, captions=captions) as server,
        ClientSession(f"http://127.0.0.1:{server.port}") as http,
    ):

        async def post(*images: bytes) -> str:
            async with http.post("/api/caption", data=parts(*images)) as response:
                return await response.text()

        leaving = asyncio.create_task(post(DOT, DOT))
        await until(lambda: captions.waiting == 1)
        staying = asyncio.create_task(post(DOT, DOT))
        leaving.cancel()
        await until(lambda: len(captions.requests) == 2)
        assert captions.waiting == 1 and captions.requests[1].background
        captions.release.release()
        captions.release.release()
        assert (await staying).count('"said"') == 2
        assert len(captions.requests) == 3, "the second image of the client that left was dropped"


class HeldExplanations(ScriptedCaptions):
    """Explanations that never arrive."""

    cancelled = counted = 0
    limits: LocalLimits

    async def explain(self, *arguments: Any, **options: Any) -> ExplanationResult:
        """Wait until cancelled."""
        self.counted = len(self.limits.explanations)
        await options["before_requests"](5)
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1
        raise AssertionError


async def test_explanations_have_the_limits_of_viewers() -> None:
    service = HeldExplanations(with_maps())
    stream = {"explanation_s": 0.1}
    async with serve_feeds(service, feeds={}, access=TOKENS, stream=stream) as client:
        assert client.app
        limits = service.limits = client.app[USAGE_LIMITS]
        headers = {"Authorization": f"Bearer {PROGRAM}"}
        async with client.post("/api/explain", data=DOT, headers=headers) as response:
            assert await error_of(response) == (503, "cannot-explain", "it took longer than 0.1 s")
        assert service.cancelled == service.counted == 1
        limits.endpoint_requests.configure(0, 5)
        async with client.post("/api/explain", data=DOT, headers=headers) as response:
            status, code, message = await error_of(response)
        assert (status, code) == (429, "limit-reached") and "only an admin" in message
        assert service.cancelled == 1
        assert len(limits.explanations) == 0 == len(client.app[IMAGE_CAPTIONS])


async def test_a_paused_captioner_is_reported() -> None:
    async with serve_feeds(PausedCaptions(with_maps()), feeds={}) as client:
        for path in ("/api/caption", "/api/explain"):
            async with client.post(path, data=DOT) as response:
                assert (await error_of(response))[:2] == (503, "captioner-unavailable")
                assert int(response.headers["Retry-After"]) > 0


_LINES = st.sampled_from(
    [
        b"--b\r\n",
        b"--b--\r\n",
        b'Content-Disposition: form-data; name="image"; filename="a"\r\n',
        b"Content-Type: multipart/mixed; boundary=c\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b'Content-Disposition: form-data; name="_charset_"\r\n',
        b"\r\n",
        b"--",
        DOT,
        b"\r\n--b",
        b"\xff\xfe: \x00\r\n",
        b"x" * 9000,
    ]
)


async def test_no_multipart_body_breaks_the_server() -> None:
    async with serve_feeds(ScriptedCaptions(with_maps()), feeds={}) as client:
        bodies: list[bytes] = []

        @settings(
            max_examples=150,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(_LINES, max_size=12))
        def collect(lines: list[bytes]) -> None:
            bodies.append(b"".join(lines))

        collect()
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        for body in bodies:
            async with client.post("/api/caption", data=body, headers=kind) as response:
                assert response.status in (200, 400, 429), (body, await response.text())
                if response.status == 429:
                    await asyncio.sleep(1)
        for kind_of in ("multipart/form-data", f"multipart/form-data; boundary={'b' * 99}"):
            headers = {"Content-Type": kind_of}
            async with client.post("/api/caption", data=b"--b--", headers=headers) as response:
                assert response.status == 400
