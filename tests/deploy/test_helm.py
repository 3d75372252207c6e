"""The chart, read by a real Helm."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.real

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "nearline"
BUILT = Path.home() / ".cache" / "nearline" / "bin" / "helm"
EVERYTHING = [
    "gate.autoscaling.enabled=true",
    "infer.autoscaling.enabled=true",
    "autoscaling.prometheusUrl=http://prometheus:9090",
    "podMonitor.enabled=true",
    "networkPolicy.enabled=true",
    "tlsSecretName=nearline-tls",
    "console.ingress.enabled=true",
    "console.ingress.tlsSecretName=console-tls",
]


@pytest.fixture(scope="module")
def helm() -> str:
    found = shutil.which("helm") or (str(BUILT) if BUILT.exists() else None)
    if found is None:
        words = "No helm on this machine: go install helm.sh/helm/v3/cmd/helm@v3.22.0"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(words)
        pytest.skip(words)
    return found


def rendered(helm: str, *values: str) -> list[dict[str, Any]]:
    argv = [helm, "template", "shop", str(CHART)]
    for value in values:
        argv += ["--set", value]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of(documents: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def test_the_chart_passes_lint_strictly(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_that_is_mounted_is_one_that_nearline_accepts(
    helm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from console.settings import load_settings

    file = tmp_path / "nearline.yaml"
    file.write_text(of(rendered(helm), "ConfigMap")["shop"]["data"]["nearline.yaml"])
    monkeypatch.setenv("NEARLINE_CONFIG", str(file))
    settings = load_settings()
    assert settings.stream.kafka.replication == 3
    assert settings.console.accounts


@pytest.mark.parametrize("values", [[], EVERYTHING])
def test_every_pod_runs_without_rights_and_is_asked_for_its_health(helm: str, values: list[str]) -> None:
    deployments = of(rendered(helm, *values), "Deployment")
    assert set(deployments) == {"shop-gate", "shop-infer", "shop-console"}
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert not pod["automountServiceAccountToken"], name
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert {"readinessProbe", "livenessProbe"} <= container.keys(), name
        assert "memory" in container["resources"]["limits"], name
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}, name


def test_workers_are_added_by_lag_and_by_the_age_of_the_queue(helm: str) -> None:
    scaled = of(rendered(helm, *EVERYTHING), "ScaledObject")
    kinds = {name: [trigger["type"] for trigger in one["spec"]["triggers"]] for name, one in scaled.items()}
    assert kinds == {"shop-gate": ["kafka"], "shop-infer": ["kafka", "prometheus"]}
    groups = {one["spec"]["triggers"][0]["metadata"]["consumerGroup"] for one in scaled.values()}
    assert groups == {"nearline-gate", "nearline-infer"}
    # Who scales does not also say how many.
    assert "replicas" not in of(rendered(helm, *EVERYTHING), "Deployment")["shop-gate"]["spec"]


def test_no_secret_is_in_a_variable_or_in_the_configuration(helm: str) -> None:
    for deployment in of(rendered(helm, *EVERYTHING), "Deployment").values():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert {entry["name"] for entry in container["env"]} == {"NEARLINE_CONFIG", "NEARLINE_SECRETS"}
