"""Readable names for the products of The Complete Journey.

The data names a product by a commodity in the shorthand of a store's till ("FRZN SS PREMIUM
ENTREES/DNRS/T", "CHIX: ROTISSERIE (HOT)"), with neither a brand's name nor a title. A title is made
of what there is: the commodity in words, the size of the package, and whether it is the store's
own brand. The rule is fixed, so the same product always has the same title.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Wording", "readable_size"]

_WIDTH = 30
"""Commodities are cut at this many characters in the source."""

_SHORTHAND = {
    "A": "", "ACCSS": "accessories", "ACTIVATI": "activated", "BEERALE": "beer", "BEERALEMALT": "beer ale malt",
    "BEV": "beverages", "BG": "bag", "BKD": "baked", "BN": "beans", "BOXED": "boxed", "BRD": "breaded",
    "BRKFST": "breakfast", "BTL": "bottle", "CNDY": "candy", "CRYSTL": "crystal", "HYGN.NAPKINS": "hygiene napkins", "HANDKE": "handkerchiefs",
    "INGRED": "ingredients", "MARINAD": "marinades", "MLT-PK": "multipack", "MULTI-PK": "multipack", "MULTI-PACK": "multipack",
    "MULTI-PACKS": "multipack", "NON-CARB": "non-carbonated", "SHERBTS": "sherbets", "SWEETNERS": "sweeteners", "THN": "than",
    "MISC.CND": "miscellaneous canned", "CRSTDAS": "crostadas", "LSS": "less", "DL": "deli", "MUST": "mustard", "BTR": "butter", "CANISTERS": "canister drink mix",
    "CARB": "carbonated", "CATFD": "cat food", "CHIX": "chicken", "CHICK": "chicken", "CHOC": "chocolate",
    "CHOCOCLATE": "chocolate", "CKE": "cake", "CKYS": "cookies", "CKTLS": "cocktails", "CLEANG": "cleaning",
    "CND": "canned", "CNDLES": "candles", "CNTRL": "control", "COFF": "coffee", "COMBIN": "combination",
    "CONC": "concentrate", "CONTAINR": "containers", "CRAN": "cranberry", "CRBNTD": "carbonated",
    "CRKR": "crackers", "CRMD": "creamed", "CUTTER": "cutter", "DAN": "danish", "DECAF": "decaffeinated",
    "DECORS": "decorations", "DISPOSIBLE": "disposable", "DNR": "dinner", "DNRS": "dinners", "DOGFD": "dog food",
    "DPS": "dips", "DRESSNG": "dressing", "DRNK": "drink", "DRNKING": "drinking", "DRNKNG": "drinking",
    "DRNKS": "drinks", "DRSNG": "dressing", "DRP": "drops", "DSH": "dishes", "DXM": "", "ECONOM": "economy",
    "ELSTC": "elastic", "ET": "", "EX": "", "EXCE": "", "EXCEPT": "", "EXCP": "", "FD": "food", "FDS": "food",
    "FEM": "feminine", "FINFISH": "fish", "FLAV": "flavored", "FLVR": "flavored", "FLVRD": "flavored",
    "FRD": "fried", "FRE": "fresh", "FRK": "", "FRZ": "frozen", "FRZN": "frozen", "GDS": "goods", "GOL": "",
    "GRND": "ground", "HBC": "health and beauty", "HNGRS": "hangers", "HYGN": "hygiene", "INCL": "", "IQF": "",
    "INCLUDED": "included", "ITS": "", "IWS": "wrapped slices", "JCE": "juice", "JHOOK": "", "JUIC": "juice",
    "LBS": "pounds", "LIF": "", "LINAMENTS": "liniments", "LIQ": "liquid", "LIQS": "liquids", "LITER": "liter",
    "LNCHMT": "lunchmeat", "LOAVE": "loaf", "LOZNG": "lozenges", "MARGARINES": "margarine", "MARIN": "marinades",
    "MAY": "", "MISC": "miscellaneous", "MIXS": "mixes", "MLK": "milk", "MLT": "multi", "MNR": "mineral",
    "MNRL": "mineral", "MULT": "multi", "MW": "microwave", "MX": "mix", "MXS": "mixes", "N": "", "NEC": "",
    "OJ": "orange juice", "ORGNZRS": "organizers", "OV": "", "OTYHER": "other",
    "PAC": "pack", "PC": "piece", "PICANTEE": "picante", "SAUCESSALSAPICANTEE": "sauces/salsa/picante", "PICKLD": "pickled", "PICKLS": "pickles", "PK": "pack",
    "PKG": "package", "PKGD": "packaged", "PKLD": "pickled", "PLSTC": "plastic", "PNCH": "punch", "PNT": "peanut",
    "PORTON": "portions", "PPK": "prepack", "PRE": "pre", "PREM": "premium", "PREPORTND": "portioned",
    "PRESLC": "presliced", "PRESLCD": "presliced", "PRPCK": "prepack", "PRSLC": "presliced", "PROTIEN": "protein",
    "PWDR": "powder", "PWDRS": "powders", "REFIGERATED": "refrigerated", "REFRIG": "refrigerated",
    "REFRGRATD": "refrigerated", "REG": "regular", "RTD": "ready to drink", "RTS": "ready to serve", "RW": "",
    "SA": "", "SAL": "salad", "SALD": "salad", "SALTICE": "salt", "SARANETC": "", "SAUS": "sauce", "SECT": "sections",
    "SFT": "soft", "SGL": "single", "SHLFSH": "shellfish", "SNDWCH": "sandwich", "SNGL": "single",
    "SNKS": "snacks", "SPEC": "specialty", "SPECILATY": "specialty", "SPLY": "supplies", "SPRD": "spreads",
    "SRV": "serve", "SS": "single serve", "STK": "stick", "STRP": "strips", "STW": "stew",
    "SUPPPLIES": "supplies", "SUP": "super", "SUPRT": "support", "SV": "serve", "SW": "sweet", "SWT": "sweet",
    "SYRP": "syrup", "SYRUP": "syrup", "TISS": "tissue", "TORT": "tortilla", "TRANS": "", "TRSH": "trash",
    "UNDERGARMEN": "undergarments", "VAC": "vacuum", "VEG": "vegetable", "VEND": "vending", "VITAMINS": "vitamins",
    "WAT": "water", "WATE": "water", "WHL": "whole", "WHLSM": "wholesome", "WOMEN": "women", "WORCHESTER": "worcestershire",
    "WRA": "wraps", "WT": "weight", "WTR": "water", "XMAS": "christmas", "XPCTRNT": "expectorant",
}  # fmt: skip

_VAGUE = frozenset(
    re.findall(
        r"\w+",
        """
    adult adults aerosols all angus assorted basic beef better blends boneless box breast bulk butts case
    center chicken choice chops chuck cones cooked cubed cups cut designer drums dry economy eggs enhanced
    everyday exact external family flavored for fresh fully general ground ham in included instant items
    kids kits kosher large lean legs links loaf loin loins made mainstream meat medium message microwave
    mild misc miscellaneous multi natural new novelties only other others pack pails party patties pieces
    pints pork poultry pounds pre premium prepack prepared primal processed quarts raw red refrigerated
    reg regular retail ribs seasonal select shoulder single singles small smoked snack snacks special
    specialty squeeze standard sticks store super supplies table thighs thin traditional trays treats tubs
    turkey value variety vending whole wings you
        """,
    )
)
"""Words that say how or which but not what: a commodity of these alone needs its category before it."""

_TRAILING = frozenset(
    re.findall(r"\w+", "all and brands for in miscellaneous non only or other others the with")
)
"""Words that end a commodity without saying anything of it."""

_UNITS = {
    "OZ": "oz", "LB": "lb", "LBS": "lb", "CT": "count", "ML": "ml", "L": "l", "LT": "l", "LTR": "l", "GA": "gal",
    "GAL": "gal", "PT": "pt", "QT": "qt", "PK": "pack", "DZ": "dozen", "FT": "ft", "IN": "in", "G": "g", "GM": "g",
    "SQ FT": "sq ft", "LOADS": "loads", "RL": "rolls", "ROLL": "rolls", "SHT": "sheets",
}  # fmt: skip

_SIZE = re.compile(r"(?P<number>\d*\.?\d+(?:[-/]\d*\.?\d+)?)\s*(?P<unit>SQ FT|[A-Z]+)\b\.?")
_WORD = re.compile(r"[A-Z0-9%.'&]+(?:-[A-Z0-9]+)*")


def readable_size(size: str | None, department: str = "") -> str | None:
    """Put a package size in words: ``"L      8 OZ"`` becomes ``"8 oz"``.

    Fresh produce gives the size of the grower's case ("40 LB" of bananas), which nobody buys: there,
    sizes over 10 lb or over 12 pieces are left out. None where there is nothing to say.
    """
    match = _SIZE.search(size or "")
    if match is None:
        return None
    unit = _UNITS.get(match["unit"])
    if unit is None:
        return None
    number = match["number"]
    if number.startswith("."):
        number = f"0{number}"
    if department == "PRODUCE":
        most = max(float(part) for part in re.split(r"[-/]", number))
        if most > {"lb": 10, "count": 12}.get(unit, float("inf")):
            return None
    return f"{number} {unit}"


class Wording:
    """Turns the shorthand of one product table into words.

    Args:
        texts: every commodity and category of the table; a commodity that was cut in the middle of a
            word is told by its last word occurring nowhere else.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole_words: set[str] = set(_SHORTHAND)
        for text in texts:
            if len(text) < _WIDTH:
                self._whole_words.update(_WORD.findall(text))

    def words(self, text: str) -> str:
        """Put one commodity or category in words, in lower case.

        ``"CHIX: ROTISSERIE (HOT)"`` becomes ``"chicken rotisserie"``; slashes stay where they part
        whole words (``"crushed/cubed"``).
        """
        # What is in brackets is for the till ("BULK&BAG", "OVER 50% JCE"); the last may lack its end.
        plain = re.sub(r"\([^)]*(\)|$)", " ", text.upper())
        if len(text) >= _WIDTH and plain.rstrip() == text.upper().rstrip():
            plain = self._without_cut_word(plain)
        plain = re.sub(r"\bW/\s*(?=\w)", "WITH ", plain).replace("ALL-EXCEPT", " ")
        plain = re.sub(r"\s*&\s*", " AND ", plain)
        parts = [
            "/".join(filter(None, (self._word(word) for word in token.split("/"))))
            for token in re.split(r"[\s:,;]+|\s-\s|(?<!MULTI)(?<!\bNON)-(?=[A-Z]{3})|-$", plain)
        ]
        parts = [part for part in parts if part]
        kept: list[str] = []
        for part in parts:
            if not kept or part != kept[-1]:
                kept.append(part)
        while len(kept) > 1 and kept[-1] in _TRAILING:
            kept.pop()
        return " ".join(kept)

    def title(self, product_type: str, category: str) -> str:
        """Name a product: its commodity, after its category where the commodity alone is vague.

        ``("ICE - CRUSHED/CUBED", "FRZN ICE")`` is "Ice crushed/cubed"; ``("PREMIUM", "ICE
        CREAM/MILK/SHERBTS")`` is "Ice cream/milk/sherbets, premium".
        """
        kind = self.words(product_type)
        shelf = self.words(category)
        said = set(re.findall(r"[a-z]+", kind))
        if said <= _VAGUE and not set(re.findall(r"[a-z]+", shelf)) <= said:
            kind = f"{shelf}, {kind}" if kind else shelf
        return kind[:1].upper() + kind[1:]

    def category(self, text: str) -> str:
        """Name a category: ``"MEAT - SHELF STABLE"`` becomes "Meat, shelf stable"."""
        name = ", ".join(filter(None, (self.words(part) for part in text.split(" - "))))
        return name[:1].upper() + name[1:]

    def _without_cut_word(self, text: str) -> str:
        words = _WORD.findall(text)
        if words and words[-1] not in self._whole_words:
            return text.rstrip()[: -len(words[-1])]
        return text

    def _word(self, raw: str) -> str:
        word = raw.strip("-.&*'\"")
        if len(word) == 1 and not word.isdigit():
            return ""
        return _SHORTHAND.get(word, word.lower())
