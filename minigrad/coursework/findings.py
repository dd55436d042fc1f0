"""Names for what is wrong in a group of checks.

The one trick: rules and engines are named by the tables that `diagnose` reads, from the numbers
that came out of the sandbox. What no table has is named by running the reference solution with one
known mistake after the other in it, and then two, until one gives the student's numbers.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

from minigrad.coursework import engines
from minigrad.coursework.checks import UNWRITTEN, difference, line_of
from minigrad.coursework.diagnosis import explained
from minigrad.coursework.engine_faults import BY_ID
from minigrad.coursework.hints import LEVELS
from minigrad.coursework.mistakes import MISTAKES
from minigrad.coursework.reference import CONVENTIONS
from minigrad.coursework.search import Record

PAIRS = 300     # pairs of edits that are tried where no single one explains the numbers
TOGETHER = 2   # mistakes of a rule that are looked for together; three take seconds
SECONDS = 2     # for the search in an engine
STATE = "state-in-another-form"
# fmt: off
TITLES = {
    "unwritten": "not written yet",
    "failed":    "it stops with an error that no known mistake explains",
    "unknown":   "no known mistake gives these numbers",
    STATE:       "the weights are right, but a state is not what was asked for",
}
# fmt: on


@dataclass
class Finding:
    """What explains the numbers of a group of checks.

    verdict: "mistake", "convention", "unwritten", "failed" or "unknown"; causes: the ids that
    together give these numbers; ties: other sets as small that give them too; partly: they give
    the numbers of most that is wrong, not of all; hints: {level: text}; numbers: of what is
    unknown, for the instructor.
    """

    group: str
    verdict: str
    causes: tuple = ()
    title: str = ""
    hints: dict = field(default_factory=dict)
    ties: list = field(default_factory=list)
    partly: bool = False
    numbers: dict = None

    def __post_init__(self):
        self.title = self.title or TITLES.get(self.verdict, "")

    @property
    def ids(self):
        return self.causes or (self.verdict,)

    def hint(self, level):
        """What students are told; "" for level none."""
        return self.hints.get(level, "")


def unwritten(outcome):
    """Did the submission stop at `raise NotImplementedError()`?"""
    if outcome.failure:
        return outcome.failure["type"] == UNWRITTEN
    texts = [text for text in outcome.values.values() if isinstance(text, str)]
    return bool(texts) and any(UNWRITTEN in text for text in texts)


# --- update rules --------------------------------------------------------------------------------

def of_rule(group, checks, outcomes, seed, before=()):
    """The Finding for checks of one update rule."""
    records = [record for record in (seen_of(check, outcomes[check.name], seed)
                                     for check in checks) if record]
    if not records:
        return Finding(group, "failed")
    rule, asked = checks[0].rule, checks[0].convention
    tired = any(finding.verdict == "unknown" for finding in before)  # adamw, after adam
    found, partly = explained(rule, asked, records, 1 if tired else TOGETHER), False
    if found.verdict == "unknown" and len(records) > 1:
        alone = [explained(rule, asked, [record], 1) for record in records]
        named = [one for one in alone if one.verdict in ("mistake", "convention")]
        if len(named) == 1:
            found, partly = named[0], True
    if found.verdict == "unknown":
        return Finding(group, "unknown", numbers=trace_of(records))
    if found.verdict == "correct":
        return Finding(group, "mistake", (STATE,), TITLES[STATE],
                       dict.fromkeys(LEVELS, TITLES[STATE]))
    sets = preferred([found.causes, *found.ties], before, counted(checks, outcomes, seed))
    causes, twins = sets[0], [one for one in sets[1:] if len(one) == 1]
    concepts = [MISTAKES[id].concept for id in causes if id in MISTAKES]
    hints = {"where": place_of(found), "formula": found.hint("formula"),
             "concept": "\n".join(concepts) or found.hint("concept")}
    ids = (*causes, *(id for one in twins for id in one)) if is_convention(causes) else causes
    return Finding(group, "convention" if is_convention(causes) else "mistake", ids,
                   "; and ".join(map(rule_title, causes)), hints,
                   [" and ".join(map(rule_title, one)) for one in sets[1:]], partly)


def preferred(sets, before, counts):
    """Sets of ids that give the same numbers, the likeliest first: those found in other groups;
    and about the step count if it is seen to be wrong, about something else if it is right."""
    known = {id for finding in before for id in finding.causes}

    def doubts(ids):
        blames = any(id.startswith("t-") for id in ids)
        return (not known.issuperset(ids), counts is not None and blames == counts)
    if counts is False:  # then numbers alone do not excuse the count
        sets = [ids for ids in sets if any(id.startswith("t-") for id in ids)] or sets
    return sorted(sets, key=doubts)


def counted(checks, outcomes, seed):
    """Is the step count in config right? None if it is not there."""
    seen = [(outcomes[check.name].values.get("t"), check.counts(seed)) for check in checks]
    seen = [(t, right) for t, right in seen if isinstance(t, np.ndarray)]
    return all(np.shape(t) == right.shape and np.array_equal(t, right)
               for t, right in seen) if seen else None


def is_convention(ids):
    return len(ids) == 1 and ids[0] in CONVENTIONS


def seen_of(check, outcome, seed):
    """The Record of what a submission did; None where it gave no weights."""
    run, values = check.run_for(seed), outcome.values
    shape = (len(run.gradients), len(run.weights))
    weights = values.get("w")
    if isinstance(weights, str) or np.shape(weights)[2:] != run.weights[0].shape:
        return None
    seen = [[{"w": weights[i, k]} for k in range(shape[1])] for i in range(shape[0])]
    for name, key in check.states.items():
        state = values.get(key)
        if state is not None and not isinstance(state, str) and state.shape == weights.shape:
            for i, k in np.ndindex(*shape):
                seen[i][k][name] = state[i, k]
    single = any(getattr(value, "dtype", None) == np.float32 for value in values.values())
    return Record(run, seen, (2e-5, 5e-4) if single else (1e-9, 1e-7))


def rule_title(id):
    return MISTAKES[id].title if id in MISTAKES else f"this is how {CONVENTIONS[id].who} define it"


def place_of(found):
    """Where the numbers of a Diagnosis part from the rule's. The numbers are not told."""
    d = found.first_difference
    if d is None:
        return "Look at what is kept from step to step."
    start = " of a run that goes on" if d.run == "warm" else ""
    return f"{d.quantity} is the first that differs, in step {d.step}{start}."


def trace_of(records):
    """Numbers of a cold run as a trace, which `diagnose` reads again; {} if there is none."""
    record = next((one for one in records if one.run.name == "cold"), None)
    if record is None:
        return {}
    run, names = record.run, [f"w{k + 1}" for k in range(len(record.run.weights))]
    options = {name: [step[name] for step in run.settings] for name in run.settings[0]}
    return {
        "parameters": {name: [run.weights[k].tolist(), *(np.asarray(step[k]["w"], float).tolist()
                                                         for step in record.seen)]
                       for k, name in enumerate(names)},
        "gradients": {name: [step[k].tolist() for step in run.gradients]
                      for k, name in enumerate(names)},
        "states": {state: {name: [np.asarray(step[k][state], float).tolist()
                                  for step in record.seen] for k, name in enumerate(names)}
                   for state in record.seen[0][0] if state != "w"},
        "hyperparameters": {name: values if len(set(values)) > 1 else values[0]
                            for name, values in options.items()}}


# --- autograd engines ----------------------------------------------------------------------------

def of_engine(group, checks, outcomes, seed):
    """The Finding for checks of an autograd class."""
    seen = {}  # a graph that several checks ask for tells the same every time
    for check in checks:
        answered = not outcomes[check.name].failure
        for graph, given in check.outcomes(outcomes[check.name].values, seed) if answered else ():
            signs = tuple(np.sign(x) for x in graph.leaves.values())
            seen.setdefault((graph.lines, graph.calls, signs), (graph, given))
    seen = [*seen.values()]
    if not seen:
        return Finding(group, "failed")
    found, partly = named_engine(seen)
    if found.verdict == "correct":
        return lacking(group, checks, outcomes, seed)
    if found.verdict == "unknown" or not found.causes:
        verdict = "failed" if all(isinstance(outcome, tuple) for _, outcome in seen) else "unknown"
        return Finding(group, verdict, numbers={"graphs": [
            {"graph": line_of(graph), "leaves": graph.leaves, "calls": graph.calls,
             "found": list(given) if isinstance(given, tuple) else
             {name: None if x is None or isinstance(x, str) else np.asarray(x).tolist()
              for name, x in given.items()}} for graph, given in seen]})
    where = f"Look at {line_of(found.smallest)}." if found.smallest else ""
    hints = {"where": where, "concept": found.hint("concept"), "formula": found.hint("formula")}
    ties = [" and ".join(BY_ID[id].title for id in tie) for tie in found.ties]
    verdict = "convention" if found.verdict == "convention" else "mistake"
    return Finding(group, verdict, tuple(found.causes),
                   "; and ".join(BY_ID[id].title for id in found.causes), hints, ties, partly)


def named_engine(seen):
    """(the EngineDiagnosis, is it only of graphs with one backward()?) of graphs and outcomes: a
    walk that is wrong seldom has a right second one."""
    once = [pair for pair in seen if pair[0].calls == 1]
    with np.errstate(all="ignore"):
        first = engines.explained(once, seconds=SECONDS)
        if first.verdict == "unknown":
            return first, False
        found = engines.explained(seen, seconds=2 * SECONDS)
    return (found, False) if found.causes or not first.causes else (first, True)


def lacking(group, checks, outcomes, seed):
    """The Finding where all that ran is right, and an operation is not there."""
    absent = [graph for check in checks if not outcomes[check.name].failure
              for graph, given in check.outcomes(outcomes[check.name].values, seed)
              if check.points and isinstance(given, tuple)]
    if not absent:
        return Finding(group, "failed")
    reflected = all(line_of(graph).startswith("y = 2 ") for graph in absent)
    id = "reflected-operator-missing" if reflected else "operator-missing"
    title = ("an operator fails with a number on its left" if reflected
             else "an operation that is asked for is not there")
    where = f"Look at {line_of(absent[0])}."
    concept = "Python asks the right operand where the left one does not know how." if reflected \
        else where
    formula = "__radd__ = __add__; __rmul__ = __mul__; __rsub__; __rtruediv__" if reflected \
        else where
    return Finding(group, "mistake", (id,), title,
                   {"where": where, "concept": concept, "formula": formula})


# --- edits of the solution -----------------------------------------------------------------------

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
        rows = [row for row in self.assignment.mistakes if group in row.groups]
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
                                               any(row.groups[0] != group for row in one)))
    causes = fitting[0]
    ids = {row.id for row in causes}
    ties = [] if ids <= found else ["; and ".join(row.title for row in one) for one in fitting
                                    if {row.id for row in one} != ids]
    convention = all(cause.convention for cause in causes)
    hints = {level: " ".join(getattr(row, level) for row in causes) for level in LEVELS}
    return Finding(group, "convention" if convention else "mistake",
                   tuple(row.id for row in causes), "; and ".join(row.title for row in causes),
                   hints, ties, partly)
