"""One module a verb of the ``nearline`` command. Heavy imports are made when a verb runs."""
