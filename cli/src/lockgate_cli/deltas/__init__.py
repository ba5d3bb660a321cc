"""Deltas: from which releases they lead to a new one, and how they are made."""
