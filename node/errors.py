"""Every way a command can fail, each with its exit code and a sentence that says what to do next.

The table is part of the interface: scripts may rely on it (docs/settings.md lists it).
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    INTERNAL = 1  # our fault: please report it
    USAGE = 2  # the command line is wrong
    CONFIG = 3  # the configuration, key or network file is missing or wrong
    BUSY = 4  # another node holds the data directory
    NOT_FOUND = 5  # no such model, receipt, file or provider
    NO_PEERS = 6  # nobody could be reached
    REMOTE = 7  # the peers that were reached failed, refused or were too slow
    NOT_PROVED = 8  # the answer or receipt is not proved: never use it
    MODEL = 9  # the model was refused, or failed on this input
    STORAGE = 10  # the disk is full, or what is stored is damaged
    CHAIN = 11  # the chain could not be asked, or refused
    PAYMENT = 12  # not paid: no channel, no deposit, or your own limits
    INTERRUPTED = 130  # Ctrl-C


class CommandError(Exception):
    """A failure told to the user: what happened, then what to do."""

    def __init__(self, exit_code: Exit, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
        self.next_step = next_step
