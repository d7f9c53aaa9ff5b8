"""The agents' tables: keys that came later leave old studies' digests alone, and no secret gets into a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.config.reading.load import load_study, parse_study
from testbed.config.study import ConfigError, StudyConfig


def study(evolver: dict[str, Any] | None = None, **agent: Any) -> StudyConfig:
    learning = {} if evolver is None else {"learning": {"evolver": {"name": "teacher", "model": "m", **evolver}}}
    agents = [{"name": "a", "model": "m", "base_url": ["http://one/v1"], **agent}]
    return parse_study(
        {"study": "matrix", "agents": agents, "tasks": [{"environment": "Mastermind-v0"}], **learning}, "s"
    )


def test_digests_of_format_1_stay_what_they_were():
    """Golden values, computed before the tables had their newer keys."""
    assert study().digest == "a93f18ba"
    assert study(evolver={}).digest == "8d4e6520"


@pytest.mark.parametrize("key", [{"timeout": 7.0}, {"patience": 7.0}, {"api_key_env": "MY_API_KEY"}])
def test_how_a_server_is_waited_for_changes_no_digest(key: dict[str, Any]):
    assert study(**key).digest == study().digest
    assert study(evolver=key).digest == study(evolver={}).digest


@pytest.mark.parametrize(
    "key",
    [
        {"tokenizer": "t"},
        {"reasoning_budget": 9},
        {"keep_thoughts": False},
        {"chat_template_kwargs": {"enable_thinking": False}},
    ],
)
def test_what_changes_prompts_or_thoughts_changes_the_digest(key: dict[str, Any]):
    assert study(**key).digest != study().digest
    assert study(evolver=key).digest != study(evolver={}).digest


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"timeout": 0}, "timeout"),
        ({"patience": -1}, "patience"),
        ({"api_key_env": "AWS_SECRET_ACCESS_KEY"}, "_API_KEY"),
        ({"api_key_env": "sk-live-0123"}, "_API_KEY"),
        ({"reasoning_budget": 0}, "reasoning_budget"),
        ({"keep_thoughts": True}, 'keep_thoughts keeps what is thought aloud; write reasoning = "react"'),
        ({"chat_template_kwargs": {"a b": 1}}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"a": [1]}}, "chat_template_kwargs"),
    ],
)
def test_values_that_cannot_be_meant(key: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        study(**key)


@pytest.mark.parametrize("table", ["agents", "evolver"])
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, table: str):
    url = 'base_url = "http://user:hunter2@host/v1"'
    agent = '[[agents]]\nname = "a"\nmodel = "m"\n'
    evolver = '[learning.evolver]\nname = "t"\nmodel = "m"\nbase_url = ["http://user:hunter2@host/v1"]\n'
    text = 'study = "matrix"\n' + agent + (url + "\n" if table == "agents" else "")
    text += '[[tasks]]\nenvironment = "Mastermind-v0"\n' + (evolver if table == "evolver" else "")
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ConfigError, match="user name or password") as caught:
        load_study(tmp_path / "s.toml")
    assert "hunter2" not in str(caught.value)
    assert "evolver" in str(caught.value) or "agents.0" in str(caught.value)
