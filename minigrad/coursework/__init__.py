"""Coursework: which mistake reproduces a student's numbers, and what that is worth.

    print(diagnose(student, rule="adam"))       an optimizer
    print(diagnose_autograd(Value))             an autograd engine
    print(diagnose_backward(forward, backward, inputs))     a layer
    print(diagnose_number("cs231n/adam", "next_w error", 0.2072))   a number that a check printed
    grade("ASSIGNMENT.toml", "submission.py")   points and hints
"""

from minigrad.coursework.classroom import Classroom, grade_class
from minigrad.coursework.diagnosis import Diagnosis, FirstDifference, diagnose
from minigrad.coursework.engine_adapters import EngineAdapter
from minigrad.coursework.engines import EngineDiagnosis, diagnose_autograd
from minigrad.coursework.grading import AssignmentError, Grade, Grader, grade, seed_of
from minigrad.coursework.known_checks import NumberDiagnosis, check, checks, diagnose_number
from minigrad.coursework.layers import BackwardDiagnosis, diagnose_backward
from minigrad.coursework.mistakes import MISTAKES
from minigrad.coursework.reference import CONVENTIONS
from minigrad.coursework.releasing import release
from minigrad.coursework.sandbox import Limits

__all__ = ["CONVENTIONS", "MISTAKES", "AssignmentError", "BackwardDiagnosis", "Classroom",
           "Diagnosis", "EngineAdapter", "EngineDiagnosis", "FirstDifference", "Grade", "Grader",
           "Limits", "NumberDiagnosis", "check", "checks", "diagnose", "diagnose_autograd",
           "diagnose_backward", "diagnose_number", "grade", "grade_class", "release", "seed_of"]
