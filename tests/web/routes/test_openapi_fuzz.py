"""Fuzz test of valid and invalid requests generated from the OpenAPI document, over real HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.support.captions import caption_event
from tests.support.servers.feed_app import serve_feeds
from web.keys import HISTORY, PUBLICATIONS

_ENDLESS = r"/events$"
_EXAMPLES = 12
_CHECKS = [
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
_NO_LIMITS = {
    "requests_per_s": 1e6,
    "all_requests_per_s": 1e6,
    "bytes_per_s": 1e9,
    "all_bytes_per_s": 1e9,
}


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(context: Any, value: Any) -> bytes:
    """Serialize a body as plain text."""
    return str(value).encode(errors="replace")


def bounded(case: Case[Any], span: int) -> Case[Any]:
    """Use the existing feed and span for half of the requests, and keep responses finite."""
    is_valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if is_valid and case.path_parameters and "span" in case.path_parameters:
        case.path_parameters["span"] = span
    if case.path_parameters and "feeds" in case.path and len(str(case)) % 2:
        case.path_parameters["name"] = "yard"
    if case.path.endswith("captions.jsonl"):
        case.query = {**(case.query or {}), "limit": 1}
    if case.query and str(case.query.get("follow")) == "true":
        case.query["follow"] = "false"
    return case


def _can_be_wrong(operation: Any) -> bool:
    """Whether the operation has invalid requests: OPTIONS gives the same response to any."""
    raw = operation.definition.raw
    takes = raw.get("parameters") or raw.get("requestBody")
    return bool(takes) and operation.method.upper() != "OPTIONS"


def fuzz(url: str) -> int:
    """Send requests to every operation; return their number."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    with urlopen(f"{url}/api/history/search?feed=yard") as response:
        spans = json.load(response)["spans"]
    span = next(span["id"] for span in spans if span["picture"])
    count = 0
    for result in schema.exclude(path_regex=_ENDLESS).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=_EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def test(case: Any) -> None:
                nonlocal count
                # An empty list is sent as nothing, which is right.
                assume([] not in (case.query or {}).values())
                response = bounded(case, span).call()
                count += 1
                assert response.status_code != 500, response.text
                case.validate_response(response, checks=_CHECKS)

            if mode is GenerationMode.POSITIVE or _can_be_wrong(operation):
                test()
    return count


async def test_no_request_breaks_the_server_or_the_document(tmp_path: Path) -> None:
    history = {"path": tmp_path / "history.sqlite", "days": 36_500, "pictures": "changes"}
    async with serve_feeds(history=history, limits=_NO_LIMITS) as client:
        assert client.app
        for number in range(20):
            client.app[PUBLICATIONS].captions.publish(
                caption_event(f"Dog {number}", number, "yard")
            )
        async with asyncio.timeout(20):
            while not client.app[HISTORY].pictures.kept:
                await asyncio.sleep(0.01)
        count = await asyncio.to_thread(fuzz, str(client.make_url("")).rstrip("/"))
    assert count > 400
