"""The tables in docs/performance.md equal those of the stored results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.__main__ import ON_THE_PAGE
from benchmarks.speed._rounds import bars_as_markdown, rows_as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_the_page_has_the_tables_of_the_stored_results() -> None:
    tables = [bars_as_markdown(), *map(rows_as_markdown, ON_THE_PAGE)]
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 2 * len(tables)
    assert [row for row in rows if row not in PAGE.read_text(encoding="utf-8")] == []
