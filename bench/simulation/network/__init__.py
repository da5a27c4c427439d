"""A whole network in virtual time: 1,000 honest peers and 250 attackers under one seeded clock.

The product's own machines decide: who is dialled and let in, who sits in whose mesh, what is admitted and what it costs
who sent it, which piece is asked of whom, what a committee finds. Around them stand links that delay, lose and part
(`links`), peers that come and go (`peers`, `honest`), and small attackers (`attackers`). One seed gives one run, to the
byte.
"""
