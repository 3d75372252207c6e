"""What rules would have done: the gate's own evaluation over events that have happened already.

::

    history.py ── simulation.py ── report.py        events in, firings counted, what is told of them
                       │               │
                  tally.py          plot.py
                  cost.py                            what thinking about the firings would cost

`nearline rules simulate` is this package on the command line. The events are decoded, ordered and applied by
the code that runs live, so over the same events the firings are the same, down to the triggers' ids.
"""

from __future__ import annotations

from stream.simulate.cost import Cost, CostMeter, Rates
from stream.simulate.history import BrokerHistory, FileHistory, History, HistoryBatch
from stream.simulate.report import Change, Overlap, Report, RuleReport
from stream.simulate.simulation import Firing, Simulation, simulate

__all__ = [
    "BrokerHistory",
    "Change",
    "Cost",
    "CostMeter",
    "FileHistory",
    "Firing",
    "History",
    "HistoryBatch",
    "Overlap",
    "Rates",
    "Report",
    "RuleReport",
    "Simulation",
    "simulate",
]
