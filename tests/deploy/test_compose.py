"""The production shape, read by a real Compose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def _compose_command() -> list[str]:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    ):
        return plugin
    words = "No Compose on this machine (Debian: apt-get install docker-compose)."
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(words)
    pytest.skip(words)


def _config(*profiles: str) -> dict[str, Any]:
    argv = [*_compose_command(), "-f", str(COMPOSE_FILE)]
    for profile in profiles:
        argv += ["--profile", profile]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NEARLINE_")}
    done = subprocess.run([*argv, "config"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)
    assert isinstance(read, dict)
    return read


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(_config("gpu", "cpu")["services"])


@pytest.mark.parametrize("profiles", [(), ("gpu",), ("cpu",)])
def test_compose_accepts_the_file_under_every_profile(profiles: tuple[str, ...]) -> None:
    assert {"kafka", "redis", "gate", "infer"} <= set(_config(*profiles)["services"])


def test_the_model_servers_start_only_under_their_profiles(services: dict[str, Any]) -> None:
    models = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert models == {"llm-gpu": ["gpu"], "llm-cpu": ["cpu"]}


def test_no_image_is_without_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.search(r"\d+\.\d+", tag), f"{name}: {service['image']}"
    for image in re.findall(r"^FROM (\S+:\S+)", DOCKERFILE.read_text(), flags=re.MULTILINE):
        assert not image.endswith(":latest"), image


def test_every_service_has_a_health_check_and_comes_back_after_a_crash(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_ports_are_published_on_loopback_only() -> None:
    declared = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    published = [str(port) for service in declared.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published), published


def test_the_stores_keep_their_data_in_volumes(services: dict[str, Any]) -> None:
    volumes = _config()["volumes"]
    for name in ("kafka", "redis"):
        mounts = services[name]["volumes"]
        assert any(str(mount).startswith(f"{name}:") or mount.get("source") == name for mount in mounts), (
            mounts
        )
        assert name in volumes
    assert "--appendonly" in services["redis"]["command"]
    assert "noeviction" in services["redis"]["command"]


def test_what_is_mounted_from_here_is_here_but_data_and_secrets(services: dict[str, Any]) -> None:
    declared = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    sources = {mount.split(":")[0] for service in declared.values() for mount in service.get("volumes", [])}
    here = {source for source in sources if source.startswith("./") and not source.startswith("./data/")}
    assert {"./deploy/prometheus", "./deploy/grafana/dashboards"} <= here
    assert [source for source in here if not (ROOT / source).exists()] == []
    ignored = (ROOT / ".gitignore").read_text().split()
    assert "/data/" in ignored, "passwords lie there"


@pytest.mark.parametrize("role", ["gate", "infer"])
def test_a_worker_is_built_for_its_role_waits_for_the_stores_and_reads_the_mounted_configuration(
    services: dict[str, Any], role: str
) -> None:
    worker = services[role]
    assert worker["command"] == ["worker", "--roles", role]
    assert worker["build"]["target"] == role
    assert Path(worker["build"]["context"], worker["build"]["dockerfile"]) == DOCKERFILE
    waits = worker["depends_on"]
    assert {name: waits[name]["condition"] for name in waits} == {
        "kafka": "service_healthy",
        "redis": "service_healthy",
    }
    configuration = worker["environment"]["NEARLINE_CONFIG"]
    mounts = yaml.safe_load(COMPOSE_FILE.read_text())["services"][role]["volumes"]
    source = next(mount.split(":")[0] for mount in mounts if mount.split(":")[1] == configuration)
    assert (ROOT / source).is_file(), source


def test_the_images_run_as_nobody_in_particular() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)[1:]
    for role in ("gate", "infer", "console"):
        stage = next(stage for stage in stages if stage.splitlines()[0].endswith(f" AS {role}"))
        user = re.findall(r"^USER (\S+)", stage, flags=re.MULTILINE)
        assert user, role
        assert user[-1] not in {"root", "0", "0:0"}


def test_the_gates_image_is_installed_without_models() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)[1:]
    gate = next(stage for stage in stages if " AS gate-build" in stage)
    assert 'pip install ".[tracing]"' in gate
    assert "local" not in gate


def test_what_the_images_copy_is_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    assert {name for line in copied for name in line.split()} == kept
