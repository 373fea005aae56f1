"""Commands for the official account itself (公众号命令): its menu, its quotas."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gongdian.audit import record_audit
from gongdian.settings import Settings
from gongdian.wechat_ports import MenuButton
from gongdian.wiring import House, build_house
from server.menu_files import read_menu


def menu_push(settings: Settings, options: argparse.Namespace) -> int:
    """Replace the account's menu by the one in a file."""
    buttons = read_menu(Path(options.file), settings.public_url)
    with _open_house(settings) as house:
        house.desk.menus.create(buttons)
        details = {"file": options.file, "buttons": [one.name for one in buttons]}
        _audit(house, options.by, "wechat:menu:pushed", details)
    print(f"已更新菜单，共{len(buttons)}个按钮；用户再次进入公众号后约5分钟内看到")
    return 0


def menu_show(settings: Settings, options: argparse.Namespace) -> int:
    """Print the account's menu."""
    with _open_house(settings) as house:
        buttons = house.desk.menus.current()
    for button in buttons:
        print(_line(button))
        for child in button.children:
            print(f"  {_line(child)}")
    if not buttons:
        print("公众号还没有自定义菜单")
    return 0


def quota_show(settings: Settings, options: argparse.Namespace) -> int:
    """Print how often an interface may be called today."""
    with _open_house(settings) as house:
        quota = house.desk.quotas.quota(options.path)
    print(f"{options.path}\t每日 {quota.limit}\t已用 {quota.used}\t剩余 {quota.left}")
    return 0


def quota_clear(settings: Settings, options: argparse.Namespace) -> int:
    """Start the account's counters anew; the platform allows it 10 times a month.

    The attempt is recorded before the call: an answer that is lost must not hide it.
    """
    with _open_house(settings) as house:
        details = {"with_secret": options.with_secret}
        _audit(house, options.by, "wechat:quota:cleared", details)
        house.desk.quotas.clear(with_secret=options.with_secret)
    print("已清零今日调用次数（每月共10次机会）")
    return 0


@contextmanager
def _open_house(settings: Settings) -> Iterator[House]:
    house = build_house(settings)
    try:
        yield house
    finally:
        house.close()


def _audit(house: House, by: str, action: str, details: dict[str, object]) -> None:
    now = house.clock.now()
    house.database.run(
        lambda session: record_audit(session, now, by, action, house.account, details)
    )


def _line(button: MenuButton) -> str:
    opens = button.key or button.page or button.url
    return "\t".join(part for part in (button.name, button.kind, opens) if part)
