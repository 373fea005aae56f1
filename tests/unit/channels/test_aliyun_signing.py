"""Aliyun's signature: the worked examples that Aliyun publishes, and the rules of encoding."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongdian.adapters.aliyun_signing import (
    canonical_query,
    percent_encode,
    signature,
    string_to_sign,
)

# https://help.aliyun.com/document_detail/56189.html (the SMS service's page on signing): key id
# testId, secret testSecret, sent as GET.
SEND_SMS = {
    "AccessKeyId": "testId",
    "Action": "SendSms",
    "Format": "XML",
    "OutId": "123",
    "PhoneNumbers": "15300000001",
    "RegionId": "cn-hangzhou",
    "SignName": "阿里云短信测试专用",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureNonce": "45e25e9b-0a6f-4070-8c85-2956eda1b466",
    "SignatureVersion": "1.0",
    "TemplateCode": "SMS_71390007",
    "TemplateParam": '{"customer":"test"}',
    "Timestamp": "2017-07-12T02:42:19Z",
    "Version": "2017-05-25",
}
# The same page's string to sign, character by character.
SEND_SMS_TO_SIGN = (
    "GET&%2F&AccessKeyId%3DtestId%26Action%3DSendSms%26Format%3DXML%26OutId%3D123"
    "%26PhoneNumbers%3D15300000001%26RegionId%3Dcn-hangzhou%26SignName%3D"
    "%25E9%2598%25BF%25E9%2587%258C%25E4%25BA%2591%25E7%259F%25AD%25E4%25BF%25A1"
    "%25E6%25B5%258B%25E8%25AF%2595%25E4%25B8%2593%25E7%2594%25A8"
    "%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D45e25e9b-0a6f-4070-8c85-2956eda1b466"
    "%26SignatureVersion%3D1.0%26TemplateCode%3DSMS_71390007"
    "%26TemplateParam%3D%257B%2522customer%2522%253A%2522test%2522%257D"
    "%26Timestamp%3D2017-07-12T02%253A42%253A19Z%26Version%3D2017-05-25"
)
# The server product's documentation, the same algorithm: key id testid, secret testsecret, GET.
DESCRIBE_REGIONS = {
    "Timestamp": "2016-02-23T12:46:24Z",
    "Format": "XML",
    "AccessKeyId": "testid",
    "Action": "DescribeRegions",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
    "Version": "2014-05-26",
    "SignatureVersion": "1.0",
}


def test_the_published_example_of_send_sms_is_met_exactly():
    assert string_to_sign("GET", SEND_SMS) == SEND_SMS_TO_SIGN
    assert signature("GET", SEND_SMS, "testSecret") == "zJDF+Lrzhj/ThnlvIToysFRq6t4="


def test_the_published_example_of_describe_regions_is_met_exactly():
    assert signature("GET", DESCRIBE_REGIONS, "testsecret") == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="


def test_an_older_edition_of_that_example_spelt_the_time_otherwise_and_is_met_too():
    # https://developer.aliyun.com/ask/210168
    older = {name: text for name, text in DESCRIBE_REGIONS.items() if name != "Timestamp"}
    older["TimeStamp"] = DESCRIBE_REGIONS["Timestamp"]
    assert signature("GET", older, "testsecret") == "CT9X0VtwR86fNWSnsc6v8YGOjuE="


def test_the_method_is_part_of_what_is_signed():
    assert signature("POST", SEND_SMS, "testSecret") != signature("GET", SEND_SMS, "testSecret")


def test_a_signature_already_there_is_not_signed():
    again = SEND_SMS | {"Signature": "old"}
    assert signature("GET", again, "testSecret") == signature("GET", SEND_SMS, "testSecret")


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("a b", "a%20b"),
        ("*", "%2A"),
        ("~-_.", "~-_."),
        ("/=&+", "%2F%3D%26%2B"),
        ("短", "%E7%9F%AD"),
        ("𠮷", "%F0%A0%AE%B7"),
        ("!'()", "%21%27%28%29"),
    ],
)
def test_encoding_follows_rfc_3986(text, encoded):
    assert percent_encode(text) == encoded


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, database=None)
@given(TEXTS)
def test_encoding_loses_nothing_and_leaves_only_unreserved_characters(text):
    encoded = percent_encode(text)
    assert unquote(encoded) == text
    assert encoded.isascii()
    assert not set(encoded) & set("!*'();:@&=+$,/?#[] ")


@settings(deadline=None, database=None)
@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=8), st.randoms())
def test_the_order_of_parameters_does_not_matter_and_the_query_reads_back(params, random):
    params.pop("Signature", None)
    shuffled = list(params.items())
    random.shuffle(shuffled)
    query = canonical_query(params)
    assert canonical_query(dict(shuffled)) == query
    assert signature("POST", dict(shuffled), "key") == signature("POST", params, "key")
    assert dict(parse_qsl(query, keep_blank_values=True)) == params


@settings(deadline=None, database=None)
@given(st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1, max_size=4), TEXTS)
def test_every_value_counts_in_the_signature(params, other):
    params.pop("Signature", None)
    for name, value in params.items():
        if value != other:
            changed = params | {name: other}
            assert signature("POST", changed, "key") != signature("POST", params, "key")
    assert len(base64.b64decode(signature("POST", params, "key"))) == 20
