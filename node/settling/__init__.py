"""Settling: receipts on their way to settlers, and what settlers do with them until everybody is paid."""
