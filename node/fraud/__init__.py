"""Frauds that this peer met: kept on disk, shown, and exported as files that anybody can check."""
