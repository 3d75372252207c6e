from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest
import redis
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.embedded.errors import ChildDiedError, PortInUseError, StackRunningError
from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.stack import EmbeddedStack, status, stop
from stream.embedded.state import STATE_FILE, StackState, read_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream.embedded.kafka import KafkaCluster

pytestmark = pytest.mark.real

FOREGROUND = """
import sys, time
from pathlib import Path
from stream.embedded.stack import EmbeddedStack
def on_ready(state):
    print("up", flush=True)
    time.sleep(float(sys.argv[2]))  # as long as this lasts, a signal to end is noted but not obeyed
EmbeddedStack(Path(sys.argv[1])).run_forever(on_ready=on_ready)
"""


@contextmanager
def _in_the_foreground(run_dir: Path, *, deaf_s: float = 0) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", FOREGROUND, str(run_dir), str(deaf_s)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.wait()


def _all_gone(state: StackState, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(child.alive for child in state.children):
            return True
        time.sleep(0.05)
    return False


def test_both_servers_answer_and_listen_on_loopback_only(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path) as stack:
        state = status(tmp_path)
        assert state == stack.state
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.ping()
            assert client.config_get("save")["save"] == ""
        listening = {
            child.name: {
                connection.laddr.ip
                for connection in psutil.Process(child.pid).net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            }
            for child in state.children
        }
        assert listening == {"valkey": {LOOPBACK}, "tansu": {LOOPBACK}}
    assert status(tmp_path) is None
    assert not any(child.alive for child in state.children)
    assert not (tmp_path / STATE_FILE).exists()


def test_given_ports_are_used(tmp_path: Path) -> None:
    broker, valkey = free_ports(2)
    with EmbeddedStack(tmp_path, broker_port=broker, redis_port=valkey) as stack:
        assert stack.bootstrap == f"127.0.0.1:{broker}"
        assert stack.redis_url == f"redis://127.0.0.1:{valkey}/0"


@pytest.mark.parametrize("which", ["broker_port", "redis_port"])
def test_a_port_in_use_is_named_and_nothing_is_left_running(tmp_path: Path, which: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        stack = EmbeddedStack(tmp_path, **{which: port})
        with pytest.raises(PortInUseError, match=f"127.0.0.1:{port} is already in use"):
            stack.start()
    assert not stack.supervisor.children
    assert status(tmp_path) is None
    with EmbeddedStack(tmp_path):
        pass


def test_killing_the_supervisor_ends_both_servers_and_the_next_start_is_not_hindered(tmp_path: Path) -> None:
    with _in_the_foreground(tmp_path) as process:
        state = status(tmp_path)
        assert state is not None
        assert state.supervisor.pid == process.pid
        assert all(child.alive for child in state.children)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert _all_gone(state, 3.0)
    assert read_state(tmp_path) is not None, "a killed supervisor leaves its file behind"
    assert status(tmp_path) is None
    with EmbeddedStack(tmp_path) as again:
        assert again.state.supervisor.pid == os.getpid()


def test_down_ends_a_stack_in_the_foreground_and_a_second_down_has_nothing_to_do(tmp_path: Path) -> None:
    with _in_the_foreground(tmp_path) as process:
        state = status(tmp_path)
        assert state is not None
        first = stop(tmp_path)
        assert first.stopped, first.message
        assert "valkey" in first.message
        assert process.wait(5) == 0
        assert _all_gone(state, 1.0)
    second = stop(tmp_path)
    assert not second.stopped
    assert "No embedded stack runs" in second.message


def test_down_kills_a_supervisor_that_does_not_listen(tmp_path: Path) -> None:
    with _in_the_foreground(tmp_path, deaf_s=60) as process:
        state = status(tmp_path)
        assert state is not None
        report = stop(tmp_path, timeout_s=1.0)
        assert report.stopped
        assert "killed" in report.message
        assert process.wait(5) == -signal.SIGKILL
        assert _all_gone(state, 3.0)


def test_a_second_stack_in_the_same_folder_is_refused_and_told_where_the_first_is(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path) as first:
        with pytest.raises(StackRunningError, match=first.bootstrap) as refused:
            EmbeddedStack(tmp_path).start()
        assert "nearline down" in refused.value.way_out
        assert status(tmp_path) == first.state
        first.check()


def test_a_server_that_dies_is_reported_by_name_with_its_log(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path) as stack:
        stack.check()
        valkey = stack.supervisor.children["valkey"]
        valkey.process.kill()
        valkey.process.wait()
        with pytest.raises(ChildDiedError, match="valkey") as died:
            stack.check()
    assert "Ready to accept connections" in str(died.value)
    assert died.value.returncode == -signal.SIGKILL


def test_without_persist_every_start_is_empty(tmp_path: Path) -> None:
    for _ in range(2):
        with EmbeddedStack(tmp_path) as stack, redis.Redis.from_url(stack.redis_url) as client:
            assert client.dbsize() == 0
            client.set("left", "behind")


@pytest.mark.slow
async def test_with_persist_topics_and_keys_are_there_again_on_the_same_ports(
    kafka: KafkaCluster, tmp_path: Path
) -> None:
    # The fixture is asked for its check that java and mvn are there.
    with EmbeddedStack(tmp_path, broker="kafka", persist=True) as stack:
        bootstrap = stack.bootstrap
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("views", 1, 1)])
        await admin.close()
        with redis.Redis.from_url(stack.redis_url) as client:
            client.set("left", "behind")
    with EmbeddedStack(tmp_path, broker="kafka", persist=True) as stack:
        assert stack.bootstrap == bootstrap
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        assert "views" in await admin.list_topics()
        await admin.close()
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.get("left") == b"behind"
