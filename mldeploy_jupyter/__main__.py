"""The start of the program `mldeploy`, also as `python -m mldeploy_jupyter`: an interrupt while it is imported is none
of its errors.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; returns the exit code."""
    try:
        from mldeploy_jupyter import cli

        return cli.main()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
