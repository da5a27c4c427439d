"""Attestation in a node: what makes quotes (`attester`), when (`heartbeat`), for whom (`service`), how it is asked for
(`exchange`), and what is known of platforms (`collateral`). `verify.tiers.tee` checks what they make, whoever made it.
"""
