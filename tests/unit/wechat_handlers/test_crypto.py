"""Signatures and encryption against the platform's published vectors and hostile inputs."""

import base64
import hashlib
import threading

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given, settings
from hypothesis import strategies as st

from gongdian.errors import CallbackError, ConfigError
from wechat_handlers import crypto
from wechat_handlers.crypto import CallbackCipher, callback_signature, same

# Official page "消息推送 / 消息加解密", worked example of 2024.
OFFICIAL_KEY = "A" * 43
OFFICIAL_APPID = "wxba5fad812f8e6fb9"
OFFICIAL_ENCRYPT = (
    "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcv"
    "ZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3F"
    "n2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSe"
    "OBrebufAlr7F9mFUPAJGj04="
)
OFFICIAL_MESSAGE = (
    b'{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",'
    b'"CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}'
)
KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
OTHER_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx5823bf96d3bd56c7"


def blocks(key: str, plain: bytes) -> str:
    raw = base64.b64decode(key + "=")
    return base64.b64encode(Cipher(AES(raw), CBC(raw[:16])).encryptor().update(plain)).decode()


def layout(message: bytes, *, appid: str = APPID, length: int | None = None) -> bytes:
    size = len(message) if length is None else length
    return b"r" * 16 + size.to_bytes(4, "big") + message + appid.encode()


def pad(plain: bytes, value: int | None = None) -> bytes:
    size = 32 - len(plain) % 32
    return plain + bytes([size if value is None else value]) * size


def reference_open(key: str, encrypted: str) -> bytes:
    """Decrypt with a fresh cipher from the fixed IV, as the platform does."""
    raw = base64.b64decode(key + "=")
    plain = Cipher(AES(raw), CBC(raw[:16])).decryptor().update(base64.b64decode(encrypted))
    return plain[20 : 20 + int.from_bytes(plain[16:20], "big")]


@pytest.mark.parametrize(
    ("timestamp", "nonce", "signature"),
    [
        ("1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
        ("1714037059", "486452656", "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
        ("1714112445", "415670741", "6c5c811b55cc85e0e1b54100749188c20beb3f5d"),
    ],
)
def test_plain_signature_is_the_official_one(timestamp, nonce, signature):
    assert callback_signature("AAAAA", timestamp, nonce) == signature


def test_message_signature_is_the_official_one():
    signature = callback_signature("AAAAA", "1714112445", "415670741", OFFICIAL_ENCRYPT)
    assert signature == "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"


def test_parts_are_sorted_as_text_and_not_as_numbers():
    expected = hashlib.sha1(b"10" + b"9" + b"a").hexdigest()
    assert callback_signature("9", "a", "10") == expected


def test_official_message_is_decrypted():
    cipher = CallbackCipher(OFFICIAL_APPID, OFFICIAL_KEY)
    assert cipher.decrypt(OFFICIAL_ENCRYPT) == OFFICIAL_MESSAGE
    # Again: the running cipher no longer starts from the fixed IV.
    assert cipher.decrypt(OFFICIAL_ENCRYPT) == OFFICIAL_MESSAGE


@pytest.mark.parametrize("hostile", ["", "é", "签名", "\ud800", "\x00", "a" * 10_000])
def test_comparing_and_signing_take_any_text(hostile):
    assert same(hostile, hostile)
    assert not same(hostile, "0" * 40)
    assert len(callback_signature("token", hostile)) == 40


def test_comparing_uses_the_constant_time_function(monkeypatch):
    seen = []

    def spy(a, b):
        seen.append((a, b))
        return False

    monkeypatch.setattr(crypto, "compare_digest", spy)
    assert not same("x", "x")
    assert seen == [(b"x", b"x")]


@settings(deadline=None, database=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_what_is_encrypted_comes_back_for_us_and_for_the_platform(messages):
    cipher = CallbackCipher(APPID, KEY)
    for message in messages:
        encrypted = cipher.encrypt(message)
        assert len(base64.b64decode(encrypted)) % 32 == 0
        assert cipher.decrypt(encrypted) == message
        assert reference_open(KEY, encrypted) == message


def test_every_padding_from_1_to_32_is_made_and_read():
    cipher = CallbackCipher(APPID, KEY)
    seen = set()
    for size in range(64):
        message = b"m" * size
        plain = pad(layout(message))
        seen.add(plain[-1])
        assert cipher.decrypt(blocks(KEY, plain)) == message
        assert cipher.decrypt(cipher.encrypt(message)) == message
    assert seen == set(range(1, 33))


def test_equal_messages_look_different_when_encrypted():
    cipher = CallbackCipher(APPID, KEY)
    assert len({cipher.encrypt(b"same") for _ in range(50)}) == 50


def test_one_cipher_serves_many_threads():
    cipher = CallbackCipher(APPID, KEY)
    wrong = []

    def work(number):
        for count in range(200):
            message = f"{number}:{count}".encode() * number
            if cipher.decrypt(cipher.encrypt(message)) != message:
                wrong.append(message)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_late_message_under_the_previous_key_is_read_and_answers_use_the_current_one():
    before = CallbackCipher(APPID, OTHER_KEY)
    rotated = CallbackCipher(APPID, KEY, OTHER_KEY)
    assert rotated.decrypt(before.encrypt(b"late")) == b"late"
    assert rotated.decrypt(CallbackCipher(APPID, KEY).encrypt(b"new")) == b"new"
    assert reference_open(KEY, rotated.encrypt(b"answer")) == b"answer"
    with pytest.raises(CallbackError):
        CallbackCipher(APPID, KEY).decrypt(before.encrypt(b"late"))


BAD = {
    "empty": "",
    "not base64": "汉字",
    "junk in base64": "AAAA*AAA",
    "white space in base64": blocks(KEY, pad(layout(b"m")))[:8]
    + "\n"
    + blocks(KEY, pad(layout(b"m")))[8:],
    "data after the end": blocks(KEY, pad(layout(b"m"))) + "AAAA",
    "padding missing": base64.b64encode(b"x" * 32).decode().rstrip("="),
    "one block": blocks(KEY, b"\x10" * 16),
    "half a block": base64.b64encode(b"x" * 40).decode(),
    "pad 0": blocks(KEY, layout(b"m" * 12)[:-1] + b"\x00"),
    "pad 33": blocks(KEY, pad(layout(b"m"), 33)),
    "pad 255": blocks(KEY, pad(layout(b"m"), 255)),
    "pad bytes unequal": blocks(KEY, pad(layout(b"m"))[:-3] + b"\x00" + pad(layout(b"m"))[-2:]),
    "pad longer than all": blocks(KEY, b"\x20" * 32),
    "length too large": blocks(KEY, pad(layout(b"m", length=2))),
    "length too small": blocks(KEY, pad(layout(b"mm", length=1))),
    "length absurd": blocks(KEY, pad(layout(b"m", length=2**32 - 1))),
    "other appid": blocks(KEY, pad(layout(b"m", appid="wx0000000000000000"))),
    "appid missing": blocks(KEY, pad(layout(b"m", appid=""))),
    "appid longer": blocks(KEY, pad(layout(b"m", appid=APPID + "x"))),
    "other key": blocks(OTHER_KEY, pad(layout(b"m"))),
}


@pytest.mark.parametrize("name", BAD)
def test_unreadable_text_gives_one_error_that_does_not_say_why(name):
    cipher = CallbackCipher(APPID, KEY)
    with pytest.raises(CallbackError) as caught:
        cipher.decrypt(BAD[name])
    assert (caught.value.code, caught.value.status) == ("callback_cipher", 400)
    assert str(caught.value) == "callback_cipher: the encrypted part is not readable"
    assert cipher.decrypt(cipher.encrypt(b"afterwards")) == b"afterwards"


@settings(deadline=None, database=None)
@given(
    st.one_of(
        st.text(max_size=200), st.binary(max_size=200).map(lambda b: base64.b64encode(b).decode())
    )
)
def test_random_text_never_gives_another_error(text):
    cipher = CallbackCipher(APPID, KEY)
    with pytest.raises(CallbackError):
        cipher.decrypt(text)


@pytest.mark.parametrize("key", ["", "A" * 42, "A" * 44, "A" * 42 + "+", "A" * 42 + "=", "密" * 43])
def test_impossible_key_stops_the_start(key):
    with pytest.raises(ConfigError):
        CallbackCipher(APPID, key)
    if key:
        with pytest.raises(ConfigError):
            CallbackCipher(APPID, KEY, key)


def test_empty_appid_stops_the_start():
    with pytest.raises(ConfigError):
        CallbackCipher("", KEY)


def test_last_character_of_a_key_may_carry_bits_beyond_the_32_bytes():
    # "B" and "A" differ only in a bit that the 32 bytes do not hold.
    one, other = CallbackCipher(APPID, "A" * 42 + "B"), CallbackCipher(APPID, "A" * 43)
    assert one.decrypt(other.encrypt(b"m")) == b"m"
