"""What proves an answer: a module a rung of the ladder; `verify.ladder` is the one door to all of them.

A module has `check(claim, …)`, every check of its evidence under the reader's policy, and `rests_on(claim)`, the trust
that remains where they hold.
"""
