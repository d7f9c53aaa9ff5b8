"""One table of what servers answer, over real HTTP: each case ends in a completion, or in a sentence of its kind."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import json
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agents.models.model import (
    Completion,
    FormMissed,
    Message,
    ModelError,
    ModelMisconfigured,
    ModelUnavailable,
    PromptRefused,
    PromptTooLong,
    Request,
)
from agents.models.served.answers.body import parse
from agents.models.served.answers.completion import read_answer, read_usage
from agents.models.served.answers.error import classify, describe, parameter, read_error
from agents.models.served.answers.listing import ListedModel, read_listing
from agents.models.served.model import ServedModel
from environments.grammar import Choices, Grammar, JsonSchema
from tests.support.stub_server import Reply, StubServer, chat, stub_servers

ASK = (Message("user", "left or right?"),)
LEFT = Choices(("left", "right"))
OBJECT = JsonSchema.of({"type": "object", "required": ["a"]})
DEEP = b"[" * 200_000 + b"]" * 200_000


class Case(NamedTuple):
    name: str
    reply: Any
    """A body that comes with 200, or a whole Reply."""
    want: Any
    """The completion's text, or the kind of error and words of its sentence."""
    grammar: Grammar | None = None


def error(status: int, message: Any = "no", **fields: Any) -> Reply:
    return Reply(status, {"error": {"message": message, **fields}})


CASES = [
    # -- answers --
    Case("plain", chat("left"), "left"),
    Case("content as parts", chat([{"type": "text", "text": "le"}, {"type": "text", "text": "ft"}]), "left"),
    Case("parts that are strings", chat(["le", "ft"]), "left"),
    Case("parts whose text is an object", chat([{"type": "text", "text": {"value": "left"}}]), "left"),
    Case("a thought among the parts", chat([{"type": "thinking", "thinking": "hm"}, {"text": "left"}]), "left"),
    Case("content parsed already", chat({"answer": "left"}), "left", LEFT),
    Case("content a number", chat(7), "7"),
    Case("message a string", {"choices": [{"message": "left"}]}, "left"),
    Case("a choice that is a string", {"choices": ["left"]}, "left"),
    Case("text instead of a message", {"choices": [{"text": "left"}]}, "left"),
    Case("a delta instead of a message", {"choices": [{"delta": {"content": "left"}}]}, "left"),
    Case("content null", chat(None), ""),
    Case("content null under a grammar", chat(None), (FormMissed, "not in the form"), LEFT),
    Case("a tool call instead", chat(None, tool_calls=[{"function": {"arguments": '{"a": 1}'}}]), '{"a": 1}', OBJECT),
    Case("another name before it", chat('{"answer": "left"}'), "left", LEFT),
    Case("not wrapped", chat("left"), "left", LEFT),
    Case("blanks around it", chat(' \n{"answer": "left"}\n'), "left", LEFT),
    Case("quoted", chat('"left"'), "left", LEFT),
    Case("fenced", chat('```json\n{"answer": "left"}\n```'), "left", LEFT),
    Case("fenced in prose", chat('Sure!\n```\n{"a": 1}\n```\nGood luck.'), '{"a": 1}', OBJECT),
    Case("in prose", chat('I answer {"answer": "right"}, of course.'), "right", LEFT),
    # -- thoughts --
    Case("a thought before it", chat('<think>Well.\n</think>\n\n{"answer": "left"}'), "left", LEFT),
    Case("a thought that the template opened", chat('Well.</think>{"answer": "left"}'), "left", LEFT),
    Case("a thought in free text", chat("<think>Well.</think>\nleft"), "left"),
    Case("a thought without an end", chat("<think>Well, left, or ", "length"), ""),
    Case("a thought too long", chat("<think>Well,", "length"), (FormMissed, "reasoning_budget"), LEFT),
    Case("reasoning_content", chat('{"answer": "left"}', reasoning_content="right?"), "left", LEFT),
    Case("reasoning", chat('{"answer": "left"}', reasoning="right?"), "left", LEFT),
    Case("all of it in reasoning_content", chat(None, reasoning_content='{"answer": "left"}'), "left", LEFT),
    Case(
        "channels",
        chat("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>left"),
        "left",
    ),
    # -- costs and ends --
    Case("usage missing", {"choices": [{"message": {"content": "left"}}]}, "left"),
    Case("usage a string", chat("left") | {"usage": "7 tokens"}, "left"),
    Case("usage null", chat("left") | {"usage": None}, "left"),
    Case("usage of nonsense", chat("left") | {"usage": {"prompt_tokens": "x", "completion_tokens": -4}}, "left"),
    Case("usage NaN", json.dumps(chat("left")).replace("7", "NaN").encode(), "left"),
    Case("usage infinite", json.dumps(chat("left")).replace("7", "1e999").encode(), "left"),
    Case("details a list", chat("left") | {"usage": {"prompt_tokens": 7.0, "prompt_tokens_details": []}}, "left"),
    Case("finish unknown", chat("left", "eos_found"), "left"),
    Case("finish null", chat("left", None), "left"),
    Case("finish a number", chat("left", 3), "left"),
    Case(
        "logprobs of nonsense",
        {"choices": [{"message": {"content": "left"}, "logprobs": {"content": [None, 3]}}]},
        "left",
    ),
    Case("logprobs a string", {"choices": [{"message": {"content": "left"}, "logprobs": "none"}]}, "left"),
    Case("half a character", json.dumps(chat("\ud83d")).encode(), "?"),
    # -- refusals of one prompt --
    Case("content filter", error(400, "The response was filtered", code="content_filter"), (PromptRefused, "filtered")),
    Case("content filter as a finish", chat("", "content_filter"), (PromptRefused, "content filter")),
    Case("a refusal", chat(None, refusal="I can't help."), (PromptRefused, "I can't help")),
    Case("moderation with 403", error(403, "Input flagged by moderation"), (PromptRefused, "flagged")),
    Case("too long, OpenAI", error(400, "too many", code="context_length_exceeded"), (PromptTooLong, "400")),
    Case(
        "too long, vLLM", error(400, "This model's maximum context length is 99 tokens."), (PromptTooLong, "99 tokens")
    ),
    Case(
        "too long, llama.cpp", error(500, "the request exceeds the available context size"), (PromptTooLong, "context")
    ),
    Case("too long, with 413", Reply(413, b"<h1>Payload Too Large</h1>"), (PromptTooLong, "413")),
    Case("bad for reasons of its own", error(400, "I do not like it"), (PromptRefused, "I do not like it")),
    Case(
        "FastAPI's words",
        Reply(422, {"detail": [{"loc": ["body", "n"], "msg": "too odd"}]}),
        (PromptRefused, "too odd"),
    ),
    # -- what no request will mend --
    Case("no key", error(401, "Incorrect API key"), (ModelMisconfigured, "Incorrect API key")),
    Case(
        "no money",
        error(429, "You exceeded your current quota", code="insufficient_quota"),
        (ModelMisconfigured, "quota"),
    ),
    Case("no such model", error(404, "model m does not exist"), (ModelMisconfigured, "does not exist")),
    Case("no such route", Reply(404, b"Not Found"), (ModelMisconfigured, "Not Found")),
    Case(
        "a redirect",
        Reply(307, b"", {"Location": "https://u:pw@elsewhere.org/v1?key=1"}),
        (ModelMisconfigured, "'https://elsewhere.org/v1'"),
    ),
    Case(
        "a temperature it does not take",
        error(400, "Unsupported value: 'temperature' does not support 0.6", param="temperature"),
        (ModelMisconfigured, "write the temperature"),
    ),
    Case("no structured outputs", error(400, "response_format is not supported"), (ModelMisconfigured, "vLLM"), LEFT),
    # -- what may pass --
    Case("overloaded", error(529, "Overloaded"), (ModelUnavailable, "Overloaded")),
    Case("429 in a 200", {"error": {"code": 429, "message": "slow down"}}, (ModelUnavailable, "429 .slow down")),
    Case("'503' in a 200", {"error": {"code": "503", "message": "wait"}}, (ModelUnavailable, "503")),
    Case("a word in a 200", {"error": "Rate limit reached"}, (ModelUnavailable, "Rate limit")),
    Case(
        "an error inside a choice",
        {"choices": [{"error": {"code": 502, "message": "upstream"}}]},
        (ModelUnavailable, "upstream"),
    ),
    Case("401 in a 200", {"error": {"code": 401, "message": "who?"}}, (ModelMisconfigured, "who")),
    Case("a length in a 200", {"error": {"message": "context length exceeded"}}, (PromptTooLong, "context length")),
    Case("vLLM's old form", {"object": "error", "message": "no", "code": 400}, (PromptRefused, "no")),
    Case("Google's list", Reply(503, [{"error": {"message": "busy"}}]), (ModelUnavailable, "busy")),
    Case("died in the middle", Reply(0, None), (ModelUnavailable, "broke off")),
    Case("HTML", b"<html>gateway</html>", (ModelUnavailable, "no JSON object: '<html>gateway</html>'")),
    Case("nothing", b"", (ModelUnavailable, "no JSON object")),
    Case("a list", b"[]", (ModelUnavailable, "no JSON object")),
    Case("a number", b"7", (ModelUnavailable, "no JSON object")),
    Case("nested without end", DEEP, (ModelUnavailable, "no JSON object")),
    Case(
        "nested in the content",
        b'{"choices": [{"message": {"content": ' + DEEP + b"}}]}",
        (ModelUnavailable, "no JSON object"),
    ),
    Case(
        "digits without end",
        b'{"choices": [{"message": {"content": "left"}}], "id": ' + b"9" * 5000 + b"}",
        (ModelUnavailable, "no JSON"),
    ),
    # -- no completion at all --
    Case("empty object", {}, (ModelError, "no completion")),
    Case("no choices", {"choices": []}, (ModelError, "no completion")),
    Case("choices null", {"choices": None}, (ModelError, "no completion")),
    Case("a choice that is null", {"choices": [None]}, (ModelError, "no completion")),
    # -- bytes --
    Case(
        "latin-1, and says so",
        Reply(
            200,
            json.dumps(chat("café"), ensure_ascii=False).encode("latin-1"),
            {"Content-Type": "application/json; charset=iso-8859-1"},
        ),
        "café",
    ),
    Case("latin-1, and does not", json.dumps(chat("café"), ensure_ascii=False).encode("latin-1"), "caf\ufffd"),
    Case(
        "no such charset",
        Reply(200, json.dumps(chat("left")).encode(), {"Content-Type": "application/json; charset=klingon"}),
        "left",
    ),
    Case(
        "a charset that is no text",
        Reply(200, json.dumps(chat("left")).encode(), {"Content-Type": "a/b; charset=zlib"}),
        "left",
    ),
    Case("a byte order mark", b"\xef\xbb\xbf" + json.dumps(chat("left")).encode(), "left"),
    Case(
        "compressed", Reply(200, gzip.compress(json.dumps(chat("left")).encode()), {"Content-Encoding": "gzip"}), "left"
    ),
    Case(
        "compressed, it says", Reply(200, b"not at all", {"Content-Encoding": "gzip"}), (ModelUnavailable, "broke off")
    ),
    Case("compressed otherwise", Reply(200, b"?", {"Content-Encoding": "br"}), (ModelError, "compressed as 'br'")),
    Case(
        "a bomb", Reply(200, gzip.compress(b" " * 2**28), {"Content-Encoding": "gzip"}), (ModelError, "more than 16 MB")
    ),
    Case("a body without end", Reply(200, (b"x" * 2**20 for _ in range(2**20))), (ModelError, "more than 16 MB")),
]


@pytest.fixture(scope="module")
def server():
    with stub_servers(lambda body: (200, chat("left"))) as [server]:
        yield server


def ask(server: StubServer, grammar: Grammar | None = None, **options: Any) -> Completion:
    async def go() -> Completion:
        model = await ServedModel.connect("m", [server.url], **({"patience": 0.0, "timeout": 10.0} | options))
        try:
            return await model.generate(Request(ASK, grammar))
        finally:
            await model.close()

    return asyncio.run(go())


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_whatever_is_answered_is_a_completion_or_one_sentence(server: StubServer, case: Case):
    server.answer = lambda body: case.reply if isinstance(case.reply, Reply) else Reply(200, case.reply)
    if isinstance(case.want, str):
        assert ask(server, case.grammar).text == case.want
        return
    kind, words = case.want
    with pytest.raises(kind, match=words) as caught:
        ask(server, case.grammar)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3, 0)),
        ({"prompt_tokens": 7.0, "completion_tokens": "3"}, (7, 3, 0)),
        ({"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}, (7, 3, 2)),
        ({"prompt_tokens": 7, "prompt_cache_hit_tokens": 5}, (7, 0, 5)),
        ({"prompt_tokens": True, "completion_tokens": float("nan")}, (0, 0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": 1e300}, (0, 0, 0)),
        (["?"], (0, 0, 0)),
    ],
)
def test_costs_are_counts(usage: Any, tokens: tuple[int, int, int]):
    read = read_usage({"usage": usage})
    assert (read.prompt, read.completion, read.cached) == tokens


LISTINGS: list[tuple[str, Any, list[ListedModel]]] = [
    ("OpenAI's", {"data": [{"id": "m"}]}, [ListedModel("m")]),
    (
        "vLLM's",
        {"data": [{"id": "m", "owned_by": "vllm", "root": "/w", "max_model_len": 8192}]},
        [ListedModel("m", "/w", context=8192, vllm=True)],
    ),
    (
        "an adapter takes its base's context",
        {"data": [{"id": "base", "max_model_len": 99}, {"id": "m", "parent": "base", "max_model_len": None}]},
        [ListedModel("base", context=99), ListedModel("m", parent="base", context=99)],
    ),
    ("an adapter of nobody", {"data": [{"id": "m", "parent": "gone"}]}, [ListedModel("m", parent="gone")]),
    ("-1 is not believed", {"data": [{"id": "m", "max_model_len": -1}]}, [ListedModel("m")]),
    ("a word", {"data": [{"id": "m", "max_model_len": "long"}]}, [ListedModel("m")]),
    ("a number as a word", {"data": [{"id": "m", "max_model_len": "4096"}]}, [ListedModel("m", context=4096)]),
    ("another name", {"data": [{"id": "m", "context_length": 4096.0}]}, [ListedModel("m", context=4096)]),
    ("infinite", {"data": [{"id": "m", "max_model_len": float("inf")}]}, [ListedModel("m")]),
    ("a bare list", [{"id": "m"}, {"id": "n"}], [ListedModel("m"), ListedModel("n")]),
    ("strings", {"data": ["m", "n"]}, [ListedModel("m"), ListedModel("n")]),
    ("by name", {"models": {"m": {}, "n": None}}, [ListedModel("m"), ListedModel("n")]),
    ("Ollama's", {"models": [{"name": "m:latest"}]}, [ListedModel("m:latest")]),
    ("numbers", {"data": [1, 2]}, []),
    ("an id that is a number", {"data": [{"id": 7}]}, [ListedModel("7")]),
    ("no id", {"data": [{"object": "model"}]}, []),
    ("data a string", {"data": "m"}, []),
    ("data a number", {"data": 7}, []),
    ("nulls", {"data": [None]}, []),
    ("nothing", None, []),
]


@pytest.mark.parametrize(("body", "listed"), [case[1:] for case in LISTINGS], ids=[case[0] for case in LISTINGS])
def test_listings_of_every_shape_are_read(body: Any, listed: list[ListedModel]):
    assert read_listing(body) == listed


def test_an_object_that_is_a_name_of_nothing_is_no_field():
    assert parameter(describe({"error": {"message": "unknown thing"}}, ""), ["temperature"]) == ""


# -- anything at all ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
GOOD = {
    **chat("<think>a</think>left", reasoning_content="b", refusal=None, tool_calls=[]),
    "error": None,
    "data": [{"id": "m", "root": "r", "parent": "m", "max_model_len": 4096, "owned_by": "vllm"}],
}
GOOD["choices"][0]["logprobs"] = {"content": [{"token": "left", "logprob": -0.5}]}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


@given(place=st.sampled_from(places(GOOD)), junk=JSON)
@example(place=("error",), junk=[[]])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_value_in_any_place_is_a_traceback(place: tuple[Any, ...], junk: Any):
    """The readers never raise; what they give has the types that they promise."""
    body = junk
    if place:
        body = copy.deepcopy(GOOD)
        inner: Any = body
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = junk
    body = parse(json.dumps(body))
    with contextlib.suppress(ModelError):
        answer = read_answer(body)
        assert isinstance(answer.text, str)
        assert isinstance(answer.thought, str)
    assert all(
        tokens >= 0 for tokens in (read_usage(body).prompt, read_usage(body).completion, read_usage(body).cached)
    )
    for entry in read_listing(body):
        assert entry.id
        assert entry.context is None or entry.context > 0
    for found in (read_error(body), describe(body, "plain")):
        if found is not None:
            assert "\n" not in found.message
            assert classify(200, found, ["temperature"])
            assert classify(400, found, ["temperature"])
