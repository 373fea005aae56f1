"""What commands about arrears print (催收命令的文字): refusals, campaigns, lines, cases."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import wraps

from gongdian.arrears.campaigns import CAMPAIGN_LABELS, RECIPIENT_LABELS, Campaign
from gongdian.arrears.model import WHY_LABELS, Ladder
from gongdian.arrears.queries import REASON_LABELS, CaseView, Line, Preview, Watch
from gongdian.clock import china_text
from gongdian.errors import ConfigError, GongdianError
from gongdian.outbox.model import STATE_LABELS
from gongdian.settings import Settings

Work = Callable[[Settings, argparse.Namespace], int]

_REFUSALS: Mapping[str, str] = {
    "no_campaign": "没有这个批次",
    "campaign_exists": "这个批次编号已经用过，请换一个",
    "campaign_state": "批次现在的状态不允许这样做",
    "second_person_needed": "发送对象较多，须由制单人以外的人审批",
    "bad_code": "批次编号应为3至40位字母、数字、- 或 _",
    "unknown_class": "用电类别不对",
    "bad_reason": "请写明原因，200字以内",
    "no_reason": "请写明原因",
    "no_name": "请写明操作人，64字以内",
    "no_rules": "还没有生效的规则表，请先执行 arrears rules seed",
    "unknown_proof": "没有这种凭据",
    "no_proof": "请写明凭据在哪里",
    "demanded_in_future": "催告时间不能晚于现在",
    "demand_too_early": "逾期还不够久，不能作为催告登记",
    "demand_recorded": "这笔欠费已经登记过催告",
    "no_case": "这个户号没有催费案",
    "no_customer": "没有这个户号",
    "until_passed": "截止时间已经过去",
    "hold_ended": "这个暂停已经结束",
    "no_item": "没有这条待办",
    "item_done": "这条待办已经办完",
    "no_outcome": "请写明处理结果",
    "bad_rule": "规则表有错",
}


def told(work: Work) -> Work:
    """The same command; a refusal is told in Chinese, with exit status 1."""

    @wraps(work)
    def telling(settings: Settings, options: argparse.Namespace) -> int:
        try:
            return work(settings, options)
        except ConfigError:
            raise
        except GongdianError as error:
            if error.code not in _REFUSALS:
                raise
            details = "，".join(f"{name}={value}" for name, value in error.context.items())
            more = f"（{details}）" if details else ""
            print(f"未完成：{_REFUSALS[error.code]}{more} [{error.code}]", file=sys.stderr)
            return 1

    return telling


def campaign_line(campaign: Campaign) -> str:
    """One line of a list."""
    return "\t".join(
        (
            campaign.code,
            CAMPAIGN_LABELS[campaign.state],
            f"计划{campaign.planned}",
            f"不发{campaign.left_out}",
            f"入队{campaign.queued}",
            f"剔除{campaign.dropped}",
            f"{campaign.made_by} {china_text(campaign.made_at)}",
        )
    )


def campaign_text(campaign: Campaign) -> str:
    """Head of a campaign: who made, approved, cancelled it, and whom it is for."""
    scope = campaign.scope
    parts = [
        f"批次 {campaign.code}：{CAMPAIGN_LABELS[campaign.state]}",
        f"  资料日期 {campaign.as_of_on}，规则 {campaign.rules}",
        f"  供电所 {'、'.join(scope.stations) or '全部'}；用电类别 "
        f"{'、'.join(scope.classes) or '全部'}；阶段 "
        f"{'、'.join(map(str, scope.stages)) or '全部'}",
        f"  制单 {campaign.made_by} {china_text(campaign.made_at)}",
    ]
    if campaign.approved_by and campaign.approved_at:
        parts.append(f"  审批 {campaign.approved_by} {china_text(campaign.approved_at)}")
    if campaign.cancelled_by:
        parts.append(f"  取消 {campaign.cancelled_by}：{campaign.cancel_reason or ''}")
    return "\n".join(parts)


def preview_text(found: Preview, ladder: Ladder) -> str:
    """The figures before the approval."""
    labels = {rule.stage: rule.label for rule in ladder.rules}
    lines = [campaign_text(found.campaign), f"发送 {sum(found.cards.values())} 条："]
    lines += [
        f"  阶段{stage} {labels.get(stage, '')}（{kind}）\t{count}"
        for (stage, kind), count in found.by_stage().items()
    ]
    lines.append("按供电所：")
    lines += [f"  {station}\t{count}" for station, count in found.by_station().items()]
    lines.append(f"不发送 {sum(found.left_out.values())} 户：")
    lines += [f"  {reason_text(reason)}\t{count}" for reason, count in found.left_out.items()]
    if found.dropped:
        lines.append(f"入队前剔除 {sum(found.dropped.values())} 条：")
        lines += [f"  {reason_text(reason)}\t{count}" for reason, count in found.dropped.items()]
    return "\n".join(lines)


def reason_text(reason: str) -> str:
    """A reason in words."""
    return REASON_LABELS.get(reason, reason)


def line_text(line: Line) -> str:
    """One recipient with their card, or one customer who is left out."""
    head = f"[{line.id}] 户号 {line.customer_no}\t{line.station}\t{RECIPIENT_LABELS[line.state]}"
    if line.reason:
        head += f"：{line.reason_label}"
    if not line.card:
        return head
    head += f"\n  {line.recipient}\t{line.channel_labels}\t阶段{line.stage}"
    key = [f"  {line.message_key}"] if line.message_key else []
    return "\n".join([head, *key, *(f"    {row}" for row in line.card.splitlines())])


def watch_text(found: Watch) -> str:
    """How far a campaign is."""
    lines = [campaign_text(found.campaign), "名单："]
    lines += [f"  {RECIPIENT_LABELS[state]}\t{count}" for state, count in found.lines.items()]
    lines.append("消息：")
    lines += [f"  {STATE_LABELS[state]}\t{count}" for state, count in found.messages.items()]
    lines.append(f"  其中客户打开 {found.opened}，客户答复 {found.answered}")
    return "\n".join(lines)


def case_text(found: CaseView, answer_labels: Mapping[str, str]) -> str:
    """One case with its steps and answers."""
    state = "未结" if found.state == "open" else "已结"
    lines = [
        f"催费案 {found.id}（{state}） 最早未交清的截止日 {found.anchor_on}，"
        f"本金 {found.principal}元，{found.bill_count} 笔",
        f"  {china_text(found.opened_at)} 立案，已到阶段 {found.stage}，"
        f"下次查看 {found.next_on or '无'}",
    ]
    if found.paused_by:
        lines.append(f"  暂停：{WHY_LABELS.get(found.paused_by, found.paused_by)}")
    if found.closed_at is not None:
        lines.append(f"  {china_text(found.closed_at)} 结案：{reason_text(found.close_reason)}")
    lines += [
        f"  {china_text(at)} 阶段{stage}（截止日 {anchor}）" for stage, anchor, at in found.steps
    ]
    lines += [
        f"  {china_text(at)} 客户答复：{answer_labels.get(answer, answer)}"
        for answer, at in found.answers
    ]
    return "\n".join(lines)
