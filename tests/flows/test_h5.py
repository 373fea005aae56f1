"""The customer pages over real HTTP: login, the link's owner, answers, hostile visitors."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.tables import consents
from gongdian.outbox.tables import messages
from gongdian.render.consents import load_consent
from tests.visitor import Seen, Visitor
from wechat_handlers import accounts

StartStage = Callable[..., Stage]
VERSION = load_consent("binding").version
LOGIN_INCOMPLETE = "登录没有完成"


class Scene:
    """A stage with one customer who holds a binding card."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.phone: Phone = stage.sandbox.add_phone(following=True)
        self.path = self.ask_for_card()

    def ask_for_card(self) -> str:
        """Write 绑定; returns the path and query of the card's link."""
        known = len(self.phone.cards())
        self.stage.sandbox.wait(self.phone.say("绑定"))
        self.stage.wait_for(lambda: len(self.phone.cards()) > known, "the card")
        parts = urlsplit(self.phone.cards()[-1]["url"])
        return f"{parts.path}?{parts.query}"

    def visitor(self) -> Visitor:
        """A browser that nobody has logged in with."""
        return Visitor(self.stage)

    def customer(self) -> tuple[Visitor, dict[str, str]]:
        """The customer's browser with the page open, and its form for 同意."""
        visitor = self.visitor()
        return visitor, _form(visitor.log_in(self.phone.openid, self.path))

    def decisions(self) -> list[str]:
        """Every decision that is on record."""
        with self.stage.house.database.read() as session:
            return list(
                session.execute(select(consents.c.decision).order_by(consents.c.id)).scalars()
            )


@pytest.fixture
def scene(start_stage: StartStage) -> Scene:
    """A running stage and a customer with a card."""
    return Scene(start_stage())


def _form(page: Seen) -> dict[str, str]:
    assert page.status == 200
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.body)
    return {**dict(found), "answer": "agree"}


def _check_error_page(seen: Seen, status: int, words: str) -> None:
    """An error page in Chinese, with headers, a number and nothing from inside."""
    assert (seen.status, words in seen.body) == (status, True)
    assert re.search(r"问题编号 <strong>[0-9A-F]{6}</strong>", seen.body)
    for inside in ("Traceback", "Error", "sqlalchemy", "gongdian", ".py", "oauth_state", "csrf"):
        assert inside not in seen.body
    _check_headers(seen)


def _check_headers(seen: Seen) -> None:
    policy = seen.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    assert seen.headers["Referrer-Policy"] == "no-referrer"
    assert seen.headers["Cache-Control"] == "no-store"


def test_without_a_login_a_visitor_goes_through_the_platform_first(scene: Scene) -> None:
    for method in ("GET", "HEAD"):
        seen = scene.visitor().ask(scene.path, method=method, headers={"Host": "evil.example"})

        target = urlsplit(seen.location)
        query = parse_qs(target.query)
        assert seen.status == 302
        assert seen.location.startswith(scene.stage.sandbox.base_url + "/connect/oauth2/authorize?")
        assert target.fragment == "wechat_redirect"
        assert query["redirect_uri"] == [scene.stage.web_url + "/h5/oauth"]
        assert query["scope"] == ["snsapi_base"]
        assert re.fullmatch(r"[0-9a-f]{32}", seen.state)
        (cookie,) = seen.cookies
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie


def test_behind_https_the_cookie_is_secure(start_stage: StartStage) -> None:
    stage = start_stage(public_url="https://wx.example.com", with_worker=False)

    seen = Visitor(stage).ask("/h5/binding?m=x")

    assert all("Secure" in line for line in seen.cookies)
    assert parse_qs(urlsplit(seen.location).query)["redirect_uri"] == [
        "https://wx.example.com/h5/oauth"
    ]


def test_the_customer_sees_the_page_and_agrees(scene: Scene) -> None:
    visitor, form = scene.customer()

    answered = visitor.ask(scene.path, form)
    done = visitor.ask(answered.location)

    assert answered.status == 302
    assert answered.location.startswith("/h5/binding?")
    assert "绑定成功" in done.body
    _check_headers(done)
    assert scene.decisions() == ["agreed"]
    with scene.stage.house.database.read() as session:
        row = session.execute(select(messages.c.opened_at, messages.c.answered_at)).first()
    assert row is not None
    assert None not in row


def test_the_first_answer_stays(scene: Scene) -> None:
    visitor, form = scene.customer()

    for answer in ("decline", "agree", "agree"):
        page = visitor.ask(visitor.ask(scene.path, {**form, "answer": answer}).location)

    assert "您之前选择了暂不绑定" in page.body
    assert scene.decisions() == ["declined"]
    assert len(scene.phone.cards()) == 1


def test_an_outsider_finds_no_page_and_cannot_answer(scene: Scene) -> None:
    outsider = scene.visitor()
    stranger = scene.stage.sandbox.add_phone().openid

    _check_error_page(outsider.log_in(stranger, scene.path), 404, "没有找到这个页面")
    own = Scene(scene.stage)
    other, form = own.customer()
    _check_error_page(other.ask(scene.path, form), 404, "没有找到这个页面")
    assert scene.decisions() == []


def test_a_login_begun_elsewhere_is_refused(scene: Scene) -> None:
    victim, attacker, openid = scene.visitor(), scene.visitor(), scene.phone.openid
    state = attacker.ask(scene.path).state
    code = scene.stage.sandbox.oauth.new_code(openid, "snsapi_base")

    _check_error_page(victim.come_back(openid, "f" * 32), 400, LOGIN_INCOMPLETE)
    _check_error_page(victim.come_back(openid, state, code), 400, LOGIN_INCOMPLETE)
    assert victim.ask("/h5/binding?m=x").status == 302  # still not logged in
    assert attacker.come_back(openid, state, code).status == 302
    _check_error_page(attacker.come_back(openid, state, code), 400, LOGIN_INCOMPLETE)
    for query in ("", "?state=", "?code=x", "?state=%ff&code=%00"):
        _check_error_page(victim.ask("/h5/oauth" + query), 400, LOGIN_INCOMPLETE)


def test_a_used_code_begins_the_login_again_once(scene: Scene) -> None:
    visitor, openid = scene.visitor(), scene.phone.openid
    used = scene.stage.sandbox.oauth.new_code(openid, "snsapi_base")
    other = scene.visitor()
    other.come_back(openid, other.ask(scene.path).state, used)

    again = visitor.come_back(openid, visitor.ask(scene.path).state, used)
    assert "/connect/oauth2/authorize?" in again.location
    _check_error_page(visitor.come_back(openid, again.state, used), 503, "系统繁忙")
    fresh = visitor.come_back(openid, visitor.ask(scene.path).state)
    assert fresh.location == scene.path


def test_when_the_platform_does_not_answer_the_page_says_so(scene: Scene) -> None:
    visitor = scene.visitor()
    state = visitor.ask(scene.path).state
    scene.stage.sandbox.faults.add("http_error", "/sns/oauth2/access_token", next_n=9, status=502)

    _check_error_page(visitor.come_back(scene.phone.openid, state), 503, "系统繁忙")


def test_a_form_without_its_token_is_refused(scene: Scene) -> None:
    visitor, form = scene.customer()
    other, foreign = Scene(scene.stage).customer()
    del other
    bare = {name: value for name, value in form.items() if name != "csrf_token"}

    for sent in (bare, {**bare, "csrf_token": "x"}, {**foreign}, {}):
        _check_error_page(visitor.ask(scene.path, sent), 400, "页面已失效")
    _check_error_page(scene.visitor().ask(scene.path, form), 400, "页面已失效")
    assert scene.decisions() == []


def test_a_wrong_answer_or_an_old_consent_text_counts_for_nothing(scene: Scene) -> None:
    visitor, form = scene.customer()

    for answer in ("", "yes", "AGREE"):
        _check_error_page(visitor.ask(scene.path, {**form, "answer": answer}), 400, "提交有误")
    for version in ("", "0", VERSION + "x"):
        old = {**form, "consent_version": version}
        _check_error_page(visitor.ask(scene.path, old), 409, "页面已更新")
    assert scene.decisions() == []


def test_a_card_is_good_for_a_day(scene: Scene) -> None:
    visitor, form = scene.customer()

    scene.stage.move_clock(timedelta(hours=23, minutes=58))
    assert visitor.ask(scene.path).status == 200
    scene.stage.move_clock(timedelta(minutes=3))
    _check_error_page(visitor.ask(scene.path), 409, "链接已过期")
    _check_error_page(visitor.ask(scene.path, form), 409, "链接已过期")
    assert scene.decisions() == []


def test_an_old_card_tells_the_truth_after_unbinding(scene: Scene) -> None:
    visitor, form = scene.customer()
    visitor.ask(scene.path, form)
    scene.stage.sandbox.wait(scene.phone.say("解绑"))

    _check_error_page(visitor.ask(scene.path), 409, "绑定已解除")
    assert scene.decisions() == ["agreed", "withdrawn"]
    again, new_form = scene.visitor(), scene.ask_for_card()
    page = again.log_in(scene.phone.openid, new_form)
    done = again.ask(again.ask(new_form, _form(page)).location)
    assert "绑定成功" in done.body
    assert "您已经绑定过了" in visitor.ask(scene.path).body


@pytest.mark.parametrize("m", ["", "%00", "%ff%fe", "%E7%BB%91", "x" * 250, "a&m=b", "..%2f"])
def test_a_senseless_link_is_not_found(scene: Scene, m: str) -> None:
    visitor, _ = scene.customer()
    _check_error_page(visitor.ask(f"/h5/binding?m={m}"), 404, "没有找到这个页面")


def test_nothing_leads_to_another_site(scene: Scene) -> None:
    visitor, openid = scene.visitor(), scene.phone.openid
    for path in ("/h5/binding?m=x&next=https://evil.example", "/h5/binding?m=//evil.example"):
        back = visitor.come_back(openid, visitor.ask(path).state)
        assert back.location == path
        visitor.cookies.clear()
    for path in ("//evil.example/h5/binding", "/h5//binding", "/h5/\\evil.example", "/h5/none"):
        seen = scene.visitor().ask(path)
        assert seen.status in (308, 404)
        target = urlsplit(seen.location)
        assert target.netloc in ("", urlsplit(scene.stage.web_url).netloc)
    too_long = scene.visitor().ask("/h5/binding?m=" + "x" * 5000)
    _check_error_page(too_long, 404, "没有找到这个页面")


def test_other_methods_change_nothing(scene: Scene) -> None:
    visitor, form = scene.customer()

    assert visitor.ask(scene.path, method="HEAD").body == ""
    options = visitor.ask(scene.path, method="OPTIONS")
    assert (options.status, options.body) == (200, "")
    for method in ("PUT", "DELETE", "PATCH"):
        seen = visitor.ask(scene.path, form, method=method)
        assert seen.status in (400, 405)
    assert visitor.ask("/h5/oauth", form, method="POST").status == 405
    assert scene.decisions() == []


def test_a_crash_shows_nothing_from_inside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor, _ = scene.customer()

    def crash(*given: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(accounts, "message_of_link", crash)
    seen = visitor.ask(scene.path)

    _check_error_page(seen, 500, "系统繁忙")
    assert "secret" not in seen.body


def test_the_cookie_holds_no_openid_and_cannot_be_forged(scene: Scene) -> None:
    visitor, _ = scene.customer()
    (cookie,) = visitor.cookies.values()
    assert scene.phone.openid not in cookie

    visitor.cookies = dict.fromkeys(visitor.cookies, cookie[:-2] + "xx")
    assert visitor.ask(scene.path).status == 302
