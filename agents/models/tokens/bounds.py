"""What a template may make: jinja's sandbox keeps it from reading and writing, this keeps it from filling the memory.

Much is made of little by multiplying: a number that is a width or a count, a text put into another many times, a list
that holds itself twice, over and over. Whatever multiplies is refused ahead of time where its result could be too
large, and all that is made is counted, printed or not. No template in use comes near.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import wraps
from math import prod
from typing import Any, cast

from jinja2 import TemplateError, Undefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

LARGEST = 20_000_000
"""Size of one value, see `size`."""

MOST = 200_000_000
"""Size of everything that is made for one conversation, all intermediate results together."""

ITEM = 8
"""Size of an item beside what it holds: the bytes of a pointer."""

BITS = 14_000
"""Of a number: about the 4,300 digits that Python prints."""

MULTIPLYING = frozenset(
    {"batch", "center", "expandtabs", "indent", "join", "ljust", "rjust", "slice", "tojson", "translate", "wordwrap"}
    | {"zfill", "replace", "format", "format_map"}
)
"""Filters, and methods of texts, that may make more than the sum of what they are given."""

WRITING = frozenset(
    {"capitalize", "e", "escape", "forceescape", "list", "lower", "pprint", "safe", "string", "striptags", "title"}
    | {"trim", "truncate", "upper", "urlencode", "urlize", "wordcount", "xmlattr"}
)
"""Filters that write a value out as a text, or make all items of one that has not made them yet."""

VALUES_GIVE_WIDTHS = re.compile(r"%[-#0 +.\d]*\*|\{[^}]*\{")
"""In what is left of a format without its doubled braces."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Raises TemplateError where a template makes too much. One conversation at a time."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, filters: Mapping[str, Callable[..., Any]] = {}, **options: Any) -> None:
        super().__init__(**options)
        self._made = 0
        self.finalize = self.made
        self.filters |= filters
        for name in MULTIPLYING | WRITING:
            if name in self.filters:
                self.filters[name] = self._bounded(name, self.filters[name])
        del self.globals["lipsum"]

    def begin(self) -> None:
        """A conversation, for which nothing has been made yet."""
        self._made = 0

    def spend(self, amount: int) -> None:
        """Raises TemplateError where there was too much before."""
        self._made += amount
        if self._made > MOST:
            raise TemplateError(f"it makes more than {MOST:,} characters")

    def made(self, value: Any) -> Any:
        """`value`, counted. Raises TemplateError where it is too large, and as `spend`."""
        amount = size(value)
        _allow(amount)
        self.spend(amount)
        return value

    def joined(self, *parts: Any) -> str:
        """`a ~ b`."""
        _allow(sum(map(size, parts)))
        return "".join(map(str, parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            _allow_number(operator, left, right)
        elif operator == "*":
            _allow(_times(left) * _times(right))
        elif operator == "%":
            _allow(_formatted(left, right))
        return self.made(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        method = getattr(__obj, "__wrapped__", __obj)  # jinja wraps `format`
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str | bytes) and name in MULTIPLYING:
            args = tuple(map(_all_made, args))
            _allow(_largest(name, owner, *args, *kwargs.values()))
        return __self.made(super().call(__context, __obj, *args, **kwargs))

    def _bounded(self, name: str, filter: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(filter)
        def bounded(*args: Any, **kwargs: Any) -> Any:
            args = tuple(map(_all_made, args))
            given = args[1:] if hasattr(filter, "jinja_pass_arg") else args
            _allow(_largest(name, *given, *kwargs.values()))
            return self.made(filter(*args, **kwargs))

        return bounded


class Joined(NodeTransformer):
    """Lets `a ~ b`, which jinja lets nobody intercept, go through `BoundedEnvironment.joined`."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        join = nodes.EnvironmentAttribute("joined", lineno=node.lineno)
        return nodes.Call(join, node.nodes, [], None, None, lineno=node.lineno)


def size(value: Any) -> int:
    """Characters of a value and of all that it holds, as often as it holds it, with ITEM for each.

    Counts little further than LARGEST.
    """
    total, todo = 0, [value]
    while todo and total <= LARGEST:
        each = todo.pop()
        if isinstance(each, str | bytes):
            total += len(each)
            continue
        if isinstance(each, Namespace):
            each = object.__getattribute__(each, "_Namespace__attrs")
        items: list[Any] = []
        if isinstance(each, Mapping):
            items = [*each.keys(), *each.values()]
        elif isinstance(each, Collection) and not isinstance(each, Undefined):
            items = [*cast("Collection[Any]", each)]
        total += 1 + ITEM * len(items)
        todo += items
    return total


def _allow(amount: int) -> None:
    if amount > LARGEST:
        raise TemplateError(f"it makes a text or a list of more than {LARGEST:,} characters")


def _allow_number(operator: str, left: int, right: int) -> None:
    bits = {"*": left.bit_length() + right.bit_length(), "**": left.bit_length() * max(right, 0)}
    if bits.get(operator, 0) > BITS:
        raise TemplateError(f"it computes a number of more than {BITS:,} bits")


def _all_made(value: Any) -> Any:
    """A list of what `map`, `select` and the like would make one by one: only that can be measured."""
    return list(cast("Iterator[Any]", value)) if isinstance(value, Iterator) else value


def _largest(name: str, value: Any, *others: Any) -> int:
    """Size of what a filter or a method makes of `value`, at most."""
    if name in WRITING:
        return size(value)
    if name in ("format", "format_map"):
        return _formatted(value, others)
    if name == "replace" and len(others) > 1 and isinstance(others[0], str):
        return size(value) + (1 + size(value)) * size(others[1]) // max(1, len(others[0]))
    return size(value) * prod(map(_times, others))


def _times(value: Any) -> int:
    """How many times larger a value makes what it is put into; a number is a width or a count."""
    return max(1, value if isinstance(value, int) else size(value))


def _formatted(form: Any, values: Any) -> int:
    """Size of `form % values` or `form.format(*values)`, at most: every character a field, the largest of all."""
    text = str(form)
    if VALUES_GIVE_WIDTHS.search(text.replace("{{", "").replace("}}", "")):
        raise TemplateError("it formats to a width that it computes")
    widths = (int(digits[:10]) for digits in re.findall(r"\d+", text))
    return len(text) * (max(widths, default=0) + size(values))
