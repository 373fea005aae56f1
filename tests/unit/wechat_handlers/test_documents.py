"""XML and JSON trees: nothing lost, nothing hostile let in, fast way equal to general way."""

import json
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devtools.fuzz.mutations import mutate_bytes, mutate_tree
from devtools.fuzz.samples import SAMPLES, to_xml
from gongdian.errors import CallbackError
from wechat_handlers.documents import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    decode,
    read_any_xml,
    read_canonical_xml,
    read_json,
    read_xml,
)

CONTROLS = "".join(map(chr, range(0x20)))


def outcome(read, text):
    try:
        return read(text)
    except CallbackError as error:
        return (error.code, error.status)


def fast_equals_general(text):
    fast = outcome(read_canonical_xml, text)
    if fast is not None:
        assert fast == outcome(read_any_xml, text)
    return fast


@pytest.mark.parametrize("name", SAMPLES)
def test_canonical_samples_take_the_fast_way_and_come_out_equal(name):
    assert fast_equals_general(to_xml(SAMPLES[name])) is not None


FRAGMENTS = st.sampled_from(
    [
        "<a>",
        "</a>",
        "<b>",
        "</b>",
        "<a/>",
        "<xml>",
        "</xml>",
        "<![CDATA[",
        "]]>",
        "]]",
        "]",
        ">",
        "&lt;",
        "&#13;",
        "&#0;",
        "&#x0000F0000;",
        "&x;",
        "<!-- c -->",
        "<?p i?>",
        "<!DOCTYPE xml>",
        "\r\n",
        "\r",
        " ",
        "\t",
        "\x00",
        "\x0b",
        "\x0c",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ufffe",
        "\uffff",
        "\U000f0000",
        "\U000f0001",
        "供电",
        "😀",
        "text",
        '<a b="c">',
        "<é>",
        "<a:b>",
        "<1>",
        "<a >",
        "</a >",
    ]
)


@settings(max_examples=600)
@given(st.lists(FRAGMENTS, max_size=14))
@example(["<a>", "<![CDATA[", "x", "]]>", "y", "]]>", "</a>"])
@example(["<a>", "<![CDATA[", "</a>", "]]>", "</a>", "<a>", "</a>"])
@example(["<a>", "\x00", "\U000f0000", "&#x0000F0000;", "</a>"])
@example(["<a>", "<b>", "</a>", "</b>"])
@example(["<a>", "]]>", "</a>"])
@example(["<a>", " ", "<b>", "</b>", "\r", "</a>", "\r"])
def test_fast_way_never_differs_from_the_general_way(parts):
    fast_equals_general(decode(f"<xml>{''.join(parts)}</xml>".encode()))


def test_fast_way_never_differs_on_mutated_samples():
    draw = random.Random(5)
    fast = 0
    for _ in range(1500):
        tree = mutate_tree(draw.choice(list(SAMPLES.values())), draw)
        body = to_xml(tree).encode("utf-8", "replace")
        if draw.random() < 0.5:
            body = mutate_bytes(body, draw)
        try:
            text = decode(body)
        except CallbackError:
            continue
        fast += isinstance(fast_equals_general(text), dict)
    assert fast > 300


def xml_of(content):
    safe = content.replace("]]>", "]]]]><![CDATA[>")
    return f"<xml><a><![CDATA[{safe}]]></a></xml>"


@settings(deadline=None, database=None)
@given(st.text(st.characters(codec="utf-8")))
@example(CONTROLS + "\ufffe\uffff")
@example("\x01\U000f0000\U000f0001\U000f0002")
@example("  \r\n 两端空格 \r ")
@example("]]>")
def test_text_in_cdata_survives_exactly_both_ways(content):
    assert read_any_xml(xml_of(content)) == {"a": content}
    assert read_xml(xml_of(content)) == {"a": content}


@settings(deadline=None, database=None)
@given(st.text(st.characters(codec="utf-8")))
@example(CONTROLS)
def test_text_in_json_survives_exactly(content):
    assert read_json(json.dumps({"a": content})) == {"a": content}
    assert read_json(json.dumps({"a": content}, ensure_ascii=False)) == {"a": content}


def test_raw_control_characters_in_json_survive():
    assert read_json('{"a":"x\x01\r\ny"}') == {"a": "x\x01\r\ny"}


def test_reference_to_a_private_character_is_not_taken_for_a_hidden_control_character():
    for reference in ("&#xF0000;", "&#x000F0000;", "&#983040;", "&#00983040;"):
        text = f"<xml><a>\x01{reference}</a></xml>"
        assert read_xml(text) == {"a": "\x01\U000f0000"}


def test_general_forms_are_understood():
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<xml>\r\n <a b="c">1 &lt; 2</a>\r\n'
        "<!-- said --><n><i><![CDATA[x]]></i><i>y</i></n><e/></xml>"
    )
    assert read_xml(text) == {"a": "1 < 2", "n": {"i": ["x", "y"]}, "e": ""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "<xml>",
        "</xml>",
        "<xml></xml",
        "<yml></yml>",
        "<xml>text</xml>",
        "<xml><a>1</a>text</xml>",
        "<xml><a>1</b></xml>",
        "<xml></xml><xml></xml>",
        "<!DOCTYPE xml><xml/>",
        '<!DOCTYPE xml [<!ENTITY a "b">]><xml><a>&a;</a></xml>',
        '<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>',
        "<xml><a>&undefined;</a></xml>",
        "<xml><a>&#0;</a></xml>",
        '<?xml version="1.0" encoding="gb2312"?><xml/>',
        "<?xml version='1.0' encoding='UTF-16'?><xml/>",
        "<xml>" + "<a></a>" * (MAX_ELEMENTS + 1) + "</xml>",
        "<xml>" + "<a>" * MAX_DEPTH + "1" + "</a>" * MAX_DEPTH + "</xml>",
        "<xml><a\x01>1</a\x01></xml>",
    ],
)
def test_what_is_no_message_is_refused(text):
    assert outcome(read_xml, text) == ("callback_body", 400)


def test_bounds_are_inclusive_and_equal_in_both_formats():
    elements = MAX_ELEMENTS
    assert len(read_xml("<xml>" + "<a></a>" * elements + "</xml>")["a"]) == elements
    deep = "<a>" * (MAX_DEPTH - 1) + "1" + "</a>" * (MAX_DEPTH - 1)
    assert read_xml(f"<xml>{deep}</xml>") == read_json(
        '{"a":' * (MAX_DEPTH - 1) + '"1"' + "}" * (MAX_DEPTH - 1)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "1",
        "{",
        '{"a":1}x',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        '{"a":"\\ud800"}',
        '{"\\udfff":"a"}',
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":2}}',
        "{'a':1}",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' * MAX_DEPTH + '{"b":1}' + "}" * MAX_DEPTH,
        json.dumps({"a": [1] * MAX_ELEMENTS}),
    ],
)
def test_what_is_no_json_object_is_refused(text):
    assert outcome(read_json, text) == ("callback_body", 400)


def test_json_numbers_keep_their_digits_and_other_values_become_text():
    text = '{"i":' + "9" * 5000 + ',"f":1.50,"e":1e400,"t":true,"n":null,"l":[1,{"x":false}]}'
    read = read_json(text)
    assert read["i"] == "9" * 5000
    assert (read["f"], read["e"], read["t"], read["n"]) == ("1.50", "1e400", "true", "")
    assert read["l"] == ["1", {"x": "false"}]


@pytest.mark.parametrize(
    "raw",
    [
        "<xml/>".encode("utf-16"),
        "<xml/>".encode("utf-16-be"),
        "<xml><a>供电</a></xml>".encode("gb18030"),
        b"<xml><a>\xed\xa0\x80</a></xml>",
        b"\xff",
    ],
)
def test_only_utf_8_is_read(raw):
    assert outcome(lambda body: read_xml(decode(body)), raw) == ("callback_body", 400)


def test_byte_order_mark_and_outer_white_space_do_no_harm():
    assert read_xml(decode(b"\xef\xbb\xbf\r\n<xml><a>1</a></xml>\r\n")) == {"a": "1"}


@pytest.mark.parametrize(
    "unit",
    [
        "<xml>",
        "<a><![CDATA[",
        "<a>",
        "<a>]",
        "<a> ",
        "]]>",
        "&#1;",
        "<a></a>",
        " ",
        "\x01",
        "<",
        "]",
    ],
)
def test_a_quarter_megabyte_of_anything_is_refused_quickly(unit):
    text = f"<xml>{unit * (256 * 1024 // len(unit))}</xml>"
    start = time.process_time()
    read = outcome(read_xml, text)
    assert time.process_time() - start < 0.5
    assert read == ("callback_body", 400) or unit == " "
