"""What to do about each reply of a mail server (SMTP 应答), and how the console explains it.

Sources: RFC 5321 (reply codes), RFC 3463 and RFC 7372 (enhanced status codes). The stage counts:
the same 550 means the mailbox after RCPT and the content after DATA. Once a recipient is named, a
refusal is about this mail: it never stops the channel, since one recipient's server may dislike
us for reasons of its own. Called by mail_smtp.
"""

from __future__ import annotations

import re
from enum import StrEnum

from gongdian.channels import ChannelRule, channel_refusal
from gongdian.errors import DeliveryError
from gongdian.ports import RefusalAction

_LATER = ChannelRule(RefusalAction.RETRY_LATER, "收件服务器暂时不接收，稍后自动重试")
_GREY = ChannelRule(RefusalAction.RETRY_LATER, "收件人邮箱暂时不可用，稍后自动重试")
_MAILBOX = ChannelRule(RefusalAction.REJECT_RECIPIENT, "收件人邮箱不存在或已停用")
_FULL = ChannelRule(RefusalAction.REJECT_MESSAGE, "收件人邮箱已满，本封邮件未收下")
_CONTENT = ChannelRule(RefusalAction.REJECT_MESSAGE, "邮件内容被收件服务器拒收")
_SIZE = ChannelRule(RefusalAction.REJECT_MESSAGE, "邮件超过大小限制")
_PROTOCOL = ChannelRule(
    RefusalAction.REJECT_MESSAGE, "邮件服务器不认可会话步骤，属于程序缺陷", alarm=True
)
_LOGIN = ChannelRule(RefusalAction.STOP_CHANNEL, "邮件账号或密码不正确，请核对配置")
_SENDER = ChannelRule(RefusalAction.STOP_CHANNEL, "发件地址不被邮件服务器接受，请核对配置")
# Perhaps this recipient's own wish, perhaps our right to relay, reputation or domain records.
_POLICY = ChannelRule(
    RefusalAction.REJECT_MESSAGE,
    "邮件服务器按策略拒收（收件人设置、转发权限、信誉或域名验证）",
    alarm=True,
)
_SERVER = ChannelRule(RefusalAction.STOP_CHANNEL, "邮件服务器不提供服务，请联系邮件管理员")
NO_TLS = ChannelRule(
    RefusalAction.STOP_CHANNEL, "邮件服务器不支持加密（STARTTLS）或证书不可信，请核对配置"
)
BAD_ADDRESS = ChannelRule(RefusalAction.REJECT_RECIPIENT, "收件地址格式不正确")

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
_ADDRESS = re.compile(r"[^\s<>:;,]+@[^\s<>:;,]+")
# Sender authentication of the whole domain or host (RFC 7372): no mail of ours would pass.
_DOMAIN_CHECKS = frozenset(range(20, 30))
_SIZES = frozenset({"5.2.3", "5.3.4"})
_NOT_LOGGED_IN = (530, 534, 535, 538)
_OUT_OF_STEP = (500, 502, 503)


class Stage(StrEnum):
    """How far a session had come."""

    CONNECT = "connect"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


def enhanced_of(reply: str) -> str:
    """The enhanced status code at the beginning of a reply (``5.1.1``), or nothing."""
    found = _ENHANCED.match(reply.strip())
    return found.group(0) if found else ""


def rule_of(stage: Stage, code: int, enhanced: str = "") -> ChannelRule:
    """The one rule for a refusal: 4xx is tried again, 5xx by stage and enhanced code."""
    if code < 500:
        return _GREY if stage is Stage.RECIPIENT else _LATER
    if stage is Stage.RECIPIENT:
        return _recipient_rule(code, enhanced)
    if stage is Stage.CONTENT:
        return _content_rule(code, enhanced)
    if stage is Stage.LOGIN or code in _NOT_LOGGED_IN:
        return _LOGIN
    if stage is Stage.CONNECT:
        return _SERVER
    if code == 552 or enhanced in _SIZES:
        return _SIZE
    return _PROTOCOL if code in _OUT_OF_STEP else _SENDER


def _recipient_rule(code: int, enhanced: str) -> ChannelRule:
    if enhanced in _SIZES:
        return _SIZE
    if enhanced == "5.2.2" or (code == 552 and not enhanced):
        return _FULL
    if enhanced.startswith("5.7.") or code in _NOT_LOGGED_IN:
        return _POLICY
    if enhanced.startswith(("5.1.", "5.2.", "5.4.")):
        return _MAILBOX
    if code in _OUT_OF_STEP:
        return _PROTOCOL
    # 554 without a mailbox reason is what servers say to a sender that they do not want.
    return _POLICY if code == 554 else _MAILBOX


def _content_rule(code: int, enhanced: str) -> ChannelRule:
    if enhanced == "5.2.2":
        return _FULL
    if code == 552 or enhanced in _SIZES:
        return _SIZE
    if enhanced.startswith(("5.1.", "5.2.")):
        return _MAILBOX
    if enhanced.startswith("5.7.") and int(enhanced.rpartition(".")[2]) in _DOMAIN_CHECKS:
        return _POLICY
    return _POLICY if code in _NOT_LOGGED_IN else _CONTENT


def refusal(stage: Stage, code: int, reply: bytes | str) -> DeliveryError:
    """The error for a reply; addresses in the server's text are hidden."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    enhanced = enhanced_of(text)
    name = f"smtp_{code}_{enhanced}" if enhanced else f"smtp_{code}"
    shown = _ADDRESS.sub("***", " ".join(text.split()))[:200]
    return channel_refusal(name, rule_of(stage, code, enhanced), shown, stage=stage.value)
