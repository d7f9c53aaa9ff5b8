"""What a server can do is found out by asking it once, and said in a sentence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.models.model import Message, ModelMisconfigured, PromptTooLong, Request, Sampling
from agents.models.served.model import ServedModel
from agents.models.served.probe import ServerProbe, probe
from testbed.cli.check import app
from tests.support.stub_server import Body, Reply, chat, says, stub_servers

MOVE = '{"answer": "[1 2 3 4]"}'


def probed(url: str, **options: Any) -> ServerProbe:
    async def go() -> ServerProbe:
        model = await ServedModel.connect("m", [url], patience=0.0, timeout=5.0, **options)
        try:
            return await probe(model)
        finally:
            await model.close()

    return asyncio.run(go())


def test_a_server_that_can_do_what_is_needed():
    with stub_servers(says(MOVE), listing={"data": [{"id": "m", "context_length": 4096}]}) as [server]:
        found = probed(server.url)
    assert (found.grammar, found.likelihoods, found.thinks, found.tokenizer, found.context) == (
        True,
        False,
        False,
        "",
        4096,
    )
    assert found.advice == ""
    assert found.sentence == (
        "m behind an OpenAI-compatible server keeps answers to a grammar, tells no likelihoods of given texts, does "
        "not think before it answers, is read without its tokenizer, and takes 4096 tokens"
    )


def test_a_server_without_grammars_is_told_from_one_with():
    with stub_servers(says("Good morning! I am fine, thank you.")) as [server]:
        found = probed(server.url)
    assert not found.grammar
    assert "does NOT keep answers to a grammar" in found.sentence
    assert "ignores structured outputs" in found.advice


def test_thoughts_are_seen():
    with stub_servers(lambda body: (200, chat(MOVE, reasoning_content="Polite, hm."))) as [server]:
        found = probed(server.url)
    assert found.thinks
    assert found.advice == ""


def test_a_thought_that_leaves_no_room_says_what_to_raise():
    def answer(body: Body) -> Any:
        return 200, chat("<think>…</think>" + MOVE) if body["max_tokens"] > 500 else chat("<think>…", "length")

    with stub_servers(answer) as [server]:
        assert "raise the agent's reasoning_budget" in probed(server.url).advice
        found = probed(server.url, reasoning_budget=1000)
    assert (found.grammar, found.thinks) == (True, True)


def test_what_the_template_is_told_reaches_the_server():
    with stub_servers(says(MOVE)) as [server]:
        probed(server.url, chat_template_kwargs={"enable_thinking": False})
    assert server.seen[0]["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_server_that_refuses_a_greeting_refuses_everything():
    with (
        stub_servers(lambda body: (400, {"error": "nope"})) as [server],
        pytest.raises(ModelMisconfigured, match="nope"),
    ):
        probed(server.url)


def test_the_command_prints_it_and_its_exit_code_says_whether_agents_can_play():
    with stub_servers(says(MOVE), says("Hello!")) as [good, bad]:
        fine, not_fine, as_json = (
            CliRunner().invoke(app, ["server", *arguments])
            for arguments in ([good.url, "m"], [bad.url, "m"], [good.url, "m", "--json"])
        )
    assert fine.exit_code == 0
    assert "keeps answers to a grammar" in " ".join(fine.output.split())
    assert not_fine.exit_code == 1
    assert "structured outputs" in " ".join(not_fine.output.split())
    assert json.loads(as_json.output)["grammar"] is True


# -- fields that a server knows by other names, or not at all -------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "message", "gone"),
    [
        (
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
        ("logprobs", "logprobs unsupported", "logprobs"),
        ("seed", "Unknown field: seed", "seed"),
    ],
)
def test_a_field_that_is_not_known_is_said_otherwise_or_left_out(refused: str, message: str, gone: str):
    def picky(body: Body) -> Any:
        return (400, {"error": {"message": message}}) if refused in body else (200, chat(MOVE))

    with stub_servers(picky) as [server]:
        assert probed(server.url).grammar
        assert len(server.seen) == 2
    sent = server.seen[-1]
    assert gone not in sent
    if refused == "max_tokens":
        assert sent["max_completion_tokens"] == server.seen[0]["max_tokens"]


# -- the length of prompts -----------------------------------------------------------------------------------------


def conversation(turns: int, words: int = 40) -> tuple[Message, ...]:
    said = (Message(("user", "assistant")[index % 2], f"{index} " + "1 2 3 4 " * words) for index in range(turns))
    return (Message("system", "Rules."), *said)


def played(url: str, prompts: list[tuple[Message, ...]]) -> list[int]:
    """How many turns were dropped from each prompt of a conversation."""

    async def go() -> list[int]:
        model = await ServedModel.connect("m", [url], patience=0.0)
        asked = [Request(prompt, sampling=Sampling(max_tokens=20), session="one") for prompt in prompts]
        try:
            return [(await model.generate(request)).dropped_turns for request in asked]
        finally:
            await model.close()

    return asyncio.run(go())


def tokens(body: Body) -> int:
    """A token for every digit and every blank: the densest that a board can be."""
    return sum(len(message["content"]) for message in body["messages"])


def test_the_length_of_a_prompt_is_learned_from_its_cost():
    """Digits and blanks have twice the tokens that text has; after one answer that is known, and nothing is refused."""
    refused: list[int] = []

    def answer(body: Body) -> Any:
        size = tokens(body)
        if size + body["max_tokens"] > 4000:
            refused.append(size)
            return 400, {"error": {"message": "maximum context length is 4000 tokens"}}
        return 200, chat("ok") | {"usage": {"prompt_tokens": size, "completion_tokens": 1}}

    listing = {"data": [{"id": "m", "max_model_len": 4000}]}
    with stub_servers(answer, listing=listing) as [server]:
        dropped = played(server.url, [conversation(turns) for turns in range(1, 25, 2)])
    assert refused == []
    assert dropped[0] == 0
    assert dropped[-1] > 0


def test_a_prompt_that_is_refused_for_its_length_is_shortened_and_asked_again():
    """A server that does not tell its context, or has another since it was started again."""

    def answer(body: Body) -> Any:
        if tokens(body) > 2000:
            return 400, {"error": {"code": "context_length_exceeded", "message": "too long"}}
        return 200, chat("ok")

    with stub_servers(answer) as [server]:
        assert played(server.url, [conversation(15)])[0] > 0
        assert server.seen[-1]["messages"][0]["content"] == "Rules."
        assert server.seen[-1]["messages"][-1]["content"].startswith("14 ")
        with pytest.raises(PromptTooLong, match="too long"):
            played(server.url, [conversation(1, words=400)])
    assert len(server.seen) < 15


def test_an_adapter_is_as_long_as_what_it_stands_on():
    entries = [{"id": "base", "max_model_len": 4096}, {"id": "m", "parent": "base", "max_model_len": None}]
    with stub_servers(says(MOVE), listing={"data": entries}) as [server]:
        assert probed(server.url).context == 4096


# -- what a server may not choose ------------------------------------------------------------------------------------


def test_a_server_does_not_choose_which_tokenizer_is_loaded(smollm2, monkeypatch):
    loaded: list[str] = []
    from agents.models.served import vllm

    monkeypatch.setattr(vllm, "load_tokenizer", loaded.append)
    entry = {"id": "m", "owned_by": "vllm", "root": str(smollm2), "max_model_len": 512}
    with stub_servers(says("[1 2 3 4]"), listing={"data": [entry]}) as [server]:
        found = probed(server.url)
    assert loaded == []
    assert found.tokenizer == ""
    assert found.backend == "vllm"


THINKER = (
    "{% for m in messages %}{{ m.content }}{% endfor %}"
    "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}"
)


def test_a_thought_that_the_template_opens_is_closed_before_a_move(smollm2, tmp_path):
    """Over /completions a grammar would force the move into the thought."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    tokenizer.chat_template = THINKER
    tokenizer.save_pretrained(tmp_path)
    sent: list[list[int]] = []

    def answer(body: Body) -> Reply | tuple[int, Any]:
        if body["path"] == "/tokenize":
            return 200, {"tokens": tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]}
        sent.append(body["prompt"])
        return 200, {"choices": [{"text": "[1 2 3 4]", "prompt_logprobs": None}]}

    entry = {"id": "m", "owned_by": "vllm", "max_model_len": 512}
    with stub_servers(answer, listing={"data": [entry]}) as [server]:
        for settings in ({}, {"enable_thinking": False}):
            assert probed(server.url, tokenizer=str(tmp_path), chat_template_kwargs=settings).grammar
    for prompt in sent:
        assert tokenizer.decode(prompt).rstrip().endswith(("</think>", "Good morning."))


def test_a_reasoning_parser_that_ignores_grammars_is_named(smollm2):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)

    def answer(body: Body) -> Any:
        if body["path"] == "/tokenize":
            return 200, {"tokens": tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]}
        return 200, {"choices": [{"text": "Okay, the user greets me"}]}

    entry = {"id": "m", "owned_by": "vllm", "max_model_len": 512}
    with stub_servers(answer, listing={"data": [entry]}) as [server]:
        assert "--reasoning-parser" in probed(server.url, tokenizer=str(smollm2)).advice
