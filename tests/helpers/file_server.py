"""A local file server with ranges, broken connections and other people's habits, for the tests of downloads."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes


class Server(ThreadingHTTPServer):
    """Serves ``content`` with ranges; ``broken`` lists after how many bytes each coming response is cut off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.etag, self.ranges = CONTENT, '"1"', True
        self.content_type = "application/octet-stream"
        self.broken: list[int] = []
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/some%20folder/model.pt?key=1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers["Range"]
        server.asked.append(wanted)
        if "missing" in self.path:
            return self.send_error(404)
        same = self.headers["If-Range"] in (None, server.etag)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges and same else 0  # type: ignore[index]
        if start and start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.broken.pop(0) if server.broken else None])

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
