"""Entry scripts as text: what they define and import, what is wrong with them, and the cells they come from.

Imports only `core.errors`, `core.files` and `core.records`.
"""
