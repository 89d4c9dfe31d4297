"""How an object shows itself in a notebook: a small table of HTML, in which no text of a log can become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table_html(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """Return a table as HTML, for `_repr_html_`.

    caption  the line above it        header  the names of its columns
    rows     its cells, as text       notes   sentences below it

    >>> print(table_html("Sizes", ["what", "size"], [("a<b", "7")]))
    <table><caption>Sizes</caption><thead><tr><th>what</th><th>size</th></tr></thead>
    <tbody><tr><td>a&lt;b</td><td>7</td></tr></tbody></table>
    """

    def line(cells: Sequence[str], kind: str) -> str:
        return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"

    head = f"<table><caption>{escape(caption)}</caption><thead>{line(header, 'th')}</thead>"
    body = f"<tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"
    return "\n".join([head, body, *(f"<p>{escape(note)}</p>" for note in notes)])
