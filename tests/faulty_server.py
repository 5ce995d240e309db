"""A real HTTP server on a loopback port that makes the faults it is told to, one after the other."""

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    A `status` other than None replaces the answer. Of the body, `cut` bytes are sent, and then the connection ends;
    or `stall` bytes, and then nothing until the server closes; or a byte every `drip` seconds. `spoil` changes the last
    byte. Without `length`, no
    Content-Length is sent; without `ranges`, a Range is not heeded.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    stall: int | None = None
    drip: float | None = None
    spoil: bool = False
    length: bool = True
    ranges: bool = True


class FaultyServer:
    """Serves files (`files`: path -> bytes) and functions (`handlers`: path prefix -> Request to Answer).

    Each request takes the next fault of `faults`, if any is left; None in it is a request that goes well. `standing`
    is the fault of every other request. `requests` lists what was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.handlers: dict[str, Callable[[Request], Answer]] = {}
        self.faults: deque[Fault | None] = deque()
        self.standing: Fault | None = None
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            return self.faults.popleft() if self.faults else self.standing

    def answer(self, request: Request) -> Answer:
        if request.path in self.files:
            return Answer(self.files[request.path], headers={"Content-Type": "application/octet-stream"})
        for prefix in sorted(self.handlers, key=len, reverse=True):
            if request.path.startswith(prefix):
                return self.handlers[prefix](request)
        return Answer(b"no such file", 404, {"Content-Type": "text/plain"})

    def _handler_class(faulty) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers.items()), body)
                fault = faulty.next_fault(request) or Fault()
                if fault.status is not None:
                    self.send(Answer(fault.body, fault.status, fault.headers), fault)
                else:
                    answer = faulty.answer(request)
                    self.send(in_range(request, answer) if fault.ranges else answer, fault)

            do_HEAD = do_POST = do_GET  # noqa: N815

            def send(self, answer: Answer, fault: Fault) -> None:
                body = answer.body
                if fault.spoil:
                    body = body[:-1] + bytes([body[-1] ^ 1])
                self.send_response(answer.status)
                headers = {"Content-Length": str(len(body))} if fault.length else {"Connection": "close"}
                for name, value in (headers | dict(answer.headers) | dict(fault.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                if fault.drip is not None:
                    for byte in body:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        if faulty.closing.wait(fault.drip):
                            break
                    return
                until = fault.cut if fault.cut is not None else fault.stall
                self.wfile.write(body[:until])
                self.wfile.flush()
                if fault.stall is not None:
                    faulty.closing.wait(30)
                if until is not None or not fault.length:
                    self.close_connection = True
                if fault.cut is not None and fault.length:
                    time.sleep(0.02)  # what was sent arrives before the reset
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()

            def handle(self) -> None:
                with suppress(OSError, ValueError):  # the client left, or the connection was cut
                    super().handle()

            def finish(self) -> None:
                with suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *_arguments: object) -> None:
                """Print nothing."""

        return Handler


def in_range(request: Request, answer: Answer) -> Answer:
    """Answer the part of a file that was asked for, as web servers do."""
    asked = request.headers.get("Range", "")
    if answer.status != 200 or not asked.startswith("bytes="):
        return answer
    etag = answer.headers.get("ETag")
    if request.headers.get("If-Range", etag) != etag:
        return answer
    first, _, last = asked.removeprefix("bytes=").partition("-")
    start, size = int(first), len(answer.body)
    stop = min(int(last) + 1 if last else size, size)
    if start >= size:
        return Answer(b"", 416, {"Content-Range": f"bytes */{size}"})
    headers = dict(answer.headers) | {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Answer(answer.body[start:stop], 206, headers)
