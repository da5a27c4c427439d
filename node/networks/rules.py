"""Which network file may follow which. No I/O.

A newer file is the publisher's word on seeds, relays, RPCs and coming epochs. It never makes another network of ours:
not its name, its domain, its contracts, nor what held in an epoch that is known already.
"""

from __future__ import annotations

import msgspec

from wire.chain import ChainSpec
from wire.errors import RecordError
from wire.keys import show_address
from wire.network import Network, Registry
from wire.networkfile import SignedNetwork, read_file

from ..networkfile import parse_network

_EPOCH = Registry.__struct_fields__
_MAY_CHANGE = {"rpcs", "confirmations"}  # of a chain


class SignedFile(msgspec.Struct, frozen=True):
    """A signed file and what it says. Whether the right one signed it is for `follow` to find."""

    signed: SignedNetwork
    network: Network

    @property
    def version(self) -> int:
        """Which one it is of its network's files."""
        return self.network.version

    @property
    def hands_over(self) -> bool:
        """Whether another than its signer has the word from then on."""
        publisher = self.network.publisher
        return publisher is None or not self.signed.is_by(publisher, self.network.domain)


def read_signed(text: str) -> SignedFile:
    """A signed file; RecordError for anything else. It costs a parse: of a stranger's, the signature is looked at
    first (`follow_text`)."""
    signed = read_file(text)
    if signed is None:
        raise RecordError("it is not signed")
    network = parse_network(signed.body.decode())
    if network.publisher is None:
        raise RecordError("it is signed, and names no publisher")
    return SignedFile(signed, network)


def follow_text(ours: Network, text: str) -> tuple[SignedFile, Network]:
    """What a stranger gave, as a file, and the network as it is with it; RecordError says why it may not be."""
    signed = read_file(text)
    if signed is not None:
        _check_author(ours, signed)
    file = read_signed(text)
    return file, follow(ours, file)


def follow(ours: Network, file: SignedFile) -> Network:
    """The network as it is once this file has come; RecordError says why it may not follow ours."""
    theirs = file.network
    if (theirs.name, theirs.domain) != (ours.name, ours.domain):
        raise RecordError(f"it is of another network than {ours.name}: other name, chain or contract")
    _check_author(ours, file.signed)
    if theirs.version <= ours.version:
        raise RecordError(f"it is version {theirs.version}, and {ours.version} is here already")
    _check_chain(ours.chain, theirs.chain)
    _check_epochs(ours, theirs)
    if ours.chain is None:
        return theirs
    # Which epochs there are is the chain's to say: what was followed stays.
    return msgspec.structs.replace(theirs, **{name: getattr(ours, name) for name in (*_EPOCH, "past")})


def _check_author(ours: Network, signed: SignedNetwork) -> None:
    if ours.publisher is None:
        raise RecordError(f"the file of network {ours.name} names no publisher, so nobody may replace it")
    if not signed.is_by(ours.publisher, ours.domain):
        raise RecordError(f"it is not signed by the publisher of {ours.name}, {show_address(ours.publisher)}")


def _check_chain(ours: ChainSpec | None, theirs: ChainSpec | None) -> None:
    if (ours is None) != (theirs is None):
        raise RecordError("it would " + ("put the network on a chain" if ours is None else "take the chain away"))
    if ours is None or theirs is None:
        return
    for name in ChainSpec.__struct_fields__:
        if name not in _MAY_CHANGE and getattr(ours, name) != getattr(theirs, name):
            raise RecordError(f"it has another `{name}` on the chain")


def _check_epochs(ours: Network, theirs: Network) -> None:
    before: tuple[Network | Registry, ...] = (*ours.past, ours)
    after: tuple[Network | Registry, ...] = (*theirs.past, theirs)
    known = {rules.epoch: _rules(rules) for rules in before}
    for rules in after:
        if known.get(rules.epoch, held := _rules(rules)) != held:
            raise RecordError(f"it changes epoch {rules.epoch}, which is known already")
    if ours.chain is None and theirs.epoch < ours.epoch:
        raise RecordError(f"it ends with epoch {theirs.epoch}, and epoch {ours.epoch} is here already")


def _rules(rules: Network | Registry) -> Registry:
    """What holds in an epoch. Where verifiers are reached is no rule, and may change."""
    fields = {name: getattr(rules, name) for name in _EPOCH}
    fields["verifiers"] = tuple(
        sorted((msgspec.structs.replace(v, addresses=()) for v in rules.verifiers), key=lambda v: v.key)
    )
    return Registry(**fields)
