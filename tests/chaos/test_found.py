"""What chaos has found, made small: each of these went wrong once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError

from stream.embedded.errors import PartMissingError
from stream.embedded.kafka import KafkaCluster
from stream.embedded.ports import free_ports
from stream.errors import FencedError
from stream.gate.state.checkpoint import CheckpointStore

from .driver import ROOT
from .proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from .servers import Servers

pytestmark = pytest.mark.real


@pytest.mark.parametrize("moment", ["get", "execute"])
async def test_a_connection_lost_in_the_middle_of_a_checkpoint_is_not_taken_for_a_new_owner(
    moment: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = int(valkey.rpartition(":")[2].partition("/")[0])
    with Proxy(free_ports(1)[0], target) as proxy:
        async with Redis(host="127.0.0.1", port=proxy.port) as client:
            store = CheckpointStore(client, "cut-")
            partition = await store.take_over(0)
            partition.offsets["views"] = 7
            original = getattr(Pipeline, moment)
            cuts = [1]

            def cut_off(self: Any, *args: Any, **kwargs: Any) -> Any:
                if cuts:
                    cuts.pop()
                    assert proxy.sever(random.Random(0), share=1.0)
                return original(self, *args, **kwargs)

            monkeypatch.setattr(Pipeline, moment, cut_off)
            with pytest.raises(RedisConnectionError):
                await store.write(partition, 1)
            await store.write(partition, 2)
            written = await store.read_offsets(0)
            assert written is not None
            assert written.offsets == {"views": 7}
            await store.take_over(0)
            with pytest.raises(FencedError):
                await store.write(partition, 3)


def test_a_cluster_id_that_begins_with_a_dash_is_no_option(tmp_path: Path) -> None:
    port, controller_port = free_ports(2)
    nodes = [{"node_id": 1, "port": port, "controller_port": controller_port}]
    note = {"cluster_id": "-zVy3JtPTLqeLoFSDpQHmQ", "nodes": nodes}
    (tmp_path / "cluster.json").write_text(json.dumps(note))
    try:
        KafkaCluster(tmp_path).specs()
    except PartMissingError as error:
        pytest.skip(str(error))
    written = (tmp_path / "kafka-1" / "data" / "meta.properties").read_text()
    assert "cluster.id=-zVy3JtPTLqeLoFSDpQHmQ" in written


# The gate's Redis goes away after the worker has looked whether it is there.
_GONE = """
from nearline import NearlineError
from stream import role
async def gone(settings):
    raise NearlineError("No Redis answers.", way_out="Start one.")
role.connect_redis = gone
from console.main import main
main()
"""


def test_a_worker_whose_gate_cannot_start_says_why_and_ends_with_2(servers: Servers) -> None:
    env = {
        **os.environ,
        "NEARLINE_STREAM__KAFKA__BROKERS": servers.brokers,
        "NEARLINE_STREAM__KAFKA__PREFIX": "gone.",
        "NEARLINE_STREAM__REDIS__URL": servers.redis_url,
        "NEARLINE_STREAM__WEB__PORT": str(free_ports(1)[0]),
        "NEARLINE_CONFIG": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", _GONE, "worker", "--roles", "gate"],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr[-2000:]
    assert done.stderr.strip().splitlines()[-1] == "nearline: No Redis answers. Start one."
