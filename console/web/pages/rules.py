"""The pages of the rules: what is in force and what it does, the editor, trying, applying, taking back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse
from starlette.routing import Route

from console.errors import ConsoleError
from console.web.chart import Series, bars, line_chart
from console.web.doors import STRANGERS, form_of, must_ask, must_change
from console.web.effect import BEFORE_MS, effect
from console.web.rule_draft import check_draft, described, diff_rows, in_force, text_of
from console.web.simulations import SPANS, State
from console.web.state import console_of
from console.web.templates import page
from stream.errors import RulesConflictError, RulesError
from stream.gate.rules.ruleset import parse_rules
from stream.gate.state.checkpoint import CheckpointStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from console.web.chart import Chart
    from console.web.effect import Effect
    from console.web.simulations import Try
    from console.web.state import Console
    from stream.gate.rules.book import Version
    from stream.simulate.report import Report

__all__ = ["ROUTES", "editor"]

_EFFECT_MS = 2 * 3_600_000
_LISTED = 50


async def rules(request: Request) -> Response:
    """What is in force, what the last change did, and all versions."""
    console = console_of(request)
    current = await in_force(console.book, console.stream)
    versions = await console.book.history()
    ruleset = parse_rules(current.text, "the rules in force", strict=False)
    return page(
        request,
        "rules.html",
        {
            "current": current,
            "digest": ruleset.digest,
            "rules": described(ruleset),
            "versions": versions[:_LISTED],
            "more": max(0, len(versions) - _LISTED),
            "applied": _number(request.query_params.get("applied")),
            "unrecorded": "unrecorded" in request.query_params,
            **await _effect(console, versions),
        },
    )


async def moving(request: Request) -> Response:
    """The part of the page that moves: who runs what, and the effect."""
    console = console_of(request)
    current = await in_force(console.book, console.stream)
    versions = await console.book.history()
    values = {"current": current, **await _effect(console, versions)}
    return page(request, "parts/rules_effect.html", values)


async def version(request: Request) -> Response:
    """One version: its text, what it changed, what it did."""
    console = console_of(request)
    number = int(request.path_params["number"])
    shown = await text_of(number, console.book, console.stream)
    before = await text_of(shown.version.base, console.book, console.stream) if shown.version else None
    current = await in_force(console.book, console.stream)
    versions = await console.book.history()
    ruleset = parse_rules(shown.text, f"version {number}", strict=False)
    following = next((one for one in versions if one.number == number + 1), None)
    until = float(following.at) if following else time.time() * 1000
    return page(
        request,
        "rules_version.html",
        {
            "shown": shown,
            "current": current,
            "rules": described(ruleset),
            "changed": diff_rows(before.text, shown.text, f"version {before.number}", f"version {number}")
            if before
            else [],
            "effect": _effect_of(console, shown.version, until) if shown.version else None,
        },
    )


async def edit(request: Request) -> Response:
    """The editor, on the rules in force or on those of a version."""
    console = console_of(request)
    current = await in_force(console.book, console.stream)
    number = _number(request.query_params.get("from"))
    began = current if number is None else await text_of(number, console.book, console.stream)
    return await editor(request, {"text": began.text, "base": str(current.number), "note": ""})


async def editor(
    request: Request, draft: Mapping[str, str], words: str = "", *, status: int = 200, **more: Any
) -> Response:
    """The editor with a draft: its ``text``, the version it began from (``base``) and its ``note``."""
    console = console_of(request)
    current = await in_force(console.book, console.stream)
    newest = console.simulations.newest()
    values: dict[str, Any] = {
        "draft": {
            "text": draft.get("text", ""),
            "base": draft.get("base", "0"),
            "note": draft.get("note", ""),
        },
        "current": current,
        "spans": SPANS,
        "words": words,
        "running": newest if newest is not None and newest.state is State.RUNNING else None,
        "conflict": None,
        **more,
    }
    return page(request, "rules_edit.html", values, status=status)


async def check(request: Request) -> Response:
    """What is wrong with a draft, or what it would change; asked for as one types."""
    console = console_of(request)
    form = await form_of(request)
    must_ask(request, form)
    current = await in_force(console.book, console.stream)
    text = _text(form)
    draft = await asyncio.to_thread(check_draft, text, current.text, console.stream.kafka)
    values = {
        "draft": draft,
        "rules": described(draft.rules) if draft.rules else [],
        "base": _number(form.get("base")) or 0,
        "current": current,
    }
    return page(request, "parts/rules_check.html", values)


async def simulate(request: Request) -> Response:
    """Begin to try a draft."""
    console = console_of(request)
    form = await form_of(request)
    operator = must_ask(request, form)
    text = _text(form)
    current = await in_force(console.book, console.stream)
    draft = await asyncio.to_thread(check_draft, text, current.text, console.stream.kafka)
    if draft.problems:
        raise RulesError("The draft has mistakes, so it cannot be tried.", way_out="Correct them first.")
    one = console.simulations.start(text, form.get("since", "1h"), operator.name, current.number)
    return _trying(request, one)


async def trying(request: Request) -> Response:
    """How far a simulation is, or what it found."""
    one = console_of(request).simulations.get(request.path_params["name"])
    if one is None:
        raise ConsoleError("That simulation is no longer kept.", way_out="Start it again.")
    return _trying(request, one)


async def stop(request: Request) -> Response:
    """Stop a simulation."""
    console = console_of(request)
    must_ask(request, await form_of(request))
    one = console.simulations.get(request.path_params["name"])
    if one is None:
        raise ConsoleError("That simulation is no longer kept.", way_out="Start it again.")
    await console.simulations.stop(one)
    return _trying(request, one)


def _trying(request: Request, one: Try) -> Response:
    values: dict[str, Any] = {"one": one, "span": SPANS[one.since]}
    if one.report is not None:
        values |= _pictures(one.report)
    return page(request, "parts/simulation.html", values)


def _pictures(report: Report) -> dict[str, Any]:
    """The plot of a report: firings over time before and after, and totals side by side."""
    first, last = report.first or 0, report.last or 0
    hour = 3_600_000
    begin = first - first % hour
    places = range(int((last - begin) // hour) + 1) if report.first is not None else range(0)
    series = []
    sides = ((report.per_rule, False), (report.per_rule_against, True))
    names = sorted({rule.rule for side, _ in sides for rule in side})
    for side, before in sides:
        for rule in side:
            points = [
                (begin + place * hour, float(rule.hours.get(begin + place * hour, 0))) for place in places
            ]
            words = f"{rule.rule}, {'in force' if before else 'draft'}"
            series.append(Series(words, points, names.index(rule.rule) % 8, dashed=before))
    over_time: Chart | None = (
        line_chart(series, begin, begin + len(places) * hour) if len(places) > 2 else None
    )
    totals: dict[str, float] = {}
    for change in report.changes:
        if change.rule != "*":
            totals[f"{change.rule}, in force"] = float(change.before)
            totals[f"{change.rule}, draft"] = float(change.after)
    return {"over_time": over_time, "totals": bars(totals), "cost": _cost(report)}


def _cost(report: Report) -> list[tuple[str, float | None, float]]:
    """Lines of the cost: what, in force, draft."""
    old = report.cost_against
    names = {
        "triggers": "triggers",
        "calls": "calls of the model",
        "prompt_tokens": "prompt tokens",
        "output_tokens": "output tokens",
        "model_seconds": "seconds of the model",
    }
    return [
        (words, float(getattr(old, name)) if old else None, float(getattr(report.cost, name)))
        for name, words in names.items()
    ]


async def apply(request: Request) -> Response:
    """Put a draft in force, as a new version."""
    console = console_of(request)
    form = await form_of(request)
    draft = {"text": _text(form), "base": form.get("base", "0"), "note": form.get("note", "").strip()}
    if request.state.operator is None:
        words = STRANGERS[request.state.stranger] or "Sign in first."
        values = {"words": f"{words} Your draft is kept.", "next": "/rules/edit", "draft": draft}
        return page(request, "sign_in.html", values, status=401)
    operator = must_change(request, form)
    base = _number(draft["base"])
    if base is None:
        raise ConsoleError(
            "The form does not say which version it began from.", way_out="Load the editor again."
        )
    if not draft["note"]:
        return await editor(
            request, draft, "Say why in the note: it stands in the history. Nothing was changed.", status=422
        )
    current = await in_force(console.book, console.stream)
    looked = await asyncio.to_thread(check_draft, draft["text"], current.text, console.stream.kafka)
    if looked.problems:
        return await editor(request, draft, "The draft has mistakes; nothing was changed.", status=422)
    if looked.warnings and form.get("anyway") != "yes":
        return await editor(
            request,
            draft,
            "Nothing was changed: there are warnings. Correct the draft, or tick “apply in spite of warnings”.",
            status=422,
            warnings=looked.warnings,
        )
    await console.trail.ready()
    try:
        made = await console.book.set(
            draft["text"], base=base, author=operator.name, note=draft["note"], now=_now()
        )
    except RulesConflictError as error:
        await console.trail.write(
            operator.name, "rules not applied", on=f"from version {base}", detail=error.message
        )
        return await _conflict(request, draft, error.current)
    kept = await console.trail.write(
        operator.name, "rules applied", on=f"version {made.number}", detail=made.note
    )
    return _done(made, recorded=kept)


async def _conflict(request: Request, draft: Mapping[str, str], theirs: Version | None) -> Response:
    """Somebody else was quicker: both texts, and what differs."""
    number = theirs.number if theirs else 0
    diff = diff_rows(theirs.text if theirs else "", draft["text"], f"version {number}", "your draft")
    return await editor(
        request, draft, status=409, conflict={"theirs": theirs, "number": number, "diff": diff}
    )


async def rollback(request: Request) -> Response:
    """Put an earlier version in force again, as a new version."""
    console = console_of(request)
    form = await form_of(request)
    operator = must_change(request, form)
    number, base, note = _number(form.get("number")), _number(form.get("base")), form.get("note", "").strip()
    if number is None or base is None:
        raise ConsoleError("The form does not say which version.", way_out="Load the page again.")
    if not note:
        raise ConsoleError("Say why in the note: it stands in the history.", way_out="Nothing was changed.")
    wanted = await text_of(number, console.book, console.stream)
    await console.trail.ready()
    try:
        made = await console.book.set(
            wanted.text, base=base, author=operator.name, note=f"back to version {number}: {note}", now=_now()
        )
    except RulesConflictError as error:
        await console.trail.write(
            operator.name, "rules not rolled back", on=f"to version {number}", detail=error.message
        )
        draft = {"text": wanted.text, "base": str(base), "note": f"back to version {number}: {note}"}
        return await _conflict(request, draft, error.current)
    kept = await console.trail.write(
        operator.name, "rules rolled back", on=f"version {made.number}, as {number}", detail=made.note
    )
    return _done(made, recorded=kept)


def _done(made: Version, *, recorded: bool) -> Response:
    mark = "" if recorded else "&unrecorded"
    return RedirectResponse(f"/rules?applied={made.number}{mark}", status_code=303)


async def _effect(console: Console, versions: list[Version]) -> dict[str, Any]:
    """Who runs which version, and what the newest one did."""
    store = CheckpointStore(console.redis, console.stream.redis.prefix)
    runs: dict[int, int] = {}
    for number in range(await console.partitions()):
        offsets = await store.read_offsets(number)
        if offsets is not None and offsets.rules is not None:
            runs[offsets.rules.version] = runs.get(offsets.rules.version, 0) + 1
    newest = versions[0] if versions else None
    found = _effect_of(console, newest, time.time() * 1000) if newest else None
    return {"runs": sorted(runs.items(), reverse=True), "newest": newest, "effect": found}


def _effect_of(console: Console, version: Version, until: float) -> Effect:
    until = min(until, version.at + _EFFECT_MS)
    return effect(version, console.minutes.between(version.at - BEFORE_MS, until), until)


def _text(form: Mapping[str, str]) -> str:
    """The draft's text with the line ends of a file: forms send CRLF."""
    text = form.get("text", "").replace("\r\n", "\n")
    return text if text.endswith("\n") or not text else text + "\n"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _now() -> int:
    return time.time_ns() // 1_000_000


ROUTES = [
    Route("/rules", rules),
    Route("/rules/effect", moving),
    Route("/rules/versions/{number:int}", version),
    Route("/rules/edit", edit),
    Route("/rules/check", check, methods=["POST"]),
    Route("/rules/simulate", simulate, methods=["POST"]),
    Route("/rules/simulations/{name}", trying),
    Route("/rules/simulations/{name}/stop", stop, methods=["POST"]),
    Route("/rules/apply", apply, methods=["POST"]),
    Route("/rules/rollback", rollback, methods=["POST"]),
]
