"""What pages need from the platform: the login address and the JSSDK signature (pure functions)."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote, urlsplit

from gongdian.errors import InputError

_STATE = re.compile(r"[A-Za-z0-9]{1,128}")
_SCOPES = ("snsapi_base", "snsapi_userinfo")


def sign_jssdk(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """The ``wx.config`` signature: sha1 of ticket, nonce, timestamp and the address.

    The address is taken as the page sees it, raw, without its fragment.
    """
    page = url.partition("#")[0]
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(text.encode("utf-8", "replace")).hexdigest()  # noqa: S324 - their choice


def build_authorize_url(
    base_url: str, appid: str, redirect_uri: str, state: str, scope: str
) -> str:
    """The login address (网页授权). The platform matches the parameters in exactly this order.

    InputError for a state that is not 1 to 128 letters and digits, an unknown scope, or a
    redirect that is not http(s).
    """
    if not _STATE.fullmatch(state):
        raise InputError("bad_state", "state takes 1 to 128 letters and digits")
    if scope not in _SCOPES:
        raise InputError("bad_scope", "the scope is snsapi_base or snsapi_userinfo", scope=scope)
    target = urlsplit(redirect_uri)
    if target.scheme not in ("http", "https") or not target.hostname:
        raise InputError("bad_redirect", "the redirect address must be http or https")
    return (
        f"{base_url}/connect/oauth2/authorize?appid={quote(appid, safe='')}"
        f"&redirect_uri={quote(redirect_uri, safe='')}&response_type=code"
        f"&scope={scope}&state={state}#wechat_redirect"
    )
