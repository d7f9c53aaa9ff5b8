"""Servers that the command starts, asked by Ray's workers: stand-ins for vLLM, a real Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.config.reading.load import parse_study
from tests.integration.test_resume import content
from tests.testbed.serving.test_fleet import gpu, holds, study, told  # noqa: F401  fixtures

pytest.importorskip("ray")


def test_models_in_turn_are_asked_by_workers(gpu: Path, holds: Any, tmp_path: Path, run_in: Any):  # noqa: F811
    """The memory holds one of two models; whoever asks, one is awake at a time, and the episodes are the same."""
    holds(4000)
    config = study(tmp_path)
    here = run_in(tmp_path / "here", config)
    (gpu / "log").unlink()
    by_ray = {**config.model_dump(mode="json"), "engine": {"name": "ray", "workers": 2}}
    there = run_in(tmp_path / "there", parse_study(by_ray, "test"))
    assert content(there) == content(here)
    assert not (gpu / "overflow").exists()
    loads = [line for line in told(gpu) if line.startswith(("start", "wake"))]
    assert 2 <= len(loads) <= 8
