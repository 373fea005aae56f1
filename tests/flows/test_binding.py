"""The first story through the real edges: follow, 绑定, card, page, answer, receipt."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from devtools.demo.stage import Stage
from devtools.demo.story import tell_story
from gongdian.outbox.model import MessageState


@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
@pytest.mark.parametrize("wire", ["xml", "json"])
def test_a_customer_binds_and_both_messages_are_delivered(
    start_stage: Callable[..., Stage], mode: str, wire: str
) -> None:
    stage = start_stage(sandbox_settings={"mode": mode, "format": wire})
    told: list[str] = []

    timelines = tell_story(stage, told.append)

    assert [one.state for one in timelines] == [MessageState.DELIVERED] * 2
    assert "answered" in {entry.what for entry in timelines[0].entries}
    assert any("审计" in line for line in told)


@pytest.mark.mariadb
@pytest.mark.redis
def test_the_story_plays_on_mariadb_and_redis(
    start_stage: Callable[..., Stage], empty_mariadb_url: str, redis_url: str
) -> None:
    stage = start_stage(database_url=empty_mariadb_url, redis_url=redis_url)

    timelines = tell_story(stage, lambda text: None)

    assert [one.state for one in timelines] == [MessageState.DELIVERED] * 2
