"""Recall channels: each finds items in a way of its own, behind one small protocol (`channel`).

::

    purchases    a purchase log as arrays; what is known of shoppers at a moment
    behaviour    item to item: EASE^R, cosines; their sparse form for serving
    following    what is bought next: weights from a shopper's past to what is new to them
    neighbours   user to user
    sparse       products of arrays that are mostly zeros
    popularity   popular items, of all and of a shopper's categories; a shopper's habits
    fresh        new and trending items
    taste        titles like the titles bought
    lexical      words: BM25 over fields
    dense        meaning: vectors in memory, or a built catalogue's index
    hybrid       lexical and dense by their scores, with weights by cross-validation
"""
