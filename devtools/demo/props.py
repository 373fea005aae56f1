"""What lies on the demo's stage (道具): four people's phones and the account's bottom menu.

Called by the demo and by the test that looks at the Phones page.
"""

from __future__ import annotations

from functools import partial

from devtools.demo.stage import Stage
from devtools.wechat_sandbox.cast import CAST
from devtools.wechat_sandbox.phone import Phone
from gongdian.accounts.channels import set_channel
from gongdian.accounts.service import meet_contact
from gongdian.db import Session
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, FallbackStep

# What these four are in 云溪县; the sandbox's own words for them fit any application.
ROLES = {"李女士": "居民客户", "王先生": "企业财务", "小赵": "居民客户", "老周": "居民客户"}


def hand_out_phones(stage: Stage) -> dict[str, Phone]:
    """The people of the demo, by name, and a menu; nobody follows the account yet.

    The customer's number and mail address are registered, as the counter would have done.
    """
    stage.sandbox.desks.menus.create({"button": _menu(stage.web_url)})
    phones = {
        person["name"]: stage.sandbox.add_phone(**{**person, "role": ROLES[person["name"]]})
        for person in CAST
    }
    customer, *_ = CAST
    stage.house.database.run(
        partial(_register, stage=stage, openid=phones[customer["name"]].openid, person=customer)
    )
    return phones


def _register(session: Session, stage: Stage, openid: str, person: dict[str, str]) -> None:
    now = stage.clock.now()
    contact = meet_contact(session, stage.house.account, openid, now)
    sms = FallbackStep(CHANNEL_SMS, person["phone_number"])
    mail = FallbackStep(CHANNEL_MAIL, person["mail_address"])
    for position, step in enumerate((sms, mail)):
        set_channel(session, contact.id, step, position, now)


def _menu(web_url: str) -> list[dict[str, object]]:
    bind = {"type": "click", "name": "绑定微信", "key": "BIND"}
    ways = {"type": "view", "name": "接收方式", "url": f"{web_url}/h5/channels"}
    place = {"type": "location_select", "name": "发送位置", "key": "PLACE"}
    code = {"type": "scancode_push", "name": "扫电表二维码", "key": "METER"}
    return [
        {"type": "view", "name": "我的电费", "url": f"{web_url}/h5/bills"},
        {"type": "view", "name": "绑定户号", "url": f"{web_url}/h5/customer-binding"},
        {"name": "更多服务", "sub_button": [bind, ways, place, code]},
    ]
