"""Draining a full outbox: our durable relay beside a plain wechatpy loop in a thread pool.

``python -m devtools.bench.drain``. Both send the same number of template messages to the same
local server with the same number of requests at once. The plain loop keeps nothing: no claim,
no outcome, no limit; ours writes each message's claim, attempt and state to the database.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from devtools.bench.databases import BACKENDS, open_backend
from devtools.bench.send import OPENID, TEMPLATE_ID, VALUES, running_server
from gongdian.clock import SystemClock
from gongdian.migrations.upgrade import upgrade_database
from gongdian.outbox.model import MessageState, QueueMessage
from gongdian.outbox.queries import count_by_state
from gongdian.outbox.queueing import queue_messages
from gongdian.settings import Settings
from gongdian.wiring import House, build_delivery, build_house

AT_ONCE = 50
_CHUNK = 500


def run(messages: int) -> list[dict[str, Any]]:
    """Rows: the plain loop, then ours on each backend with its ratio to the plain loop."""
    rows = []
    with running_server() as url:
        plain = _plain_loop(url, messages)
        rows.append({"what": "wechatpy loop", "per_s": plain[0], "cpu_us": plain[1], "ratio": 1.0})
        for name in BACKENDS:
            queued, sent, cpu_us = _ours(name, url, messages)
            rows.append(
                {
                    "what": f"outbox on {name}",
                    "per_s": sent,
                    "cpu_us": cpu_us,
                    "ratio": sent / plain[0],
                    "queued_per_s": queued,
                }
            )
    return rows


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _plain_loop(url: str, messages: int) -> tuple[float, float]:
    """What a first version often is: one shared client, a pool, fire and forget."""
    from wechatpy import WeChatClient

    client = WeChatClient("wxdemo0000000001", "secret", access_token="T")
    client.API_BASE_URL = f"{url}/cgi-bin/"
    values = {keyword: {"value": text} for keyword, text in VALUES.items()}

    def send(_: int) -> None:
        client.message.send_template(OPENID, TEMPLATE_ID, values, url="https://h5.example.com/t/1")

    began, cpu = time.perf_counter(), _cpu_s()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(send, range(messages)):
            pass
    took = time.perf_counter() - began
    return messages / took, (_cpu_s() - cpu) / messages * 1e6


def _ours(backend_name: str, url: str, messages: int) -> tuple[float, float, float]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_backend(backend_name, Path(folder)) as backend,
    ):
        settings = Settings(
            data_dir=folder,
            database_url=backend.database_url,
            redis_url=backend.redis_url,
            wechat_secret="secret",
            wechat_api_url=url,
            send_rate_per_s=10**6,
            send_concurrency=AT_ONCE,
            daily_quota=10**8,
            quiet_hours=None,
        )
        house = build_house(settings)
        upgrade_database(house.database)
        queued = _queue(house, messages)
        sent, cpu_us = _drain(house, messages)
        house.close()
    return queued, sent, cpu_us


def _queue(house: House, messages: int) -> float:
    began = time.perf_counter()
    now = house.clock.now()
    for chunk in _chunks(messages):
        house.database.run(lambda session: queue_messages(session, house.outbox, chunk, now))  # noqa: B023
    return messages / (time.perf_counter() - began)


def _chunks(messages: int) -> Iterator[list[QueueMessage]]:
    expires = SystemClock().now() + timedelta(hours=6)
    for start in range(0, messages, _CHUNK):
        yield [
            QueueMessage(
                flow="outage",
                subject=f"bench{number}",
                occasion="planned#1",
                recipient=f"c{number}",
                openid=f"oBench{number:022d}",
                kind="outage_planned",
                values={
                    "feeder": "10kV城东Ⅱ线512",
                    "area": "东关村2号公变等6个台区",
                    "outage_at": "2026年12月1日 08:00",
                    "restore_at": "2026年12月1日 17:00",
                    "reason": "更换老旧导线，可能提前送电",
                },
                link_path="/h5/outage",
                expires_at=expires,
            )
            for number in range(start, min(start + _CHUNK, messages))
        ]


def _drain(house: House, messages: int) -> tuple[float, float]:
    delivery = build_delivery(house, "bench")
    began, cpu = time.perf_counter(), _cpu_s()
    while delivery.step():
        pass
    took = time.perf_counter() - began
    used = _cpu_s() - cpu
    delivery.close()
    with house.database.read() as session:
        states = count_by_state(session)
    if states != {MessageState.ACCEPTED.value: messages}:
        raise RuntimeError(f"not everything was sent: {states}")
    return messages / took, used / messages * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.drain")
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    print(f"drain of {options.messages} template messages, {AT_ONCE} at once")
    for row in run(options.messages):
        print(
            f"{row['what']:24} {row['per_s']:8.0f}/s  ratio {row['ratio']:5.2f}"
            f"  CPU {row['cpu_us']:6.0f} us each"
            + (f"  queued at {row['queued_per_s']:.0f}/s" if "queued_per_s" in row else "")
        )


if __name__ == "__main__":
    main()
