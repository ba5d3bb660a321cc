"""Rollouts that follow a plan: what is known of one, what it proves, and the next step."""
