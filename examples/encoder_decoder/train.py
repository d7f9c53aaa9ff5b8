"""Train a small T5 from nothing to obey the skill in its prompt, in games of doors; keep it where pulled models lie.

    python examples/encoder_decoder/train.py [NAME]

A study names it by NAME ("t5-doors" by default). Ends with how well it obeys texts that it was not trained on.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from lessons import LATER, Lesson, drawn, lesson, skill_alone
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from wordings import HELD_OUT, LEARNED

from agents.models.local import LocalModel
from agents.models.model import Utterance
from agents.models.tokens.encoder_decoder import source
from agents.models.tokens.template import ChatTemplate
from agents.models.weights.folders import home, weights_digest
from environments.diagnostics.doors import COLOURS, GRAMMAR
from testbed.cli.terminal import notices, say

SEED = 5
COURSE = {"skills alone": 300, "first rounds": 600, "all rounds": 600}
"""Steps of each part of the training: what is easy to learn from comes first."""
BATCH, RATE, WARMUP = 32, 2e-3, 50
POOL = 32
"""Batches that are made at a time, so that lessons of like length meet in one."""
VOCABULARY = 1500
ACTING = 0.6
"""Temperature of acting agents, at which obedience is measured."""
JUDGED = 200
"""Lessons of each kind that it is judged by."""


def make_tokenizer(rng: np.random.Generator) -> PreTrainedTokenizerFast:
    """Byte-level BPE, learned on lessons; like T5's it puts an end after what the encoder reads."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare = ChatTemplate(PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", pad_token="<pad>"))
    raw.train_from_iterator((bare.render(drawn(rng).messages, generation=True) for _ in range(3000)), trainer)
    raw.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", pad_token="<pad>")


def make_model(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    torch.manual_seed(SEED)
    config = T5Config(
        vocab_size=-(-len(tokenizer) // 32) * 32,
        d_model=64,
        d_kv=16,
        d_ff=192,
        num_heads=4,
        num_layers=2,
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        n_positions=1024,
    )
    return T5ForConditionalGeneration(config)


def batches(
    draw: Callable[[], Lesson], rng: np.random.Generator, template: ChatTemplate, many: int
) -> Iterator[dict[str, Tensor]]:
    """What a T5 is trained on: ids and mask of prompts (b, longest), ids of moves (b, longest), −100 where none is."""

    def tokenized(given: Lesson) -> tuple[list[int], list[int]]:
        move = template.tokenizer(given.move, add_special_tokens=False)["input_ids"]
        return source(template, given.messages), [*move, template.tokenizer.eos_token_id]

    for first in range(0, many, POOL):
        pool = sorted((tokenized(draw()) for _ in range(POOL * BATCH)), key=lambda pair: len(pair[0]))
        for row in rng.permutation(POOL)[: many - first]:
            rows = pool[row * BATCH : (row + 1) * BATCH]
            prompts, moves = (_padded([pair[side] for pair in rows], fill) for side, fill in ((0, -1), (1, -100)))
            yield {"input_ids": prompts.clamp(min=0), "attention_mask": (prompts >= 0).long(), "labels": moves}


def course(rng: np.random.Generator, template: ChatTemplate) -> Iterator[dict[str, Tensor]]:
    """All that it is taught, in order."""
    draws: dict[str, Callable[[], Lesson]] = {
        "skills alone": lambda: skill_alone(rng),
        "first rounds": lambda: drawn(rng, later=0.0),
        "all rounds": lambda: drawn(rng, later=LATER),
    }
    return chain.from_iterable(batches(draws[part], rng, template, steps) for part, steps in COURSE.items())


def train(model: T5ForConditionalGeneration, lessons: Iterable[dict[str, Tensor]], steps: int) -> None:
    """AdamW, warmed up and then cooled down along a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARMUP) * (0.51 + 0.49 * cos(pi * step / steps))
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notices()) as progress:
        task = progress.add_task("train", total=steps)
        for batch in lessons:
            loss: Tensor = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            progress.update(task, advance=1, description=f"train, loss {loss.item():.2f}")


async def obedience(model: LocalModel, lessons: Sequence[Lesson]) -> tuple[float, float]:
    """Mean probability of the move that obeys, and of the likeliest move, as the model acts."""
    moves = [f"[{colour}]" for colour in COLOURS]
    asked = [Utterance(each.messages, move, GRAMMAR, ACTING) for each in lessons for move in moves]
    likely = np.exp([likelihood.total for likelihood in await model.score(asked)]).reshape(len(lessons), len(moves))
    obeying = [row[moves.index(each.move)] for row, each in zip(likely, lessons, strict=True)]
    return float(np.mean(obeying)), float(likely.max(1).mean())


async def judge(folder: Path) -> dict[str, dict[str, float]]:
    """Obedience to texts it was trained on and to those it was not, in games told in either way."""
    model = LocalModel.load(folder, name=folder.name, precision="float32", device="cpu")
    found: dict[str, dict[str, float]] = {}
    for kind in ("one door", "general", "no skill"):
        for texts, manner, reworded in (("trained", LEARNED, False), ("held out", HELD_OUT, True)):
            rng = np.random.default_rng([SEED, 1])
            obeyed, likeliest = await obedience(
                model, [lesson(rng, kind, manner, reworded=reworded) for _ in range(JUDGED)]
            )
            found[f"{kind}, {texts} texts"] = {"obeyed": obeyed, "likeliest": likeliest}
    await model.close()
    return found


def main(name: str) -> None:
    rng = np.random.default_rng(SEED)
    tokenizer = make_tokenizer(rng)
    model = make_model(tokenizer)
    train(model, course(rng, ChatTemplate(tokenizer)), sum(COURSE.values()))
    folder = home() / "models" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    found = asyncio.run(judge(made))
    note = {"name": name, "licence": "Apache-2.0", "seed": SEED, "weights": weights_digest(made), "obedience": found}
    (made / "source.json").write_text(json.dumps(note, indent=1) + "\n")
    made.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
    say(f"{folder}: {sum(weight.numel() for weight in model.parameters()):,} weights, {note['weights'][:12]}")
    for what, shares in found.items():
        say(f"{what}: {shares['obeyed']:.2f} on the move that obeys, {shares['likeliest']:.2f} on the likeliest")


def _padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "t5-doors")
