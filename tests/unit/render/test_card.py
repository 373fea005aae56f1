"""The card preview."""

from gongdian.render.card import preview_html, preview_text
from gongdian.render.registry import Registry

URL = "https://dl.example.cn/h5/x?a=1&b=2"


def _compose(url=URL, **changes):
    registry = Registry.load()
    values = registry.kind("supply_restored").samples() | changes
    return registry.compose("wxdemo0000000001", "supply_restored", values, url)


def test_the_text_card_shows_title_rows_and_link():
    assert preview_text(_compose()) == (
        "恢复供电通知\n"
        "────────────────────────\n"
        "范围  10kV城东Ⅱ线512后段\n"
        "状态  恢复供电\n"
        "送电  2026年11月21日 16:05\n"
        "原因  树木碰线，已清除\n"
        "提示  若仍无电，请点此报修\n"
        "────────────────────────\n"
        f"查看详情 > {URL}"
    )


def test_the_html_card_escapes_what_it_shows():
    page = preview_html(_compose(reason="<b>&'\""))
    assert "<b>" not in page
    assert "<dd>&lt;b&gt;&amp;&#39;&#34;</dd>" in page
    assert 'href="https://dl.example.cn/h5/x?a=1&amp;b=2"' in page


def test_a_card_without_an_address_has_no_link():
    composed = _compose(url="")
    assert "查看详情" not in preview_html(composed)
    assert "查看详情" not in preview_text(composed)
