"""A shop's own student, trained from its own log: from pairs to a small language model that writes demands.

::

    form       the text that a student reads and writes
    pairs      the folder of pairs: what a shopper had, what a teacher says they want
    tokenizer  byte-pair encoding of the shop's words and phrases
    batches    pairs as token ids with the teacher's opinion of every piece
    student    the compact model and its head start
    gemma      the pruned Gemma
    gemma_vocabulary  its tokenizer, cut to the shop
    course     what is trained for each size, stage by stage
    train      the training, with checkpoints
    usual      what a student writes for everybody
    held_out   what it thought of what was bought next
    card       the model card
    export     the folder that is given away
    settings   what training can be told

Behaviour is the teacher of what to want: `nearline distill prepare` runs EASE^R and item-kNN over past moments. Importing
this package brings no torch; `train`, `student`, `gemma` and `held_out` do.
"""
