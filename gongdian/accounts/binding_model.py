"""Binding a 户号 to a WeChat contact (绑定户号), plain values: what is asked, answered, decided."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gongdian.errors import InputError

CODE_LIFE = timedelta(minutes=5)
CODE_TRIES = 5
CODES_AN_HOUR = 3
WAITING_LIFE = timedelta(days=30)
WAITING_AT_ONCE = 5
RATE_WINDOW = timedelta(hours=1)
RESIDENTIAL = "residential"
MANAGER = "manager"

_CUSTOMER_NO = re.compile(r"[0-9A-Za-z-]{4,20}")
_LONGEST = {"name": 100, "position": 40, "authorisation": 200, "phone": 20}


class RequestKind(StrEnum):
    """How a binding is proven."""

    RESIDENT = "resident"
    COMPANY = "company"


class RequestState(StrEnum):
    """Where a request to bind stands."""

    CODE_SENT = "code_sent"
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


STATE_LABELS: Mapping[RequestState, str] = {
    RequestState.CODE_SENT: "待输入验证码",
    RequestState.WAITING: "待审核",
    RequestState.APPROVED: "已通过",
    RequestState.REFUSED: "未通过",
    RequestState.EXPIRED: "已过期",
    RequestState.WITHDRAWN: "已撤销",
}

OPEN_STATES = (RequestState.CODE_SENT.value, RequestState.WAITING.value)

ROLE_LABELS: Mapping[str, str] = {
    "owner": "户主",
    "legal_person": "法人",
    "finance": "财务",
    "electrical": "电气负责人",
    "agent": "经办人",
    MANAGER: "客户经理",
}


class CodeAnswer(StrEnum):
    """What became of a code that somebody typed."""

    BOUND = "bound"
    WRONG = "wrong"
    TOO_MANY = "too_many"
    EXPIRED = "expired"


CODE_ANSWER_TEXTS: Mapping[CodeAnswer, str] = {
    CodeAnswer.BOUND: "绑定成功",
    CodeAnswer.WRONG: "验证码不正确，请核对后重新输入",
    CodeAnswer.TOO_MANY: "验证码错误次数过多，请重新获取",
    CodeAnswer.EXPIRED: "验证码已失效，请重新获取",
}

# The same words whether or not the 户号 and the name exist.
CODE_SENT_TEXT = "如户号、户名与登记一致，验证码已发到登记的手机，5分钟内有效"


@dataclass(frozen=True, slots=True)
class AskResidentBinding:
    """A resident asks: 户号 and 户名; the code goes to the phone on file, whoever asks."""

    contact_id: int
    customer_no: str
    customer_name: str = field(repr=False)
    consent_version: str
    consent_digest: str


@dataclass(frozen=True, slots=True)
class CodeAsked:
    """The answer to every request for a code, sent or not."""

    request_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """A code on its way to the phone on file."""

    request_id: int
    contact_id: int
    customer_no: str
    code: str = field(repr=False)
    phone: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DecidedRequest:
    """What a contact is told about their request; ``tip`` is cut to what a card takes."""

    request_id: int
    customer_no: str
    is_approved: bool
    tip: str


@dataclass(frozen=True, slots=True)
class ConfirmCode:
    """The code that somebody typed for their request."""

    contact_id: int
    request_id: int
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CodeChecked:
    """What became of it; ``customer_no`` only when it is bound now."""

    answer: CodeAnswer
    customer_no: str = ""
    tries_left: int = 0


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who acts for a company (经办人) and by what authorisation (授权书编号或事由)."""

    name: str = field(repr=False)
    phone: str = field(repr=False)
    position: str
    authorisation: str = field(repr=False)

    def as_json(self) -> dict[str, str]:
        """As a request keeps it."""
        return {
            "name": self.name,
            "phone": self.phone,
            "position": self.position,
            "authorisation": self.authorisation,
        }


@dataclass(frozen=True, slots=True)
class AskCompanyBinding:
    """Somebody asks in the name of a company; the office decides."""

    contact_id: int
    customer_no: str
    applicant: Applicant
    consent_version: str
    consent_digest: str


@dataclass(frozen=True, slots=True)
class DecideCompanyBinding:
    """The office's decision; ``level`` is the contact level (联络级别) of an approved one."""

    request_id: int
    is_approved: bool
    by: str
    reason: str = ""
    level: int = 1


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A company's request as the office sees it; ``applicant`` is empty once it is erased."""

    id: int
    contact_id: int
    customer_no: str
    state: RequestState
    applicant: Applicant | None
    requested_at: datetime
    expires_at: datetime
    # what the office must know first: '', no_customer, closed, residential, holder_changed
    obstacle: str
    customer_name: str = field(repr=False)
    station: str
    decided_by: str = ""
    reason: str = ""


OBSTACLE_LABELS: Mapping[str, str] = {
    "": "",
    "no_customer": "没有这个户号",
    "closed": "该户已销户",
    "residential": "居民户，请客户用短信验证码绑定",
    "holder_changed": "提出申请后已过户或更名",
}


def clean_customer_no(text: str) -> str:
    """A 户号 as people type it; InputError when it cannot be one (nothing is looked up)."""
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    if not _CUSTOMER_NO.fullmatch(plain):
        raise InputError("bad_customer_no", "4 to 20 digits or letters", field="customer_no")
    return plain


def clean_applicant(applicant: Applicant) -> Applicant:
    """Without blanks at the ends; InputError names a field that is empty or too long."""
    words = {name: " ".join(text.split()) for name, text in applicant.as_json().items()}
    for name, text in words.items():
        if not text or len(text) > _LONGEST[name]:
            raise InputError("bad_applicant", f"1 to {_LONGEST[name]} characters", field=name)
    return Applicant(**words)
