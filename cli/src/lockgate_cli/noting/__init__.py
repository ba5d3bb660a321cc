"""What a release says of itself: notes from a changelog or from commits, its tag, its version.

`changelog` and `commits` are pure; `tags` asks git; `wish` is what a command line and the settings
say, and what comes of it.
"""
