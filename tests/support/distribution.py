"""The order of the tests when several processes run them."""

from collections.abc import Sequence

import pytest

_ENGINE = {"engine", "own_engine", "ray_cluster"}
_BROWSER = {"browser", "server"}
"""Fixtures that take long to start, and that each process has for itself."""
_LIGHT = ("stream", "support", "web")
"""Folders whose other tests share nothing that takes long."""


def distributed(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """Order tests so that what many of them share is started in few processes.

    `--dist worksteal` gives each process an equal part of the list. One that has run its part takes
    over tests from the end of another's. So the tests that share an engine begin one part, those
    that share a browser another. The tests that compile models take longest and begin the last
    part, and those that share nothing are at the ends.
    """
    engine: list[pytest.Item] = []
    browser: list[pytest.Item] = []
    compiling: list[pytest.Item] = []
    light: list[pytest.Item] = []
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        folder = item.path.relative_to(item.config.rootpath).parts[1]
        if fixtures & _ENGINE:
            engine.append(item)
        elif fixtures & _BROWSER:
            browser.append(item)
        else:
            (light if folder in _LIGHT else compiling).append(item)
    compiling.sort(key=lambda item: "models" not in item.path.parts)

    parts: list[list[pytest.Item]] = [engine, browser, *([] for _ in range(processes - 2))]
    size = len(items) // processes
    for group in (compiling, light):
        for part in reversed(parts):
            room = max(0, size - len(part))
            part += group[:room]
            del group[:room]
    return [item for part in (*parts, light) for item in part]
