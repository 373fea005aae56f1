"""The sandbox as its own program: ``python -m devtools.wechat_sandbox --callback URL ...``.

Run by developers; prints the address to use and nothing else. Ends on Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from devtools.wechat_sandbox.cast import CAST, person_of
from devtools.wechat_sandbox.sandbox import Sandbox
from devtools.wechat_sandbox.settings import FORMATS, MODES, NO_SMTP, SandboxSettings

USUAL = SandboxSettings()


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m devtools.wechat_sandbox",
        description="A stand-in for the WeChat Official Account platform.",
    )
    parser.add_argument("--callback", default="", help="address that callbacks are posted to")
    parser.add_argument("--token", default=USUAL.token, help="callback token")
    parser.add_argument(
        "--aes-key", default="", help="EncodingAESKey, 43 characters; given, the mode is secure"
    )
    parser.add_argument("--previous-aes-key", default="", help="the key before a change of keys")
    parser.add_argument("--appid", default=USUAL.appid)
    parser.add_argument("--secret", default=USUAL.secret)
    parser.add_argument("--original-id", default=USUAL.original_id, help="gh_... of the account")
    parser.add_argument("--account-name", default=USUAL.account_name, help="as the phones show it")
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--format", choices=FORMATS, default=USUAL.format)
    parser.add_argument("--host", default=USUAL.host)
    parser.add_argument("--port", type=int, default=8090, help="0 = any free port")
    parser.add_argument("--allow-public", action="store_true", help="allow a host off loopback")
    parser.add_argument("--smtp-port", type=int, default=NO_SMTP, help="0 = any, -1 = no mail")
    parser.add_argument("--smtp-user", default="")
    parser.add_argument("--smtp-password", default="")
    parser.add_argument("--smtp-certificate", type=Path, help="write the certificate there")
    parser.add_argument("--sms-report-url", default="", help="where delivery reports are posted")
    parser.add_argument("--templates", type=Path, help="JSON list of templates")
    parser.add_argument(
        "--accept-any-template", action="store_true", help="take template ids that are unknown"
    )
    parser.add_argument("--scenarios", type=Path, help="folder with scenario files of your own")
    parser.add_argument(
        "--phones",
        nargs="*",
        metavar="NAME[:ROLE]",
        help="phones to make instead of the usual four; none named = none",
    )
    parser.add_argument("--seed", type=int, default=USUAL.seed, help="of faults and openids")
    return parser.parse_args(arguments)


def settings_from(options: argparse.Namespace) -> SandboxSettings:
    """The settings that the command line says; raises ValueError."""
    return SandboxSettings(
        callback_url=options.callback,
        token=options.token,
        aes_key=options.aes_key or USUAL.aes_key,
        previous_aes_key=options.previous_aes_key,
        appid=options.appid,
        secret=options.secret,
        original_id=options.original_id,
        account_name=options.account_name,
        mode=options.mode or ("secure" if options.aes_key else USUAL.mode),
        format=options.format,
        host=options.host,
        port=options.port,
        allow_public=options.allow_public,
        accept_any_template=options.accept_any_template,
        smtp_port=options.smtp_port,
        smtp_user=options.smtp_user,
        smtp_password=options.smtp_password,
        sms_report_url=options.sms_report_url,
        seed=options.seed,
    )


def people_from(options: argparse.Namespace) -> list[dict[str, str]]:
    """Whose phones there are to begin with: the usual four unless some, or none, are named."""
    if options.phones is None:
        return list(CAST)
    return [person_of(text) for text in options.phones]


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; 2 when the settings are wrong."""
    options = parse_arguments(arguments)
    try:
        sandbox = Sandbox(settings_from(options))
        if options.templates:
            sandbox.load_templates(options.templates)
        if options.scenarios:
            sandbox.scenarios.folders.insert(0, options.scenarios)
        for person in people_from(options):
            sandbox.add_phone(**person)
    except (ValueError, OSError) as error:
        print(f"wechat_sandbox: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sandbox.start()
    print(f"WeChat sandbox (模拟) on {sandbox.base_url}", flush=True)
    smtp = sandbox.channels.smtp
    if smtp is not None:
        if options.smtp_certificate:
            options.smtp_certificate.write_bytes(smtp.certificate.pem)
        print(f"mail server (模拟) on {smtp.host}:{smtp.port}", flush=True)
    stop.wait()
    sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
