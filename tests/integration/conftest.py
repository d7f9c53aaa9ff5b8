"""The small study of tests/testbed, for what crosses rooms."""

from __future__ import annotations

from tests.testbed.conftest import environment, procmem, run_in, sentence, study  # noqa: F401  fixtures
