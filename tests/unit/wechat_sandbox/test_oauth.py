"""Web login without a network: the rules of the address, and codes."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from devtools.wechat_sandbox.oauth import fragment_problem
from tests.unit.wechat_sandbox.desks import Desks, refused

GOOD = {
    "appid": "wx5a0d0b0c0ffee001",
    "redirect_uri": "http://127.0.0.1:9/back",
    "response_type": "code",
    "scope": "snsapi_base",
    "state": "abc123",
}


def exchange(code: str, /, **changed: str) -> dict[str, str]:
    account = {"appid": GOOD["appid"], "secret": "0123456789abcdef0123456789abcdef"}
    return {**account, "code": code, "grant_type": "authorization_code", **changed}


def test_good_address_passes_with_and_without_state_and_with_extra_parameters() -> None:
    oauth = Desks().oauth
    assert oauth.problem(urlencode(GOOD)) == ""
    assert oauth.problem(urlencode({**GOOD, "forcePopup": "true"})) == ""
    assert oauth.problem(urlencode({k: v for k, v in GOOD.items() if k != "state"})) == ""


@pytest.mark.parametrize(
    "query",
    [
        urlencode(dict(reversed(GOOD.items()))),
        urlencode({k: v for k, v in GOOD.items() if k != "scope"}),
        urlencode({**GOOD, "appid": "wxother"}),
        urlencode({**GOOD, "response_type": "token"}),
        urlencode({**GOOD, "scope": "snsapi_all"}),
        urlencode({**GOOD, "state": "a-b"}),
        urlencode({**GOOD, "state": "a" * 129}),
        urlencode({**GOOD, "redirect_uri": "javascript:alert(1)"}),
        "",
    ],
)
def test_bad_address_is_refused(query: str) -> None:
    assert Desks().oauth.problem(query)


def test_redirect_must_be_on_a_listed_domain_when_some_are_listed() -> None:
    oauth = Desks(oauth_domains=("h5.example.com",)).oauth
    assert "10003" in oauth.problem(urlencode(GOOD))
    assert oauth.problem(urlencode({**GOOD, "redirect_uri": "https://h5.example.com/b"})) == ""


def test_fragment_is_asked_for_on_the_authorize_address_only() -> None:
    assert fragment_problem("http://s/connect/oauth2/authorize?x=1")
    assert not fragment_problem("http://s/connect/oauth2/authorize?x=1#wechat_redirect")
    assert not fragment_problem("http://s/other")


def test_code_works_once_within_five_minutes() -> None:
    desks = Desks()
    code = desks.oauth.new_code("o-1", "snsapi_base")
    answer = desks.oauth.exchange(exchange(code))
    assert (answer["openid"], answer["scope"]) == ("o-1", "snsapi_base")
    assert refused(desks.oauth.exchange, exchange(code)) == 40163
    late = desks.oauth.new_code("o-1", "snsapi_base")
    desks.clock.move(300)
    assert refused(desks.oauth.exchange, exchange(late)) == 40029


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"appid": ""}, 41002),
        ({"appid": "wxother"}, 40013),
        ({"secret": ""}, 41004),
        ({"secret": "wrong"}, 40125),
        ({"grant_type": "x"}, 40002),
        ({"code": ""}, 41008),
        ({"code": "unknown"}, 40029),
    ],
)
def test_exchange_is_refused_with_the_platforms_codes(
    changed: dict[str, str], errcode: int
) -> None:
    desks = Desks()
    code = desks.oauth.new_code("o-1", "snsapi_base")
    assert refused(desks.oauth.exchange, exchange(code, **changed)) == errcode
    assert refused(desks.oauth.exchange, exchange(code)) == 0
