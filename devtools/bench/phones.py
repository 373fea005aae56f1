"""The Phones page with 200 phones and 20,000 messages: when it is ready, how fast an inbox answers.

``python -m devtools.bench.phones``, and a part of ``make bench``; needs Chromium. Figures, not a
test: the machine matters.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from devtools.wechat_sandbox.fixture import running_sandbox
from devtools.wechat_sandbox.outward_http import OutwardHttp
from devtools.wechat_sandbox.sandbox import Sandbox

PHONES, MESSAGES, ROUNDS = 200, 20_000, 50
CHROMIUM = os.environ.get("GONGDIAN_TEST_CHROMIUM", "/usr/bin/chromium")
DRAWN = 60  # of the newest items in each of the four phones that are shown at first
# Ready is measured from the navigation's start, as the page itself knows it.
WATCH = f"""
new MutationObserver(() => {{
  const items = [...document.querySelectorAll('.phone .item')];
  if (items.length >= 4 * {DRAWN}) window.readyAt ??= performance.now();
  if (items.some((item) => item.textContent.includes(window.wanted))) window.cardAt ??= Date.now();
}}).observe(document, {{childList: true, subtree: true}});
"""


def fill(sandbox: Sandbox, phones: int, messages: int) -> list[str]:
    """Make the phones and spread template cards evenly over them; returns the openids."""
    sandbox.register_template("T1", "停电通知", {"thing1": "地址", "time2": "时间"})
    openids = sandbox.add_phones(phones)
    values = {"thing1": {"value": "解放路1号"}, "time2": {"value": "2026年11月23日 10:00"}}
    order = {"template_id": "T1", "data": values, "url": "http://127.0.0.1:9/x"}
    for number in range(messages):
        sandbox.sending.template({**order, "touser": openids[number % phones]})
    return openids


def time_inbox(base_url: str, openids: list[str], query: str) -> list[float]:
    """Milliseconds of inbox calls over HTTP, one phone after the other."""
    client, took = OutwardHttp(), []
    for number in range(ROUNDS):
        url = f"{base_url}/sandbox/inbox?openid={openids[number % len(openids)]}{query}"
        started = time.perf_counter()
        client.send("GET", url)
        took.append((time.perf_counter() - started) * 1000)
    client.close()
    return took


def time_page(
    base_url: str, send: Callable[[str], None], rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds until four phones are drawn, and from a send until its card is on the screen."""
    from playwright.sync_api import sync_playwright  # only this bench needs a browser

    ready, card = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for number in range(rounds):
            text = f"新消息{number}号"
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.add_init_script(f"window.wanted = '{text}';{WATCH}")
            page.goto(base_url)
            page.locator(".phone .item").nth(4 * DRAWN - 1).wait_for(state="attached")
            ready.append(float(page.evaluate("window.readyAt")))
            sent_ms = time.time() * 1000  # the page's Date.now() is the same clock
            send(text)
            page.locator(".phone .item", has_text=text).first.wait_for(state="attached")
            card.append(float(page.evaluate("window.cardAt")) - sent_ms)
            page.close()
        browser.close()
    return ready, card


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """All figures in milliseconds: ``what``, ``median_ms``, ``worst_ms``, ``target_ms``."""
    with running_sandbox(receipts=False) as running:
        openids = fill(running.sandbox, PHONES, MESSAGES)

        def send(text: str) -> None:
            values = {"thing1": {"value": text}, "time2": {"value": "2026年11月23日 11:00"}}
            order = {"touser": openids[0], "template_id": "T1", "data": values}
            running.sandbox.sending.template(order)

        ready, card = time_page(running.base_url, send, rounds)
        rows = [
            (f"page of {PHONES} phones ready", ready, 1000.0),
            ("card on the screen after its send", card, 1000.0),
            ("inbox query, all 100 items", time_inbox(running.base_url, openids, ""), 50.0),
            ("inbox query, last 60 items", time_inbox(running.base_url, openids, "&last=60"), 50.0),
        ]
    return [
        {
            "what": what,
            "median_ms": statistics.median(values),
            "worst_ms": max(values),
            "target_ms": target,
        }
        for what, values, target in rows
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.phones")
    parser.add_argument("--rounds", type=int, default=5, help="how often the page is opened")
    options = parser.parse_args()
    print(f"{PHONES} phones, {MESSAGES} messages")
    for row in run(options.rounds):
        print(
            f"{row['what']:36} median {row['median_ms']:7.1f} ms   worst {row['worst_ms']:7.1f} ms"
            f"   target < {row['target_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main()
