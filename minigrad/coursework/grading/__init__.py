"""Grading: a submission in a sandbox, points, reports, classes, and the students' file."""
