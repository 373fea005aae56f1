"""A composed message as a mail (邮件): the same fields as the card, as text and as a page.

Called by whoever queues a message with mail among its channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from gongdian.render.pages import page_environment
from gongdian.render.registry import ComposedMessage

_PAGE = "mail/notice.html"


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """Subject, the text for readers without pictures, and the same as a page."""

    subject: str
    text: str
    html: str


def compose_mail(
    composed: ComposedMessage, company_name: str, service_phone: str, url: str = ""
) -> ComposedMail:
    """The mail of a message. ``url`` is what its link opens; empty for the message's own."""
    link = url or composed.url
    rows = [f"{label}：{value}" for label, value in composed.fields]
    link_lines = [f"查看详情：{link}", ""] if link else []
    footer = [
        f"{company_name}，服务电话 {service_phone}。",
        "本邮件由系统自动发出；不想再收到，请回复本邮件说明。",
    ]
    html = page_environment().get_template(_PAGE)
    return ComposedMail(
        subject=f"{composed.title}（{company_name}）",
        text="\n".join([composed.title, "", *rows, "", *link_lines, *footer]) + "\n",
        html=html.render(
            title=composed.title,
            fields=composed.fields,
            url=link,
            company_name=company_name,
            service_phone=service_phone,
        ),
    )
