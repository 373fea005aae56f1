"""Tokens: overlaps, forced refresh, isolation of the two kinds, refusals."""

from __future__ import annotations

import pytest

from tests.unit.wechat_sandbox.desks import Desks, refused


def test_stable_token_stays_the_same_until_five_minutes_before_its_end() -> None:
    desks = Desks()
    first, expires_in = desks.tokens.stable(force_refresh=False)
    assert expires_in == 7200
    desks.clock.move(6899)
    assert desks.tokens.stable(force_refresh=False) == (first, 301)
    desks.clock.move(1)
    second, expires_in = desks.tokens.stable(force_refresh=False)
    assert (second != first, expires_in) == (True, 7200)
    assert refused(desks.tokens.check, first) == 0
    desks.clock.move(299)
    assert refused(desks.tokens.check, first) == 0
    desks.clock.move(1)
    assert refused(desks.tokens.check, first) == 42001
    assert refused(desks.tokens.check, second) == 0


def test_forced_refresh_ends_the_token_before() -> None:
    desks = Desks()
    first, _ = desks.tokens.stable(force_refresh=False)
    second, _ = desks.tokens.stable(force_refresh=True)
    assert first != second
    assert refused(desks.tokens.check, first) == 40001
    assert refused(desks.tokens.check, second) == 0


def test_forced_refresh_within_thirty_seconds_gives_the_same_token() -> None:
    desks = Desks()
    first, _ = desks.tokens.stable(force_refresh=True)
    desks.clock.move(29)
    assert desks.tokens.stable(force_refresh=True)[0] == first
    desks.clock.move(1)
    assert desks.tokens.stable(force_refresh=True)[0] != first


def test_forced_refresh_works_twenty_times_a_day() -> None:
    desks = Desks()
    for _ in range(20):
        desks.clock.move(30)
        desks.tokens.stable(force_refresh=True)
    desks.clock.move(30)
    assert refused(desks.tokens.stable, force_refresh=True) == 45009
    assert refused(desks.tokens.stable, force_refresh=False) == 0
    desks.clock.move(86_400)
    assert refused(desks.tokens.stable, force_refresh=True) == 0


def test_plain_token_is_new_each_time_and_the_one_before_works_five_minutes_more() -> None:
    desks = Desks()
    first, _ = desks.tokens.plain()
    second, _ = desks.tokens.plain()
    assert first != second
    desks.clock.move(299)
    assert refused(desks.tokens.check, first) == 0
    desks.clock.move(1)
    assert refused(desks.tokens.check, first) == 40001
    assert refused(desks.tokens.check, second) == 0


def test_the_two_kinds_of_token_do_not_touch_each_other() -> None:
    desks = Desks()
    stable, _ = desks.tokens.stable(force_refresh=False)
    for _ in range(3):
        desks.tokens.plain()
    desks.clock.move(400)
    assert refused(desks.tokens.check, stable) == 0


def test_quotas_of_both_endpoints_are_kept() -> None:
    desks = Desks(token_daily_quota=2, stable_token_minute_quota=3)
    assert [refused(desks.tokens.plain) for _ in range(3)] == [0, 0, 45009]
    codes = [refused(desks.tokens.stable, force_refresh=False) for _ in range(4)]
    assert codes == [0, 0, 0, 45011]
    desks.clock.move(60)
    assert refused(desks.tokens.stable, force_refresh=False) == 0


@pytest.mark.parametrize(
    ("grant", "appid", "secret", "errcode"),
    [
        ("client_credential", "wx5a0d0b0c0ffee001", "0123456789abcdef0123456789abcdef", 0),
        ("other", "wx5a0d0b0c0ffee001", "0123456789abcdef0123456789abcdef", 40002),
        ("client_credential", "", "x", 41002),
        ("client_credential", "wxother", "x", 40013),
        ("client_credential", "wx5a0d0b0c0ffee001", None, 41004),
        ("client_credential", "wx5a0d0b0c0ffee001", "wrong", 40125),
    ],
)
def test_account_is_checked_with_the_platforms_codes(
    grant: str, appid: str, secret: str | None, errcode: int
) -> None:
    assert refused(Desks().tokens.check_account, grant, appid, secret) == errcode


def test_token_missing_unknown_and_ended_have_their_own_codes() -> None:
    desks = Desks()
    value, _ = desks.tokens.stable(force_refresh=False)
    assert refused(desks.tokens.check, "") == 41001
    assert refused(desks.tokens.check, "nonsense") == 40001
    desks.tokens.end_all()
    assert refused(desks.tokens.check, value) == 42001
    fresh, _ = desks.tokens.stable(force_refresh=False)
    desks.tokens.end_all(withdrawn=True)
    assert refused(desks.tokens.check, fresh) == 40001


def test_ticket_is_the_same_while_it_lasts() -> None:
    desks = Desks()
    ticket, expires_in = desks.tokens.ticket()
    assert expires_in == 7200
    assert desks.tokens.ticket()[0] == ticket
    desks.clock.move(7000)
    assert desks.tokens.ticket()[0] != ticket
