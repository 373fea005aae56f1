"""The campaign's workflow: on the engine over both databases, and the same file on moto."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from devtools.asl_conformance.moto_side import MotoSide
from gongdian.arrears import service
from gongdian.arrears.campaigns import CampaignState
from gongdian.arrears.service import CancelCampaign
from gongdian.clock import MovableClock
from gongdian.db import Database
from gongdian.errors import InputError, UpstreamError
from gongdian.outbox.intents import perform_intents
from gongdian.outbox.queries import count_intents
from tests.campaign_scene import CampaignScene, numbers
from tests.factories import accepted, claim, receipt, report, settle
from tests.workflow_crew import Crew
from workflows.engine.orders import Status
from workflows.engine.performing import TaskCall
from workflows.intents import workflow_performers
from workflows.shipped import FOLDER, read_workflow
from workflows.tasks import TASKS_FUNCTION, HouseTasks

FILE = FOLDER / "arrears.asl.json"
HAPPY = [
    "Prepare",
    "AfterPreparing",
    "IsPrepared",
    "WaitForApproval",
    "IsApproved",
    "Run",
    "AfterRunning",
    "HasRun",
    "WaitForDeliveries",
    "Summarise",
]


class Office:
    """A scene whose campaigns run by the workflow."""

    def __init__(self, database: Database, clock: MovableClock) -> None:
        self.scene = CampaignScene(database, clock)
        house: Any = SimpleNamespace(
            database=database, clock=clock, outbox=self.scene.outbox, settings=None
        )
        self.tasks = HouseTasks(house)
        self.calls: list[str] = []
        self.twice = False
        self.failures: dict[str, list[Exception]] = {}
        self.crew = Crew(database, clock, {TASKS_FUNCTION: self.perform})
        self.crew.publish("arrears", json.loads(read_workflow(FILE)))
        self.worker = self.crew.worker()
        self.performers = workflow_performers(database, clock)

    def perform(self, event: Any, call: TaskCall) -> Any:
        """A step; done twice where a test wants to see that it may be."""
        self.calls.append(event["task"])
        if self.failures.get(event["task"]):
            raise self.failures[event["task"]].pop(0)
        step = self.tasks.find(TASKS_FUNCTION)
        assert step is not None
        answer = step(event, call)
        return step(event, call) if self.twice else answer

    def settle(self) -> None:
        """Intents and steps until nobody has anything to do."""
        for _ in range(10):
            while perform_intents(self.scene.database, self.performers, self.scene.now):
                pass
            self.crew.settle(self.worker)

    def execution(self, name: str = "nov23") -> Any:
        return self.crew.look(SimpleNamespace(machine="arrears", name=name))  # type: ignore[arg-type]

    def states(self, name: str = "nov23") -> list[str]:
        events = self.crew.events(SimpleNamespace(machine="arrears", name=name))  # type: ignore[arg-type]
        entered = (event.get("stateEnteredEventDetails") for event in events)
        return [details["name"] for details in entered if details]

    def deliver(self) -> None:
        """Everything that is queued for WeChat arrives."""
        scene = self.scene
        for message in claim(scene.database, scene.now):
            msgid = f"9{message.id:05d}"
            settle(scene.database, scene.now, (message, accepted(msgid)))
            report(scene.database, receipt(msgid, scene.now, person=message.address))
        scene.look()


@pytest.fixture
def office(database: Database, clock: MovableClock) -> Iterator[Office]:
    found = Office(database, clock)
    for number in numbers(3):
        found.scene.firm(number)
        found.scene.follower(number)
    yield found
    found.crew.close()


def test_a_campaign_goes_from_its_start_to_its_figures(office: Office) -> None:
    office.scene.start()
    office.settle()
    assert office.scene.campaign().state is CampaignState.PREPARED
    assert office.scene.messages() == []
    office.scene.approve()
    office.settle()
    assert office.scene.campaign().state is CampaignState.SENT
    office.deliver()
    office.settle()
    ended = office.execution()
    assert (ended.status, office.states()) == (Status.SUCCEEDED, HAPPY)
    assert json.loads(ended.output) == {
        "campaign": "nov23",
        "state": "finished",
        "lines": {"delivered": 3},
    }
    assert office.scene.campaign().state is CampaignState.FINISHED


def test_every_step_done_twice_does_the_same(office: Office) -> None:
    office.twice = True
    office.scene.start()
    office.settle()
    office.scene.approve()
    office.settle()
    office.deliver()
    office.settle()
    assert office.execution().status is Status.SUCCEEDED
    assert len(office.scene.messages()) == len(office.scene.steps()) == 3


def test_a_campaign_with_nobody_to_tell_ends_at_once(office: Office) -> None:
    for number in numbers(3):
        office.scene.pay(number, 900_000)
    office.scene.start()
    office.settle()
    assert office.execution().status is Status.SUCCEEDED
    assert office.scene.campaign().state is CampaignState.FINISHED


def test_a_campaign_with_work_only_hands_it_over_once_approved(
    database: Database, clock: MovableClock
) -> None:
    office = Office(database, clock)
    (number,) = numbers(1)
    office.scene.firm(number)
    office.scene.start()
    office.settle()
    assert office.states()[-1] == "WaitForApproval"
    office.scene.approve()
    office.settle()
    office.deliver()
    office.settle()
    assert office.execution().status is Status.SUCCEEDED
    assert office.scene.items() == [("unreachable", number)]
    assert office.scene.campaign().state is CampaignState.FINISHED
    office.crew.close()


def test_a_cancelled_campaign_ends_without_sending(office: Office) -> None:
    office.scene.start()
    office.settle()
    office.scene.cancel()
    office.settle()
    assert office.execution().status is Status.SUCCEEDED
    assert json.loads(office.execution().output) == {"campaign": "nov23", "state": "cancelled"}
    assert office.scene.messages() == []


def test_cancelling_while_deliveries_are_awaited_ends_the_wait(office: Office) -> None:
    office.scene.start()
    office.settle()
    office.scene.approve()
    office.settle()
    office.scene.cancel()
    office.settle()
    assert office.execution().status is Status.SUCCEEDED
    assert office.scene.campaign().state is CampaignState.CANCELLED
    assert {message.state for message in office.scene.messages()} == {"withdrawn"}


def test_nobody_approves_within_a_week(office: Office) -> None:
    office.scene.start()
    office.settle()
    office.scene.clock.move(timedelta(days=8))
    office.settle()
    assert office.states()[-2:] == ["Expire", "Cancelled"]
    assert office.scene.campaign().state is CampaignState.CANCELLED


def test_an_approval_that_the_workflow_never_heard_of_fails_and_is_resumed(
    office: Office,
) -> None:
    office.scene.start()
    office.settle()
    office.scene.approve()

    def away(_payload: Any) -> None:
        raise UpstreamError("engine_away")

    real = dict(office.performers)
    office.performers["workflow_token"] = away
    office.scene.clock.move(timedelta(days=8))
    office.settle()
    assert office.states()[-3:] == ["Expire", "MarkFailed", "Failed"]
    assert office.scene.campaign().state is CampaignState.FAILED
    office.performers.update(real)
    office.scene.fresh()
    office.scene.clock.move(timedelta(minutes=10))
    office.scene.do(lambda s: service.resume_campaign(s, "nov23", "li", office.scene.now))
    office.settle()
    assert office.scene.campaign().state is CampaignState.SENT


def test_what_never_arrives_does_not_hold_up_the_campaign_for_ever(office: Office) -> None:
    office.scene.start()
    office.settle()
    office.scene.approve()
    office.settle()
    office.scene.clock.move(timedelta(days=7))
    office.settle()
    assert office.states()[-1] == "Summarise"
    assert office.execution().status is Status.SUCCEEDED


def test_a_passing_fault_is_tried_again(office: Office) -> None:
    office.failures["arrears.prepare"] = [UpstreamError("database_unavailable")] * 2
    office.scene.start()
    office.settle()
    for _ in range(2):
        office.scene.clock.move(timedelta(seconds=11))
        office.settle()
    assert office.calls.count("arrears.prepare") == 3
    assert office.scene.campaign().state is CampaignState.PREPARED


def test_a_fault_for_good_marks_the_campaign_and_resuming_finishes_it(office: Office) -> None:
    office.failures["arrears.run"] = [InputError("a_bug")]
    office.scene.start()
    office.settle()
    office.scene.approve()
    office.settle()
    assert office.execution().status is Status.FAILED
    assert office.scene.campaign().state is CampaignState.FAILED
    resumed = office.scene.do(lambda s: service.resume_campaign(s, "nov23", "li", office.scene.now))
    assert resumed.state is CampaignState.APPROVED
    office.settle()
    office.deliver()
    office.settle()
    name = f"nov23-{office.scene.now:%Y%m%dT%H%M%S}"
    assert office.execution(name).status is Status.SUCCEEDED
    assert len(office.scene.messages()) == 3


def test_the_start_waits_until_a_worker_has_published_the_file(
    database: Database, clock: MovableClock
) -> None:
    scene = CampaignScene(database, clock)
    scene.start()
    performers = workflow_performers(database, clock)
    perform_intents(database, performers, scene.now)
    with database.read() as session:
        assert count_intents(session) == {"pending": 1}
    office = Office(database, clock)
    clock.move(timedelta(seconds=6))
    office.settle()
    assert office.execution().status is Status.SUCCEEDED


def test_a_start_and_a_token_performed_again_change_nothing(office: Office) -> None:
    office.scene.start()
    office.settle()
    office.scene.approve()
    office.settle()
    office.deliver()
    office.settle()
    for intent in office.scene.intents():
        office.performers[intent.kind](intent.payload)
    assert office.execution().status is Status.SUCCEEDED
    office.performers["workflow_token"]({"token": "x" * 64, "output": {}})


# the same file on another's engine


class MotoOffice:
    """The same steps behind moto's Lambda; decisions reach moto as they would reach the cloud."""

    def __init__(self, office: Office, client: Any) -> None:
        self.office, self.client = office, client
        self.execution = ""
        text = read_workflow(FILE)
        self.machine = client.create_state_machine(
            name="arrears", definition=text, roleArn="arn:aws:iam::123456789012:role/snf"
        )["stateMachineArn"]

    def start(self, payload: Any) -> None:
        self.execution = self.client.start_execution(
            stateMachineArn=self.machine,
            name=payload["name"],
            input=json.dumps(payload["input"]),
        )["executionArn"]

    def finish(self, payload: Any) -> None:
        self.client.send_task_success(
            taskToken=payload["token"], output=json.dumps(payload["output"])
        )

    def perform_intents(self) -> None:
        performers = {"workflow_start": self.start, "workflow_token": self.finish}
        scene = self.office.scene
        while perform_intents(scene.database, performers, scene.now):
            pass

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not done():
            assert time.monotonic() < end, self.told()
            self.perform_intents()
            time.sleep(0.02)

    def told(self) -> Any:
        return self.client.describe_execution(executionArn=self.execution)

    def states(self) -> list[str]:
        events = self.client.get_execution_history(executionArn=self.execution)["events"]
        entered = (event.get("stateEnteredEventDetails") for event in events)
        return [details["name"] for details in entered if details]


def test_the_file_runs_on_moto_as_on_our_engine(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    simple = import_module("moto.awslambda_simple.models")

    def invoke(_self: Any, function_name: str, _qualifier: Any, body: Any, *_: Any) -> bytes:
        answer = office.perform(json.loads(body), TaskCall("moto", function_name))
        return json.dumps(answer).encode()

    monkeypatch.setattr(simple.LambdaSimpleBackend, "invoke", invoke)
    side = MotoSide()
    config: Any = {
        "stepfunctions": {"execute_state_machine": True},
        "lambda": {"use_docker": False},
    }
    side._mock = mock_aws(config=config)
    with side:
        moto = MotoOffice(office, side._client)
        scene = office.scene
        scene.start()
        moto.perform_intents()
        moto.until(lambda: scene.campaign().state is CampaignState.PREPARED)
        scene.approve()
        moto.until(lambda: scene.campaign().state is CampaignState.SENT)
        office.deliver()

        def is_over() -> bool:
            scene.look()
            return bool(moto.told()["status"] != "RUNNING")

        moto.until(is_over)
        assert (moto.told()["status"], moto.states()) == ("SUCCEEDED", HAPPY)
        assert json.loads(moto.told()["output"])["state"] == "finished"
    command = CancelCampaign("nov23", "li", "太晚")
    with pytest.raises(Exception, match="campaign_state"):
        scene.do(lambda s: service.cancel_campaign(s, command, scene.now))
