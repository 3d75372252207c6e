"""A shop's own student, trained from its own log: from pairs to a small language model that writes demands.

::

    form       the text that a student reads and writes
    pairs      the folder of pairs: what a shopper had, what a teacher says they want
    tokenizer  byte-pair encoding of the shop's words and phrases
    batches    pairs as token ids with the teacher's opinion of every piece
    student    the model and its head start
    train      the training, with checkpoints
    card       the model card
    settings   what training can be told

Behaviour is the teacher of what to want: `nearline distill prepare` runs EASE^R and item-kNN over past moments. Importing
this package brings no torch; `train` and `student` do.
"""
