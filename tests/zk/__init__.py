"""Tests of rung zk: what is decided without EZKL, EZKL in its process, and both against a forger."""
