"""The OpenAPI document against the routes and their responses, and its HTML page."""

import asyncio
import json
import re
import shlex
from html import unescape
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from stream.history.reader import MAX_SPANS
from tests.support.captions import ScriptedCaptions
from tests.support.servers.feed_app import DOG, Client, serve_feeds
from web.app import create_app
from web.openapi import document
from web.security.access import ROLE
from web.settings.server import ServerSettings

METHODS = {"get", "post", "put", "patch", "delete", "options"}


def routes_of(app: web.Application) -> set[tuple[str, str]]:
    return {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource
        and not route.resource.canonical.startswith("/static/")
        # aiohttp adds HEAD to most GET routes.
        and route.method != "HEAD"
    }


async def test_every_route_is_documented_and_exists() -> None:
    app = create_app(ServerSettings(), ScriptedCaptions(DOG))
    documented = {
        (method, path)
        for path, item in document()["paths"].items()
        for method in METHODS & set(item)
    }
    assert documented == routes_of(app)


def test_the_document_is_valid_and_all_references_resolve() -> None:
    text = json.dumps(document())
    assert document()["openapi"].startswith("3.1")
    for place in set(re.findall(r'"#/([^"]+)"', text)):
        found: Any = document()
        for part in place.split("/"):
            found = found[part]
    for name, rule in document()["components"]["schemas"].items():
        validator_for(rule, Draft202012Validator).check_schema(rule)
        assert name
    identities = [
        each["name"] for item in document()["paths"].values() for each in item.get("parameters", ())
    ]
    assert not identities


def test_every_path_parameter_is_documented() -> None:
    for path, item in document()["paths"].items():
        for method in METHODS & set(item):
            named = {
                each["name"] for each in item[method].get("parameters", ()) if each["in"] == "path"
            }
            assert named == set(re.findall(r"{(\w+)}", path)), (method, path)


async def test_responses_match_their_schemas(tmp_path: Path) -> None:
    paths = [
        "/api/feeds",
        "/api/feeds/yard",
        "/api/history/search?q=dog",
        "/api/history/timeline?buckets=3",
        f"/api/history/search?limit={MAX_SPANS + 1}",
        "/api/me",
        "/api/captioner",
        "/api/ice",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/analyses/none",
    ]
    async with serve_feeds(history={"path": tmp_path / "history.sqlite"}) as client:
        await asyncio.sleep(0.3)
        for path in paths:
            await check(client, path)
        async with client.get("/api/feeds/yard/captions.jsonl?limit=1") as response:
            valid("Caption").validate(json.loads(await response.text()))
        async with client.get("/api/history/export?format=jsonl") as response:
            for line in (await response.text()).splitlines():
                valid("Span").validate(json.loads(line))


async def check(client: Client, path: str) -> None:
    async with client.get(path) as response:
        body = await response.json()
        resource = response.url.path
    for template, item in document()["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), resource):
            documented = item["get"]["responses"][str(response.status)]
            schema = documented["content"][response.content_type]["schema"]
            validator(schema).validate(body)
            return
    raise AssertionError(f"{path} is not documented")


def valid(name: str) -> Draft202012Validator:
    return validator({"$ref": f"#/components/schemas/{name}"})


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document()["components"]})


async def test_the_page_shows_every_path_without_inline_code_or_other_sites() -> None:
    async with serve_feeds(feeds={}) as client, client.get("/api") as response:
        assert response.status == 200 and response.content_type == "text/html"
        page = await response.text()
    for path in document()["paths"]:
        assert path in page
    assert "<script>" not in page and "style=" not in page
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)


async def test_the_commands_of_the_page_work() -> None:
    token = "viewer-viewer-viewer"
    async with serve_feeds(feeds={}, access={"viewer_token": token}) as client:
        async with client.get("/api", headers={"Authorization": f"Bearer {token}"}) as response:
            page = unescape(await response.text())
        commands = [
            shlex.split(line)
            for line in re.findall(r"<pre class=.command. data-copy><code>(.*?)<", page)
        ]
        assert len(commands) == sum(
            len(METHODS & set(item)) for item in document()["paths"].values()
        )
        listing = next(each for each in commands if each[-1].endswith("/api/feeds"))
        assert listing[:2] == ["curl", "-H"]
        name, value = listing[2].split(": ")
        headers = {name: value.replace("TOKEN", token)}
        async with (
            ClientSession() as session,
            session.get(listing[-1], headers=headers) as response,
        ):
            assert (await response.json())["feeds"] == []
    assert [command[-1] for command in commands if "DELETE" in command]
    assert all("{" not in command[-1] for command in commands)


async def test_documented_roles_are_enforced() -> None:
    tokens = {"viewer": "viewer-viewer-viewer", "captions": "caption-caption-caption"}
    access = {
        "admin_token": "admin-admin-admin",
        "viewer_token": tokens["viewer"],
        "caption_token": tokens["captions"],
    }
    async with serve_feeds(feeds={}, access=access) as client:
        for path, item in document()["paths"].items():
            for method in METHODS & set(item):
                needed = item[method].get("x-role")
                url = re.sub(
                    r"{seq}|{span}", "1", path.replace("{name}", "report.json", "analyses" in path)
                )
                url = re.sub(r"{\w+}", "x", url)
                for role in (None, "viewer", "captions"):
                    headers = {"Authorization": f"Bearer {tokens[role]}"} if role else {}
                    allowed = needed is None or (role is not None and needed == role)
                    if allowed and method == "get" and "events" in path:
                        continue
                    async with client.request(method, url, headers=headers) as response:
                        refused = response.status in (401, 403)
                        assert refused != allowed or path == "/login", (method, path, role)
    assert ROLE
