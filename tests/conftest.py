"""Real weights for the tests that speak of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

settings.register_profile(
    "mutants", phases=[Phase.explicit, Phase.generate], database=None, deadline=None, derandomize=True
)
"""For `make mutants`: a mutant is dead at the first failing example, whatever the smallest would be."""
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")  # a loaded machine is no fault; `--hypothesis-profile` still has the last word

pytest_plugins = ["tests.support.alfworld", "tests.support.studies"]


def _weights(name: str) -> Path:
    """The converted weights: from the cache that `procmem models pull` fills, or from PROCMEM_TEST_MODELS."""
    elsewhere = os.environ.get("PROCMEM_TEST_MODELS")
    if elsewhere is not None:
        return Path(elsewhere) / name
    from agents.models.weights.folders import pull

    return pull(name)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return _weights("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def gemma3() -> Path:
    return _weights("gemma3-270m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """1.1 GB to fetch: only where it has been pulled already."""
    if os.environ.get("PROCMEM_TEST_MODELS") is None:
        from agents.models.weights.folders import home

        if not (home() / "models" / "qwen2.5-coder-1.5b-instruct").exists():
            pytest.skip("procmem models pull qwen2.5-coder-1.5b-instruct first")
    return _weights("qwen2.5-coder-1.5b-instruct")


@pytest.fixture(scope="session")
def minilm() -> Path:
    return _weights("all-minilm-l6-v2")
