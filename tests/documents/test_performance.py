"""docs/performance.md says of every bar what the kept results say."""

from __future__ import annotations

from pathlib import Path

from benchmarks.speed._rounds import bars_as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_the_page_has_the_table_that_the_results_give() -> None:
    rows = bars_as_markdown().splitlines()
    assert len(rows) > 2
    assert [row for row in rows if row not in PAGE.read_text(encoding="utf-8")] == []
