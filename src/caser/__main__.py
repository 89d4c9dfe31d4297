"""The entry point: `caser` and `python -m caser`.

torch spins its idle threads by default, which slows a step thirty times when another process wants the processor; the
setting must be made before torch is imported, and so it is made here. An answer's products are too small to share: with
two threads, a served answer costs three times the processor.
"""

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "serve" in sys.argv[1:]:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    from caser.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
