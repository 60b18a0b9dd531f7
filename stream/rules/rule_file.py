"""The file of the rules that are edited on the page, beside the configuration of the user."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.rules.rule import MAX_RULES, Rule, RuleName, first_problem
from stream.rules.state_store import write_atomically
from stream.settings import UnreadableFile, read_text_file

_HEADER = """\
# Rules that were edited on the page. The server replaces this file: write rules of your own into
# the configuration file, whose rules are used instead of those of the same name here.
"""

_DELETE = re.compile("\x7f")


class RuleFileError(ValueError):
    """The file cannot be read or written; the message says why and what to do."""


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: dict[RuleName, Rule] = Field(default_factory=dict, max_length=MAX_RULES)


class RuleFile:
    """Reads and replaces the file; blocking, so call it in a thread."""

    def __init__(self, path: Path) -> None:
        """Use a file, which need not exist."""
        self.path = path

    def read(self) -> dict[str, Rule]:
        """Return the rules by name; none if there is no file.

        Raises:
            RuleFileError: If it cannot be read, or a rule is wrong.
        """
        try:
            if not self.path.exists():
                return {}
            text = read_text_file(self.path)
            return _Rules.model_validate(tomllib.loads(text)).rules
        except (UnreadableFile, OSError) as error:
            raise RuleFileError(f"{self.path} cannot be read: {error}") from None
        except ValidationError as error:
            raise RuleFileError(f"{self.path}: {first_problem(error)}") from None
        except (ValueError, RecursionError) as error:
            raise RuleFileError(f"{self.path} is not valid TOML: {error}") from None

    def write(self, rules: Mapping[str, Rule]) -> None:
        """Replace the file; after a crash it has the old rules or the new ones.

        Raises:
            RuleFileError: If it cannot be written; it is unchanged then.
        """
        try:
            write_atomically(self.path, rules_toml(rules))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RuleFileError(
                f"{self.path} cannot be written: {reason}; allow the server to write into its "
                "folder, or set rules_file in the configuration to another file"
            ) from None


def rules_toml(rules: Mapping[str, Rule]) -> str:
    """Return rules as TOML, without the settings that have their default."""
    tables = []
    for name, rule in rules.items():
        values = rule.model_dump(mode="json", exclude_defaults=True)
        lines = "".join(f"{key} = {_value(value)}\n" for key, value in values.items())
        tables.append(f"\n[rules.{name}]\n{lines}")
    return _HEADER + "".join(tables)


def _value(value: object) -> str:
    """Return a value as TOML, which texts, numbers, booleans and lists of texts are as JSON.

    But TOML has no escapes for halves of a character, and none of DEL is allowed as it is.
    """
    return _DELETE.sub(r"\\u007f", json.dumps(value, ensure_ascii=False))
