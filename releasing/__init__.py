"""How Lockgate itself is released: built the same by everybody, tried, rehearsed, checked.

`python -m releasing build|compare|try|rehearse|notes|tree`, and `check`, which runs
`docs/release-checklist.md`.
"""
