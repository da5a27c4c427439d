"""Faults on real links: whole peers behind real NATs, in network namespaces that an emulated internet joins.

`make lab` runs it (`python -m tests.lab`): as root on Linux, since it makes namespaces; what is missing is told, and
then nothing passes. Nothing leaves the namespaces, and they end with the process, however that ends. The decisions
(`links.py`, `internet.py`) have tests of their own, which need no root and belong to `make test`.
"""
