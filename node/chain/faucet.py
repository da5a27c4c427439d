"""A devnet's faucet: play money for whoever asks. Public chains have none that a program may ask."""

from __future__ import annotations

from settle.replies import binary
from settle.rpc import RpcError, open_rpc

from ..config import Config
from ..datadir import DataDir
from ..errors import CommandError, Exit
from ..local import find_network
from ..networkfile import load_network


async def ask_faucet(directory: DataDir, config: Config, rpc: str | None, to: bytes) -> list[str]:
    """Ask the devnet at `rpc`, or the network's, to fund an account; the transactions' hashes.

    CommandError when it is no devnet; Unavailable when it does not answer.
    """
    urls: tuple[str, ...] = (rpc,) if rpc else config.rpcs
    if not urls:
        chain = load_network(find_network(directory, config.network)).chain
        if chain is None:
            raise CommandError(Exit.CONFIG, "this network has no chain", "Name the devnet: --rpc URL")
        urls = chain.rpcs
    async with open_rpc(urls, None) as opened:
        try:
            sent = await opened.call("hallmark_fund", "0x" + to.hex())
        except RpcError as error:
            raise CommandError(
                Exit.CHAIN, f"that chain gives nothing away: {error}", "Only a devnet has a faucet: hallmark chain dev"
            ) from error
    if not isinstance(sent, list):
        return []
    return ["0x" + binary(one, "hallmark_fund", 32).hex() for one in sent]
