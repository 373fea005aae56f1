"""Throws changed callbacks at the gate: nothing but CallbackError may come out of it.

Called by ``python -m devtools.fuzz``; a short form is a test.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from devtools.fuzz.inputs import ACCOUNTS, Drawn, Inputs
from devtools.fuzz.mutations import mutate_bytes
from devtools.fuzz.samples import APPID
from gongdian.errors import CallbackError
from wechat_handlers.gate import Gate, read_query
from wechat_handlers.messages import parse_message

SLOW_S = 0.5  # CPU time of one input that counts as a failure: it could stall a worker
MAX_SHOWN = 10


@dataclass
class Report:
    """What came of a run. ``failures`` holds what must not happen, with the input's number."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0
    seconds: float = 0.0


class Fuzzer:
    """Draws inputs and judges what the gate does with them; the same seed, the same inputs."""

    def __init__(self, seed: int) -> None:
        self._inputs = Inputs(seed)
        self._gates = [Gate(account) for account in ACCOUNTS]
        self.report = Report()

    def run(self, inputs: int) -> Report:
        """Judge a number of inputs."""
        start = time.perf_counter()
        for _ in range(inputs):
            self._judge()
        self.report.seconds = time.perf_counter() - start
        return self.report

    def _judge(self) -> None:
        report = self.report
        report.inputs += 1
        drawn = self._inputs.draw()
        start = time.thread_time()
        try:
            outcome = self._act(drawn)
        except CallbackError as error:
            outcome = f"{error.status} {error.code}"
            if error.status not in (400, 403, 413):
                self._fail(f"status {error.status}")
        except Exception as error:  # noqa: BLE001 - this is what the fuzzer looks for
            outcome = f"ESCAPED {type(error).__name__}"
            self._fail(repr(error)[:200])
        spent = time.thread_time() - start
        report.slowest_ms = max(report.slowest_ms, spent * 1000)
        if spent > SLOW_S:
            self._fail(f"{spent:.2f} s of CPU for one input")
        report.outcomes[outcome] += 1

    def _fail(self, why: str) -> None:
        self.report.failures.append(f"input {self.report.inputs}: {why}")

    def _act(self, drawn: Drawn) -> str:
        """Do it and name the outcome; CallbackError is a refusal."""
        gate = self._gates[drawn.account]
        if drawn.is_challenge:
            answer = gate.challenge(drawn.query, drawn.now)
            if not answer.isascii() or set(answer) & set("<>&\"'"):
                self._fail("an echo that a browser could read as markup")
            return "echoed"
        received = gate.open(drawn.query, drawn.body, drawn.content_type, drawn.now)
        if len(received.message.dedupe_key(APPID)) != 32:
            self._fail("a dedupe key of the wrong size")
        if parse_message(received.raw, received.is_json) != received.message:
            self._fail("reading the stored message again gives another")
        gate.seal(received, self._inputs.reply(), drawn.now)
        return f"accepted {'unknown' if 'Unknown' in type(received.message).__name__ else 'typed'}"


def fuzz_query_strings(inputs: int, seed: int) -> None:
    """Throw changed query strings at ``read_query``; anything but CallbackError passes up."""
    draw = random.Random(seed)
    valid = b"signature=ab&timestamp=1714112445&nonce=1&echostr=5837397520665436492&a=%E4%BE%9B"
    for _ in range(inputs):
        try:
            read_query(mutate_bytes(valid, draw))
        except CallbackError:
            continue


def print_report(report: Report) -> None:
    """The table of outcomes, the speed, and the first failures."""
    for outcome, count in report.outcomes.most_common():
        print(f"{outcome:32}{count:>10}{count / report.inputs:>9.1%}")
    print(
        f"{report.inputs} inputs in {report.seconds:.1f} s, "
        f"{report.inputs / report.seconds:.0f} inputs/s, "
        f"slowest {report.slowest_ms:.1f} ms of CPU, {len(report.failures)} failures"
    )
    for failure in report.failures[:MAX_SHOWN]:
        print(f"FAILED {failure}")
