"""`/openapi.json`, and `/api`: the same as a page, made here, with no script."""

import json
from functools import cache
from html import escape
from string import Template
from typing import Any

from aiohttp import web

from web.openapi import document

_METHODS = ("get", "post", "patch", "delete", "options")


_PAGE = Template("""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Sightline: the HTTP interface</title>
    <link rel="icon" type="image/svg+xml" href="/static/favicon.svg">
    <link rel="stylesheet" href="/static/style.css">
    <link rel="stylesheet" href="/static/api.css">
  </head>
  <body class="interface">
    <header class="masthead">
      <a class="brand" href="/">Sightline</a>
      <a href="/openapi.json">openapi.json</a>
    </header>
    <main>
      <h1>The HTTP interface</h1>
      <p class="about">$about</p>
      <nav aria-label="Parts"><ul class="parts">$contents</ul></nav>
      $parts
      <section id="schemas"><h2>What bodies look like</h2>$schemas</section>
    </main>
  </body>
</html>
""")


def routes() -> list[web.AbstractRouteDef]:
    """`/openapi.json` and `/api`."""
    return [web.get("/openapi.json", _document), web.get("/api", _page)]


async def _document(request: web.Request) -> web.Response:
    return web.Response(text=_text(), content_type="application/json")


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=_html(), content_type="text/html")


@cache
def _text() -> str:
    return json.dumps(document(), indent=1)


@cache
def _html() -> str:
    told = document()
    tags = [*told["tags"], {"name": "schemas"}]
    return _PAGE.substitute(
        about=_prose(told["info"]["description"]),
        contents="".join(
            f'<li><a href="#{escape(tag["name"].lower())}">{escape(tag["name"].capitalize())}</a>'
            for tag in tags
        ),
        parts="".join(_part(tag) for tag in told["tags"]),
        schemas="".join(_schema(*item) for item in told["components"]["schemas"].items()),
    )


def _part(tag: dict[str, str]) -> str:
    operations = "".join(
        _operation(path, method, item[method])
        for path, item in document()["paths"].items()
        for method in _METHODS
        if method in item and tag["name"] in item[method]["tags"]
    )
    name = escape(tag["name"])
    return (
        f'<section id="{name.lower()}"><h2>{name}</h2>'
        f'<p class="about">{_prose(tag["description"])}</p>{operations}</section>'
    )


def _operation(path: str, method: str, told: dict[str, Any]) -> str:
    asked = "".join(
        _row(each["name"], f"{each['description']} {_bounds(each)}")
        for each in told.get("parameters", ())
    )
    taken = "".join(_row("body", kind) for kind in told.get("requestBody", {}).get("content", ()))
    answered = "".join(_answer(*item) for item in told["responses"].items())
    role = told.get("x-role", "everyone")
    return (
        f"<details><summary><code><b>{method.upper()}</b> {escape(path)}</code> "
        f"<span>{escape(told['summary'])}</span></summary>"
        f"<p>{_prose(told.get('description', ''))}</p>"
        f"<p>For: {escape(role)}.</p><dl>{asked}{taken}</dl><h3>Answers</h3><dl>{answered}</dl>"
        "</details>"
    )


def _bounds(parameter: dict[str, Any]) -> str:
    """Say where a parameter stands, and what it may be."""
    schema = parameter["schema"]
    told = f"In the {parameter['in']}"
    if "enum" in schema:
        told += f": one of {', '.join(schema['enum'])}"
    elif "maximum" in schema:
        told += f": {schema['minimum']} to {schema['maximum']}"
    if "default" in schema:
        told += f"; {schema['default']} if it is not given"
    return (
        f"{told}." if parameter["required"] or "default" in schema else f"{told}; may be left out."
    )


def _answer(status: str, told: dict[str, Any]) -> str:
    # All errors look the same, as the beginning of the page says.
    kinds = "" if status >= "400" else ", ".join(map(_kind, told.get("content", {}).items()))
    return _row(status, f"{told['description']} {kinds}")


def _kind(content: tuple[str, dict[str, Any]]) -> str:
    name, body = content
    schema = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return f"`{name}` ({schema})" if schema else f"`{name}`"


def _row(name: str, about: str) -> str:
    return f"<div><dt><code>{escape(name)}</code></dt><dd>{_prose(about)}</dd></div>"


def _schema(name: str, rule: dict[str, Any]) -> str:
    text = escape(json.dumps(rule, indent=2))
    return f"<details><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>"


def _prose(text: str) -> str:
    """Escape a text, and set what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)
    )
