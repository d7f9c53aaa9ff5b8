"""What is asked again and what is not, and a file that others share, damage or write into."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from typing import Any

import anyio
import pytest

from agents.models.adapters.cached import Cached
from agents.models.adapters.call_cache import CacheError, CallCache
from agents.models.adapters.metered import Metered, account, charging
from agents.models.model import (
    Completion,
    Likelihood,
    Message,
    Model,
    ModelCard,
    ModelError,
    Request,
    Sampling,
    Utterance,
)
from environments.grammar import Choices, Grammar


class Counting(Model):
    """Never says the same twice: a fake that shows who answered."""

    def __init__(self, backend: str = "vllm", weights: str = "w", answers: Sequence[str] = ()) -> None:
        self._card = ModelCard("m", "f", backend, weights, "p", 100)
        self._said = count()
        self._answers = list(answers)
        self.asked = 0
        self.scored = 0

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: Request) -> Completion:
        self.asked += 1
        await anyio.sleep(0.01)
        if request.messages[0].content == "fail":
            raise ModelError("no")
        text = self._answers.pop(0) if self._answers else f"answer {next(self._said)}"
        return Completion(text, 10, 2, 4, -0.1 - 0.2, tokens=(1, 2))

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        self.scored += len(utterances)
        return [Likelihood((-0.1 * next(self._said), -1e-17)) for _ in utterances]

    def count(self, text: str) -> int:
        return len(text)

    async def close(self) -> None: ...


def request(text: str = "hello", grammar: Grammar | None = None, session: str = "", **sampling: Any) -> Request:
    return Request((Message("user", text),), grammar, Sampling(**sampling), session)


def ask(model: Model, *requests: Request) -> list[Completion]:
    async def each() -> list[Completion]:
        return [await model.generate(one) for one in requests]

    return anyio.run(each)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "calls.db"


def test_what_was_answered_is_not_asked_again_also_by_another_process(file):
    first, second = Counting(), Counting()
    said = ask(Cached(first, CallCache(file)), request(), request("other"), request(session="elsewhere"))
    assert [each.text for each in said] == ["answer 0", "answer 1", "answer 0"]
    assert [each.recalled for each in said] == [False, False, True]
    again = ask(Cached(second, CallCache(file)), request(), request("other"))
    assert again == said[:2]
    assert again[0].logprob == said[0].logprob
    assert (first.asked, second.asked) == (2, 0)


@pytest.mark.parametrize(
    "other",
    [
        request(seed=1),
        request(temperature=0.5),
        request(max_tokens=9),
        request(top_p=0.5),
        request(grammar=Choices(("answer 1",))),
        Request((Message("system", "hello"),)),
        Request((Message("user", "hel"), Message("user", "lo"))),
    ],
)
def test_whatever_could_change_an_answer_is_another_question(file, other):
    model = Counting()
    assert len({each.text for each in ask(Cached(model, CallCache(file)), request(), other)}) == 2


def test_other_weights_and_another_manner_are_another_model(file):
    models = [Counting(), Counting(weights="other"), Counting()]
    for model, manner in zip(models, ("", "", "thinks"), strict=True):
        ask(Cached(model, CallCache(file), manner), request())
    assert [model.asked for model in models] == [1, 1, 1]


def test_what_a_server_draws_without_heeding_a_seed_is_drawn_each_time(file):
    model = Counting(backend="openai")
    ask(Cached(model, CallCache(file)), request(), request())
    assert model.asked == 2
    ask(Cached(model, CallCache(file)), request(temperature=0), request(temperature=0))
    assert model.asked == 3
    plugin = Counting(backend="plugin")
    ask(Cached(plugin, CallCache(file)), request(temperature=0), request(temperature=0))
    assert plugin.asked == 2


def test_those_who_ask_the_same_at_once_get_the_one_answer(file):
    model, said = Counting(), []

    async def all_at_once() -> None:
        cached = Cached(model, CallCache(file))

        async def one() -> None:
            said.append((await cached.generate(request())).text)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    anyio.run(all_at_once)
    assert (model.asked, set(said)) == (1, {"answer 0"})


def test_an_error_is_not_kept(file):
    model = Counting()
    for _ in range(2):
        with pytest.raises(ModelError):
            ask(Cached(model, CallCache(file)), request("fail"))
    assert model.asked == 2


def test_likelihoods_are_kept_one_by_one(file):
    model = Counting()
    texts = [Utterance((Message("user", "hi"),), text, temperature=0.5, tokens=(1, 2)) for text in "aba"]
    first = anyio.run(Cached(model, CallCache(file)).score, texts)
    more = [*texts, Utterance((Message("user", "hi"),), "c"), Utterance((Message("user", "hi"),), "a")]
    again = anyio.run(Cached(model, CallCache(file)).score, more)
    assert again[:3] == first
    assert first[0] == first[2]
    assert model.scored == 4
    assert [each.recalled for each in again] == [True, True, True, False, False]


def test_what_is_recalled_is_not_spent_but_asked(file):
    """The account of what a memory costs is the same with a cache; what is charged is not."""
    charges = []

    async def twice() -> tuple[Any, Any]:
        accounts = []
        for _ in range(2):
            with account() as opened, charging(charges.append):
                metered = Metered(Cached(Counting(), CallCache(file)), "a", "learn")
                await metered.generate(request())
                await metered.score([Utterance((Message("user", "hi"),), "a")])
            accounts.append((opened.calls, opened.prompt_tokens, opened.completion_tokens, opened.scored_tokens))
        return accounts[0], accounts[1]

    first, second = anyio.run(twice)
    assert first == second == (1, 10, 2, 2)
    spent = [(each.cost.calls, each.cost.tokens, each.cost.recalled, each.cost.recalled_tokens) for each in charges]
    assert spent == [(1, 12, 0, 0), (0, 2, 0, 0), (0, 0, 1, 12), (0, 0, 1, 2)]


PROCESS = """
import sys
from pathlib import Path
import anyio
from agents.models.adapters.cached import Cached
from agents.models.adapters.call_cache import CallCache
from tests.agents.models.adapters.test_cached import Counting, request

async def main():
    file, who = sys.argv[1:]
    cached = Cached(Counting(answers=[f"{who} {number}" for number in range(200)]), CallCache(Path(file)))
    for number in range(200):
        print((await cached.generate(request(str(number)))).text)

anyio.run(main)
"""


def test_two_processes_agree_on_every_answer(file, environment):
    command = [sys.executable, "-c", PROCESS, str(file)]
    both = [subprocess.Popen([*command, who], env=environment, stdout=subprocess.PIPE, text=True) for who in "ab"]
    said = [each.communicate(timeout=120)[0].splitlines() for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert said[0] == said[1]
    assert len(said[0]) == 200


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be taken for one" * 40, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_damaged_file_is_one_sentence(file, content):
    file.write_bytes(content)
    with pytest.raises(CacheError, match=r"is no cache of calls .*; delete it, or name another file"):
        CallCache(file)
    assert file.read_bytes() == content


def test_another_programs_database_is_left_alone(file):
    with sqlite3.connect(file) as base:
        base.execute("CREATE TABLE bills (sum INTEGER)")
    base.close()
    before = file.read_bytes()
    with pytest.raises(CacheError, match="another program's database"):
        CallCache(file)
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(CacheError, match="no cache of calls can be kept there"):
        CallCache(tmp_path / "nowhere" / "calls.db")


def test_a_file_that_breaks_on_the_way_is_left_with_a_warning(file, caplog):
    model, cache = Counting(), CallCache(file)
    cached = Cached(model, cache)
    ask(cached, *(request(str(number)) for number in range(300)))
    with sqlite3.connect(file) as other:
        other.execute("DROP TABLE answers")
    other.close()
    assert ask(cached, request("0"))[0].text == "answer 300"
    assert "models are asked without it" in caplog.text
    assert ask(cached, request("0"))[0].text == "answer 301"
    assert caplog.text.count("models are asked without it") == 1


@pytest.mark.parametrize(
    "planted",
    [
        "no JSON",
        "[" * 100_000,
        '"text"',
        json.dumps({"text": 7}),
        json.dumps({"text": "[left]", "prompt_tokens": "many", "completion_tokens": 1}),
        json.dumps({"text": "no move at all; rm -rf /", "prompt_tokens": 1, "completion_tokens": 1}),
        json.dumps({"text": "[left]" + " " * (1 << 20), "prompt_tokens": 1, "completion_tokens": 1}),
    ],
)
def test_what_somebody_planted_is_no_answer(file, planted):
    """What does not read as an answer in the form asked for is asked for again, and replaced."""
    asked = request(grammar=Choices(("[left]", "[right]")))
    ask(Cached(Counting(answers=["[left]"]), CallCache(file)), asked)
    with sqlite3.connect(file) as other:
        other.execute("UPDATE answers SET answer = ?", (planted,))
    other.close()
    model = Counting(answers=["[right]"])
    [said] = ask(Cached(model, CallCache(file)), asked)
    assert (said.text, model.asked) == ("[right]", 1)
    again = Counting(answers=["[right]"])
    assert ask(Cached(again, CallCache(file)), asked)[0].text == "[right]"
