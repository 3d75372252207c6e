"""The workers of a replay: real ones, started with the settings of the replay and started again after a kill."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import ChildSpec, Supervisor, last_lines
from stream.replay.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream.replay.replaying import Setup

__all__ = ["Workers"]

_READY_S = 240.0
_STOP_S = 30.0
_MOST_RESTARTS = 3
_OURS = ("NEARLINE_STREAM__", "NEARLINE_AGENTS__", "NEARLINE_INDEX__")


class Workers:
    """A context manager around the worker processes of one replay.

    Args:
        command: what runs a worker; ``--roles``, ``--replay`` and the plan are added.
        plan: the plan's file.
        setup: the settings of the replay; they reach the workers by the environment.
        count: how many, and ``roles`` of each.
        roles: ``gate`` or ``gate,infer``.
        logs: folder of their logs.

    Attributes:
        restarts: how many have been started again.
    """

    def __init__(
        self, command: Sequence[str], plan: Path, setup: Setup, count: int, roles: str, logs: Path
    ) -> None:
        self._supervisor = Supervisor(logs)
        # A single setting in the parent's environment would come before the whole that is handed over.
        ours = [name for name in os.environ if name.startswith(_OURS)]
        argv = [
            "env",
            *(f"--unset={name}" for name in ours),
            *command,
            "--roles",
            roles,
            "--replay",
            str(plan),
        ]
        self._specs = {
            f"worker-{number}": ChildSpec(
                f"worker-{number}",
                argv,
                env=_environment(setup, port),
                ready=lambda port=port: _is_ready(port),  # type: ignore[misc]  # a default binds it now
                ready_timeout_s=_READY_S,
                stop_grace_s=_STOP_S,
            )
            for number, port in enumerate(free_ports(count), start=1)
        }
        self.restarts = 0

    def start(self) -> None:
        """Start all; return when each has its partitions.

        Raises:
            ChildDiedError: one ended, with its last words.
        """
        self._supervisor.start(*self._specs.values())

    def stop(self) -> None:
        """End all of them."""
        self._supervisor.stop()

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids by name."""
        return {name: child.pid for name, child in self._supervisor.children.items()}

    def tend(self) -> None:
        """Start again whoever was killed.

        Raises:
            WireError: one ended by itself, or was killed too often; with its last words.
        """
        for name, child in self._supervisor.children.items():
            if child.alive:
                continue
            code = child.process.returncode
            words = "\n  ".join(last_lines(child.log))
            if code >= 0 or self.restarts >= _MOST_RESTARTS:
                how = (
                    f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code} once more"
                )
                raise WireError(
                    f"{name} {how}. Its last words:\n  {words}\n", way_out=f"Its log is {child.log}."
                )
            self.restarts += 1
            self._supervisor.stop(name)
            spec = self._specs[name]
            # Not waited for: the others go on meanwhile.
            self._supervisor.start(ChildSpec(name, spec.argv, env=spec.env, stop_grace_s=_STOP_S))


def _environment(setup: Setup, port: int) -> dict[str, str]:
    """The environment that gives a worker these settings, whatever its configuration says."""
    stream = setup.stream.model_copy(
        update={"web": setup.stream.web.model_copy(update={"port": port, "host": LOOPBACK})}
    )
    return {
        "NEARLINE_STREAM": json.dumps(_plain(stream)),
        "NEARLINE_AGENTS": json.dumps(_plain(setup.agents)),
        "NEARLINE_INDEX": json.dumps(_plain(setup.index)),
    }


def _plain(value: Any) -> Any:
    """Settings as JSON has them, secrets included: they go to processes of our own."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.expanduser())
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return value


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://{LOOPBACK}:{port}/health/ready", timeout=1
        ) as answer:  # loopback
            return bool(json.load(answer)["status"] == "ready")
    except (urllib.error.URLError, OSError, ValueError):
        return False
