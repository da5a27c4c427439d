"""Small models of the kinds that are more than one pass over tensors, made on the spot from random weights."""
