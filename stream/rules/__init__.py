"""Rules: what to be told of, when, and how; their states, and a dry run over the history."""

from stream.rules.dry_run import DryRun, dry_run
from stream.rules.rule import MAX_RULES, MESSAGE_FIELDS, Rule, RuleName, first_problem
from stream.rules.rule_book import NoSuchRule, RuleBook, RuleNotEditable
from stream.rules.rule_file import RuleFile, RuleFileError
from stream.rules.state_store import StateFile, States, StateStore
from stream.rules.watcher import RuleWatcher

__all__ = [
    "MAX_RULES",
    "MESSAGE_FIELDS",
    "DryRun",
    "NoSuchRule",
    "Rule",
    "RuleBook",
    "RuleFile",
    "RuleFileError",
    "RuleName",
    "RuleNotEditable",
    "RuleWatcher",
    "StateFile",
    "StateStore",
    "States",
    "dry_run",
    "first_problem",
]
