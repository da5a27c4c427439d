"""What cannot be tried for real, in virtual time: committees of all sizes, and whole networks of 1,000 peers.

`committees` asks how often a false answer is certified; `network` how a network does whose peers come and go, and are
attacked. The product's own machines decide in both, and one seed gives one run, to the byte.
"""
