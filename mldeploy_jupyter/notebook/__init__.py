"""The magics and what they display: thin views over `commands` and `api`.

Imports `commands` and the layers below it; the only room that may import IPython, and only inside functions.
"""
