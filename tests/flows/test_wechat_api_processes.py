"""One token for all threads and processes: clients that start together with an empty store."""

import multiprocessing
import socket
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

from gongdian.adapters.credentials_db import DatabaseCredentialStore
from gongdian.adapters.credentials_tables import platform_credentials
from gongdian.adapters.wechat_api.client import WechatApi
from gongdian.clock import SystemClock
from gongdian.db import Database
from gongdian.ports import TemplateSend, WechatAccount
from gongdian.privacy import DataKeys, install_keys
from tests.fake_platform import FakePlatform, Request, fake_platform, says

TOKEN, SEND = "/cgi-bin/stable_token", "/cgi-bin/message/template/send"
THREADS, PROCESSES = 8, 4


def make_api(database: Database, url: str) -> WechatApi:
    install_keys(DataKeys(current=b"k" * 32, index=b"i" * 32))
    store = DatabaseCredentialStore(database, SystemClock())
    return WechatApi(WechatAccount("wx1", "s3cret"), store, SystemClock(), api_url=url)


def send_one(api: WechatApi, number: int) -> str:
    return api.send_template(TemplateSend("oX", "tpl", {"thing1": "x"}, f"id{number}")).msgid


def run_process(url: str, database_url: str, together: Barrier) -> None:
    """One process of the test: its own client, two threads."""
    database = Database(database_url)
    api = make_api(database, url)
    together.wait(60)
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda number: send_one(api, number), range(2))) == {"1"}
    api.close()
    database.close()


def prepare(platform: FakePlatform, folder: Path) -> str:
    token = says({"access_token": "T", "expires_in": 7200})

    def slow_token(request: Request, sock: socket.socket) -> bool:
        platform.stopped(0.3)  # long enough for all the others to ask meanwhile
        return token(request, sock)

    platform.routes[TOKEN] = slow_token
    platform.routes[SEND] = says({"errcode": 0, "msgid": 1})
    url = f"sqlite:///{folder / 'credentials.db'}"
    database = Database(url)
    with database.begin() as session:
        platform_credentials.create(session)
    database.close()
    return url


def test_eight_clients_in_threads_fetch_one_token(tmp_path):
    with fake_platform() as platform:
        database = Database(prepare(platform, tmp_path))
        clients = [make_api(database, platform.url) for _ in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            assert set(pool.map(send_one, clients, range(THREADS))) == {"1"}
        assert (platform.count(TOKEN), platform.count(SEND)) == (1, THREADS)
        for client in clients:
            client.close()
        database.close()


def test_four_processes_fetch_one_token(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    with fake_platform() as platform:
        url = prepare(platform, tmp_path)
        together = spawn.Barrier(PROCESSES)
        processes = [
            spawn.Process(target=run_process, args=(platform.url, url, together))
            for _ in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * PROCESSES
        assert (platform.count(TOKEN), platform.count(SEND)) == (1, 2 * PROCESSES)
