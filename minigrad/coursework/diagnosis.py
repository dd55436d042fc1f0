"""Which mistake reproduces a student's numbers?

    print(diagnose(student, rule="adam"))

The one trick: the numbers of the student's optimizer on a probe are held against the reference
with every known mistake planted in it, alone and in combinations. What fits is the diagnosis; where
nothing fits, that is said.
"""

import os
from collections import namedtuple

import numpy as np

from minigrad.coursework.adapters import observed
from minigrad.coursework.hints import VERDICTS, asked
from minigrad.coursework.mistakes import MISTAKES
from minigrad.coursework.reference import CONVENTIONS, convention_id, names_read, simulated
from minigrad.coursework.search import close, explaining, plain
from minigrad.coursework.traces import read_trace

# expected and got are numbers; inferred: not seen, but computed by the formula that explains
# everything that was seen.
FirstDifference = namedtuple("FirstDifference",
                             "quantity step parameter index expected got inferred run")

# fmt: off
QUANTITIES = {  # what a report calls the names in the lines of a rule
    "w": "decayed parameter", "next_w": "parameter", "b": "velocity", "G": "sum of squares",
    "g": "g",
}
# fmt: on


class Diagnosis:
    """What was found out about an optimizer.

    verdict           "correct", "convention", "mistake" or "unknown"
    causes            ids of the smallest set that explains the numbers, () if correct or unknown
    ties              every other set as small that does
    first_difference  FirstDifference, or None
    residual          largest difference of a weight from what the causes predict (from the
                      reference, if there are none)
    states_differ     the weights are as explained, but a state is kept in another form
    notes             what could not be tested
    """

    def __init__(self, rule, convention, verdict, causes, ties, first_difference, residual,
                 lines, states_differ=False, notes=()):
        self.rule, self.convention, self.verdict = rule, convention, verdict
        self.causes, self.ties, self.first_difference = causes, ties, first_difference
        self.residual, self.states_differ, self.notes = residual, states_differ, list(notes)
        self.lines = lines  # pairs (line of the rule, line that gives the student's numbers)

    def hint(self, level="where"):
        """A hint: "where" the numbers part, the "concept" behind it, or the "formula".

        Raises ValueError for another level.
        """
        level = asked(level)
        if self.verdict == "correct":
            return "Nothing to correct."
        if level == "where":
            return self.where()
        if level == "concept":
            said = [MISTAKES[id].concept for id in self.causes if id in MISTAKES]
            said += [f"This is how {CONVENTIONS[id].who} define it; you were asked for "
                     f"{self.convention}." for id in self.causes if id in CONVENTIONS]
            return "\n".join(said) or self.where()
        said = [f"The rule has    {rule or '(no such line)'}\n"
                f"your numbers    {yours or '(no such line)'}" for rule, yours in self.lines]
        said += [MISTAKES[id].title for id in self.causes if id == "gradient-mutated"]
        if "state-shared-between-parameters" in self.causes:
            said.append("Your numbers come out if all parameters use the same states.")
        return "\n".join(said) or self.where()

    def where(self):
        """The first difference, in a sentence."""
        found = self.first_difference
        if found is None:
            return ("All weights are right. Look at what the step changes besides."
                    if self.causes else "No difference was seen.")
        index = ", ".join(map(str, found.index))
        place = f"{found.quantity}[{index}]" if index else found.quantity
        start = " of a continued run" if found.run == "warm" else ""
        return (f"Step {found.step}{start}, parameter {found.parameter}: {place} should be "
                f"{found.expected:.6g}, yours is {found.got:.6g}"
                + (" (inferred)." if found.inferred else "."))

    def __str__(self):
        report = [f"{self.rule} ({self.convention}): {self.verdict}", VERDICTS[self.verdict]]
        for id in self.causes:
            row = MISTAKES.get(id)
            report.append(f"  {id}: {row.title}" if row else f"  {id}: {CONVENTIONS[id].who}")
        if self.verdict != "correct":
            report.append(self.where())
        report += [f"  {rule or '(no line)'}\n    -> {yours or '(no line)'}"
                   for rule, yours in self.lines]
        for tie in self.ties[:5]:
            report.append("The same numbers: " + " + ".join(tie))
        if len(self.ties) > 5:
            report.append(f"... and {len(self.ties) - 5} other sets")
        if self.states_differ:
            report.append("The weights are explained; a state is kept in another form.")
        if self.verdict == "unknown":
            report.append(f"Largest difference of a weight from the rule: {self.residual:.3g}")
        return "\n".join(report + [f"Note: {note}" for note in self.notes])

    def __repr__(self):
        return f"<Diagnosis {self.rule}: {self.verdict} {' + '.join(self.causes)}".rstrip() + ">"


def diagnose(student, rule="adam", convention="torch", *, kind=None, names=None, seed=0,
             layout=None, most=3, hyperparameters=None, decimals=None):
    """The Diagnosis of a student's optimizer.

    student: a function f(w, dw, config) -> (next_w, config); a rule as in minigrad.optim.rules; a
    class or factory whose step() changes its parameters; or a trace: the path of an .npz, .csv or
    .json file, or a dict (see coursework.traces). kind, "cs231n", "rule" or "class", says which
    where the signature does not. rule: sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw or
    amsgrad. convention: an id such as "adam/eps-hat", the part after the slash, or a course.
    names: {our hyperparameter: the student's}. seed: another probe for every class or student.
    layout: "arrays", "minigrad", "torch" or an object with .parameter(array) and
    .gradient(array). most: how many mistakes are combined at most. hyperparameters and decimals
    (printed ones; default: told by the file) are those of a trace.

    Raises ValueError for an unknown rule or convention, or where the student's code fails;
    TypeError for a student that is none of these.
    """
    asked = convention_id(rule, convention)
    if isinstance(student, (str, os.PathLike, dict)):
        records, notes = read_trace(student, rule, hyperparameters or {}, decimals), []
        outside = set()
    else:
        records, notes, outside = observed(student, rule, kind, names, seed, layout)
    found, grade = explaining(rule, asked, records, most)
    best = found[0] if found else None
    sets = [*dict.fromkeys(hypothesis.ids for hypothesis in found)]
    causes = sets[0] if sets else ()
    verdict = verdict_on(best, causes)
    if outside and best is not None:
        causes, verdict = (*causes, *sorted(outside)), "mistake"
    base = plain(rule, asked)
    with np.errstate(all="ignore"):
        difference = first_difference(base, best, records)
        residual = residual_of(best or base, records)
    return Diagnosis(rule, asked, verdict, causes, sets[1:], difference, residual,
                     changed_lines(base.lines, best.lines) if best else [], grade == 1, notes)


def verdict_on(best, causes):
    if best is None:
        return "unknown"
    if not causes:
        return "correct"
    return "convention" if len(causes) == 1 and causes[0] in CONVENTIONS else "mistake"


def changed_lines(rule, yours):
    """Pairs (line, line that stands in its place), "" where there is none."""
    by_name = {}
    for side, lines in enumerate((rule, yours)):
        for line in lines:
            name, _, value = line.partition(" = ")
            again = sum(1 for key in by_name if key[0] == name and side in by_name[key])
            by_name.setdefault((name, again), {})[side] = line
    return [(pair.get(0, ""), pair.get(1, "")) for pair in by_name.values()
            if pair.get(0) != pair.get(1)]


def first_difference(base, best, records):
    """Where the numbers part first, each step judged on its own: it is given the past that the
    student's step had. None if nowhere."""
    for record in records:
        past, theirs = past_of(record, best or base, best is not None)
        steps = simulated(base.lines, base.states, record.run, before=past)
        for i, k, expected in steps:
            got = theirs.get((i, k), {})
            for name in order_of(base.lines):
                visible = name.removeprefix("next_")
                if visible in record.seen[i][k] and visible != name or visible in base.states:
                    seen, name = record.seen[i][k].get(visible), f"next_{visible}"
                else:
                    seen = None
                inferred = seen is None
                seen = got.get(name) if inferred else seen
                if seen is None or close(seen, expected[name], record.tolerance):
                    continue
                return located(name, i + record.run.t, k, expected[name], seen, inferred,
                               record)
    return None


def past_of(record, hypothesis, explained):
    """What each step found before it, and all quantities of the formula that explains it."""
    past, theirs = {}, {}
    if explained:
        for i, k, q in simulated(hypothesis.lines, hypothesis.states, record.run,
                                 hypothesis.shared):
            names = ["w_old", *(f"{state}_old" for state in hypothesis.states)]
            start = {name: q[name] for name in names}
            past[i, k], theirs[i, k] = {**start, "w": q["w_old"]}, dict(q)
        return past, theirs
    for i in range(1, len(record.seen)):
        for k, seen in enumerate(record.seen[i - 1]):
            past[i, k] = {f"{name}_old": value for name, value in seen.items()}
            past[i, k]["w"] = seen["w"]
    return past, theirs


def order_of(lines):
    """The names that lines set, in the order in which they get their last value."""
    names = [name for line in lines for name in names_read(line)[1]]
    return [name for i, name in enumerate(names) if name not in names[i + 1:]]


def located(name, step, parameter, expected, seen, inferred, record):
    expected, seen = np.broadcast_arrays(np.asarray(expected, float), np.asarray(seen, float))
    wrong = [index for index in np.ndindex(expected.shape)
             if not close(seen[index], expected[index], record.tolerance)]
    index = wrong[0] if wrong else ()
    quantity = QUANTITIES.get(name, name.removeprefix("next_"))
    return FirstDifference(quantity, step, parameter, index, float(expected[index]),
                           float(seen[index]), inferred, record.run.name)


def residual_of(hypothesis, records):
    """The largest difference of a weight from what a hypothesis gives; NaN counts as 0 where both
    have it, else as infinity."""
    largest = 0.0
    for record in records:
        for i, k, q in simulated(hypothesis.lines, hypothesis.states, record.run,
                                 hypothesis.shared):
            seen, expected = np.asarray(record.seen[i][k]["w"], float), q["next_w"]
            gap = np.where(np.isnan(seen) & np.isnan(expected) | (seen == expected), 0.0,
                           np.abs(seen - expected))
            gap = np.where(np.isnan(gap), np.inf, gap)
            largest = max(largest, float(np.max(gap, initial=0.0)))
    return largest
