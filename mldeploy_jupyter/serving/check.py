"""Runs a script once: the module name by which older versions start `worker/script_check.py`."""

from .worker.script_check import main

if __name__ == "__main__":
    main()
