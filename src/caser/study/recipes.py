"""A recipe: what one row of a study trains, and under which name it is kept.

Assumes settings of a model in MODELS. Will not train; `runs.py` does.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import caser
from caser.config import Space, Training
from caser.data.queries import Queries
from caser.data.split import Split
from caser.data.tape import Tape
from caser.models import model_settings
from caser.models.settings import ModelSettings, NetworkSettings

# What decides a number; not what reads logs (a split has a digest of its own), reports or saves. Models say themselves
# which others they are made of: by what they import.
_SHARED = (
    "config.py",
    "fitting.py",
    "losses.py",
    "network_run.py",
    "randomness.py",
    "data/batches.py",
    "data/negatives.py",
    "data/tape.py",
    "training/*.py",
    "evaluation/metrics.py",
    "evaluation/protocols.py",
    "evaluation/rank*.py",
    "models/neural.py",
)

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Recipe:
    """A model and how to train it.

    training  ignored by counting models                     epochs   how many; chosen on validation if None
    space     what tuning may change, and to what; empty where nothing is to be tuned
    view      which split of the study it is trained and judged on, where there are several
    group, setting  how a report arranges it: a heading, and the value or change that it stands for
    """

    model: ModelSettings
    training: Training = field(default_factory=Training)
    epochs: int | None = None
    space: Space = field(default_factory=dict)
    view: str = ""
    group: str | None = None
    setting: Setting = None

    @classmethod
    def of(cls, model: ModelSettings | str, **changes: Any) -> Recipe:
        """A model as it is trained unless it is said otherwise.

        >>> Recipe.of("markov").model.name
        'markov'
        """
        settings = model_settings(model) if isinstance(model, str) else model
        return cls(
            **{
                "model": settings,
                "training": settings.training if isinstance(settings, NetworkSettings) else Training(),
                **changes,
            }
        )

    @property
    def is_neural(self) -> bool:
        """Whether it is trained, and so has epochs and seeds."""
        return isinstance(self.model, NetworkSettings)

    def replace(self, **settings: Any) -> Recipe:
        """The recipe with some settings changed, of the model or of its training; both check them.

        >>> Recipe.of("caser").replace(L=3, learning_rate=0.01).training.learning_rate
        0.01
        """
        of_model = {name: value for name, value in settings.items() if name in type(self.model).model_fields}
        of_training = {name: value for name, value in settings.items() if name not in of_model}
        return replace(self, model=self.model.replace(**of_model), training=self.training.replace(**of_training))

    def facts(self) -> dict[str, Any]:
        """What decides the result, in JSON values."""
        return {
            "model": self.model.name,
            "settings": self.model.model_dump(mode="json"),
            "training": _without_device(self.training.used()) if self.is_neural else None,
        }


def _without_device(values: dict[str, Any]) -> dict[str, Any]:
    """Where a model was trained does not decide what it became."""
    return {name: value for name, value in values.items() if name != "device"}


def key_of(recipe: Recipe, split_digest: str, **more: Any) -> str:
    """Under which name a result is kept: a hash of the recipe, the data, the code, and what was done (`more`)."""
    models = [recipe.model, *recipe.model.parts.values()]
    code = [code_digest(type(model).__module__) for model in models]
    parts = [recipe.facts(), split_digest, code, more]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def digest_of(split: Split) -> str:
    """A hash of everything that a split trains on and asks."""
    hasher = hashlib.sha256(f"{split.name} {split.log.digest}".encode())
    for part in (split.fit, split.final, split.validation, split.test):
        for array in _arrays(part):
            hasher.update(f"{array.dtype} {array.shape}".encode())
            hasher.update(array.tobytes())
    return hasher.hexdigest()


@cache
def code_digest(model_module: str) -> str:
    """A hash of the code that a result depends on: what trains and judges, and the model's own files.

    Comments, docstrings and layout do not count, and neither do other models.
    """
    package = Path(caser.__file__).parent
    files = {path for pattern in _SHARED for path in package.glob(pattern)}
    hasher = hashlib.sha256()
    for path in sorted(files | _files_of_model(package, model_module)):
        hasher.update(f"{path.relative_to(package).as_posix()} {ast.dump(_without_docstrings(_tree(path)))}".encode())
    return hasher.hexdigest()


def _files_of_model(package: Path, module: str) -> set[Path]:
    """The file of a module in `caser.models`, and those that it imports from there, wherever it does."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = package.joinpath(*waiting.pop().split(".")[1:]).with_suffix(".py")
        if path not in found and path.is_file():  # else a name of the table, such as model_class
            found.add(path)
            imports = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom)]
            names = [
                f"{node.module}.{one.name}" for node in imports if node.module == "caser.models" for one in node.names
            ]
            names += [node.module or "" for node in imports]
            waiting += [name for name in names if name.startswith("caser.models.")]
    return found


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _arrays(part: Tape | Queries) -> list[Any]:
    if isinstance(part, Tape):
        return [part.items, part.offsets, part.owners]
    where = [part.starts, part.ends, part.starts_of_seen]
    return [part.users, part.items, *where, part.targets, part.target_offsets, part.owners]
