"""Finding the network: seeds by address and by name, the peers met before, and whom to dial of them all.

`seeds` asks DNS what a name stands for, `peerbook` keeps peers over restarts, `company` decides whom to dial, and
`bootstrap` does it.
"""
