"""A stand-in for vLLM's server: the endpoints that a fleet uses, a memory that several share, and answers from a rule.

    python fake_vllm.py … --served-model-name NAME --port PORT [--enable-sleep-mode]

`FAKE_GPU` is a folder: every server that holds weights has a file there, and one that finds more than
`FAKE_GPU_HOLDS` of them says so in `overflow`. Where `taken` lies there, the
next waking finds no memory. Every start, sleep and waking is a line of `log`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.stub_server import chat, move

GPU = Path(os.environ["FAKE_GPU"])
HOLDS = int(os.environ.get("FAKE_GPU_HOLDS", "1"))


def argument(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


NAME = argument("--served-model-name")
ME = GPU / f"{Path(NAME).name}.weights"


def log(what: str) -> None:
    with (GPU / "log").open("a") as lines:
        lines.write(f"{what} {Path(NAME).name}\n")


def load(what: str) -> None:
    ME.touch()
    log(what)
    if len(list(GPU.glob("*.weights"))) > HOLDS:
        (GPU / "overflow").touch()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asleep = 0
    reloaded = True

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.reply({"data": [{"id": NAME}]})
        else:
            self.reply({"is_sleeping": bool(Handler.asleep)})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path in ("/sleep", "/wake_up") and "--enable-sleep-mode" not in sys.argv:
            self.reply({}, 404)
        elif path == "/sleep":
            Handler.asleep = int(query.partition("level=")[2] or 1)
            Handler.reloaded = Handler.asleep == 1
            ME.unlink()
            log("sleep")
            self.reply({})
        elif path == "/wake_up" and (GPU / "taken").exists():
            (GPU / "taken").unlink()
            self.reply({"error": "CUDA Error: out of memory"}, 500)
        elif path == "/wake_up":
            if query != "tags=kv_cache":
                load("wake")
            Handler.asleep = 0
            self.reply({})
        elif path == "/collective_rpc":
            Handler.reloaded = json.loads(content) == {"method": "reload_weights"}
            self.reply({})
        elif path.startswith("/v1/"):
            self.answer(json.loads(content))
        else:
            self.reply({})

    def answer(self, body: dict) -> None:
        """A text in the form asked for, which the prompt alone decides; nothing without weights."""
        if Handler.asleep or not Handler.reloaded:
            self.reply({"error": "asleep"}, 500)
            return
        if body["messages"][-1]["content"] == "die":
            os._exit(1)
        self.reply(move(body)[1] if "response_format" in body else chat("hi"))

    def reply(self, content: object, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def end(*_: object) -> None:
    ME.unlink(missing_ok=True)
    log("end")
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    load("start")
    Server(("127.0.0.1", int(argument("--port"))), Handler).serve_forever()
