"""The five flows (业务流程): the rows of the house; who shows or checks a flow name asks here.

A flow is whole or absent: once one of its files exists, all of ``COLUMNS`` must. The same file
name stands in each column, so ``ls */arrears*`` shows one flow. Kept by tests/architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

from gongdian.errors import NotFoundError

COLUMNS = (
    "gongdian/{flow}/model.py",
    "gongdian/{flow}/tables.py",
    "gongdian/{flow}/service.py",
    "gongdian/{flow}/messages.py",
    "gongdian/{flow}/queries.py",
    "workflows/{flow}.asl.json",
    "workflows/{flow}.py",
    "wechat_handlers/{flow}.py",
    "docs/flows/{flow}.md",
    "tests/flows/test_{flow}.py",
)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow: its identifier in code and files, and what people call it."""

    name: str
    label: str

    def files(self) -> tuple[str, ...]:
        """The paths, from the project's root, that a built flow must have."""
        return tuple(column.format(flow=self.name) for column in COLUMNS)


FLOWS = (
    Flow("arrears", "电费催收"),
    Flow("outage", "停电"),
    Flow("invoice", "纸质发票领取"),
    Flow("inspection", "定期安全检查"),
    Flow("energy", "用能优化"),
)


def flow_named(name: str) -> Flow:
    """The flow with this identifier; NotFoundError(``unknown_flow``) when there is none."""
    for flow in FLOWS:
        if flow.name == name:
            return flow
    raise NotFoundError("unknown_flow", name=name)
