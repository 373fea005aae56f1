"""One callback of every kind that the platform documents, and how the platform sends it.

Called by the fuzzer, the bench and the tests; the contents are made up.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from wechat_handlers.crypto import CallbackCipher, callback_signature

Tree: TypeAlias = Mapping[str, Any]

APPID = "wx5823bf96d3bd56c7"
TOKEN = "QDG6eK"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
OLD_AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ORIGINAL_ID = "gh_97417a04a28d"
OPENID = "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"
CREATE_TIME = 1714112445
MEDIA_ID = "5rS4bGgPbLRdYrR2Q9rxLxV5gkqE3TzE1wQm0oYV7mOe9Xl4R8bC2nJ6hTfUaKdZ"

_URL = "https://example.com/outage?no=3104250001&from=menu"

_MESSAGES: dict[str, Tree] = {
    "text": {"Content": "你好，青山路 18 号什么时候来电？"},
    "text from a service menu": {"Content": "已来电", "bizmsgmenuid": "101"},
    "image": {"PicUrl": "http://mmbiz.qpic.cn/mmbiz_jpg/0/0", "MediaId": MEDIA_ID},
    "voice": {
        "MediaId": MEDIA_ID,
        "Format": "amr",
        "MediaId16K": MEDIA_ID + "16",
        "Recognition": "我家停电了。",
    },
    "video": {"MediaId": MEDIA_ID, "ThumbMediaId": MEDIA_ID + "t"},
    "shortvideo": {"MediaId": MEDIA_ID, "ThumbMediaId": MEDIA_ID + "t"},
    "location": {
        "Location_X": "23.134521",
        "Location_Y": "113.358803",
        "Scale": "20",
        "Label": "滨江区长河街道",
    },
    "link": {"Title": "计划停电公告", "Description": "检修", "Url": _URL},
    "file": {
        "Title": "营业执照.pdf",
        "Description": "",
        "FileKey": "key",
        "FileMd5": "0" * 32,
        "FileTotalLen": "10240",
    },
    "miniprogrampage": {
        "Title": "缴费",
        "AppId": "wx1111111111111111",
        "PagePath": "pages/bill?no=1",
        "ThumbUrl": "https://example.com/t.png",
        "ThumbMediaId": MEDIA_ID,
    },
    "sticker": {"StickerId": "9", "Note": "尚无此类型"},
}

_PICTURES: Tree = {
    "EventKey": "photo",
    "SendPicsInfo": {
        "Count": "2",
        "PicList": {"item": [{"PicMd5Sum": "1" * 32}, {"PicMd5Sum": "2" * 32}]},
    },
}
_ONE_PICTURE: Tree = {
    "EventKey": "photo",
    "SendPicsInfo": {"Count": "1", "PicList": {"item": {"PicMd5Sum": "1" * 32}}},
}
_SCAN_INFO: Tree = {
    "EventKey": "scan_meter",
    "ScanCodeInfo": {"ScanType": "qrcode", "ScanResult": "电表 3104250001"},
}
_USER_DATA: Tree = {"OpenID": OPENID, "AppID": APPID, "RevokeInfo": "1"}
_POPUP = {"TemplateId": "tpl_outage", "SubscribeStatusString": "accept", "PopupScene": "1"}

_EVENTS: dict[str, Tree] = {
    "subscribe": {"EventKey": ""},
    "subscribe by code": {"EventKey": "qrscene_户号3104250001", "Ticket": "gQH47joAAAA"},
    "unsubscribe": {"EventKey": ""},
    "SCAN": {"EventKey": "counter-7", "Ticket": "gQH47joAAAA"},
    "LOCATION": {"Latitude": "23.137466", "Longitude": "113.352425", "Precision": "119.385040"},
    "CLICK": {"EventKey": "MENU_BILL"},
    "VIEW": {"EventKey": _URL, "MenuId": "417"},
    "view_miniprogram": {"EventKey": "pages/index", "MenuId": "418"},
    "scancode_push": _SCAN_INFO,
    "scancode_waitmsg": _SCAN_INFO,
    "pic_sysphoto": _ONE_PICTURE,
    "pic_photo_or_album": _PICTURES,
    "pic_weixin": _PICTURES,
    "location_select": {
        "EventKey": "where",
        "SendLocationInfo": {
            "Location_X": "30.2",
            "Location_Y": "120.19",
            "Scale": "15",
            "Label": "杭州市滨江区",
            "Poiname": "供电所",
        },
    },
    "TEMPLATESENDJOBFINISH": {"MsgID": "200163836", "Status": "success"},
    "TEMPLATESENDJOBFINISH blocked": {"MsgID": "200163837", "Status": "failed:user block"},
    "TEMPLATESENDJOBFINISH failed": {"MsgID": "0", "Status": "failed: system failed"},
    "MASSSENDJOBFINISH": {
        "MsgID": "1000001625",
        "Status": "err(30003)",
        "TotalCount": "100",
        "FilterCount": "80",
        "SentCount": "75",
        "ErrorCount": "5",
        "CopyrightCheckResult": {"Count": "0", "ResultList": "", "CheckState": "2"},
        "ArticleUrlResult": {
            "Count": "1",
            "ResultList": {"item": {"ArticleIdx": "1", "ArticleUrl": _URL}},
        },
    },
    "subscribe_msg_popup_event": {"SubscribeMsgPopupEvent": {"List": _POPUP}},
    "subscribe_msg_popup_event twice": {
        "SubscribeMsgPopupEvent": {
            "List": [_POPUP, {**_POPUP, "TemplateId": "tpl_b", "SubscribeStatusString": "reject"}]
        }
    },
    "subscribe_msg_change_event": {
        "SubscribeMsgChangeEvent": {
            "List": {"TemplateId": "tpl_b", "SubscribeStatusString": "reject"}
        }
    },
    "subscribe_msg_sent_event": {
        "SubscribeMsgSentEvent": {
            "List": {
                "TemplateId": "tpl_b",
                "MsgID": "1864323726461255680",
                "ErrorCode": "0",
                "ErrorStatus": "success",
            }
        }
    },
    "PUBLISHJOBFINISH": {
        "PublishEventInfo": {
            "publish_id": "2247503051",
            "publish_status": "0",
            "article_id": "b5O2OUs25HBxRceL7hfReg",
            "article_detail": {"count": "1", "item": {"idx": "1", "article_url": _URL}},
        }
    },
    "user_info_modified": _USER_DATA,
    "user_authorization_revoke": _USER_DATA,
    "user_authorization_cancellation": _USER_DATA,
    "kf_create_session": {"KfAccount": "kf2001@gongdian"},
    "kf_close_session": {"KfAccount": "kf2001@gongdian", "CloseType": "KF"},
    "kf_switch_session": {"FromKfAccount": "kf2001@gongdian", "ToKfAccount": "kf2002@gongdian"},
    "user_enter_tempsession": {"SessionFrom": "来自账单页"},
    "wxa_media_check": {
        "appid": APPID,
        "trace_id": "60ae120f-371d5872-4941a05b",
        "version": "2",
        "errcode": "0",
        "errmsg": "ok",
        "result": {"suggest": "risky", "label": "20001"},
    },
    "qualification_verify_success": {"ExpiredTime": "1745648445"},
    "qualification_verify_fail": {"FailTime": "1714112440", "FailReason": "材料不全"},
    "naming_verify_success": {"ExpiredTime": "1745648445"},
    "naming_verify_fail": {"FailTime": "1714112440", "FailReason": "名称重复"},
    "annual_renew": {"ExpiredTime": "1745648445"},
    "verify_expired": {"ExpiredTime": "1714112440"},
    "debug_demo": {"debug_str": "hello world"},
}


def _message(label: str, extra: Tree) -> Tree:
    return {
        "ToUserName": ORIGINAL_ID,
        "FromUserName": OPENID,
        "CreateTime": str(CREATE_TIME),
        "MsgType": label.split()[0],
        **extra,
        "MsgId": "23456789012345678",
    }


def _event(label: str, extra: Tree) -> Tree:
    return {
        "ToUserName": ORIGINAL_ID,
        "FromUserName": OPENID,
        "CreateTime": str(CREATE_TIME),
        "MsgType": "event",
        "Event": label.split()[0],
        **extra,
    }


SAMPLES: dict[str, Tree] = {
    **{label: _message(label, extra) for label, extra in _MESSAGES.items()},
    **{label: _event(label, extra) for label, extra in _EVENTS.items()},
}

_PLAIN_IN_XML = ("CreateTime", "MsgId", "MsgID", "Scale", "Count", "Latitude", "Longitude")


def to_xml(tree: Tree) -> str:
    """As the platform writes XML: texts in CDATA, numbers bare, lists as repeated elements."""
    return f"<xml>{_elements(tree)}</xml>"


def _elements(tree: Tree) -> str:
    parts = []
    for name, value in tree.items():
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping):
                inner = _elements(entry)
            elif name in _PLAIN_IN_XML:
                inner = str(entry)
            else:
                safe = str(entry).replace("]]>", "]]]]><![CDATA[>")
                inner = f"<![CDATA[{safe}]]>"
            parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def to_json(tree: Tree) -> str:
    """As the platform writes JSON: numbers for ids and times, subscription lists on top."""
    document: dict[str, Any] = {}
    for name, value in tree.items():
        if name.startswith("SubscribeMsg") and isinstance(value, Mapping):
            document.update(value)
        elif name in ("CreateTime", "MsgId", "MsgID") and _is_number(value):
            document[name] = int(value)
        else:
            document[name] = value
    return json.dumps(document, ensure_ascii=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 25


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the platform as it reaches the gate."""

    query: dict[str, str]
    body: bytes


def plain_request(body: bytes, *, token: str = TOKEN, timestamp: int = CREATE_TIME) -> Request:
    """A callback in plain mode."""
    nonce = "1514711492"
    return Request(
        {
            "signature": callback_signature(token, str(timestamp), nonce),
            "timestamp": str(timestamp),
            "nonce": nonce,
            "openid": OPENID,
        },
        body,
    )


def encrypted_request(
    encrypted: str,
    *,
    is_json: bool,
    token: str = TOKEN,
    timestamp: int = CREATE_TIME,
    beside: Tree | None = None,
) -> Request:
    """A callback in secure mode; ``beside`` adds the plain fields of compatible mode."""
    envelope = {**(beside or {"ToUserName": ORIGINAL_ID}), "Encrypt": encrypted}
    plain = plain_request(b"", token=token, timestamp=timestamp)
    signature = callback_signature(token, str(timestamp), plain.query["nonce"], encrypted)
    query = {**plain.query, "encrypt_type": "aes", "msg_signature": signature}
    return Request(query, (to_json(envelope) if is_json else to_xml(envelope)).encode())


def new_cipher() -> CallbackCipher:
    """The cipher of the made-up account."""
    return CallbackCipher(APPID, AES_KEY)


def long_text(random_: random.Random, size: int) -> str:
    """A text of Chinese, markup, control characters and emoji."""
    alphabet = "供电停复，。 \r\n\t<>&]]>\"'\x00\x01\x1f😀A1%"
    return "".join(random_.choice(alphabet) for _ in range(size))
