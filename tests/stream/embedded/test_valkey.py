from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from stream.embedded.ports import free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.valkey import valkey_spec, valkey_url

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("append_only", "after"), [(True, b"kept"), (False, None)])
def test_what_was_written_survives_a_kill_only_when_writes_are_logged(
    tmp_path: Path, append_only: bool, after: bytes | None
) -> None:
    port = free_ports(1)[0]
    with Supervisor(tmp_path / "logs") as supervisor:
        spec = valkey_spec(port, tmp_path / "data", append_only=append_only)
        supervisor.start(spec)
        with redis.Redis.from_url(valkey_url(port)) as client:
            client.set("key", "kept")
        supervisor.kill("valkey")
        supervisor.start(spec)
        with redis.Redis.from_url(valkey_url(port)) as client:
            assert client.get("key") == after


def test_a_full_server_refuses_writes_rather_than_drop_a_checkpoint(valkey: str) -> None:
    with redis.Redis.from_url(valkey) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
