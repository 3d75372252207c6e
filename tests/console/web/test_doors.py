"""What is refused before any page sees it, and what every answer carries."""

from __future__ import annotations

import re
from typing import Any

import pytest

from console.web.doors import FORM_BYTES
from console.web.templates import STATIC
from tests.console.web.conftest import BASE, SECRETS

PAGES = ["/shopper", "/sign-in", "/health", "/nothing", "/static/console.css", "/rules"]
CHANGES = [
    "/rules/apply",
    "/rules/rollback",
    "/rules/check",
    "/rules/simulate",
    "/rules/simulations/x/stop",
    "/sign-out",
]


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_forbids_scripts_and_frames_of_others(make_page: Any, path: str) -> None:
    page = make_page()
    await page.sign_in()
    headers = (await page.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == (
        "public, max-age=31536000, immutable" if "static" in path else "no-store"
    )


@pytest.mark.parametrize("path", CHANGES)
async def test_a_change_needs_the_guard_of_the_operators_own_page(make_page: Any, path: str) -> None:
    page = make_page()
    await page.sign_in()
    for token in ("", "0" * 64, page.guard("bob")):
        refused = await page.post(
            path, {"guard": token, "text": "x", "note": "n", "base": "0", "number": "1"}
        )
        assert refused.status_code == 403, path
        assert "so nothing was changed" in refused.text


@pytest.mark.parametrize("path", ["/sign-in", *CHANGES])
@pytest.mark.parametrize(
    "header",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
)
async def test_a_change_sent_by_another_site_is_refused(
    make_page: Any, path: str, header: dict[str, str]
) -> None:
    page = make_page()
    await page.sign_in()
    refused = await page.post(
        path, {"guard": page.guard(), "name": "ann", "secret": SECRETS["ann"]}, headers=header
    )
    assert refused.status_code == 403
    assert "Another site sent this request" in refused.text


async def test_a_viewer_changes_nothing(make_page: Any) -> None:
    page = make_page()
    await page.sign_in("vic")
    for path in ("/rules/apply", "/rules/rollback", "/dead/redrive"):
        refused = await page.post(path, {"guard": page.guard("vic"), "text": "x", "note": "n", "base": "0"})
        assert refused.status_code == 403
        assert "viewers look and try, operators change" in refused.text


async def test_signing_out_ends_the_session(make_page: Any) -> None:
    page = make_page()
    await page.sign_in()
    left = await page.post("/sign-out", {"guard": page.guard()}, headers={"origin": BASE})
    assert left.status_code == 303
    assert (await page.get("/shopper")).status_code == 303


async def test_a_form_that_is_too_long_or_of_another_kind_is_refused(make_page: Any) -> None:
    page = make_page()
    await page.sign_in()
    guard = {"x-nearline-guard": page.guard()}
    long = await page.client.post(
        "/rules/check",
        content=b"text=" + b"x" * FORM_BYTES,
        headers={**guard, "content-type": "application/x-www-form-urlencoded"},
    )
    assert "longer than" in long.text
    files = await page.client.post("/rules/check", files={"text": b"x"}, headers=guard)
    assert "Send it URL-encoded" in files.text
    assert {long.status_code, files.status_code} == {403}


async def test_without_redis_pages_say_so_and_the_console_stays(make_page: Any) -> None:
    page = make_page()
    await page.sign_in()
    for path in ("/rules", "/rules/edit", "/shopper?user=u1", "/discovery", "/trail"):
        found = await page.get(path)
        assert found.status_code == 503, path
        assert "Redis does not answer" in found.text
    part = await page.get("/shopper/some", headers={"hx-request": "true"})
    assert part.status_code == 503
    assert "<html" not in part.text
    assert (await page.get("/health")).json() == {"status": "live"}


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/rules/apply", {"text": "rules: []", "note": "n", "base": "0"}),
        ("/rules/rollback", {"number": "1", "note": "n", "base": "2"}),
    ],
)
async def test_a_change_while_redis_is_away_says_what_to_do_before_repeating_it(
    make_page: Any, path: str, form: dict[str, str]
) -> None:
    page = make_page()
    await page.sign_in()
    found = await page.post(path, {"guard": page.guard(), **form})
    assert found.status_code == 503
    assert "Redis does not answer" in found.text
    assert "Look whether the change was made" in found.text
    assert "still there when you go back" in found.text


async def test_without_a_broker_the_dead_page_says_so(make_page: Any) -> None:
    page = make_page()
    await page.sign_in()
    found = await page.get("/dead/list", headers={"hx-request": "true"})
    assert found.status_code == 503
    assert "The broker does not answer" in found.text
    assert "No event is lost" in found.text


async def test_an_address_that_is_no_page_has_words_too(make_page: Any) -> None:
    page = make_page()
    await page.sign_in()
    found = await page.get("/nothing/<script>")
    assert found.status_code == 404
    assert "No such page" in found.text
    assert "<script>" not in found.text.replace("</script>", "").split("<main")[1]
    assert (await page.get("/rules/apply")).status_code == 405


async def test_pages_have_no_inline_script_or_style(make_page: Any) -> None:
    page = make_page()
    await page.sign_in()
    for path in ("/shopper", "/sign-in", "/dead"):
        text = (await page.get(path)).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:|hx-on", text)


def test_what_comes_from_others_is_here_with_its_licence() -> None:
    there = {path.name for path in (STATIC / "vendor").iterdir()}
    assert there == {"htmx-2.0.11.min.js", "htmx.LICENSE.txt", "pico-2.1.1.min.css", "pico.LICENSE.md"}
    for name in ("console.css", "vendor/pico-2.1.1.min.css"):
        assert not re.search(r"https?://(?!www\.w3\.org|picocss\.com)", (STATIC / name).read_text()), (
            "nothing is fetched"
        )
