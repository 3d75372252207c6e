"""A student behind vLLM against the same student in process: valid answers, and the same greedy answers.

    python -m bench.vllm_parity --python VLLM_VENV/bin/python STUDENT PAIRS [--prompts 100] [--queries 4]

Starts a vLLM server on the student's folder (minutes on a CPU), asks it through `agents.runtime.server` as a worker
would, stops it, and asks the model in this process: transformers, float32, the likeliest token that the same schema
allows, which is what vLLM's greedy decoding is. Profiles are histories out of a folder of pairs (`nearline distill prepare`).
vLLM wants an environment of its own; `make vllm-parity` makes one. ``--url`` asks a server that runs already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xgrammar
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from agents import prompts
from agents.distill.form import PROMPT
from agents.distill.pairs import read_pairs
from agents.errors import BadAnswer, GenerationError
from agents.runtime import Request
from agents.runtime.server import ServerRuntime
from agents.settings import Mode, ServerSettings
from agents.structured import queries
from stream.embedded.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agents.structured import Structure

NAME = "student"
QUERY_CHARS = 48
START_S = 1_800.0
SAME = 95
"""Of a hundred greedy answers so many at least are to be the same."""


def requests_of(folder: Path, many: int, at_most: int) -> list[Request]:
    """Greedy requests for profiles drawn from pairs: whole histories and cut ones."""
    pairs = read_pairs(folder)
    prompt, structure = prompts.load(PROMPT), queries(at_most, QUERY_CHARS)
    chosen = np.random.default_rng(0).permutation(len(pairs))[:many]
    profiles = ["bought: " + "; ".join(pairs.phrases[one] for one in pairs.history(int(at))) for at in chosen]
    return [Request(prompt, profile, structure, 32, 0.0, 0) for profile in profiles]


@contextmanager
def serving(python: Path, student: Path, log: Path) -> Iterator[str]:
    """A vLLM server on the student's folder; its base URL once it answers, and its end afterwards."""
    port = free_ports(1)[0]
    command = [
        str(python), "-m", "vllm.entrypoints.cli.main", "serve", str(student),
        "--served-model-name", NAME, "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port),
        "--enforce-eager", "--max-num-seqs", "8",
    ]  # fmt: skip
    surroundings = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the machine is shared
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    # The server finds this checkout's packages by no path of ours.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=kept | surroundings, start_new_session=True
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/v1/models", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        # The engine is a process of the server's; both are in one session.
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, kind)
                process.wait(30)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            sys.exit(f"vLLM ended with {process.returncode}:\n{tail}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(2)
    sys.exit(f"vLLM did not answer within {START_S:.0f} s; see {log}")


async def served(url: str, requests: list[Request], most: int | None) -> list[str | GenerationError]:
    """The answers of the server, through the runtime that a worker uses, of at most so many tokens."""
    settings = ServerSettings(
        url=url, model=NAME, mode=Mode.COMPLETION, timeout=300.0, concurrency=8, max_tokens=most
    )
    runtime = ServerRuntime(settings)
    try:
        answers = await runtime.generate(requests)
    finally:
        await runtime.close()
    return [one if isinstance(one, GenerationError) else one.text for one in answers]


class InProcess:
    """The same model in this process, by the likeliest token that the schema allows."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True
        ).eval()
        self._size: int = self._model.config.vocab_size
        info = xgrammar.TokenizerInfo.from_huggingface(self._tokenizer, vocab_size=self._size)
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        self._end: int = self._model.config.eos_token_id

    def answer(self, request: Request, most: int = 1_024) -> str:
        """The greedy answer under the request's schema."""
        compiled = self._compiler.compile_json_schema(json.dumps(request.structure.schema))
        matcher = xgrammar.GrammarMatcher(compiled)
        mask = xgrammar.allocate_token_bitmask(1, self._size)
        text = request.prompt.static(request.structure) + request.prompt.turn(request.text)
        ids = torch.tensor([self._tokenizer(text)["input_ids"]])
        room = self._model.config.max_position_embeddings - ids.shape[1]
        written: list[int] = []
        past = None
        with torch.inference_mode():
            while len(written) < min(most, room):
                out = self._model(input_ids=ids, past_key_values=past, use_cache=True)
                past = out.past_key_values
                logits = out.logits[:, -1].float()
                matcher.fill_next_token_bitmask(mask)
                xgrammar.apply_token_bitmask_inplace(logits, mask)
                token = int(logits.argmax())
                matcher.accept_token(token)
                if token == self._end or matcher.is_terminated():
                    break
                written.append(token)
                ids = torch.tensor([[token]])
        return str(self._tokenizer.decode(written, skip_special_tokens=True))


def _valid(answer: str | GenerationError, structure: Structure) -> bool:
    if isinstance(answer, GenerationError):
        return False
    try:
        structure.parse(answer)
    except BadAnswer:
        return False
    return True


def report(there: list[str | GenerationError], here: list[str], structure: Structure) -> int:
    """Print the table and what differs; how many of a hundred are the same."""
    same = sum(one == other for one, other in zip(there, here, strict=True))
    many = len(here)
    print(
        f"{many} prompts, at most {structure.at_most} queries of {structure.longest} characters; "
        f"{len(set(here))} different answers in process"
    )
    print(f"valid by the schema, vLLM        {sum(_valid(one, structure) for one in there):>4} of {many}")
    print(f"valid by the schema, in process  {sum(_valid(one, structure) for one in here):>4} of {many}")
    print(f"the same greedy answer           {same:>4} of {many}")
    for at, (one, other) in enumerate(zip(there, here, strict=True)):
        if one != other:
            print(f"  prompt {at}\n    vLLM        {one}\n    in process  {other}")
    return same * 100 // max(many, 1)


def main() -> None:
    """Serve, ask, stop, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--python", type=Path, help="Of the environment that has vLLM.")
    parser.add_argument("--url", help="Of a server that runs already, up to and including /v1.")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, help="As agents.server.max_tokens.")
    options = parser.parse_args()
    if (options.python is None) == (options.url is None):
        parser.error("give either --python or --url")
    requests = requests_of(options.pairs, options.prompts, options.queries)
    if options.url:
        there = asyncio.run(served(options.url, requests, options.max_tokens))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            log = Path(scratch) / "vllm.log"
            began = time.monotonic()
            with serving(options.python, options.student, log) as url:
                print(f"vLLM answered after {time.monotonic() - began:.0f} s", flush=True)
                there = asyncio.run(served(url, requests, options.max_tokens))
    model = InProcess(options.student)
    here = [model.answer(request) for request in requests]
    if report(there, here, requests[0].structure) < SAME:
        sys.exit(f"fewer than {SAME} of a hundred are the same")


if __name__ == "__main__":
    main()
