"""Diagnosing one published number: public checks, as facts."""
