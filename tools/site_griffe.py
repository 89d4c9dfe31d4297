"""The extension of griffe with which mkdocstrings reads our docstrings (zensical.toml names this file).

Only the environment of `make docs` has griffe, so tests do not import this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # griffe loads this file by its path

from tools.docstrings import as_google


class Docstrings(griffe.Extension):  # type: ignore[misc]
    """Rewrites each docstring before griffe parses it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute.

        obj  what griffe has read
        """
        if obj.docstring is not None:
            obj.docstring.value = as_google(obj.docstring.value, "Attributes" if obj.is_class else "Args")
