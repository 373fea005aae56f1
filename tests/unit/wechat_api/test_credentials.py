"""Single flight, compare-and-refresh and bounded waits, with fakes and threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from gongdian.adapters.credentials_memory import MemoryCredentialStore
from gongdian.adapters.wechat_api.credentials import Credentials, Patience, lifetime_s
from gongdian.clock import MovableClock
from gongdian.errors import GongdianError, OutcomeUnknownError, UpstreamError

NAME = "wx1:access_token"
QUICK = Patience(wait_s=0.2, look_s=0.005, lease_s=5)


class Source:
    """Counts fetches; gives token-1, token-2 ... or always the same."""

    def __init__(self, *, constant: bool = False, gate: threading.Event | None = None) -> None:
        self.fetches = 0
        self.constant = constant
        self.gate = gate
        self.error: GongdianError | None = None

    def __call__(self) -> tuple[str, int]:
        self.fetches += 1
        if self.gate:
            self.gate.wait(2)
        if self.error:
            raise self.error
        return ("token-1" if self.constant else f"token-{self.fetches}"), 7200


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2026, 1, 5, tzinfo=UTC), running=False)


@pytest.fixture
def store(clock: MovableClock) -> MemoryCredentialStore:
    return MemoryCredentialStore(clock)


def test_a_credential_is_used_until_300_seconds_before_its_end(store, clock):
    source, credentials = Source(), Credentials(store, clock)
    assert credentials.get(NAME, source).value == "token-1"
    clock.move(timedelta(seconds=6899))
    assert credentials.get(NAME, source).value == "token-1"
    clock.move(timedelta(seconds=2))
    assert credentials.get(NAME, source).value == "token-2"


@pytest.mark.parametrize(
    ("expires_in", "life"), [(7200, 6900), (300, 10), (305, 10), (8, 4), (10**12, 86_100)]
)
def test_a_life_is_never_zero_nor_longer_than_the_platform_says(expires_in: int, life: float):
    assert lifetime_s(expires_in) == life


def test_a_life_that_is_over_at_birth_is_refused(store, clock):
    with pytest.raises(UpstreamError):
        Credentials(store, clock).get(NAME, lambda: ("token", 0))
    assert store.try_lease(NAME, "another", timedelta(seconds=1))


def test_fifty_threads_with_an_empty_cache_fetch_once(store, clock):
    source, credentials = Source(), Credentials(store, clock)
    with ThreadPoolExecutor(50) as pool:
        held = list(pool.map(lambda _: credentials.get(NAME, source), range(50)))
    assert source.fetches == 1
    assert {one.value for one in held} == {"token-1"}


def test_eight_clients_on_one_store_fetch_once(store, clock):
    source = Source()
    clients = [Credentials(store, clock, QUICK) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda one: one.get(NAME, source), clients))
    assert source.fetches == 1
    assert {one.value for one in held} == {"token-1"}


def test_fifty_threads_that_fail_with_the_same_credential_renew_it_once(store, clock):
    source, credentials = Source(), Credentials(store, clock)
    failed = credentials.get(NAME, source)
    with ThreadPoolExecutor(50) as pool:
        held = list(pool.map(lambda _: credentials.renew(NAME, failed, source), range(50)))
    assert source.fetches == 2
    assert {one.value for one in held} == {"token-2"}


def test_fifty_threads_renew_once_even_when_the_platform_repeats_the_same_value(store, clock):
    source, credentials = Source(constant=True), Credentials(store, clock)
    failed = credentials.get(NAME, source)
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: credentials.renew(NAME, failed, source), range(50)))
    assert source.fetches == 2


def test_a_value_that_another_process_renewed_is_taken_without_a_fetch(store, clock):
    source = Source()
    ours, theirs = Credentials(store, clock), Credentials(store, clock)
    failed_here, failed_there = ours.get(NAME, source), theirs.get(NAME, source)
    assert theirs.renew(NAME, failed_there, source).value == "token-2"
    assert ours.renew(NAME, failed_here, source).value == "token-2"
    assert source.fetches == 2


def test_who_does_not_get_the_lease_waits_a_bounded_time_and_fails(store, clock):
    store.try_lease(NAME, "another", timedelta(seconds=60))
    source = Source()
    with pytest.raises(UpstreamError, match="credential_busy"):
        Credentials(store, clock, QUICK).get(NAME, source)
    assert source.fetches == 0


def test_the_lease_of_a_process_that_died_runs_out(store, clock):
    store.try_lease(NAME, "dead", timedelta(seconds=60))
    clock.move(timedelta(seconds=61))
    assert Credentials(store, clock, QUICK).get(NAME, Source()).value == "token-1"


def test_threads_that_waited_for_a_fetch_that_failed_do_not_each_try_it(store, clock):
    gate = threading.Event()
    source, credentials = Source(gate=gate), Credentials(store, clock)
    source.error = OutcomeUnknownError("wechat_no_answer")
    together = threading.Barrier(10)

    def ask(_: int) -> str:
        together.wait()
        try:
            return credentials.get(NAME, source).value
        except UpstreamError as error:
            return type(error).__name__

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, number) for number in range(10)]
        while source.fetches == 0:
            pass
        threading.Timer(0.3, gate.set).start()
        # Never "outcome unknown": the call that needed the credential was not made.
        assert {answer.result() for answer in answers} == {"UpstreamError"}
    assert source.fetches == 1
    source.error = None
    assert credentials.get(NAME, source).value == "token-2"


def test_a_failed_fetch_gives_the_lease_back(store, clock):
    source = Source()
    source.error = UpstreamError("wechat_unreachable")
    with pytest.raises(UpstreamError):
        Credentials(store, clock).get(NAME, source)
    assert store.try_lease(NAME, "another", timedelta(seconds=1))
