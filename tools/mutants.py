"""Make mutants: copies of a module with one small fault each. `tools/mutate.py` runs this in an environment of its own.

The faults are those of cosmic-ray (other operators, comparisons and numbers, a `not` more, a loop that does not run, a
decorator less), and one of ours, because it is the fault that this code has had most: a keyword argument that is not
passed on. Left out are mutants that differ only in annotations, which nothing reads while the code runs, and in whether
a dataclass is frozen or compared, which declares what nobody does.
"""

from __future__ import annotations

import ast
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def main(words: list[str]) -> None:
    """Print mutants as JSON: one per place in the code, at places that are drawn at random.

    words  how many mutants, the seed, the root of the checkout, and the modules, as paths in it
    """
    wanted, seed, root, *modules = words
    drawn = random.Random(int(seed))
    codes = {module: (Path(root) / module).read_text(encoding="utf-8") for module in modules}
    places = [(module, faults) for module, code in codes.items() for faults in places_of(code)]
    drawn.shuffle(places)
    found: list[dict[str, Any]] = []
    for module, faults in places:
        if len(found) == int(wanted):
            break
        if mutant := one_of(codes[module], faults, drawn):
            found.append({"module": module, **mutant})
    json.dump(sorted(found, key=lambda mutant: (modules.index(mutant["module"]), mutant["line"])), sys.stdout)


def places_of(code: str) -> list[list[tuple[Any, int]]]:
    """Return the faults that can be put into a module, grouped by place: operators, and how often they apply before.

    code  the text of the module
    """
    from cosmic_ray.ast import ast_nodes, get_ast

    tree = get_ast(code)
    by_place: dict[tuple[int, int], list[tuple[Any, int]]] = defaultdict(list)
    for operator in operators():
        found = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(found):
            by_place[start].append((operator, occurrence))
    return list(by_place.values())


def one_of(code: str, faults: list[tuple[Any, int]], drawn: random.Random) -> dict[str, Any] | None:
    """Return a mutant with one of the faults of a place; None if every one of them leaves the behaviour as it is.

    code    the text of the module
    faults  as `places_of` returns them
    drawn   the source of randomness
    """
    from cosmic_ray.mutating import mutate_code

    for operator, occurrence in drawn.sample(faults, len(faults)):
        mutated = mutate_code(code, operator, occurrence)
        if mutated is None or behaviour_of(mutated) in (behaviour_of(code), None):
            continue
        line, before, after = changed_line(code, mutated)
        return {"fault": type(operator).__name__, "line": line, "was": before, "is": after, "code": mutated}
    return None


def operators() -> Iterator[Any]:
    """Yield one operator of each kind."""
    import parso  # noqa: F401  must come before cosmic_ray, which otherwise imports it in a circle
    from cosmic_ray import plugins
    from cosmic_ray.operators.operator import Operator

    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if not kind.arguments() and not name.endswith("/NoOp"):
            yield kind()

    class KeywordNotPassedOn(Operator):  # type: ignore[misc]
        """Removes `name=value` from a call; the comma stays, which Python allows."""

        def mutation_positions(self, node: Any) -> Iterable[tuple[Any, Any]]:
            if node.type in ("arglist", "trailer"):
                for _, child in self._keywords(node):
                    yield child.start_pos, child.end_pos

        def mutate(self, node: Any, index: int) -> Any:
            place, _ = list(self._keywords(node))[index]
            is_last = place + 1 == len(node.children) or node.type == "trailer"
            del node.children[place : place + (1 if is_last else 2)]
            return node

        @staticmethod
        def _keywords(node: Any) -> list[tuple[int, Any]]:
            children = enumerate(node.children)
            return [(place, one) for place, one in children if one.type == "argument" and one.children[1] == "="]

        @classmethod
        def examples(cls) -> tuple[Any, ...]:
            return ()

    yield KeywordNotPassedOn()


def behaviour_of(code: str) -> str | None:
    """Return what a module does, without its annotations; None for code that is not Python.

    code  the text of the module

    >>> behaviour_of("def f(x: int | None) -> int: return x") == behaviour_of("def f(x): return x")
    True
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dataclass":
            node.keywords = []
    return ast.dump(tree)


def changed_line(code: str, mutated: str) -> tuple[int, str, str]:
    r"""Return the number of the first line that differs, and that line before and after.

    code, mutated  the text before and after

    >>> changed_line("a\nb\n", "a\nc\n")
    (2, 'b', 'c')
    """
    lines = zip(code.splitlines(), mutated.splitlines(), strict=False)
    number, before, after = next(
        (number, before, after) for number, (before, after) in enumerate(lines, 1) if before != after
    )
    return number, before.strip(), after.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
