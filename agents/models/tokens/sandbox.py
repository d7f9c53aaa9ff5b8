"""Chat templates are strangers' programs: run in jinja's sandbox, given one date, stopped where they do not end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from datetime import time as midnight
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.environment import Template
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from agents.models.tokens.bounds import BoundedEnvironment, Joined

PATIENCE = 10.0
"""Seconds of processor time that one conversation may take; templates in use need milliseconds."""


class JinjaTemplate:
    """A template compiled once, with the surroundings that transformers gives it (tojson, raise_exception, …)."""

    def __init__(self, source: str, today: date | None) -> None:
        """`today` is what `strftime_now` tells; without it a template that asks for the date is an error.

        Raises TemplateError, or RecursionError for a template nested too deeply.
        """
        environment = BoundedEnvironment(
            {"tojson": _to_json}, trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, _Clock, loopcontrols]
        )
        given: dict[str, Any] = {"raise_exception": _refuse}
        if today is not None:
            given["strftime_now"] = _calendar(today)
        self._environment = environment
        self._clock: Any = environment.extensions[_Clock.identifier]
        self._lock = threading.Lock()
        tree = Joined().visit(environment.parse(source))
        self._clock.watch(tree)
        self._template = Template.from_code(environment, environment.compile(tree), environment.make_globals(given))

    def render(self, variables: Mapping[str, Any]) -> str:
        """Raises TemplateError, or whatever else the template provokes."""
        with self._lock:
            self._clock.start()
            self._environment.begin()
            return self._template.render(variables)


class _Clock(Extension):
    """Looks at the time at every turn of a loop and every call of a macro: without these no template is long."""

    def __init__(self, environment: BoundedEnvironment) -> None:
        super().__init__(environment)
        self._bounds = environment
        self._deadline = 0.0

    def watch(self, tree: nodes.Template) -> None:
        for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
            text = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
            node.body.insert(0, nodes.ExprStmt(self.call_method("look", [nodes.Const(text)])))

    def start(self) -> None:
        self._deadline = time.thread_time() + PATIENCE

    def look(self, text: int) -> None:
        """`text` is how many characters of the template's own the turn may print."""
        self._bounds.spend(text)
        if time.thread_time() > self._deadline:
            raise TemplateError(f"no end was found within {PATIENCE:g} seconds")


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks what an assistant said; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012  an instance variable, says jinja

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _calendar(today: date) -> Callable[[str], str]:
    moment = datetime.combine(today, midnight(), UTC)
    return moment.strftime
