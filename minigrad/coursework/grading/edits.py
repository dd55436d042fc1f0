"""Names for mistakes that no table has: an assignment's own, each an edit of its solution.

The one trick: the solution runs with one known mistake after the other in it, and then with two,
until it gives the student's numbers. So there is one formula, and a wrong program for each row.
"""

import itertools

from minigrad.coursework.grading.findings import Finding, unwritten
from minigrad.coursework.grading.questions import difference
from minigrad.coursework.hints import LEVELS

PAIRS = 300     # pairs of edits that are tried where no single one explains the numbers


class Edits:
    """The assignment's own mistakes, each an edit of the reference solution.

    run(sources, names) runs the checks of these names in the sandbox; right: {name: the
    reference's outcome}.
    """

    def __init__(self, assignment, run, right):
        self.assignment, self.run, self.right = assignment, run, right
        self.variants = {}

    def finding(self, group, outcomes, before):
        """The Finding for a group in which something is wrong. A mistake that was found in a group
        before explains this one, if it can."""
        found = {id for finding in before for id in finding.causes}
        names = [check.name for check in self.assignment.checks if check.group == group]
        bad = [name for name in names if not self.same(outcomes[name], self.right[name])]
        rows = [row for row in self.assignment.mistakes if row.shows_in(group)]
        for size in (1, 2):
            sets = list(itertools.islice(itertools.combinations(rows, size), PAIRS))
            fitting = [causes for causes, variant in zip(sets, self.variants_of(sets, names))
                       if variant and self.explains(variant, outcomes, names,
                                                    found.issuperset(row.id for row in causes))]
            if fitting:
                return chosen(group, fitting, found)
        fitting = self.most_of(rows, outcomes, names, bad)
        if fitting:
            return chosen(group, fitting, found, partly=True)
        failed = all(outcomes[name].failure for name in names)
        return Finding(group, "failed" if failed else "unknown",
                       numbers={name: values_of(outcomes[name]) for name in names})

    def most_of(self, rows, outcomes, names, bad):
        """The mistakes, as sets of one, that give the student's wrong numbers in most of the
        checks that are wrong, at least two thirds: code of another build than the reference, such
        as a quotient that is no power, does not carry a mistake to the very same places."""
        hits = {}
        for row, variant in zip(rows, self.variants_of([(row,) for row in rows], names)):
            hits[row] = sum(not outcomes[name].failure and self.same(outcomes[name], variant[name])
                            for name in bad)
        best = max(hits.values(), default=0)
        if not best or 3 * best < 2 * len(bad):
            return []
        return [(row,) for row, count in hits.items() if count == best]

    def variants_of(self, sets, names):
        """The outcomes of the solution with each set of mistakes in it; None where two cannot
        stand together."""
        keys = [(causes, tuple(names)) for causes in sets]
        texts = {}
        for causes, key in zip(sets, keys):
            if key not in self.variants:
                text = self.assignment.solution
                for row in causes:
                    text = None if text is None else row.made_in(text)
                self.variants[key] = None
                if text is not None:
                    texts[key] = text
        if texts:
            self.variants.update(zip(texts, self.run(list(texts.values()), names)))
        return [self.variants[key] for key in keys]

    def explains(self, variant, outcomes, names, seen=False):
        """Does a variant give the student's numbers in all checks, and wrong ones in one?

        Where the student's code stopped with an error there are no numbers: there the variant must
        be wrong in any way, or stop too. What is not written yet says nothing. seen: whether the
        mistake was recognized in another group before.
        """
        for name in names:
            mine, its = outcomes[name], variant[name]
            if unwritten(mine):
                continue
            right = self.same(its, self.right[name])
            if mine.failure:
                if right:
                    return False  # and anything may fail so: that alone proves nothing
            elif not self.same(mine, its):
                return False
            else:
                seen |= not right
        return seen

    def same(self, a, b):
        """Do two outcomes have the same numbers?"""
        if a.failure or b.failure:
            return bool(a.failure and b.failure) and a.failure["type"] == b.failure["type"]
        return a.values.keys() >= b.values.keys() and all(
            not difference(a.values[name], value, self.assignment.tolerance)
            for name, value in b.values.items())


def values_of(outcome):
    """An outcome as JSON can hold it."""
    if outcome.failure:
        return {"failure": outcome.failure["text"]}
    return {name: value if isinstance(value, str) else value.tolist()
            for name, value in outcome.values.items()}


def chosen(group, fitting, found, partly=False):
    """The Finding for the sets of mistakes that fit; those found in a group before come first."""
    fitting = sorted(fitting, key=lambda one: (not found.issuperset(row.id for row in one),
                                               any(group not in row.groups[:1] for row in one)))
    causes = fitting[0]
    ids = {row.id for row in causes}
    ties = [] if ids <= found else ["; and ".join(row.title for row in one) for one in fitting
                                    if {row.id for row in one} != ids]
    convention = all(cause.convention for cause in causes)
    hints = {level: " ".join(getattr(row, level) for row in causes) for level in LEVELS}
    return Finding(group, "convention" if convention else "mistake",
                   tuple(row.id for row in causes), "; and ".join(row.title for row in causes),
                   hints, ties, partly)
