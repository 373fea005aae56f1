"""The checks of `make chaos` can fail: each is shown the thing that it must find."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devtools.chaos.checks import Result, check_attempts, check_channels, check_rows, check_screens
from devtools.chaos.crew import Crew
from devtools.chaos.evidence import Evidence
from devtools.chaos.people import Person
from devtools.chaos.site import URGENT, USUAL
from gongdian.outbox.model import FallbackStep

START = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
SHORT_WAIT_S = 4


def attempt(channel: str, outcome: str, at_s: int, **more: Any) -> Any:
    """One attempt that began ``at_s`` seconds after the message was queued and took one."""
    values = {"errcode": None, "platform_msgid": "", "detail": "", "cost_fen": 0, **more}
    began = START + timedelta(seconds=at_s)
    ended = began + timedelta(seconds=1)
    return SimpleNamespace(
        channel=channel, outcome=outcome, started_at=began, ended_at=ended, worker="w", **values
    )


def step(channel: str, begun_at_s: int | None, because: str, wait_s: int | None = None) -> Any:
    begun_at = None if begun_at_s is None else START + timedelta(seconds=begun_at_s)
    return SimpleNamespace(channel=channel, begun_at=begun_at, because=because, wait_s=wait_s)


def evidence(
    state: str,
    shown: dict[str, int],
    *attempts: Any,
    steps: tuple[Any, ...] = (),
    person: Person | None = None,
    **row: Any,
) -> Evidence:
    """One message; ``shown`` is how often, by channel."""
    begun = [one for one in steps if one.begun_at is not None]
    waiting = [number for number, one in enumerate(steps, 1) if one.begun_at is None]
    values = {
        "occasion": USUAL,
        "reason": "",
        "channel": begun[-1].channel if begun else "wechat_template",
        "step": len(begun),
        "next_step": waiting[0] if waiting else None,
        "queued_at": START,
        "switch_at": START + timedelta(hours=4) if waiting else None,
        "closed_at": START,
        "lease_until": None,
        "claimed_by": None,
        **row,
    }
    message: Any = SimpleNamespace(id=1, key="k", state=state, recipient="r", **values)
    found = Evidence(
        [message],
        defaultdict(list, {1: list(attempts)}),
        defaultdict(list, {1: list(steps)}),
        {"r": person or Person("o", "r", number="13900000000")},
    )
    for channel, count in shown.items():
        found.shown[channel][1] = count
    return found


def failures(found: Evidence, *, honours_id: bool = True) -> list[str]:
    result = Result("test", "sqlite", 1, honours_id)
    check_attempts(found, result)
    check_screens(found, result)
    return result.failures


def accepted(msgid: str) -> Any:
    return attempt("wechat_template", "accepted", 1, platform_msgid=msgid)


def test_a_message_that_was_shown_once_and_delivered_is_well() -> None:
    assert failures(evidence("delivered", {"wechat_template": 1}, accepted("7"))) == []


def test_a_message_shown_twice_is_found() -> None:
    found = evidence("delivered", {"wechat_template": 2})
    assert failures(found) == ["1 messages shown twice: k"]


def test_a_message_shown_twice_is_a_figure_when_ids_are_ignored() -> None:
    found = evidence("delivered", {"wechat_template": 2})
    assert failures(found, honours_id=False) == []
    result = Result("test", "sqlite", 1, False)
    check_screens(found, result)
    assert result.shown_again == 1


def test_a_message_delivered_and_never_shown_is_found() -> None:
    assert failures(evidence("delivered", {})) == ["1 messages delivered and never shown: k"]


def test_a_failed_message_on_a_screen_is_found_unless_an_attempt_was_in_doubt() -> None:
    card = {"wechat_template": 1}
    refused = attempt("wechat_template", "refused", 5)
    assert len(failures(evidence("failed", card, refused))) == 1
    in_doubt = attempt("wechat_template", "unknown", 1)
    assert failures(evidence("failed", card, in_doubt, refused)) == []


def test_two_msgids_of_one_message_are_found() -> None:
    card = {"wechat_template": 1}
    [failure] = failures(evidence("delivered", card, accepted("7"), accepted("8")))
    assert "different MsgIDs" in failure


def row_failures(found: Evidence, queued: int = 1) -> list[str]:
    result = Result("test", "sqlite", 1, True)
    check_rows(found, queued, result)
    return result.failures


def test_a_message_that_is_missing_open_or_untidy_is_found() -> None:
    assert row_failures(evidence("delivered", {})) == []
    assert row_failures(evidence("delivered", {}), queued=2) == [
        "2 messages were queued, 1 are there"
    ]
    assert row_failures(evidence("accepted", {})) == ["1 messages not in a final state: k"]
    for untidy in ({"closed_at": None}, {"lease_until": START}, {"claimed_by": "w"}):
        assert len(row_failures(evidence("delivered", {}, **untidy))) == 1


def test_a_message_on_another_phone_and_one_of_nobody_are_found() -> None:
    found = evidence("delivered", {"sms": 1})
    found.holders[1] = {"o"}
    assert row_failures(found) == []
    found.holders[1] = {"o", "other"}
    assert row_failures(found) == ["1 messages shown on another phone: k"]
    found.holders[1], found.strays = {"o"}, 1
    assert row_failures(found) == ["1 things shown that no message accounts for"]


def test_each_channel_may_have_its_own_name_for_a_message() -> None:
    text = attempt("sms", "accepted", 9, platform_msgid="8^0")
    assert failures(evidence("delivered", {"sms": 1}, accepted("7"), text)) == []


# --- with other channels -----------------------------------------------------------------------

REFUSED = attempt("wechat_template", "refused", 1, errcode=43004)
IN_DOUBT = attempt("wechat_template", "unknown", 1)
TAKEN = attempt("wechat_template", "accepted", 1, platform_msgid="7")
TEXT = attempt("sms", "accepted", 9, platform_msgid="8^0", cost_fen=10)
TEXT_IN_DOUBT = attempt("sms", "unknown", 9)
MAIL = attempt("mail", "accepted", 19)
STRANGER = Person("o", "r", follows=False, number="13900000000")
BLOCKER = Person("o", "r", blocks=True, number="13900000000")
DEAD_NUMBER = Person("o", "r", follows=False, number="13900000000", rings=False, mail="a@b.example")
SMS_AFTER_REFUSAL = step("sms", 8, "wechat_43004")
CARD, TEXT_SHOWN = {"wechat_template": 1}, {"sms": 1}


def channel_failures(found: Evidence, lost: int = 0) -> list[str]:
    result = Result("test", "sqlite", 1, True, callbacks={"lost": lost})
    check_channels(found, result)
    return result.failures


def test_a_refused_message_that_came_as_one_text_message_is_well() -> None:
    found = evidence(
        "delivered", TEXT_SHOWN, REFUSED, TEXT, steps=(SMS_AFTER_REFUSAL,), person=STRANGER
    )
    result = Result("test", "sqlite", 1, True)
    check_channels(found, result)

    assert result.failures == []
    assert result.fallback is not None
    assert result.fallback.went_on == {"sms after 43004": 1}
    assert result.fallback.ended == {"sms delivered": 1}
    assert (result.fallback.texts, result.fallback.cost_fen) == (1, 10)


@pytest.mark.parametrize(
    ("person", "refusal"), [(STRANGER, REFUSED), (BLOCKER, TAKEN), (None, REFUSED)]
)
def test_a_refused_message_that_nothing_followed_is_found(
    person: Person | None, refusal: Any
) -> None:
    never_begun = evidence(
        "failed", {}, refusal, steps=(step("sms", None, ""),), person=person, next_step=None
    )
    assert channel_failures(never_begun) == [
        "1 messages refused before, and nothing followed by sms: k"
    ]
    begun = evidence("failed", {}, refusal, steps=(SMS_AFTER_REFUSAL,), person=person)
    assert channel_failures(begun) == ["1 messages refused before, and nothing followed by sms: k"]


def test_a_refused_message_that_is_delivered_to_no_phone_is_found() -> None:
    found = evidence("delivered", {}, REFUSED, TEXT, steps=(SMS_AFTER_REFUSAL,), person=STRANGER)
    assert channel_failures(found) == ["1 messages refused before, and not shown by sms: k"]


def test_a_text_message_in_doubt_is_a_figure_and_no_failure() -> None:
    for shown in ({}, TEXT_SHOWN):
        found = evidence(
            "unknown", shown, REFUSED, TEXT_IN_DOUBT, steps=(SMS_AFTER_REFUSAL,), person=STRANGER
        )
        result = Result("test", "sqlite", 1, True)
        check_channels(found, result)
        assert result.failures == []
        assert result.fallback is not None
        assert result.fallback.texts_in_doubt_shown == len(shown)
        assert result.fallback.texts_in_doubt_not_shown == 1 - len(shown)


def test_a_text_message_that_was_busy_once_and_given_up_is_found() -> None:
    def busy(times: int) -> Evidence:
        tries = [attempt("sms", "refused", 9 + number) for number in range(times)]
        steps = (SMS_AFTER_REFUSAL,)
        return evidence("failed", {}, REFUSED, *tries, steps=steps, person=STRANGER)

    assert channel_failures(busy(1)) == ["1 messages refused before, and not shown by sms: k"]
    assert channel_failures(busy(8)) == []


def test_two_text_messages_are_found() -> None:
    found = evidence(
        "delivered", {"sms": 2}, REFUSED, TEXT, steps=(SMS_AFTER_REFUSAL,), person=STRANGER
    )
    assert "1 messages shown twice as sms: k" in channel_failures(found)


def test_a_second_try_of_a_text_message_in_doubt_is_found_though_one_was_shown() -> None:
    again = attempt("sms", "accepted", 20, platform_msgid="9^0")
    steps = (SMS_AFTER_REFUSAL,)
    found = evidence(
        "delivered", TEXT_SHOWN, REFUSED, TEXT_IN_DOUBT, again, steps=steps, person=STRANGER
    )
    assert channel_failures(found) == [
        "1 messages tried again by sms although the outcome was unknown: k"
    ]


def test_what_was_claimed_and_not_sent_after_its_lease_is_no_second_try() -> None:
    late = attempt("sms", "not_sent", 20)
    steps, tries = (SMS_AFTER_REFUSAL,), (REFUSED, TEXT_IN_DOUBT, late)
    assert channel_failures(evidence("unknown", {}, *tries, steps=steps, person=STRANGER)) == []


def test_the_late_word_of_a_slow_worker_is_no_second_try() -> None:
    lost = attempt("sms", "unknown", 9, detail="the worker's lease ran out")
    late = attempt("sms", "accepted", 9, platform_msgid="8^0")
    steps = (SMS_AFTER_REFUSAL,)
    found = evidence("delivered", TEXT_SHOWN, REFUSED, lost, late, steps=steps, person=STRANGER)
    assert channel_failures(found) == []


def test_a_text_message_for_a_card_that_was_delivered_is_found() -> None:
    for because in ("", "not_delivered_in_time", "outcome_unknown"):
        both = {**CARD, **TEXT_SHOWN}
        found = evidence("delivered", both, TAKEN, TEXT, steps=(step("sms", 8, because),))
        assert channel_failures(found) == ["1 messages went on from wechat to sms for no reason: k"]


def test_a_text_message_that_no_step_accounts_for_is_found() -> None:
    both = {**CARD, **TEXT_SHOWN}
    found = evidence("delivered", both, TAKEN, steps=(step("sms", None, ""),))
    assert channel_failures(found) == ["1 messages shown by sms, which was never begun: k"]


def test_a_card_that_was_refused_without_doubt_and_yet_shown_is_found() -> None:
    both = {**CARD, **TEXT_SHOWN}
    steps = (SMS_AFTER_REFUSAL,)
    found = evidence("delivered", both, REFUSED, TEXT, steps=steps, person=STRANGER)
    [failure] = channel_failures(found)
    assert "shown by WeChat, which had refused it" in failure


@pytest.mark.parametrize(
    ("tries", "begun", "why"),
    [
        ((IN_DOUBT, REFUSED), SMS_AFTER_REFUSAL, "no answer, then 43004"),
        ((IN_DOUBT,), step("sms", 8, "unknown_too_long"), "no answer"),
        ((TAKEN,), step("sms", 8, "not_delivered_in_time", SHORT_WAIT_S), "not delivered in time"),
        ((TAKEN,), step("sms", 8, "no_receipt"), "no receipt"),
    ],
)
def test_what_both_channels_showed_is_told_with_its_reason(
    tries: tuple[Any, ...], begun: Any, why: str
) -> None:
    both = {**CARD, **TEXT_SHOWN}
    result = Result("test", "sqlite", 1, True, callbacks={"lost": 1})
    check_channels(evidence("delivered", both, *tries, TEXT, steps=(begun,)), result)

    assert result.failures == []
    assert result.fallback is not None
    assert result.fallback.on_several == {f"wechat+sms ({why})": 1}


def test_a_message_that_leaves_its_channel_before_its_time_is_found() -> None:
    def left_after(seconds: int, wait_s: int | None) -> list[str]:
        steps = (step("sms", seconds, "not_delivered_in_time", wait_s),)
        return channel_failures(evidence("delivered", TEXT_SHOWN, TEXT, steps=steps))

    assert left_after(SHORT_WAIT_S, SHORT_WAIT_S) == []
    assert len(left_after(SHORT_WAIT_S - 1, SHORT_WAIT_S)) == 1
    assert len(left_after(SHORT_WAIT_S, None)) == 1


def test_urgent_news_that_waited_for_wechat_is_found() -> None:
    found = evidence(
        "delivered",
        CARD,
        TAKEN,
        steps=(step("sms", None, "", SHORT_WAIT_S),),
        occasion=URGENT,
        person=Person("o", "r", number="13900000000", steps=(FallbackStep("sms", "13900000000"),)),
    )
    assert len(channel_failures(found)) == 1
    without_channels = Person("o", "r")
    alone = evidence("delivered", CARD, TAKEN, occasion=URGENT, person=without_channels)
    assert channel_failures(alone) == []


def test_messages_without_a_receipt_are_found_when_none_was_lost() -> None:
    found = evidence("delivered", TEXT_SHOWN, TAKEN, TEXT, steps=(step("sms", 60, "no_receipt"),))
    assert channel_failures(found, lost=1) == []
    [failure] = channel_failures(found, lost=0)
    assert failure.startswith("1 messages left WeChat without a receipt")


def test_a_message_that_ended_while_a_channel_was_left_is_found() -> None:
    steps = (step("sms", 8, "wechat_43004"), step("mail", None, ""))
    failure = ["1 messages ended undelivered although another channel was left: k"]

    def ended(state: str, **row: Any) -> list[str]:
        tries = (REFUSED, TEXT_IN_DOUBT)
        return channel_failures(
            evidence(state, TEXT_SHOWN, *tries, steps=steps, person=STRANGER, **row)
        )

    assert ended("failed") == ended("expired") == failure
    assert ended("unknown") == []
    early = START - timedelta(seconds=1)
    assert ended("unknown", switch_at=early) == failure
    assert ended("unknown", switch_at=early, reason="no_receipt") == []


def test_a_blocked_phone_whose_receipt_was_lost_is_excused_as_long_as_one_was_lost() -> None:
    steps = (step("sms", None, ""),)
    found = evidence("unknown", {}, TAKEN, steps=steps, person=BLOCKER, reason="no_receipt")
    assert channel_failures(found, lost=1) == []
    assert len(channel_failures(found, lost=0)) == 1


def test_a_dead_number_leads_on_to_the_mailbox() -> None:
    steps = (SMS_AFTER_REFUSAL, step("mail", 18, "receipt_MOBILE_NOT_ON_SERVICE"))
    mailed = evidence("unknown", {"mail": 1}, REFUSED, TEXT, MAIL, steps=steps, person=DEAD_NUMBER)
    assert channel_failures(mailed) == []
    stuck = (SMS_AFTER_REFUSAL, step("mail", None, ""))
    not_mailed = evidence(
        "failed", {}, REFUSED, TEXT, steps=stuck, person=DEAD_NUMBER, next_step=None
    )
    assert channel_failures(not_mailed) == [
        "1 messages refused before, and nothing followed by mail: k"
    ]


def test_a_traceback_in_a_log_is_found_by_what_was_raised(tmp_path: Path) -> None:
    crew = Crew({}, tmp_path)
    head = "Traceback (most recent call last)"
    (tmp_path / "web.log").write_text("started\nstopped\n", "utf-8")
    assert crew.tracebacks() == []

    dying = f'{head}:\n  File "x.py", line 1, in work\n    give_up()\n\nValueError: too few\n'
    (tmp_path / "worker-1.log").write_text(f"started\n{dying}bye\n", "utf-8")
    logged = f'{{"event": "chore_crashed", "error": "{head}: KeyError: 7"}}\n'
    (tmp_path / "worker-2.log").write_text(logged, "utf-8")
    (tmp_path / "worker-3.log").write_text(f"{head}:\n", "utf-8")

    first, second, cut_off = crew.tracebacks()
    assert first == "worker-1: ValueError: too few"
    assert second.endswith('KeyError: 7"}')
    assert cut_off == f"worker-3: {head}:"
