"""Text and marks have enough contrast with the background, in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from caser.study.report.palette import DARK, LIGHT, SERIES, css


def luminance(colour: str) -> float:
    """Return the relative luminance of the web's contrast rules."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("role", ["ink", "quiet", "accent", "second", "third"])
def test_text_can_be_read(palette: Mapping[str, str], role: str) -> None:
    assert contrast(palette[role], palette["background"]) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("role", SERIES)
def test_marks_can_be_seen(palette: Mapping[str, str], role: str) -> None:
    assert contrast(palette[role], palette["background"]) >= 3


def test_light_and_dark_have_the_same_roles_and_print_is_light() -> None:
    assert set(LIGHT) == set(DARK)
    assert css().index("#ffffff") < css().index("@media screen and (prefers-color-scheme: dark)")
