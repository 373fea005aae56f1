"""Withdrawing (撤回): a clerk takes back what a customer is about to be told; the command calls it.

What is out stays out. The next campaign may take the stage again; whoever wants silence holds the
customer instead (``holds``).
"""

from __future__ import annotations

from datetime import datetime

from gongdian.accounts.customers import customers_of
from gongdian.arrears.holds import FLOW
from gongdian.arrears.steps import untake_steps
from gongdian.audit import record_audit
from gongdian.db import Session
from gongdian.errors import InputError, NotFoundError
from gongdian.outbox.holding import Selection, withdraw_messages


def withdraw_reminders(
    session: Session, customer_no: str, reason: str, by: str, now: datetime
) -> int:
    """Withdraw every reminder of a customer that is not out yet; returns how many.

    A reminder is for all 户号 of the party. InputError ``no_reason``; NotFoundError
    ``no_customer``.
    """
    if not reason.strip():
        raise InputError("no_reason", "say why")
    facts = customers_of(session, [customer_no]).get(customer_no)
    if facts is None:
        raise NotFoundError("no_customer", "no such customer", customer=customer_no)
    chosen = Selection(flow=FLOW, subject=facts.party_no)
    withdrawn = withdraw_messages(session, chosen, "withdrawn_by_clerk", now)
    if withdrawn:
        untake_steps(session, [facts.party_no], now)
        # Why stands in no column of its own: what a clerk types may name somebody.
        details = {"messages": withdrawn}
        subject = f"customer {customer_no}"
        record_audit(session, now, by, "arrears:reminder:withdrawn", subject, details)
    return withdrawn
