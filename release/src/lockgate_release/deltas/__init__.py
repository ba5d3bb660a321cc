"""Deltas between two trees: what one costs is what changed, not what there is."""
