"""CPU time of one template send: our client beside wechatpy's, against the same local server.

``python -m devtools.bench.send``; also called by the umbrella bench through ``run``. Only the
client process's CPU time counts; the server is another process.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gongdian.migrations.upgrade import upgrade_database
from gongdian.ports import TemplateSend
from gongdian.settings import Settings
from gongdian.wiring import build_house

SLICE = 50  # sends between two readings; the two sides take turns slice by slice
VALUES = {
    "thing1": "青山路18号等32户",
    "time2": "2026-01-05 08:30~2026-01-05 16:30",
    "thing3": "10千伏青山线计划检修",
    "phone_number4": "95598",
}
OPENID, TEMPLATE_ID = "o6_bmjrPTlm6_2sgVt7hMZOPfL2M", "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"
URL = "https://h5.example.com/t/9f86d081884c7d659a2feaa0"


@contextmanager
def running_server() -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "devtools.bench.answering_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - it was asked for
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


@contextmanager
def our_send(url: str) -> Iterator[Callable[[], object]]:
    """A template send by the client of a demo installation, client_msg_id included."""
    with tempfile.TemporaryDirectory() as folder:
        house = build_house(Settings(data_dir=folder, wechat_api_url=url))
        upgrade_database(house.database)
        message = TemplateSend(OPENID, TEMPLATE_ID, VALUES, "0" * 32, URL)
        yield lambda: house.wechat.send_template(message)
        house.close()


def peer_send(url: str) -> Callable[[], object]:
    """The same by wechatpy, whose connections requests keeps; it knows no client_msg_id."""
    from wechatpy import WeChatClient

    client = WeChatClient("wxdemo0000000001", "secret", access_token="T")
    client.API_BASE_URL = f"{url}/cgi-bin/"
    values = {keyword: {"value": text} for keyword, text in VALUES.items()}
    return lambda: client.message.send_template(OPENID, TEMPLATE_ID, values, url=URL)


def _cpu_us(send: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(SLICE):
        send()
    return (time.process_time() - began) / SLICE * 1e6


def run(seconds: float = 10.0) -> list[dict[str, Any]]:
    """Measure both sides in turns.

    One row: name, ours_us and peer_us (minimum over slices), ours_median_us, peer_median_us,
    ratio (of minima), ratio_median (median of the pairs' ratios), slices. CPU time throughout.
    """
    with running_server() as url, our_send(url) as ours:
        peer = peer_send(url)
        for _ in range(20):
            ours()
            peer()
        our_slices: list[float] = []
        peer_slices: list[float] = []
        gc.collect()
        gc.disable()
        try:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or len(our_slices) < 3:
                our_slices.append(_cpu_us(ours))
                peer_slices.append(_cpu_us(peer))
                gc.collect()
        finally:
            gc.enable()
    return [_row(our_slices, peer_slices)]


def _row(ours: list[float], peer: list[float]) -> dict[str, Any]:
    pairs = [a / b for a, b in zip(ours, peer, strict=True)]
    return {
        "name": "template send",
        "ours_us": min(ours),
        "peer_us": min(peer),
        "ours_median_us": statistics.median(ours),
        "peer_median_us": statistics.median(peer),
        "ratio": min(ours) / min(peer),
        "ratio_median": statistics.median(pairs),
        "slices": len(pairs),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    rows = run(parser.parse_args().seconds)
    print(f"{'CPU time per send, client only':44}{'ours us':>17}{'wechatpy us':>17}{'ratio':>15}")
    print(f"{'':44}{'min / median':>17}{'min / median':>17}{'min / median':>15}")
    for row in rows:
        ours = f"{row['ours_us']:.1f} / {row['ours_median_us']:.1f}"
        peer = f"{row['peer_us']:.1f} / {row['peer_median_us']:.1f}"
        ratio = f"{row['ratio']:.3f} / {row['ratio_median']:.3f}"
        print(f"{row['name']:44}{ours:>17}{peer:>17}{ratio:>15}")


if __name__ == "__main__":
    main()
