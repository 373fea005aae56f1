"""The web application of one machine (网页服务): ``create_app(house, role)``; gunicorn runs it.

Roles: ``edge`` is the internet side (callbacks, H5 pages), ``core`` the intranet side (health
and metrics now, the console later), ``all`` is both.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from functools import partial
from pathlib import Path

from flask import Flask, Response
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from gongdian.errors import ConfigError, GongdianError
from gongdian.logs import set_up_logs
from gongdian.migrations.upgrade import require_newest
from gongdian.render.loader import STATIC
from gongdian.settings import read_settings
from gongdian.wiring import House, build_house
from server.channel_receipts import apply_sms_receipts
from server.health import is_alive, readiness
from server.metrics import metrics_text
from server.receipts import receipts_blueprint
from wechat_handlers import (
    accounts,
    arrears_bills,
    arrears_bindings,
    arrears_pages,
    callbacks,
    links,
    oauth,
    preferences,
)
from wechat_handlers.callbacks import CallbackDoor, build_gate
from wechat_handlers.gate import MAX_BODY
from wechat_handlers.pages import guard_pages
from wechat_handlers.receive import Receiver
from wechat_handlers.rules import build_router
from wechat_handlers.spool import Spool

log = logging.getLogger("gongdian.web")

ROLES = ("all", "edge", "core")
SESSION_LIFE_S = 7200


def create_app(house: House, role: str = "all") -> Flask:
    """The application for a role; ConfigError for a role that does not exist."""
    if role not in ROLES:
        raise ConfigError("E010", f"role must be one of {', '.join(ROLES)}", role=role)
    app = Flask("gongdian", static_folder=str(STATIC), static_url_path="/static")
    settings = house.settings
    app.config.update(
        SECRET_KEY=settings.session_key,
        SESSION_COOKIE_NAME="gongdian",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=SESSION_LIFE_S,
        WTF_CSRF_TIME_LIMIT=SESSION_LIFE_S,
        WTF_CSRF_SSL_STRICT=False,  # pages send no referrer; the token itself is checked
        MAX_CONTENT_LENGTH=MAX_BODY,
        DEBUG=settings.debug,
    )
    app.extensions["gongdian"] = house
    if settings.is_production:
        # nginx is in front and sets exactly one of each.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    csrf = CSRFProtect(app)
    if role in ("all", "edge"):
        _add_edge(app, house, csrf)
    _add_operations(app, house)
    guard_pages(app)
    return app


def _add_edge(app: Flask, house: House, csrf: CSRFProtect) -> None:
    spool = spool_of(house)
    receiver = Receiver(house, build_gate(house.settings), build_router(), spool)
    app.extensions["gongdian_callbacks"] = CallbackDoor(house, build_gate(house.settings), receiver)
    app.extensions["gongdian_spool"] = spool
    csrf.exempt(callbacks.blueprint)
    app.register_blueprint(callbacks.blueprint)
    receipts = receipts_blueprint(
        house.settings.sms_report_token, partial(apply_sms_receipts, house), house.clock
    )
    csrf.exempt(receipts)
    app.register_blueprint(receipts)
    app.register_blueprint(links.blueprint)
    app.register_blueprint(oauth.blueprint)
    app.register_blueprint(accounts.blueprint)
    app.register_blueprint(preferences.blueprint)
    for pages in (arrears_pages, arrears_bills, arrears_bindings):
        app.register_blueprint(pages.blueprint)


def _add_operations(app: Flask, house: House) -> None:
    app.add_url_rule("/healthz", "healthz", lambda: is_alive())
    app.add_url_rule("/readyz", "readyz", lambda: readiness(house))
    app.add_url_rule(
        "/metrics",
        "metrics",
        lambda: Response(metrics_text(house), content_type="text/plain; version=0.0.4"),
    )


def spool_of(house: House) -> Spool:
    """The spool folder of this machine."""
    return Spool(Path(house.settings.data_dir) / "spool")


def application() -> Flask:
    """What gunicorn loads (``server.web:application()``): settings from the environment."""
    settings = read_settings()
    set_up_logs(settings.log_level)
    house = build_house(settings)
    require_newest(house.database)
    app = create_app(house, settings.web_role)
    threading.Thread(target=_drain_spool, args=(house,), name="spool", daemon=True).start()
    return app


def _drain_spool(house: House) -> None:
    """The spool lies on this machine's disk: a worker elsewhere cannot drain it."""
    spool = spool_of(house)
    while True:
        time.sleep(1.0 + random.random())  # noqa: S311 - spreads the processes of one machine
        try:
            spool.drain(house.database)
        except (GongdianError, OSError) as error:
            log.warning("spool_not_drained", extra={"detail": str(error)})
