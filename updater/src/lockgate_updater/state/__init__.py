"""What stands on this machine's disk: home, journal, memory, receipts, identity, lock."""
