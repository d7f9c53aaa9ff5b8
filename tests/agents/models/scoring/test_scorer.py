"""Likelihoods are those of a plain forward pass over one sequence in float32, however they were computed."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Iterator

import pytest
import torch
import xgrammar
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, T5Config, T5ForConditionalGeneration

from agents.models.model import Likelihood, Message, ModelError, Utterance
from agents.models.scoring.encoder_decoder import EncoderDecoderScorer
from agents.models.scoring.noise import NoiseFloor, noise_floor
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.template import ChatTemplate
from environments.grammar import Choices, JsonSchema, Regex
from tests.support import tiny

TOLERANCE = 1e-4
"""Nats per token, in float32."""

WORDS = tiny.tokenizer()
MODELS = {family: tiny.model(family, WORDS) for family in tiny.CONFIGS}
MOVE = Regex(r"\[[12] [12]\]")
RULES, ASK = Message("system", "the rules"), Message("user", "move")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.inference_mode()
def plain(model, tokenizer, utterance: Utterance) -> list[float]:
    """One sequence, full logits, float32: what every other way of computing is held against."""
    item = ChatTemplate(tokenizer).tokenize(utterance)
    logits = model(input_ids=torch.tensor([item.ids], device=model.device), use_cache=False).logits[0].float()
    logprobs = logits.log_softmax(-1)
    return [float(logprobs[i - 1, item.ids[i]]) for i in range(item.start, item.stop)]


def furthest(found: list[Likelihood], expected: list[list[float]]) -> float:
    pairs = [p for f, e in zip(found, expected, strict=True) for p in zip(f.logprobs, e, strict=True)]
    return max((abs(one - other) for one, other in pairs), default=0.0)


texts = st.text(st.sampled_from("[12] the\n"), max_size=12)


@st.composite
def calls(draw) -> list[Utterance]:
    """Utterances along a few conversations that share rules, openings or nothing; duplicates and empty texts too."""
    systems = draw(st.lists(texts, min_size=1, max_size=2))
    out: list[Utterance] = []
    for _ in range(draw(st.integers(0, 4))):
        messages = [Message("system", "the rules " + draw(st.sampled_from(systems)))]
        for _ in range(draw(st.integers(1, 3))):
            messages.append(Message("user", draw(texts)))
            said = draw(st.lists(texts, min_size=1, max_size=3))
            out += [Utterance(tuple(messages), text) for text in said]
            messages.append(Message("assistant", said[0]))
    return out + out[: draw(st.integers(0, 2))]


@pytest.mark.parametrize("family", MODELS)
@settings(max_examples=15, deadline=None)
@given(call=calls(), chunk=st.sampled_from([5, 40, 4096]))
def test_random_trees_score_as_if_each_were_alone(family, call, chunk):
    model = MODELS[family]
    found = PrefixTreeScorer(model, ChatTemplate(WORDS), chunk_tokens=chunk).score(call)
    assert furthest(found, [plain(model, WORDS, utterance) for utterance in call]) <= TOLERANCE


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_conversations_longer_than_the_sliding_window(family):
    long = Message("system", "the rules [1 2] " * 8)
    call = [Utterance((long, ASK), text) for text in ("[1 2]", "[2 1] the", "er" * 40)]
    found = PrefixTreeScorer(MODELS[family], ChatTemplate(WORDS)).score(call)
    assert len(ChatTemplate(WORDS).tokenize(call[0]).ids) > 3 * 24
    assert furthest(found, [plain(MODELS[family], WORDS, utterance) for utterance in call]) <= TOLERANCE


def test_an_empty_call_and_an_empty_text():
    scorer = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS))
    assert scorer.score([]) == []
    assert scorer.score([Utterance((RULES, ASK), "")]) == [Likelihood(())]
    assert scorer.score([Utterance((RULES, ASK), "", MOVE)])[0].total == 0


def test_every_distinct_token_is_computed_once():
    model = MODELS["llama"]
    messages = [RULES, ASK, Message("assistant", "[1 2]"), ASK]
    call = [
        Utterance(tuple(messages[:2]), "[1 2]"),
        Utterance(tuple(messages), "[2 1]"),
        Utterance(tuple(messages), "er"),
    ]
    seen: list[int] = []
    hook = model.get_input_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0].numel()))
    try:
        PrefixTreeScorer(model, ChatTemplate(WORDS)).score([*call, *call])
    finally:
        hook.remove()
    tokenized = [ChatTemplate(WORDS).tokenize(utterance) for utterance in call]
    assert sum(seen) == len({item.ids[: i + 1] for item in tokenized for i in range(item.stop - 1)})


def test_the_model_is_given_back_as_it_was():
    model = MODELS["qwen2"]
    PrefixTreeScorer(model, ChatTemplate(WORDS)).score([Utterance((RULES, ASK), "[1 2]")])
    assert model.config._attn_implementation == "eager"


# -- the acting policy's likelihood ------------------------------------------------------------------------------------


@torch.inference_mode()
def acting(model, utterance: Utterance) -> list[float]:
    """Every allowed token enumerated by xgrammar, renormalised at the temperature."""
    item = ChatTemplate(WORDS).tokenize(utterance)
    logits = model(input_ids=torch.tensor([item.ids])).logits[0].float() / utterance.temperature
    matcher = None
    if utterance.grammar is not None:
        matcher = xgrammar.GrammarMatcher(GrammarMasks(WORDS, logits.shape[1]).compiled(utterance.grammar))
    out = []
    for i in range(item.start, item.stop):
        row = logits[i - 1]
        if matcher is not None:
            bits = xgrammar.allocate_token_bitmask(1, len(row))
            matcher.fill_next_token_bitmask(bits)
            row = row.clone()[None]
            xgrammar.apply_token_bitmask_inplace(row, bits)
            row = row[0]
            matcher.accept_token(item.ids[i])
        out.append(float(row.log_softmax(-1)[item.ids[i]]))
    return out


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("grammar", [None, MOVE, Choices(("[1 2]", "[2 1]", "the end"))])
def test_the_policys_likelihood_is_masked_and_tempered(grammar, temperature):
    call = [Utterance((RULES, ASK), text, grammar, temperature) for text in ("[1 2]", "[2 1]")]
    call.append(Utterance((RULES, ASK), "[1 2]"))
    found = PrefixTreeScorer(MODELS["gemma2"], ChatTemplate(WORDS)).score(call)
    assert furthest(found, [acting(MODELS["gemma2"], utterance) for utterance in call]) <= TOLERANCE


def test_the_policys_likelihoods_of_all_its_texts_sum_to_one():
    """Every path through the grammar, one token at a time, so that there is only one way to write each."""
    one_byte = Regex(r"[abc]")
    call = [Utterance((RULES, ASK), text, one_byte, 0.7) for text in "abc"]
    found = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS)).score(call)
    assert sum(math.exp(likelihood.total) for likelihood in found) == pytest.approx(1, abs=1e-5)


def test_what_the_grammar_forbids_is_minus_infinity():
    call = [Utterance((RULES, ASK), text, MOVE) for text in ("[1 2]", "[3 1]", "[1 2] the", "er")]
    legal, *illegal = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS)).score(call)
    assert math.isfinite(legal.total)
    assert [likelihood.total for likelihood in illegal] == [-math.inf] * 3


def test_a_grammar_that_cannot_be_compiled_and_a_greedy_policy_are_refused():
    scorer = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS))
    with pytest.raises(ModelError, match="cannot compile"):
        scorer.score([Utterance((RULES, ASK), "a", Regex("[a"))])
    with pytest.raises(ModelError, match="greedy"):
        scorer.score([Utterance((RULES, ASK), "a", temperature=0.0)])


def test_a_json_schema_is_a_grammar_too():
    schema = JsonSchema.of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    fits, fails = (Utterance((RULES, ASK), text, schema) for text in ('{"a": 1}', '{"a": "b"}'))
    found = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS)).score([fits, fails])
    assert math.isfinite(found[0].total)
    assert found[1].total == -math.inf


def test_a_text_may_end_where_its_grammar_does_and_what_ends_it_takes_its_share():
    """Two tokens end a turn here; both compete with going on, as while acting, though neither is part of the text."""
    model = copy.deepcopy(MODELS["llama"])
    ends = (WORDS.eos_token_id, WORDS.convert_tokens_to_ids("<|start|>"))
    model.generation_config.eos_token_id = list(ends)
    said = Utterance((RULES, ASK), "ab", Regex("ab?"))
    [found] = PrefixTreeScorer(model, ChatTemplate(WORDS)).score([said])
    item = ChatTemplate(WORDS).tokenize(said)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([item.ids])).logits[0]
    a, b = item.ids[item.start : item.stop]
    among = torch.tensor([b, *ends])
    assert found.logprobs[0] == pytest.approx(0.0, abs=1e-5)
    assert found.logprobs[1] == pytest.approx(float(logits[item.stop - 2][among].log_softmax(0)[0]), abs=1e-4)
    assert a != b


@pytest.mark.parametrize("text", ["[3 1]", "[1 x]", "[1 2][1 2]", "x[1 2]", "[1 2] the"])
def test_whatever_follows_what_a_grammar_forbids_is_forbidden_too(text):
    [found] = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS)).score([Utterance((RULES, ASK), text, MOVE)])
    spelled = ["".join(WORDS.decode([token])) for token in WORDS(text, add_special_tokens=False)["input_ids"]]
    said, finite = "", []
    for piece in spelled:
        said += piece
        finite.append(any(move.startswith(said) for move in ("[1 1]", "[1 2]", "[2 1]", "[2 2]")))
    assert [math.isfinite(value) for value in found.logprobs] == finite
    assert not finite[-1]


def test_a_documents_blanks_are_where_they_were_written_while_acting():
    schema = JsonSchema.of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    texts = ('{"a": 1}', '{"a":1}', '{ "a": 1}', '{"a": 1 }', '{\n"a": 1}', '{"a":  1}', ' {"a": 1}')
    found = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS)).score(
        [Utterance((RULES, ASK), text, schema) for text in texts]
    )
    assert [math.isfinite(likelihood.total) for likelihood in found] == [True, *[False] * 6]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["<|end|>", "<|start|>", "the", " ", "1"]), max_size=4).map("".join))
def test_special_tokens_in_what_was_said_are_words(text):
    item = ChatTemplate(WORDS).tokenize(Utterance((RULES, ASK), text))
    spoken = item.ids[item.start : item.stop]
    assert not set(spoken) & {WORDS.eos_token_id, WORDS.bos_token_id}
    assert WORDS.decode(spoken).replace("< |", "<|") == text


def test_a_conversation_as_long_as_the_context_is_scored_and_one_longer_is_not():
    scorer = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS))
    spare = 512 - len(ChatTemplate(WORDS).tokenize(Utterance((RULES, Message("user", "")), "a")).ids)
    assert len(scorer.score([Utterance((RULES, Message("user", "x" * spare)), "a")])[0].logprobs) == 1
    with pytest.raises(ModelError, match="of 513 tokens does not fit the context of tiny-llama, 512 tokens"):
        scorer.score([Utterance((RULES, Message("user", "x" * (spare + 1))), "a")])


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_a_head_with_a_bias_uses_it(family):
    model = copy.deepcopy(MODELS[family])
    head = model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.randn(head.weight.shape[0]) * 3)
    call = [Utterance((RULES, ASK), "[1 2]"), Utterance((RULES, ASK), "[2 1]", MOVE, 0.7)]
    found = PrefixTreeScorer(model, ChatTemplate(WORDS)).score(call)
    assert furthest(found, [acting(model, utterance) for utterance in call]) <= TOLERANCE


def test_masks_are_held_for_a_batch_of_predictions_at_a_time(monkeypatch):
    held: list[int] = []
    predictions = GrammarMasks.predictions

    def counted(self, utterances, tokenized):
        held.append(sum(item.stop - item.start for item in tokenized))
        return predictions(self, utterances, tokenized)

    monkeypatch.setattr(GrammarMasks, "predictions", counted)
    call = [Utterance((RULES, ASK), text, Regex("[a-z]*")) for text in ("xyz", "zyx", "yxz", "zzz")]
    scorer = PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS))
    whole = scorer.score(call)
    [size] = {len(each.logprobs) for each in whole}
    assert held == [4 * size]
    for batch, expected in (
        (2 * size, [2 * size] * 2),
        (2 * size - 1, [size] * 4),
        (1, [size] * 4),
        (4 * size, held[:1]),
    ):
        held.clear()
        monkeypatch.setattr("agents.models.scoring.scorer._BATCH", batch)
        assert furthest(scorer.score(call), [list(each.logprobs) for each in whole]) <= TOLERANCE
        assert held == expected


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_nan_is_an_error_that_names_the_model():
    broken = copy.deepcopy(MODELS["llama"])
    broken.get_output_embeddings().weight.data[3] = math.nan
    with pytest.raises(ModelError, match="tiny-llama gives NaN"):
        PrefixTreeScorer(broken, ChatTemplate(WORDS)).score([Utterance((RULES, ASK), "[1 2]")])


def test_a_conversation_beyond_the_context_is_refused():
    with pytest.raises(ModelError, match="does not fit the context of tiny-llama, 512 tokens"):
        PrefixTreeScorer(MODELS["llama"], ChatTemplate(WORDS)).score(
            [Utterance((RULES, Message("user", "xyz" * 300)), "a")]
        )


def test_a_model_that_scales_its_logits_is_refused():
    scaled = copy.deepcopy(MODELS["llama"])
    scaled.config.logits_scaling = 4.0
    with pytest.raises(ModelError, match="logits_scaling"):
        PrefixTreeScorer(scaled, ChatTemplate(WORDS))


def test_a_model_whose_layers_do_not_all_attend_is_refused():
    skipping = copy.deepcopy(MODELS["llama"])
    skipping.config.num_hidden_layers += 1
    with pytest.raises(ModelError, match="layers without attention"):
        PrefixTreeScorer(skipping, ChatTemplate(WORDS)).score([Utterance((RULES, ASK), "a")])
    assert skipping.config._attn_implementation == "eager"


# -- encoder-decoder ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def t5():
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(WORDS) + 3,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=WORDS.eos_token_id,
        pad_token_id=WORDS.eos_token_id,
    )
    model = T5ForConditionalGeneration(config).eval()
    model.name_or_path = "tiny-t5"
    return model


@torch.inference_mode()
def plain_t5(model, utterance: Utterance) -> list[float]:
    prompt = WORDS(ChatTemplate(WORDS).render(utterance.messages, generation=True)).input_ids
    text = WORDS(utterance.text, add_special_tokens=False).input_ids
    if not text:
        return []
    start = [model.config.decoder_start_token_id, *text[:-1]]
    logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([start])).logits[0]
    return [float(logits.float().log_softmax(-1)[i, token]) for i, token in enumerate(text)]


@settings(max_examples=15, deadline=None)
@given(call=calls(), chunk=st.sampled_from([60, 4096]))
def test_an_encoder_decoder_scores_as_if_each_were_alone(t5, call, chunk):
    found = EncoderDecoderScorer(t5, ChatTemplate(WORDS), chunk_tokens=chunk).score(call)
    assert furthest(found, [plain_t5(t5, utterance) for utterance in call]) <= TOLERANCE


def test_an_encoder_decoder_keeps_to_a_grammar_and_encodes_a_prompt_once(t5):
    seen: list[int] = []
    hook = t5.get_encoder().register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    call = [Utterance((RULES, ASK), text, MOVE, 0.6) for text in ("[1 2]", "[2 2]", "er")]
    found = EncoderDecoderScorer(t5, ChatTemplate(WORDS)).score(call)
    hook.remove()
    assert seen == [1]
    assert [math.isfinite(likelihood.total) for likelihood in found] == [True, True, False]


def test_an_encoder_decoder_scores_the_tokens_that_were_drawn(t5):
    text = "the"
    whole, letters = (tuple(WORDS.convert_tokens_to_ids(pieces)) for pieces in (["the"], ["t", "h", "e"]))
    call = [Utterance((RULES, ASK), text, tokens=ids) for ids in (whole, letters, (WORDS.eos_token_id,), None)]
    found = EncoderDecoderScorer(t5, ChatTemplate(WORDS)).score(call)
    spelled = tuple(WORDS(text, add_special_tokens=False).input_ids)
    assert [len(each.logprobs) for each in found] == [1, 3, len(spelled), len(spelled)]
    prompt = WORDS(ChatTemplate(WORDS).render((RULES, ASK), generation=True)).input_ids
    start = [t5.config.decoder_start_token_id, *letters[:-1]]
    with torch.inference_mode():
        logits = t5(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([start])).logits[0]
    expected = [float(logits.log_softmax(-1)[i, token]) for i, token in enumerate(letters)]
    assert list(found[1].logprobs) == pytest.approx(expected, abs=TOLERANCE)


def test_what_ends_an_encoder_decoders_turn_takes_its_share(t5):
    said = Utterance((RULES, ASK), "ab", Regex("ab?"))
    [found] = EncoderDecoderScorer(t5, ChatTemplate(WORDS)).score([said])
    assert found.logprobs[0] == pytest.approx(0.0, abs=1e-5)
    assert found.logprobs[1] < -1e-3


def test_an_encoder_decoder_in_bfloat16_is_scored_in_float32(t5):
    rough = copy.deepcopy(t5).bfloat16()
    call = [Utterance((RULES, ASK), text) for text in ("[1 2]", "er")]
    found = EncoderDecoderScorer(rough, ChatTemplate(WORDS)).score(call)
    assert furthest(found, [plain_t5(copy.deepcopy(rough).float(), utterance) for utterance in call]) <= TOLERANCE
    assert rough.dtype == torch.bfloat16


def test_prompts_and_texts_are_batched_by_like_length(t5, monkeypatch):
    """The longest first; no batch beyond its bound, none smaller than it need be."""
    call = [Utterance((Message("user", "x" * n),), "y" * (n % 7)) for n in (9, 30, 2, 41, 28, 5)]
    template = ChatTemplate(WORDS)
    lengths = sorted((len(template.tokens(each.messages, generation=True)) for each in call), reverse=True)
    chunk = 2 * lengths[0]
    for bound, logits in ((chunk, 1), (chunk - 1, 10**9), (3 * lengths[0], 2 * 6 * t5.config.vocab_size)):
        encoded: list[tuple[int, ...]] = []
        decoded: list[tuple[int, ...]] = []
        hooks = [
            part.register_forward_pre_hook(
                lambda _, __, kwargs, seen=seen: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
            )
            for part, seen in ((t5.get_encoder(), encoded), (t5.get_decoder(), decoded))
        ]
        monkeypatch.setattr("agents.models.scoring.encoder_decoder._LOGITS", logits)
        found = EncoderDecoderScorer(t5, template, chunk_tokens=bound).score(call)
        for hook in hooks:
            hook.remove()
        assert furthest(found, [plain_t5(t5, utterance) for utterance in call]) <= TOLERANCE
        expected, rest = [], list(lengths)
        while rest:
            size = max(1, min(len(rest), bound // rest[0]))
            expected.append((size, rest[0]))
            rest = rest[size:]
        assert encoded == expected
        assert sum(rows for rows, _ in decoded) == sum(bool(each.text) for each in call)
        assert all(rows == 1 or rows * width * t5.config.vocab_size <= logits for rows, width in decoded)
        if logits == 10**9:
            assert len(decoded) <= len(encoded)


def test_learned_positions_come_to_an_end():
    model = tiny.bart(WORDS)
    template = ChatTemplate(WORDS)
    call = [Utterance((Message("user", "x" * n),), "y" * n) for n in (3, 9, 3)]
    found = EncoderDecoderScorer(model, template).score(call)
    assert furthest(found, [plain_t5(model, utterance) for utterance in call]) <= TOLERANCE
    for too_long in (Utterance((Message("user", "x" * 520),), "y"), Utterance((ASK,), "y" * 520)):
        with pytest.raises(ModelError, match="does not fit the context of tiny-bart, 512 tokens"):
            EncoderDecoderScorer(model, template).score([too_long])


def test_each_kind_of_model_has_its_scorer(t5):
    with pytest.raises(ModelError, match="EncoderDecoderScorer"):
        PrefixTreeScorer(t5, ChatTemplate(WORDS))
    with pytest.raises(ModelError, match="PrefixTreeScorer"):
        EncoderDecoderScorer(MODELS["llama"], ChatTemplate(WORDS))


# -- noise -------------------------------------------------------------------------------------------------------------


class Scored:
    """Stands for a `Model`, of which only `score` is asked for."""

    def __init__(self, model) -> None:
        self._scorer = PrefixTreeScorer(model, ChatTemplate(WORDS))

    async def score(self, utterances):
        return self._scorer.score(utterances)


def test_the_noise_floor_is_the_difference_to_a_second_scoring():
    exact, rough = Scored(MODELS["llama"]), Scored(copy.deepcopy(MODELS["llama"]).bfloat16())
    call = [Utterance((RULES, Message("user", f"move [{i}]")), "[1 2]") for i in range(20)]
    scored = {said: each.total for said, each in zip(call, asyncio.run(exact.score(call)), strict=True)}
    fine = asyncio.run(noise_floor(exact, scored, 8))
    coarse = asyncio.run(noise_floor(rough, scored, 8))
    assert fine < 1e-4
    assert coarse > 10 * fine
    assert asyncio.run(noise_floor(exact, scored, 0)) == asyncio.run(noise_floor(exact, {}, 8)) == 0.0


class Repeats:
    """Stands for a `Model` that answers −1, and once −∞."""

    def __init__(self, forbidden: str = "") -> None:
        self._forbidden = forbidden
        self.asked: list[str] = []

    async def score(self, utterances):
        self.asked += [each.text for each in utterances]
        return [Likelihood((-math.inf if each.text == self._forbidden else -1.0,)) for each in utterances]


def test_the_noise_floor_is_of_some_from_the_first_to_the_last_in_reverse():
    scored = {Utterance((ASK,), str(i)): -1.0 - i for i in range(5)}
    for repeats, asked in ((1, "0"), (2, "40"), (3, "420"), (5, "43210"), (9, "43210")):
        model = Repeats()
        found = asyncio.run(noise_floor(model, scored, repeats))
        assert "".join(model.asked) == asked
        assert found == pytest.approx(math.sqrt(sum(int(i) ** 2 for i in asked) / len(asked)))
    assert asyncio.run(noise_floor(Repeats(), scored, 2, lambda each: 2 * each.total)) == pytest.approx(math.sqrt(5))


def test_what_is_impossible_once_says_nothing_of_noise():
    scored = {Utterance((ASK,), "a"): -math.inf, Utterance((ASK,), "b"): -2.0, Utterance((ASK,), "c"): -3.0}
    assert asyncio.run(noise_floor(Repeats("c"), scored, 3)) == 1.0
    assert asyncio.run(noise_floor(Repeats("c"), {Utterance((ASK,), "c"): -1.0}, 3)) == 0.0


def test_differences_are_squared_and_averaged():
    ones, others = ([Likelihood((-value,)) for value in row] for row in ((1.0, 2.0, 3.0), (1.0, 5.0, 7.0)))
    assert NoiseFloor.between(ones, others) == NoiseFloor(math.sqrt(25 / 3), 4.0, 3)
    assert repr(NoiseFloor.between([], [])) == "NoiseFloor(sd=0.0, worst=0.0, n=0)"


def test_the_noise_floor_of_the_impossible():
    never, once = Likelihood((-math.inf,)), Likelihood((-1.0,))
    assert NoiseFloor.between([never, once], [never, Likelihood((-1.5,))]) == NoiseFloor(0.5, 0.5, 1)
    assert NoiseFloor.between([never], [once]).worst == math.inf


# -- real weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smollm2", "gemma3", "qwen"])  # qwen only where it lies: 1.5 billion weights
def test_real_weights_score_as_a_plain_forward(name, request):
    folder = request.getfixturevalue(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    messages = [Message("system", "Guess a code of four digits from 1 to 6."), Message("user", "Your move.")]
    call = [Utterance(tuple(messages), "[1 2 3 4]"), Utterance(tuple(messages), "[6 5 4 3]")]
    messages += [Message("assistant", "[1 2 3 4]"), Message("user", "1 black peg, 2 white pegs.")]
    call.append(Utterance(tuple(messages), "I would rather not."))
    found = PrefixTreeScorer(model, ChatTemplate(tokenizer), chunk_tokens=50).score(call)
    assert furthest(found, [plain(model, tokenizer, utterance) for utterance in call]) <= TOLERANCE
