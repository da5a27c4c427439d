"""The words of docs/simulation.md that no number decides."""

HEAD = """\
How a network does whose peers come and go, and are attacked. (How large a committee should be, and what an adversary
with a share of the stake can do, is another simulation: [committees.md](committees.md).)

The product's own machines decide: who is dialled (`p2p/joining/company.py`, `p2p/joining/peerbook.py`), who is let in
and who leaves for it (`p2p/standing/doorkeeper.py`), what is held against whom (`p2p/standing/score.py`), who is told
what (`p2p/gossip/mesh.py`), what is admitted (`p2p/gossip/gate.py`), whom a lookup asks (`p2p/lookup.py`), which piece
of a model is asked of whom (`p2p/blobs/transfer.py`), who believes to be reachable (`p2p/reach/machine.py`), which
relay gives what to whom (`p2p/relay/reserving.py`, `p2p/relay/limits.py`), and what a committee finds
(`verify/round.py`). Links are TCP's: a message waits for those before it, and what is lost is sent again after 200 ms.
A signature is a bit that says whether it is good.

A tenth of the honest peers says offers, four in a second together. There are a quarter as many attackers, 25 in each
range of addresses, who hold as many connections as they are let. Links take 25 ms and 2% of jitter, and carry 100
Mbit/s, but where it is said. It costs a peer 0.3 ms to judge a new message and 0.04 ms to know an old one. A peer
knows twelve others at the start, met before, but in a cold boot. Once a second somebody asks one of the providers
that it has heard of for an answer, and a committee of 16 sits on it, all peers being verifiers, the attackers among
them. These numbers are chosen, not measured.

One seed gives one run, to the byte, in any process. After each run the scenario's limits are checked; a run in which
one breaks stops, and prints its seed. Seeds that once failed are replayed by `tests/bench/test_network.py`."""

READ = """\
- **Gossip holds.** Whoever attacks, all offers are seen by all, about as fast as on a quiet day: silent members of a
  mesh are made up for by the others and by ids that are offered, and forged and excessive messages cost their senders a
  ban within seconds.
- **Ten thousand peers are as well off as one thousand**: run once (`--scenario calm --peers 10000`, seed 1), all 57
  offers reached all of them, in 106 ms (p50) and 134 ms (p99), with 4.81 messages a delivery.
- **No honest peer is banned** in any scenario, for forwarding what attackers say either.
- **What attackers offer and do not give costs tries.** Their offers are well signed, and nothing in gossip tells them
  from others; a client gives up after four providers that refuse it. Who was banned for something else is not asked.
- **A cold boot takes as long as bootstraps take to turn their guests over**: a house is full at 192 guests that came
  in, and who is of no use there gives way after 5 s.
- **A private peer knows that it is one, and a public one too**, within seconds. Liars in dial-backs change that for
  nobody while all are in one network (100 peers); a fifth of 1,250 that lie from ten networks mislead one peer in
  twelve: a majority of three to seven networks decides, and they hold many of a peer's connections."""

FOUND = """\
- A cold boot of 1,000 peers with four bootstraps never ended: the first 192 in each bootstrap's house stayed for
  minutes, 800 others were refused, and an offer was seen by 3%. With guests of no use giving way after 20 s there were
  still 300 peers alone after 42 s (counted while it ran), since who is refused waits longer each time. It is 5 s now,
  and after 19 s nobody is alone.
- Peers behind NATs have public neighbours alone, whose meshes are soon full, and each was left alone for 60 s after a
  prune: one in six had no mesh at all, and deliveries took 455 ms at p99. The pause is 12 s now where only room lacks.
- A flash crowd was as slow as those who hold all of a model (10.8 s at p50 with 400 peers): who has half of it was not
  known to anybody who looked. A fetch announces itself when it begins now, and serves what it has."""
