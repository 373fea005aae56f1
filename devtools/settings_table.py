"""Writes docs/settings.md from the settings themselves. Called by ``make fix``.

tests/architecture checks that the page is what this module would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import time
from pathlib import Path

from gongdian.settings import PREFIX, Settings

PAGE = "docs/settings.md"
HEADER = """\
# 设置

由 `make fix` 从 `gongdian/settings.py` 生成，请勿手改。全部是环境变量；“密”表示可以改用
“变量名加 `_FILE`”指向文件。`demo` 运行方式一项也不用设，缺少的密钥在第一次启动时生成。

| 变量 | 默认 | 密 | 含义 |
|---|---|---|---|
"""


def _default_text(value: object) -> str:
    """The default as one would write it in the environment."""
    if isinstance(value, tuple):
        return "-".join(part.strftime("%H:%M") for part in value if isinstance(part, time))
    if isinstance(value, bool):
        return str(value).lower()
    if value in ("", b"", None):
        return ""
    return f"{value:g}" if isinstance(value, float) and value < 10**6 else str(value)


def rows() -> Iterator[str]:
    """One table row for each setting."""
    for one in fields(Settings):
        default = _default_text(one.default)
        shown = f"`{default}`" if default else "空"
        secret = "密" if one.metadata["secret"] else ""
        about = one.metadata["about"]
        yield f"| `{PREFIX}{one.name.upper()}` | {shown} | {secret} | {about} |\n"


def page() -> str:
    """The whole page."""
    return HEADER + "".join(rows())


def main() -> None:
    """Write the page."""
    (Path(__file__).parents[1] / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
