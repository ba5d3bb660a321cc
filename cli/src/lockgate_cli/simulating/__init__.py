"""Rollouts that never happened: what a plan does to a fleet, by the very rules that decide.

Needs the extra `lockgate[simulate]`. `vector_gate` and `vector_controller` do for many clients, and
for many rollouts, what `lockgate_release.gate` and `lockgate_release.rollout.controller` do for
one; tests hold each to its original, case by case. Nothing outside this room imports it, except
the command `simulate`.
"""
