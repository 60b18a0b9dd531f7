"""The file of edited rules, and the book that joins them with those of the configuration."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream.rules import NoSuchRule, Rule, RuleBook, RuleFile, RuleFileError, RuleNotEditable
from stream.rules.rule_file import rules_toml

DOG, CAT = Rule(any=("dog",)), Rule(any=("cat",), hours="22:00-06:00", confidence=0.25)


def folder(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


class Applied:
    """Records what a book applies."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}

    def __call__(self, rules: Any) -> None:
        """Apply rules."""
        self.rules = dict(rules)


@given(st.text(max_size=60), st.text(min_size=1, max_size=100), st.booleans())
def test_every_rule_survives_being_written(term: str, message: str, enabled: bool) -> None:
    try:
        rule = Rule(any=("dog", term), message=message, enabled=enabled, targets=())
    except ValidationError:
        return
    if not (term + message).isascii():
        # As a request or a file in UTF-8 has it.
        try:
            (term + message).encode()
        except UnicodeEncodeError:
            return
    read = tomllib.loads(rules_toml({"a-b_c": rule}))["rules"]["a-b_c"]

    assert Rule.model_validate(read) == rule


async def test_edited_rules_are_kept_and_applied(tmp_path: Path) -> None:
    path, applied = tmp_path / "rules.toml", Applied()
    book = RuleBook({"dogs": DOG}, RuleFile(path), applied)
    await book.load()
    assert applied.rules == {"dogs": DOG}
    assert not path.exists()

    await book.put("cats", CAT)
    assert applied.rules == {"cats": CAT, "dogs": DOG} == book.rules
    assert (book.origin("cats"), book.origin("dogs")) == ("page", "configuration")
    other = Applied()
    await RuleBook({}, RuleFile(path), other).load()
    assert other.rules == {"cats": CAT}
    assert folder(tmp_path) == ["rules.toml"]

    await book.delete("cats")
    assert applied.rules == {"dogs": DOG}
    with pytest.raises(NoSuchRule, match="no rule named cats"):
        await book.delete("cats")


async def test_the_configuration_comes_first_and_is_never_edited(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, applied = tmp_path / "rules.toml", Applied()
    RuleFile(path).write({"dogs": CAT})
    book = RuleBook({"dogs": DOG}, RuleFile(path), applied)
    await book.load()

    assert applied.rules == {"dogs": DOG}
    assert "same name as edited ones, and is used: dogs" in caplog.text
    for edit in (book.put("dogs", CAT), book.delete("dogs")):
        with pytest.raises(RuleNotEditable, match="edit it there"):
            await edit
    await book.reload({}, RuleFile(path))
    assert applied.rules == {"dogs": CAT}


async def test_without_a_configuration_file_it_says_what_to_do() -> None:
    book = RuleBook({}, None, Applied())
    with pytest.raises(RuleNotEditable, match="--config FILE"):
        await book.put("dogs", DOG)


async def test_the_number_of_rules_is_bounded(tmp_path: Path) -> None:
    book = RuleBook(
        {f"dogs{number}": DOG for number in range(99)}, RuleFile(tmp_path / "r"), Applied()
    )
    await book.put("cats", CAT)
    await book.put("cats", DOG)
    with pytest.raises(RuleNotEditable, match="delete one first"):
        await book.put("birds", CAT)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[rules.dogs]\nany = ['dog']\nseconds = 3\n", "setting 'rules.dogs.seconds'"),
        (b"[rules.dogs]\n", "set any, all or none"),
        (b"[rules.The Dogs]\n", "is not valid TOML"),
        (b"[rules]\n'a b' = {any = ['dog']}\n", "is not a valid name"),
        (b"[feeds.yard]\n", "setting 'feeds'"),
        (b"[[[", "is not valid TOML"),
        (b"\xff\xfe\0", "UTF-16 or binary"),
    ],
)
async def test_a_damaged_file_is_reported_and_kept(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises(RuleFileError, match=reason):
        await RuleBook({}, RuleFile(path), Applied()).load()
    assert path.read_bytes() == content


async def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    applied = Applied()
    book = RuleBook({}, RuleFile(tmp_path / "file" / "rules.toml"), applied)
    (tmp_path / "file").write_text("no folder")
    await book.load()
    with pytest.raises(RuleFileError, match="set rules_file in the configuration"):
        await book.put("dogs", DOG)
    assert applied.rules == book.rules == {}


async def test_a_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    kept, link = tmp_path / "dotfiles" / "rules.toml", tmp_path / "config" / "rules.toml"
    link.parent.mkdir()
    link.symlink_to(kept)
    book = RuleBook({}, RuleFile(link), Applied())
    # At first it leads nowhere.
    await book.load()
    await book.put("dogs", DOG)
    await book.put("cats", CAT)

    assert link.is_symlink()
    assert tomllib.loads(kept.read_text())["rules"].keys() == {"dogs", "cats"}
    assert folder(kept.parent) == folder(link.parent) == ["rules.toml"]


async def test_edits_by_hand_are_never_overwritten(tmp_path: Path) -> None:
    path, applied = tmp_path / "rules.toml", Applied()
    book = RuleBook({}, RuleFile(path), applied)
    await book.load()
    await book.put("dogs", DOG)
    path.write_text(rules_toml({"dogs": DOG, "birds": Rule(any=("bird",))}))
    await book.put("cats", CAT)
    await book.delete("dogs")
    assert applied.rules.keys() == RuleFile(path).read().keys() == {"birds", "cats"}

    path.write_text("[rules.birds]\nany = [")
    for change in (book.put("dogs", DOG), book.delete("cats")):
        with pytest.raises(RuleFileError, match="is not valid TOML"):
            await change
    assert path.read_text() == "[rules.birds]\nany = ["
    assert applied.rules.keys() == {"birds", "cats"}
