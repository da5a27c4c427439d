"""The words of docs/committees.md that no number decides."""

HEAD = """\
The product's own machines decide: the draw (`verify/committee.py`), the round (`verify/round.py`), what makes a word
valid (`verify/ballots.py`) and what certifies (`verify/tiers/quorum.py`). Verifiers speak through a double of
`verify/member.py`, which makes the same records and signs them with a hash, since real signatures would take five times
as long; `Member` and real signatures give the same run, event by event (`tests/bench/test_committees.py`), and the
processor times below were measured with them.

1,000 peers: one asks, one answers, 998 may verify, with equal stakes but where it is said. One adversary holds a share
f of the stake, and all who belong to it act as one. Of the honest verifiers 2% are dead (half of them refuse a
connection, half never answer) and 5% ten times as slow; a fifth of the machines is at work on something else. Messages
take 4 ms to a neighbour and 80 ms along the side of a square, each pair with a factor of its own; 1% of the segments is
lost and sent again after 200 ms, and 0.2% of the streams break. A model takes 50 ms. These numbers are chosen, not
measured; they decide the times, and hardly the probabilities.

One seed gives one run, to the byte. After every trial the rules of `bench/simulation/committees/rules.py` are checked:
no honest verifier is called faulty or accepts a lie, no copied commitment counts, a verdict is what the weights say,
and no round ends undecided while a reserve could have decided. A run in which one breaks stops, and prints the seed and
the trial.

In the tables a cell is *simulated (95% interval, Wilson)* · **exact**. The exact value is hypergeometric, since the
draw is without replacement: as many of 998 verifiers as there are places, reserves included."""

READ = """\
- **The bench counts.** A verdict needs more than two thirds of the *members'* weight, from members and reserves
  together. Of a committee of 16, 11 of 20 places are enough: 55%, not 69%. A liar need not be the convener for that: a
  split committee calls its bench anyway, so `lies` and `reserves` have the same odds. The same bench is why true
  answers are so seldom refused.
- **By the same odds a true answer is certified as wrong**: liars that count more than the quorum can sign a REJECT.
- **Size helps as long as f is below 53%** (two thirds of the members' weight, of five quarters), and the less, the
  nearer f is. A true answer is safe as long as f is well below 47%.
- **Who asks may choose among committees**: the beacon is known, so a payer that conspires with the provider can try
  requests, at a few hashes each. Then the chance must be small beside the number of tries: read the last column.
- **Copying gains nothing** but silence. **Rejecting and keeping silent** cost the adversary's share of the places.
- **Splitting takes few accomplices.** Two receipts for one request, each shown to one half of the honest, are both
  certified as soon as the adversary has two of 20 places (six of 16 without a bench). No false content comes of it, and
  both receipts together convict the provider; but a certificate is no proof that its receipt is the only one.

The smallest committee, out of 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192 and 256, in which a false answer is certified
with less than a given chance; in brackets the chance that it does not certify a true answer, with 2% dead and the
adversary against it:"""

NOT_CERTIFIED = """\
Refused or undecided. The bold value counts the dead as well, but no broken streams; the requests of one size are the
same in all three tables, so these err together."""

TIMES = """\
From the request to the checked certificate at who asked, model and network included; the adversary's verifiers are
silent, half of them after their commit. Six hops are the least: request, call, commit, answer, vote, proof; more where
a reserve that was called decided. A round with somebody dead or silent ends 150 ms (`GRACE_MS`) after its decision.
Most of the bench is called even where nobody is dishonest: with peers so far apart, many take half as long again as
the first third. The price is up to a quarter more executions."""

UNEQUAL_TEXT = """\
Stakes of a Pareto distribution (exponent 1.2, at most a hundred times the least), drawn and counted by weight. The bold
value is that of equal stakes, for comparison. A reserve counts no more than the members' mean, so the bench carries
less of both, lies and help: where a heavy member rejects or dies, light reserves do not make up for it."""
