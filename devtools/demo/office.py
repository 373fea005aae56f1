"""What the office does in the demo (营业厅与催费员): files, campaigns, stops, the worklist.

The story calls it step by step, the buttons of the Phones page through ``county_steps``. Each
method does one thing by the real services; AssertionError when it does not come true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from devtools.demo.later_payments import LaterPayments
from devtools.demo.seeding import SeededCounty, bring_in
from devtools.demo.stage import Stage
from gongdian.arrears.campaigns import Campaign, CampaignState, campaign_named, list_campaigns
from gongdian.arrears.queries import Line, Preview, Watch, lines_of, preview, watch
from gongdian.arrears.service import (
    ApproveCampaign,
    StartCampaign,
    approve_campaign,
    start_campaign,
)
from gongdian.arrears.worklist import Item, finish_item, open_items
from gongdian.clock import china_date
from gongdian.db import Session
from gongdian.errors import PermissionDeniedError
from gongdian.outbox.model import ALL_SENDING, Stop
from gongdian.outbox.switches import start_sending, stop_sending
from gongdian.sources.freshness import check_freshness
from gongdian.sources.model import RunReport
from gongdian.sources.rejects import Reject, list_rejects

T = TypeVar("T")

MAKER, APPROVER, CLERK = "催费员小郑", "班长老吴", "受理员小何"
# A whole county is prepared and sent on a busy machine.
PATIENCE_S = 180.0
# A worker that is sending reads the switches once a second.
SWITCH_S = 1.5
MOST_LINES = 100_000
_QUEUED = (CampaignState.SENT, CampaignState.FINISHED)


class Office:
    """The desks of the supply company; ``codes`` are the campaigns that it began, in order."""

    def __init__(self, stage: Stage, county: SeededCounty) -> None:
        self.stage = stage
        self.county = county
        self.payments = LaterPayments(stage, county.folder)
        self.codes: list[str] = []

    def numbers(self, *names: str) -> list[str]:
        """The 户号 of these people of the cast, of all when nobody is named."""
        cast = self.county.facts["cast"]
        return [number for name in names or cast for number in cast[name]]

    def bring_in(self, word: str) -> RunReport:
        """Import one file of the county."""
        return self._checked(bring_in(self.stage, self.county.file(word)))

    def rejects(self, run_id: int) -> list[Reject]:
        """What an import refused."""
        return self._read(lambda session: list_rejects(session, run_id))

    def book(self, customer_nos: Iterable[str]) -> RunReport:
        """These customers pay all that they owe: a payment file comes in."""
        path = self.payments.of_customers(customer_nos)
        return self._checked(bring_in(self.stage, path))

    def book_the_last_days(self) -> RunReport:
        """A third of the county pays; the cast does not."""
        path = self.payments.of_the_last_days(self.numbers())
        return self._checked(bring_in(self.stage, path))

    def look_at_feeds(self) -> list[str]:
        """What the worker's chore finds: feeds that are too old, and the stops that follow."""
        house = self.stage.house
        return house.database.run(
            lambda session: check_freshness(session, house.account, house.clock.now())
        )

    def prepare(self) -> Preview:
        """Begin a campaign for the whole county and wait until it can be looked at."""
        code = self._next_code()
        command = StartCampaign(code, MAKER)
        self._run(lambda session, now: start_campaign(session, command, now))
        self.codes.append(code)
        # One without anybody to tell is over at once.
        self.wait_for_campaign(CampaignState.PREPARED, CampaignState.FINISHED)
        return self.preview()

    def preview(self) -> Preview:
        """The figures of the newest campaign."""
        return self._read(lambda session: preview(session, self.code))

    def watch(self) -> Watch:
        """Where the newest campaign stands."""
        return self._read(lambda session: watch(session, self.code))

    def line_of(self, name: str) -> Line | None:
        """What somebody of the cast would be told, None when nothing."""
        numbers = set(self.numbers(name))
        house = self.stage.house
        lines = self._read(
            lambda session: lines_of(session, house.outbox, self.code, limit=MOST_LINES)
        )
        return next((line for line in lines if line.customer_no in numbers), None)

    @property
    def code(self) -> str:
        """The newest campaign."""
        if not self.codes:
            raise AssertionError("还没有批次，先准备一个")
        return self.codes[-1]

    def campaign(self) -> Campaign:
        """The newest campaign as it stands."""
        return self._read(lambda session: campaign_named(session, self.code))

    def may_the_maker_approve(self) -> bool:
        """Whether whoever began it may let it run as well."""
        try:
            self._approve(MAKER)
        except PermissionDeniedError:
            return False
        return True

    def approve(self) -> None:
        """A second person lets it run; everything is queued when this returns."""
        self._approve(APPROVER)
        self.wait_for_campaign(*_QUEUED)

    def wait_for_campaign(self, *states: CampaignState) -> None:
        """Wait until the newest campaign has come so far."""
        names = "、".join(state.value for state in states)
        self.stage.wait_for(
            lambda: self.campaign().state in states, f"{self.code} {names}", PATIENCE_S
        )

    def wait_until_sent(self) -> Watch:
        """Wait until nothing of the newest campaign is on its way."""
        self.wait_for_campaign(CampaignState.FINISHED)
        return self.watch()

    def stop_sending(self) -> None:
        """Nothing goes out for now; what is queued waits."""
        stop = Stop(ALL_SENDING, "演示：先入队，稍后发出")
        self._run(lambda session, now: stop_sending(session, stop, APPROVER, now))
        self.stage.sandbox.stopping.wait(SWITCH_S)

    def start_sending(self) -> None:
        """What waits goes out."""
        self._run(lambda session, now: start_sending(session, ALL_SENDING, APPROVER, now))

    def transfer(self) -> str:
        """The customer file of today: one supply point has another holder; its 户号."""
        for word in ("transfer_customers", "transfer_contacts"):
            self.bring_in(word)
        return str(self.county.facts["transferred"])

    def three_days_later(self) -> None:
        """Move the clock of the whole stage."""
        self.stage.move_clock(timedelta(days=3))

    def worklist(self) -> list[Item]:
        """What people must do."""
        return self._read(lambda session: open_items(session, limit=MOST_LINES))

    def finish_disputes(self, name: str) -> int:
        """A clerk has looked into what somebody of the cast doubts; how many there were."""
        numbers = self.numbers(name)
        mine = [
            item
            for item in self.worklist()
            if item.kind == "dispute" and item.customer_no in numbers
        ]
        for item in mine:
            self._run(partial(self._finish, item_id=item.id))
        return len(mine)

    @staticmethod
    def _finish(session: Session, now: datetime, item_id: int) -> None:
        finish_item(session, item_id, "现场核对表计，示数无误，已向客户说明", CLERK, now)

    def _checked(self, report: RunReport) -> RunReport:
        # At once, not at the worker's next round: what is fresh again may go out.
        self.look_at_feeds()
        return report

    def _next_code(self) -> str:
        day = china_date(self.stage.clock.now())
        known = self._read(lambda session: {one.code for one in list_campaigns(session)})
        numbers = (f"CF{day:%Y%m%d}-{count:02d}" for count in range(1, 100))
        return next(code for code in numbers if code not in known)

    def _approve(self, by: str) -> None:
        above = self.stage.house.settings.arrears_approval_above
        command = ApproveCampaign(self.code, by, above)
        self._run(lambda session, now: approve_campaign(session, command, now))

    def _run(self, work: Callable[[Session, datetime], T]) -> T:
        house = self.stage.house
        return house.database.run(lambda session: work(session, house.clock.now()))

    def _read(self, work: Callable[[Session], T]) -> T:
        with self.stage.house.database.read() as session:
            return work(session)


def counted(items: list[Item]) -> dict[str, int]:
    """How many items there are of each kind, in words."""
    return dict(Counter(item.label for item in items).most_common())
