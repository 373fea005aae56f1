"""Names of things as AWS names them (资源名): the ARNs of this installation.

What runs here looks to an ASL file as what runs on AWS: region ``local``, account of zeros.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gongdian.errors import InputError

# Characters that no name of a machine or execution may have (StartExecution, API reference).
_FORBIDDEN = re.compile(
    r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U0010ffff]"
)
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Home:
    """Where executions live, as their ARNs say it."""

    partition: str = "aws"
    region: str = "local"
    account: str = "000000000000"
    role_arn: str = "arn:aws:iam::000000000000:role/gongdian-workflows"

    def machine_arn(self, machine: str) -> str:
        """The ARN of a state machine."""
        return f"{self._prefix}:stateMachine:{machine}"

    def execution_arn(self, machine: str, name: str) -> str:
        """The ARN of an execution."""
        return f"{self._prefix}:execution:{machine}:{name}"

    def activity_arn(self, name: str) -> str:
        """The ARN of an activity."""
        return f"{self._prefix}:activity:{name}"

    @property
    def _prefix(self) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}"


def checked_name(name: str) -> str:
    """The name of a machine or execution, or InputError InvalidName."""
    if not 1 <= len(name) <= LONGEST_NAME or _FORBIDDEN.search(name):
        raise InputError("InvalidName", f"Invalid Name: '{name}'")
    return name


def machine_of(given: str) -> str:
    """A machine's name from its name, its ARN or the ARN of a version."""
    return given.split(":stateMachine:", 1)[1].split(":")[0] if ":stateMachine:" in given else given


def execution_of(given: str) -> tuple[str, str]:
    """Machine and name from an execution's ARN or ``machine:name``."""
    rest = given.split(":execution:", 1)[1] if ":execution:" in given else given
    machine, _, name = rest.partition(":")
    if not machine or not name:
        raise InputError("InvalidArn", f"Invalid Arn: '{given}'")
    return machine, name
