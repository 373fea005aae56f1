"""Passive replies: what a customer sees is what the handler wrote, and no more."""

import json
from itertools import count
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gongdian.errors import InputError
from wechat_handlers.replies import (
    MAX_TEXT_BYTES,
    Article,
    ImageReply,
    MusicReply,
    NewsReply,
    TextReply,
    TransferReply,
    VideoReply,
    VoiceReply,
    render_json,
    render_xml,
)

ARTICLE = Article("停电公告", "https://example.com/a?b=1&c=2", "检修 <计划>", "https://e.com/p.png")
REPLIES = {
    "text": (TextReply("你好\n第二行"), {"Content": "你好\n第二行"}),
    "image": (ImageReply("m1"), {"Image": {"MediaId": "m1"}}),
    "voice": (VoiceReply("m1"), {"Voice": {"MediaId": "m1"}}),
    "video": (
        VideoReply("m1", "标题", "说明"),
        {"Video": {"MediaId": "m1", "Title": "标题", "Description": "说明"}},
    ),
    "music": (
        MusicReply("t1", "标题", "说明", "https://e.com/1.mp3", "https://e.com/2.mp3"),
        {
            "Music": {
                "Title": "标题",
                "Description": "说明",
                "MusicUrl": "https://e.com/1.mp3",
                "HQMusicUrl": "https://e.com/2.mp3",
                "ThumbMediaId": "t1",
            }
        },
    ),
    "news": (
        NewsReply((ARTICLE,)),
        {
            "ArticleCount": "1",
            "Articles": {
                "item": {
                    "Title": "停电公告",
                    "Description": "检修 <计划>",
                    "PicUrl": "https://e.com/p.png",
                    "Url": "https://example.com/a?b=1&c=2",
                }
            },
        },
    ),
    "transfer_customer_service": (
        TransferReply("kf2001@gongdian"),
        {"TransInfo": {"KfAccount": "kf2001@gongdian"}},
    ),
}


def as_tree(element):
    if not len(element):
        return element.text or ""
    names = [child.tag for child in element]
    assert len(names) == len(set(names)), names
    return {child.tag: as_tree(child) for child in element}


def as_text(value):
    return {k: as_text(v) for k, v in value.items()} if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("kind", REPLIES)
def test_every_reply_is_rendered_alike_in_xml_and_json(kind):
    reply, body = REPLIES[kind]
    head = {"ToUserName": "o1", "FromUserName": "gh_1", "CreateTime": "7", "MsgType": kind}
    assert as_tree(ElementTree.fromstring(render_xml(reply, "o1", "gh_1", 7))) == {**head, **body}
    read = json.loads(render_json(reply, "o1", "gh_1", 7))
    assert as_text(read) == {**head, **body}
    assert read["CreateTime"] == 7


def test_optional_parts_are_left_out():
    assert "Title" not in render_xml(VideoReply("m1"), "o", "g", 1)
    assert "MusicUrl" not in render_xml(MusicReply("m1"), "o", "g", 1)
    assert "TransInfo" not in render_xml(TransferReply(), "o", "g", 1)


@settings(deadline=None, database=None)
@given(st.text(min_size=1, max_size=300))
@example("]]>")
@example("]]]]>>]]")
@example("]]><MsgType>event</MsgType><![CDATA[")
@example("x\x00\x08\x0b\x1f\ufffe\uffff\ud800y")
@example("\U000f0000]]>")
def test_no_text_can_leave_its_element(text):
    try:
        reply = TextReply(text)
    except InputError:
        return
    tree = as_tree(ElementTree.fromstring(render_xml(reply, "o1", "gh_1", 7).encode()))
    assert set(tree) == {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"}
    assert tree["MsgType"] == "text"
    read = json.loads(render_json(reply, "o1", "gh_1", 7).encode())
    # An XML reader turns CR into LF; nothing else may differ.
    assert tree["Content"] == read["Content"].replace("\r\n", "\n").replace("\r", "\n")


def test_names_from_outside_cannot_inject_either():
    rendered = render_xml(TextReply("x"), "o]]><a>", "g]]>", 1)
    tree = as_tree(ElementTree.fromstring(rendered))
    assert (tree["ToUserName"], tree["FromUserName"]) == ("o]]><a>", "g]]>")


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("content", lambda: TextReply("")),
        ("content", lambda: TextReply(" \n\x00")),
        ("content", lambda: TextReply("字" * 683)),
        ("content", lambda: TextReply("a" * (MAX_TEXT_BYTES + 1))),
        ("media_id", lambda: ImageReply("")),
        ("media_id", lambda: VoiceReply("m" * 257)),
        ("media_id", lambda: VideoReply("")),
        ("title", lambda: VideoReply("m", "题" * 200)),
        ("thumb_media_id", lambda: MusicReply("")),
        ("music_url", lambda: MusicReply("m", music_url="u" * 3000)),
        ("articles", lambda: NewsReply(())),
        ("articles", lambda: NewsReply((ARTICLE, ARTICLE))),
        ("title", lambda: Article("", "https://e.com")),
        ("url", lambda: Article("t", "")),
        ("kf_account", lambda: TransferReply("k" * 300)),
    ],
    ids=map(str, count()),
)
def test_reply_beyond_the_limits_names_its_field(field, make):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.context["field"] == field


def test_longest_text_is_accepted():
    assert TextReply("字" * 682)
    assert TextReply("a" * MAX_TEXT_BYTES)
