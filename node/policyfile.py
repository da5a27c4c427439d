"""policy.toml: what this user is ready to believe. Absent means the strict default; a wrong entry stops everything.

It is read anew for each question, so that a running node follows it at once.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from verify.policy import Policy

from .datadir import DataDir
from .errors import CommandError, Exit

_HEAD = """\
# What you are ready to believe. Hallmark refuses any answer or receipt that is less than this says, however valid.
# tiers: those that are good enough. Every other entry rules the evidence of one of them.

"""


def load_policy(directory: DataDir, named: str = "") -> Policy:
    """The policy in the file `named`, else in the data directory's, else the strict default.

    CommandError when it is wrong, or missing where somebody named it.
    """
    path = Path(named).expanduser() if named else directory.policy
    try:
        # Closed to unknown entries: a misspelt rule that holds nobody would be worse than none.
        return read_policy(path.read_text())
    except FileNotFoundError:
        if not named:
            return Policy()
        raise CommandError(Exit.CONFIG, f"there is no policy file {path}", "See: hallmark policy show") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        hint = "Mend that; hallmark policy show names every rule."
        raise CommandError(Exit.CONFIG, f"{path}: {error}", hint) from error


def read_policy(text: str) -> Policy:
    """The policy that the TOML `text` describes; ValueError says which entry is wrong."""
    given = tomllib.loads(text)
    _closed(given, asdict(Policy()), "")
    return msgspec.convert(given, Policy)


def _closed(given: dict[str, Any], known: dict[str, Any], where: str) -> None:
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"there is no rule {where}{name}; there are {', '.join(known)}")
        if isinstance(known[name], dict):
            if not isinstance(value, dict):
                raise ValueError(f"{where}{name} is a table of rules")
            _closed(value, known[name], f"{where}{name}.")


def show_policy(policy: Policy) -> str:
    """The file's text for a policy, every rule with its value."""
    return _HEAD + tomli_w.dumps(msgspec.to_builtins(policy))
