"""Customer pages: escaped, complete, self-contained."""

import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from jinja2 import UndefinedError

from gongdian.errors import ConfigError, NotFoundError
from gongdian.render.consents import load_consent
from gongdian.render.loader import CONSENTS, STATIC, TEMPLATES
from gongdian.render.pages import mask_name, mask_no, page_environment, render_page

AT = datetime(2026, 11, 21, 2, 20, tzinfo=UTC)
FRAME = {"company_name": "云溪县供电公司", "static_url": "/static"}
PAGES = {
    "h5/binding.html": {
        "customers": [SimpleNamespace(name="张三丰", no="9900000345812")],
        "requested_at": AT,
        "consent": load_consent("binding"),
        "action_url": "/h5/binding/abc",
        "csrf_token": "token-1",
    },
    "h5/binding_done.html": {"answer": "agree", "is_repeat": False, "answered_at": AT},
    "h5/error.html": {
        "title": "链接已过期",
        "message": "请回到公众号重新发送“绑定”。",
        "error_number": "4F7K2C",
    },
}


class _Tags(HTMLParser):
    """Collects tags with attributes, and notes what is left open."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self):
        super().__init__()
        self.tags = []
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _parse(page):
    parser = _Tags()
    parser.feed(page)
    assert parser.open == []
    return parser.tags


def _render(name, **changes):
    return render_page(name, **(FRAME | PAGES[name] | changes))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_well_formed_chinese_and_asks_no_other_host(name):
    tags = _parse(_render(name))
    assert ("html", {"lang": "zh-CN"}) in tags
    assert ("meta", {"name": "referrer", "content": "no-referrer"}) in tags
    assert not [tag for tag, _ in tags if tag in ("script", "iframe", "img")]
    for _, attributes in tags:
        assert "style" not in attributes
        for name_of in ("href", "src", "action"):
            target = attributes.get(name_of, "/")
            assert target.startswith(("/", "tel:95598", "data:,"))
            assert not target.startswith("//")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_zooming_is_never_forbidden(name):
    viewport = next(
        attributes["content"]
        for tag, attributes in _parse(_render(name))
        if tag == "meta" and attributes.get("name") == "viewport"
    )
    assert "maximum-scale" not in viewport
    assert "user-scalable" not in viewport


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in PAGES.items() for value in [*FRAME, *values]],
)
def test_a_missing_value_is_an_error_and_is_documented(name, value):
    if value != "is_repeat":
        values = FRAME | PAGES[name]
        del values[value]
        with pytest.raises(UndefinedError):
            render_page(name, **values)
    assert value in (TEMPLATES / name).read_text(encoding="utf-8").split("#}")[0]


def test_pages_escape_what_they_show():
    page = _render("h5/error.html", title="<script>alert(1)</script>", message="a&b")
    assert "<script>" not in page
    assert "a&amp;b" in page


def test_the_binding_page_masks_the_customer_and_posts_the_consent_version():
    page = _render("h5/binding.html")
    assert "张三丰" not in page
    assert "9900000345812" not in page
    assert "张*" in page
    assert "9900*****5812" in page
    assert "2026-11-21 10:20" in page
    tags = _parse(page)
    hidden = {
        attributes["name"]: attributes["value"]
        for tag, attributes in tags
        if tag == "input" and attributes["type"] == "hidden"
    }
    version = load_consent("binding").version
    assert hidden == {"csrf_token": "token-1", "consent_version": version}
    answers = [attributes["value"] for tag, attributes in tags if tag == "button"]
    assert answers == ["agree", "decline"]
    assert f"授权书版本 {version}" in page
    assert "{company}" not in page


def test_the_binding_page_without_customers_leaves_their_block_out():
    page = _render("h5/binding.html", customers=[])
    _parse(page)
    assert "户号</dt>" not in page


@pytest.mark.parametrize(
    ("answer", "is_repeat", "wanted"),
    [
        ("agree", False, "绑定成功"),
        ("agree", True, "您已经绑定过了"),
        ("decline", False, "没有绑定"),
        ("decline", True, "您之前选择了暂不绑定"),
    ],
)
def test_the_result_page_says_what_was_chosen(answer, is_repeat, wanted):
    page = _render("h5/binding_done.html", answer=answer, is_repeat=is_repeat)
    _parse(page)
    assert f"<h1>{wanted}</h1>" in page


def test_the_error_page_gives_the_hotline_and_the_number():
    page = _render("h5/error.html")
    assert page.count("tel:95598") == 1
    assert "4F7K2C" in page


def test_filters_mask_and_tell_china_time():
    render = page_environment().from_string(
        "{{ phone | mask_phone }} {{ name | mask_name }} {{ no | mask_no }} {{ at | china_time }}"
    )
    assert (
        render.render(phone="13812345678", name="李四", no="9900001203457", at=AT)
        == "138****5678 李* 9900*****3457 2026-11-21 10:20"
    )


def test_masks_hide_short_values_whole():
    assert mask_name("") == ""
    assert mask_name("欧阳娜娜") == "欧*"
    assert mask_name("云溪恒源铸造有限公司") == "云溪****公司"
    assert mask_no("12345678") == "********"
    assert mask_no("123456789") == "1234*6789"


def test_vendored_files_are_the_ones_in_the_manifest():
    vendor = STATIC / "vendor"
    listed = {}
    for line in (vendor / "MANIFEST.sha256").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    present = {file.name for file in vendor.iterdir()} - {"MANIFEST.sha256"}
    assert present == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest


def test_the_vendored_style_sheet_is_the_version_that_is_noted():
    vendor = STATIC / "vendor"
    noted = dict(
        line.split(": ", 1)
        for line in (vendor / "weui.SOURCE.txt").read_text(encoding="utf-8").splitlines()
    )
    assert noted["licence"] == "MIT"
    head = (vendor / "weui.min.css").read_text(encoding="utf-8")[:200]
    assert f"WeUI v{noted['version']} " in head
    assert "MIT" in head


def test_no_template_or_style_sheet_loads_from_another_host():
    for file in [*TEMPLATES.rglob("*.html"), *STATIC.glob("*.css")]:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(https?:)?//[a-z0-9]", text), file
        assert "@import" not in text
    weui = (STATIC / "vendor" / "weui.min.css").read_text(encoding="utf-8")
    assert "@import" not in weui
    loaded = re.findall(r"url\(\s*[\"']?([^)\"']{0,12})", weui)
    assert all(target.startswith(("data:", "%23", "#")) for target in loaded)


def test_templates_hold_no_python():
    assert list(TEMPLATES.rglob("*.py")) == []


def test_the_digest_of_a_consent_follows_its_words(tmp_path):
    text = (CONSENTS / "binding.toml").read_text(encoding="utf-8")
    (tmp_path / "binding.toml").write_text(text.replace("可以随时", "能随时"), encoding="utf-8")
    changed = load_consent("binding", tmp_path)
    assert changed.version == load_consent("binding").version
    assert changed.digest != load_consent("binding").digest


# A consent that was shown is evidence: whoever changes its words gives it a new version here.
CONSENT_DIGESTS = {"2026-11": "71ac0be65eb039003ae9362509123f02509f67d73f6265b0ff7b9c76ff4580c6"}


def test_the_words_of_a_published_consent_version_do_not_change():
    consent = load_consent("binding")
    assert CONSENT_DIGESTS[consent.version] == consent.digest


def test_an_unknown_or_malformed_consent_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="consent_unknown"):
        load_consent("lottery")
    (tmp_path / "binding.toml").write_text('version = "1"\ntitle = ""', encoding="utf-8")
    with pytest.raises(ConfigError, match="field='title'"):
        load_consent("binding", tmp_path)
