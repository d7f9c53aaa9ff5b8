"""The page as its command serves it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def served(path, environment) -> Iterator[str]:
    """The address that the real command prints."""
    command = [sys.executable, "-m", "testbed", "view", str(path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as view:
        try:
            assert view.stdout is not None
            yield view.stdout.readline().strip()
        finally:
            view.send_signal(2)
            view.wait(30)
