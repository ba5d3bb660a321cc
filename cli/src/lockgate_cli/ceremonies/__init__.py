"""Ceremonies at the terminal: a file is made, shown, signed by one person after the other, sent.

Each step reads the state in force by itself and compares the file with it. What a file says of
itself is shown to nobody but as what somebody wrote.
"""
