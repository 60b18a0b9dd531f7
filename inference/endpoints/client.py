"""A client of the OpenAI chat completions API: one image and a prompt in, an answer out."""

import asyncio
import errno
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from inference.endpoints.answer import (
    Answer,
    UnusableAnswer,
    error_details,
    error_message,
    read_answer,
)

MAX_ANSWER_BYTES = 2**18
"""Of an answer: the log-probabilities of a caption take some ten thousand bytes."""

MAX_RETRY_AFTER_S = 300.0

_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check key_file",
    HTTPStatus.FORBIDDEN: "check key_file",
    HTTPStatus.NOT_FOUND: "check model, and base_url, which usually ends with /v1",
}
"""What to do about a status, beside what the server says."""

_MAX_MESSAGE_LENGTH = 200
_ALTERNATIVES = 4
_MAX_ATTEMPTS = 4
"""Of one request, each with fewer parameters, until the server accepts them."""

_BAD_PARAMETER = frozenset({400, 422, 501})
_CONTENT_REJECTED = (
    *("content_policy", "content policy", "content_filter", "content filter"),
    *("content management", "responsibleai", "moderation", "safety"),
)
"""What an error states that is about the image rather than about a parameter."""

_CERTAIN_AFTER = 2
"""Requests in a row that were answered only without a parameter which no error named."""

_MASK = "***"

_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 27})
_OTHER_NAME = frozenset({62, 64})
_EXPIRED = 10
"""Of OpenSSL's results of the verification of a certificate, `X509_V_ERR_`...; the first are those
of an unknown issuer, a self-signed or an untrusted certificate."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server of the chat completions API, and how it is used."""

    name: str
    """In the settings."""
    base_url: str = field(repr=False)
    """Of the API, such as `http://127.0.0.1:11434/v1`; may contain a user and a password."""
    model: str
    prompt: str
    key: str | None = field(repr=False)
    """API key."""
    tls_ca: str | None = field(repr=False)
    """Certificates (PEM) that are trusted instead of the system's."""
    timeout_s: float
    """Of a request, in seconds."""
    max_tokens: int
    """Of an answer."""
    requests: int
    """At once."""
    regions: int
    """Regions on a side of the image that are hidden in turn to explain a caption."""
    viewer_requests_per_hour: int
    """For explanations that viewers request, of all viewers together."""

    @property
    def host(self) -> str:
        """Host and port, for the log."""
        parts = urlsplit(self.base_url)
        return parts.netloc.rpartition("@")[2]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown to anybody."""
        password = urlsplit(self.base_url).password or ""
        return tuple({self.key or "", password, unquote(password)} - {""})


class EndpointError(Exception):
    """A request failed; the message says why, for people, without URL and key."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        """Fail; `retry_after_s` is for how long the server wants to be left alone."""
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class _BadParameter(EndpointError):
    """The server rejects the request, perhaps because of a parameter that it does not know."""

    def __init__(self, reason: str, about: str) -> None:
        """Fail; `about` is all that the server states about it, in lower case."""
        super().__init__(reason)
        self.about = about


class EndpointClient:
    """Sends requests to one endpoint and to no other address.

    Proxies of the environment, cookies and redirects are ignored. What the server sends is bounded
    in size and time.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Create a client; needs a running event loop."""
        self._endpoint = endpoint
        self._options: dict[str, Any] = {
            "max_tokens": endpoint.max_tokens,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": _ALTERNATIVES,
        }
        """Parameters that the server is not known to reject."""
        self._guesses = 0
        """Requests in a row that were answered without a parameter that no error named."""
        tls = _trusting(endpoint.tls_ca) if endpoint.tls_ca else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            # One limit for a request with its repetitions, see `_errors`.
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A small compressed answer could be a large one.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "Sightline"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def reach(self) -> None:
        """Check that the endpoint can be reached and accepts the key.

        Raises:
            EndpointError: If not. Any other answer will do: not every server lists its models.
        """
        url = f"{self._endpoint.base_url}/models"
        async with self._errors(), self._session.get(url, **self._parameters) as response:
            if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise self._refusal(response, await _read(response))

    async def ask(self, image_url: str) -> Answer:
        """Send an image with the prompt.

        Parameters that the server rejects are left out from then on: log-probabilities, for
        example. If its error names none, it may be about the image, so this takes two requests.

        Args:
            image_url: The image as a data URL (RFC 2397).

        Raises:
            EndpointError: If there is no answer, or no usable one.
        """
        async with self._errors():
            options, guesses = self._options, False
            for _ in range(_MAX_ATTEMPTS):
                try:
                    answer = await self._post({**self._request(image_url), **options})
                except _BadParameter as problem:
                    if (fewer := _without_rejected(options, problem.about)) is None:
                        raise
                    guesses |= not any(name in problem.about for name in options)
                    options = fewer
                else:
                    self._guesses = self._guesses + 1 if guesses else 0
                    if not guesses or self._guesses >= _CERTAIN_AFTER:
                        self._options = options
                    return answer
            raise EndpointError("the endpoint rejects one parameter after another")

    def _request(self, image_url: str) -> dict[str, Any]:
        content = [
            {"type": "text", "text": self._endpoint.prompt},
            {"type": "image_url", "image_url": {"url": image_url}},
        ]
        messages = [{"role": "user", "content": content}]
        return {"model": self._endpoint.model, "messages": messages, "stream": False}

    async def _post(self, request: Mapping[str, Any]) -> Answer:
        try:
            return await self._post_once(request)
        except aiohttp.ServerDisconnectedError:
            # It may have closed an idle connection at the same moment.
            return await self._post_once(request)

    async def _post_once(self, request: Mapping[str, Any]) -> Answer:
        if self._session.closed:
            raise EndpointError("the settings of the endpoint were changed")
        url = f"{self._endpoint.base_url}/chat/completions"
        async with self._session.post(url, json=request, **self._parameters) as response:
            body = await _read(response)
            if not 200 <= response.status < 300:
                raise self._refusal(response, body)
        return read_answer(body)

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Limit the time, and turn every failure into an EndpointError."""
        try:
            async with asyncio.timeout(self._endpoint.timeout_s):
                yield
        except UnusableAnswer as problem:
            raise EndpointError(self._safe(str(problem))) from None
        except TimeoutError:
            limit = f"{self._endpoint.timeout_s:g} s"
            raise EndpointError(f"the endpoint did not answer within {limit}") from None
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise EndpointError(_describe(problem)) from None

    @property
    def _parameters(self) -> dict[str, Any]:
        key = self._endpoint.key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return {"headers": headers, "allow_redirects": False}

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes) -> EndpointError:
        status = response.status
        reason = f"the endpoint answers {status}"
        if 300 <= status < 400:
            return EndpointError(
                f"{reason}, a redirect, which is not followed; set base_url to the final address"
            )
        message, details = _error_texts(response, body)
        if message:
            reason = f"{reason}: {self._safe(message)}"
        if advice := _ADVICE.get(status):
            reason = f"{reason}; {advice}"
        about = f"{message} {details}".lower()
        names_parameter = any(name in about for name in self._options)
        if status in _BAD_PARAMETER and (
            names_parameter or not any(mark in about for mark in _CONTENT_REJECTED)
        ):
            return _BadParameter(reason, about)
        return EndpointError(reason, _retry_after_s(response.headers.get("Retry-After", "")))

    def _safe(self, text: str) -> str:
        """Return a server's message in one short line, without what is secret."""
        for secret in self._endpoint.secrets:
            text = text.replace(secret, _MASK)
        line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
        if len(line) > _MAX_MESSAGE_LENGTH:
            line = line[:_MAX_MESSAGE_LENGTH].rstrip() + "…"
        return line


def _trusting(certificates: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certificates)
    # A server's own certificate may be trusted, whoever signed it; the default as of Python 3.13.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnusableAnswer("the endpoint's answer is compressed, although that was not asked for")
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            # The rest is not read; leaving the context closes the connection.
            raise UnusableAnswer(
                f"the endpoint's answer is larger than {MAX_ANSWER_BYTES // 1024} KiB"
            )
    return bytes(body)


def _error_texts(response: aiohttp.ClientResponse, body: bytes) -> tuple[str, str]:
    """Return the server's own message, as far as it is meant for people, and other details."""
    try:
        values = json.loads(body)
        return error_message(values), error_details(values)
    except (ValueError, RecursionError):
        is_text = response.content_type == "text/plain"
        return body.decode("utf-8", "replace") if is_text else "", ""


def _without_rejected(options: Mapping[str, Any], about: str) -> dict[str, Any] | None:
    """Return the parameters without the one that a server's error names.

    If it names none, the least common ones are left out. None if there is none to leave out.
    """
    left = dict(options)
    if "max_tokens" in left and "max_completion_tokens" in about:
        # The newer name, which OpenAI's newer models demand.
        return {"max_completion_tokens": left.pop("max_tokens"), **left}
    if "temperature" in left and "temperature" in about:
        del left["temperature"]
        return left
    if left.pop("logprobs", None):
        left.pop("top_logprobs")
        return left
    return None


def _retry_after_s(text: str) -> float | None:
    """Read a Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time()
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else None


def _describe(problem: Exception) -> str:
    """Return the reason of a failure, without the exception's text, which may repeat the URL."""
    match problem:
        case aiohttp.ClientConnectorDNSError():
            return "the endpoint's host name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return _describe_certificate(problem.certificate_error)
        case aiohttp.ClientSSLError():
            return "no TLS connection to the endpoint is possible; check http:// and https://"
        case aiohttp.ClientConnectorError() if problem.os_error.errno == errno.ECONNREFUSED:
            return "the endpoint refuses connections; is it running?"
        case aiohttp.ClientConnectorError() if problem.os_error.errno:
            return f"the endpoint cannot be reached: {os.strerror(problem.os_error.errno).lower()}"
        case aiohttp.ServerConnectionError() | aiohttp.ClientOSError():
            return "the endpoint closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "the endpoint's answer broke off"
        case aiohttp.ClientResponseError():
            return "the endpoint's answer is not valid HTTP"
    return f"the endpoint cannot be reached ({type(problem).__name__})"


def _describe_certificate(problem: Exception) -> str:
    code, about = getattr(problem, "verify_code", None), "the endpoint's TLS certificate"
    if code in _UNKNOWN_ISSUER:
        return f"{about} is not trusted; set tls_ca to a file that contains it"
    if code == _EXPIRED:
        return f"{about} has expired"
    if code in _OTHER_NAME:
        return f"{about} is for another host name than that of base_url"
    return f"{about} is not valid"
