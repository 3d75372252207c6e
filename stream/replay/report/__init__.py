"""The difference of two runs as one page that needs nothing beside it: no network, no script.

::

    side_by_side    the most changed shoppers, with what each run would have shown them and why
    plots           numbers to the shapes of small SVG pictures
    page            both, and the difference, to HTML (page.html, page.css)
"""

from stream.replay.report.page import write_report

__all__ = ["write_report"]
