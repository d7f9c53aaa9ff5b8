"""`ServedModel` against stub servers on loopback: what is sent, what comes back, and what vLLM is asked beside it.

The real vLLM is met in tests/integration/test_vllm.py; odd answers and outages have tests of their own here.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from agents.models.model import (
    Likelihood,
    Message,
    ModelError,
    ModelUnavailable,
    NoLikelihoods,
    Request,
    Sampling,
    Utterance,
)
from agents.models.served.model import ServedModel
from agents.models.tokens.template import ChatTemplate
from environments.grammar import Choices, Grammar, JsonSchema, Regex
from tests.support.stub_server import chat, says, stub_servers

ASK = (Message("system", "Rules."), Message("user", "Your move?"))


def ask(urls: list[str], *requests: Request, **options: Any) -> list[Any]:
    """Connect, send the requests at once, close."""

    async def go() -> list[Any]:
        model = await ServedModel.connect("m", urls, **({"patience": 5.0, "timeout": 5.0} | options))
        try:
            return list(await asyncio.gather(*(model.generate(request) for request in requests)))
        finally:
            await model.close()

    return asyncio.run(go())


def test_a_completion_says_what_it_cost():
    with stub_servers(says("hello")) as [server]:
        [completion] = ask([server.url], Request(ASK, sampling=Sampling(temperature=0.5, max_tokens=9, seed=3)))
    assert completion.text == "hello"
    assert (completion.prompt_tokens, completion.completion_tokens, completion.cached_tokens) == (7, 3, 2)
    sent = server.seen[0]
    assert sent["messages"] == [{"role": "system", "content": "Rules."}, {"role": "user", "content": "Your move?"}]
    assert (sent["temperature"], sent["max_tokens"], sent["seed"], sent["top_p"]) == (0.5, 9, 3, 1.0)


@pytest.mark.parametrize(
    ("grammar", "answer", "text"),
    [
        (Regex(r"\[[1-6]\]"), '{"answer": "[3]"}', "[3]"),
        (Choices(("left", "right")), '{"answer": "left"}', "left"),
        (JsonSchema.of({"type": "object", "required": ["a"]}), '{"a": 1}', '{"a": 1}'),
    ],
)
def test_grammars_travel_as_json_schemas(grammar: Grammar, answer: str, text: str):
    with stub_servers(says(answer)) as [server]:
        [completion] = ask([server.url], Request(ASK, grammar))
    assert completion.text == text
    assert server.seen[0]["response_format"]["type"] == "json_schema"


def test_a_server_that_ignores_structured_outputs_is_named():
    with stub_servers(says("I would rather chat.")) as [server]:
        with pytest.raises(ModelError, match="ignores structured outputs"):
            ask([server.url], Request(ASK, Choices(("left", "right"))))
        assert [body["seed"] for body in server.seen] == [0, 1]


def test_too_few_tokens_for_the_form_are_named():
    with stub_servers(says('{"a": [1, 1,', "length")) as [server], pytest.raises(ModelError, match="raise max_tokens"):
        ask([server.url], Request(ASK, JsonSchema.of({"type": "object"})))


def test_a_refusal_is_final_and_in_the_servers_words():
    with stub_servers(lambda body: (400, {"error": {"message": "max_tokens is too large"}})) as [server]:
        with pytest.raises(ModelError, match=r"refuses \(400\): max_tokens is too large") as caught:
            ask([server.url], Request(ASK))
        assert len(server.seen) == 1
    assert not isinstance(caught.value, ModelUnavailable)


def test_a_server_without_logprobs_is_asked_without():
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": "logprobs unsupported"}}) if "logprobs" in body else (200, chat("yes"))

    with stub_servers(picky) as [server]:
        assert [completion.logprob for completion in ask([server.url], Request(ASK))] == [None]


def test_the_end_of_the_turn_does_not_count_in_the_logprob():
    answer = chat("ab")
    tokens_ = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -0.5}, {"token": "<end>", "logprob": -9.0}]
    answer["choices"][0]["logprobs"] = {"content": tokens_}
    with stub_servers(lambda body: (200, answer)) as [server]:
        assert ask([server.url], Request(ASK))[0].logprob == -1.5


def test_work_is_shared_and_survives_the_death_of_a_server():
    with stub_servers(says("one"), says("two")) as [one, two]:
        texts = [completion.text for completion in ask([one.url, two.url], *[Request(ASK)] * 20)]
        assert {"one", "two"} == set(texts)
        one.answer = lambda body: (0, None)
        texts = [completion.text for completion in ask([one.url, two.url], *[Request(ASK)] * 20)]
        assert texts == ["two"] * 20


def test_a_session_stays_with_its_server():
    with stub_servers(says("one"), says("two")) as [one, two]:
        requests = [Request(ASK, session=str(number % 10)) for number in range(60)]
        texts = [completion.text for completion in ask([one.url, two.url], *requests)]
    assert texts[:10] * 6 == texts
    assert Counter(texts) == {"one": 30, "two": 30}


def test_a_session_that_is_over_makes_room_for_another():
    """Every fourth game ends at once; of those that go on each server has as many."""

    async def go(urls: list[str]) -> list[str]:
        model = await ServedModel.connect("m", urls, patience=0.0)
        texts: list[str] = []
        for number in range(20):
            texts.append((await model.generate(Request(ASK, session=f"{number}"))).text)
            if number % 4 == 0:
                model.release(f"{number}")  # one server has the room
        await model.close()
        return texts

    with stub_servers(says("one"), says("two")) as [one, two]:
        texts = asyncio.run(go([one.url, two.url]))
    held = Counter(text for number, text in enumerate(texts) if number % 4)
    assert abs(held["one"] - held["two"]) <= 1


def test_one_dead_address_of_two_is_no_error():
    with stub_servers(says("alive")) as [server]:
        assert ask(["http://127.0.0.1:9/v1", server.url], Request(ASK))[0].text == "alive"


def test_the_wrong_model_is_named_with_those_served():
    with (
        stub_servers(says(""), listing=[{"id": "llama"}, {"id": "qwen"}]) as [server],
        pytest.raises(ModelError, match="does not serve m but llama, qwen"),
    ):
        ask([server.url])


def test_a_chat_interface_has_no_likelihoods():
    with (
        stub_servers(says("")) as [server],
        pytest.raises(NoLikelihoods, match=r"serve it with vLLM .* or run it in process"),
    ):
        score(server.url, Utterance(ASK, "hi"))


def test_the_oldest_turns_go_first_and_are_counted():
    turns = [Message(("user", "assistant")[index % 2], f"{index} " + "word " * 40) for index in range(9)]
    with stub_servers(says("ok"), listing=[{"id": "m", "max_model_len": 300}]) as [server]:
        [completion] = ask([server.url], Request((ASK[0], *turns), sampling=Sampling(max_tokens=20)))
    sent = server.seen[0]["messages"]
    assert sent[0]["content"] == "Rules."
    assert sent[1]["role"] == "user"
    assert sent[-1]["content"] == turns[-1].content
    assert completion.dropped_turns == 10 - len(sent) > 0


def test_a_single_turn_too_long_is_an_error():
    with (
        stub_servers(says("ok"), listing=[{"id": "m", "max_model_len": 300}]) as [server],
        pytest.raises(ModelError, match="alone exceed"),
    ):
        ask([server.url], Request((Message("user", "word " * 1000),)))


class FakeVllm:
    """The few vLLM routes we use, with the real tokenizer and made-up log-probabilities (minus the token id / 1000)."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.models = [{"id": "m", "owned_by": "vllm", "root": str(folder), "max_model_len": 512}]
        self.text = "[1 2 3 4]"
        self.cached = False
        self.tells_ids = True

    def __call__(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["path"] == "/tokenize":
            return 200, {"tokens": self.tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]}
        if "prompt_logprobs" in body:
            rows = [None, *({str(token): {"logprob": -token / 1000}} for token in body["prompt"][1:])]
            return 200, {"choices": [{"text": "x", "prompt_logprobs": rows}]}
        if "logprob_token_ids" in body:
            table = {f"token_id:{token}": -token / 1000 for token in body["logprob_token_ids"]}
            return 200, {"choices": [{"text": "x", "logprobs": {"top_logprobs": [table]}}]}
        ids = [*self.tokenizer(self.text, add_special_tokens=False)["input_ids"], 2]
        offsets = [len(self.tokenizer.decode(ids[:index])) for index in range(len(ids))]
        logprobs = {"text_offset": offsets, "token_logprobs": [-0.5] * len(ids)}
        choice = {"text": self.text, "finish_reason": "stop", "logprobs": logprobs}
        if body.get("return_token_ids") and self.tells_ids:
            choice["token_ids"] = ids
        return 200, {"choices": [choice], "usage": {}}


@pytest.fixture(scope="module")
def vllm(smollm2: Path) -> FakeVllm:
    return FakeVllm(smollm2)


def test_vllm_reads_the_very_tokens_of_the_chat_template(vllm: FakeVllm):
    grammar = Regex(r"\[[1-6]( [1-6]){3}\]")
    with stub_servers(vllm, listing=vllm.models) as [server]:
        [completion] = ask([server.url], Request(ASK, grammar, Sampling(temperature=1.0)), tokenizer=vllm.folder)
    sent = server.seen[-1]
    assert sent["prompt"] == ChatTemplate(vllm.tokenizer).tokens(ASK, generation=True)
    assert sent["structured_outputs"] == {"regex": grammar.pattern}
    assert (sent["top_k"], sent["repetition_penalty"]) == (0, 1.0)
    assert completion.logprob is None
    assert completion.policy_logprob == -0.5 * 9  # nine tokens, the end of the turn not among them


@pytest.mark.parametrize("told", [True, False])
def test_vllm_tells_what_was_drawn_where_it_can(vllm: FakeVllm, told: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vllm, "tells_ids", told)
    with stub_servers(vllm, listing=vllm.models) as [server]:
        [completion] = ask([server.url], Request(ASK), tokenizer=vllm.folder)
    ids = vllm.tokenizer(vllm.text, add_special_tokens=False)["input_ids"]
    assert completion.tokens == (tuple(ids) if told else None)


def test_vllm_scores_a_conversation_in_one_pass(vllm: FakeVllm):
    later = (*ASK, Message("assistant", "[1 2 3 4]"), Message("user", "two black pegs"))
    utterances = [Utterance(ASK, "[1 2 3 4]"), Utterance(later, "[1 2 4 3]"), Utterance(ASK, "[6 6 6 6]")]

    async def go(url: str) -> Any:
        model = await ServedModel.connect("m", [url], tokenizer=vllm.folder)
        return await model.score(utterances), model.count("two black pegs")

    with stub_servers(vllm, listing=vllm.models) as [server]:
        likelihoods, counted = asyncio.run(go(server.url))
    assert counted == 4
    assert sum("prompt_logprobs" in body for body in server.seen) == 2
    for utterance, likelihood in zip(utterances, likelihoods, strict=True):
        whole = ChatTemplate(vllm.tokenizer).tokenize(utterance)
        assert likelihood.logprobs == tuple(-token / 1000 for token in whole.ids[whole.start : whole.stop])


def score(url: str, *utterances: Utterance, tokenizer: str | None = None) -> list[Likelihood]:
    async def go() -> list[Likelihood]:
        model = await ServedModel.connect("m", [url], tokenizer=tokenizer, patience=0.0)
        try:
            return await model.score(utterances)
        finally:
            await model.close()

    return asyncio.run(go())


def test_vllm_scores_the_policy_that_acted(vllm: FakeVllm):
    """Against the definition: among the tokens that the grammar allows, at the temperature."""
    said = Utterance(ASK, "[1 6]", Regex(r"\[[1-6] [1-6]\]"), temperature=0.5)
    with stub_servers(vllm, listing=vllm.models) as [server]:
        [likelihood] = score(server.url, said, tokenizer=vllm.folder)
    digits = vllm.tokenizer.convert_tokens_to_ids(list("123456"))
    total = math.log(sum(math.exp(-digit / 500) for digit in digits))
    expected = [0.0, -digits[0] / 500 - total, 0.0, -digits[5] / 500 - total, 0.0]
    assert likelihood.logprobs == pytest.approx(expected, abs=1e-9)
    assert sum("logprob_token_ids" in body for body in server.seen) == 2  # the other tokens were no choice


def test_what_the_grammar_forbids_is_impossible(vllm: FakeVllm):
    with stub_servers(vllm, listing=vllm.models) as [server]:
        [likelihood] = score(server.url, Utterance(ASK, "[1 9]", Regex(r"\[[1-6] [1-6]\]")), tokenizer=vllm.folder)
    assert likelihood.total == -math.inf


@pytest.mark.parametrize(
    "utterance",
    [
        Utterance(ASK, "left", temperature=0.6),
        Utterance(ASK, '{"a": "b"}', JsonSchema.of({"type": "object", "properties": {"a": {"type": "string"}}})),
    ],
)
def test_vllm_refuses_what_it_cannot_score(vllm: FakeVllm, utterance: Utterance):
    with (
        stub_servers(vllm, listing=vllm.models) as [server],
        pytest.raises(NoLikelihoods, match=r"score the raw model .*or run it in process"),
    ):
        score(server.url, utterance, tokenizer=vllm.folder)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (None, "gives no prompt_logprobs"),
        ([None, {"5": {"logprob": -1.0}}], "of another text"),
        ([None] + [{str(i): {"logprob": 3.5e37}} for i in range(3)], "of another text"),
    ],
)
def test_vllm_that_answers_nonsense_is_not_believed(vllm: FakeVllm, rows: Any, complaint: str):
    def nonsense(body: dict[str, Any]) -> tuple[int, Any]:
        if "prompt_logprobs" not in body:
            return vllm(body)
        return 200, {"choices": [{"text": "", "prompt_logprobs": rows}]}

    with stub_servers(nonsense, listing=vllm.models) as [server], pytest.raises(ModelError, match=complaint):
        score(server.url, Utterance(ASK, "left"), tokenizer=vllm.folder)


def test_left_over_memory_is_not_taken_for_a_log_probability(vllm: FakeVllm):
    def stale(body: dict[str, Any]) -> tuple[int, Any]:
        status, answer = vllm(body)
        if "prompt_logprobs" in body:
            answer["choices"][0]["prompt_logprobs"][-1] = {str(body["prompt"][-1]): {"logprob": 3.5e37}}
        return status, answer

    with stub_servers(stale, listing=vllm.models) as [server], pytest.raises(ModelError, match="for a log-probability"):
        score(server.url, Utterance(ASK, "left"), tokenizer=vllm.folder)


def test_another_tokenizer_than_the_servers_is_found_out(vllm: FakeVllm, minilm: Path):
    with (
        stub_servers(vllm, listing=vllm.models) as [server],
        pytest.raises(ModelError, match="is not the one m is served with"),
    ):
        ask([server.url], tokenizer=str(minilm))
