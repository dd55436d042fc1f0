"""Coursework: which mistake reproduces a student's numbers, and what that is worth.

    print(diagnose(student, rule="adam"))       an optimizer
    print(diagnose_autograd(Value))             an autograd engine
    print(diagnose_backward(forward, backward, inputs))     a layer
    print(diagnose_number("cs231n/adam", "next_w error", 0.2072))   a number that a check printed
    grade("ASSIGNMENT.toml", "submission.py")   points and hints
"""

from minigrad.coursework.engines.adapters import EngineAdapter
from minigrad.coursework.engines.diagnosis import EngineDiagnosis, diagnose_autograd
from minigrad.coursework.grading.classroom import Classroom, grade_class
from minigrad.coursework.grading.grader import AssignmentError, Grade, Grader, grade, seed_of
from minigrad.coursework.grading.releasing import release
from minigrad.coursework.grading.sandbox import Limits
from minigrad.coursework.layers.diagnosis import BackwardDiagnosis, diagnose_backward
from minigrad.coursework.numbers.known_checks import NumberDiagnosis, check, checks, diagnose_number
from minigrad.coursework.optimizers.diagnosis import Diagnosis, FirstDifference, diagnose
from minigrad.coursework.optimizers.mistakes import MISTAKES
from minigrad.coursework.optimizers.reference import CONVENTIONS

__all__ = ["CONVENTIONS", "MISTAKES", "AssignmentError", "BackwardDiagnosis", "Classroom",
           "Diagnosis", "EngineAdapter", "EngineDiagnosis", "FirstDifference", "Grade", "Grader",
           "Limits", "NumberDiagnosis", "check", "checks", "diagnose", "diagnose_autograd",
           "diagnose_backward", "diagnose_number", "grade", "grade_class", "release", "seed_of"]
