"""Signs requests as Aliyun's RPC interfaces ask (signature version 1.0); sms_aliyun calls it.

Source: https://help.aliyun.com/document_detail/56189.html, which works an example of SendSms
through; the unit test of this module is that example.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote


def percent_encode(text: str) -> str:
    """Encode as RFC 3986: all but letters, digits and ``-_.~`` becomes ``%XX`` of its UTF-8."""
    return quote(text, safe="")


def canonical_query(params: Mapping[str, str]) -> str:
    """The parameters without ``Signature``, encoded, in the order of their bytes."""
    names = sorted(name for name in params if name != "Signature")
    return "&".join(f"{percent_encode(name)}={percent_encode(params[name])}" for name in names)


def string_to_sign(method: str, params: Mapping[str, str]) -> str:
    """What the signature is taken of: the method, the path, the canonical query once more."""
    return f"{method}&%2F&{percent_encode(canonical_query(params))}"


def signature(method: str, params: Mapping[str, str], secret: str) -> str:
    """HMAC-SHA1 in base64; the key is the secret with an ampersand behind it."""
    digest = hmac.new(f"{secret}&".encode(), string_to_sign(method, params).encode(), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()
