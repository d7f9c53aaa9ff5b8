"""`procmem serve`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from testbed.cli.terminal import notices, plain, say, tell
from testbed.serving.vllm import VllmServer, serving


def serve(
    names: Annotated[list[str], typer.Argument(help="Models: catalog names, local folders or Hugging Face ids.")],
    port: Annotated[int, typer.Option(help="Port of the first server; the next ones count up.")] = 8000,
    max_model_len: Annotated[int, typer.Option(help="Longest prompt and answer together, in tokens.")] = 4096,
    dtype: Annotated[str, typer.Option(help="bfloat16, or float32 for repeatable likelihoods.")] = "bfloat16",
) -> None:
    """Serve models with vLLM on this machine, and print the lines for a study. Ctrl-C ends the servers.

    Example: `procmem serve smollm2-135m-instruct gemma3-270m`
    """
    status = notices().status("starting vLLM")
    status.start()

    def report(passed: str) -> None:
        status.update(plain(passed))

    with serving(names, port=port, max_model_len=max_model_len, dtype=dtype, report=report) as servers:
        status.stop()
        say(study_lines(servers))
        tell("Ready. Ctrl-C ends the servers. Logs: " + ", ".join(str(server.log) for server in servers))
        while True:
            for server in servers:
                server.check()
            time.sleep(1)


def study_lines(servers: Sequence[VllmServer]) -> str:
    """The `[[agents]]` tables that use the servers; several servers of one model serve one agent."""
    tables: list[str] = []
    for name in dict.fromkeys(server.name for server in servers):
        urls = ", ".join(f'"{server.url}"' for server in servers if server.name == name)
        agent = re.sub(r"\W", "_", name.rstrip("/").rpartition("/")[2])[:40]
        tables.append(f'[[agents]]\nname = "{agent}"\nmodel = "{name}"\nbase_url = [{urls}]')
    return "\n\n".join(tables)
