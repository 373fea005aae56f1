"""The full callback POST over HTTP: gunicorn, gate, dedupe in the database, worker, one loader.

``python -m devtools.bench.callbacks``. Everything shares this machine's cores, the loader
included. Open loop: request k is due at start + k / rate, and its time counts from then on.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from devtools.bench.databases import BACKENDS, Backend, open_backend
from wechat_handlers.crypto import CallbackCipher, callback_signature

APPID = "wxdemo0000000001"
TOKEN = "benchtoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
RATE = 300
CONNECTIONS = 32
_MIX = ("receipt",) * 7 + ("text",) * 2 + ("again",)


class _Requests:
    """Prepared callbacks: receipts, texts that are answered inline, and repetitions."""

    def __init__(self, count: int) -> None:
        self._cipher = CallbackCipher(APPID, AES_KEY)
        self._seconds = int(datetime.now(UTC).timestamp())
        self.raw: list[bytes] = []
        for number in range(count):
            kind = _MIX[number % len(_MIX)]
            again = kind == "again" and bool(self.raw)
            self.raw.append(self.raw[-3 % len(self.raw)] if again else self._make(kind, number))

    def _make(self, kind: str, number: int) -> bytes:
        openid = f"oBench{number:022d}"
        head = (
            f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><FromUserName><![CDATA[{openid}]]>"
            f"</FromUserName><CreateTime>{self._seconds}</CreateTime>"
        )
        if kind == "text":
            inner = (
                f"{head}<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[您好，家里停电了]]>"
                f"</Content><MsgId>{10**16 + number}</MsgId></xml>"
            )
        else:
            inner = (
                f"{head}<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[TEMPLATESENDJOBFINISH"
                f"]]></Event><MsgID>{10**12 + number}</MsgID><Status><![CDATA[success]]></Status>"
                "</xml>"
            )
        sealed = self._cipher.encrypt(inner.encode())
        body = (
            "<xml><ToUserName><![CDATA[gh_bench]]></ToUserName>"
            f"<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        ).encode()
        stamp, nonce = str(self._seconds), str(number)
        query = urlencode(
            {
                "signature": callback_signature(TOKEN, stamp, nonce),
                "timestamp": stamp,
                "nonce": nonce,
                "openid": openid,
                "encrypt_type": "aes",
                "msg_signature": callback_signature(TOKEN, stamp, nonce, sealed),
            }
        )
        return (
            f"POST /wechat/callback?{query} HTTP/1.1\r\nHost: bench\r\nContent-Type: text/xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class _Loader:
    """Sends prepared requests over kept-alive connections and times the answers."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self._port = port
        self._requests = requests
        self._next = 0
        self._lock = threading.Lock()
        self.times: list[float] = []
        self.statuses: dict[int, int] = {}

    def run(self, rate: float) -> float:
        """Send all (``rate`` a second; 0 means as fast as answers come); returns seconds."""
        self._began = time.perf_counter() + 0.1
        self._rate = rate
        threads = [threading.Thread(target=self._work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - self._began

    def _work(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while True:
                with self._lock:
                    number, self._next = self._next, self._next + 1
                if number >= len(self._requests):
                    return
                due = time.perf_counter()
                if self._rate:
                    due = self._began + number / self._rate
                    time.sleep(max(0.0, due - time.perf_counter()))
                connection.sendall(self._requests[number])
                status = _read_answer(connection)
                self.times.append(time.perf_counter() - due)
                with self._lock:
                    self.statuses[status] = self.statuses.get(status, 0) + 1


def _read_answer(connection: socket.socket) -> int:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, rest = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    while len(rest) < length:
        rest += _some(connection)
    return int(head.split(b" ", 2)[1])


def _some(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise ConnectionError("the server closed the connection")
    return part


@contextmanager
def _running_server(backend: Backend, folder: Path) -> Iterator[int]:
    """``python -m server run`` on a free port: web processes and a worker."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "GONGDIAN_DATA_DIR": str(folder),
        "GONGDIAN_DATABASE_URL": backend.database_url,
        "GONGDIAN_REDIS_URL": backend.redis_url,
        "GONGDIAN_LISTEN": f"127.0.0.1:{port}",
        "GONGDIAN_LOG_LEVEL": "ERROR",
        "GONGDIAN_WECHAT_APPID": APPID,
        "GONGDIAN_WECHAT_TOKEN": TOKEN,
        "GONGDIAN_WECHAT_AES_KEY": AES_KEY,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "run"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_open(port)
        yield port
    finally:
        process.terminate()
        process.wait(40)


def _wait_until_open(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(1.0)  # the second process may still be loading
            return
    raise RuntimeError("the server did not open its port within 30 s")


def run(seconds: float) -> list[dict[str, Any]]:
    """One row a backend: the open loop at 300/s, then the highest rate of a closed loop."""
    return [_measure(backend, seconds) for backend in BACKENDS]


def _measure(name: str, seconds: float) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_backend(name, Path(folder)) as backend,
        _running_server(backend, Path(folder)) as port,
    ):
        _Loader(port, _Requests(200).raw).run(rate=200)  # imports, pools and caches
        steady = _Loader(port, _Requests(int(RATE * seconds)).raw)
        took = steady.run(RATE)
        most = _Loader(port, _Requests(int(RATE * seconds)).raw)
        most_took = most.run(0)
    times = sorted(steady.times)
    return {
        "backend": name,
        "requests": len(times),
        "rate_per_s": len(times) / took,
        "p50_ms": statistics.median(times) * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "max_ms": times[-1] * 1000,
        "not_200": sum(n for status, n in steady.statuses.items() if status != 200),
        "most_per_s": len(most.times) / most_took,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.callbacks")
    parser.add_argument("--seconds", type=float, default=20.0, help="per backend and loop")
    options = parser.parse_args()
    print(f"full callback POST, {RATE}/s due, {CONNECTIONS} connections, loader on the same cores")
    for row in run(options.seconds):
        cells = [
            f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.items()
        ]
        print("  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
