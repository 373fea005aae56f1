"""The one error tree; every room raises from it, every edge translates it once.

    GongdianError(code, **context)
      InputError               what came in is wrong; the caller can mend it
        CallbackError          a platform callback that is not authentic or not readable
      NotFoundError            no such thing, or not for this person
      ConflictError            the thing is not in the state that the change needs
      PermissionDeniedError    known person, no right
      DeliveryError            a message was refused (``permanent`` says for good)
        PlatformRefusalError   WeChat answered with an errcode; carries the action to take
      UpstreamError            another system failed or did not answer in time
        OutcomeUnknownError    it may or may not have acted on the request
      ConfigError              a setting is missing or wrong; start-up only

Class names are public: workflow files (Retry, Catch) match them, so renaming one is a
breaking change. The class docstring is the default developer text. This module imports
the standard library only: the callback gate loads it on a cold start.
"""

from __future__ import annotations


class GongdianError(Exception):
    """Something in Gongdian failed."""

    retryable = False

    def __init__(self, code: str, text: str = "", **context: object) -> None:
        self.code = code
        self.context = context
        self.text = text or (type(self).__doc__ or "").split("\n")[0]
        super().__init__(code, self.text)

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value!r}" for name, value in self.context.items())
        return f"{self.code}: {self.text}" + (f" ({details})" if details else "")


class InputError(GongdianError):
    """The input is not acceptable."""


class CallbackError(InputError):
    """The callback is not authentic or not readable.

    ``status`` is the HTTP status of the answer: 400, 403 or 413.
    """

    def __init__(self, code: str, text: str = "", *, status: int = 400, **context: object) -> None:
        super().__init__(code, text, **context)
        self.status = status


class NotFoundError(GongdianError):
    """There is no such thing, or it is not for this person."""


class ConflictError(GongdianError):
    """The thing is not in the state that this change needs."""


class PermissionDeniedError(GongdianError):
    """This person has no right to do this."""


class DeliveryError(GongdianError):
    """The channel refused the message."""

    def __init__(
        self, code: str, text: str = "", *, permanent: bool = False, **context: object
    ) -> None:
        super().__init__(code, text, **context)
        self.permanent = permanent
        self.retryable = not permanent


class PlatformRefusalError(DeliveryError):
    """The platform answered with an errcode.

    ``action`` is one of ``gongdian.ports.RefusalAction``; ``rid`` is the platform's request id.
    """

    def __init__(
        self, *, errcode: int, errmsg: str, rid: str, action: str, permanent: bool
    ) -> None:
        super().__init__(f"wechat_{errcode}", errmsg, permanent=permanent, rid=rid, action=action)
        self.errcode = errcode
        self.errmsg = errmsg
        self.rid = rid
        self.action = action


class UpstreamError(GongdianError):
    """Another system failed or did not answer in time."""

    retryable = True


class OutcomeUnknownError(UpstreamError):
    """The request may or may not have been acted on."""


class ConfigError(GongdianError):
    """A setting is missing or wrong."""
