"""Teaching an encoder the shop: which texts belong together because of what shoppers do.

    orders ─── lessons (what shoppers would want and what else they would buy)  ┐
    searches, views ─── sessions (query or title → title)                       ├─▶ projection ─▶ a `ShopMemory`
    titles ─── lessons.parts_of (some words of a title → the title)             ┘   or tower   ─▶ a fine-tuned model
                                         mining (D0 → M0 → D1 → M1) between two rounds

`folder` puts what was learnt in place, whole; `index.encoder.path` of such a folder is all that is needed to use it.
"""

from index.encoder_training.folder import write_folder
from index.encoder_training.lessons import Lessons, learn_from, parts_of
from index.encoder_training.projection import Recipe, train_projection
from index.encoder_training.sessions import Pairs, take_pairs
from index.encoder_training.tower import TowerRecipe, train_tower

__all__ = [
    "Lessons",
    "Pairs",
    "Recipe",
    "TowerRecipe",
    "learn_from",
    "parts_of",
    "take_pairs",
    "train_projection",
    "train_tower",
    "write_folder",
]
