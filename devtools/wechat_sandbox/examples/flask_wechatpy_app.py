"""An ordinary Flask application on wechatpy, as its documentation shows it; nothing is simulated.

Started by ``test_flask_wechatpy`` and by hand (README, "Quick start"). It knows nothing of the
sandbox: the one value that differs from production is ``api_url``.
"""

from __future__ import annotations

import argparse
from typing import Any

from flask import Flask, abort, request
from wechatpy import WeChatClient, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.replies import create_reply
from wechatpy.utils import check_signature

WECHAT = "https://api.weixin.qq.com"


def make_client(appid: str, secret: str, api_url: str = WECHAT) -> Any:
    """wechatpy's client with a base address of your choice.

    ``API_BASE_URL`` alone would do but for the token call, whose address wechatpy has written out.
    """

    class Client(WeChatClient):  # type: ignore[misc]
        API_BASE_URL = f"{api_url}/cgi-bin/"

        def fetch_access_token(self) -> Any:
            account = {
                "grant_type": "client_credential",
                "appid": self.appid,
                "secret": self.secret,
            }
            return self._fetch_access_token(f"{api_url}/cgi-bin/token", account)

    return Client(appid, secret)


def create_app(client: Any, token: str, aes_key: str, template_id: str) -> Flask:
    """Answers 电费 with a text at once and a template message beside it, all else with a help."""
    app = Flask(__name__)
    crypto = WeChatCrypto(token, aes_key, client.appid)

    @app.get("/wechat")
    def verify() -> str:
        query = request.args
        try:
            check_signature(token, query["signature"], query["timestamp"], query["nonce"])
        except InvalidSignatureException:
            abort(403)
        return query["echostr"]

    @app.post("/wechat")
    def receive() -> str:
        query = request.args
        proof = (query["msg_signature"], query["timestamp"], query["nonce"])
        try:
            message = parse_message(crypto.decrypt_message(request.data, *proof))
        except InvalidSignatureException:
            abort(403)
        answer = _answer(message)
        if answer is None:
            return "success"
        if answer == BILL:
            client.message.send_template(
                message.source, template_id, {"amount1": {"value": "88.60"}}
            )
        reply = create_reply(answer, message)
        return str(crypto.encrypt_message(reply.render(), query["nonce"], query["timestamp"]))

    return app


BILL = "账单已发给您，请查收"
HELP = "回复“电费”查账单"


def _answer(message: Any) -> str | None:
    if message.type == "event":
        return HELP if message.event == "subscribe" else None
    return BILL if message.type == "text" and message.content == "电费" else HELP


def main() -> None:
    """Serve on port 5000, for the sandbox or for WeChat."""
    parser = argparse.ArgumentParser()
    for name in ("appid", "secret", "token", "aes-key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--template-id", default="BILL")
    parser.add_argument("--api-url", default=WECHAT)
    options = parser.parse_args()
    client = make_client(options.appid, options.secret, options.api_url)
    create_app(client, options.token, options.aes_key, options.template_id).run(port=5000)


if __name__ == "__main__":
    main()
