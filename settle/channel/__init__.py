"""The two sides of a payment channel, as machines without I/O: `payer`, `payee`, when to claim, and what may be spent.

A voucher grows by one answer's price at a time, and only over answers that were proved. So the payer can lose what its
answers under way cost, and the payee what it answered since the last voucher that it kept.
"""
