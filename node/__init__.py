"""The top floor: it joins the crafts into a peer, and gives the peer its roles, its commands and its demonstration.

`node` may import every other package, and no other package imports it: here alone two crafts meet. A peer stands in
`peer` (and, without a network, in `local`); what it knows of others on the `noticeboard`; how a question becomes a
proved answer in `asking`. Roles stand in `roles`, what commands do in `operations`, how they speak in `cli`.
"""
