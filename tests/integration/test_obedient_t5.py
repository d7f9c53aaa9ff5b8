"""The T5 of examples/encoder_decoder: what it is taught, and that its few lines of training make a model that plays."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.models.weights import folders
from environments.diagnostics.doors import COLOURS

EXAMPLE = Path(__file__).parents[2] / "examples" / "encoder_decoder"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its three files, as `python examples/encoder_decoder/train.py` finds them."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("train", "lessons", "wordings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import train

    return train


def test_what_it_is_judged_by_is_not_trained_on(example: Any):
    learned, kept = example.LEARNED, example.HELD_OUT
    for part in ("names", "activations", "orders", "terminations", "general"):
        assert not set(getattr(learned, part)) & set(getattr(kept, part))
    games = json.dumps([example.drawn(np.random.default_rng(seed)).messages for seed in range(300)])
    assert not any(word in games for word in ("chute", "switch", "treasure", "records favour"))


def test_a_lesson_obeys_the_one_door_that_its_skill_names(example: Any):
    rng = np.random.default_rng(3)
    for manner, reworded in ((example.LEARNED, False), (example.HELD_OUT, True)):
        for _ in range(50):
            given = example.lesson(rng, "one door", manner, reworded=reworded)
            skill = given.messages[0].content.split("Use this skill now.")[1]
            how = skill.split("\nHow: ")[1].split("\nUntil: ")[0].lower()
            assert given.move[1:-1] in how
    drawn = [example.lesson(rng, "no skill").move for _ in range(400)]
    assert all(60 < drawn.count(f"[{colour}]") < 140 for colour in COLOURS)


def test_a_model_is_trained_kept_and_judged(example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path))
    for name, value in {"BATCH": 4, "POOL": 2, "JUDGED": 3, "VOCABULARY": 400}.items():
        monkeypatch.setattr(example, name, value)
    monkeypatch.setattr(example, "COURSE", dict.fromkeys(example.COURSE, 2))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        example.main("t5-tried")
        folder = folders.path("t5-tried")
        note = folders.origin(folder)
        assert note["weights"] == folders.weights_digest(folder)
        assert note["obedience"] == asyncio.run(example.judge(folder))
        assert len(note["obedience"]) == 6
        assert not list(folder.parent.glob(".partial-*"))
    finally:
        torch.set_num_threads(before)
