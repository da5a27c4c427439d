"""What a settler answers on the stream `settle`: to who hands over receipts, to other settlers, to who asks for its
lines."""

from __future__ import annotations

import trio

from p2p import Channel
from p2p.rates import Rates
from settle.chain import ChainError
from storage import StoreDamaged
from wire.canonical import decode
from wire.errors import ErrorCode, RemoteError
from wire.keys import address_of, public_of
from wire.receiptfile import ReceiptFile
from wire.settlement import (
    MAX_LINES_AT_ONCE,
    MAX_RECEIPTS_NAMED,
    AskLines,
    AskSettled,
    AskTree,
    Certified,
    Compare,
    Fetch,
    Lines,
    Missing,
    Propose,
    Settle,
    SettledIn,
    SettleRequest,
    Tree,
)

from ..bounds import REST_MS, SETTLE_ASK_BURST, SETTLE_ASKS, SETTLE_BURST, SETTLE_RATE, SETTLE_SECONDS
from ..peer import Peer
from .book import Book
from .desk import Desk
from .rounds import EpochWork, gather
from .watching import Watch, own_runs


class SettleService:
    """Serves the stream for one settler."""

    def __init__(self, peer: Peer, desk: Desk, watch: Watch, book: Book) -> None:
        self._peer, self._desk, self._watch, self._book = peer, desk, watch, book
        self._asks = Rates(SETTLE_ASKS, SETTLE_ASK_BURST)
        self._fetches = Rates(SETTLE_RATE, SETTLE_BURST)

    async def serve(self, channel: Channel) -> None:
        """One exchange."""
        said = await channel.receive(SettleRequest, timeout=SETTLE_SECONDS)
        if isinstance(said, Settle):
            with self._peer.work():
                by_settler = self._watch.settles(address_of(public_of(channel.peer)))
                await channel.send(await self._desk.take(said.file, channel.peer, by_settler=by_settler))
            return
        rates = self._fetches if isinstance(said, Fetch) else self._asks
        if not rates.take(channel.peer, trio.current_time()):
            raise RemoteError(ErrorCode.OVERLOADED, "you ask more than one may", after_ms=REST_MS)
        if isinstance(said, Compare | Propose | Certified):
            await self._agree(channel, said)
        else:
            await self._tell(channel, said)

    async def _agree(self, channel: Channel, said: Compare | Propose | Certified) -> None:
        """Another settler's part in an epoch that both settle."""
        epoch = said.epoch if isinstance(said, Compare) else said.root.epoch
        try:
            work = await self._watch.work_of(epoch)
        except ChainError as error:
            raise RemoteError(ErrorCode.OVERLOADED, "this settler has no chain now", after_ms=REST_MS) from error
        if work is None:
            raise RemoteError(ErrorCode.NOT_FOUND, f"epoch {epoch} is not to be settled, as far as this settler knows")
        if address_of(public_of(channel.peer)) not in work.facts.settlers.order:
            raise RemoteError(ErrorCode.REFUSED, f"you do not settle epoch {epoch}", retry=False)
        if isinstance(said, Compare):
            await channel.send(self._compare(work, await gather(channel, said)))
        elif isinstance(said, Propose):
            versions = await gather(channel, said)
            await channel.send(await work.judge(said.turn, said.root, versions))
        else:
            await channel.send(await work.say(work.machine.certify(said)))

    def _compare(self, work: EpochWork, told: tuple[bytes, ...]) -> Missing:
        here = work.versions
        lacks, has = sorted(v for v in told if not self._desk.has(v)), sorted(here - set(told))
        return Missing(lacks=tuple(lacks[:MAX_RECEIPTS_NAMED]), has=tuple(has[:MAX_RECEIPTS_NAMED]))

    async def _tell(self, channel: Channel, said: Fetch | AskLines | AskTree | AskSettled) -> None:
        if isinstance(said, Fetch):
            try:
                data = self._desk.file(said.version)
            except StoreDamaged:
                data = None
            if data is None:
                raise RemoteError(ErrorCode.NOT_FOUND, "this settler does not have that receipt", retry=False)
            await channel.send(Settle(file=decode(data, ReceiptFile)))
        elif isinstance(said, AskSettled):
            store = self._peer.local.store.settling
            await channel.send(SettledIn(epochs=tuple(store.settled_in(digest) for digest in said.receipts)))
        else:
            kept = await self._book.lines(said.epoch)
            if kept is None:
                raise RemoteError(ErrorCode.NOT_FOUND, f"this settler has no lines of epoch {said.epoch}")
            if isinstance(said, AskTree):
                some = kept.lines[said.first : said.first + MAX_LINES_AT_ONCE]
                await channel.send(Tree(root=kept.root, lines=tuple(some)))
            else:
                await channel.send(Lines(root=kept.root, runs=tuple(own_runs(kept, said.account))))
