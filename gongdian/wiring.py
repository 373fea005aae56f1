"""The composition root (装配): settings in, one House out; the only module that knows adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from gongdian.accounts.service import mark_refused
from gongdian.adapters.alarm_channels import MailAlarms, MailServer, WebhookAlarms
from gongdian.adapters.credentials_db import DatabaseCredentialStore
from gongdian.adapters.credentials_redis import RedisCredentialStore
from gongdian.adapters.mail_smtp import MailHost, SmtpMail
from gongdian.adapters.queue_local import LocalQueue
from gongdian.adapters.redis_front import RedisAnswers, RedisFront, RedisRate
from gongdian.adapters.sms_aliyun import AliyunAccount, AliyunSms
from gongdian.adapters.wechat_api.calls import AccountCalls
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.adapters.wechat_api.miniprogram import MiniProgram
from gongdian.adapters.wechat_api.transport import HttpLimits
from gongdian.alarms import AlarmChannel
from gongdian.clock import Clock, SystemClock
from gongdian.db import Database
from gongdian.local_keys import with_local_keys
from gongdian.outbox.composers import MailComposer, SmsComposer
from gongdian.outbox.delivery import Delivery, DeliveryParts
from gongdian.outbox.intents import Performer
from gongdian.outbox.model import CHANNEL_MAIL, CHANNEL_SMS, Attempt, SendingPolicy
from gongdian.outbox.queueing import Composer, Outbox
from gongdian.outbox.rates import DatabaseRate, RateBudget
from gongdian.outbox.senders import MailSender, Sender, SmsSender, TemplateSender
from gongdian.ports import CredentialStore, QueuePort, WechatAccount, WechatPort
from gongdian.privacy import DataKeys, install_keys
from gongdian.render.loader import ACCOUNTS, MESSAGES
from gongdian.render.registry import Registry
from gongdian.settings import Settings, refuse_bad_settings
from gongdian.wechat_ports import MiniProgramPort, WechatDesk

CALLBACK_PATIENCE_S = 0.8
# A page holds a thread that callbacks need too: it may not wait long for anybody.
PAGE_PATIENCE_S = 3.0
_OTHER_AT_ONCE = 10


class AnswerCache(Protocol):
    """Answers of callbacks by dedupe key; may forget at any time."""

    def get(self, dedupe: bytes) -> Mapping[str, Any] | None:
        """The kept answer, or None."""

    def put(self, dedupe: bytes, answer: Mapping[str, Any]) -> None:
        """Keep an answer."""


class NoAnswers:
    """The cache of an installation without Redis."""

    def get(self, dedupe: bytes) -> Mapping[str, Any] | None:
        """Nothing is kept."""
        return None

    def put(self, dedupe: bytes, answer: Mapping[str, Any]) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Line:
    """One channel as this installation has it (渠道): how it sends, and by which rules."""

    policy: SendingPolicy
    sender: Sender
    concurrency: int
    per_second: int
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class House:
    """Everything that edges work with."""

    settings: Settings
    clock: Clock
    database: Database
    callback_database: Database
    page_database: Database
    outbox: Outbox
    wechat: WechatPort
    visitors: WechatPort
    desk: WechatDesk
    miniprogram: MiniProgramPort | None
    rate: RateBudget
    queue: QueuePort
    answers: AnswerCache
    redis: RedisFront | None
    alarm_channels: tuple[AlarmChannel, ...]
    lines: tuple[Line, ...]

    @property
    def account(self) -> str:
        """The appid that this house serves."""
        return self.settings.wechat_appid

    def performers(self) -> dict[str, Performer]:
        """Who performs which kind of intent."""
        return {"wechat_text": self._send_text}

    def _send_text(self, payload: Mapping[str, Any]) -> None:
        self.wechat.send_text(str(payload["openid"]), str(payload["text"]))

    def close(self) -> None:
        """Close connections."""
        self.database.close()
        self.callback_database.close()
        self.page_database.close()
        for line in self.lines:
            line.close()
        if self.redis is not None:
            self.redis.close()


def build_house(settings: Settings, clock: Clock | None = None) -> House:
    """Build from settings; ConfigError lists everything that forbids to start."""
    refuse_bad_settings(settings)
    settings = with_local_keys(settings)
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
    install_keys(DataKeys(settings.data_key, settings.index_key, settings.previous_data_key))
    clock = clock or SystemClock()
    database = Database(settings.database, connections=settings.database_connections)
    front = RedisFront(settings.redis_url) if settings.redis_url else None
    rate: RateBudget = DatabaseRate(database)
    store: CredentialStore = DatabaseCredentialStore(database, clock)
    if front is not None:
        rate = RedisRate(front, rate)
        store = RedisCredentialStore(front, store)
    wechat = _wechat(settings, store, clock, settings.send_timeout_s)
    visitors = _wechat(settings, store, clock, min(PAGE_PATIENCE_S, settings.send_timeout_s))
    outbox = _outbox(settings)
    return House(
        settings=settings,
        clock=clock,
        database=database,
        callback_database=database.impatient(CALLBACK_PATIENCE_S),
        page_database=database.impatient(PAGE_PATIENCE_S),
        outbox=outbox,
        wechat=wechat,
        visitors=visitors,
        desk=wechat.desk(),
        miniprogram=_miniprogram(settings, store, clock),
        rate=rate,
        queue=LocalQueue(database, clock),
        answers=RedisAnswers(front) if front is not None else NoAnswers(),
        redis=front,
        alarm_channels=_alarm_channels(settings),
        lines=_lines(settings, outbox, (wechat, visitors), clock),
    )


def _lines(
    settings: Settings, outbox: Outbox, wechat: tuple[WechatApi, ...], clock: Clock
) -> tuple[Line, ...]:
    """WeChat first; text messages and mail where the settings have them."""
    lines = [
        Line(
            outbox.policy,
            TemplateSender(wechat[0]),
            settings.send_concurrency,
            settings.send_rate_per_s,
            partial(_close_all, wechat),
        )
    ]
    # Neither recognises a repetition: an unknown outcome is not tried again.
    other = replace(outbox.policy, unknown_window=timedelta(0))
    if settings.sms_access_key_id:
        provider = _sms(settings, clock)
        sms = SmsSender(provider, settings.sms_sign_name, settings.sms_cost_fen)
        policy = replace(
            other,
            channel=CHANNEL_SMS,
            daily_quota=settings.sms_daily_quota,
            daily_cost_fen=settings.sms_daily_cost_fen or None,
        )
        lines.append(Line(policy, sms, _OTHER_AT_ONCE, settings.sms_rate_per_s, provider.close))
    if settings.mail_from:
        host = _mail(settings, clock)
        mail = MailSender(host, settings.mail_from.rpartition("@")[2])
        policy = replace(other, channel=CHANNEL_MAIL, daily_quota=settings.mail_daily_quota)
        lines.append(Line(policy, mail, _OTHER_AT_ONCE, settings.mail_rate_per_s, host.close))
    return tuple(lines)


def _close_all(clients: tuple[WechatApi, ...]) -> None:
    for client in clients:
        client.close()


def _sms(settings: Settings, clock: Clock) -> AliyunSms:
    return AliyunSms(
        AliyunAccount(
            settings.sms_access_key_id,
            settings.sms_access_key_secret,
            settings.sms_endpoint,
            total_s=settings.send_timeout_s,
            in_flight=_OTHER_AT_ONCE,
        ),
        clock,
    )


def _mail(settings: Settings, clock: Clock) -> SmtpMail:
    return SmtpMail(
        MailHost(
            settings.smtp_host,
            settings.smtp_port,
            settings.mail_from,
            sender_name=settings.company_name,
            reply_to=settings.mail_reply_to,
            user=settings.smtp_user,
            password=settings.smtp_password,
            starttls=settings.smtp_starttls,
            ca_file=settings.smtp_ca_file,
            timeout_s=settings.send_timeout_s,
            total_s=settings.send_timeout_s,
        ),
        clock,
    )


def _outbox(settings: Settings) -> Outbox:
    accounts = Path(settings.templates_dir) if settings.templates_dir else ACCOUNTS
    policy = SendingPolicy(
        account=settings.wechat_appid,
        daily_quota=settings.daily_quota,
        contact_daily_cap=settings.contact_daily_cap,
        quiet_hours=settings.quiet_hours,
        lease=timedelta(seconds=settings.send_lease_s),
        receipt_timeout=timedelta(seconds=settings.receipt_timeout_s),
    )
    registry = Registry.load(MESSAGES, accounts)
    return Outbox(policy, registry, settings.public_url, _composers(settings, registry))


def _composers(settings: Settings, registry: Registry) -> dict[str, Composer]:
    """The texts of the channels that this installation has besides WeChat."""
    account = settings.wechat_appid
    found: dict[str, Composer] = {}
    if settings.sms_access_key_id:
        found[CHANNEL_SMS] = SmsComposer(registry, account)
    if settings.mail_from:
        found[CHANNEL_MAIL] = MailComposer(
            registry, account, settings.company_name, settings.service_phone
        )
    return found


def _wechat(settings: Settings, store: CredentialStore, clock: Clock, total_s: float) -> WechatApi:
    return WechatApi(
        WechatAccount(settings.wechat_appid, settings.wechat_secret),
        store,
        clock,
        api_url=settings.wechat_api_url,
        open_url=settings.wechat_open_url,
        limits=_http_limits(settings, total_s),
    )


def _miniprogram(settings: Settings, store: CredentialStore, clock: Clock) -> MiniProgram | None:
    if not settings.miniprogram_appid:
        return None
    account = WechatAccount(settings.miniprogram_appid, settings.miniprogram_secret)
    limits = _http_limits(settings, settings.send_timeout_s)
    calls = AccountCalls(account, store, clock, api_url=settings.wechat_api_url, limits=limits)
    return MiniProgram(calls)


def _http_limits(settings: Settings, total: float) -> HttpLimits:
    return HttpLimits(
        connect_s=min(3.0, total),
        read_s=min(5.0, total),
        total_s=total,
        in_flight=settings.send_concurrency,
    )


def _alarm_channels(settings: Settings) -> tuple[AlarmChannel, ...]:
    found: list[AlarmChannel] = []
    if settings.alarm_webhook_url:
        found.append(WebhookAlarms(settings.alarm_webhook_url))
    receivers = tuple(one.strip() for one in settings.alarm_mail_to.split(",") if one.strip())
    if settings.smtp_host and receivers:
        found.append(
            MailAlarms(
                MailServer(
                    host=settings.smtp_host,
                    port=settings.smtp_port,
                    user=settings.smtp_user,
                    password=settings.smtp_password,
                    starttls=settings.smtp_starttls,
                    sender=settings.alarm_mail_from or receivers[0],
                    receivers=receivers,
                    ca_file=settings.smtp_ca_file,
                )
            )
        )
    return tuple(found)


def build_delivery(
    house: House,
    worker: str,
    on_attempt: Callable[[Attempt], None] = lambda attempt: None,
    line: Line | None = None,
) -> Delivery:
    """The relay of one channel in one worker process; the first channel's without ``line``."""
    chosen = line or house.lines[0]
    parts = DeliveryParts(
        database=house.database,
        sender=chosen.sender,
        rate=house.rate,
        clock=house.clock,
        policy=chosen.policy,
        on_refused=mark_refused,
        on_attempt=on_attempt,
        concurrency=chosen.concurrency,
        per_second=chosen.per_second,
        send_timeout=timedelta(seconds=house.settings.send_timeout_s),
    )
    return Delivery(parts, worker)
