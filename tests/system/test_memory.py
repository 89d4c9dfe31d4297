"""Memory: a model that cannot fit is refused before anything is allocated, and freed blocks are used again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caser.errors import ConfigError
from caser.system import memory
from caser.system.memory import TRAINING_COPIES, refuse_what_cannot_fit
from tests.skips import on_another_system


def test_parameters_are_counted_with_their_gradients_and_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 16_000.0)
    refuse_what_cannot_fit("caser", [(100, 10)], TRAINING_COPIES)
    with pytest.raises(ConfigError, match=r"needs at least 0\.0 GB"):
        refuse_what_cannot_fit("caser", [(100, 10), (1,)], TRAINING_COPIES)


def test_a_table_larger_than_this_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs at least [\d,]+\.\d GB and only [\d,]+\.\d GB are"):
        refuse_what_cannot_fit("caser", [(10**9, 10**6)], TRAINING_COPIES)


FAULTS_OF_A_BLOCK = """
import resource
from caser.system.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(b"x") * 2**26
    del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason=on_another_system("needs glibc, which gives big blocks back at once")
)
def test_a_big_block_that_was_freed_is_used_again_without_a_page_fault() -> None:
    # In a process of its own, because blocks that other tests have freed would change the count.
    done = subprocess.run([sys.executable, "-c", FAULTS_OF_A_BLOCK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2**26 / 4096 / 10


def test_a_control_group_bounds_the_free_memory_and_cached_files_count_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/other\n0::/shop/service\n")
    for group, most, used, cached in [("shop", "3000", 900, 500), ("shop/service", "max", 800, 0)]:
        (tmp_path / group).mkdir()
        (tmp_path / group / "memory.max").write_text(f"{most}\n")
        (tmp_path / group / "memory.current").write_text(f"{used}\n")
        (tmp_path / group / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 100\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_ALL_GROUPS", tmp_path)
    assert memory.free_memory() == 3000 - (900 - 500 - 100)
