"""A Ray cluster that several tests share: it says its address on stdout, and ends when its stdin is closed."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from caser.system.ray_cluster import ADDRESS, ray_cluster

NUM_CPUS = 2


@contextmanager
def shared_cluster() -> Iterator[dict[str, str]]:
    """Within, a cluster runs in a process of its own; yields the variables by which commands find it."""
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    words = [sys.executable, "-m", "tests.ray_cluster"]
    process = subprocess.Popen(
        words, env=os.environ | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield variables | {ADDRESS: address}
    finally:
        process.stdin.close()
        try:
            process.wait(60)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


if __name__ == "__main__":
    os.environ.pop(ADDRESS, None)
    with ray_cluster("a test", 1, has_cpus=NUM_CPUS) as ray:
        print(ray.get_runtime_context().gcs_address, flush=True)
        sys.stdin.read()
