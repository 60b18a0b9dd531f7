import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.settings.errors import KeyPath, find_line, key_lines

TEXT = '''# A comment with [brackets] and 'quotes
port = 4200  # and one after

title = """
[not.a.table]
key = 1
"""
[stream]  # a table
sessions = 8
  beam_width=3
[feeds."front door"]
source = "rtsp://user:pass#word@camera/\\"=x"
a.b . 'c' = 1
list = [
  "one # two", # three
  [ "]" ],
  { x = 1 },
]
last = true
[[webhook]]
url = '\\'
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("port",), 2),
        (("title",), 4),
        (("stream",), 8),
        (("stream", "sessions"), 9),
        (("stream", "beam_width"), 10),
        (("feeds", "front door"), 11),
        (("feeds", "front door", "source"), 12),
        (("feeds", "front door", "a", "b", "c"), 13),
        (("feeds", "front door", "list"), 14),
        (("feeds", "front door", "last"), 19),
        (("webhook",), 20),
        (("webhook", "url"), 21),
    ],
)
def test_finds_the_line_of_every_table_and_key(path: KeyPath, line: int) -> None:
    tomllib.loads(TEXT)

    assert key_lines(TEXT)[path] == line


def test_a_key_without_a_line_has_that_of_its_table_or_key() -> None:
    found = key_lines(TEXT)

    assert find_line(found, ("feeds", "front door", "list", "2", "x")) == 14
    assert find_line(found, ("stream", "missing")) == 8
    assert find_line(found, ("host",)) is None


VALUES = st.one_of(
    st.integers(-9, 9).map(str),
    st.sampled_from(["true", "1.5e3", "1979-05-27T07:32:00Z", "[]", "{}", "{ a = ']' }"]),
    st.text("ab#=[]{}'\n \t", max_size=8).map(lambda text: f'"""{text}"""'),
    st.text('ab#=[]{}"\\ ', max_size=8).map(lambda text: f"'{text}'"),
    st.text("ab#=[]{}'", max_size=4).map(lambda text: f'[\n "{text}", # {text}\n]'),
)


@given(st.lists(st.tuples(st.booleans(), VALUES), max_size=8))
def test_finds_every_key_of_any_file(statements: list[tuple[bool, str]]) -> None:
    lines, table = [""], ""
    expected: dict[KeyPath, int] = {}
    for number, (begins_table, value) in enumerate(statements):
        at = "\n".join(lines).count("\n") + 2
        if begins_table:
            table = f"t{number}"
            expected[(table,)] = at
            lines.append(f"[ {table} ] # x")
        else:
            name = f"k{number}"
            expected[(table, name) if table else (name,)] = at
            lines.append(f"{name} = {value}")
    text = "\n".join(lines)
    read: dict[str, Any] = tomllib.loads(text)

    assert key_lines(text) == expected
    assert set(read) == {path[0] for path in expected}
