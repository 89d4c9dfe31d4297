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
    places = [place for module in modules for place in places_of(Path(root), module)]
    drawn = random.Random(int(seed))
    chosen = places if int(wanted) >= len(places) else drawn.sample(places, int(wanted))
    json.dump([drawn.choice(place) for place in sorted(chosen, key=lambda place: place[0]["order"])], sys.stdout)


def places_of(root: Path, module: str) -> list[list[dict[str, Any]]]:
    """Return the mutants of a module, grouped by the place in the code that they change.

    root    the checkout        module  the path of the module in it
    """
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    code = (root / module).read_text(encoding="utf-8")
    tree, meaning = get_ast(code), behaviour_of(code)
    by_place: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for operator in operators():
        found = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
        for occurrence, (start, _) in enumerate(found):
            mutated = mutate_code(code, operator, occurrence)
            if mutated is None or behaviour_of(mutated) in (meaning, None):
                continue
            name = type(operator).__name__
            line = changed_line(code, mutated, start[0])
            mutant = {"module": module, "fault": name, "line": line[0], "was": line[1], "is": line[2]}
            by_place[start].append({**mutant, "code": mutated, "order": [module, *start]})
    return list(by_place.values())


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


def changed_line(code: str, mutated: str, line: int) -> tuple[int, str, str]:
    """Return the number of the first line that differs, and that line before and after.

    code, mutated  the text before and after        line  what to return if no line differs

    >>> changed_line("a\\nb\\n", "a\\nc\\n", 1)
    (2, 'b', 'c')
    """
    for number, (before, after) in enumerate(zip(code.splitlines(), mutated.splitlines(), strict=False), 1):
        if before != after:
            return number, before.strip(), after.strip()
    return line, "", ""


if __name__ == "__main__":
    main(sys.argv[1:])
