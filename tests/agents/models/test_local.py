"""Writing in process: what comes out is what transformers' own full passes give, whatever else is being written."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xgrammar
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from agents.agent import SkillAgent
from agents.decision import Decision, Observation
from agents.guide import NoGuide
from agents.models.local import LocalModel
from agents.models.model import Completion, Likelihood, Message, ModelCard, ModelError, Request, Sampling, Utterance
from agents.models.scoring.listening import listening
from agents.models.tokens.encoder_decoder import source
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.template import ChatTemplate
from environments import grammar as grammars
from environments.grammar import Choices, Grammar, JsonSchema, Regex
from tests.support import tiny

MOVE = Regex(r"\[[1-6] [1-6] [1-6] [1-6]\]")
RULES = Message("system", "You play Mastermind. Guess a code of four digits from 1 to 6, like [1 2 3 4].")
PERSON = JsonSchema.of(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)


WORD = JsonSchema.of(
    {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 6}},
        "required": ["a"],
        "additionalProperties": False,
    }
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def wrap(model: PreTrainedModel, words: PreTrainedTokenizerBase, *, rows: int = 4, context: int = 512) -> LocalModel:
    card = ModelCard("tiny", str(model.config.model_type), "transformers", "", "float32", context)
    return LocalModel(model, ChatTemplate(words), card, rows=rows)


def run(model: LocalModel, use: Callable[[LocalModel], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        try:
            return await use(model)
        finally:
            await model.close()

    return asyncio.run(go())


def write(model: LocalModel, *requests: Request) -> list[Completion]:
    async def all_at_once(open_model: LocalModel) -> list[Completion]:
        return list(await asyncio.gather(*(open_model.generate(request) for request in requests)))

    return run(model, all_at_once)


@torch.inference_mode()
def plainly(model: PreTrainedModel, words: PreTrainedTokenizerBase, request: Request) -> tuple[str, float]:
    """Greedy decoding by full passes of the untouched model: text and log-probability."""
    ids = ChatTemplate(words).tokens(request.messages, generation=True)
    start, total = len(ids), 0.0
    vocabulary = model.get_output_embeddings().weight.shape[0]
    matcher = None
    if request.grammar is not None:
        matcher = xgrammar.GrammarMatcher(GrammarMasks(words, vocabulary).compiled(request.grammar))
    bits = xgrammar.allocate_token_bitmask(1, vocabulary)
    while matcher is not None or len(ids) - start < request.sampling.max_tokens:
        raw = model(torch.tensor([ids], device=model.device), use_cache=False).logits[:, -1].float()
        masked = raw.clone().cpu()
        if matcher is not None:
            matcher.fill_next_token_bitmask(bits)
            xgrammar.apply_token_bitmask_inplace(masked, bits)
        token = int(masked.argmax())
        if token == words.eos_token_id:
            break
        total += float(raw.log_softmax(-1)[0, token])
        ids.append(token)
        if matcher is not None:
            matcher.accept_token(token)
    return words.decode(ids[start:], skip_special_tokens=True), total


def game(turns: int, seed: int = 0) -> list[tuple[Message, ...]]:
    """The prompts of a game, each one the last one and two messages more."""
    rng = random.Random(seed)
    code = lambda: "[" + " ".join(str(rng.randint(1, 6)) for _ in range(4)) + "]"  # noqa: E731
    messages = [RULES, Message("user", f"Game {seed} begins. Your guess?")]
    prompts = [tuple(messages)]
    for turn in range(turns - 1):
        messages += [
            Message("assistant", code()),
            Message("user", f"Turn {turn}: {rng.randint(0, 3)} black and {rng.randint(0, 3)} white pegs. Your guess?"),
        ]
        prompts.append(tuple(messages))
    return prompts


@pytest.mark.parametrize("family", tiny.CONFIGS)
@pytest.mark.parametrize("grammar", [None, MOVE, Choices(("yes", "no", "not at all"))])
def test_greedy_texts_and_their_likelihoods_are_those_of_plain_full_passes(family: str, grammar: Grammar | None):
    words = tiny.tokenizer()
    model = tiny.model(family, words)
    plain = tiny.twin(model)
    requests = [
        Request(prompt, grammar, Sampling(0.0, max_tokens=12), session=f"{game_seed}")
        for game_seed in range(3)
        for prompt in game(2, game_seed)
    ]
    for request, written in zip(requests, write(wrap(model, words), *requests), strict=True):
        text, logprob = plainly(plain, words, request)
        assert written.text == text
        assert written.logprob == pytest.approx(logprob, abs=1e-4 * max(1, written.completion_tokens))


@pytest.mark.parametrize("weights", ["smollm2", "gemma3"])
@torch.inference_mode()
def test_real_weights_write_what_one_full_pass_would(weights: str, request: pytest.FixtureRequest):
    model = LocalModel.load(request.getfixturevalue(weights), name=weights, precision="float32", device="cpu", rows=4)
    plain, words = model._writer._model, model._template.tokenizer  # pyright: ignore[reportPrivateUsage]
    requests = [Request(prompt, MOVE, Sampling(0.0)) for prompt in game(2)]
    requests.append(Request(game(2)[1], None, Sampling(0.0, max_tokens=6)))
    completions = write(model, *requests)
    plain.set_attn_implementation("eager")
    for asked, written in zip(requests, completions, strict=True):
        ids = ChatTemplate(words).tokens(asked.messages, generation=True)
        said: list[int] = words(written.text, add_special_tokens=False)["input_ids"]
        raw = plain(torch.tensor([ids + said]), use_cache=False).logits[0, len(ids) - 1 : -1].float().log_softmax(-1)
        assert len(said) == written.completion_tokens
        assert written.logprob == pytest.approx(float(raw[range(len(said)), said].sum()), abs=1e-4 * len(said))
        digits = {words(str(digit), add_special_tokens=False)["input_ids"][-1] for digit in range(1, 7)}
        for row, token in zip(raw, said, strict=True):
            if asked.grammar is None:
                assert token == int(row.argmax())
            elif token in digits:
                assert float(row[token]) == float(row[sorted(digits)].max())


def products_depend_on_company(precision: str) -> bool:
    """Whether this processor multiplies a row otherwise when there are more rows (AMX does so in bfloat16)."""
    dtype = getattr(torch, precision)
    generator = torch.Generator().manual_seed(0)
    for outputs, inputs in ((576, 576), (1536, 576), (576, 1536), (49152, 576)):
        weights = torch.randn(outputs, inputs, generator=generator).to(dtype)
        rows = torch.randn(512, inputs, generator=generator).to(dtype)
        alone = torch.nn.functional.linear(rows[:16], weights)[0]
        if any(not torch.equal(torch.nn.functional.linear(rows[:n], weights)[0], alone) for n in (32, 64, 128, 512)):
            return True
    return False


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_company_changes_nothing(smollm2: Path, precision: str):
    """Bit for bit: alone, in company, in another order, with the conversation remembered and with it forgotten.

    Where the processor itself multiplies a row otherwise in company, equal first moves differ by rounding alone.
    """
    games = {f"game {seed}": game(2, seed) for seed in range(3)}

    def requests(session: str) -> list[Request]:
        return [
            Request(prompt, MOVE, Sampling(0.8, seed=index), session) for index, prompt in enumerate(games[session])
        ]

    async def play(model: LocalModel, session: str) -> list[tuple[str, float | None, float | None]]:
        written = [await model.generate(request) for request in requests(session)]
        return [(completion.text, completion.logprob, completion.policy_logprob) for completion in written]

    def load(rows: int) -> LocalModel:
        return LocalModel.load(smollm2, name="smollm2", precision=precision, device="cpu", rows=rows)

    async def alone(model: LocalModel) -> Any:
        return {session: await play(model, session) for session in games}

    def together(order: list[str], noise: bool) -> Callable[[LocalModel], Awaitable[Any]]:
        async def use(model: LocalModel) -> Any:
            others = [Request(game(3, 9)[-1], None, Sampling(1.0, max_tokens=9))] if noise else []
            found, _ = await asyncio.gather(
                asyncio.gather(*(play(model, session) for session in order)),
                asyncio.gather(*(model.generate(other) for other in others)),
            )
            return dict(zip(order, found, strict=True))

        return use

    expected = run(load(1), alone)
    found = [run(load(8), together(list(games), noise=True)), run(load(2), together(list(games)[::-1], noise=False))]
    if not products_depend_on_company(precision):
        assert found == [expected, expected]
        return
    pairs = [(expected[session][0], each[session][0]) for each in found for session in games]
    same = [(one, other) for one, other in pairs if one[0] == other[0]]
    assert len(same) > len(pairs) / 2
    assert all(one[1] == pytest.approx(other[1], abs=0.3) for one, other in same)


def test_a_conversation_is_read_once():
    words = tiny.tokenizer()
    prompts = game(3)

    async def use(model: LocalModel) -> list[Completion]:
        return [await model.generate(Request(prompt, MOVE, Sampling(0.0), "one")) for prompt in prompts]

    first, second, third = run(wrap(tiny.model("llama", words), words), use)
    assert first.cached_tokens == 0
    assert second.cached_tokens >= first.prompt_tokens - len("<|start|>assistant\n")
    assert third.cached_tokens > second.cached_tokens


def test_conversations_that_begin_alike_share_their_beginning():
    words = tiny.tokenizer()
    requests = [Request(game(1, seed)[0], MOVE, Sampling(0.0), f"{seed}") for seed in range(4)]
    written = write(wrap(tiny.model("llama", words), words), *requests)
    shared = len(words(f"<|start|>system\n{RULES.content}", add_special_tokens=False)["input_ids"])
    assert [completion.cached_tokens >= shared for completion in written] == [False, True, True, True]


def test_more_conversations_than_slots_take_turns():
    words = tiny.tokenizer()
    prompts = {seed: game(2, seed) for seed in range(9)}

    async def play(model: LocalModel, seed: int) -> list[str]:
        asked = [Request(prompt, MOVE, Sampling(0.9, seed=seed), f"{seed}") for prompt in prompts[seed]]
        return [(await model.generate(request)).text for request in asked]

    async def use(model: LocalModel) -> list[list[str]]:
        return list(await asyncio.gather(*(play(model, seed) for seed in prompts)))

    few, many = (run(wrap(tiny.model("qwen3", words), words, rows=rows), use) for rows in (1, 9))
    assert few == many


def test_a_prompt_too_long_loses_its_oldest_turns_and_says_so():
    words = tiny.tokenizer()
    prompt = game(6)[-1]
    [written] = write(wrap(tiny.model("llama", words), words, context=400), Request(prompt, MOVE, Sampling(0.0)))
    assert written.dropped_turns > 0
    kept = (prompt[0], *prompt[1 + written.dropped_turns :])
    assert kept[1].role == "user"
    [again] = write(wrap(tiny.model("llama", words), words), Request(kept, MOVE, Sampling(0.0)))
    assert (again.text, again.prompt_tokens, again.dropped_turns) == (written.text, written.prompt_tokens, 0)


def test_a_turn_too_long_by_itself_is_an_error():
    words = tiny.tokenizer()
    with pytest.raises(ModelError, match="longer context or lower max_tokens"):
        write(wrap(tiny.model("llama", words), words, context=100), Request((Message("user", "word " * 40),)))


def test_max_tokens_closes_a_document_and_never_breaks_it():
    words = tiny.tokenizer()
    requests = [
        Request((RULES,), PERSON, Sampling(1.0, max_tokens=10, seed=seed)) for seed in range(8)
    ]  # a random model would write on for ever
    for written in write(wrap(tiny.model("llama", words), words), *requests):
        assert PERSON.accepts(written.text)
        assert written.finish == "length"


def test_a_grammar_without_an_end_is_an_error_and_the_model_goes_on():
    words = tiny.tokenizer()

    async def use(model: LocalModel) -> Any:
        endless = Request((RULES,), Regex("[ab]{900}"), Sampling(1.0, max_tokens=4))
        outcomes = await asyncio.gather(
            model.generate(endless), model.generate(Request((RULES,), MOVE)), return_exceptions=True
        )
        return *outcomes, await model.generate(Request((RULES,), MOVE))

    failed, beside, after = run(wrap(tiny.model("llama", words), words), use)
    assert isinstance(failed, ModelError)
    assert "max_tokens" in str(failed)
    assert beside.text == after.text


def test_free_text_stops_at_max_tokens():
    words = tiny.tokenizer()
    [written] = write(wrap(tiny.model("llama", words), words), Request((RULES,), None, Sampling(0.0, max_tokens=7)))
    assert written.completion_tokens <= 7
    assert written.finish in ("stop", "length")


def test_a_base_model_says_one_turn(gemma3: Path):
    model = LocalModel.load(gemma3, name="gemma3-270m", device="cpu", rows=2)
    talk = (RULES, Message("user", "Say: hello."), Message("assistant", "Hello."), Message("user", "Say: hello."))
    counting = tuple(
        Message(role, str(number))
        for number in (1, 3, 5)
        for role, number in (("user", number), ("assistant", number + 1))
    )[:-1]
    free, short = write(
        model,
        Request(talk, None, Sampling(0.0, max_tokens=24)),
        Request(counting, Regex("[0-9]{1,9}"), Sampling(0.0)),
    )
    assert "User:" not in free.text
    assert len(short.text) < 9


def test_sampling_is_by_its_seed_and_likelihoods_are_the_policys():
    words = tiny.tokenizer()

    async def use(model: LocalModel) -> Any:
        written = [await model.generate(Request((RULES,), MOVE, Sampling(0.7, seed=seed))) for seed in (1, 1, 2, 3, 4)]
        likely = await model.score([Utterance((RULES,), done.text, MOVE, 0.7, done.tokens) for done in written])
        return written, likely

    written, likely = run(wrap(tiny.model("llama", words), words), use)
    assert written[0] == Completion(**{**_fields(written[1]), "cached_tokens": written[0].cached_tokens})
    assert len({completion.text for completion in written}) > 1
    for completion, likelihood in zip(written, likely, strict=True):
        assert completion.completion_tokens == len(likelihood.logprobs)
        assert completion.policy_logprob == pytest.approx(likelihood.total, abs=1e-4)


def test_a_narrow_nucleus_is_greedy():
    words = tiny.tokenizer()
    requests = [
        Request((RULES,), MOVE, Sampling(0.0)),
        *(Request((RULES,), MOVE, Sampling(1.0, top_p=1e-9, seed=seed)) for seed in range(3)),
    ]
    assert len({completion.text for completion in write(wrap(tiny.model("llama", words), words), *requests)}) == 1


def test_a_cancelled_call_leaves_the_others_alone():
    words = tiny.tokenizer()

    async def use(model: LocalModel) -> Any:
        tasks = [asyncio.create_task(model.generate(Request((RULES,), MOVE, Sampling(0.0)))) for _ in range(6)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        tasks[5].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return outcomes, await model.generate(Request((RULES,), MOVE, Sampling(0.0)))

    outcomes, after = run(wrap(tiny.model("llama", words), words, rows=2), use)
    assert all(isinstance(o, asyncio.CancelledError) or o.text == after.text for o in outcomes)
    assert all(not isinstance(outcome, BaseException) for outcome in outcomes[1:5])


def test_what_goes_wrong_in_a_pass_reaches_the_callers(monkeypatch: pytest.MonkeyPatch):
    words = tiny.tokenizer()
    model = wrap(tiny.model("llama", words), words)

    async def use(model: LocalModel) -> Any:
        def broken(*_: Any) -> None:
            raise torch.OutOfMemoryError("not enough of it")

        with monkeypatch.context() as patch:
            patch.setattr(model._writer, "_forward", broken)  # pyright: ignore[reportPrivateUsage]
            asked = [model.generate(Request((RULES,), MOVE)) for _ in range(6)]
            failed = await asyncio.gather(*asked, return_exceptions=True)
        return failed, await model.generate(Request((RULES,), MOVE))

    failed, after = run(model, use)
    assert all(isinstance(error, ModelError) and "fewer rows" in str(error) for error in failed)
    assert MOVE.accepts(after.text)


def test_a_closed_model_says_so():
    words = tiny.tokenizer()

    async def use(model: LocalModel) -> Any:
        task = asyncio.create_task(model.generate(Request((RULES,), Regex("[ab]{300}"), Sampling(max_tokens=300))))
        await asyncio.sleep(0.05)
        await model.close()
        with pytest.raises(ModelError, match="closed"):
            await task
        with pytest.raises(ModelError, match="closed"):
            await model.generate(Request((RULES,), MOVE))

    run(wrap(tiny.model("llama", words), words), use)


def test_an_encoder_decoder_writes_what_it_finds_likely():
    words = tiny.tokenizer()
    words.pad_token = words.eos_token

    async def use(model: LocalModel) -> Any:
        asked = [Request((RULES, Message("user", f"Move {i}")), MOVE, Sampling(0.9, seed=i)) for i in range(3)]
        written = await asyncio.gather(*(model.generate(request) for request in asked))
        said = [
            Utterance(request.messages, done.text, MOVE, 0.9, done.tokens)
            for request, done in zip(asked, written, strict=True)
        ]
        return written, await model.score(said), await model.generate(Request((RULES,), None, Sampling(max_tokens=5)))

    written, likely, free = run(wrap(tiny.t5(words), words), use)
    assert all(MOVE.accepts(completion.text) for completion in written)
    assert free.completion_tokens <= 5
    for completion, likelihood in zip(written, likely, strict=True):
        assert completion.completion_tokens == len(likelihood.logprobs)
        assert completion.policy_logprob == pytest.approx(likelihood.total, abs=1e-4)


@pytest.mark.parametrize("family", [tiny.t5, tiny.bart])
def test_an_encoder_decoder_with_sentence_pieces_makes_moves_of_several_words(family: Any):
    words = tiny.sentence_piece()
    moves = Choices(("go to 1", "go to 2", "[stay]"))
    original = family(words)
    plain = tiny.twin(original)

    async def use(model: LocalModel) -> Any:
        asked = [Request((Message("user", "Where?"),), moves, Sampling(0.9, seed=seed)) for seed in range(6)]
        written = await asyncio.gather(*(model.generate(request) for request in asked))
        said = [Utterance(asked[0].messages, done.text, moves, 0.9, done.tokens) for done in written]
        untold = [Utterance(asked[0].messages, move, moves, 0.9) for move in moves.options]
        return written, await model.score(said), await model.score(untold)

    written, likely, every = run(wrap(original, words, context=128), use)
    assert {done.text for done in written} <= set(moves.options)
    for done, likelihood in zip(written, likely, strict=True):
        assert done.policy_logprob == pytest.approx(likelihood.total, abs=1e-4)
        read = torch.tensor([source(ChatTemplate(words), (Message("user", "Where?"),))])
        start = torch.tensor([[plain.config.decoder_start_token_id, *done.tokens[:-1]]])
        with torch.inference_mode():
            logits = plain(input_ids=read, decoder_input_ids=start).logits[0].log_softmax(-1)
        expected = float(logits[range(len(done.tokens)), done.tokens].sum())
        assert done.logprob == pytest.approx(expected, abs=1e-4)
    assert all(np.isfinite(likelihood.total) for likelihood in every)


def test_a_vocabulary_without_braces_says_that_it_cannot_write_json():
    words = tiny.sentence_piece()

    async def use(model: LocalModel) -> Any:
        with pytest.raises(ModelError, match=r"no token for what .* asks for after '': name another model"):
            await model.generate(Request((RULES,), PERSON))

    run(wrap(tiny.t5(words), words), use)


def test_two_models_take_turns_in_one_thread():
    words = tiny.tokenizer()
    one, two = (wrap(tiny.model(family, words), words) for family in ("llama", "gemma3"))
    assert one._worker is two._worker  # pyright: ignore[reportPrivateUsage]

    async def use(_: LocalModel) -> Any:
        written = await asyncio.gather(*(model.generate(Request((RULES,), MOVE)) for model in (one, two, one)))
        await two.close()
        return [*written, await one.generate(Request((RULES,), MOVE))]

    assert all(MOVE.accepts(completion.text) for completion in run(one, use))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"device": "abacus"}, "no device"), ({"device": "cuda"}, "torch sees none")],
)
def test_a_device_that_is_not_there(smollm2: Path, options: dict[str, str], complaint: str):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ModelError, match=complaint):
        LocalModel.load(smollm2, name="smollm2", **options)


def test_a_folder_without_a_model(tmp_path: Path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        LocalModel.load(tmp_path, name="nothing")


def _fields(completion: Completion) -> dict[str, Any]:
    return {name: getattr(completion, name) for name in Completion.__dataclass_fields__}


@pytest.mark.parametrize("grammar", [None, MOVE, Regex("(the|t|h|e| |1|\\[1){1,9}"), WORD])
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_what_was_drawn_is_as_likely_afterwards_as_when_it_was_drawn(family: str, grammar: Grammar | None):
    """Of a random model nearly every text is spelled otherwise than its tokenizer would spell it."""
    words = tiny.tokenizer()
    temperature, longest = (1.0, 8) if grammar is None else (0.8, 60)

    async def use(model: LocalModel) -> Any:
        asked = [
            Request(game(2, seed)[1], grammar, Sampling(temperature, max_tokens=longest, seed=seed))
            for seed in range(12)
        ]
        written = await asyncio.gather(*(model.generate(request) for request in asked))
        done = [
            (request, each)
            for request, each in zip(asked, written, strict=True)
            if each.finish == "stop" or grammar is None
            if max(each.tokens or (0,)) < len(words)  # a random model draws spare entries of its output layer, too
        ]
        said = [
            Utterance(request.messages, each.text, grammar, temperature, each.tokens if kept else None)
            for kept in (True, False)
            for request, each in done
        ]
        return [each for _, each in done], await model.score(said)

    written, likely = run(wrap(tiny.model(family, words), words), use)
    assert written
    for completion, likelihood in zip(written, likely[: len(written)], strict=True):
        assert completion.tokens is not None
        assert words.decode(completion.tokens, skip_special_tokens=True) == completion.text
        assert completion.policy_logprob == pytest.approx(
            likelihood.total, abs=1e-4 * (1 + completion.completion_tokens)
        )
    if grammar is not MOVE:
        assert any(
            len(one.tokens or ()) != len(two.logprobs) for one, two in zip(written, likely[len(written) :], strict=True)
        )


def test_a_leading_thought_is_no_part_of_the_move(monkeypatch: pytest.MonkeyPatch):
    words = tiny.tokenizer()
    asked = Request((RULES,), None, Sampling(1.0, max_tokens=40, seed=1))
    template = ChatTemplate(words)
    plain, thinking = (wrap(tiny.model("llama", words), words) for _ in range(2))
    [free] = write(plain, asked)
    monkeypatch.setattr(ChatTemplate, "text", lambda self, ids: "<think>so</think>[1 2]")
    [thought] = write(thinking, asked)
    assert (thought.text, thought.thought, thought.tokens) == ("[1 2]", "so", None)
    assert free.tokens is not None
    assert template.tokenizer.decode(free.tokens, skip_special_tokens=True) == free.text


def test_real_moves_are_as_likely_afterwards_as_when_they_were_drawn(smollm2: Path):
    """Among them moves that SmolLM2's tokenizer would have spelled otherwise."""
    move = Regex(r"\[?(hit|stand|hit me|stand pat)\]?")
    prompts = [
        (Message("system", "You play Blackjack."), Message("user", f"You hold {n}. Hit or stand?")) for n in (9, 17)
    ]

    async def use(model: LocalModel) -> Any:
        asked = [Request(prompt, move, Sampling(4.0, seed=seed)) for prompt in prompts for seed in range(6)]
        written = await asyncio.gather(*(model.generate(request) for request in asked))
        said = [
            Utterance(request.messages, done.text, move, 4.0, tokens)
            for request, done in zip(asked, written, strict=True)
            for tokens in (done.tokens, None)
        ]
        likely = await model.score(said)
        return written, likely[::2], likely[1::2]

    model = LocalModel.load(smollm2, name="smollm2", precision="float32", device="cpu", rows=4)
    written, drawn, retold = run(model, use)
    for completion, likelihood in zip(written, drawn, strict=True):
        assert completion.policy_logprob == pytest.approx(likelihood.total, abs=1e-3)
    assert any(len(one.logprobs) != len(two.logprobs) for one, two in zip(drawn, retold, strict=True))


def test_a_step_keeps_what_was_drawn_on_disk_and_old_steps_have_none():
    words = tiny.tokenizer()
    seen = Observation(text="Your guess?", rules=RULES.content, grammar=grammars.dump(MOVE))

    async def use(model: LocalModel) -> Decision:
        return await SkillAgent("player_0", model, NoGuide(), np.random.default_rng(0)).decide(seen)

    decision = run(wrap(tiny.model("llama", words), words), use)
    assert decision.tokens is not None
    assert words.decode(decision.tokens) == decision.completion
    content = json.loads(decision.model_dump_json())
    assert Decision.model_validate(content) == decision
    del content["tokens"]
    assert Decision.model_validate(content).tokens is None


def test_whoever_listens_is_told_how_far_likelihoods_have_come(monkeypatch):
    """In the event loop, after every pass, and the likelihoods are the same."""
    utterances = [Utterance((Message("user", f"What is {n}?"),), f"It is {n} of many.") for n in range(12)]
    told: list[tuple[int, int]] = []

    async def use(model: LocalModel) -> tuple[list[Likelihood], list[Likelihood]]:
        alone = await model.score(utterances)
        monkeypatch.setattr(model._engine.scorer, "_chunk", 16)
        with listening(lambda done, whole: told.append((done, whole))):
            heard = await model.score(utterances)
        await asyncio.sleep(0)
        before = len(told)
        await model.score(utterances)
        assert len(told) == before
        return alone, heard

    words = tiny.tokenizer()
    alone, heard = run(wrap(tiny.model("llama", words), words), use)
    assert [each.total for each in heard] == pytest.approx([each.total for each in alone], abs=1e-4)
    done, (whole,) = [done for done, _ in told], {whole for _, whole in told}
    assert len(done) > 3
    assert done == sorted(done)
    assert done[-1] == whole
