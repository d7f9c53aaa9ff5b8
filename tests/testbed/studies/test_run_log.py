"""run.log: one printable line for everything that happened, without secrets."""

from __future__ import annotations

import logging
import re

from testbed.studies.outcome.run_log import run_log


def test_lines_are_dated_printable_and_redacted(tmp_path):
    log = logging.getLogger("testbed.anything")
    with run_log(tmp_path, redact=lambda text: text.replace("sk-123", "[key]")):
        log.info("failed: %s", "sk-123 \x1b[31m\n\u202e half \ud83d")
        logging.getLogger("agents.anything").warning("a warning")
        logging.getLogger("somebody.else").warning("not ours")
        log.debug("too much")
    log.warning("afterwards")
    first, second = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO failed: \[key\] \\x1b\[31m\\n\\u202e half \\ud83d", first
    )
    assert second.endswith("WARNING a warning")


def test_a_disk_that_is_full_does_not_stop_a_run(tmp_path, capsys):
    with run_log(tmp_path, redact=str):
        handler = logging.getLogger("testbed").handlers[-1]
        handler.stream.close()
        handler.stream = open("/dev/full", "w")  # noqa: SIM115
        logging.getLogger("testbed").info("lost")
        handler.flush = lambda: None
    assert capsys.readouterr().err == ""


def test_a_run_tells_its_story(run, study, one_agent):
    changes = {"tasks": [{"environment": "tests.support.third_party:fragile"}], "fail_at": 50}
    path = run(study(**{**one_agent, **changes}, arms=["none", "self"])).path
    story = (path / "run.log").read_text()
    assert re.search(r"INFO matrix [0-9a-f]{8}: 8 episodes, begun\n", story)
    assert re.search(r"INFO [0-9a-f]{16} failed, by Fragile-v0: RuntimeError: the coin rolled away\n", story)
    assert "INFO a/Fragile-v0/0: iteration 2 of 2 committed\n" in story
    assert re.search(r"INFO finished\. \d of 8 episodes are missing", story)
    run(study(**{**one_agent, **changes}, arms=["none", "self"]))
    assert re.search(r"8 episodes, resumed, \d there, \d failed before and come first", (path / "run.log").read_text())
