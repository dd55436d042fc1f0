"""Names for what is wrong in a group of checks.

The one trick: rules and engines are named by the tables that `diagnose` reads, from the numbers
that came out of the sandbox. (What no table has, edits.py names.)
"""

from dataclasses import dataclass, field

import numpy as np

from minigrad.coursework.engines import diagnosis as engines
from minigrad.coursework.engines.faults import BY_ID
from minigrad.coursework.grading.questions import UNWRITTEN, line_of
from minigrad.coursework.hints import LEVELS
from minigrad.coursework.optimizers.diagnosis import explained
from minigrad.coursework.optimizers.mistakes import MISTAKES
from minigrad.coursework.optimizers.reference import CONVENTIONS
from minigrad.coursework.optimizers.search import Record
from minigrad.coursework.optimizers.watch_ahead import first_undefined

TOGETHER = 2    # mistakes of a rule that are looked for together; three take seconds
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
    if all(record.run.name == "first step" for record in records):  # or there are none
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
    """The Record of what a submission did; None where it gave no weights. A start from nothing that
    divides by zero gives what NumPy would: no number."""
    run, values = check.run_for(seed), outcome.values
    if outcome.failure and outcome.failure["type"] == "ZeroDivisionError" and run.name == "cold":
        return first_undefined(run._replace(name="first step"), (1e-9, 1e-7))
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
