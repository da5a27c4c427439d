"""`hallmark`: finds the command, loads only its module, and turns every failure into a sentence and an exit code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

import click

from ..errors import CommandError, Exit

SECTIONS = {
    "Running a peer": {
        "init": "make a peer: its key, its data directory, its network",
        "serve": "run a peer",
        "id": "show this peer's id, key and address",
        "peers": "show who is connected and what they do",
        "ps": "show what the node executes: memory, queue, rates",
        "network": "make and show network files",
        "config": "show the settings and where each came from",
        "store": "check the disk, free space, pin models",
        "doctor": "find what is wrong with this machine or peer",
    },
    "Models": {
        "model": "add, find, show, pull, edit, withdraw, remove and export models",
        "petname": "your own names for publishers",
        "zk": "circuits, for answers with a proof",
    },
    "Asking": {
        "quote": "what an answer costs now, before anything is spent",
        "infer": "ask a model, and get a proved answer",
        "bench": "measure peers, or this machine: rate, latency, overhead",
    },
    "Checking": {
        "verify": "check a receipt, a benchmark or a fraud file, offline",
        "receipt": "list and export the receipts that this peer keeps",
        "fraud": "evidence of peers that broke their word",
        "policy": "show what you are ready to believe",
    },
    "Money": {
        "chain": "a chain of your own, contracts on any chain, and how it stands",
        "wallet": "accounts that hold tokens: make one, see it, send",
        "channel": "payment channels: what is left in them, and what they earned",
        "stake": "put tokens behind your node, and see who has what at stake",
        "unstake": "take tokens back, after a while",
        "delegate": "put tokens behind another's node",
        "epoch": "who earned what in an epoch, and when it is paid",
        "claim": "have what you earned paid out",
        "income": "what you earned and spent, and from where on a node pays",
    },
    "All of it": {
        "demo": "the whole path on this machine: seven peers, a proof, its price",
    },
}
COMMANDS = {name: what for section in SECTIONS.values() for name, what in section.items()}


class _Commands(click.Group):
    """Loads a command's module when it is called: `hallmark id` need not import a network stack."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"node.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<8}", what) for name, what in commands.items()])


EPILOG = "Exit codes: " + ", ".join(f"{e.value} {e.name.lower().replace('_', ' ')}" for e in Exit) + "."


@click.command(cls=_Commands, epilog=EPILOG)
@click.version_option(package_name="hallmark")
def cli() -> None:
    """Host models and get answers that can be proved."""


def main() -> None:
    """The entry point of the `hallmark` command."""
    as_json = "--json" in sys.argv
    try:
        _log()
        code = cli.main(prog_name="hallmark", standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        sys.exit(Exit.INTERRUPTED)
    except BaseException as error:
        failure = as_command_error(error)
        if failure is None:
            raise
        show_failure(failure, as_json)
        sys.exit(failure.exit_code)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def _log() -> None:
    level = os.environ.get("HALLMARK_LOG", "WARNING").upper()
    if level not in logging.getLevelNamesMapping():
        raise CommandError(Exit.CONFIG, f"HALLMARK_LOG is {level!r}", "Choose DEBUG, INFO, WARNING or ERROR.")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def as_command_error(error: BaseException) -> CommandError | None:
    """The failure inside `error`, looking into exception groups; None for what is no failure of ours to tell."""
    from ..failures import explain

    return explain(error)


def show_failure(failure: CommandError, as_json: bool) -> None:
    """On standard error for people; with --json one object on standard output."""
    if as_json:
        from .screen import echo_json

        body: dict[str, Any] = {"event": "error", "exit_code": int(failure.exit_code), "error": failure.exit_code.name}
        echo_json(body | {"message": failure.message, "next": failure.next_step})
    else:
        click.secho(f"Error: {failure.message}", fg="red", err=True)
        if failure.next_step:
            click.echo(f"  {failure.next_step}", err=True)
