"""The console room: the only one that speaks to people. Nothing imports it.

::

    main.py       the `nearline` command and how it ends with an error
    settings.py   every room's settings in one file and environment
    verbs/        one module a verb
    demo/         the demo: stack, live view, summary, story
"""
