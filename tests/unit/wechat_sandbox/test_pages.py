"""What the phone's browser reads of a page's form."""

from __future__ import annotations

from devtools.wechat_sandbox.browser import Page

FORM = """
<form><input type="hidden" name="token" value="t1"><input type="hidden" name="empty">
<input type="checkbox" name="supply" value="a" checked>
<input type="checkbox" name="supply" value="b" checked="checked">
<input type="checkbox" name="supply" value="c"><input type="checkbox" name="agree" checked>
<input type="checkbox" checked><input type="text" name="note" value="x"></form>
"""


def test_hidden_inputs_and_ticked_boxes_are_sent_as_a_browser_sends_them() -> None:
    page = Page(200, "http://127.0.0.1/", FORM)
    assert page.hidden_fields == {"token": "t1", "empty": ""}
    assert page.ticked_fields == {"supply": ["a", "b"], "agree": ["on"]}
