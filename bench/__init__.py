"""Benchmarks: each prints a table, and a ratio against a named rival measured in the same run.

`make bench` runs all of them; `make bench ARGS=start_up` one. Processor time rather than wall time
wherever it is the program's own work, rivals in turns so that a busy machine is busy for both,
medians throughout. A bar is printed beside each figure that has one.
"""
