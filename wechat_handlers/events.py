"""The events (事件推送) of Official Accounts and mini-programs, one class per shape.

Built by ``messages.parse_message``; read by the router and by the handlers of each flow.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from wechat_handlers.documents import Fields
from wechat_handlers.wire import (
    Event,
    child,
    children,
    decimal,
    fill_part,
    integer,
    malformed,
    reference,
    required_decimal,
    required_name,
    text,
    wire,
)

_SCENE_PREFIX = "qrscene_"
_COLON = re.compile(r"\s*:\s*")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SubscribeEvent(Event):
    """关注; through a QR code with a scene, EventKey is ``qrscene_`` + scene."""

    ticket: str = wire("Ticket", reference)

    @property
    def scene(self) -> str:
        """The scene of the QR code; empty without one."""
        has_scene = self.event_key.startswith(_SCENE_PREFIX)
        return self.event_key[len(_SCENE_PREFIX) :] if has_scene else ""

    @property
    def key(self) -> str:
        """The scene, so that one rule's key serves newcomers and followers (ScanEvent)."""
        return self.event_key.removeprefix(_SCENE_PREFIX)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UnsubscribeEvent(Event):
    """取消关注; no answer reaches the user, and the user's data must be deleted."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ScanEvent(Event):
    """A follower scanned a QR code with a scene (已关注用户扫码)."""

    ticket: str = wire("Ticket", reference)

    @property
    def scene(self) -> str:
        """The scene of the QR code."""
        return self.event_key


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LocationEvent(Event):
    """The phone reported its place (上报地理位置), degrees and metres."""

    latitude: float = wire("Latitude", required_decimal)
    longitude: float = wire("Longitude", required_decimal)
    precision: float = wire("Precision", decimal)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ClickEvent(Event):
    """A menu button was tapped (自定义菜单点击)."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ViewEvent(Event):
    """A menu link was opened (view), or a menu mini-program (view_miniprogram)."""

    menu_id: str = wire("MenuId", reference)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ScanCodeEvent(Event):
    """A menu button scanned a code (scancode_push, scancode_waitmsg)."""

    scan_type: str = wire("ScanCodeInfo/ScanType")
    scan_result: str = wire("ScanCodeInfo/ScanResult")

    @property
    def waits_for_answer(self) -> bool:
        """Whether WeChat shows the user that an answer is on its way."""
        return self.event == "scancode_waitmsg"


def _picture_md5s(source: Fields, name: str) -> tuple[str, ...]:
    # XML nests PicList/item; JSON was seen with and without "item", as object or array.
    pictures: list[Fields] = []
    for entry in children(source, name):
        pictures += children(entry, "item") if "item" in entry else (entry,) if entry else ()
    return tuple(reference(picture, "PicMd5Sum") for picture in pictures)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PictureEvent(Event):
    """Pictures were chosen from a menu (pic_sysphoto, pic_photo_or_album, pic_weixin)."""

    count: int = wire("SendPicsInfo/Count", integer)
    md5s: tuple[str, ...] = wire("SendPicsInfo/PicList", _picture_md5s)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LocationSelectEvent(Event):
    """A place was chosen from a menu (location_select); x is latitude, y longitude."""

    location_x: float = wire("SendLocationInfo/Location_X", required_decimal)
    location_y: float = wire("SendLocationInfo/Location_Y", required_decimal)
    scale: int = wire("SendLocationInfo/Scale", integer)
    label: str = wire("SendLocationInfo/Label")
    poi_name: str = wire("SendLocationInfo/Poiname")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TemplateSendFinishedEvent(Event):
    """The receipt of a template message (模板消息送达); ``msg_id`` 0 was seen in the wild.

    Two receipts without an id for one person, in one second and with one status, cannot be told
    from a retry: the second is taken for one, and its message ends by its time-out.
    """

    status: str = wire("Status")

    def references(self) -> tuple[str, ...]:
        """The status where no id tells receipts apart; one with an id needs none."""
        return () if self.msg_id else (self.normal_status,)

    @property
    def normal_status(self) -> str:
        """Status in lower case with single spaces and none round the colon."""
        return _COLON.sub(":", " ".join(self.status.lower().split()))

    @property
    def is_delivered(self) -> bool:
        """Whether the platform says that it arrived; everything else is a failure."""
        return self.normal_status == "success"

    @property
    def failure(self) -> str:
        """Why it failed (``user block``, ``system failed``, ``freq limit``); empty if not."""
        if self.is_delivered:
            return ""
        return self.normal_status.removeprefix("failed:") or "unknown"


def _article_urls(source: Fields, name: str) -> tuple[str, ...]:
    results = child(child(source, name), "ResultList")
    return tuple(text(entry, "ArticleUrl") for entry in children(results, "item"))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MassSendFinishedEvent(Event):
    """The result of a mass send (群发结果)."""

    status: str = wire("Status")
    total_count: int = wire("TotalCount", integer)
    filter_count: int = wire("FilterCount", integer)
    sent_count: int = wire("SentCount", integer)
    error_count: int = wire("ErrorCount", integer)
    copyright_state: int = wire("CopyrightCheckResult/CheckState", integer)
    article_urls: tuple[str, ...] = wire("ArticleUrlResult", _article_urls)


@dataclass(frozen=True, slots=True)
class SubscribeMsgEntry:
    """One template in a subscription event; which attributes are filled depends on it."""

    template_id: str = wire("TemplateId", reference)
    status: str = wire("SubscribeStatusString", reference)
    popup_scene: str = wire("PopupScene", reference)
    msg_id: str = wire("MsgID", reference)
    error_code: int = wire("ErrorCode", integer)
    error_status: str = wire("ErrorStatus", reference)

    @property
    def is_accepted(self) -> bool:
        """Whether the user agreed to one message of this template."""
        return self.status.lower() == "accept"


_SUBSCRIBE_MSG_CONTAINERS = (
    "SubscribeMsgPopupEvent",
    "SubscribeMsgChangeEvent",
    "SubscribeMsgSentEvent",
)


def _subscribe_entries(source: Fields, name: str) -> tuple[SubscribeMsgEntry, ...]:
    """XML nests the list in a container named after the event; JSON has it on top."""
    holders = [child(source, holder) for holder in _SUBSCRIBE_MSG_CONTAINERS if holder in source]
    if len(holders) + (name in source) > 1:
        raise malformed(name)  # two lists: which one counts?
    found = children(holders[0] if holders else source, name)
    return tuple(fill_part(SubscribeMsgEntry, entry) for entry in found)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SubscribeMsgEvent(Event):
    """Subscription notices (订阅通知): subscribe_msg_popup, _change and _sent events.

    popup: the user answered the question; change: the user refused in the settings (only
    refusals are pushed); sent: the result of a send.
    """

    entries: tuple[SubscribeMsgEntry, ...] = wire("List", _subscribe_entries)

    def references(self) -> tuple[str, ...]:
        """Which templates (and sends) it is about, whatever their order."""
        return tuple(
            sorted(
                f"{len(entry.template_id)}:{entry.template_id}"
                f"{len(entry.msg_id)}:{entry.msg_id}{entry.status}"
                for entry in self.entries
            )
        )


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PublishFinishedEvent(Event):
    """The result of publishing an article (发布结果)."""

    publish_id: str = wire("PublishEventInfo/publish_id", reference)
    publish_status: int = wire("PublishEventInfo/publish_status", integer)
    article_id: str = wire("PublishEventInfo/article_id", reference)

    def references(self) -> tuple[str, ...]:
        """Which publication it is about."""
        return (self.publish_id,)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UserDataEvent(Event):
    """A privacy duty: user_info_modified, user_authorization_revoke, _cancellation.

    After the first the stored profile is to be fetched again, after the others deleted.
    Field names from memory of the platform's page; ``fields`` has what really came.
    """

    openid: str = wire("OpenID", reference)
    appid: str = wire("AppID", reference)
    revoke_info: str = wire("RevokeInfo", reference)

    def references(self) -> tuple[str, ...]:
        """Whom and what it is about: the sender need not be the user."""
        return (self.openid, self.revoke_info)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class KfSessionEvent(Event):
    """A customer service session (客服会话) was opened, closed or handed over."""

    account: str = wire("KfAccount", reference)
    from_account: str = wire("FromKfAccount", reference)
    to_account: str = wire("ToKfAccount", reference)

    def references(self) -> tuple[str, ...]:
        """Whose session it is."""
        return (self.account, self.from_account, self.to_account)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EnterTempSessionEvent(Event):
    """A mini-program user opened the customer service chat (进入客服会话)."""

    session_from: str = wire("SessionFrom")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MediaCheckEvent(Event):
    """The result of an asynchronous content check (内容安全) of one picture or recording."""

    trace_id: str = wire("trace_id", reference)
    appid: str = wire("appid", reference)
    suggest: str = wire("result/suggest", reference)
    label: int = wire("result/label", integer)
    errcode: int = wire("errcode", integer)
    is_risky: int = wire("isrisky", integer)
    status_code: int = wire("status_code", integer)

    def references(self) -> tuple[str, ...]:
        """Which check it is: several pictures of one user are checked in one second."""
        return (self.trace_id,)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class VerificationEvent(Event):
    """The account's own verification (认证): qualification_verify_*, naming_verify_*,
    annual_renew, verify_expired; an alarm for the administrator. Times are unix seconds.
    """

    expired_time: int = wire("ExpiredTime", integer)
    fail_time: int = wire("FailTime", integer)
    fail_reason: str = wire("FailReason")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UnknownEvent(Event):
    """An event that this version does not know; see ``fields``."""

    def references(self) -> tuple[str, ...]:
        """All of it: what tells two of them apart is not known."""
        return (json.dumps(self.fields, sort_keys=True, separators=(",", ":")),)


EVENTS: dict[str, type[Event]] = {
    "subscribe": SubscribeEvent,
    "unsubscribe": UnsubscribeEvent,
    "scan": ScanEvent,
    "location": LocationEvent,
    "click": ClickEvent,
    "view": ViewEvent,
    "view_miniprogram": ViewEvent,
    "scancode_push": ScanCodeEvent,
    "scancode_waitmsg": ScanCodeEvent,
    "pic_sysphoto": PictureEvent,
    "pic_photo_or_album": PictureEvent,
    "pic_weixin": PictureEvent,
    "location_select": LocationSelectEvent,
    "templatesendjobfinish": TemplateSendFinishedEvent,
    "masssendjobfinish": MassSendFinishedEvent,
    "subscribe_msg_popup_event": SubscribeMsgEvent,
    "subscribe_msg_change_event": SubscribeMsgEvent,
    "subscribe_msg_sent_event": SubscribeMsgEvent,
    "publishjobfinish": PublishFinishedEvent,
    "user_info_modified": UserDataEvent,
    "user_authorization_revoke": UserDataEvent,
    "user_authorization_cancellation": UserDataEvent,
    "kf_create_session": KfSessionEvent,
    "kf_close_session": KfSessionEvent,
    "kf_switch_session": KfSessionEvent,
    "user_enter_tempsession": EnterTempSessionEvent,
    "wxa_media_check": MediaCheckEvent,
    "qualification_verify_success": VerificationEvent,
    "qualification_verify_fail": VerificationEvent,
    "naming_verify_success": VerificationEvent,
    "naming_verify_fail": VerificationEvent,
    "annual_renew": VerificationEvent,
    "verify_expired": VerificationEvent,
}


def event_head(source: Fields) -> tuple[str, str]:
    """Event (lower case) and EventKey. Raises CallbackError when Event is missing."""
    return required_name(source, "Event").lower(), text(source, "EventKey")
