"""How an installation changes: stage, switch, trial's outcome, recovery."""
