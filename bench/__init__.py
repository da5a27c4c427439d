"""Measures through the doors that a user has. Figures and the commands that give them: bench/README.md."""
