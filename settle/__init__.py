"""Money and rules on a chain: payments for answers, stakes, epochs, and what a peer earned and spent."""
