import random

from hypothesis import given
from hypothesis import strategies as st

from agents.factors import Described, Kind, MiningSettings, mine, occurs

_BAGS = [Described(f"Jumbo bag {name}", "Bags") for name in ("owl", "rose", "red retrospot", "paisley")]
_LUNCH = [Described(f"Lunch bag {name}", "Bags") for name in ("owl", "red retrospot", "cars", "paisley")]
_MUGS = [Described(f"Ceramic mug {name}", "Cups") for name in ("owl", "blue retrospot", "paisley")]
_TINS = [Described(f"Set of 3 cake tins {name}", "Kitchen") for name in ("pantry", "retrospot", "paisley")]
_SHOP = [*_BAGS, *_LUNCH, *_MUGS, *_TINS]


def _kinds(title: str) -> dict[str, Kind]:
    return {factor.value: factor.kind for factor in mine(_SHOP).find(title)}


def test_a_phrase_of_one_category_is_a_product_and_one_through_several_a_theme() -> None:
    assert _kinds("Lunch bag red retrospot") == {
        "lunch bag": Kind.PRODUCT,
        "red": Kind.COLOUR,
        "retrospot": Kind.THEME,
    }


def test_known_words_and_sizes_have_their_kind() -> None:
    found = _kinds("Set of 3 ceramic cake tins")
    assert found["set of 3"] is Kind.SIZE
    assert found["ceramic"] is Kind.MATERIAL
    assert found["cake tins"] is Kind.PRODUCT


def test_a_brand_is_what_the_catalogue_calls_one() -> None:
    lexicon = mine([*_SHOP, Described("Teapot Aurora", "Cups", "Aurora")])
    assert {f.value: f.kind for f in lexicon.find("Sugar bowl", brand="AURORA")} == {"aurora": Kind.BRAND}


def test_a_word_that_hardly_occurs_outside_a_phrase_is_left_to_the_phrase() -> None:
    lexicon = mine(_SHOP)
    assert lexicon.get("lunch bag") is not None
    assert lexicon.get("lunch") is None
    assert lexicon.get("bag") is not None


def test_the_order_of_the_catalogue_and_repeated_titles_change_nothing() -> None:
    shuffled = [*_SHOP, *(item._replace(title=item.title.upper()) for item in _SHOP)]
    random.Random(3).shuffle(shuffled)
    assert {f.value: (f.kind, f.seen) for f in mine(_SHOP)} == {
        f.value.casefold(): (f.kind, f.seen) for f in mine(shuffled)
    }


def test_words_of_a_script_without_spaces_are_found_from_its_characters() -> None:
    shop = [Described(f"木制相框 {name}", "家居") for name in ("大", "小号", "红")]
    shop += [Described(f"陶瓷花瓶 {name}", "家居") for name in ("蓝", "绿色", "哪吒")]
    found = {factor.value: factor.kind for factor in mine(shop).find("木制相框 红色")}
    assert found["红色" if "红色" in found else "红"] is Kind.COLOUR
    assert "木制相框" in found or found["木制"] is Kind.MATERIAL


def test_a_catalogue_of_ten_items_or_none_has_a_short_lexicon_and_no_fault() -> None:
    lexicon = mine(Described(f"Wooden thing {number}", "Things") for number in range(10))
    assert lexicon.get("wooden") is not None
    assert len(mine([])) == 0
    assert mine([]).find("Wooden thing") == ()


def test_the_number_of_factors_is_bounded_and_the_commonest_stay() -> None:
    lexicon = mine(_SHOP, MiningSettings(most=3))
    assert len(lexicon) == 3
    assert min(f.seen for f in lexicon) >= max(f.seen for f in mine(_SHOP) if lexicon.get(f.value) is None)


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(
                    ["red", "jumbo", "bag", "tin", "3", "of", "木", "ß", "É", "\u202e", ";", "set"]
                ),
                max_size=6,
            ),
            st.sampled_from(["A", "B", ""]),
        ),
        max_size=20,
    )
)
def test_whatever_the_titles_every_factor_found_stands_in_its_title(
    rows: list[tuple[list[str], str]],
) -> None:
    items = [Described(" ".join(words), category) for words, category in rows]
    lexicon = mine(items)
    for item in items:
        for factor in lexicon.find(item.title):
            assert occurs(factor.value, item.title)
            assert 0 <= factor.rarity <= 1
            assert factor.seen <= lexicon.titles
