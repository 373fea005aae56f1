"""The commands for menu and quota, against the sandbox, and what the audit keeps of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from gongdian.audit import audit_rows
from gongdian.errors import PlatformRefusalError
from gongdian.render.loader import TEMPLATES
from server.arguments import build_parser

SEND = "/cgi-bin/message/template/send"
MENU = str(TEMPLATES / "menus" / "demo.toml")


@pytest.fixture
def stage(start_stage: Callable[..., Stage]) -> Stage:
    return start_stage(with_worker=False)


def run(stage: Stage, *words: str) -> int:
    options = build_parser().parse_args(list(words))
    result: int = options.work(stage.house.settings, options)
    return result


def audited(stage: Stage) -> list[tuple[str, str]]:
    with stage.house.database.read() as session:
        rows = session.execute(select(audit_rows.c.actor, audit_rows.c.action))
        return [(row.actor, row.action) for row in rows]


def test_a_menu_is_pushed_and_shown(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stage, "menu", "show") == 0
    assert "还没有" in capsys.readouterr().out

    assert run(stage, "menu", "push", MENU, "--by", "王工") == 0
    capsys.readouterr()
    assert run(stage, "menu", "show") == 0

    assert "绑定微信\tclick\tBIND" in capsys.readouterr().out
    assert stage.sandbox.menu_version
    assert audited(stage) == [("王工", "wechat:menu:pushed")]


def test_the_quota_is_shown_and_cleared(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.sandbox.quotas.take("template", 0)
    assert run(stage, "quota", "show", SEND) == 0
    assert "已用 1\t剩余 99999" in capsys.readouterr().out

    assert run(stage, "quota", "clear", "--by", "王工") == 0
    assert run(stage, "quota", "clear", "--by", "王工", "--with-secret") == 0
    capsys.readouterr()
    assert run(stage, "quota", "show", SEND) == 0

    assert "已用 0" in capsys.readouterr().out
    assert audited(stage) == [("王工", "wechat:quota:cleared")] * 2


def test_an_eleventh_clearing_is_refused_and_still_recorded(stage: Stage) -> None:
    for _ in range(10):
        stage.sandbox.desks.quotas.clear()

    with pytest.raises(PlatformRefusalError) as caught:
        run(stage, "quota", "clear", "--by", "王工")

    assert caught.value.errcode == 48006
    assert len(audited(stage)) == 1
