"""What to do about each WeChat errcode (错误码), and how the console explains it; client calls it.

Source: the platform's errcode pages. A code that is not listed here is unknown: it is retried a
bounded number of times by whoever counts attempts, because a new code is more often a passing
fault than a verdict on the message, and a message thrown away cannot be brought back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gongdian.errors import PlatformRefusalError
from gongdian.ports import RefusalAction

_RETRY = RefusalAction.RETRY_LATER
_REFRESH = RefusalAction.REFRESH_TOKEN
_RECIPIENT = RefusalAction.REJECT_RECIPIENT
_MESSAGE = RefusalAction.REJECT_MESSAGE
_STOP = RefusalAction.STOP_CHANNEL


@dataclass(frozen=True, slots=True)
class ErrcodeRule:
    """How one errcode is handled.

    ``permanent``: this message can never pass as it is. ``retry_once``: allow one delayed retry
    all the same. ``resume``: when to go on, ``next_minute`` or ``china_midnight`` or nothing.
    ``alarm``: a mistake of ours that every message of this kind will meet.
    """

    action: RefusalAction
    permanent: bool
    chinese: str
    english: str
    retry_once: bool = False
    resume: str = ""
    alarm: bool = False


def _stop(chinese: str, english: str, resume: str = "") -> ErrcodeRule:
    return ErrcodeRule(_STOP, False, chinese, english, resume=resume)


def _recipient(chinese: str, english: str) -> ErrcodeRule:
    return ErrcodeRule(_RECIPIENT, True, chinese, english)


def _message(chinese: str, english: str, *, retry_once: bool = False) -> ErrcodeRule:
    return ErrcodeRule(_MESSAGE, True, chinese, english, retry_once=retry_once)


def _ours(chinese: str, english: str) -> ErrcodeRule:
    """The template, its address or the program are wrong: each message of the kind fails."""
    return ErrcodeRule(_MESSAGE, True, chinese, english, alarm=True)


_TOKEN_CHINESE = "接口凭证无效或已过期，系统会刷新一次；若反复出现，说明有别的系统在刷新凭证"  # noqa: S105

RULES: dict[int, ErrcodeRule] = {
    -1: ErrcodeRule(_RETRY, False, "微信系统繁忙，稍后自动重试", "system busy"),
    40001: ErrcodeRule(_REFRESH, False, _TOKEN_CHINESE, "token invalid"),
    40014: ErrcodeRule(_REFRESH, False, _TOKEN_CHINESE, "token illegal"),
    42001: ErrcodeRule(_REFRESH, False, _TOKEN_CHINESE, "token expired"),
    40013: _stop("公众号 AppID 不正确，请检查配置", "appid wrong"),
    40125: _stop("公众号 AppSecret 不正确，请检查配置", "secret wrong"),
    41002: _stop("请求缺少 AppID，请检查配置", "appid missing"),
    41004: _stop("请求缺少 AppSecret，请检查配置", "secret missing"),
    89503: _stop("微信要求公众号管理员确认本次调用，请管理员在手机上确认", "admin must confirm"),
    40164: _stop("服务器出口 IP 不在公众号后台的 IP 白名单中", "caller address not allowed"),
    61004: _stop("服务器出口 IP 未登记，微信拒绝调用", "caller address not registered"),
    40003: _recipient("接收人的 OpenID 无效", "openid invalid"),
    43004: _recipient("接收人没有关注公众号", "recipient does not follow"),
    43019: _recipient("接收人在公众号黑名单中", "recipient is on the blacklist"),
    43101: _recipient("接收人没有订阅、订阅次数已用完或拒收", "no subscription"),
    40037: _message(
        "模板编号不正确；微信偶有误报，延迟再试一次", "template id wrong", retry_once=True
    ),
    40036: _ours("模板编号长度不正确", "template id has a wrong length"),
    41030: _ours("小程序页面路径不正确，请检查配置", "page path wrong"),
    47001: _ours("请求内容的格式微信无法解析，属于程序缺陷", "body not parsable"),
    47003: _ours("模板中某个参数的值不合规则", "a template value is invalid"),
    45002: _ours("消息内容超过长度限制", "content too long"),
    45009: _stop("今日接口调用次数已用完，次日零点恢复", "daily quota used", "china_midnight"),
    45011: ErrcodeRule(
        _RETRY, False, "调用过于频繁，下一分钟再试", "minute quota used", resume="next_minute"
    ),
    45015: _message("已超过客服消息的时限，改发模板消息", "service window closed"),
    45047: _message("客服消息条数已用完，改发模板消息", "service messages used up"),
    45109: _ours("该接口已被微信下线，属于程序缺陷", "interface withdrawn"),
    48001: _stop("公众号没有该接口的权限，请在后台开通", "interface not authorised"),
    48004: _stop("该接口已被微信封禁，请登录公众号后台查看", "interface banned"),
    50002: _stop("公众号或用户受限，请登录公众号后台查看", "account limited"),
    40029: _message("登录授权码无效，请重新进入页面", "login code invalid"),
    40163: _message("登录授权码已使用过，请重新进入页面", "login code used"),
    40007: _message("媒体文件编号无效或已过期，请重新上传", "media id invalid or expired"),
    40004: _message("媒体文件的类型不正确", "media type wrong"),
    40005: _message("文件格式不是微信支持的格式", "file format wrong"),
    40006: _message("文件大小超过限制", "file too large"),
    40009: _message("图片大小超过限制", "image too large"),
    40010: _message("语音大小超过限制", "voice too large"),
    40011: _message("视频大小超过限制", "video too large"),
    40012: _message("缩略图大小超过限制", "thumb too large"),
    41005: _message("请求里没有文件内容，属于程序缺陷", "file missing"),
    40016: _message("菜单按钮个数应为1至3个", "number of menu buttons wrong"),
    40017: _message("菜单按钮类型不正确", "menu button type wrong"),
    40018: _message("菜单按钮名称的长度不合规则", "menu button name has a wrong length"),
    40019: _message("菜单按钮 KEY 的长度不合规则", "menu button key has a wrong length"),
    40020: _message("菜单按钮网址的长度不合规则", "menu button address has a wrong length"),
    40023: _message("子菜单按钮个数应为1至5个", "number of sub-buttons wrong"),
    40024: _message("子菜单按钮类型不正确", "sub-button type wrong"),
    40025: _message("子菜单按钮名称的长度不合规则", "sub-button name has a wrong length"),
    40026: _message("子菜单按钮 KEY 的长度不合规则", "sub-button key has a wrong length"),
    40027: _message("子菜单按钮网址的长度不合规则", "sub-button address has a wrong length"),
    46003: _message("公众号还没有自定义菜单", "no menu"),
    40097: _message("请求参数不正确，属于程序缺陷", "arguments wrong"),
    40165: _ours("小程序页面路径不正确或尚未发布", "mini-program page wrong"),
    40212: _message("小程序链接的参数不合规则", "query of the link wrong"),
    40002: _ours("请求的 grant_type 不正确，属于程序缺陷", "grant type wrong"),
    40008: _ours("消息类型不正确，属于程序缺陷", "message type wrong"),
    40052: _message("二维码的类型不正确，属于程序缺陷", "kind of the QR code wrong"),
    40053: _message("二维码的场景参数不正确", "scene of the QR code wrong"),
    40054: _message("子菜单按钮网址的域名不合规则", "domain of a sub-button wrong"),
    40055: _message("菜单按钮网址的域名不合规则", "domain of a button wrong"),
    40066: _ours("链接网址不合规则，请核对对外网址的配置", "address wrong"),
    41001: _ours("请求缺少接口凭证，属于程序缺陷", "token missing"),
    41006: _message("请求里没有媒体文件编号，属于程序缺陷", "media id missing"),
    41008: _message("请求里没有登录授权码，请重新进入页面", "login code missing"),
    41009: _message("请求里没有接收人的 OpenID", "openid missing"),
    43001: _ours("接口要求用 GET 调用，属于程序缺陷", "GET asked for"),
    43002: _ours("接口要求用 POST 调用，属于程序缺陷", "POST asked for"),
    44001: _message("媒体文件是空的", "file empty"),
    44002: _ours("请求内容是空的，属于程序缺陷", "body empty"),
    44004: _message("消息内容是空的", "content empty"),
    45029: _message("永久二维码的数量已达上限", "too many lasting QR codes"),
    85401: _message("小程序链接的有效期应为1分钟至30天", "life of the link wrong"),
    40226: _message("微信判定该用户为高风险用户，不能登录小程序", "login of a risky user blocked"),
    48006: _message("本月的额度清零次数已用完", "no more quota resets this month"),
    76003: _message("接口路径要以 / 开头，不带域名", "path of the interface malformed"),
    76021: _message("没有这个接口路径", "no such interface"),
    76022: _message("该接口不属于这个账号，或不支持查询额度", "interface not of this account"),
}

UNKNOWN = ErrcodeRule(
    _RETRY, False, "未收录的微信错误码，系统按有限次数重试，请人工核对", "unknown errcode"
)

# The codes that say "this access_token is no good" (the set that the peers treat so as well).
TOKEN_ERRCODES = frozenset({40001, 40014, 42001})

_RID = re.compile(r"rid:\s*([0-9A-Za-z]+(?:-[0-9A-Za-z]+)+)")
_FIELD = re.compile(r"data\.([A-Za-z_]+[0-9]*)(?:\.value)?")


def rule_of(errcode: int) -> ErrcodeRule:
    """The rule of an errcode; ``UNKNOWN`` for one that is not listed."""
    return RULES.get(errcode, UNKNOWN)


def explain(errcode: int) -> str:
    """The errcode as the console shows it: number and Chinese explanation."""
    return f"{errcode}：{rule_of(errcode).chinese}"


def rid_of(errmsg: str) -> str:
    """The platform's request id inside an errmsg (``... rid: 5f-ab-12``), or nothing."""
    found = _RID.search(errmsg)
    return found.group(1) if found else ""


def field_of(errmsg: str) -> str:
    """The template keyword that a 47003 complains about (``thing23``), or nothing."""
    found = _FIELD.search(errmsg)
    return found.group(1) if found else ""


def refusal(errcode: int, errmsg: str) -> PlatformRefusalError:
    """The error for an errcode.

    Its ``context`` also has ``explanation`` (Chinese) and, when they apply: ``field`` (47003),
    ``retry_once`` (True), ``resume`` (``next_minute`` or ``china_midnight``), ``alarm`` (True).
    """
    rule = rule_of(errcode)
    error = PlatformRefusalError(
        errcode=errcode,
        errmsg=errmsg,
        rid=rid_of(errmsg),
        action=rule.action,
        permanent=rule.permanent,
    )
    extras = {
        "explanation": rule.chinese,
        "field": field_of(errmsg) if errcode == 47003 else "",
        "retry_once": rule.retry_once,
        "resume": rule.resume,
        "alarm": rule.alarm,
    }
    error.context.update({name: value for name, value in extras.items() if value})
    return error


def credential_refusal(errcode: int, errmsg: str) -> PlatformRefusalError:
    """The error for an errcode of the token endpoint itself.

    There a "token invalid" means a wrong secret: refreshing cannot help, so the channel stops.
    """
    error = refusal(errcode, errmsg)
    if errcode in TOKEN_ERRCODES:
        error.action = RefusalAction.STOP_CHANNEL
        error.context["action"] = RefusalAction.STOP_CHANNEL
    return error
