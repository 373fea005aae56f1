"""The page behind an arrears card (催费卡片页): the debt, the answers, 不是我的户号, 转给同事."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from gongdian.arrears.answers import (
    ANSWER_AGAIN,
    ANSWER_EFFECTS,
    ANSWER_LABELS,
    DISPUTE,
    LONGEST_NOTE,
    NOT_MINE,
    RecordAnswer,
    record_answer,
)
from gongdian.arrears.page import last_answer, party_page
from gongdian.arrears.page_access import Reader, reader_of
from gongdian.arrears.page_bills import open_views
from gongdian.db import Session
from gongdian.errors import ConflictError, InputError
from gongdian.outbox.answers import mark_opened
from gongdian.outbox.queries import linked_message
from wechat_handlers.arrears_access import Card, card_page, open_card, supply_ref, token
from wechat_handlers.arrears_sharing import SHARE_LIFE, read_share, sign_share
from wechat_handlers.oauth import the_house
from wechat_handlers.pages import page

blueprint = Blueprint("arrears_pages", __name__)

_ANSWERS = tuple(answer for answer in ANSWER_LABELS if answer != NOT_MINE)


def _opened(now: datetime) -> Card:
    """The card, noted as opened."""

    def work(session: Session) -> Card:
        card = open_card(session, now)
        mark_opened(session, card.linked.id, now)
        return card

    return the_house().page_database.run(work)


@blueprint.get("/h5/arrears")
@card_page
def show_card() -> str:
    """The debt, line by line, and the three answers."""
    house = the_house()
    now = house.clock.now()
    card = _opened(now)
    with house.page_database.read() as session:
        party = party_page(session, card.reader.customer_nos, now)
        answered = last_answer(session, card.linked.key)
    return page(
        "h5/arrears.html",
        party=party,
        refs={one.customer_no: supply_ref(one.customer_no) for one in party.owing},
        is_full=card.is_full,
        effects=ANSWER_EFFECTS,
        last_answer=answered,
        note_length=LONGEST_NOTE,
        pay_url=house.settings.arrears_pay_url,
        answer_url=url_for("arrears_pages.answer_card", m=token()),
        share_url=url_for("arrears_pages.offer_share", m=token()),
        months_url=url_for("arrears_bills.show_card_months", m=token()),
        not_mine_url=url_for("arrears_pages.ask_not_mine", m=token()),
    )


@blueprint.post("/h5/arrears")
def answer_card() -> Response:
    """One of the three answers; the same one again changes nothing."""
    house = the_house()
    now = house.clock.now()
    answer = request.form.get("answer", "")
    if answer not in _ANSWERS:
        raise InputError("bad_answer", "answer must be known, paid or dispute", field="answer")
    note = request.form.get("note", "").strip() if answer == DISPUTE else ""

    def work(session: Session) -> bool:
        card = open_card(session, now)
        chosen = _chosen(card.reader)
        owing = open_views(session, [number for number, _ in chosen])
        effects = [
            _record(session, card, number, person_id, answer, note, now)
            for number, person_id in chosen
            if number in owing
        ]
        if not effects:
            raise ConflictError("no_open_case", "nothing is owed any more")
        return all(effect == ANSWER_AGAIN for effect in effects)

    is_again = house.page_database.run(work)
    again = "1" if is_again else None
    return redirect(url_for("arrears_pages.show_answered", m=token(), a=answer, again=again))


def _chosen(reader: Reader) -> list[tuple[str, int | None]]:
    """The 户号 that were ticked, with the person on file where there is no WeChat contact."""
    ticked = set(request.form.getlist("supply"))
    people: tuple[int | None, ...] = reader.person_ids or (None,) * len(reader.customer_nos)
    pairs = zip(reader.customer_nos, people, strict=True)
    chosen = [(number, person) for number, person in pairs if supply_ref(number) in ticked]
    if not chosen:
        raise InputError("no_supply_chosen", "no 户号 was ticked", field="supply")
    return chosen


def _record(
    session: Session,
    card: Card,
    customer_no: str,
    person_id: int | None,
    answer: str,
    note: str,
    now: datetime,
) -> str:
    command = RecordAnswer(
        customer_no=customer_no,
        answer=answer,
        contact_id=card.reader.contact_id,
        person_id=person_id,
        message_key=card.linked.key,
        note=note,
    )
    return record_answer(session, command, now).effect


@blueprint.get("/h5/arrears/answered")
@card_page
def show_answered() -> str:
    """Thanks, and what the answer does and does not do."""
    house = the_house()
    now = house.clock.now()
    answer = request.args.get("a", "")
    with house.page_database.read() as session:
        card = open_card(session, now)
        answered = last_answer(session, card.linked.key, answer)
        party = party_page(session, card.reader.customer_nos, now)
    if answered is None or answered.answer not in _ANSWERS:
        raise ConflictError("not_answered", "this was not answered to this card")
    is_again = request.args.get("again") == "1"
    return page(
        "h5/arrears_answered.html",
        label=answered.label,
        effect=ANSWER_AGAIN if is_again else ANSWER_EFFECTS[answered.answer],
        at=answered.at,
        party=party,
        page_url=url_for("arrears_pages.show_card", m=token()),
    )


@blueprint.get("/h5/arrears/not-mine")
@card_page
def ask_not_mine() -> str:
    """The confirmation of 不是我的户号: nothing has to be typed."""
    house = the_house()
    now = house.clock.now()
    with house.page_database.read() as session:
        card = open_card(session, now)
        party = party_page(session, card.reader.customer_nos, now)
    return page(
        "h5/arrears_not_mine.html",
        party=party,
        refs={one.customer_no: supply_ref(one.customer_no) for one in party.supplies},
        is_done=False,
        is_full=card.is_full,
        action_url=url_for("arrears_pages.confirm_not_mine", m=token()),
        page_url=url_for("arrears_pages.show_card", m=token()),
    )


@blueprint.post("/h5/arrears/not-mine")
def confirm_not_mine() -> Response:
    """The recipient hears of these 户号 no more, and somebody looks at who is on file."""
    house = the_house()
    now = house.clock.now()

    def work(session: Session) -> None:
        card = open_card(session, now)
        for number, person_id in _chosen(card.reader):
            _record(session, card, number, person_id, NOT_MINE, "", now)

    house.page_database.run(work)
    return redirect(url_for("arrears_pages.show_not_mine_done"))


@blueprint.get("/h5/arrears/not-mine/done")
def show_not_mine_done() -> str:
    """That it was noted; the card itself opens no more."""
    return page("h5/arrears_not_mine.html", is_done=True)


@blueprint.get("/h5/arrears/share")
@card_page
def offer_share() -> str:
    """How to forward the bill, with a fresh link."""
    house = the_house()
    now = house.clock.now()
    with house.page_database.read() as session:
        card = open_card(session, now)
    signed = sign_share(house.settings.session_key, card.linked.id, now)
    return page(
        "h5/arrears_share.html",
        shared_url=house.settings.public_url + url_for("arrears_pages.show_shared", m=signed),
        ends_at=now + SHARE_LIFE,
        page_url=url_for("arrears_pages.show_card", m=token()),
    )


@blueprint.get("/h5/arrears/shared")
def show_shared() -> str:
    """What a colleague sees: masked, without lines, answers and other months."""
    house = the_house()
    now = house.clock.now()
    message_id, ends_at = read_share(house.settings.session_key, token(), now)
    with house.page_database.read() as session:
        reader = reader_of(session, house.account, linked_message(session, message_id))
        if not reader.customer_nos:
            raise ConflictError("share_ended", "the sharer may not see it any more")
        party = party_page(session, reader.customer_nos, now)
    return page(
        "h5/arrears_shared.html",
        party=party,
        pay_url=house.settings.arrears_pay_url,
        ends_at=ends_at,
    )
