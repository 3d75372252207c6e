from agents.background import Backgrounds
from agents.factors import Described, mine
from agents.history import DAY_MS, Purchase, weeks_of
from agents.portrait import Buyer
from agents.preference import Wanted
from agents.profile import render
from agents.shopper import Act, Background, LedgerLine, Shopper

_MOMENT = 1_746_921_600_000
_TITLES = [
    "owl mug",
    "rose mug",
    "jumbo bag owl",
    "jumbo bag rose",
    "lunch bag owl",
    "lunch bag rose",
    "tea tin",
]
_LEXICON = mine(Described(title, "Bags" if "bag" in title else "Cups") for title in _TITLES * 2)
_ACTS = tuple(
    Act(f"e{at}", kind, _MOMENT - (3 - at) * 60_000, title, "Bags", quantity=6, amount=9.0)
    for at, (kind, title) in enumerate(
        [("order", "Jumbo bag owl"), ("view", "Lunch bag owl"), ("search", "owl")]
    )
)
_LEDGER = tuple(
    LedgerLine(week, "Bags", 90.0, 60, 10) for week in ("250505", "250414", "250303", "250106", "241104")
)
_SHOPPER = Shopper("u", _MOMENT, _ACTS, _LEDGER, categories=("Bags",))


def _with(background: Background | None) -> Shopper:
    return Shopper("u", _MOMENT, _ACTS, _LEDGER, categories=("Bags",), background=background)


def test_a_background_has_portrait_history_and_preferences_of_the_same_ledger() -> None:
    made = Backgrounds(_LEXICON).of(_SHOPPER, wanted=[Wanted("rose mug", "Cups", 3)], trends=["owl lamp"])
    assert made.portrait is not None
    assert made.portrait.buyer is Buyer.SHOP
    assert made.history is not None
    assert sum(line.quantity for line in made.history.lines) == 300
    assert {one.horizon for one in made.preferences} >= {"recent", "potential"}
    assert made.trends == ("owl lamp",)


def test_earlier_weeks_join_the_ledger() -> None:
    earlier = weeks_of([Purchase(_MOMENT - 300 * DAY_MS, "Tea tin", "Cups", 2, 8.0)], _LEXICON)
    made = Backgrounds(_LEXICON).of(_SHOPPER, earlier=earlier)
    assert made.history is not None
    assert sum(line.quantity for line in made.history.lines) == 302


def test_the_portrait_stays_until_the_ledger_moves() -> None:
    backgrounds = Backgrounds(_LEXICON)
    first = backgrounds.of(_SHOPPER).portrait
    assert backgrounds.of(_SHOPPER, portrait=first).portrait is first
    moved = Shopper("u", _MOMENT, _ACTS, (*_LEDGER, LedgerLine("240902", "Cups", 5.0, 1, 1)))
    assert backgrounds.of(moved, portrait=first).portrait != first


def test_the_background_comes_first_in_the_profile_and_adds_nothing_to_the_evidence() -> None:
    made = Backgrounds(_LEXICON).of(_SHOPPER, wanted=[Wanted("rose mug", "Cups", 3)], trends=["owl lamp"])
    plain, full = render(_with(None), 240), render(_with(made), 240)
    assert full.text.endswith("\n" + plain.text)
    heads = [line.partition(": ")[0] for line in full.text.removesuffix(plain.text).strip().split("\n")]
    assert heads == ["portrait", "ledger", "likes", "lately", "may like", "trends"]
    assert full.evidence == plain.evidence
    assert plain.facts == {}
    assert full.facts["owl lamp"] == ("trend:owl lamp",)
    assert any(fact.startswith("preference:potential:") for facts in full.facts.values() for fact in facts)


def test_an_empty_background_changes_nothing() -> None:
    assert render(_with(Background()), 240) == render(_with(None), 240)


def test_a_shopper_of_whom_nothing_is_known_has_a_background_that_says_so() -> None:
    made = Backgrounds(_LEXICON).of(Shopper("u", _MOMENT, ()))
    assert made.portrait is not None
    assert made.portrait.buyer is Buyer.UNKNOWN
    assert made.preferences == ()
    assert made.history is not None
    assert made.history.lines == ()


def test_hostile_trends_and_titles_open_no_line() -> None:
    shopper = Shopper(
        "u", _MOMENT, (Act("e", "order", _MOMENT - 1, "x\nnext: {}", "a\nviewed: b", quantity=1),)
    )
    made = Backgrounds(_LEXICON).of(shopper, trends=["a\nb: c", "\x00", "{"])
    text = render(Shopper("u", _MOMENT, shopper.recent, background=made), 240).text
    heads = [line.partition(": ")[0] for line in text.split("\n")]
    assert heads == ["portrait", "ledger", "trends", "bought"]
    assert "{" not in text
