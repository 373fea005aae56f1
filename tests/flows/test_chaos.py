"""A short form of `make chaos`: a worker killed while it sends, on SQLite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devtools.chaos.ground import free_port
from devtools.chaos.runs import kill_run
from devtools.chaos.site import Plan
from gongdian.db import Database
from gongdian.migrations.upgrade import newest_revision, upgrade_database

LANES = 4


def test_a_worker_that_is_killed_again_and_again_shows_every_message_once() -> None:
    plan = Plan(
        "short",
        messages=150,
        kills=3,
        answer_s=0.05,
        in_flight=3,
        timeout_s=1.0,
        lease_s=2.5,
        receipt_timeout_s=30.0,
        patience_s=60.0,
    )

    result = kill_run(plan, "sqlite")

    assert result.failures == []
    assert result.states == {"delivered": 150}
    assert (result.kills, result.shown_again) == (3, 0)
    assert result.kills_inside > 0


def test_runs_side_by_side_bring_up_their_databases_at_once(tmp_path: Path) -> None:
    def upgraded(number: int) -> str:
        database = Database(f"sqlite:///{tmp_path / f'{number}.db'}")
        try:
            return upgrade_database(database)
        finally:
            database.close()

    with ThreadPoolExecutor(LANES) as lanes:
        revisions = list(lanes.map(upgraded, range(LANES)))

    assert revisions == [newest_revision()] * LANES


def test_no_two_runs_get_one_port() -> None:
    with ThreadPoolExecutor(LANES) as lanes:
        ports = list(lanes.map(lambda _: free_port(), range(200)))

    assert len(set(ports)) == 200
