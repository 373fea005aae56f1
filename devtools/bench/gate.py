"""CPU time of one encrypted callback and its encrypted answer: our gate beside wechatpy.

``python -m devtools.bench.gate``; also called by the umbrella bench through ``run``.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from devtools.fuzz.samples import (
    AES_KEY,
    APPID,
    CREATE_TIME,
    ORIGINAL_ID,
    SAMPLES,
    TOKEN,
    encrypted_request,
    new_cipher,
    to_xml,
)
from wechat_handlers.gate import CallbackAccount, Gate
from wechat_handlers.replies import TextReply

REPLY = "您好，青山路 18 号预计 16:30 前恢复供电。"
SLICE = 100  # cycles between two readings; the two sides take turns slice by slice
_COLD_RUNS = 10


def our_cycle(body: bytes, query: dict[str, str]) -> Callable[[], object]:
    """verify + decrypt + parse + reply + encrypt by the gate."""
    gate = Gate(CallbackAccount(APPID, TOKEN, AES_KEY, mode="secure", original_id=ORIGINAL_ID))
    now = datetime.fromtimestamp(CREATE_TIME, UTC)

    def cycle() -> object:
        received = gate.open(query, body, "text/xml", now)
        return gate.seal(received, TextReply(REPLY), now)

    return cycle


def peer_cycle(body: bytes, query: dict[str, str]) -> Callable[[], object]:
    """The same by wechatpy, as its documentation shows."""
    from wechatpy import create_reply, parse_message
    from wechatpy.crypto import WeChatCrypto

    crypto = WeChatCrypto(TOKEN, AES_KEY, APPID)
    signature, timestamp, nonce = query["msg_signature"], query["timestamp"], query["nonce"]

    def cycle() -> object:
        inner = crypto.decrypt_message(body, signature, timestamp, nonce)
        message = parse_message(inner)
        rendered = create_reply(REPLY, message).render()
        return crypto.encrypt_message(rendered, nonce, timestamp)

    return cycle


def run(seconds: float) -> list[dict[str, Any]]:
    """One row per measured kind of message, then one for the cold import.

    Rows of cycles: name, ours_us and peer_us (minimum over slices), ours_median_us,
    peer_median_us, ratio (of minima), ratio_median (median of the pairs' ratios), slices.
    The import row: name, ours_ms (median), target_ms. CPU time throughout.
    """
    kinds = ("text", "TEMPLATESENDJOBFINISH", "pic_photo_or_album")
    rows = [_compare(kind, seconds / len(kinds)) for kind in kinds]
    rows.append(
        {
            "name": "cold import of wechat_handlers.gate",
            "ours_ms": cold_import_ms("wechat_handlers.gate"),
            "target_ms": 100.0,
        }
    )
    return rows


def _compare(kind: str, seconds: float) -> dict[str, Any]:
    encrypted = new_cipher().encrypt(to_xml(SAMPLES[kind]).encode())
    request = encrypted_request(encrypted, is_json=False)
    ours = our_cycle(request.body, request.query)
    peer = peer_cycle(request.body, request.query)
    our_times: list[float] = []
    peer_times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(our_times) < 3:
        our_times.append(_slice(ours))
        peer_times.append(_slice(peer))
    pairs = [a / b for a, b in zip(our_times, peer_times, strict=True)]
    return {
        "name": f"encrypted {kind} + text answer",
        "ours_us": min(our_times),
        "peer_us": min(peer_times),
        "ours_median_us": statistics.median(our_times),
        "peer_median_us": statistics.median(peer_times),
        "ratio": min(our_times) / min(peer_times),
        "ratio_median": statistics.median(pairs),
        "slices": len(pairs),
    }


def _slice(cycle: Callable[[], object]) -> float:
    """CPU microseconds of one cycle, averaged over a slice."""
    gc.collect()
    start = time.process_time()
    for _ in range(SLICE):
        cycle()
    return (time.process_time() - start) / SLICE * 1e6


def cold_import_ms(module: str) -> float:
    """CPU milliseconds that importing a module adds to a bare interpreter; median of 10.

    The interpreters run in turns; byte code is cached, as in a deployed package.
    """
    _cpu_of(f"import {module}")
    differences = [_cpu_of(f"import {module}") - _cpu_of("pass") for _ in range(_COLD_RUNS)]
    return statistics.median(differences) * 1000


def _cpu_of(program: str) -> float:
    child = subprocess.Popen([sys.executable, "-c", program])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{program!r} failed")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0)
    rows = run(parser.parse_args().seconds)
    print(f"{'CPU time per cycle':44}{'ours us':>17}{'wechatpy us':>17}{'ratio':>15}")
    print(f"{'':44}{'min / median':>17}{'min / median':>17}{'min / median':>15}")
    for row in rows[:-1]:
        ours = f"{row['ours_us']:.1f} / {row['ours_median_us']:.1f}"
        peer = f"{row['peer_us']:.1f} / {row['peer_median_us']:.1f}"
        ratio = f"{row['ratio']:.3f} / {row['ratio_median']:.3f}"
        print(f"{row['name']:44}{ours:>17}{peer:>17}{ratio:>15}")
    cold = rows[-1]
    print(f"{cold['name']:44}{cold['ours_ms']:>14.1f} ms (median of {_COLD_RUNS})")


if __name__ == "__main__":
    main()
