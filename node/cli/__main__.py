"""`python -m node.cli`: the same as `hallmark`, where its script is not on the path."""

from .main import main

main()
