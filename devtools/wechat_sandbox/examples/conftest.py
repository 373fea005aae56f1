"""What a project writes to use the sandbox in its tests: this one line."""

from devtools.wechat_sandbox.pytest_fixture import sandbox_settings, wechat_sandbox

__all__ = ["sandbox_settings", "wechat_sandbox"]
