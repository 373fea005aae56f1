"""Intents of workflows (流程意图): flows start executions and finish tokens through the outbox.

A flow may not import this room: it writes an intent in its own transaction, a worker performs it
here. Both kinds may be performed twice; where the cloud runs the workflows, other performers of
the same kinds call Step Functions.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from gongdian.clock import Clock
from gongdian.db import Database
from gongdian.errors import ConflictError, InputError, NotFoundError, UpstreamError
from gongdian.outbox.intents import Performer
from workflows.engine.starting import Start, start_execution
from workflows.engine.store import in_ms
from workflows.engine.tokens import send_success

log = logging.getLogger("gongdian.workflows")


def workflow_performers(database: Database, clock: Clock) -> dict[str, Performer]:
    """Who performs ``workflow_start`` and ``workflow_token``."""
    return {
        "workflow_start": partial(_start, database, clock),
        "workflow_token": partial(_finish, database),
    }


def _start(database: Database, clock: Clock, payload: Mapping[str, Any]) -> None:
    """Start ``machine`` as ``name`` with ``input``; one that was started before is left alone."""
    text = json.dumps(payload["input"], ensure_ascii=False, sort_keys=True)
    wanted = Start(str(payload["machine"]), text, str(payload["name"]))
    now = in_ms(clock.now())
    try:
        database.run(lambda session: start_execution(session, wanted, now))
    except NotFoundError as error:
        # A worker that has just begun publishes its files beside this.
        raise UpstreamError("not_published", "the workflow is not published yet") from error
    except ConflictError:
        log.info("workflow_started_before", extra={"execution": wanted.name})


def _finish(database: Database, payload: Mapping[str, Any]) -> None:
    """Finish ``token`` with ``output``; one that was finished, or timed out, is done."""
    token = str(payload["token"])
    text = json.dumps(payload["output"], ensure_ascii=False, sort_keys=True)
    try:
        database.run(lambda session: send_success(session, token, text))
    except ConflictError:
        log.info("workflow_token_closed_before")
    except InputError as error:
        if error.code != "InvalidToken":
            raise
        # Its execution has ended, and its tasks are gone with it.
        log.info("workflow_token_unknown")
