"""How the demo says what the office sees (演示用语): one line each, in Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gongdian.arrears.queries import REASON_LABELS, Line, Preview
from gongdian.sources.model import FEED_LABELS
from gongdian.sources.rejects import Reject
from gongdian.wiring import House

_RULE = "─"


def preview_texts(figures: Preview, house: House) -> tuple[str, str, str, str]:
    """The figures of a campaign: all of it, by stage, by station, who is left out."""
    registry = house.outbox.registry
    stages = "，".join(
        f"第{stage}阶段“{registry.kind(kind).title}”{count}条"
        for (stage, kind), count in figures.by_stage().items()
    )
    stations = "，".join(f"{name}{count}" for name, count in figures.by_station().items())
    return (
        f"批次{figures.campaign.code}：{figures.campaign.planned}条",
        f"按阶段：{stages or '无'}",
        f"按供电所：{stations or '无'}",
        f"不发送：{reasons_text(figures.left_out) or '无'}",
    )


def reasons_text(counts: Mapping[str, int]) -> str:
    """Why how many customers hear nothing."""
    return "；".join(f"{REASON_LABELS.get(why, why)}{count}户" for why, count in counts.items())


def card_line(line: Line) -> str:
    """A card on one line, with its channels."""
    parts = [part.strip() for part in line.card.splitlines() if part.strip(_RULE + " ")]
    return f"（{line.channel_labels}）" + "；".join(parts)


def shown_card(card: Mapping[str, Any]) -> str:
    """A card as it stands on a phone."""
    rows = "；".join(f"{field['label']}：{field['value']}" for field in card["fields"])
    return f"【{card['title']}】{rows}"


def rejects_text(rejects: Sequence[Reject]) -> str:
    """Which rows were refused and why."""
    return "；".join(
        f"第{reject.row_no}行{'、'.join(fault.message for fault in reject.faults)}"
        for reject in rejects
    )


def feeds_text(stale: Sequence[str]) -> str:
    """Which feeds are too old, and what follows."""
    names = "、".join(FEED_LABELS.get(feed, feed) for feed in stale)
    return f"数据过期：{names}，依据它的消息停发" if stale else "各类数据都在有效期内"
