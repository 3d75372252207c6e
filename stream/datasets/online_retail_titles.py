"""Titles and categories for UCI Online Retail, which has capitals for the one and nothing for the other.

**The categories are derived, not recorded.** The rule: the description is read word by word from its end
towards its beginning, and the first word that stands in the table below decides. English puts the head
noun of such a description last ("WHITE HANGING HEART T-LIGHT *HOLDER*") and trails colours and sizes behind
it ("CERAMIC *BOWL* WITH LOVE HEART DESIGN"), which are not in the table; what follows "with", "in", "for" or "of"
only qualifies the noun before it, so it is read last ("*SET* OF 3 CAKE TINS" has no noun before "of"). A
description without any such word is "Other gifts". The word that decided, with the word before it, is the item's type.
"""

from __future__ import annotations

import re

__all__ = ["FALLBACK", "readable_title", "sort_of_gift"]

FALLBACK = "Other gifts"

_CATEGORIES: dict[str, str] = {
    "Candles and holders": """candle candles t-light t-lights tealight holder holders hldr candleholder candlestick
        candlepot votive lantern lanterns burner incense candleholders""",
    "Lighting": "lamp lampshade lights light chandelier nightlight torch bulb",
    "Bags and purses": """bag bags purse handbag backpack shopper tote washbag wallet suitcase luggage rucksack
        passport satchel""",
    "Jewellery": """fob necklace necklac neckl bracelet earrings ring rings brooch bangle pendant charm charms keyring
        key-ring bead beads choker anklet jewellery""",
    "Hair accessories": "hairslide hairclip hair bobbles comb hairband hairgrip",
    "Kitchen and baking": """tin tins cases mould moulds jelly cutter cutters spoon spoons whisk scales apron
        oven glove cutlery jar jars bottle bottles flask cake chopsticks pan timer measure measuring teaspoons cosy peeler
        kettle colander strainer spatula rolling warmer bread baking grinder""",
    "Tableware": """mug mugs cup cups bowl bowls plate plates saucer teapot jug tray trays dish beaker beakers glass
        glasses goblet placemat placemats coaster coasters napkin napkins platter cakestand tumbler carafe butter straws
        tablecloth doily doilies doileys doiley teacup fruitbowl pitcher vase egg""",
    "Cards and stationery": """badges notepad memoboard postcard drawing writing books card cards notebook notebooks pencil pencils pen pens journal sketchbook paper
        envelopes ruler eraser erasers sharpener stickers sticker sheet sheets calendar chalkboard blackboard memo post-it notes
        diary album tape stamp bookmark calculator list scissor scissors letter letters stationery book""",
    "Gift wrap and ribbons": "wrap ribbon ribbons tissue tissues tag tags wrapping bow reel",
    "Party": """bunting balloon balloons party invites candy hat crackers pinata flags pennant confetti banner streamers
        garland garlands birthday""",
    "Christmas and Easter": """bauble baubles christmas stocking santa reindeer snowman wreath easter advent noel
        angel ornament tree trees bunny bunnies chick chicks snowflake snowmen""",
    "Home decoration": """ornament decoration decorations dec clock mirror frame photoframe sign doorsign plaque cushion cushions
        cover throw quilt rug doormat mat doorstop knob hook hooks hanger hangers picture print art wall curtain screen vases
        ornaments flower flowers rose roses mobile hanging thermometer letters chime chimes magnet magnets tile stand
        paperweight trellis tassel cornice bell bells heart blossom butterfly artificial""",
    "Storage and furniture": """box boxes basket baskets cabinet drawer drawers chest rack shelf organiser tidy storage
        stool chair table caddy bin crate crates trunk bucket container hamper cupboard sideboard""",
    "Garden": """garden gnome planter pot pots parasol windmill birdhouse bird feeder watering trowel fork gloves
        hammock gazebo herb seeds kneeling kneeler hammocks deckchair bench umbrella parasols""",
    "Toys and games": """toy toys doll game games jigsaw puzzle puzzles skittles dominoes marbles teddy bear robot
        helicopter playing snap puppet ball bank kit skipping rope yo-yo blocks block crayons chalk skateboard soldier
        animals dinosaur tattoos colouring balls top tops gliders slide frisbee racing cars car""",
    "Bathroom": "soap towel towels bath bathroom flannel sponge shower toothbrush sucker balm gloss lip tissue-box",
    "Textiles and craft": """sewing craft fabric knitting felt patches patch felt crochet needle pegs peg
        buttons pincushion filler pad lace feltcraft scarf""",
    "Household": """hot water bottle umbrella matches plasters fan mop brush ironing ashtray dustpan first aid
        headphones radio phone cloth dog cat""",
}
_SORTS = {word: category for category, words in _CATEGORIES.items() for word in words.split()}
_QUALIFIES = frozenset({"with", "w", "in", "for", "of", "on", "from", "and"})
_NO_TYPE = frozenset(
    [
        "design",
        "style",
        "shape",
        "set",
        "mini",
        "small",
        "large",
        "big",
        "s",
        "assorted",
        "red",
        "pink",
        "blue",
        "white",
        "black",
        "green",
    ]
)
_KEEP = frozenset({"CD", "DVD", "IPOD", "LED", "NYC", "S/2", "S/3", "S/4", "TV", "UK", "USB"})
_NAMES = {
    name.lower(): name
    for name in [
        "Babushka",
        "Charlotte",
        "Christmas",
        "Dolly",
        "Easter",
        "Edwardian",
        "English",
        "Eiffel",
        "French",
        "Halloween",
        "I",
        "Jack",
        "London",
        "Lola",
        "Moroccan",
        "Paris",
        "Regency",
        "Russian",
        "Scandinavian",
        "Scottish",
        "Suki",
        "Union",
        "Valentine",
        "Victorian",
    ]
}


def readable_title(description: str) -> str:
    """Put a description in normal case: ``"SET OF 3 CAKE TINS  PANTRY DESIGN "`` -> "Set of 3 cake tins pantry design".

    A few names keep their capital ("Christmas", "London"); units and codes keep theirs ("500g", "TV").
    """
    words = [_cased(word) for word in description.strip(" *.,").replace(",", ", ").split()]
    title = " ".join(words)
    return title[:1].upper() + title[1:]


def sort_of_gift(description: str) -> tuple[str, str]:
    """Derive the category and the type of an item by the rule of this module.

    Returns:
        The category (``FALLBACK`` where no word decides) and the type in lower case, such as
        "t-light holder"; without a deciding word the type is the last two words of the description.
    """
    words = re.findall(r"[a-z][a-z'-]*", description.lower())
    heads: list[list[int]] = [[]]
    for place, word in enumerate(words):
        if word in _QUALIFIES:
            heads.append([])
        else:
            heads[-1].append(place)
    for part in heads:
        for place in reversed(part):
            category = _SORTS.get(words[place])
            if category is not None:
                first = place - 1 if place - 1 in part and words[place - 1] not in _NO_TYPE else place
                return category, " ".join(words[first : place + 1])
    return FALLBACK, " ".join(words[-2:]) or FALLBACK.lower()


def _cased(word: str) -> str:
    if word.upper() in _KEEP:
        return word.upper()
    if any(letter.islower() for letter in word) and any(letter.isdigit() for letter in word):
        return word
    return _NAMES.get(word.lower(), word.lower())
