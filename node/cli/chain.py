"""`hallmark chain dev | deploy | status`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import trio

from settle.publicchains import PUBLIC_CHAINS
from wire.errors import RecordError
from wire.keys import show_address
from wire.network import Network

from ..config import load_config
from ..datadir import DataDir, find_data_dir
from ..errors import CommandError, Exit
from ..keyfile import create_key, load_key
from ..local import keep_network
from ..networkfile import new_network, save_network
from ..running import run_operation
from .chaindev import command as dev
from .network import describe
from .progress import Shown
from .screen import echo_field, echo_json, everywhere


@click.group("chain", short_help="the chain that a network's money is on")
def command() -> None:
    """A network's stakes, payments and epochs are contracts on an EVM chain: a devnet of your own, or any other."""


command.add_command(dev)


@command.command("deploy")
@click.option(
    "--chain",
    "known",
    type=click.Choice(sorted(PUBLIC_CHAINS)),
    help="A public test chain, by name. Or give its --rpc.",
)
@click.option("--rpc", "rpcs", multiple=True, metavar="URL", help="Who speaks for the chain; repeatable.")
@click.option("--name", default="devnet", show_default=True, help="What the network is called.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write. Default: NAME.toml here.")
@click.option("--account", metavar="NAME", help="Who pays, owns the contracts and has all tokens. Default: owner.")
@click.option("--passphrase-file", metavar="FILE", help="What unlocks it (HALLMARK_PASSPHRASE_FILE).")
@click.option(
    "--verifier", "verifiers", multiple=True, metavar="PEER_ID",
    help="A verifier until the chain's first epoch; may be repeated. Default: this peer.",
)  # fmt: skip
@click.option("--committee", type=click.IntRange(0, 256), default=0, help="Members drawn for an answer. Default: 16.")
@click.option("--bootstrap", "bootstraps", multiple=True, metavar="ADDRESS", help="Where newcomers connect first.")
@click.option(
    "--epoch-seconds", type=click.IntRange(2, 90 * 86_400),
    help="An epoch's length. Default: a minute on a devnet, a week elsewhere.",
)  # fmt: skip
@click.option(
    "--confirmations", type=click.IntRange(0, 10_000),
    help="Blocks on top of one before it is relied on. Default: 0 on a devnet, 12 to 15 elsewhere.",
)  # fmt: skip
@click.option("--token-name", default="", help="Default: OPG on a devnet, Hallmark elsewhere.")
@click.option("--symbol", default="", help="Default: OPG on a devnet, HALL elsewhere.")
@click.option("--public/--devnet", "public", default=None, help="Which bonds and delays. Default: by the chain's id.")
@everywhere
def deploy(
    known: str | None, rpcs: tuple[str, ...], name: str, out: Path | None, account: str | None,
    passphrase_file: str | None, verifiers: tuple[str, ...], committee: int, bootstraps: tuple[str, ...],
    epoch_seconds: int | None,
    confirmations: int | None, token_name: str, symbol: str, public: bool | None, data_dir: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Put a network's contracts on a chain, and write the network file that others join with.

    Interrupted, it goes on where it stopped when it is run again with the same options.
    """
    from settle.rpc import shown_url

    from ..chain.deploying import Plan, found_network
    from ..chain.wallets import unlock_account
    from ..interrupt import interruptible

    directory = find_data_dir(data_dir)
    place = out or Path(f"{name}.toml")
    if place.exists():
        raise CommandError(Exit.CONFIG, f"{place} exists already", "Choose another place: --out FILE")
    if not directory.initialised:
        directory.create()
        create_key(directory.key)
    meant = PUBLIC_CHAINS[known] if known else None
    if not (rpcs := rpcs or (meant.rpcs if meant else ())):
        said = "it is not said which chain"
        raise CommandError(
            Exit.USAGE, said, "Give --chain base-sepolia, say, or --rpc URL (hallmark chain dev has one)."
        )
    if meant and confirmations is None:
        confirmations = meant.confirmations
    plan = Plan(
        rpcs=rpcs, chain_id=meant.chain_id if meant else 0, name=name,
        verifiers=verifiers or (load_key(directory.key).peer_id,), bootstraps=bootstraps,
        committee=committee, epoch=epoch_seconds or 0, confirmations=confirmations, token=token_name, symbol=symbol,
        public=public,
    )  # fmt: skip
    _check(plan.verifiers, name)
    config = load_config(directory, {"account": account, "passphrase_file": passphrase_file}).config
    key = unlock_account(directory, config)
    with Shown(as_json) as shown:
        network = trio.run(interruptible, lambda: found_network(directory, key, plan, shown))
    save_network(place, network)
    elsewhere = _keep(directory, network)
    if as_json:
        echo_json({"event": "network", "file": str(place)} | describe(network))
        return
    click.echo(
        f"Wrote {place}: network {name!r} on chain {network.chain_id}, registry {show_address(network.contract)}."
    )
    if any(shown_url(url).endswith("/…") for url in rpcs):
        click.echo("It has the RPC's whole URL: if there is a key in it, put another URL there before you hand it on.")
    if elsewhere:
        click.echo(f"This peer does not keep it: {elsewhere}.")
    click.echo("\nNext, on every peer, with an account of its own (hallmark wallet new):")
    click.echo(f"  hallmark serve --network {place} --passphrase-file FILE    and then: hallmark wallet faucet, stake")


def _keep(directory: DataDir, network: Network) -> str:
    """Make it a network of this peer's; why not, where that cannot be: what was deployed stays good."""
    try:
        keep_network(directory, network)
    except CommandError as error:
        return error.message
    return ""


@command.command("status")
@everywhere
def status(data_dir: str | None, as_json: bool) -> None:
    """Show who speaks for the chain, how far it is, and by which parameters its contracts work."""
    with Shown(as_json) as shown:
        found = trio.run(run_operation, find_data_dir(data_dir), {}, "chain.status", {}, shown)
    if as_json:
        echo_json({"event": "chain"} | found)
    else:
        _show(found)
    if "problem" in found:
        raise CommandError(Exit.CHAIN, found["problem"], "What is known goes on; what costs or pays money waits.")


def _show(found: dict[str, Any]) -> None:
    click.echo(f"Network {found['network']!r} on chain {found['chain_id']}")
    for rpc in found["rpcs"]:
        said = f"block {rpc['block']}, {rpc['milliseconds']} ms" if rpc["answers"] else rpc["why"]
        echo_field("RPC", f"{rpc['url']}: {said}")
    if head := found.get("head"):
        depth = f"{found['confirmations']} confirmations"
        echo_field("relied on", f"block {head['block']} ({depth}), {head['age_seconds']} s old")
    if found["account"]:
        echo_field("account", f"{found['account']}, unlocked; {len(found['pending'])} transaction(s) under way")
    for name, told in found.get("contracts", {}).items():
        click.echo(f"{name} {told['address']}")
        for key, value in told.items():
            if key != "address":
                inner = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
                click.echo(f"  {key}: {inner}")


def _check(verifiers: Sequence[str], name: str) -> None:
    """Before anything is paid for: would these make a network file?"""
    try:
        new_network(name, verifiers)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "Verifiers are given by peer id: hallmark id") from error
