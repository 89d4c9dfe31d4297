"""The entry point: `caser` and `python -m caser`.

torch spins its idle threads by default, which slows a step thirty times when another process wants the processor; the
setting must be made before torch is imported, and so it is made here.
"""

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from caser.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
