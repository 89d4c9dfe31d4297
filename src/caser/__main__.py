"""The entry point of `caser` and `python -m caser`.

It sets an environment variable before NumPy is imported, which reads it only once:

OMP_NUM_THREADS  1 for `caser serve` only: the products of one answer are too small to share. With two threads, an
                 answer costs three times the processor time.

A variable that the caller has set stays as it is.
"""

import os
import sys
from collections.abc import Sequence


def command_in(arguments: Sequence[str]) -> str | None:
    """Return the command among the arguments: the first word that is no option; None if there is none.

    >>> command_in(["--debug", "serve", "runs/mine"]), command_in(["train", "serve"]), command_in(["--help"])
    ('serve', 'train', None)
    """
    return next((word for word in arguments if not word.startswith("-")), None)


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    if command_in(arguments) == "serve":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from caser.service import early_stop

        early_stop.install()
    from caser.cli.app import run
    from caser.system import hints

    hints.run_by(sys.argv[0])
    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
