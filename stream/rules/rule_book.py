"""All rules of a server: those of the configuration, and those that were edited on the page."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Literal

from stream.rules.rule import MAX_RULES, Rule
from stream.rules.rule_file import RuleFile, RuleFileError

Origin = Literal["configuration", "page"]

logger = logging.getLogger(__name__)


class NoSuchRule(LookupError):
    """There is no rule of this name."""


class RuleNotEditable(ValueError):
    """A rule cannot be edited; the message says why and what to do."""


class RuleBook:
    """Keeps the rules; those of the configuration are used instead of edited ones of their name."""

    def __init__(
        self,
        configured: Mapping[str, Rule],
        file: RuleFile | None,
        apply: Callable[[Mapping[str, Rule]], None],
        read_only: str = "",
    ) -> None:
        """Start with the rules of the configuration; call `load` for the others.

        Args:
            configured: Rules of the configuration, by name.
            file: The file of the edited rules; None if there is no place for it.
            apply: Called with all rules when they change.
            read_only: Why rules cannot be edited, and what to do; empty if they can.
        """
        self._configured, self._edited = dict(configured), dict[str, Rule]()
        self._file, self._apply = file, apply
        self._changing = asyncio.Lock()
        self.read_only = read_only
        if file is None and not read_only:
            self.read_only = (
                "there is no configuration file beside which rules could be kept; start the server "
                "with --config FILE, or set SIGHTLINE_RULES_FILE"
            )

    @property
    def rules(self) -> dict[str, Rule]:
        """All rules by name, in the order of their names."""
        return dict(sorted({**self._edited, **self._configured}.items()))

    def origin(self, name: str) -> Origin:
        """Return where a rule comes from."""
        return "configuration" if name in self._configured else "page"

    async def load(self) -> None:
        """Read the file, and apply all rules; raises `RuleFileError`."""
        async with self._changing:
            if self._file:
                self._edited = await asyncio.to_thread(self._file.read)
            self._use()

    async def reload(self, configured: Mapping[str, Rule], file: RuleFile | None) -> None:
        """Apply a new configuration, and what is in the file now; raises `RuleFileError`."""
        async with self._changing:
            edited = await asyncio.to_thread(file.read) if file else {}
            self._configured, self._edited = dict(configured), edited
            self._file = file or self._file
            self._use()

    async def put(self, name: str, rule: Rule) -> None:
        """Add or replace an edited rule.

        Raises:
            RuleNotEditable: If it is not to be edited here.
            RuleFileError: If the file cannot be written, or is damaged; it is unchanged then.
        """
        async with self._changing:
            self._check_editable(name)
            rules = {**await self._read(), name: rule}
            if len({*rules, *self._configured}) > MAX_RULES:
                raise RuleNotEditable(f"there are {MAX_RULES} rules already; delete one first")
            await self._write(rules)

    async def delete(self, name: str) -> None:
        """Delete an edited rule; raises as `put`, and `NoSuchRule`."""
        async with self._changing:
            self._check_editable(name)
            rules = await self._read()
            if name not in rules:
                raise NoSuchRule(f"there is no rule named {name}")
            del rules[name]
            await self._write(rules)

    def _check_editable(self, name: str) -> None:
        if name in self._configured:
            raise RuleNotEditable(
                f"the rule {name} is in the configuration file; edit it there, or choose another "
                "name"
            )
        if self.read_only:
            raise RuleNotEditable(self.read_only)

    async def _read(self) -> dict[str, Rule]:
        """Return what is in the file now: someone may have edited it by hand."""
        return dict(await asyncio.to_thread(self._file.read)) if self._file else {}

    async def _write(self, rules: Mapping[str, Rule]) -> None:
        if self._file is None:
            raise RuleFileError(self.read_only)
        await asyncio.to_thread(self._file.write, rules)
        self._edited = dict(rules)
        self._use()

    def _use(self) -> None:
        if hidden := sorted(self._edited.keys() & self._configured.keys()):
            logger.warning(
                "the configuration has rules of the same name as edited ones, and is used: %s",
                ", ".join(hidden),
            )
        self._apply(self.rules)
