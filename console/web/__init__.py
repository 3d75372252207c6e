"""The operators' web page: see what the pipeline does now, try rules, apply them, take them back.

::

    settings.py  access.py  doors.py     who may come in, and what every answer carries
    trail.py                             who changed what
    app.py  server.py  templates.py      the application, its serving, its pages
    live/                                workers' heartbeats to rates, and minutes kept in Redis
    pages/                               one module a page
    rule_draft.py  simulations.py        rules on their way into force
    shopper.py  discovery.py  catalog.py what Redis and the catalogue know
    chart.py  words.py                   figures as pictures and as text

Everything is rendered on the server; htmx replaces parts of a page. What comes from events is text: Jinja escapes it,
and characters that hide or turn text round are written as escapes (``words.plain``).
"""
