"""Generation, from the dice to the tokens of a real decoder."""
