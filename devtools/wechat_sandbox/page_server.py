"""Serves the Phones page at / and /phones: the files of the folder ``page``, nothing else.

Called by ``sandbox``. The page asks for nothing outside this host, and its policy holds it to that.
"""

from __future__ import annotations

from pathlib import Path

from devtools.wechat_sandbox.http_server import Request, Response

FOLDER = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
ENTRANCES = ("/", "/phones", "/phones/")
PREFIX = "/phones/"


class PageServer:
    """The page's files; a name with a slash in it is never one of them."""

    def __init__(self, port: int) -> None:
        self._policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            f"img-src 'self' data: blob:; media-src 'self'; frame-src http://*.localhost:{port}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def owns(self, path: str) -> bool:
        """Whether this path is the page's."""
        return path in ENTRANCES or path.startswith(PREFIX)

    def handle(self, request: Request) -> Response:
        """The page or one of its files."""
        name = "index.html" if request.path in ENTRANCES else request.path.removeprefix(PREFIX)
        path = FOLDER / name
        if "/" in name or "\\" in name or path.suffix not in TYPES or not path.is_file():
            return Response(b"no such file", 404, "text/plain")
        headers = (
            ("Content-Security-Policy", self._policy),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        )
        return Response(path.read_bytes(), 200, TYPES[path.suffix], headers)
