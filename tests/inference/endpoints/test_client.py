"""The client against servers that behave in every wrong way."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from inference.endpoints.client import MAX_ANSWER_BYTES, Endpoint, EndpointClient, EndpointError
from inference.endpoints.images import data_url
from tests.support.servers.fake_endpoint import (
    KEY,
    Behaviour,
    FakeEndpoint,
    completion,
    error,
    fake_endpoint,
)
from web.security import certificate, create_server_context, obtain_certificate
from web.settings import HttpsSettings

IMAGE = data_url(np.zeros((8, 8, 3), np.uint8))


@asynccontextmanager
async def client_of(endpoint: Endpoint) -> AsyncIterator[EndpointClient]:
    client = EndpointClient(endpoint)
    try:
        yield client
    finally:
        await client.close()


async def failure(endpoint: Endpoint) -> EndpointError:
    async with client_of(endpoint) as client:
        with pytest.raises(EndpointError) as caught:
            await client.ask(IMAGE)
    return caught.value


def sending(*parts: bytes, endless: bool = False, **headers: str) -> Behaviour:
    """Return a behaviour that sends a body in parts, the last one again and again if `endless`."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={name.replace("_", "-"): headers[name] for name in headers}
        )
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        while endless:
            await response.write(parts[-1])
            await asyncio.sleep(0 if len(parts[-1]) > 1 else 0.01)
        assert request.transport
        request.transport.close()
        return response

    return behave


async def drop(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def test_a_request_is_one_of_the_chat_completions_api() -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.responses = ["A dog."]
        answer = await client.ask(IMAGE)

        assert answer.text == "A dog."
        (request,) = fake.requests
        assert request["model"] == "llava"
        assert request["max_tokens"] == 50
        assert request["stream"] is False
        assert (request["logprobs"], request["top_logprobs"]) == (True, 4)
        assert request["messages"] == [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Describe it."},
                    {"type": "image_url", "image_url": {"url": IMAGE}},
                ],
            }
        ]
        assert fake.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert "Cookie" not in fake.headers[0]


async def test_a_password_in_the_url_is_basic_authentication() -> None:
    async with fake_endpoint() as fake:
        url = fake.url.replace("://", "://guard:sword%20fish@")
        fake.responses = [error(403, "sword fish is wrong"), "A dog."]
        problem = await failure(fake.endpoint(base_url=url, key=None))

        # RFC 7617: base64 of "guard:sword fish".
        assert fake.headers[0]["Authorization"] == "Basic Z3VhcmQ6c3dvcmQgZmlzaA=="
        assert str(problem) == "the endpoint answers 403: *** is wrong; check key_file"
        assert "sword" not in repr(fake.endpoint(base_url=url))
        assert "sword" not in fake.endpoint(base_url=url).host


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (error(503), "the endpoint answers 503"),
        (error(500, "out of memory"), "the endpoint answers 500: out of memory"),
        (
            error(401, f"Wrong key: {KEY}"),
            "the endpoint answers 401: Wrong key: ***; check key_file",
        ),
        (
            error(404),
            "the endpoint answers 404; check model, and base_url, which usually ends with /v1",
        ),
        (
            error(404, "no model 'llava'"),
            "the endpoint answers 404: no model 'llava'; "
            "check model, and base_url, which usually ends with /v1",
        ),
        (
            error(500, "a\x1b[31m\nb\u202e" + "c" * 999),
            f"the endpoint answers 500: a [31m b {'c' * 191}…",
        ),
        (
            web.json_response({"detail": [{"msg": "Field required"}]}, status=422),
            "the endpoint answers 422: Field required",
        ),
        (web.Response(status=502, text="bad\ngateway"), "the endpoint answers 502: bad gateway"),
        (
            web.Response(status=502, text="<html>", content_type="text/html"),
            "the endpoint answers 502",
        ),
        (
            web.Response(status=307, headers={"Location": "/v1/elsewhere"}),
            "the endpoint answers 307, a redirect, which is not followed; set base_url to the "
            "final address",
        ),
        (web.Response(text="<html>"), "the endpoint's answer is not JSON"),
        (web.json_response([]), "the endpoint's answer is no chat completion; check base_url"),
        (web.json_response(completion("")), "the model's answer is empty"),
        (
            sending(b" " * 2**16, endless=True),
            f"the endpoint's answer is larger than {MAX_ANSWER_BYTES // 1024} KiB",
        ),
        (
            sending(b"x", Content_Encoding="gzip"),
            "the endpoint's answer is compressed, although that was not asked for",
        ),
        (sending(b"{", Content_Length="9"), "the endpoint's answer broke off"),
        (drop, "the endpoint closed the connection without an answer"),
    ],
    ids=range(17),
)
async def test_a_failure_has_a_plain_reason(
    response: web.Response | Behaviour, reason: str
) -> None:
    async with fake_endpoint() as fake:
        # A connection that breaks is tried again once, and so is a request that is rejected.
        fake.responses = [
            response,
            response if callable(response) else error(422, "Field required"),
        ]
        problem = await failure(fake.endpoint())

        assert str(problem) == reason
        assert len(reason) < 250
        assert fake.others == []


async def test_a_slow_trickle_ends_with_the_timeout() -> None:
    async with fake_endpoint() as fake:
        fake.responses = [sending(b" ", endless=True)]
        problem = await failure(fake.endpoint(timeout_s=0.3))

        assert str(problem) == "the endpoint did not answer within 0.3 s"
        await fake.until(lambda: not fake.in_flight)


async def test_a_server_that_says_nothing_ends_with_the_timeout() -> None:
    async with fake_endpoint() as fake:
        fake.answering.clear()
        problem = await failure(fake.endpoint(timeout_s=0.3))

        assert str(problem) == "the endpoint did not answer within 0.3 s"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7),
        ("99999", 300),
        ("soon", None),
        ("-5", None),
        ("", None),
        (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds_is_read_and_bounded(
    status: int, header: str, expected: float | None
) -> None:
    async with fake_endpoint() as fake:
        fake.responses = [error(status, **{"Retry-After": header})]

        assert (await failure(fake.endpoint())).retry_after_s == expected


@pytest.mark.parametrize(
    ("in_s", "expected"), [(200, pytest.approx(200, abs=100)), (9e6, 300), (-60, None)]
)
async def test_retry_after_as_a_date_is_read_and_bounded(
    in_s: float, expected: float | None
) -> None:
    async with fake_endpoint() as fake:
        date = formatdate(time.time() + in_s, usegmt=True)
        fake.responses = [error(429, **{"Retry-After": date})]

        assert (await failure(fake.endpoint())).retry_after_s == expected


async def test_a_refused_connection_has_a_plain_reason() -> None:
    endpoint = FakeEndpoint().endpoint(base_url=f"http://127.0.0.1:{unused_port()}/v1")

    assert str(await failure(endpoint)) == "the endpoint refuses connections; is it running?"


async def test_a_name_that_does_not_resolve_has_a_plain_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    endpoint = FakeEndpoint().endpoint(base_url="https://gpu.invalid/v1")

    assert str(await failure(endpoint)) == "the endpoint's host name cannot be resolved"


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [
        ("127.0.0.1", "own", ""),
        ("127.0.0.1", "none", "is not trusted; set tls_ca to a file that contains it"),
        ("127.0.0.1", "other", "is not trusted; set tls_ca to a file that contains it"),
        ("gpu.example", "own", "is for another host name than that of base_url"),
    ],
)
async def test_a_certificate_is_verified_by_the_trusted_ones(
    tmp_path: Path, name: str, trusted: str, reason: str
) -> None:
    own, other = (
        obtain_certificate(HttpsSettings(on=True, folder=tmp_path / folder), {name})
        for folder in ("own", "other")
    )
    pem = {"own": own.certificate.read_text(), "other": other.certificate.read_text(), "none": None}
    async with fake_endpoint(create_server_context(own)) as fake:
        endpoint = fake.endpoint(tls_ca=pem[trusted])
        if reason:
            assert str(await failure(endpoint)) == f"the endpoint's TLS certificate {reason}"
            assert fake.requests == []
        else:
            async with client_of(endpoint) as client:
                assert (await client.ask(IMAGE)).text == "A dog runs."


async def test_a_certificate_that_has_expired_has_a_plain_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "VALIDITY", timedelta(hours=1))
    old = obtain_certificate(HttpsSettings(on=True, folder=tmp_path), {"127.0.0.1"})
    async with fake_endpoint(create_server_context(old)) as fake:
        problem = await failure(fake.endpoint(tls_ca=old.certificate.read_text()))

        assert str(problem) == "the endpoint's TLS certificate has expired"


async def test_https_to_an_http_server_has_a_plain_reason() -> None:
    async with fake_endpoint() as fake:
        problem = await failure(fake.endpoint(base_url=fake.url.replace("http", "https")))

        assert "no TLS connection to the endpoint is possible" in str(problem)


async def raw_failure(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> str:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        return str(await failure(FakeEndpoint().endpoint(base_url=url)))


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n"],
)
async def test_what_is_not_http_has_a_plain_reason(answer: bytes) -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    assert await raw_failure(write) == "the endpoint's answer is not valid HTTP"


async def test_parameters_that_the_server_rejects_are_left_out_from_then_on() -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.refuses = ("logprobs", "temperature")
        for _ in range(2):
            assert (await client.ask(IMAGE)).text == "A dog runs."

        asked = [{"logprobs", "temperature"} & request.keys() for request in fake.requests]
        assert asked == [{"logprobs", "temperature"}, {"temperature"}, set(), set()]
        assert "top_logprobs" not in fake.requests[-1]


async def test_the_newer_name_of_max_tokens_is_used_if_the_server_wants_it() -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.responses = [error(400, "'max_tokens' is not supported; use 'max_completion_tokens'.")]
        await client.ask(IMAGE)

        assert "max_tokens" not in fake.requests[-1]
        assert fake.requests[-1]["max_completion_tokens"] == 50


@pytest.mark.parametrize(
    "rejection",
    [
        {"error": {"message": "Rejected.", "code": "content_policy_violation"}},
        {"error": {"message": "Your request was rejected by our safety system.", "code": None}},
        {
            "error": {
                "message": "The response was filtered.",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
    ],
)
async def test_a_content_policy_costs_neither_the_log_probabilities_nor_another_request(
    rejection: object,
) -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.responses = [web.json_response(rejection, status=400) for _ in range(3)]
        for _ in range(3):
            with pytest.raises(EndpointError, match="the endpoint answers 400: "):
                await client.ask(IMAGE)
        assert len(fake.requests) == 3

        await client.ask(IMAGE)
        assert fake.requests[-1]["logprobs"] is True


async def test_log_probabilities_are_left_out_only_if_they_are_rejected_again() -> None:
    """An error that names nothing may be about the image, and another attempt succeed."""
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        for responses in (
            ["bad request", "A dog."],
            ["A dog."],
            ["no", "A dog."],
            ["no", "A dog."],
        ):
            *rejections, answer = responses
            fake.responses = [*(error(400, each) for each in rejections), answer]
            await client.ask(IMAGE)
        await client.ask(IMAGE)

        asked = ["logprobs" in request for request in fake.requests]
        assert asked == [True, False, True, True, False, True, False, False]


@pytest.mark.parametrize(
    "rejection",
    [
        {"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs are not permitted"}]},
        {"error": {"message": "Unknown parameter.", "param": "logprobs"}},
        {"error": {"message": "top_logprobs is not allowed by our content policy"}},
    ],
)
async def test_a_rejected_parameter_is_found_wherever_it_is_named(rejection: object) -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.responses = [web.json_response(rejection, status=422)]
        for _ in range(2):
            await client.ask(IMAGE)

        assert ["logprobs" in request for request in fake.requests] == [True, False, False]


async def test_a_rejected_image_does_not_cost_the_log_probabilities() -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.responses = [error(400, "bad image"), error(400, "bad image")]
        with pytest.raises(EndpointError, match="bad image"):
            await client.ask(IMAGE)
        await client.ask(IMAGE)

        assert fake.requests[-1]["logprobs"] is True


async def test_an_idle_connection_that_the_server_closed_is_no_failure() -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        fake.responses = ["A dog.", drop]
        for _ in range(2):
            await client.ask(IMAGE)

        assert len(fake.requests) == 3


async def test_reach_accepts_whatever_answers_except_a_rejected_key() -> None:
    async with fake_endpoint() as fake, client_of(fake.endpoint()) as client:
        await client.reach()

        assert fake.others == ["GET /v1/models"]
        assert fake.requests == []
    async with client_of(fake.endpoint()) as client:
        with pytest.raises(EndpointError, match="refuses connections"):
            await client.reach()
