"""`hallmark bench`: how much a peer answers, how fast, and whether rightly.

Decisions stand in machines without I/O: `load` says when which client asks, `samples` turns what came into figures,
`witness` is a provider's memory of whom it answered. `driving` moves one step's requests, `floor` runs the same model
without any network (`direct` is its process), `records` makes what is signed of it, `page` and `plots` the report.
`suite` has the models of the standard suite.
"""
