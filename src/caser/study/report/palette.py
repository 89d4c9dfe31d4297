"""The colours of a report by role, for a light and a dark background; the page, its figures and the pictures use them.

People with any of the common kinds of colour blindness can tell the four colours of series apart. The colours of series
keep a contrast of at least 3 with the background, and those of text at least 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Colour = Literal["accent", "neutral", "second", "third", "faint"]
"""The roles that marks of a figure can have."""

SERIES: tuple[Colour, ...] = ("accent", "second", "third", "neutral")
"""The colours of series, in order; after the last colour the first one is used again."""

LIGHT: Mapping[str, str] = {
    "background": "#ffffff",
    "raised": "#f5f6f8",
    "ink": "#1b1f24",
    "quiet": "#57606a",
    "line": "#d5d9df",
    "accent": "#0b5cad",
    "accent-soft": "rgba(11, 92, 173, 0.16)",
    "neutral": "#6b7280",
    "neutral-soft": "rgba(107, 114, 128, 0.16)",
    "second": "#b85200",
    "second-soft": "rgba(184, 82, 0, 0.16)",
    "third": "#007a5e",
    "third-soft": "rgba(0, 122, 94, 0.16)",
    "faint": "#ccd1d8",
    "faint-soft": "rgba(204, 209, 216, 0.3)",
    "heat-low": "#b85200",
    "heat-middle": "#f7f7f7",
    "heat-high": "#0b5cad",
}

DARK: Mapping[str, str] = {
    "background": "#14171b",
    "raised": "#1d2127",
    "ink": "#e8eaed",
    "quiet": "#a3abb5",
    "line": "#363c45",
    "accent": "#6cb4ff",
    "accent-soft": "rgba(108, 180, 255, 0.22)",
    "neutral": "#9aa3ae",
    "neutral-soft": "rgba(154, 163, 174, 0.22)",
    "second": "#ff9e4f",
    "second-soft": "rgba(255, 158, 79, 0.22)",
    "third": "#3fc9a2",
    "third-soft": "rgba(63, 201, 162, 0.22)",
    "faint": "#434a54",
    "faint-soft": "rgba(67, 74, 84, 0.4)",
    "heat-low": "#ff9e4f",
    "heat-middle": "#20252b",
    "heat-high": "#6cb4ff",
}


def css() -> str:
    """Return the colours as CSS variables; the dark ones apply on a screen whose reader prefers them.

    >>> css().splitlines()[0]
    ':root { --background: #ffffff; --raised: #f5f6f8; --ink: #1b1f24; --quiet: #57606a; --line: #d5d9df; ...}'
    """
    light, dark = (" ".join(f"--{role}: {colour};" for role, colour in roles.items()) for roles in (LIGHT, DARK))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
