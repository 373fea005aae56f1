"""The worker (后台进程): sends, handles stored callbacks, sweeps, seals, tells alarms.

Any number of workers may run; each subject is safe with several. One thread a subject, so that
a slow one does not hold up the others; a failing round is logged and tried again.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gongdian.accounts.binding_requests import expire_requests
from gongdian.alarms import raise_alarm, tell_alarms
from gongdian.arrears.balance_reminders import seed_thresholds
from gongdian.arrears.closing import Closer
from gongdian.arrears.rules import seed_rules
from gongdian.arrears.worklist import escalate_items
from gongdian.audit import seal_audit
from gongdian.errors import ConflictError, GongdianError
from gongdian.inbox.service import prune_callbacks
from gongdian.outbox.intents import perform_intents
from gongdian.outbox.queries import oldest_due
from gongdian.outbox.sweeping import sweep
from gongdian.sources.freshness import check_freshness
from gongdian.wiring import House, build_delivery
from server.health import LATE_AFTER_S
from server.metrics import count_attempt
from server.web import spool_of
from wechat_handlers.processing import handle_stored
from wechat_handlers.rules import build_router
from workflows.engine.executions import prune
from workflows.engine.worker import EngineWorker, WorkerParts, WorkerSettings
from workflows.intents import workflow_performers
from workflows.shipped import publish_shipped
from workflows.tasks import HouseTasks

log = logging.getLogger("gongdian.worker")

# Callbacks hold what people wrote: kept for questions, then deleted.
CALLBACKS_KEPT = timedelta(days=30)
# As long as SQS keeps a message at most.
QUEUED_KEPT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Chore:
    """Something done again and again: ``work`` returns whether it found something to do."""

    name: str
    work: Callable[[], bool]
    idle_s: float


class Worker:
    """One worker process (or, in the demo, a set of threads)."""

    def __init__(self, house: House, *, wake_s: float = 0.2) -> None:
        self._house = house
        self._stopping = threading.Event()
        self._relays = [
            build_delivery(house, worker_name(), count_attempt, line) for line in house.lines
        ]
        self._router = build_router()
        self._engine = EngineWorker(_engine_parts(house), worker_name())
        self._spool = spool_of(house)
        self._sealed_head = b""
        self._has_published = False
        self._performers = {
            **house.performers(),
            **workflow_performers(house.database, house.clock),
        }
        self._closer = Closer(house.database, house.clock.now)
        chores = (
            *(
                Chore(f"send_{line.policy.channel}", relay.step, wake_s)
                for line, relay in zip(house.lines, self._relays, strict=True)
            ),
            Chore("callbacks", self._handle_callbacks, wake_s),
            Chore("intents", self._perform_intents, wake_s),
            Chore("spool", self._drain_spool, 1.0),
            Chore("sweep", self._sweep, 1.0),
            Chore("seal", self._seal, 0.5),
            Chore("alarms", self._alarms, 5.0),
            Chore("prune", self._prune, 3600.0),
            Chore("workflow_files", self._publish_workflows, 1.0),
            Chore("prune_workflows", self._prune_workflows, 3600.0),
            Chore("close_campaigns", self._closer.step, 1.0),
            Chore("worklist", self._escalate, 60.0),
            Chore("bindings", self._expire_bindings, 30.0),
            Chore("freshness", self._check_freshness, 30.0),
        )
        self._threads = [
            threading.Thread(target=self._repeat, args=(chore,), name=chore.name)
            for chore in chores
        ]

    def start(self) -> None:
        """Start every chore."""
        for thread in self._threads:
            thread.start()
        self._engine.start()

    def stop(self) -> None:
        """Finish what is in flight, then return."""
        self._stopping.set()
        self._engine.stop()
        for thread in self._threads:
            thread.join()
        for relay in self._relays:
            relay.close()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        self.start()
        log.info("worker_started", extra={"worker": worker_name()})
        stop.wait()
        self.stop()
        log.info("worker_stopped")

    def _repeat(self, chore: Chore) -> None:
        while not self._stopping.is_set():
            try:
                was_busy = chore.work()
            except GongdianError as error:
                log.warning("chore_failed", extra={"chore": chore.name, "detail": str(error)})
                was_busy = False
            except Exception:
                log.exception("chore_crashed", extra={"chore": chore.name})
                was_busy = False
            if not was_busy:
                self._stopping.wait(chore.idle_s)

    def _handle_callbacks(self) -> bool:
        return handle_stored(self._house, self._router) > 0

    def _perform_intents(self) -> bool:
        house = self._house
        return perform_intents(house.database, self._performers, house.clock.now()) > 0

    def _drain_spool(self) -> bool:
        return self._spool.drain(self._house.database) > 0

    def _sweep(self) -> bool:
        house = self._house
        now = house.clock.now()
        others = {line.policy.channel: line.policy for line in house.lines[1:]}
        counts = house.database.run(
            lambda session: sweep(session, house.outbox.policy, now, others)
        )
        return any(counts.values())

    def _seal(self) -> bool:
        try:
            sealed, head = self._house.database.run(
                lambda session: seal_audit(session, self._house.settings.audit_key)
            )
        except ConflictError:
            return False  # another worker is sealing
        if sealed:
            log.info("audit_sealed", extra={"rows": sealed, "head": head.hex()})
        return sealed > 0

    def _alarms(self) -> bool:
        house = self._house
        now = house.clock.now()
        with house.database.read() as session:
            waited = oldest_due(session, house.outbox.policy, now)
        if waited > LATE_AFTER_S:
            text = (
                f"消息积压：最早应发的一条已等待{int(waited // 60)}分钟，请检查发送进程和停发开关"
            )
            house.database.run(lambda session: raise_alarm(session, "outbox_late", text, now))
        bad = self._spool.count_bad()
        if bad:
            text = f"有{bad}个回调暂存文件无法读取或入库，已改名为 .bad，请检查数据密钥和暂存目录"
            house.database.run(lambda session: raise_alarm(session, "spool_bad", text, now))
        tell_alarms(house.database, house.alarm_channels, now)
        return False

    def _prune(self) -> bool:
        house = self._house
        before = house.clock.now() - CALLBACKS_KEPT
        return house.database.run(lambda session: prune_callbacks(session, before)) > 0

    def _publish_workflows(self) -> bool:
        # Once a process: workers of two releases side by side must not take turns.
        if not self._has_published:
            house = self._house
            self._seed_rules()
            for machine, number in publish_shipped(house.database, house.clock).items():
                log.info("workflow_ready", extra={"machine": machine, "version": number})
            self._has_published = True
        return False

    def _seed_rules(self) -> None:
        """The rules that the house brings, where nobody has put any in force yet."""
        house, now = self._house, self._house.clock.now()
        try:
            seeded = house.database.run(
                lambda session: [
                    *seed_rules(session, "worker", now),
                    *seed_thresholds(session, "worker", now),
                ]
            )
        except ConflictError:  # another worker starts at the same time with the same files
            return
        if seeded:
            log.info("rules_seeded", extra={"tables": seeded})

    def _escalate(self) -> bool:
        house = self._house
        now = house.clock.now()
        return house.database.run(lambda session: escalate_items(session, now)) > 0

    def _expire_bindings(self) -> bool:
        house = self._house
        now = house.clock.now()
        return house.database.run(lambda session: expire_requests(session, now)) > 0

    def _check_freshness(self) -> bool:
        house = self._house
        now = house.clock.now()
        house.database.run(lambda session: check_freshness(session, house.account, now))
        return False

    def _prune_workflows(self) -> bool:
        house = self._house
        now = house.clock.now()
        before = now - timedelta(days=house.settings.workflow_kept_days)
        pruned = house.database.run(lambda session: prune(session, before, now))
        return pruned + house.queue.prune(now - QUEUED_KEPT) > 0


def _engine_parts(house: House) -> WorkerParts:
    settings = WorkerSettings(
        threads=house.settings.workflow_threads,
        task_lease_s=house.settings.workflow_task_lease_s,
    )
    return WorkerParts(
        house.database, house.clock, HouseTasks(house), house.queue, settings=settings
    )


def worker_name() -> str:
    """Host, process and a random part: names one run of one worker."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{_RUN}"


_RUN = secrets.token_hex(3)
