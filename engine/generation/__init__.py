"""Generation: a decoder's graph, run token by token with its cache, until a condition ends it.

`layout` finds out how a graph names its cache; `parameters` reads what is asked; `machine` decides (which ids run
next, which token is drawn, what text is safe to show, when to end) with `sampler`, `detokenise` and `stops`; `cache`
keeps the state between two steps; `generator` joins them for the worker. An answer is checked by `forcing`, from its
tokens at once, with `draws`, `scores` and `nearness`. `layout` alone is for the node too, so it and
this file know no numbers.
"""
