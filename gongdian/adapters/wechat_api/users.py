"""Looking up people (用户信息); wiring puts it on the desk."""

from __future__ import annotations

from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.shapes import instant_in, number_in, optional_text
from gongdian.wechat_ports import WechatUser

_PATH = "/cgi-bin/user/info"


class Users:
    """Fills ``gongdian.wechat_ports.UserPort``."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def user(self, openid: str) -> WechatUser:
        """One person; who does not follow has no more than an openid."""
        reply = self._calls.get(_PATH, {"openid": openid, "lang": "zh_CN"}, answer="subscribe")
        if not number_in(reply, "subscribe", _PATH):
            return WechatUser(openid, is_following=False)
        is_dated = bool(reply.get("subscribe_time"))
        scene = str(reply.get("qr_scene_str") or reply.get("qr_scene") or "")
        return WechatUser(
            openid,
            is_following=True,
            followed_at=instant_in(reply, "subscribe_time", _PATH) if is_dated else None,
            unionid=optional_text(reply, "unionid"),
            came_through=optional_text(reply, "subscribe_scene"),
            scene="" if scene == "0" else scene,
        )
