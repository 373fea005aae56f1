"""The API client of one Official Account (公众号接口); wiring makes it, relay and pages use it."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

from gongdian.adapters.wechat_api.calls import AccountCalls, Logged
from gongdian.adapters.wechat_api.credentials import Patience
from gongdian.adapters.wechat_api.errcodes import rid_of
from gongdian.adapters.wechat_api.media import (
    MEDIA_LIMITS,
    VIDEO_HOSTS,
    as_file,
    open_video,
    read_answer,
)
from gongdian.adapters.wechat_api.menus import Menus
from gongdian.adapters.wechat_api.qr_codes import QrCodes
from gongdian.adapters.wechat_api.quotas import Quotas
from gongdian.adapters.wechat_api.shapes import message_id_in, optional_text, text_in
from gongdian.adapters.wechat_api.signing import build_authorize_url, sign_jssdk
from gongdian.adapters.wechat_api.subscriptions import Subscriptions
from gongdian.adapters.wechat_api.transport import HttpLimits, HttpTransport
from gongdian.adapters.wechat_api.uploads import Uploads
from gongdian.adapters.wechat_api.users import Users
from gongdian.clock import Clock
from gongdian.errors import OutcomeUnknownError, UpstreamError
from gongdian.ports import (
    Acceptance,
    CredentialStore,
    JssdkSignature,
    MediaFile,
    OAuthIdentity,
    TemplateSend,
    WechatAccount,
)
from gongdian.wechat_ports import WechatDesk

_TEMPLATE = "/cgi-bin/message/template/send"
_TEXT = "/cgi-bin/message/custom/send"
_CODE = "/sns/oauth2/access_token"
_MEDIA = "/cgi-bin/media/get"
_VOICE = "/cgi-bin/media/get/jssdk"


class WechatApi:
    """Fills ``gongdian.ports.WechatPort``; threads share one object.

    Errors are the port's. A call that meets a token errcode renews the token once and is sent
    once more, never again. ``media_hosts`` are hosts that may hold videos, besides
    the API's own and the platform's file servers.
    """

    def __init__(
        self,
        account: WechatAccount,
        store: CredentialStore,
        clock: Clock,
        *,
        api_url: str = "https://api.weixin.qq.com",
        open_url: str = "https://open.weixin.qq.com",
        limits: HttpLimits | None = None,
        media_limits: HttpLimits = MEDIA_LIMITS,
        media_hosts: tuple[str, ...] = (),
        patience: Patience | None = None,
    ) -> None:
        self._account = account
        self._clock = clock
        self._api_url = api_url
        self._open_url = open_url.rstrip("/")
        self._media_limits = media_limits
        self._media_hosts = VIDEO_HOSTS + media_hosts
        self._calls = AccountCalls(
            account, store, clock, api_url=api_url, limits=limits, patience=patience
        )
        # Files have their own connections: a slow download must not hold up messages.
        self._media_http = HttpTransport(api_url, media_limits, block=False)

    def desk(self) -> WechatDesk:
        """The rest of what the account can do; it shares connections and token."""
        calls = self._calls
        return WechatDesk(
            subscriptions=Subscriptions(calls),
            uploads=Uploads(calls),
            users=Users(calls),
            menus=Menus(calls),
            qr_codes=QrCodes(calls),
            quotas=Quotas(calls),
        )

    def send_template(self, message: TemplateSend) -> Acceptance:
        """Send one template message (模板消息); accepted is not delivered."""
        # Only an id lets the platform recognise a repetition.
        repeatable = bool(message.client_msg_id)
        reply = self._calls.post(_TEMPLATE, _template_document(message), repeatable=repeatable)
        return Acceptance(message_id_in(reply, "msgid"), rid_of(str(reply.get("errmsg", ""))))

    def send_text(self, openid: str, text: str) -> None:
        """Send a customer-service text (客服消息); only within the platform's window."""
        document = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        self._calls.post(_TEXT, document, repeatable=False)

    def exchange_code(self, code: str) -> OAuthIdentity:
        """Turn an OAuth code into an identity.

        PlatformRefusalError with errcode 40029 (invalid) or 40163 (used): begin the login anew.
        """
        reply = self._calls.get_with_secret(
            _CODE, {"code": code, "grant_type": "authorization_code"}, answer="openid"
        )
        openid = text_in(reply, "openid", _CODE)
        return OAuthIdentity(openid, optional_text(reply, "scope"), optional_text(reply, "unionid"))

    def authorize_url(self, redirect_uri: str, state: str, *, scope: str = "snsapi_base") -> str:
        """The address that sends a visitor through the platform's login."""
        return build_authorize_url(self._open_url, self._account.appid, redirect_uri, state, scope)

    def jssdk_signature(self, url: str) -> JssdkSignature:
        """Sign a page address for the JSSDK."""
        ticket = self._calls.ticket()
        nonce, timestamp = secrets.token_hex(8), int(self._clock.now().timestamp())
        signature = sign_jssdk(ticket, nonce, timestamp, url)
        return JssdkSignature(self._account.appid, timestamp, nonce, signature)

    def download_media(self, media_id: str, *, jssdk_voice: bool = False) -> MediaFile:
        """Fetch a temporary media file; the platform keeps it for 3 days.

        ``jssdk_voice`` asks for the 16 kHz speex of a voice recorded with the JSSDK instead of
        the 8 kHz amr. Nothing is changed by reading: every failure is a plain UpstreamError or
        a refusal. The chunks raise UpstreamError when the file breaks off or is too large.
        """
        path = _VOICE if jssdk_voice else _MEDIA
        try:
            return self._open_media(path, media_id)
        except OutcomeUnknownError as error:
            raise UpstreamError(error.code, error.text, **error.context) from error

    def close(self) -> None:
        """Close the idle connections."""
        self._calls.close()
        self._media_http.close()

    def _open_media(self, path: str, media_id: str) -> MediaFile:
        opened: list[MediaFile] = []

        def fetch(query: str) -> dict[str, Any]:
            response = self._media_http.open(path, f"{query}&media_id={quote(media_id, safe='')}")
            answer = read_answer(response)
            if answer is None:
                opened.append(as_file(response, self._media_limits.body_bytes))
            return answer or {}

        reply = self._calls.call(path, fetch)
        if opened:
            return opened[0]
        with Logged(path):
            address = reply.get("video_url")
            if not isinstance(address, str):
                raise UpstreamError("wechat_media_unreadable", path=path)
            return open_video(address, self._api_url, self._media_hosts, self._media_limits)


def _template_document(message: TemplateSend) -> dict[str, Any]:
    document: dict[str, Any] = {
        "touser": message.openid,
        "template_id": message.template_id,
        "data": {keyword: {"value": text} for keyword, text in message.data.items()},
    }
    if message.url:
        document["url"] = message.url
    if message.miniprogram_appid:
        document["miniprogram"] = {
            "appid": message.miniprogram_appid,
            "pagepath": message.miniprogram_path,
        }
    if message.client_msg_id:
        document["client_msg_id"] = message.client_msg_id
    return document
