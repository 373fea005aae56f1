"""What is told to an execution from outside (信号): an answer is stored, a worker is woken."""

from __future__ import annotations

from sqlalchemy import case, insert, update

from gongdian.db import Session
from gongdian.workflow_tables import workflow_answers, workflow_executions
from workflows.engine.orders import Answer, Status


def add_answer(session: Session, execution_id: int, answer: Answer) -> None:
    """Put an answer where the execution's next claim finds it."""
    session.execute(
        insert(workflow_answers).values(
            execution_id=execution_id,
            scope=answer.scope,
            serial=answer.serial,
            kind=answer.kind.value,
            output=None if answer.output is None else answer.output.text,
            error=stored_error(answer.error),
            cause=answer.cause,
            worker=answer.worker,
        )
    )


def wake(session: Session, execution_id: int) -> None:
    """Somebody must look at the execution at once; a worker that holds it will see it.

    Locks the execution's row: to be called before its tasks are touched.
    """
    of = workflow_executions.c
    session.execute(
        update(workflow_executions)
        .where(of.id == execution_id, of.status == Status.RUNNING.value)
        .values(
            signals=of.signals + 1,
            wake_at_ms=case((of.leased_until_ms.is_(None), 0), else_=of.wake_at_ms),
        )
    )


def stored_error(error: str | None) -> str | None:
    """An error's name as its column takes it: 256 characters, no half surrogate pairs."""
    if error is None:
        return None
    return error[:256].encode("utf-8", "replace").decode("utf-8")
