"""Teachers: what behaviour says that shoppers want, as lists with shares, for a student to learn from.

::

    moments   past moments of shoppers: what they had, and what they went on to buy
    teacher   EASE^R, item-kNN and what is rising, fused into shares
"""

from index.teaching.moments import Moments
from index.teaching.teacher import Shares, Teacher, TeacherSettings, mix

__all__ = ["Moments", "Shares", "Teacher", "TeacherSettings", "mix"]
