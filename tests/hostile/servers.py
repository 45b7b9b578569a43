"""What hostile images do when they serve, and the code that each run must end with. They train well."""

from __future__ import annotations

from tests.pipeline import packed

#: A mode's name, and the code of its problem; "" where it passes.
DEEDS: tuple[tuple[str, str], ...] = (
    ("memory", "TEST-MEMORY"),
    ("forks", "TEST-PROCESSES"),
    ("disk", "TEST-DISK"),
    ("exits", "TEST-SERVE-EXITED"),
    ("endless-answer", "TEST-REQUEST-TIME"),
    ("endless-headers", "TEST-REQUEST"),
    ("not-http", "TEST-SERVE-PING"),
    ("hangs-up", "TEST-SERVE-PING"),
    ("ports", ""),
    ("log", ""),
    ("deaf", ""),
)

DOCKERFILE = """\
FROM slipway.local/python:3.11-bookworm
COPY train serve /usr/local/bin/
"""
TRAIN = """\
#!/bin/sh
echo learned > /opt/ml/model/m
"""
SERVE = """\
#!/usr/bin/python3
import http.server, os, signal, socket, socketserver, subprocess, time

mode = os.environ["MODE"]
print("mode", mode, flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def handle(self):
        if mode == "not-http":
            self.connection.sendall(b"\\0\\xff\\r\\n\\r\\n" * 1000)
        elif mode != "hangs-up":
            super().handle()

    def answer(self, body=b""):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer() if self.path == "/ping" else self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if mode == "memory":
            bytearray(512 << 20)
        elif mode == "forks":
            try:
                while True:
                    subprocess.Popen(["sleep", "600"])
            except OSError:
                time.sleep(2)
                os._exit(7)
        elif mode == "disk":
            with open("/tmp/filler", "wb") as filler:
                while True:
                    filler.write(bytes(1 << 20))
        elif mode == "exits":
            os._exit(5)
        elif mode == "endless-answer":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(bytes(1 << 20))
        elif mode == "endless-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\n")
            while True:
                self.wfile.write(b"X-More: " + b"x" * 1000 + b"\\r\\n")
        self.answer(body)

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


kept = [socket.create_server(("0.0.0.0", port)) for port in range(20000, 21000)] if mode == "ports" else []
if mode == "log":
    subprocess.Popen("yes $(printf '%01999d' 0) | head -c 1000000000", shell=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else lambda *_: os._exit(0))
Server(("0.0.0.0", 8080), Handler).serve_forever()
"""
SPEC = """\
slipway: 1
kind: Algorithm
training:
  SupportedTrainingInstanceTypes: [ml.m5.large]
  TrainingChannels:
    - {{Name: train, SupportedContentTypes: [text/csv], SupportedInputModes: [File]}}
inference:
  SupportedRealtimeInferenceInstanceTypes: [ml.m5.large]
  SupportedTransformInstanceTypes: [ml.m5.large]
  SupportedContentTypes: [text/csv]
  SupportedResponseMIMETypes: [text/csv]
tests:
  training:
    instance_type: ml.m5.large
    channels: {{train: {{path: train.csv, content_type: text/csv}}}}
  inference:
    instance_type: ml.m5.large
    environment: {{MODE: {mode}}}
    requests: [{{name: echo, body: train.csv, content_type: text/csv}}]
"""


def source(mode: str) -> bytes:
    """A build context of the one image, told to do this deed."""
    files = {"Dockerfile": DOCKERFILE, "train": TRAIN, "serve": SERVE}
    return packed({**files, "slipway.yaml": SPEC.format(mode=mode), "train.csv": "1,2\n"})
