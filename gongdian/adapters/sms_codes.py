"""What to do about each code of Aliyun's SendSms (短信错误码), and how the console explains it.

Source: https://help.aliyun.com/document_detail/101346.html. A code that is not listed is
retried a bounded number of times by whoever counts attempts, as with WeChat.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gongdian.channels import ChannelRule, channel_refusal
from gongdian.errors import DeliveryError
from gongdian.ports import RefusalAction

_RETRY = RefusalAction.RETRY_LATER
_RECIPIENT = RefusalAction.REJECT_RECIPIENT
_MESSAGE = RefusalAction.REJECT_MESSAGE
_STOP = RefusalAction.STOP_CHANNEL

_LINK = "短信变量里不能放网址，网址须写在已报备的模板正文中"
_TEMPLATE = "短信模板不存在或未通过审核，请核对模板编号"
_SIGNATURE = "短信签名不存在、未通过审核或未完成实名报备，请核对签名"
_KEYS = "短信接口的 AccessKey 不正确或已停用，请核对配置"
_CLOCK = "服务器时间与阿里云相差超过 15 分钟，请校准时间"
_NOT_OPEN = "阿里云账号没有开通短信服务"


def _ours(explanation: str) -> ChannelRule:
    """The template, its parameters or the program are wrong: each message of the kind fails."""
    return ChannelRule(_MESSAGE, explanation, alarm=True)


RULES: dict[str, ChannelRule] = {
    "isv.BUSINESS_LIMIT_CONTROL": ChannelRule(
        _RETRY, "该号码短时间内收到的短信过多，稍后自动再发", only_recipient=True
    ),
    "isp.SYSTEM_ERROR": ChannelRule(_RETRY, "短信平台系统繁忙，稍后自动重试"),
    "SignatureNonceUsed": ChannelRule(_RETRY, "请求随机数重复，换一个随机数自动重试"),
    "ServiceUnavailable": ChannelRule(_RETRY, "短信平台暂时不可用，稍后自动重试"),
    "InternalError": ChannelRule(_RETRY, "短信平台内部错误，稍后自动重试"),
    "Throttling": ChannelRule(_RETRY, "调用过于频繁，下一分钟再试", "next_minute"),
    "isv.MOBILE_NUMBER_ILLEGAL": ChannelRule(_RECIPIENT, "手机号码格式不正确"),
    "isv.MOBILE_COUNT_OVER_LIMIT": _ours("一次提交的号码过多，属于程序缺陷"),
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": _ours("模板不支持境内号码，请更换模板"),
    "isv.SMS_TEMPLATE_ILLEGAL": _ours(_TEMPLATE),
    "isv.TEMPLATE_MISSING_PARAMETERS": _ours("模板变量缺少取值，请核对参数对照表"),
    "isv.TEMPLATE_PARAMS_ILLEGAL": _ours("变量取值与模板申请时的变量属性不符"),
    "isv.INVALID_JSON_PARAM": _ours("模板变量格式有误，属于程序缺陷"),
    "isv.INVALID_PARAMETERS": _ours("请求参数有误，请核对模板变量"),
    "isv.PARAM_LENGTH_LIMIT": _ours("模板变量的取值超过长度限制"),
    "isv.PARAM_NOT_SUPPORT_URL": _ours(_LINK),
    "isv.BLACK_KEY_CONTROL_LIMIT": ChannelRule(_MESSAGE, "变量内容被平台判为疑似违规"),
    "isv.SMS_CONTENT_ILLEGAL": _ours("短信内容包含平台禁止发送的内容"),
    "isv.SMS_SIGNATURE_ILLEGAL": ChannelRule(_STOP, _SIGNATURE),
    "isv.SMS_SIGN_ILLEGAL": ChannelRule(_STOP, _SIGNATURE),
    "isv.SIGN_STATE_ILLEGAL": ChannelRule(_STOP, _SIGNATURE),
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": ChannelRule(_STOP, "签名与模板类型不一致，请改用通用签名"),
    "isv.EXTEND_CODE_ERROR": ChannelRule(_STOP, "扩展码用在了不同签名上，请核对配置"),
    "isv.AMOUNT_NOT_ENOUGH": ChannelRule(_STOP, "短信账户余额不足，请充值"),
    "isv.OUT_OF_SERVICE": ChannelRule(_STOP, "短信账户因余额不足停机，请充值"),
    "isv.DAY_LIMIT_CONTROL": ChannelRule(
        _STOP, "已达到控制台设置的每日短信上限，次日零点恢复", "china_midnight"
    ),
    "isv.MONTH_LIMIT_CONTROL": ChannelRule(_STOP, "已达到控制台设置的每月短信上限"),
    "isv.DENY_IP_RANGE": ChannelRule(_STOP, "服务器出口 IP 不在中国内地，短信平台拒绝调用"),
    "isp.RAM_PERMISSION_DENY": ChannelRule(_STOP, "AccessKey 没有发送短信的权限，请授权"),
    "isv.PRODUCT_UN_SUBSCRIPT": ChannelRule(_STOP, _NOT_OPEN),
    "isv.PRODUCT_UNSUBSCRIBE": ChannelRule(_STOP, _NOT_OPEN),
    "isv.ACCOUNT_NOT_EXISTS": ChannelRule(_STOP, "短信账户不存在，请核对配置"),
    "isv.ACCOUNT_ABNORMAL": ChannelRule(_STOP, "短信账户异常，请登录阿里云查看"),
    "SignatureDoesNotMatch": ChannelRule(_STOP, "请求签名不符，请核对 AccessKey Secret"),
    "IncompleteSignature": ChannelRule(_STOP, "请求签名不完整，请核对 AccessKey Secret"),
    "InvalidAccessKeyId.NotFound": ChannelRule(_STOP, _KEYS),
    "InvalidAccessKeyId.Inactive": ChannelRule(_STOP, _KEYS),
    "InvalidAccessKeySecret": ChannelRule(_STOP, _KEYS),
    "Forbidden.RAM": ChannelRule(_STOP, "AccessKey 没有发送短信的权限，请授权"),
    "InvalidTimeStamp.Expired": ChannelRule(_STOP, _CLOCK),
    "InvalidTimeStamp.Format": _ours("请求时间格式有误，属于程序缺陷"),
    "InvalidVersion": ChannelRule(_STOP, "短信接口版本不正确，请核对接口地址"),
    "InvalidAction.NotFound": ChannelRule(_STOP, "接口地址不提供发送短信，请核对接口地址"),
}

# With HTTP 5xx these say that something broke, not that nothing was sent.
_DOUBTFUL = frozenset({"InternalError", "ServiceUnavailable", "isp.SYSTEM_ERROR"})

UNKNOWN = ChannelRule(_RETRY, "未收录的短信错误码，系统按有限次数重试，请人工核对")

# The code does not say which of the limits of one number was met; the text does.
_LIMITS = (("分钟", "next_minute"), ("小时", "next_hour"), ("天", "china_midnight"))
_DIGITS = re.compile(r"[0-9]{7,}")


def rule_of(code: str, message: str = "") -> ChannelRule:
    """The rule of a code; ``message`` tells the limits of a number apart."""
    if code == "isv.BUSINESS_LIMIT_CONTROL":
        resume = next((when for word, when in _LIMITS if word in message), "")
        return replace(RULES[code], resume=resume)
    if code.startswith("Throttling"):
        return RULES["Throttling"]
    return RULES.get(code, UNKNOWN)


def may_have_acted(code: str, status: int) -> bool:
    """Whether the message may have gone out in spite of this code and HTTP status."""
    return status >= 500 and (code in _DOUBTFUL or rule_of(code) is UNKNOWN)


def explain(code: str) -> str:
    """The code as the console shows it."""
    return f"{code}：{rule_of(code).explanation}"


def refusal(code: str, message: str, request_id: str = "") -> DeliveryError:
    """The error for a code; long digits in the provider's text (a phone) are hidden."""
    hidden = _DIGITS.sub("***", message)[:200]
    context = {"rid": request_id} if request_id else {}
    return channel_refusal(f"sms_{code}", rule_of(code, message), hidden, **context)
