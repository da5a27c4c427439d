"""What a provider has attested: by its own heartbeat, and for payers who chose the nonce themselves."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from p2p.rates import Rates
from verify.teepolicy import ANYTHING
from verify.tiers.tee import Occasion, check_attestation
from verify.tiers.tee.attested import BadQuote
from verify.tiers.tee.dcap import platform_of
from wire.attestation import (
    Bound,
    Challenge,
    Collateral,
    IntelCollateral,
    SignedChallenge,
    TeeEvidence,
    TeeKind,
    sign_challenge,
)
from wire.bounds import CLOCK_SKEW_MS
from wire.errors import ErrorCode, RemoteError
from wire.modelset import MAX_MODELS, path_of, root_of

from ..bounds import (
    ATTEST_BURST,
    ATTEST_FRESH_MS,
    ATTEST_PAYER_BURST,
    ATTEST_PAYER_RATE,
    ATTEST_RATE,
    ATTEST_SECONDS,
    MAX_ATTESTED,
    REST_MS,
)
from ..clock import now_ms
from ..local import Local
from ..ready import ReadyModels
from .attester import Attester, AttesterFailed
from .collateral import Collaterals, ends_soon, holding
from .heartbeat import Beat, Heartbeat

log = logging.getLogger("hallmark.attesting")

AskPeers = Callable[[str], Awaitable[list[IntelCollateral]]]
LONGEST = 60.0  # seconds between two looks at what is due


@dataclass(frozen=True)
class Made:
    """A quote, with all that is needed to show it for any model of its set."""

    kind: TeeKind
    challenge: SignedChallenge
    bound: Bound
    models: frozenset[bytes]
    quote: bytes
    collateral: Collateral | None

    def evidence(self, model: bytes) -> TeeEvidence:
        """It, for one model of the set."""
        return TeeEvidence(
            kind=self.kind, challenge=self.challenge, bound=self.bound, path=path_of(self.models, model),
            quote=self.quote, collateral=self.collateral,
        )  # fmt: skip

    def shows(self, model: bytes, at_ms: int) -> bool:
        """Whether it is of this model, and still fresh."""
        return model in self.models and at_ms - self.challenge.challenge.issued_ms < ATTEST_FRESH_MS


class Attesting:
    """One provider's. `ask_peers` gets collateral of a platform from others; `run` until cancelled."""

    def __init__(
        self, local: Local, ready: ReadyModels, attester: Attester, runtime: bytes, collaterals: Collaterals,
        ask_peers: AskPeers,
    ) -> None:  # fmt: skip
        self.attester, self.heartbeat = attester, Heartbeat()
        self._local, self._ready, self._runtime = local, ready, runtime
        self._collaterals, self._ask_peers = collaterals, ask_peers
        self._own: Made | None = None
        self._asked = OrderedDict[bytes, Made]()  # by payer
        self._one = trio.Lock()  # the hardware makes one quote at a time
        self._all, self._each = Rates(ATTEST_RATE, ATTEST_BURST), Rates(ATTEST_PAYER_RATE, ATTEST_PAYER_BURST)

    def shown(self, payer: bytes, model: bytes) -> TeeEvidence | None:
        """The evidence for an answer: over the payer's own nonce where it asked with one, else the heartbeat's."""
        at = now_ms()
        made = next((m for m in (self._asked.get(payer), self._own) if m is not None and m.shows(model, at)), None)
        return made.evidence(model) if made else None

    def covers(self, model: bytes) -> bool:
        """Whether answers of this model can be shown to be attested: only then is the tier offered."""
        return self._own is not None and self._own.shows(model, now_ms())

    async def run(self) -> None:
        """Keep the own attestation fresh, and say when answers can be attested and when no longer."""
        offered = frozenset[bytes]()
        while True:
            seen, models = self._ready.changed.count, self._models()
            if models and not self.heartbeat.due(now_ms(), root_of(models)):
                await self._beat()
            covered = self._own.models if self._own and self.heartbeat.stands(now_ms()) else frozenset()
            if covered != offered:
                offered = covered
                self._ready.changed.notify()  # what is offered changes
                continue
            due = self.heartbeat.due(now_ms(), root_of(models)) / 1000 if models else LONGEST
            await self._ready.changed.wait(min(max(due, 0.1), LONGEST), since=seen)

    def _models(self) -> frozenset[bytes]:
        return frozenset(sorted(self._ready.all())[:MAX_MODELS])

    async def _beat(self) -> None:
        key, at = self._local.key, now_ms()
        own = Challenge(asker=key.address, provider=key.address, nonce=secrets.token_bytes(32), issued_ms=at)
        try:
            made = await self._make(sign_challenge(own, key, self._local.network.domain))
        except AttesterFailed as error:
            self.heartbeat.failed(now_ms(), str(error))
            log.warning("this machine could not be attested: %s", error)
            return
        self._own = made
        self.heartbeat.made(Beat(made.bound.models, at))
        log.info("attested by %s: %d model(s)", self.attester.name, len(made.models))

    async def over(self, challenge: SignedChallenge, model: bytes) -> TeeEvidence:
        """Evidence over a payer's own challenge; RemoteError when it is not for us, too old, or asked too often."""
        asked, domain = challenge.challenge, self._local.network.domain
        if asked.provider != self._local.key.address or not challenge.is_signed(domain):
            raise RemoteError(ErrorCode.REFUSED, "the challenge is not for this provider, or not signed")
        if not -CLOCK_SKEW_MS <= now_ms() - asked.issued_ms < ATTEST_FRESH_MS:
            raise RemoteError(ErrorCode.REFUSED, "the challenge is of another time")
        known = self._asked.get(asked.asker)
        if known is None or known.challenge != challenge or not known.shows(model, now_ms()):
            if model not in self._models():
                raise RemoteError(ErrorCode.NOT_FOUND, "this provider does not run that model")
            now = trio.current_time()
            if not self._each.take(asked.asker.hex(), now) or not self._all.take("", now):
                raise RemoteError(ErrorCode.OVERLOADED, "quotes are asked for too often", after_ms=REST_MS)
            try:
                known = await self._make(challenge)
            except AttesterFailed as error:
                raise RemoteError(ErrorCode.FAILED, f"this machine could not be attested: {error}") from error
            self._asked[asked.asker] = known
            self._asked.move_to_end(asked.asker)
            if len(self._asked) > MAX_ATTESTED:
                self._asked.popitem(last=False)
        return known.evidence(model)

    async def _make(self, challenge: SignedChallenge) -> Made:
        """A quote that holds in every way but for its reader's policy; AttesterFailed says why there is none."""
        local, models = self._local, self._models()
        bound = Bound(key=local.key.public, runtime=self._runtime, models=root_of(models))
        data = bound.report_data(challenge.challenge.digest(local.network.domain))
        with trio.move_on_after(ATTEST_SECONDS):
            async with self._one:
                quote, collateral = await trio.to_thread.run_sync(
                    self.attester.quote,
                    data,
                    abandon_on_cancel=True,  # type: ignore[call-arg]  # the stubs are older
                )
            try:
                if self.attester.kind in ("sgx", "tdx"):
                    collateral = await self._collateral(quote)
            except BadQuote as error:
                raise AttesterFailed(str(error)) from error
            made = Made(self.attester.kind, challenge, bound, models, quote, collateral)
            self._hold(made)
            return made
        raise AttesterFailed(f"{self.attester.name} took longer than {ATTEST_SECONDS:g} s")

    async def _collateral(self, quote: bytes) -> IntelCollateral:
        """Intel's words on this platform: what is kept, or what a peer has when that ends soon."""
        kind, at_s = self.attester.kind, now_ms() // 1000
        best = self._collaterals.best(kind, quote, at_s)
        if best is None or ends_soon(best[1], at_s):
            for offered in await self._ask_peers(platform_of(quote)):
                found = holding(kind, quote, offered, at_s)
                if found and (best is None or found.good_from_s > best[1].good_from_s):
                    best = offered, found
        if best is None:
            name = platform_of(quote)
            raise AttesterFailed(f"there is no collateral of {name} here, and no peer has any: see hallmark doctor")
        self._collaterals.keep(*best)
        return best[0]

    def _hold(self, made: Made) -> None:
        """What would be refused everywhere is not shown: a debug enclave, a module that signed something else."""
        key = self._local.key
        model = next(iter(made.models))
        occasion = Occasion(
            network=self._local.network, provider=key.address, payer=key.address, model=model, at_ms=now_ms(),
            on_card=False,
        )  # fmt: skip
        for check in check_attestation(made.evidence(model), occasion, ANYTHING):
            if not check.ok:
                raise AttesterFailed(f"{check.name}: {check.detail}")
