"""What is told to an execution from outside (信号): an answer is stored, a worker is woken."""

from __future__ import annotations

from gongdian.db import Session
from workflows.engine import statements
from workflows.engine.orders import Answer

_NEVER = 2**62


def add_answer(session: Session, execution_id: int, answer: Answer) -> None:
    """Put an answer where the execution's next claim finds it; to be woken before (``wake``)."""
    session.execute(
        statements.ADD_ANSWER,
        {
            "execution_id": execution_id,
            "scope": answer.scope,
            "serial": answer.serial,
            "kind": answer.kind.value,
            "output": None if answer.output is None else answer.output.text,
            "error": stored_error(answer.error),
            "cause": answer.cause,
            "worker": answer.worker,
        },
    )


def wake(session: Session, execution_id: int) -> bool:
    """Somebody must look at the execution at once; a worker that holds it will see it.

    False when it has ended.
    Locks the execution's row: to be called before its tasks are touched.
    """
    return session.execute(statements.WAKE, {"b_id": execution_id}).rowcount == 1


def stored_error(error: str | None) -> str | None:
    """An error's name as its column takes it: 256 characters, no half surrogate pairs."""
    if error is None:
        return None
    return error[:256].encode("utf-8", "replace").decode("utf-8")


def absurd_lease(session: Session, now_ms: int, lease_ms: int) -> int:
    """The end of a lease that nobody can have taken: the clock was put back since.

    Only where all workers share one clock; on a server another machine's may be ahead.
    """
    return now_ms + 2 * lease_ms if session.dialect.name == "sqlite" else _NEVER
