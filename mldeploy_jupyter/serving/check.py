"""Runs a script once, under the name that supervisors of older versions start it by."""

from .worker.script_check import main

if __name__ == "__main__":
    main()
