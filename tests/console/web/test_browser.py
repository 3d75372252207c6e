"""An operator's journeys in a real Chromium, on a running pipeline with real events.

Screenshots of each page, at the width of a desk and of a phone, light and dark, are left in ``.nearline/screens``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from itsdangerous import URLSafeTimedSerializer
from playwright.sync_api import expect, sync_playwright

from stream.embedded.ports import LOOPBACK, free_ports
from stream.embedded.supervisor import Supervisor
from stream.embedded.tansu import tansu_spec
from stream.embedded.valkey import valkey_spec, valkey_url
from tests.console.web.shop import (
    HOSTILE_USER,
    SECRETS,
    SESSION_KEY,
    Shop,
    first_events,
    views,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

SCREENS = Path(__file__).parents[3] / ".nearline" / "screens"
PATIENCE_MS = 60_000
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = {
    "now": "/",
    "rules": "/rules",
    "rules-file": "/rules/versions/0",
    "edit": "/rules/edit",
    "find": "/shopper",
    "shopper": "/shopper?user=u3",
    "hostile": f"/shopper?user={quote(HOSTILE_USER)}",
    "nobody": "/shopper?user=nobody",
    "discovery": "/discovery",
    "dead": "/dead",
    "dead-one": "/dead/one?place=0:0",
    "trail": "/trail",
}


class Servers:
    """A broker and a Valkey that a test may stop, and the shop on them."""

    def __init__(self, supervisor: Supervisor, folder: Path) -> None:
        self.broker, self.valkey = free_ports(2)
        self.supervisor = supervisor
        supervisor.start(tansu_spec(self.broker))
        supervisor.start(valkey_spec(self.valkey, folder / "valkey"))
        self.shop = Shop(f"{LOOPBACK}:{self.broker}", valkey_url(self.valkey), folder)

    def signal(self, name: str, number: signal.Signals) -> None:
        next(child for key, child in self.supervisor.children.items() if name in key).signal(number)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("web")
    with Supervisor(folder / "logs") as supervisor:
        found = Servers(supervisor, folder)
        shop = found.shop
        try:
            shop.build()
            shop.start_console()
            shop.start_worker()
            events = first_events(shop.items)
            shop.play(events)
            shop.until("all events are in a checkpoint", lambda: shop.received() >= len(events))
            shop.until("the shoppers have slates", lambda: shop.slate("u3") and shop.slate(HOSTILE_USER))
            yield found
        finally:
            shop.close()


@pytest.fixture(scope="module")
def shop(servers: Servers) -> Shop:
    return servers.shop


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail("CI must have chromium")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Desk:
    """Somebody at a browser. What the browser complains of is kept in ``complaints``."""

    def __init__(self, chromium: Browser, shop: Shop, **more: Any) -> None:
        self.shop = shop
        self.context: BrowserContext = chromium.new_context(viewport=DESK, base_url=shop.url, **more)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self._complain(said.type, said.text))
        self.page.on("pageerror", lambda error: self._complain("error", str(error)))

    def _complain(self, kind: str, text: str) -> None:
        # That an answer was no success, or did not come, is what some pages are about.
        if kind == "error" and (
            "Content Security Policy" in text
            or not text.startswith(("Failed to load", "htmx:", "Response Status"))
        ):
            self.complaints.append(text)

    def sign_in(self, name: str) -> Page:
        self.page.goto("/sign-in")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label("Secret").fill(SECRETS[name])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.shop.url + "/")
        return self.page


@pytest.fixture
def open_desk(chromium: Browser, shop: Shop) -> Iterator[Any]:
    expect.set_options(timeout=PATIENCE_MS)
    desks: list[Desk] = []

    def make(name: str = "ann", **more: Any) -> Desk:
        desk = Desk(chromium, shop, **more)
        desks.append(desk)
        desk.sign_in(name)
        return desk

    yield make
    complaints = [text for desk in desks for text in desk.complaints]
    for desk in desks:
        desk.context.close()
    assert not complaints, "among them what the content security policy forbids"


def settled(page: Page) -> None:
    """Return when every part that is loaded on its own is there."""
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


def serious(page: Page) -> list[str]:
    """Faults of accessibility that keep somebody from using the page."""
    return [
        f"{fault['id']}: {fault['help']} {[node['html'][:160] for node in fault['nodes'][:3]]}"
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]


def too_wide(page: Page) -> int:
    """Pixels that the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def draft(page: Page, old: str, new: str) -> None:
    text = page.get_by_label(re.compile("^Rules"))
    text.fill(text.input_value().replace(old, new))


def page_until(what: str, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def rolled_back(shop: Shop, desk: Desk, number: int) -> None:
    page = desk.page
    page.goto(f"/rules/versions/{number}")
    page.get_by_label("Why").fill("as it was")
    page.get_by_role("button", name="Roll back to").click()
    expect(page.get_by_text(re.compile(r"Version \d+ is in force"))).to_be_visible()


def test_a_threshold_is_changed_tried_applied_seen_in_the_stream_and_taken_back(
    shop: Shop, open_desk: Any
) -> None:
    shop.play(views("before", ["i10", "i11", "i12"]))
    desk = open_desk()
    page = desk.page
    page.get_by_role("link", name="Rules").click()
    page.get_by_role("button", name="Edit the rules").click()
    check = page.locator("#check")
    expect(check).to_contain_text("The same as what is in force.")

    draft(page, "count: 5", "count: five")
    expect(check).to_contain_text("1 mistake")
    expect(check).to_contain_text("rule five-views, field when.count")
    draft(page, "count: five", "count: 3")
    expect(check).to_contain_text("Good.")
    expect(check).to_contain_text("5 or more view within 30m")
    expect(check).to_contain_text("3 or more view within 30m")

    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("heading", name="The draft over the last hour")).to_be_visible()
    report = page.locator(".simulation")
    expect(report).to_contain_text("calls of the model")
    fired = report.get_by_role("list", name="Firings by rule").locator("li")
    before, after = (
        int(fired.filter(has_text=f"five-views, {side}").locator(".value").inner_text().replace(",", ""))
        for side in ("in force", "draft")
    )
    assert after > before > 0, "a lower threshold fires more"
    page.screenshot(path=SCREENS / "simulation-desk.png", full_page=True)

    page.get_by_label("Why").fill("sooner")
    page.get_by_role("button", name="Apply as a new version").click()
    expect(page.get_by_text("Version 1 is in force.")).to_be_visible()
    expect(page.get_by_text("2 of 2 partitions run version 1")).to_be_visible()
    shop.play(views("sooner", ["i10", "i11", "i12"]))
    shop.until("three views are enough now", lambda: shop.slate("sooner"))
    assert shop.slate("before") is None
    page.goto("/shopper?user=sooner")
    expect(page.get_by_role("list", name="From events to the slate")).to_contain_text("five-views")

    page.goto("/rules")
    page.get_by_role("link", name="roll back to it").last.click()
    page.get_by_label("Why").fill("too many")
    page.get_by_role("button", name="Roll back to the rules file").click()
    expect(page.get_by_text("Version 2 is in force.")).to_be_visible()
    expect(page.get_by_text("2 of 2 partitions run version 2")).to_be_visible()
    shop.play(views("later", ["i10", "i11", "i12"]))
    shop.play([event for number in range(4) for event in views(f"five{number}", [f"i{n}" for n in range(5)])])
    for number in range(4):  # both partitions have gone beyond the three views by then
        shop.until("five views are enough", lambda user=f"five{number}": shop.slate(user))
    assert shop.slate("later") is None
    page.goto("/trail")
    expect(page.get_by_role("table")).to_contain_text("back to version 0: too many")


def test_a_shopper_is_found_and_their_slate_explains_itself(open_desk: Any) -> None:
    page = open_desk("vic").page
    page.get_by_role("link", name="Shopper").click()
    settled(page)
    expect(page.locator(".chips a").first).to_be_visible()
    page.get_by_label("Shopper").fill("u3")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="Shopper u3")).to_be_visible()
    first = page.locator(".places details").first
    first.locator("summary").click()
    expect(first.locator("dl")).to_contain_text(re.compile(r"score.*= "))
    expect(page.locator("tr.fired")).to_contain_text("fired the trigger")
    page.get_by_label("Shopper").fill("nobody at all")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("Nothing is known of")).to_be_visible()


def test_hostile_titles_queries_and_ids_are_shown_as_text(open_desk: Any) -> None:
    desk = open_desk()
    page = desk.page
    page.goto(PAGES["hostile"])
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Shopper {HOSTILE_USER}")
    expect(page.locator("main")).to_contain_text("<script>document.title='owned'</script>")
    for path in ("/dead", "/discovery", "/shopper"):
        page.goto(path)
        settled(page)
        assert "owned" not in page.title()
        assert page.locator("main img, main script, main b[onclick]").count() == 0
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u0000-\u0008]", page.locator("main").inner_text())
    page.goto("/dead")
    settled(page)
    expect(page.locator("main")).to_contain_text("eve\\u202eadam\\x07")


def test_dead_events_are_found_looked_at_and_sent_again_after_a_second_question(open_desk: Any) -> None:
    page = open_desk().page
    page.get_by_role("link", name="Dead events").click()
    settled(page)
    page.get_by_role("combobox", name="Reason").fill("unknown_type")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="All", exact=True).click()
    settled(page)
    expect(page.get_by_role("combobox", name="Reason")).to_have_value("unknown_type")
    newest = page.get_by_role("region", name="The newest").locator("tbody tr")
    expect(newest).to_have_count(1)
    newest.get_by_role("link").click()
    expect(page.locator(".source")).to_contain_text("<img src=x")
    page.screenshot(path=SCREENS / "dead-one-desk.png", full_page=True)
    page.go_back()
    settled(page)

    page.get_by_role("button", name="Send the chosen ones again").click()
    expect(page.get_by_text("No event was chosen, so nothing was done.")).to_be_visible()
    page.go_back()
    settled(page)
    newest.get_by_role("checkbox").check()
    page.get_by_role("button", name="Send the chosen ones again").click()
    expect(page.get_by_role("heading", name="Send 1 event again?")).to_be_visible()
    page.screenshot(path=SCREENS / "redrive-asks-desk.png", full_page=True)
    assert serious(page) == []
    page.set_viewport_size(PHONE)
    assert too_wide(page) <= 0
    page.screenshot(path=SCREENS / "redrive-asks-phone.png", full_page=True)
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Leave them").click()
    expect(page.get_by_text("Nothing was sent.")).to_be_visible()

    page.goto("/dead?since=all&reason=unknown_type")
    settled(page)
    page.get_by_role("button", name=re.compile("Send all of unknown_type")).click()
    page.get_by_role("button", name="Send 1 again").click()
    expect(page.get_by_text("Sent 1 event again")).to_be_visible()
    page.screenshot(path=SCREENS / "redrive-done-desk.png", full_page=True)
    page.get_by_role("button", name="Back to dead events").click()
    counted = page.get_by_role("region", name="By reason").locator("tr", has_text="unknown_type")

    def again() -> bool:
        page.goto("/dead?since=all&reason=unknown_type")
        settled(page)
        return "2" in counted.locator("td.n").first.inner_text()

    page_until("it is still wrong, so it has died again", again)
    page.get_by_role("button", name=re.compile("Send all of unknown_type")).click()
    expect(page.get_by_role("heading", name="Send 1 event again?")).to_be_visible()
    expect(page.get_by_text("1 had been sent before and is left")).to_be_visible()
    page.goto("/trail")
    expect(page.get_by_role("table")).to_contain_text("1 of 1 events")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_of_accessibility(open_desk: Any, scheme: str) -> None:
    page = open_desk(color_scheme=scheme).page
    found: list[str] = []
    for name, path in {**PAGES, "sign-in": "/sign-in?why=expired"}.items():
        page.goto(path)
        settled(page)
        found += [f"{name}: {fault}" for fault in serious(page)]
        page.screenshot(path=SCREENS / f"{name}-{scheme}.png", full_page=True)
    assert not found, "\n".join(found)


def test_every_page_fits_a_phone(open_desk: Any) -> None:
    page = open_desk().page
    page.set_viewport_size(PHONE)
    for name, path in PAGES.items():
        page.goto(path)
        settled(page)
        wide = too_wide(page)
        assert wide <= 0, f"{name} is {wide} pixels too wide"
        page.screenshot(path=SCREENS / f"{name}-phone.png", full_page=True)


def test_the_keyboard_reaches_everything(open_desk: Any) -> None:
    page = open_desk().page
    page.goto("/rules/edit")
    settled(page)
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Skip to the content")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
    assert {"text", "since", "Simulate", "note", "Apply as a new version"} <= reached


def test_two_operators_at_once_see_each_others_text(shop: Shop, open_desk: Any) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    for desk in (ann, bob):
        desk.page.goto("/rules/edit")
        settled(desk.page)
    draft(ann.page, "count: 5", "count: 6")
    ann.page.get_by_label("Why").fill("calmer")
    ann.page.get_by_role("button", name="Apply as a new version").click()
    expect(ann.page.get_by_text(re.compile(r"Version \d+ is in force"))).to_be_visible()
    draft(bob.page, "count: 5", "count: 4")
    expect(bob.page.locator("#check")).to_contain_text("“calmer”")
    bob.page.get_by_label("Why").fill("livelier")
    bob.page.get_by_role("button", name="Apply as a new version").click()
    conflict = bob.page.locator(".conflict")
    expect(conflict).to_contain_text("Somebody else was quicker")
    expect(conflict).to_contain_text("count: 6")
    expect(conflict).to_contain_text("count: 4")
    bob.page.screenshot(path=SCREENS / "conflict-desk.png", full_page=True)
    bob.page.get_by_role("button", name="Apply as a new version").click()
    expect(bob.page.get_by_text(re.compile(r"Version \d+ is in force"))).to_be_visible()
    rolled_back(shop, ann, 0)


def test_an_expired_session_keeps_what_was_typed(
    open_desk: Any, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    then = time.time() - 9 * 3600
    with monkeypatch.context() as patch:
        patch.setattr("itsdangerous.timed.time.time", lambda: then)
        old = URLSafeTimedSerializer(SESSION_KEY, salt="nearline.console.session").dumps("ann")
    desk = open_desk()
    page = desk.page
    page.goto("/rules/edit")
    settled(page)
    desk.context.add_cookies([{"name": "nearline_session", "value": str(old), "url": shop.url}])
    draft(page, "count: 5", "count: 7")
    expect(page.locator("#banner")).to_contain_text("Your session has expired.")
    page.get_by_label("Why").fill("in the evening")
    page.get_by_role("button", name="Apply as a new version").click()
    expect(page.get_by_text("Your draft is kept.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("ann")
    page.get_by_label("Secret").fill(SECRETS["ann"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("your draft is as you left it")).to_be_visible()
    assert "count: 7" in page.get_by_label(re.compile("^Rules")).input_value()
    expect(page.get_by_label("Why")).to_have_value("in the evening")


def test_what_is_lost_while_the_page_is_open_is_said_and_the_page_goes_on(
    servers: Servers, shop: Shop, open_desk: Any
) -> None:
    desk = open_desk()
    page = desk.page
    expect(page.get_by_role("heading", name="Gate")).to_be_visible()
    live = page.locator("#live")
    expect(live).to_contain_text("ready")

    assert shop.worker is not None
    shop.worker.send_signal(signal.SIGSTOP)
    try:
        expect(live).to_contain_text("fell silent")
        expect(live).to_contain_text("lost, silent for")
        page.screenshot(path=SCREENS / "lost-worker.png", full_page=True)
    finally:
        shop.worker.send_signal(signal.SIGCONT)
    expect(live).not_to_contain_text("fell silent")

    servers.signal("valkey", signal.SIGSTOP)
    try:
        expect(live).to_contain_text("Redis does not answer.")
        page.screenshot(path=SCREENS / "lost-redis.png", full_page=True)
    finally:
        servers.signal("valkey", signal.SIGCONT)
    expect(live).not_to_contain_text("Redis does not answer.")

    assert shop.console is not None
    shop.console.kill()
    shop.console.wait()
    expect(page.locator("#banner")).to_contain_text("The console has not answered since")
    page.screenshot(path=SCREENS / "lost-console.png")
    shop.start_console()
    expect(page.locator("#banner")).to_be_hidden()


def test_a_lost_broker_is_said(servers: Servers, open_desk: Any) -> None:
    """The last one: the broker keeps its topics in memory only."""
    page = open_desk().page
    live = page.locator("#live")
    expect(live).to_contain_text("ready")
    expect(live).not_to_contain_text("The broker does not answer.")
    servers.signal("tansu", signal.SIGKILL)
    expect(live).to_contain_text("The broker does not answer.")
    expect(live).to_contain_text("No event is lost")
    page.screenshot(path=SCREENS / "lost-broker-now.png", full_page=True)
    page.goto("/dead")
    expect(page.locator("main")).to_contain_text("The broker does not answer.")
    page.screenshot(path=SCREENS / "lost-broker.png")
