"""How the installed program is started, and what its end means."""
