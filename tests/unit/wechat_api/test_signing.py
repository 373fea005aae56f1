"""Login address and JSSDK signature."""

import pytest

from gongdian.adapters.wechat_api.signing import build_authorize_url, sign_jssdk
from gongdian.errors import InputError

TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
        ("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
        ("http://mp.weixin.qq.com?params=value#top", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
    ],
)
def test_the_jssdk_signature_agrees_with_the_published_vectors(url: str, signature: str):
    assert sign_jssdk(TICKET, "Wm3WZYTPz0wzccnW", 1414587457, url) == signature


def test_the_login_address_has_the_documented_order_and_fragment():
    address = build_authorize_url(
        "https://open.weixin.qq.com", "wx1", "https://h5.example/a?b=c&d=e", "St4te", "snsapi_base"
    )
    assert address == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1"
        "&redirect_uri=https%3A%2F%2Fh5.example%2Fa%3Fb%3Dc%26d%3De&response_type=code"
        "&scope=snsapi_base&state=St4te#wechat_redirect"
    )


@pytest.mark.parametrize(
    ("redirect", "state", "scope"),
    [
        ("https://h5.example/", "", "snsapi_base"),
        ("https://h5.example/", "a" * 129, "snsapi_base"),
        ("https://h5.example/", "a&b=c", "snsapi_base"),
        ("https://h5.example/", "a", "snsapi_login"),
        ("javascript:alert(1)", "a", "snsapi_base"),
    ],
)
def test_a_login_address_that_the_platform_would_refuse_is_not_built(
    redirect: str, state: str, scope: str
):
    with pytest.raises(InputError):
        build_authorize_url("https://open.weixin.qq.com", "wx1", redirect, state, scope)
