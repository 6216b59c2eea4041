"""A server that answers every request with one fixture, as its vendor would send it.

`Replay(case)` serves the whole answer, the stream or the error of a fixture's folder on a port of
127.0.0.1 that the system chooses. Streams are told from whole answers by what the vendors' clients ask
for: by the path, or by `stream` in the body.
"""

import json
import re
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
TYPES = {".sse": "text/event-stream", ".ndjson": "application/x-ndjson", ".events": "application/vnd.amazon.eventstream"}
# Words that Bedrock's stream tells apart by another header.
EXCEPTIONS = re.compile(r"Exception$")


class Case:
    """One fixture folder."""

    def __init__(self, folder):
        self.folder, self.name = folder, folder.name
        self.streams = [path for path in sorted(folder.iterdir()) if path.stem == "stream" and path.suffix in TYPES]
        status = re.match(r"error_(\d{3})", self.name)
        self.status = int(status[1]) if status else 200

    def __str__(self):
        return self.name

    def has(self, name):
        return (self.folder / name).exists()


def cases(vendor, prefix=""):
    """The fixtures of a vendor; none is a mistake of whoever asks."""
    folders = sorted(path for path in (FIXTURES / vendor).iterdir() if path.is_dir() and path.name.startswith(prefix))
    assert folders, f"no fixtures of {vendor}"
    return [Case(folder) for folder in folders]


class Replay:
    """The server, as a context; its port is `port`."""

    def __init__(self, case):
        self.case = case

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self.case))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def handler(case):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            streams = "stream" in self.path.lower() or (body[:1] == b"{" and json.loads(body).get("stream") is True)
            if case.status != 200:
                return self.answer(case.status, "application/json", (case.folder / "error.json").read_bytes())
            if streams:
                [stream] = case.streams
                return self.answer(200, TYPES[stream.suffix], encoded(stream))
            self.answer(200, "application/json", (case.folder / "response.json").read_bytes())

        def answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def encoded(stream):
    if stream.suffix != ".events":
        return stream.read_bytes()
    lines = (line for line in stream.read_text().splitlines() if line.strip())
    return b"".join(message(*line.split(" ", 1)) for line in lines)


def message(kind, payload):
    """One message of Amazon's event stream (application/vnd.amazon.eventstream), checksums included."""
    is_error = EXCEPTIONS.search(kind) is not None
    headers = {
        ":message-type": "exception" if is_error else "event",
        ":exception-type" if is_error else ":event-type": kind,
        ":content-type": "application/json",
    }
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    body = payload.encode()
    prelude = struct.pack("!II", len(head) + len(body) + 16, len(head))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    whole = prelude + head + body
    return whole + struct.pack("!I", zlib.crc32(whole))
