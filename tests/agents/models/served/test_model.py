"""`ServedModel` against small HTTP servers on loopback that behave, refuse, stall, die, or talk nonsense.

The servers are fakes; the real vLLM is met in tests/vllm.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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

ASK = (Message("system", "Rules."), Message("user", "Your move?"))
Answer = Callable[[dict[str, Any]], "tuple[int, Any]"]


class Fake:
    """An OpenAI-compatible server whose answers a test writes."""

    def __init__(self, answer: Answer, models: list[dict[str, Any]] | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.answer = answer
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(200, {"data": models if models is not None else [{"id": "m"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.seen.append({"path": self.path, **body})
                self.reply(*fake.answer({"path": self.path, **body}))

            def reply(self, status: int, content: Any) -> None:
                if status == 0:  # die in the middle
                    self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def fakes(*answers: Answer, models: list[dict[str, Any]] | None = None) -> Iterator[list[Fake]]:
    servers = [Fake(answer, models) for answer in answers]
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()


def says(text: str, finish: str = "stop") -> Answer:
    return lambda body: (200, chat(text, finish))


def chat(text: str, finish: str = "stop") -> dict[str, Any]:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}


def ask(urls: list[str], *requests: Request, **options: Any) -> list[Any]:
    """Connect, send the requests at once, close."""

    async def go() -> list[Any]:
        model = await ServedModel.connect("m", urls, **({"tries": 2, "timeout": 2.0} | options))
        try:
            return list(await asyncio.gather(*(model.generate(request) for request in requests)))
        finally:
            await model.close()

    return asyncio.run(go())


def test_a_completion_says_what_it_cost():
    with fakes(says("hello")) as [server]:
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
    with fakes(says(answer)) as [server]:
        [completion] = ask([server.url], Request(ASK, grammar))
    assert completion.text == text
    assert server.seen[0]["response_format"]["type"] == "json_schema"


def test_a_server_that_ignores_structured_outputs_is_named():
    with fakes(says("I would rather chat.")) as [server]:
        with pytest.raises(ModelError, match="ignores structured outputs"):
            ask([server.url], Request(ASK, Choices(("left", "right"))))
        assert [body["seed"] for body in server.seen] == [0, 1]


def test_too_few_tokens_for_the_form_are_named():
    with fakes(says('{"a": [1, 1,', "length")) as [server], pytest.raises(ModelError, match="raise max_tokens"):
        ask([server.url], Request(ASK, JsonSchema.of({"type": "object"})))


def test_nobody_at_home():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            ModelUnavailable, match=r"m does not answer: http://127.0.0.1:\d+/v1 cannot be reached.*serve"
        ):
            ask([url], Request(ASK))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda body: (503, {"error": {"message": "engine dead"}}), r"answered 503 \(engine dead\)"),
        (lambda body: (0, None), "broke off the connection"),
        (lambda body: (200, b"<html>gateway</html>"), "no JSON object: '<html>gateway</html>'"),
        (lambda body: (200, b""), "no JSON object"),
        (lambda body: (200, b"[]"), "no JSON object"),
    ],
)
def test_failures_that_may_pass_are_tried_again_then_reported(answer: Answer, complaint: str):
    with fakes(answer) as [server]:
        with pytest.raises(ModelUnavailable, match=complaint):
            ask([server.url], Request(ASK))
        assert len(server.seen) == 2


def test_silence_is_a_timeout():
    def stall(body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(1.0)
        return 200, chat("too late")

    with fakes(stall) as [server], pytest.raises(ModelUnavailable, match="did not answer in time"):
        ask([server.url], Request(ASK), timeout=0.2)


@pytest.mark.parametrize("content", [{}, {"choices": []}, {"choices": [None]}, {"error": "x"}])
def test_an_answer_without_a_completion(content: dict[str, Any]):
    with fakes(lambda body: (200, content)) as [server], pytest.raises(ModelError, match="no completion"):
        ask([server.url], Request(ASK))


def test_a_hiccup_is_forgiven():
    answers = iter([(500, {}), (0, None), (200, chat("fine"))])
    with fakes(lambda body: next(answers)) as [server]:
        assert ask([server.url], Request(ASK), tries=3)[0].text == "fine"


def test_a_refusal_is_final_and_in_the_servers_words():
    with fakes(lambda body: (400, {"error": {"message": "max_tokens is too large"}})) as [server]:
        with pytest.raises(ModelError, match=r"refuses \(400\): max_tokens is too large") as caught:
            ask([server.url], Request(ASK))
        assert len(server.seen) == 1
    assert not isinstance(caught.value, ModelUnavailable)


def test_a_server_without_logprobs_is_asked_without():
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": "logprobs unsupported"}}) if "logprobs" in body else (200, chat("yes"))

    with fakes(picky) as [server]:
        assert [completion.logprob for completion in ask([server.url], Request(ASK))] == [None]


def test_the_end_of_the_turn_does_not_count_in_the_logprob():
    answer = chat("ab")
    tokens_ = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -0.5}, {"token": "<end>", "logprob": -9.0}]
    answer["choices"][0]["logprobs"] = {"content": tokens_}
    with fakes(lambda body: (200, answer)) as [server]:
        assert ask([server.url], Request(ASK))[0].logprob == -1.5


def test_work_is_shared_and_survives_the_death_of_a_server():
    with fakes(says("one"), says("two")) as [one, two]:
        texts = [completion.text for completion in ask([one.url, two.url], *[Request(ASK)] * 20)]
        assert {"one", "two"} == set(texts)
        one.answer = lambda body: (0, None)
        texts = [completion.text for completion in ask([one.url, two.url], *[Request(ASK)] * 20)]
        assert texts == ["two"] * 20


def test_a_session_stays_with_its_server():
    with fakes(says("one"), says("two")) as [one, two]:
        requests = [Request(ASK, session=str(number % 10)) for number in range(60)]
        texts = [completion.text for completion in ask([one.url, two.url], *requests)]
    assert texts[:10] * 6 == texts
    assert {"one", "two"} == set(texts)


def test_one_dead_address_of_two_is_no_error():
    with fakes(says("alive")) as [server]:
        assert ask(["http://127.0.0.1:9/v1", server.url], Request(ASK))[0].text == "alive"


def test_the_wrong_model_is_named_with_those_served():
    with (
        fakes(says(""), models=[{"id": "llama"}, {"id": "qwen"}]) as [server],
        pytest.raises(ModelError, match="does not serve m but llama, qwen"),
    ):
        ask([server.url])


def test_an_address_that_is_none():
    with pytest.raises(ModelError, match="must look like http"):
        ask(["localhost:8000"])


def test_a_chat_interface_has_no_likelihoods():
    with fakes(says("")) as [server], pytest.raises(NoLikelihoods, match=r"serve it with vLLM .* or run it in process"):
        score(server.url, Utterance(ASK, "hi"))


def test_the_oldest_turns_go_first_and_are_counted():
    turns = [Message(("user", "assistant")[index % 2], f"{index} " + "word " * 40) for index in range(9)]
    with fakes(says("ok"), models=[{"id": "m", "max_model_len": 300}]) as [server]:
        [completion] = ask([server.url], Request((ASK[0], *turns), sampling=Sampling(max_tokens=20)))
    sent = server.seen[0]["messages"]
    assert sent[0]["content"] == "Rules."
    assert sent[1]["role"] == "user"
    assert sent[-1]["content"] == turns[-1].content
    assert completion.dropped_turns == 10 - len(sent) > 0


def test_a_single_turn_too_long_is_an_error():
    with (
        fakes(says("ok"), models=[{"id": "m", "max_model_len": 300}]) as [server],
        pytest.raises(ModelError, match="alone exceed"),
    ):
        ask([server.url], Request((Message("user", "word " * 1000),)))


class FakeVllm:
    """The few vLLM routes we use, with the real tokenizer and made-up log-probabilities (minus the token id / 1000)."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.models = [{"id": "m", "owned_by": "vllm", "root": str(folder), "max_model_len": 512}]
        self.text = "[1 2 3 4]"
        self.cached = False

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
        return 200, {"choices": [{"text": self.text, "finish_reason": "stop", "logprobs": logprobs}], "usage": {}}


@pytest.fixture(scope="module")
def vllm(smollm2: Path) -> FakeVllm:
    return FakeVllm(smollm2)


def test_vllm_reads_the_very_tokens_of_the_chat_template(vllm: FakeVllm):
    grammar = Regex(r"\[[1-6]( [1-6]){3}\]")
    with fakes(vllm, models=vllm.models) as [server]:
        [completion] = ask([server.url], Request(ASK, grammar, Sampling(temperature=1.0)))
    sent = server.seen[-1]
    assert sent["prompt"] == ChatTemplate(vllm.tokenizer).tokens(ASK, generation=True)
    assert sent["structured_outputs"] == {"regex": grammar.pattern}
    assert (sent["top_k"], sent["repetition_penalty"]) == (0, 1.0)
    assert completion.logprob is None
    assert completion.policy_logprob == -0.5 * 9  # nine tokens, the end of the turn not among them


def test_vllm_scores_a_conversation_in_one_pass(vllm: FakeVllm):
    later = (*ASK, Message("assistant", "[1 2 3 4]"), Message("user", "two black pegs"))
    utterances = [Utterance(ASK, "[1 2 3 4]"), Utterance(later, "[1 2 4 3]"), Utterance(ASK, "[6 6 6 6]")]

    async def go(url: str) -> Any:
        model = await ServedModel.connect("m", [url])
        return await model.score(utterances), model.count("two black pegs")

    with fakes(vllm, models=vllm.models) as [server]:
        likelihoods, counted = asyncio.run(go(server.url))
    assert counted == 4
    assert sum("prompt_logprobs" in body for body in server.seen) == 2
    for utterance, likelihood in zip(utterances, likelihoods, strict=True):
        whole = ChatTemplate(vllm.tokenizer).joint(utterance)
        assert likelihood.logprobs == tuple(-token / 1000 for token in whole.ids[whole.start : whole.stop])


def score(url: str, *utterances: Utterance) -> list[Likelihood]:
    async def go() -> list[Likelihood]:
        model = await ServedModel.connect("m", [url], tries=2)
        try:
            return await model.score(utterances)
        finally:
            await model.close()

    return asyncio.run(go())


def test_vllm_scores_the_policy_that_acted(vllm: FakeVllm):
    """Against the definition: among the tokens that the grammar allows, at the temperature."""
    said = Utterance(ASK, "[1 6]", Regex(r"\[[1-6] [1-6]\]"), temperature=0.5)
    with fakes(vllm, models=vllm.models) as [server]:
        [likelihood] = score(server.url, said)
    digits = vllm.tokenizer.convert_tokens_to_ids(list("123456"))
    total = math.log(sum(math.exp(-digit / 500) for digit in digits))
    expected = [0.0, -digits[0] / 500 - total, 0.0, -digits[5] / 500 - total, 0.0]
    assert likelihood.logprobs == pytest.approx(expected, abs=1e-9)
    assert sum("logprob_token_ids" in body for body in server.seen) == 2  # the other tokens were no choice


def test_what_the_grammar_forbids_is_impossible(vllm: FakeVllm):
    with fakes(vllm, models=vllm.models) as [server]:
        [likelihood] = score(server.url, Utterance(ASK, "[1 9]", Regex(r"\[[1-6] [1-6]\]")))
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
        fakes(vllm, models=vllm.models) as [server],
        pytest.raises(NoLikelihoods, match=r"score the raw model .*or run it in process"),
    ):
        score(server.url, utterance)


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

    with fakes(nonsense, models=vllm.models) as [server], pytest.raises(ModelError, match=complaint):
        score(server.url, Utterance(ASK, "left"))


def test_left_over_memory_is_not_taken_for_a_log_probability(vllm: FakeVllm):
    def stale(body: dict[str, Any]) -> tuple[int, Any]:
        status, answer = vllm(body)
        if "prompt_logprobs" in body:
            answer["choices"][0]["prompt_logprobs"][-1] = {str(body["prompt"][-1]): {"logprob": 3.5e37}}
        return status, answer

    with fakes(stale, models=vllm.models) as [server], pytest.raises(ModelError, match="for a log-probability"):
        score(server.url, Utterance(ASK, "left"))


def test_another_tokenizer_than_the_servers_is_found_out(vllm: FakeVllm, minilm: Path):
    with (
        fakes(vllm, models=vllm.models) as [server],
        pytest.raises(ModelError, match="is not the one m is served with"),
    ):
        ask([server.url], tokenizer=str(minilm))
