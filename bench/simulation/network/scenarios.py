"""What happens to the network, scenario by scenario, at the size of the gossipsub hardening study.

Source: Vyzovitis et al., GossipSub: Attack-Resilient Message Propagation in the Filecoin and ETH2.0 Networks, 2020.
"""

from __future__ import annotations

from .attackers import Attacker, Censor, Covert, Silent, Spammer
from .honest import Honest
from .links import Road
from .peers import Peer
from .run import COUNTED, Limits, Run, Scenario
from .transfers import Swarm

MODEL = 32  # chunks: 8 MiB
HOLDERS = 0.01  # of the honest have it
TURN = 20.0  # seconds, when those who behaved well turn
CROWD = 0.2  # of the honest want it at once


def _flash_crowd(run: Run) -> None:
    swarm = run.swarm = Swarm(run.world, MODEL)
    holders = run.providers[: max(1, int(len(run.honest) * HOLDERS))]
    swarm.holders.update((holder.name, holder) for holder in holders)
    others = [peer for peer in run.honest if peer not in holders]
    for peer in run.random.sample(others, int(len(others) * CROWD)):
        run.at(COUNTED + run.random.random(), swarm.fetch, peer)


def _churn(run: Run) -> None:
    """Half of all go within a minute, each in its own moment, and come back after 5 to 20 s."""
    gone = [peer for peer in run.honest[4:] if peer not in run.providers]
    for peer in run.random.sample(gone, len(run.honest) // 2):
        leaves = COUNTED + 60 * run.random.random()
        run.at(leaves, run.world.stop, peer, run.random.random() < 0.5)
        run.at(leaves + 5 + 15 * run.random.random(), run.world.start, peer)


def _partition(run: Run) -> None:
    """Two halves hear nothing of each other for 60 s, long enough that all connections between them are given up."""
    sides = {peer.name: index % 2 for index, peer in enumerate(run.honest)}
    run.at(15, run.world.part, sides)
    run.at(75, run.world.part, {})


def _aim(run: Run, victims: list[Peer]) -> None:
    for attacker in run.attackers:
        assert isinstance(attacker, Attacker)
        attacker.victims = victims


def _eclipse_one(run: Run) -> None:
    _aim(run, [run.providers[0]])


def _eclipse_providers(run: Run) -> None:
    run.providers = run.providers[:5]
    _aim(run, list(run.providers))


def _eclipse_newcomer(run: Run) -> None:
    newcomers = run.honest[-5:]
    run.late.update(newcomers)
    for attacker in run.attackers:  # they are in routing tables by then
        assert isinstance(attacker, Attacker)
        attacker.victims = [*newcomers, *run.random.sample(run.honest[:-5], 20)]
    for i, peer in enumerate(newcomers):
        run.at(20 + i, run.world.start, peer)


def _censor(run: Run) -> None:
    censored = frozenset(peer.name for peer in run.providers[:3])
    for i in range(run.wanted):
        censor = Censor(run.world, len(run.honest) + i, run.attackers_address(i))
        censor.censored = censored
        run.enlist(censor)
        _acquaint(run, censor)
    run.providers = run.providers[:3]


def _covert(run: Run, conduct: type[Attacker]) -> None:
    for i in range(run.wanted):
        covert = Covert(run.world, len(run.honest) + i, run.attackers_address(i))
        run.enlist(covert)
        _acquaint(run, covert)
        run.at(TURN, covert.turn, conduct)


def _acquaint(run: Run, attacker: Honest) -> None:
    """Attackers that play honest know others from the start, and are known: in every book a fifth is theirs."""
    for peer in run.random.sample(run.honest, 12):
        attacker.book.note(peer.name, (peer.address,), 1)
        peer.book.note(attacker.name, (attacker.address,), 1)


# Attackers that spam have good offers too, three quarters of all, and refuse who asks: four of them in a row are tried.
CROWDED = Limits(answered=0.55)
HOMES = Limits(p99_ms=600)  # a private peer has public neighbours alone, whose meshes are soon full
ALL = [
    Scenario("calm", "Nobody attacks; every link takes 25 ms."),
    Scenario(
        "distant",
        "Nobody attacks; links take 60 ms in the middle, each pair its own time, with 20% of jitter and 1% of loss.",
        road=Road(60_000, spread=0.5, jitter=0.2, loss=0.01),
        limits=Limits(p99_ms=1500),
    ),
    Scenario(
        "cold boot",
        "All start within three seconds, and know nobody but four bootstraps.",
        cold=True,
        counted=45,
        seconds=70,
    ),
    Scenario("flash crowd", "A fifth of the network fetches 8 MiB that one in a hundred has.", _flash_crowd),
    Scenario(
        "churn",
        "Half of the network goes within a minute, half of those without a word, and comes back after 5 to 20 s.",
        _churn,
        seconds=85,
        limits=Limits(seen=0.99, worst=0.9, p99_ms=4000),
    ),
    Scenario("partition", "Two halves hear nothing of each other for 60 s.", _partition, seconds=110,
             counted=85),
    Scenario("homes", "Six in ten peers are behind NATs, one in ten behind a router that maps; one in twenty relays.",
             homes=True, limits=HOMES, seconds=70, counted=45),
    Scenario("lying dial-backs", "As homes, and a fifth of the network says the opposite when asked to dial back.",
             homes=True, limits=HOMES, conduct="lies", arrive=0.0, seconds=70, counted=45),
    Scenario("spam", "Attackers say 20 forged, excessive or old messages a second on each connection.", conduct="spam",
             limits=CROWDED),
    Scenario("silent", "Attackers take places in meshes and pass nothing on.", conduct="silent"),
    Scenario("promises", "Attackers offer messages that do not exist.", conduct="promises"),
    Scenario("grafts", "Attackers ask for a place in the mesh ten times a second.", conduct="grafts"),
    Scenario("mixed", "A fifth of the attackers each: spam, silence, promises, grafts, lies in the DHT.",
             conduct="mixed"),
    Scenario("dawn", "As mixed, and the attackers are there from the first second of a cold boot.", conduct="mixed",
             arrive=0.0, cold=True, counted=45, seconds=70),
    Scenario("covert silence", "A fifth of the network behaves well, and falls silent in one second.",
             lambda run: _covert(run, Silent)),
    Scenario("covert spam", "A fifth of the network behaves well, and spams from one second on.",
             lambda run: _covert(run, Spammer), limits=CROWDED),
    Scenario("eclipse of one", "All attackers turn on one provider.", _eclipse_one, conduct="mixed"),
    Scenario("eclipse of providers", "All attackers turn on the five providers of a model.", _eclipse_providers,
             conduct="mixed", limits=CROWDED),
    Scenario("eclipse of newcomers", "All attackers turn on five peers that know nobody but the bootstraps.",
             _eclipse_newcomer, conduct="poison", arrive=0.0),
    Scenario("censorship", "A fifth of the network passes everything on but the offers of three providers.", _censor),
]  # fmt: skip
NAMED = {scenario.name: scenario for scenario in ALL}
