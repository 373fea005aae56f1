"""A short run of the fuzzer, and a run of what the bench measures."""

from devtools.bench.gate import our_cycle
from devtools.fuzz.callbacks import Fuzzer, fuzz_query_strings
from devtools.fuzz.samples import (
    CREATE_TIME,
    SAMPLES,
    encrypted_request,
    new_cipher,
    to_xml,
)
from wechat_handlers.documents import read_xml


def test_three_thousand_hostile_callbacks_raise_nothing_but_callback_errors():
    report = Fuzzer(seed=20240426).run(3000)
    assert report.failures == []
    assert report.inputs == sum(report.outcomes.values()) == 3000
    assert report.outcomes["accepted typed"] > 300


def test_same_seed_gives_the_same_outcomes():
    assert Fuzzer(3).run(300).outcomes == Fuzzer(3).run(300).outcomes


def test_hostile_query_strings_raise_nothing_but_callback_errors():
    fuzz_query_strings(3000, 1)


def test_the_measured_cycle_answers_with_an_encrypted_text():
    request = encrypted_request(
        new_cipher().encrypt(to_xml(SAMPLES["text"]).encode()), is_json=False
    )
    body, content_type = our_cycle(request.body, request.query)()
    answer = read_xml(body.decode())
    assert content_type.startswith("application/xml")
    assert answer["TimeStamp"] == str(CREATE_TIME)
    inner = read_xml(new_cipher().decrypt(answer["Encrypt"]).decode())
    assert inner["MsgType"] == "text"
    assert "恢复供电" in inner["Content"]
