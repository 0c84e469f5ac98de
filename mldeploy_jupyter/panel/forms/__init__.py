"""Forms as data: what can be set, the check of what was typed, the calls it equals, and the command that it runs.

A form is a front of a command. Its values become the command's words (`words.py`), so that the form, the magic, the
command line and Python do the same by construction.
"""
