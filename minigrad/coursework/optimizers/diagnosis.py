"""Which mistake reproduces a student's numbers?

    print(diagnose(student, rule="adam"))

The one trick: the numbers of the student's optimizer on a probe are held against the reference
with every known mistake planted in it, alone and in combinations. What fits is the diagnosis; where
nothing fits, that is said.
"""

import os

import numpy as np

from minigrad.coursework.hints import VERDICTS, Found, wrapped
from minigrad.coursework.optimizers.adapters import kind_of, observed, options_taken
from minigrad.coursework.optimizers.layouts import FLOAT64, MIXED
from minigrad.coursework.optimizers.legend import LEGEND, SAID_IN_WORDS
from minigrad.coursework.optimizers.mistakes import MISTAKES
from minigrad.coursework.optimizers.reference import (
    CONVENTIONS,
    FAMILIES,
    convention_id,
    conventions_of,
    names_read,
    simulated,
)
from minigrad.coursework.optimizers.rounding import (
    Rounding,
    center_and_spread,
    gap_of,
    over_copies,
)
from minigrad.coursework.optimizers.search import (
    FirstDifference,
    close,
    explaining,
    grade,
    parts_explained,
    plain,
    together,
)
from minigrad.coursework.optimizers.traces import trace_read
from minigrad.markup import escaped, pre, table

# fmt: off
QUANTITIES = {  # the names in the lines of a rule, in the order in which they are judged
    "g": "g", "m": "m", "b": "v", "G": "v", "v": "v", "m_hat": "m_hat", "v_hat": "v_hat",
    "v_max": "v_hat", "v_used": "v_hat", "variance": "denominator", "denominator": "denominator",
    "look_ahead": "step", "step": "step", "w": "parameter", "next_w": "parameter",
}
# fmt: on


class Diagnosis(Found):
    """What was found out about an optimizer.

    verdict           "correct", "convention", "mistake" or "unknown"
    causes            ids of the smallest set that explains the numbers, () if correct or unknown
    ties              every other set as small that does
    first_difference  FirstDifference, or None
    residual          largest difference of a weight from what the causes predict (from the
                      reference, if there are none)
    lines             pairs (line of the rule, line that gives the student's numbers)
    states_differ     the weights are as explained, but a state is kept in another form
    parts             of an unknown optimizer whose states are visible: {quantity: ids that explain
                      it, given all that came before it; None if none do}
    notes             what could not be tested
    assumed           {hyperparameter: default} of what a trace does not give
    """

    def __init__(self, rule, convention, verdict, causes, ties, first_difference, residual,
                 lines, states_differ=False, notes=(), parts=None):
        self.rule, self.convention, self.verdict = rule, convention, verdict
        self.causes, self.ties, self.first_difference = causes, ties, first_difference
        self.residual, self.states_differ, self.notes = residual, states_differ, list(notes)
        self.lines, self.parts, self.assumed = lines, parts or {}, {}

    def concepts(self):
        return ([MISTAKES[id].concept for id in self.causes if id in MISTAKES]
                + [f"This is the definition of {CONVENTIONS[id].who}; you were asked for "
                   f"{self.convention}." for id in self.causes if id in CONVENTIONS])

    def formulas(self):
        return [*side_by_side(self.lines),
                *(SAID_IN_WORDS[id] for id in self.causes if id in SAID_IN_WORDS)]

    def where(self):
        """The first difference, in a sentence."""
        found = self.first_difference
        if found is None:
            return ("All weights are right. Look at what the step changes besides."
                    if self.causes else "No difference was seen.")
        index = ", ".join(map(str, found.index))
        place = f"{found.quantity}[{index}]" if index else found.quantity
        start = " of a run continued from given states" if found.run == "warm" else ""
        return (f"Step {found.step}{start}, parameter {found.parameter}: {place} should be "
                f"{found.expected:.6g}, yours is {found.got:.6g}"
                + (" (worked out from your weights)." if found.inferred else "."))

    def report(self):
        report = [f"{self.rule}, asked for as {self.convention}: {self.verdict.upper()}",
                  VERDICTS[self.verdict]]
        report += [f"Note: {note}" for note in self.notes[:bool(self.assumed)]]
        if self.causes:
            report += ["", *(f"  {id}: {title_of(id)}" for id in self.causes)]
        if self.verdict != "correct":
            report += ["", f"First difference. {self.where()}"]
        report += self.partly_explained()
        if self.lines:
            report += ["", *side_by_side(self.lines)]
        report += [SAID_IN_WORDS[id] for id in self.causes if id in SAID_IN_WORDS]
        if self.ties:
            report += ["", "The same numbers, to the last digit seen, come from"]
            report += [f"  {' + '.join(tie)}" for tie in self.ties[:5]]
        if len(self.ties) > 5:
            report.append(f"  ... and {len(self.ties) - 5} other sets")
        if self.states_differ:
            report.append("The weights are explained; a state is kept in another form.")
        report += [f"Note: {note}" for note in self.notes[bool(self.assumed):]]
        return report

    def partly_explained(self):
        """Lines on an unknown optimizer: how far off it is, and what of it could be explained."""
        if self.verdict != "unknown":
            return []
        said = [f"Largest difference of a weight from the rule: {self.residual:.3g}."]
        for quantity, ids in ({} if self.assumed else self.parts).items():
            what = "Given that, the parameter" if quantity == "parameter" else f"Your {quantity}"
            said.append(f"{what} is " + (
                "not made in a way we know." if ids is None else
                "right." if not ids else
                "explained: " + " and ".join(f"{title_of(id)} ({id})" for id in ids) + "."))
        return said

    def _html(self):
        found = [(id, title_of(id)) for id in self.causes]
        return (f"<div><b>{escaped(self.rule)}</b> asked for as {escaped(self.convention)}: "
                f"<b>{escaped(self.verdict)}</b>. {escaped(VERDICTS[self.verdict])}</div>"
                + (table(("cause", "what it is"), found) if found else "")
                + ("" if self.verdict == "correct" else pre(wrapped(self.where())))
                + "".join(pre(wrapped(line)) for line in self.partly_explained())
                + (table(("the rule has", "your numbers come from"), self.lines)
                   if self.lines else "")
                + "".join(pre(f"same numbers: {' + '.join(tie)}") for tie in self.ties[:5])
                + "".join(pre(wrapped(f"Note: {note}")) for note in self.notes))


def title_of(id):
    return MISTAKES[id].title if id in MISTAKES else f"the definition of {CONVENTIONS[id].who}"


def side_by_side(lines):
    """Lines of a hint: each line of the rule above the student's, and what new names mean."""
    said = []
    for rule, yours in lines:
        said += [f"The rule has    {rule or '(no such line)'}",
                 f"your numbers    {yours or '(no such line)'}"]
    names = {name for _, yours in lines if yours for group in names_read(yours) for name in group}
    return said + [f"  ({name}: {words})" for name, words in LEGEND.items() if name in names]


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
    are those of a trace;
    decimals, how many were printed, is told by a file if not given, and is all for code.

    Raises ValueError for an unknown rule or convention, or where the student's code fails;
    TypeError for a student that is none of these.
    """
    asked = convention_id(rule, convention)
    if isinstance(student, (str, os.PathLike, dict)):
        return of_trace(student, rule, asked, most, dict(hyperparameters or {}), decimals)
    records, notes, outside = observed(student, rule, kind, names, seed, layout)
    if decimals is not None:
        records = [record._replace(tolerance=(0.501 * 10.0**-decimals, 1e-12))
                   for record in records]
    found = explained(rule, asked, records, most, notes, outside)
    if callable(student) and (found.verdict == "unknown" or len(found.causes) > 2):
        found.notes += like_others(student, rule, kind=kind, names=names, seed=seed, layout=layout)
    return found


def of_trace(source, rule, asked, most, hyperparameters, decimals):
    """The Diagnosis of a trace. It says first which hyperparameters had to be assumed."""
    records, assumed = trace_read(source, rule, hyperparameters, decimals)
    found = explained(rule, asked, records, most)
    if "lr" in assumed and found.verdict not in ("correct", "convention"):
        lr = rate_of(plain(rule, asked), records[0])
        if lr:
            again = {**hyperparameters, "lr": lr}
            other = explained(rule, asked, trace_read(source, rule, again, decimals)[0], 0)
            if other.verdict == "correct":
                found = other
                found.notes.append(f"the trace does not give lr; {lr:g} explains its numbers")
                del assumed["lr"]
    if assumed and "hyperparameter-ignored" in found.causes:  # nobody knows what to hold it to
        found = explained(rule, asked, records, -1)
    if found.verdict == "correct":
        assumed.pop("weight_decay", None)  # there was none
    if assumed:
        said = ", ".join(f"{name} = {value:g}" for name, value in assumed.items())
        found.notes.insert(0, f"not given, so assumed: {said}; if that is wrong, so is all else. "
                           "Give them in the trace, as hyperparameters={...}, or --set "
                           f"{min(assumed)}=...")
        found.assumed = assumed
    return found


def rate_of(base, record):
    """The lr with which a formula makes the first step that was seen, to three digits, or None."""
    if any(settings["weight_decay"] for settings in record.run.settings):
        return None
    one = [{**settings, "lr": 1.0} for settings in record.run.settings]
    run = record.run._replace(settings=one)
    with np.errstate(all="ignore"):
        first = [(q["w_old"] - q["next_w"], q["w_old"] - record.seen[0][k]["w"])
                 for i, k, q in simulated(base.lines, base.states, run) if i == 0]
        rule, seen = (np.concatenate([np.ravel(side) for side in sides]) for sides in zip(*first))
        lr = float(np.dot(rule, seen) / np.dot(rule, rule))
    return float(f"{lr:.3g}") if np.isfinite(lr) and lr > 0 else None


def explained(rule, asked, records, most=3, notes=(), outside=None):
    """The Diagnosis of what was seen of an optimizer, wherever it ran: Records (see search).

    asked: the id of a convention. outside: {cause that the numbers do not show: FirstDifference}.
    """
    notes = [*notes, *(f"after step {record.run.t} of the {record.run.name} run all weights are "
                       "NaN, which hides what comes later" for record in records
                       if len(record.seen) > 1
                       and all(np.isnan(one["w"]).all() for one in record.seen[0]))]
    found, fit, parts, records, more = searched(rule, asked, records, most)
    notes += more
    best = found[0] if found else None
    sets = [*dict.fromkeys(hypothesis.ids for hypothesis in found)]
    causes = sets[0] if sets else ()
    verdict = verdict_on(best, causes)
    if outside and best is not None:
        causes, verdict = (*causes, *sorted(outside)), "mistake"
    elif outside:
        notes += [f"{title_of(id)}, which explains none of your weights" for id in sorted(outside)]
    base = plain(rule, asked)
    with np.errstate(all="ignore"):
        difference = first_difference(base, best, records, hidden=fit == 1)
        residual = residual_of(best or base, records)
    if difference is None and outside:
        difference = min(outside.values(), key=lambda one: one.step)
    return Diagnosis(rule, asked, verdict, causes, sets[1:], difference, residual,
                     changed_lines(base.lines, best.lines) if best else [], fit == 1, notes,
                     parts if best is None else {})


def searched(rule, asked, records, most):
    """(hypotheses that give the numbers, how well they do, what explains each part, the Records
    for which that was found, notes)."""
    for taken, note in tellings(records):
        found, fit = explaining(rule, asked, taken, min(most, 2))
        if found and (len(taken) == len(records) or fit == 1):
            return found, fit, {}, taken, [note] * bool(note)
    parts = parts_explained(rule, asked, records)
    if parts and None not in parts.values():  # each part by its own: three or more together
        found, fit = together(rule, asked, records, parts)
    printed = any(record.rounding and max(record.tolerance) > max(MIXED) for record in records)
    if not found and most > 2 and not printed:  # few digits fit three of some thousand by chance
        found, fit = explaining(rule, asked, records, most, least=3)
    return found, fit, parts, records, []


def tellings(records):
    """[(Records, note)]: what was seen, as it is; up to rounding; and without the runs that
    continue, which mean nothing where a state is kept in another form."""
    found = [(records, None)]
    if all(record.rounding is None and max(record.tolerance) < max(MIXED) for record in records):
        found.append(([record._replace(tolerance=MIXED) for record in records],
                      "your numbers are the same to six digits only, as where some of them are "
                      "kept in single precision"))
    found[:0] = [(other, None) for other in in_full(records)]
    cold = [record for record in found[-1][0] if not any(record.run.states)]
    if 0 < len(cold) < len(records):
        found.append((cold, "the run that continues from given states was left out, as it tells "
                            "nothing then"))
    return found


def in_full(records):
    """Records that were printed, taken as if their few digits, or those of the gradients, were
    all they have: as of scripted numbers. Only a fit that no chance explains shows that."""
    if not all(record.rounding and moving(record) for record in records):
        return
    if all(any(record.rounding.units.weights) for record in records):
        yield [record._replace(rounding=None, tolerance=FLOAT64) for record in records]
    if all(max(one.units.gradients) > 15 * max(one.units.weights)
           for one in (record.rounding for record in records)):
        yield [record._replace(rounding=Rounding(record.run, record.rounding.units._replace(
            gradients=(0.0, 0.0)))) for record in records]


def moving(record):
    """Does some weight change in every step? What stands still fits without being told."""
    held = [[*record.run.weights], *([one["w"] for one in step] for step in record.seen)]
    return all(any(np.any(before != after) for before, after in zip(*pair))
               for pair in zip(held, held[1:]))


def like_others(student, rule, **how):
    """Notes: a convention of another rule that gives the weights of an optimizer which is unknown
    as this rule. It must use all hyperparameters that this rule does."""
    taken = set(options_taken(student, rule, kind_of(student), {}).values())
    for other in FAMILIES:
        try:
            if other == rule or taken - set(
                    options_taken(student, other, kind_of(student), {}).values()):
                continue
            records, *_ = observed(student, other, **how)
        except (Exception, SystemExit):  # it wants what the other rule has not
            continue
        with np.errstate(all="ignore"):
            for id in conventions_of(other):
                if grade(plain(other, id), records):
                    return [f"these are the numbers of {id} ({CONVENTIONS[id].who}), which is "
                            f"another rule than {rule}"]
    return []


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


def first_difference(base, best, records, hidden=False):
    """Where the numbers part first, in a run from nothing if they do there; None if nowhere.

    Each step is judged on its own: it is given the weights and the states that the student's step
    had, as far as they were seen. hidden: what was seen of states is of another form; ignore it.
    """
    for record in sorted(records, key=lambda record: record.run.name):
        if not record.rounding:
            found = difference_in(record, base, best, hidden)
        elif best == base:
            found = None
        else:  # each step on its own tells little where few digits are seen
            found = (difference_in(record, base, best, hidden)
                     or difference_in(record, base, best, hidden, forced=False)
                     or difference_in(record._replace(rounding=None), base, best, hidden))
        if found:
            return found
    return None


def difference_in(record, base, best, hidden, forced=True):
    """The FirstDifference in a record; with forced=False, that of the whole run."""
    run, rounding = record.run, record.rounding
    seen = [[{"w": one["w"]} if hidden else one for one in step] for step in record.seen]
    past = past_of(seen) if forced else None
    yours = run if rounding is None else rounding.run
    theirs = {} if best is None else {(i, k): dict(q) for i, k, q in simulated(
        lines_for(best, record), best.states, yours, best.shared)}
    if rounding and forced:
        run, past = rounding.forced(run, past)
    elif rounding:
        run = rounding.run
    for i, k, expected in simulated(lines_for(base, record), base.states, run, before=past):
        got = theirs.get((i, k), {})
        for name in order_of(base.lines):
            state = name in base.states and name in seen[i][k]
            inferred = not state and name != "next_w"
            key = f"next_{name}" if state else name
            value = got.get(name) if inferred else seen[i][k][name.removeprefix("next_")]
            if value is None:
                continue
            value, right, allowed = compared(record, value, expected[key], state, inferred)
            if not (allowed if rounding else close(value, right, allowed)):
                return located(name, i + record.run.t, k, right, value, inferred, record)
    return None


def lines_for(hypothesis, record):
    return over_copies(hypothesis.lines) if record.rounding else hypothesis.lines


def compared(record, value, expected, state, inferred):
    """(value, expected, tolerance) of a quantity; with few digits, in place of the tolerance,
    whether rounding explains the difference."""
    if not record.rounding:
        return value, expected, record.tolerance
    unit = record.rounding.units.states if state else record.tolerance
    if inferred:
        value, spread, *_ = center_and_spread(np.atleast_1d(np.asarray(value, float)))
        unit = spread + 1e-9, 1e-7
    gap, allowed, _ = gap_of(value, expected, unit)
    middle = np.asarray(expected, float)
    middle = np.broadcast_to(middle[..., 0] if middle.ndim else middle, gap.shape)
    worst = gap > allowed
    return np.where(worst, value, middle), middle, not worst.any()


def past_of(seen):
    """{(step, parameter): the weights and the states that it found}, as they were seen."""
    return {(i, k): {**{f"{name}_found": value for name, value in one.items()}, "w": one["w"]}
            for i, step in enumerate(seen[:-1], 1) for k, one in enumerate(step)}


def order_of(lines):
    """The names of quantities that lines set, in the order in which they are judged."""
    names = {name for line in lines for name in names_read(line)[1]} | {"g"}
    return [name for name in QUANTITIES if name in names]


def located(name, step, parameter, expected, seen, inferred, record):
    expected, seen = np.broadcast_arrays(np.asarray(expected, float), np.asarray(seen, float))
    wrong = [index for index in np.ndindex(expected.shape)
             if (seen[index] != expected[index] if record.rounding else
                 not close(seen[index], expected[index], record.tolerance))]
    index = wrong[0] if wrong else ()
    return FirstDifference(QUANTITIES[name], step, parameter, index, float(expected[index]),
                           float(seen[index]), inferred, record.run.name)


def residual_of(hypothesis, records):
    """The largest difference of a weight from what a hypothesis gives: 0 where both are no finite
    numbers, infinity where one of them is none."""
    largest = 0.0
    for record in records:
        for i, k, q in simulated(hypothesis.lines, hypothesis.states, record.run,
                                 hypothesis.shared):
            seen, expected = np.asarray(record.seen[i][k]["w"], float), q["next_w"]
            gap = np.where(np.isfinite(seen) | np.isfinite(expected), np.abs(seen - expected), 0.0)
            gap = np.where(np.isnan(gap), np.inf, gap)
            largest = max(largest, float(np.max(gap, initial=0.0)))
    return largest
