"""A sequence: one completion while it is being written."""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agents.models.decoding.kv_cache import CacheRow
from agents.models.model import Completion, ModelError, Request
from agents.models.tokens.matcher import TokenMatcher, Tokens
from agents.models.tokens.template import TRANSCRIPT_STOP, ChatTemplate
from agents.models.tokens.thought import split_thought

_PATIENCE = 256
"""Tokens that a grammar may take to its end beyond four times `max_tokens`."""
_TAIL = 16
"""Tokens among which the end of a turn in a plain transcript is looked for."""

_FEW = 1024
"""Heaviest tokens among which one is drawn before the whole vocabulary is sorted."""

Scores = NDArray[np.float32]


class TokenSequence:
    """Prompt and what is written so far, in `tokens`.

    A token that the grammar forces is appended at once, before the model has been asked: the model's opinion of it
    comes along with the next pass, which costs less than a pass of its own.
    """

    def __init__(
        self,
        request: Request,
        prompt: list[int],
        *,
        dropped: int,
        walk: TokenMatcher | None,
        ends: frozenset[int],
        context: int,
        template: ChatTemplate,
        source: list[int] | None = None,
    ) -> None:
        """`walk` keeps to the request's grammar; without one a token of `ends` is the end.

        `source` is what the encoder of an encoder-decoder reads; `prompt` is then what its decoder starts with.
        """
        self.request = request
        self.tokens = list(prompt)
        self.future: Future[Completion] = Future()
        self.source = source
        self.slot: CacheRow | None = None
        self.ready = 0
        """How many of the tokens have run through the model."""
        self.cached = 0
        self._start = len(prompt)
        self._dropped = dropped
        self._walk = walk
        self._ends = ends
        self._context = context
        self._template = template
        self._rng = np.random.default_rng(request.sampling.seed)
        self._raw: list[float] = []
        self._policy: list[float] = []
        self._finish: Literal["stop", "length"] | None = None
        self._allowed: Tokens | None = None
        self._force()

    @property
    def pending(self) -> range:
        """Positions of tokens that still have to run through the model, the last of a finished text not among them."""
        return range(self.ready, len(self.tokens) - (self._finish is not None))

    @property
    def done(self) -> bool:
        return self._finish is not None and not self.pending

    @property
    def known(self) -> int:
        """How many of the first tokens the model need not be asked about: all of the prompt but its last."""
        return self._start - 1

    def asks(self, position: int) -> bool:
        """Whether the model's opinion of what follows this position matters."""
        return position >= self.known

    def read(self, position: int, scores: Scores, normaliser: float) -> None:
        """Take the logits (vocabulary,) after a position, of which `normaliser` is the log of the summed exponentials.

        Raises ModelError when the grammar does not come to its end.
        """
        if position + 1 < len(self.tokens):
            self._raw.append(float(scores[self.tokens[position + 1]]) - normaliser)
            return
        token, policy = self._choose(scores)
        if token in self._ends if self._walk is None else self._walk.ends(token):
            self._finish = "stop"
            return
        self._raw.append(float(scores[token]) - normaliser)
        self._append(token, policy)
        self._force()

    def settle(self, error: Exception | None = None) -> None:
        """Hand over the completion, or what went wrong. A cancelled call hears nothing."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            if error is not None:
                raise error
            self.future.set_result(self.completion())
        except Exception as problem:
            self.future.set_exception(problem)

    def completion(self) -> Completion:
        """What was written. Raises ModelError when it breaks the grammar after all."""
        written = self.tokens[self._start :]
        text = self._template.text(written)
        if self._walk is None and self._template.is_transcript and TRANSCRIPT_STOP in text:
            text = text[: text.index(TRANSCRIPT_STOP)]
            while written and len(self._template.text(written[:-1])) >= len(text):
                written.pop()
        thought, spoken = ("", text) if self._walk is not None else split_thought(text)
        grammar = self.request.grammar
        if grammar is not None and not grammar.accepts(text):
            raise ModelError(f"{text!r} does not satisfy {grammar}, which says more than xgrammar can enforce")
        return Completion(
            text=spoken,
            prompt_tokens=self._start if self.source is None else len(self.source),
            completion_tokens=len(written),
            cached_tokens=self.cached,
            logprob=math.fsum(self._raw[: len(written)]),
            policy_logprob=math.fsum(self._policy[: len(written)]),
            dropped_turns=self._dropped,
            finish=self._finish or "stop",
            thought=thought,
            tokens=tuple(written) if spoken == text else None,
        )

    def _append(self, token: int, policy: float) -> None:
        self.tokens.append(token)
        self._policy.append(policy)
        if self._walk is not None:
            self._walk.accept(token)
        elif self._written >= self.request.sampling.max_tokens or len(self.tokens) >= self._context:
            self._finish = "length"
        elif self._template.is_transcript and TRANSCRIPT_STOP in self._template.text(
            self.tokens[self._start :][-_TAIL:]
        ):
            self._finish = "stop"

    def _force(self) -> None:
        """Ask the grammar what may follow, and follow while there is but one way."""
        while self._walk is not None and self._finish is None:
            hurry = self._written >= self.request.sampling.max_tokens
            self._allowed = self._walk.allowed(hurry=hurry)
            if not len(self._allowed):
                name, written = self._template.tokenizer.name_or_path, self._template.text(self.tokens[self._start :])
                raise ModelError(
                    f"the vocabulary of {name} has no token for what {self.request.grammar} asks for after "
                    f"{written!r}: name another model for this"
                )
            if self._walk.ends(int(self._allowed[0])) and self._walk.ends(int(self._allowed[-1])):
                self._finish = "length" if hurry else "stop"
            elif len(self._allowed) > 1:
                self._check_length()
                return
            else:
                self._append(int(self._allowed[0]), 0.0)
                self._check_length()

    def _check_length(self) -> None:
        limit = min(4 * self.request.sampling.max_tokens + _PATIENCE, self._context - self._start)
        if self._written >= limit:
            raise ModelError(
                f"no end of the grammar was found within {limit} tokens: give it a bound, "
                "or raise max_tokens (or the model's context)"
            )

    def _choose(self, scores: Scores) -> tuple[int, float]:
        """A token and its log-probability under the policy."""
        temperature, top_p = self.request.sampling.temperature, self.request.sampling.top_p
        few = scores if self._allowed is None else scores[self._allowed]
        if temperature == 0:
            best = int(few.argmax())
            return self._id(best), 0.0
        scaled = few.astype(np.float64) / temperature
        scaled -= scaled.max()
        weights = np.exp(scaled)
        total = weights.sum()
        index = _draw(weights, float(total), top_p, self._rng)
        return self._id(index), float(scaled[index] - math.log(total))

    def _id(self, index: int) -> int:
        return index if self._allowed is None else int(self._allowed[index])

    @property
    def _written(self) -> int:
        return len(self.tokens) - self._start


def _draw(weights: NDArray[np.float64], total: float, top_p: float, rng: np.random.Generator) -> int:
    """An index with probability in proportion to its weight, among the heaviest that together reach `top_p`.

    Almost always it is among the few heaviest; else the whole vocabulary is sorted, which takes ten times as long.
    """
    point = rng.random()
    order = _heaviest(weights, _FEW)
    summed = np.cumsum(weights[order])
    if summed[-1] <= (point if top_p == 1 else top_p) * total:
        order = _heaviest(weights, len(weights))
        summed = np.cumsum(weights[order])
    kept = summed[: int(np.searchsorted(summed, top_p * total * (1 - 1e-12))) + 1]
    end = total if top_p == 1 else kept[-1]
    return int(order[np.searchsorted(kept, point * end, side="right").clip(max=len(kept) - 1)])


def _heaviest(weights: NDArray[np.float64], many: int) -> NDArray[np.intp]:
    """Indices of so many, the heaviest first, and of equals the first."""
    if many >= len(weights):
        return np.argsort(-weights, kind="stable")
    some = np.sort(np.argpartition(-weights, many)[:many])
    return some[np.argsort(-weights[some], kind="stable")]
