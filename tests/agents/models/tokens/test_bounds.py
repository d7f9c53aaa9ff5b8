"""No template fills the memory, and none in use is held back."""

from __future__ import annotations

import resource

import pytest
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agents.models.model import Message, ModelError
from agents.models.tokens import bounds
from agents.models.tokens.bounds import LARGEST, MOST, size
from agents.models.tokens.sandbox import JinjaTemplate
from agents.models.tokens.template import ChatTemplate
from tests.support import tiny

USER = Message("user", "hello " * 200)
DOUBLED = "{% set ns = namespace(x=['ha']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
LONG = "{% set ns = namespace(x='ha') %}{% for i in range(60) %}{% set ns.x = "


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ 'x' * 10**10 }}",
        "{{ 10**10 * 'x' }}",
        "{{ [1] * 10**10 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ (10 ** 4000) * (10 ** 4000) }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ '%*d' % (10**10, 1) }}",
        "{{ ('%9999999d' * 999) % ((1,) * 999) }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 10**10) }}",
        "{{ '{a:>{b}}'.format_map({'a': 1, 'b': 10**10}) }}",
        "{{ '%10000000000d' | format(1) }}",
        "{{ 'x'.center(10**10) }}",
        "{{ 'x'.ljust(10**10) }}",
        "{{ 'x'.zfill(10**10) }}",
        "{{ '\t'.expandtabs(10**10) }}",
        "{{ ('x' * 10**6).replace('', 'x' * 10**6) }}",
        "{{ ('x' * 10**6) | replace('x', 'x' * 10**6) }}",
        "{{ 'x'.encode().center(10**10) }}",
        "{{ ('x' * 10**6).join(range(99999) | map('string')) }}",
        "{{ range(99999) | join('x' * 10**6) }}",
        "{{ ('x' * 10**6).translate({120: 'x' * 10**6}) }}",
        "{{ 'x' | center(10**10) }}",
        "{{ ('\n' * 10**5) | indent(10**6) }}",
        "{{ ('x ' * 10**5) | wordwrap(1, wrapstring='x' * 10**6) }}",
        "{{ [[1]] | tojson(indent=10**10) }}",
        "{{ [1] | batch(10**10, 'x') | list }}",
        "{{ range(99999) | map('center', 10**6) | join }}",
        "{{ range(99999) | map(attribute='none', default='x' * 10**6) | join }}",
        "{{ range(99999) | map(attribute='none', default='x' * 10**6) | list | string }}",
        DOUBLED + "{{ ns.x }}",
        DOUBLED + "{{ ns }}",
        DOUBLED + "{{ ns.x ~ '' }}",
        DOUBLED + "{{ ns.x | tojson }}",
        DOUBLED + "{{ ns.x | string }}",
        DOUBLED + "{{ ns.x | upper }}",
        DOUBLED + "{{ '%s' % ns.x }}",
        DOUBLED + "{{ '{}'.format(ns.x) }}",
        DOUBLED + "{{ {'a': ns.x}.items() }}",
        LONG + "ns.x + ns.x %}{% endfor %}",
        LONG + "ns.x ~ ns.x %}{% endfor %}",
        LONG + "ns.x ~ '' ~ ns.x | upper %}{% endfor %}",
        LONG + "[ns.x, ns.x] | join %}{% endfor %}",
        LONG + "'%s%s' % (ns.x, ns.x) %}{% endfor %}",
        LONG + "ns.x.replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='ha') %}{% for i in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"
        "{% set ns.x = y %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}" + "words " * 2000 + "{% endfor %}{% endfor %}",
        "{% macro m() %}" + "words " * 2000 + "{% endmacro %}"
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ m() }}{% endfor %}{% endfor %}",
        "{% filter center(10**10) %}x{% endfilter %}",
        "{{ lipsum(10**7) }}",
    ],
)
def test_bombs_are_refused_in_a_sentence_and_within_bounds(bomb: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "LARGEST", LARGEST // 10)
    monkeypatch.setattr(bounds, "MOST", MOST // 10)
    template = ChatTemplate(tiny.tokenizer(bomb))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"^the chat template of .* refuses the conversation: [^\n]+$"):
        template.render([USER], generation=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MOST / 1024, "kibibytes; one byte a character for a tenth of MOST is a tenth of that"


def rendered(source: str, **variables: object) -> str:
    return JinjaTemplate(source, None).render(variables)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 3 }}|{{ 2 * 3 }}|{{ 2 ** 10 }}|{{ 7 % 4 }}|{{ 'a' + 'b' }}|{{ [1] + [2] }}|{{ 2.5 * 2 }}",
        "{{ '%s: %5.1f' % ('a', 2) }}|{{ '%d' % 1700000000 }}|{{ '**%s**' % 1 }}|{{ '{{{}}} {:>4}'.format('a', 'b') }}",
        "{{ '%s-%s' | format(1, 2) }}|{{ 'a-b' | replace('-', '+') }}|{{ 'a-b'.replace('-', '--') }}",
        "{{ 10000000000 | tojson }}|{{ 10000000000 | string }}|{{ none }}|{{ nothing }}|{{ nothing ~ 'x' }}",
        "{{ {'b': [1, {'c': 2}]} | tojson(indent=2) }}|{{ {'b': 1}.items() | list }}",
        "{{ ['a', 'b'] | map('upper') | join(', ') }}|{{ ', '.join(['a', 'b']) }}|{{ 'a\nb' | indent(4) }}",
        "{{ m | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}|{{ m[1:] | length }}",
        "{{ 'a' ~ 1 ~ none ~ [1] }}|{{ ('a' ~ 'b') | upper ~ 'c' }}|{{ range(3) | list }}|{{ 'x'.center(5) }}",
        "{% set ns = namespace(n=0, s='') %}{% for x in m %}{% set ns.s = ns.s ~ x.content %}{% endfor %}{{ ns.s }}",
        "{% macro say(x) %}[{{ x }}]{% endmacro %}"
        "{% for x in m %}{{ say(x.role) }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    ],
)
def test_what_templates_do_gives_what_jinja_gives(source: str):
    given = [{"role": "user", "content": "a" * 1000}, {"role": "assistant", "content": "b"}]
    assert rendered(source, m=given) == ImmutableSandboxedEnvironment().from_string(source).render(m=given)


def test_the_bounds_are_of_each_conversation():
    """What one conversation made is not held against the next."""
    template = JinjaTemplate("{% for i in range(9) %}{{ 'x' * 10000000 }}{% endfor %}", None)
    for _ in range(3):
        assert len(template.render({})) == 90_000_000


def test_a_bound_is_reached_exactly():
    assert len(rendered(f"{{{{ 'x' * {LARGEST} }}}}")) == LARGEST
    with pytest.raises(TemplateError, match=r"^it makes a text or a list of more than 20,000,000 characters$"):
        rendered(f"{{{{ 'x' * {LARGEST + 1} }}}}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("abc", 3), ([], 1), (["abc", "d"], 1 + 16 + 4), ({"a": ["bc"]}, 1 + 16 + 1 + 1 + 8 + 2), (7, 1), (None, 1)],
)
def test_size_counts_what_is_held(value: object, expected: int):
    assert size(value) == expected
