"""The Jupyter server's side of the JupyterLab extension: the panel's protocol over HTTP, for who is signed in.

A thin view of `panel`, without a state of its own. It is loaded when a Jupyter server starts and imports the rest of
this package when the first request comes.
"""

from __future__ import annotations
