"""Every message and event of the platform, in both formats, and what makes two of them one."""

import json
from datetime import UTC, datetime

import pytest

from devtools.fuzz.samples import (
    APPID,
    CREATE_TIME,
    MEDIA_ID,
    OPENID,
    ORIGINAL_ID,
    SAMPLES,
    to_json,
    to_xml,
)
from gongdian.errors import CallbackError
from wechat_handlers import events, messages
from wechat_handlers.events import EVENTS
from wechat_handlers.messages import MESSAGES, parse_message

EXPECTED = {
    "text": (messages.TextMessage, {"content": "你好，青山路 18 号什么时候来电？"}),
    "text from a service menu": (messages.TextMessage, {"menu_message_id": "101"}),
    "image": (messages.ImageMessage, {"media_id": MEDIA_ID}),
    "voice": (
        messages.VoiceMessage,
        {"format": "amr", "media_id_16k": MEDIA_ID + "16", "recognition": "我家停电了。"},
    ),
    "video": (messages.VideoMessage, {"thumb_media_id": MEDIA_ID + "t"}),
    "shortvideo": (messages.VideoMessage, {"msg_type": "shortvideo", "media_id": MEDIA_ID}),
    "location": (
        messages.LocationMessage,
        {"location_x": 23.134521, "location_y": 113.358803, "scale": 20, "label": "滨江区长河街道"},
    ),
    "link": (messages.LinkMessage, {"title": "计划停电公告", "description": "检修"}),
    "file": (messages.FileMessage, {"title": "营业执照.pdf", "file_size": 10240}),
    "miniprogrampage": (
        messages.MiniProgramPageMessage,
        {"appid": "wx1111111111111111", "page_path": "pages/bill?no=1"},
    ),
    "sticker": (messages.UnknownMessage, {"msg_type": "sticker"}),
    "subscribe": (events.SubscribeEvent, {"scene": "", "event_key": "", "ticket": ""}),
    "subscribe by code": (
        events.SubscribeEvent,
        {"scene": "户号3104250001", "key": "户号3104250001", "ticket": "gQH47joAAAA"},
    ),
    "unsubscribe": (events.UnsubscribeEvent, {}),
    "SCAN": (events.ScanEvent, {"event": "scan", "scene": "counter-7"}),
    "LOCATION": (
        events.LocationEvent,
        {"event": "location", "latitude": 23.137466, "precision": 119.38504},
    ),
    "CLICK": (events.ClickEvent, {"event": "click", "event_key": "MENU_BILL"}),
    "VIEW": (events.ViewEvent, {"event": "view", "menu_id": "417"}),
    "view_miniprogram": (events.ViewEvent, {"event_key": "pages/index", "menu_id": "418"}),
    "scancode_push": (
        events.ScanCodeEvent,
        {"scan_type": "qrcode", "scan_result": "电表 3104250001", "waits_for_answer": False},
    ),
    "scancode_waitmsg": (events.ScanCodeEvent, {"waits_for_answer": True}),
    "pic_sysphoto": (events.PictureEvent, {"count": 1, "md5s": ("1" * 32,)}),
    "pic_photo_or_album": (events.PictureEvent, {"count": 2, "md5s": ("1" * 32, "2" * 32)}),
    "pic_weixin": (events.PictureEvent, {"md5s": ("1" * 32, "2" * 32)}),
    "location_select": (
        events.LocationSelectEvent,
        {"location_x": 30.2, "scale": 15, "label": "杭州市滨江区", "poi_name": "供电所"},
    ),
    "TEMPLATESENDJOBFINISH": (
        events.TemplateSendFinishedEvent,
        {"msg_id": 200163836, "is_delivered": True, "failure": ""},
    ),
    "TEMPLATESENDJOBFINISH blocked": (
        events.TemplateSendFinishedEvent,
        {"is_delivered": False, "failure": "user block"},
    ),
    "TEMPLATESENDJOBFINISH failed": (
        events.TemplateSendFinishedEvent,
        {"msg_id": 0, "normal_status": "failed:system failed", "failure": "system failed"},
    ),
    "MASSSENDJOBFINISH": (
        events.MassSendFinishedEvent,
        {
            "msg_id": 1000001625,
            "status": "err(30003)",
            "total_count": 100,
            "filter_count": 80,
            "sent_count": 75,
            "error_count": 5,
            "copyright_state": 2,
            "article_urls": ("https://example.com/outage?no=3104250001&from=menu",),
        },
    ),
    "subscribe_msg_popup_event": (events.SubscribeMsgEvent, {}),
    "subscribe_msg_popup_event twice": (events.SubscribeMsgEvent, {}),
    "subscribe_msg_change_event": (events.SubscribeMsgEvent, {}),
    "subscribe_msg_sent_event": (events.SubscribeMsgEvent, {}),
    "PUBLISHJOBFINISH": (
        events.PublishFinishedEvent,
        {"publish_id": "2247503051", "publish_status": 0, "article_id": "b5O2OUs25HBxRceL7hfReg"},
    ),
    "user_info_modified": (events.UserDataEvent, {"openid": OPENID, "revoke_info": "1"}),
    "user_authorization_revoke": (events.UserDataEvent, {"openid": OPENID, "appid": APPID}),
    "user_authorization_cancellation": (events.UserDataEvent, {"openid": OPENID}),
    "kf_create_session": (events.KfSessionEvent, {"account": "kf2001@gongdian"}),
    "kf_close_session": (events.KfSessionEvent, {"account": "kf2001@gongdian"}),
    "kf_switch_session": (
        events.KfSessionEvent,
        {"from_account": "kf2001@gongdian", "to_account": "kf2002@gongdian"},
    ),
    "user_enter_tempsession": (events.EnterTempSessionEvent, {"session_from": "来自账单页"}),
    "wxa_media_check": (
        events.MediaCheckEvent,
        {"trace_id": "60ae120f-371d5872-4941a05b", "suggest": "risky", "label": 20001},
    ),
    "qualification_verify_success": (events.VerificationEvent, {"expired_time": 1745648445}),
    "qualification_verify_fail": (events.VerificationEvent, {"fail_reason": "材料不全"}),
    "naming_verify_success": (events.VerificationEvent, {"expired_time": 1745648445}),
    "naming_verify_fail": (events.VerificationEvent, {"fail_time": 1714112440}),
    "annual_renew": (events.VerificationEvent, {"expired_time": 1745648445}),
    "verify_expired": (events.VerificationEvent, {"expired_time": 1714112440}),
    "debug_demo": (events.UnknownEvent, {"event": "debug_demo"}),
}


def parse(tree, is_json=False):
    text = to_json(tree) if is_json else to_xml(tree)
    return parse_message(text.encode(), is_json)


def test_the_samples_cover_every_known_type_and_event():
    kinds = {tree["MsgType"] for tree in SAMPLES.values()}
    names = {tree.get("Event", "").lower() for tree in SAMPLES.values()}
    assert set(MESSAGES) <= kinds
    assert set(EVENTS) <= names
    assert set(EXPECTED) == set(SAMPLES)


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_is_typed(name, is_json):
    message = parse(SAMPLES[name], is_json)
    kind, attributes = EXPECTED[name]
    assert type(message) is kind
    assert {attribute: getattr(message, attribute) for attribute in attributes} == attributes
    assert (message.to_user, message.from_user) == (ORIGINAL_ID, OPENID)
    assert message.create_time == CREATE_TIME
    assert message.created_at == datetime(2024, 4, 26, 6, 20, 45, tzinfo=UTC)


@pytest.mark.parametrize("name", SAMPLES)
def test_xml_and_json_of_one_message_share_the_dedupe_key(name):
    xml, read = parse(SAMPLES[name]), parse(SAMPLES[name], True)
    if not isinstance(xml, events.UnknownEvent):
        assert xml.dedupe_key(APPID) == read.dedupe_key(APPID)
    assert len(xml.dedupe_key(APPID)) == 32


@pytest.mark.parametrize("name", SAMPLES)
def test_event_and_type_names_may_come_in_any_case(name):
    tree = dict(SAMPLES[name])
    for field in ("MsgType", "Event"):
        if field in tree:
            tree[field] = tree[field].upper()
    shouted, usual = parse(tree), parse(SAMPLES[name])
    assert type(shouted) is type(usual)
    if not isinstance(usual, events.UnknownEvent):
        assert shouted.dedupe_key(APPID) == usual.dedupe_key(APPID)


@pytest.mark.parametrize("name", SAMPLES)
def test_repr_shows_no_personal_text(name):
    shown = repr(parse(SAMPLES[name]))
    assert OPENID not in shown
    assert "青山路" not in shown
    assert "户号" not in shown


@pytest.mark.parametrize("name", SAMPLES)
def test_messages_are_values(name):
    one, two = parse(SAMPLES[name]), parse(SAMPLES[name])
    assert one == two
    assert hash(one) == hash(two)
    assert one != parse({**SAMPLES[name], "Extra": "1"})
    with pytest.raises(AttributeError):
        one.from_user = "o"


def test_unknown_kinds_pass_with_all_their_fields():
    assert parse(SAMPLES["sticker"]).fields["Note"] == "尚无此类型"
    assert parse(SAMPLES["debug_demo"]).fields["debug_str"] == "hello world"


def event(name, **more):
    return {**SAMPLES["subscribe"], "Event": name, **more}


def raw_json(tree):
    return parse_message(json.dumps(tree).encode(), True)


ENTRY = {"TemplateId": "t1", "SubscribeStatusString": "accept", "PopupScene": "0"}
SECOND = {"TemplateId": "t2", "SubscribeStatusString": "reject", "PopupScene": "0"}


@pytest.mark.parametrize(
    ("tree", "ids"),
    [
        ({"List": ENTRY}, ("t1",)),
        ({"List": [ENTRY]}, ("t1",)),
        ({"List": [ENTRY, SECOND]}, ("t1", "t2")),
        ({"SubscribeMsgPopupEvent": {"List": ENTRY}}, ("t1",)),
        ({"SubscribeMsgPopupEvent": {"List": [ENTRY, SECOND]}}, ("t1", "t2")),
        ({"SubscribeMsgPopupEvent": ""}, ()),
        ({"List": []}, ()),
        ({}, ()),
    ],
)
def test_subscription_list_is_an_object_or_an_array_on_top_or_nested(tree, ids):
    message = raw_json(event("subscribe_msg_popup_event", **tree))
    assert tuple(entry.template_id for entry in message.entries) == ids
    if ids:
        assert message.entries[0].is_accepted
        assert message.entries[0].popup_scene == "0"


def test_sent_event_tells_the_result_of_each_send():
    [entry] = parse(SAMPLES["subscribe_msg_sent_event"], True).entries
    assert (entry.msg_id, entry.error_code, entry.error_status) == (
        "1864323726461255680",
        0,
        "success",
    )


@pytest.mark.parametrize(
    "pictures",
    [
        {"item": {"PicMd5Sum": "m1"}},
        {"item": [{"PicMd5Sum": "m1"}]},
        [{"PicMd5Sum": "m1"}],
        {"PicMd5Sum": "m1"},
        [{"item": {"PicMd5Sum": "m1"}}],
    ],
)
def test_picture_list_is_an_object_or_an_array(pictures):
    tree = event("pic_weixin", SendPicsInfo={"Count": 1, "PicList": pictures})
    assert raw_json(tree).md5s == ("m1",)


@pytest.mark.parametrize("pictures", ["", [], {}, {"item": ""}])
def test_picture_list_may_be_empty(pictures):
    assert raw_json(event("pic_weixin", SendPicsInfo={"PicList": pictures})).md5s == ()


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        ("success", ""),
        (" Success ", ""),
        ("failed:user block", "user block"),
        ("failed: user block", "user block"),
        ("failed : system  failed", "system failed"),
        ("failed:freq limit", "freq limit"),
        ("failed:", "unknown"),
        ("", "unknown"),
        ("something new", "something new"),
    ],
)
def test_template_status_is_normalised_and_everything_unknown_is_a_failure(status, failure):
    tree = {**SAMPLES["TEMPLATESENDJOBFINISH"], "Status": status}
    for receipt in (parse(tree), parse(tree, True)):
        assert receipt.failure == failure
        assert receipt.is_delivered is (failure == "")


def test_only_the_scene_prefix_makes_a_scene():
    assert parse(event("subscribe", EventKey="last_trade_no_1")).scene == ""
    assert parse(event("subscribe", EventKey="qrscene_")).scene == ""
    assert parse(event("subscribe", EventKey="qrscene_qrscene_1")).scene == "qrscene_1"


def test_text_is_kept_exactly():
    content = "  两端空格 \r\n第二行\r\t\x00\x01\x1f]]>&lt;\U000f0000 "
    for is_json in (False, True):
        assert parse({**SAMPLES["text"], "Content": content}, is_json).content == content


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MsgType", ""),
        ("MsgType", None),
        ("MsgType", ["text", "event"]),
        ("MsgType", "文本"),
        ("MsgType", "t" * 65),
        ("MsgType", {"a": "text"}),
        ("ToUserName", ""),
        ("ToUserName", None),
        ("FromUserName", None),
        ("FromUserName", "o" * 65),
        ("FromUserName", "o\x00o"),
        ("FromUserName", ["a", "b"]),
        ("CreateTime", None),
        ("CreateTime", ""),
        ("CreateTime", "0"),
        ("CreateTime", "-1"),
        ("CreateTime", "soon"),
        ("CreateTime", "1.5"),
        ("CreateTime", "1_000"),
        ("CreateTime", "١٢٣"),
        ("CreateTime", "253402300800"),
        ("CreateTime", "9" * 5000),
        ("CreateTime", ["1", "2"]),
        ("MsgId", "-1"),
        ("MsgId", "x"),
        ("MsgId", str(2**64)),
        ("MsgId", "9" * 5000),
        ("Content", ["a", "b"]),
        ("Content", {"a": "b"}),
        ("bizmsgmenuid", "1" * 257),
    ],
)
def test_malformed_header_is_refused(field, value, is_json):
    tree = {**SAMPLES["text"], field: value}
    if value is None:
        del tree[field]
    with pytest.raises(CallbackError) as caught:
        parse(tree, is_json)
    assert caught.value.status == 400


@pytest.mark.parametrize("name", ["location", "LOCATION", "location_select"])
@pytest.mark.parametrize("value", [None, "", "NaN", "inf", "1e999", "0x10", "1,5", "1_0"])
def test_a_place_needs_finite_coordinates(name, value):
    tree = json.loads(to_json(SAMPLES[name]))
    for holder in (tree, tree.get("SendLocationInfo", {})):
        for field in ("Location_X", "Latitude"):
            if field in holder:
                holder[field] = value
    with pytest.raises(CallbackError):
        raw_json(tree)


@pytest.mark.parametrize(
    "tree",
    [
        event(""),
        {**SAMPLES["text"], "MsgType": "event"},
        event("scancode_push", ScanCodeInfo="text"),
        event("pic_weixin", SendPicsInfo={"PicList": "text"}),
        event("pic_weixin", SendPicsInfo={"PicList": [["a"]]}),
        event("pic_weixin", SendPicsInfo=[{"Count": 1}, {"Count": 2}]),
        event("subscribe_msg_popup_event", List="text"),
        event("subscribe_msg_popup_event", List=[1]),
        event("subscribe_msg_popup_event", List=ENTRY, SubscribeMsgPopupEvent={"List": ENTRY}),
        event("subscribe_msg_popup_event", List={"TemplateId": "t" * 257}),
        event("user_info_modified", OpenID="o" * 257),
        event("CLICK", EventKey=["a", "b"]),
    ],
)
def test_malformed_event_is_refused(tree):
    with pytest.raises(CallbackError):
        raw_json(tree)


def test_largest_numbers_of_the_platform_are_read():
    tree = {**SAMPLES["text"], "MsgId": str(2**64 - 1), "CreateTime": "253402300799"}
    assert parse(tree).msg_id == 2**64 - 1
    assert parse(tree).created_at.year == 9999


KEY_PARTS = [
    ("FromUserName", "another"),
    ("FromUserName", OPENID.swapcase()),
    ("CreateTime", str(CREATE_TIME + 1)),
    ("MsgId", "1"),
]


@pytest.mark.parametrize(("field", "value"), KEY_PARTS)
def test_repeated_message_id_of_another_person_or_second_is_another_message(field, value):
    changed = {**SAMPLES["voice"], field: value}
    assert parse(changed).dedupe_key(APPID) != parse(SAMPLES["voice"]).dedupe_key(APPID)


def test_dedupe_key_belongs_to_one_account():
    message = parse(SAMPLES["text"])
    assert message.dedupe_key("wx1") != message.dedupe_key("wx2")


def test_events_of_one_user_and_second_stay_apart():
    receipts = [{**SAMPLES["TEMPLATESENDJOBFINISH"], "MsgID": str(number)} for number in range(20)]
    checks = [{**SAMPLES["wxa_media_check"], "trace_id": f"t{number}"} for number in range(20)]
    clicks = [event("CLICK", EventKey=f"k{number}") for number in range(20)]
    unknown = [event("debug_demo", x=str(number)) for number in range(20)]
    named = [event(name) for name in ("subscribe", "unsubscribe", "CLICK", "VIEW", "SCAN")]
    popups = [
        event("subscribe_msg_popup_event", SubscribeMsgPopupEvent={"List": entry})
        for entry in (ENTRY, SECOND, {**ENTRY, "SubscribeStatusString": "reject"})
    ]
    trees = receipts + checks + clicks + unknown + named + popups
    assert len({parse(tree).dedupe_key(APPID) for tree in trees}) == len(trees)


@pytest.mark.parametrize("without_id", [{"MsgID": "0"}, {"MsgID": ""}, {}])
def test_receipts_without_an_id_are_told_apart_by_their_status(without_id):
    known = {k: v for k, v in SAMPLES["TEMPLATESENDJOBFINISH"].items() if k != "MsgID"}
    statuses = ("success", "failed:user block", "failed: system failed")
    keys = [
        parse({**known, **without_id, "Status": status}).dedupe_key(APPID) for status in statuses
    ]
    assert len(set(keys)) == 3
    # a retry, and what nobody can tell from one
    assert parse({**known, **without_id, "Status": statuses[0]}).dedupe_key(APPID) == keys[0]


def test_the_status_of_a_receipt_with_an_id_is_no_part_of_its_key():
    tree = SAMPLES["TEMPLATESENDJOBFINISH"]
    assert parse({**tree, "Status": "failed"}).dedupe_key(APPID) == parse(tree).dedupe_key(APPID)


def test_order_of_templates_does_not_matter_for_the_dedupe_key():
    one, two = (
        raw_json(event("subscribe_msg_popup_event", List=entries)).dedupe_key(APPID)
        for entries in ([ENTRY, SECOND], [SECOND, ENTRY])
    )
    assert one == two


def test_parts_of_the_dedupe_key_cannot_run_into_each_other():
    one = parse(event("CLICK", EventKey="a1:b"))
    two = parse(event("CLICK", EventKey="a"))
    three = parse({**event("CLICK", EventKey="1:a"), "MsgId": "11"})
    four = parse({**event("CLICK", EventKey="1:a1:1"), "MsgId": "1"})
    assert len({m.dedupe_key(APPID) for m in (one, two, three, four)}) == 4


@pytest.mark.parametrize("name", ["text", "CLICK", "TEMPLATESENDJOBFINISH", "unsubscribe"])
def test_a_retry_has_the_same_key_even_if_the_fields_come_in_another_order(name):
    tree = SAMPLES[name]
    turned = dict(reversed(tree.items()))
    assert parse(tree).dedupe_key(APPID) == parse(turned).dedupe_key(APPID)
