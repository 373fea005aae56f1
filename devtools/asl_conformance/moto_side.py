"""moto's interpreter, in this process: the same definitions through another's engine.

moto (Apache-2.0) keeps executions in memory and runs each in threads. Nothing leaves the
process: its client is answered by moto itself. Waits are real there.
"""

from __future__ import annotations

import json
import logging
import time
from importlib import import_module
from types import TracebackType
from typing import Any

from moto import mock_aws

from devtools.asl_conformance.cases import Case
from devtools.asl_conformance.outcomes import Outcome

_ROLE = "arn:aws:iam::123456789012:role/snf"
_RUNNING = "RUNNING"


class MotoSide:
    """moto's Step Functions; a context manager."""

    def __init__(self) -> None:
        self._mock = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        self._started = 0

    def __enter__(self) -> MotoSide:
        logger = logging.getLogger("moto")
        self._was_propagating, logger.propagate = logger.propagate, False
        self._silence = logging.NullHandler()
        logger.addHandler(self._silence)
        self._mock.start()
        boto3: Any = import_module("boto3")  # has no type information
        self._client: Any = boto3.client("stepfunctions", region_name="us-east-1")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._mock.stop()
        logger = logging.getLogger("moto")
        logger.removeHandler(self._silence)
        logger.propagate = self._was_propagating

    def play(self, case: Case, seconds: float = 10.0) -> Outcome:
        """Run one execution to its end, or give it up after so many seconds."""
        try:
            return self._outcome(self._start(case), time.monotonic() + seconds)
        except Exception as error:  # noqa: BLE001 - moto may raise anything, at every call
            return Outcome(problem=f"{type(error).__name__}: {error}")

    def _start(self, case: Case) -> str:
        # moto takes two executions without a name for the same one.
        self._started += 1
        name = f"case-{self._started}"
        machine = self._client.create_state_machine(
            name=name, definition=case.definition_text, roleArn=_ROLE
        )["stateMachineArn"]
        arn: str = self._client.start_execution(
            stateMachineArn=machine, name=name, input=case.input_text
        )["executionArn"]
        return arn

    def _outcome(self, arn: str, deadline: float) -> Outcome:
        found = self._client.describe_execution(executionArn=arn)
        while found["status"] == _RUNNING:
            if time.monotonic() > deadline:
                self._client.stop_execution(executionArn=arn)
                return Outcome(problem="did not end")
            time.sleep(0.002)
            found = self._client.describe_execution(executionArn=arn)
        history = self._client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        states = (one.get("stateEnteredEventDetails", {}).get("name") for one in history)
        return Outcome(
            found["status"],
            _as_json_text(found.get("output")),
            found.get("error"),
            found.get("cause"),
            tuple(one["type"] for one in history),
            tuple(state for state in states if state is not None),
        )


def _as_json_text(output: str | None) -> str | None:
    """The output as AWS gives it; moto gives an output that is a text without its quotes."""
    if output is None:
        return None
    try:
        json.loads(output)
    except ValueError:
        return json.dumps(output)
    return output
