"""A scenario that cannot run here says so."""


class Skipped(Exception):
    """What the machine lacks for it."""
