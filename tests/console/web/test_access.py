"""Who may come in, and what is said to the others."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from itsdangerous import URLSafeTimedSerializer
from pydantic import ValidationError

from console.errors import SettingsError
from console.web.access import COOKIE, Access, TooManyTriesError
from console.web.settings import ConsoleSettings, is_loopback
from tests.console.web.conftest import BASE, SECRETS

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = {"name": "ann", "role": "operator", "secret": SECRETS["ann"]}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"host": "0.0.0.0"}, "there are no accounts"),
        ({"host": "shop.example"}, "there are no accounts"),
        ({"accounts": [{**ACCOUNT, "secret": "short"}]}, "at least 12 characters"),
        ({"accounts": [{"name": "ann", "role": "operator"}]}, "either `secret` or `secret_file`"),
        ({"accounts": [ACCOUNT, ACCOUNT]}, "two accounts are called ann"),
        ({"accounts": [{**ACCOUNT, "name": "<b>"}]}, "pattern"),
        ({"accounts": [{**ACCOUNT, "role": "root"}]}, "viewer"),
        ({"certificate": "a.pem"}, "both certificate and certificate_key"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ConsoleSettings.model_validate(given)


def test_an_open_address_is_allowed_with_accounts() -> None:
    assert ConsoleSettings.model_validate({"host": "0.0.0.0", "accounts": [ACCOUNT]}).host == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("localhost.example", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_from_what_others_can_reach(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


def test_a_secret_may_come_from_a_file_and_is_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file-0123\n")
    settings = ConsoleSettings.model_validate(
        {"accounts": [{"name": "ann", "secret_file": str(file)}, {**ACCOUNT, "name": "b"}]}
    )
    access = Access(settings)
    assert access.sign_in("ann", "from-a-file-0123", "") is not None
    assert SECRETS["ann"] not in repr(settings) + settings.model_dump_json()
    file.write_text("short\n")
    with pytest.raises(SettingsError, match="shorter than 12"):
        Access(settings)
    file.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        Access(settings)


def test_after_eight_wrong_tries_that_name_waits_and_others_do_not() -> None:
    access = Access(ConsoleSettings.model_validate({"accounts": [ACCOUNT]}))
    for _ in range(8):
        assert access.sign_in("ann", "wrong", "here") is None
    with pytest.raises(TooManyTriesError, match="8 wrong tries"):
        access.sign_in("ann", SECRETS["ann"], "here")
    assert access.sign_in("ann", SECRETS["ann"], "elsewhere") is not None


async def test_a_page_asks_to_sign_in_and_leads_back(make_page: Any) -> None:
    page = make_page()
    asked = await page.get("/shopper?user=u1")
    assert asked.status_code == 303
    assert parse_qs(urlsplit(asked.headers["location"]).query)["next"] == ["/shopper?user=u1"]
    found = await page.post("/sign-in", {"name": "ann", "secret": SECRETS["ann"], "next": "/shopper"})
    assert (found.status_code, found.headers["location"]) == (303, "/shopper")
    cookie = found.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert (await page.get("/shopper")).status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_signing_in_never_leads_to_another_site(make_page: Any, target: str) -> None:
    found = await make_page().post("/sign-in", {"name": "ann", "secret": SECRETS["ann"], "next": target})
    assert found.headers["location"] == "/"


async def test_a_wrong_secret_is_refused_in_words(make_page: Any) -> None:
    found = await make_page().post("/sign-in", {"name": "ann", "secret": "guess"})
    assert found.status_code == 401
    assert "Name and secret do not fit." in found.text


async def test_cookies_behind_tls_are_for_https_only(make_page: Any) -> None:
    found = await make_page(behind_tls=True).sign_in()
    assert "secure" in found.headers["set-cookie"].lower()
    assert "strict-transport-security" in found.headers


async def test_basic_and_bearer_are_taken_by_programs(make_page: Any) -> None:
    page = make_page()
    for headers in (basic("vic", SECRETS["vic"]), {"authorization": f"Bearer {SECRETS['ann']}"}):
        assert (await page.get("/shopper", headers=headers)).status_code == 200
    for headers in (
        basic("vic", "guess"),
        {"authorization": "Bearer guess"},
        {"authorization": "Basic !"},
        {"authorization": "Digest x"},
    ):
        refused = await page.get("/shopper", headers=headers)
        assert refused.status_code == 401
        assert "Basic" in refused.headers["www-authenticate"]


def signed(key: str, name: str, age_s: int, monkeypatch: pytest.MonkeyPatch) -> str:
    import time

    then = time.time() - age_s
    with monkeypatch.context() as patch:
        patch.setattr("itsdangerous.timed.time.time", lambda: then)
        return str(URLSafeTimedSerializer(key, salt="nearline.console.session").dumps(name))


@pytest.mark.parametrize(
    ("key", "name", "age_s", "words"),
    [
        ("the right key, long", "ann", 9 * 3600, "Your session has expired."),
        ("another key, long too", "ann", 0, "the console was started anew"),
        ("the right key, long", "zoe", 0, "Your account is not among those configured any more."),
    ],
)
async def test_each_way_a_session_can_end_has_its_own_words(
    make_page: Any, monkeypatch: pytest.MonkeyPatch, key: str, name: str, age_s: int, words: str
) -> None:
    page = make_page(session_key="the right key, long")
    page.client.cookies.set(COOKIE, signed(key, name, age_s, monkeypatch))
    asked = await page.get("/shopper")
    assert asked.status_code == 303
    assert words in (await page.get(asked.headers["location"])).text
    part = await page.get("/now/live", headers={"hx-request": "true"})
    assert part.status_code == 401
    assert words in part.text
    assert "<html" not in part.text


async def test_a_draft_is_not_lost_with_its_session(make_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = make_page(session_key="the right key, long")
    page.client.cookies.set(COOKIE, signed("the right key, long", "ann", 9 * 3600, monkeypatch))
    found = await page.post("/rules/apply", {"text": "rules: <mine>", "base": "3", "note": "why"})
    assert found.status_code == 401
    assert "Your session has expired." in found.text
    assert "rules: &lt;mine&gt;" in found.text
    assert 'name="base" value="3"' in found.text


async def test_without_accounts_only_loopback_names_are_answered(make_page: Any) -> None:
    page = make_page(accounts=False)
    assert (await page.get("/shopper")).status_code == 200
    rebound = await page.get("/shopper", headers={"host": "evil.example"})
    assert rebound.status_code == 421
    assert (await page.get(f"{BASE}/sign-in")).status_code == 303
