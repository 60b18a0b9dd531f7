import asyncio
import json
import re
from pathlib import Path
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from stream.history.search import MOST_SPANS
from tests.support.captions import ScriptedCaptions
from tests.web.yard import DOG, Client, serving
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
        and not isinstance(route.resource, web.StaticResource)
        # A HEAD goes with every GET that has an end.
        and route.method != "HEAD"
    }


async def test_what_is_served_is_described_and_what_is_described_is_served() -> None:
    app = create_app(ServerSettings(), ScriptedCaptions(DOG))
    described = {
        (method, path)
        for path, item in document()["paths"].items()
        for method in METHODS & set(item)
    }
    assert described == routes_of(app)


def test_the_document_is_openapi_and_all_it_refers_to_is_there() -> None:
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


def test_every_parameter_of_a_path_is_described() -> None:
    for path, item in document()["paths"].items():
        for method in METHODS & set(item):
            named = {
                each["name"] for each in item[method].get("parameters", ()) if each["in"] == "path"
            }
            assert named == set(re.findall(r"{(\w+)}", path)), (method, path)


async def test_what_is_answered_is_as_described(tmp_path: Path) -> None:
    asked = [
        "/api/feeds",
        "/api/feeds/yard",
        "/api/history/search?q=dog",
        "/api/history/timeline?buckets=3",
        f"/api/history/search?limit={MOST_SPANS + 1}",
        "/api/me",
        "/api/ice",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/analyses/none",
    ]
    async with serving(history={"path": tmp_path / "history.sqlite"}) as client:
        await asyncio.sleep(0.3)
        for path in asked:
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
            told = item["get"]["responses"][str(response.status)]
            schema = told["content"][response.content_type]["schema"]
            validator(schema).validate(body)
            return
    raise AssertionError(f"{path} is not described")


def valid(name: str) -> Draft202012Validator:
    return validator({"$ref": f"#/components/schemas/{name}"})


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document()["components"]})


async def test_the_page_shows_all_of_it_and_needs_nobody_else() -> None:
    async with serving(feeds={}) as client, client.get("/api") as response:
        assert response.status == 200 and response.content_type == "text/html"
        page = await response.text()
    for path in document()["paths"]:
        assert path in page
    assert "<script" not in page and "style=" not in page
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)


async def test_the_roles_are_those_that_the_locks_ask_for() -> None:
    tokens = {"admin": "admin-admin-admin", "viewer": "viewer-viewer-viewer"}
    access = {f"{role}_token": token for role, token in tokens.items()}
    async with serving(feeds={}, access=access) as client:
        for path, item in document()["paths"].items():
            for method in METHODS & set(item):
                needed = item[method].get("x-role")
                url = re.sub(
                    r"{seq}", "1", path.replace("{name}", "report.json", "analyses" in path)
                )
                url = re.sub(r"{\w+}", "x", url)
                for role in (None, "viewer"):
                    headers = {"Authorization": f"Bearer {tokens[role]}"} if role else {}
                    allowed = needed is None or (role is not None and needed == role)
                    if allowed and method == "get" and "events" in path:
                        continue
                    async with client.request(method, url, headers=headers) as response:
                        refused = response.status in (401, 403)
                        assert refused != allowed or path == "/login", (method, path, role)
    assert ROLE
