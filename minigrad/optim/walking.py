"""An update, line by line: what every line of its source computed at one place of the parameter.

The one trick: the walk begins in `rules.update` itself, the function every step goes through. Its
own lines flip the sign, decay, and call the rule; so their order is read as well, and built-in
rules, rules of the user's and helpers are all walked by the same few lines.

Only the branches taken are walked. Loops and what else has no single line are run as a whole.
"""

import ast
import copy
import inspect
from dataclasses import dataclass

import numpy as np

from minigrad.optim import rules
from minigrad.optim.formula import (
    RESULT,
    Scope,
    branched,
    called,
    figure,
    held,
    latex,
    names_in,
    put_in,
    with_numbers,
    written,
)
from minigrad.optim.notation import equation, letters, own_symbol, symbol
from minigrad.sources import source

STRAIGHT = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.If, ast.Return, ast.Pass,
            ast.Assert)
COLLECT, VALUE = "(collect)", "(value)"  # names that no program can have
OWNER, INSIDE = "(owner)", "(inside)"
UPDATE = "update"


class Unwalkable(Exception):
    """Why the lines of a rule cannot be shown."""


@dataclass
class Line:
    """One line: target = source = substituted = value. A condition has no target.

    `value` is exact, `shown` its text. `because` is which way the line went where it has several,
    "t == 1" or "(convention='torch')", `equation` says which of the slides' it is, `note` what else
    there is to know. `latex` is a row, or a row per "=".
    """

    target: str
    source: str
    substituted: str
    value: object
    shown: str
    equation: str = ""
    because: str = ""
    note: str = ""
    latex: tuple = ()


class Walk:
    """The lines of one update, at the weight that `facts` (reasons.Facts) are about.

    lines     list of Line
    values    {name in the source: exact value at `at`}, the last one where a name is used again
    formulas  {name: (its expression, the Scope it was computed in)}
    result    what the rule returned, a tuple of whole arrays

    Raises Unwalkable if the rule's lines cannot be followed.
    """

    def __init__(self, facts, notation=None):
        self.update, self.notation = facts.update, notation
        self.at, self.shape = facts.at, facts.w.shape
        self.lines, self.values, self.formulas, self.result = [], {}, {}, None
        self.anatomy = rules.anatomy(self.update.rule)
        self.weight, self.weights, self.gradient = facts.before, "w", "g"
        self.digits = needed(facts.after, facts.before)  # that tell the weight from what it becomes
        self.start(self.update, *facts.inputs())

    def start(self, update, w, g, states):
        here = source(rules.update)
        if here is None or source(inspect.unwrap(update.rule)) is None:
            raise Unwalkable("the source of the rule was not found: it was typed at a prompt, "
                             "built at run time, or its file has changed since")
        given = {"rule": update.rule, "w": w, "g": g, "states": states, "t": update.t,
                 "hyperparameters": dict(update.hyperparameters),
                 "maximize": False, "weight_decay": 0.0, "decay_rate": None, **update.modifiers}
        scope = self.scope(here, given, {"w", "g", "states"}, {"w"}, update.rule)
        if "lr" in scope.letters and update.modifiers.get("decay_rate") == (
                update.hyperparameters.get("lr")):
            scope.letters["decay_rate"] = scope.letters["lr"]
        own = list(inspect.signature(update.rule).parameters)[:2]
        for name, called_there in zip("wg", own):  # a rule of the user's may call them p and dp
            if name != called_there and name not in scope.letters:
                scope.moving.add(called_there)
                scope.letters[name] = called_there, own_symbol(called_there, scope)
        self.block(here.node.body, scope, UPDATE)

    def scope(self, found, given, moving, old, function):
        words = letters(built_in(function), self.notation)
        names = {**found.names, **given, COLLECT: lambda *args, **named: (args, named),
                 OWNER: built_in(function), INSIDE: ""}
        return Scope(names, moving, self.shape, self.at, words, old)

    # --- statements ---

    def block(self, statements, scope, owner):
        """Walks statements. Returns (the expression returned, its Scope, its value), or None."""
        for statement in statements:
            if isinstance(statement, ast.Return):
                return self.returned(statement.value, scope, owner)
            if isinstance(statement, ast.If):
                found = self.branch(statement, scope, owner)
                if found is not None:
                    return found
            elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                self.assignment(statement, scope, owner)
            else:
                self.whole(statement, scope, owner)
        return None

    def branch(self, statement, scope, owner):
        yes = bool(scope.value(statement.test))
        taken = statement.body if yes else statement.orelse
        if taken and owner is not UPDATE:
            self.condition(held(statement.test, yes), scope)
        return self.block(taken, scope, owner)

    def condition(self, test, scope):
        numbers = written(with_numbers(test, scope, RESULT)) if is_measured(test, scope) else ""
        text = option(test, scope) or written(test, scope.letters)
        told = latex(test, scope)
        self.lines.append(Line("", text, "" if numbers == text else numbers, True, "True",
                               latex=(rf"&\text{{since }} {told}",)))

    def whole(self, statement, scope, owner):
        """Runs a statement without a line of its own, and shows the names it has changed."""
        if any(isinstance(part, (ast.Return, ast.Yield)) for part in ast.walk(statement)
               if not isinstance(statement, (ast.FunctionDef, ast.ClassDef))):
            raise Unwalkable("it returns from inside a "
                             f"'{type(statement).__name__.lower()}' block")
        run(statement, scope)
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            return
        first = ast.unparse(statement).partition("\n")[0].rstrip(":")
        for name in changed(statement):
            if name in scope.names and not name.startswith("_"):
                scope.moving.add(name)
                self.formulas.pop(name, None)
                self.result_only(name, scope, first, owner)

    def result_only(self, name, scope, note, owner):
        """The line of a name that was changed, without saying how."""
        scope.old.discard(name)
        value = self.values[name] = scope.local(scope.names[name])
        target = scope.letters.get(name, (name,))[0]
        told = rf"{symbol(name, scope)} &= {figure_latex(value, scope)}"
        self.lines.append(Line(target, "", "", value, figure(value), self.equation(owner, name),
                               note=note, latex=(told,)))

    def assignment(self, statement, scope, owner):
        if isinstance(statement, ast.AnnAssign) and statement.value is None:
            return
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        expression = statement.value
        if isinstance(statement, ast.AugAssign):
            if not isinstance(statement.target, ast.Name):
                self.whole(statement, scope, owner)
                return
            name = statement.target.id
            before = scope.before(name)
            expression = ast.BinOp(ast.Name(name, ast.Load()), statement.op, statement.value)
            run(statement, scope)
            self.assigned(targets[0], expression, before, scope.names[name], scope, owner)
            return
        if not all(isinstance(t, (ast.Name, ast.Tuple, ast.List)) for t in targets):
            self.whole(statement, scope, owner)
            return
        inner = self.stepped_into(expression, scope, owner)
        value = inner[2] if inner else scope.value(expression)
        if inner and owner is not UPDATE:
            expression = inner[0]
        before = inner[1] if inner else scope.before()
        scope.names[VALUE] = value
        for target in targets:
            run(ast.Assign([target], ast.Name(VALUE, ast.Load())), scope)
            self.assigned(target, expression, before, value, scope, owner)

    def assigned(self, target, expression, before, value, scope, owner):
        """The line, or for a tuple the lines, of a target that now has its value."""
        if isinstance(target, (ast.Tuple, ast.List)):
            parts = target.elts
            if isinstance(expression, (ast.Tuple, ast.List)) and (
                    len(expression.elts) == len(parts)):
                for part, inner, one in zip(parts, expression.elts, value):
                    self.assigned(part, inner, before, one, scope, owner)
                return
        named = [part.id for part in ast.walk(target) if isinstance(part, ast.Name)]
        fixed = before.is_fixed(expression)
        for name in named:
            (scope.moving.discard if fixed else scope.moving.add)(name)
            scope.old.discard(name)
        if owner is not UPDATE or named[0] in ("w", "g"):
            self.line(target, expression, before, value, scope, owner)

    def returned(self, expression, scope, owner):
        if expression is None:
            raise Unwalkable("it returned nothing")
        if owner is UPDATE:
            return expression, scope, None
        inner = self.stepped_into(expression, scope, owner)
        if inner:
            return inner
        return expression, scope, scope.value(expression)

    # --- calls ---

    def stepped_into(self, node, scope, owner):
        """(expression returned, its Scope, its value) of a call whose lines are worth walking."""
        if not isinstance(node, ast.Call):
            return None
        function = called(node, scope)
        is_rule = owner is UPDATE and function is self.update.rule
        if not is_rule:
            found = readable(function)
            if found is None or single(found) is not None or not straight(found.node.body):
                return None
        found = source(inspect.unwrap(function))  # if that leads elsewhere, it will be noticed
        collected = ast.Call(ast.Name(COLLECT, ast.Load()), node.args, node.keywords)
        args, named = scope.value(collected)
        bound = inspect.signature(function).bind(*args, **named)
        bound.apply_defaults()
        given = dict(bound.arguments)
        if is_rule:
            names = list(given)[:2]
            self.weights, self.gradient = names
            self.values.clear()
            moving, old = {*names, *self.anatomy.states}, {*self.anatomy.states}
            old |= {names[0]} if "w" in scope.old else set()
            for name in given:
                self.values[name] = scope.local(given[name])
        else:
            moving, old = bound_to(node, function, scope)
        inner = self.scope(found, given, moving, old, function)
        if not is_rule and not built_in(function):
            inner.names[INSIDE] = f"in {function.__name__}"
        answer = self.block(found.node.body, inner, built_in(function))
        if answer is None:
            raise Unwalkable(f"{function.__name__} returned nothing")
        if is_rule:
            self.finish(*answer)
        return answer

    def finish(self, expression, scope, value):
        """The last lines: what is returned for states and, at the end, for the weights."""
        self.result = value if type(value) is tuple else (value,)
        names = [self.weights, *self.anatomy.states]
        parts = expression.elts if isinstance(expression, ast.Tuple) else None
        if parts is None or len(parts) != len(self.result):
            whole = type(value) is tuple
            parts = [ast.Subscript(expression, ast.Constant(i), ast.Load()) if whole else expression
                     for i in range(len(self.result))]
        owner = scope.names[OWNER]
        pairs = list(zip(names, parts, self.result))
        for name, part, one in [*pairs[1:], pairs[0]]:
            named = isinstance(part, ast.Name) and (name != self.weights or part.id == name)
            if named or scope.names.get(name) is one:
                self.values[name] = scope.local(one)
                continue
            before, after = scope.before(), scope.before()
            after.moving.add(name)
            after.old.discard(name)
            self.line(ast.Name(name), part, before, one, after, owner)

    # --- one line ---

    def line(self, target, expression, before, value, scope, owner):
        """Adds the line target = expression = numbers = value."""
        node, conditions = branched(inlined(expression, before), before)
        one = scope.element(value)
        value = scope.local(value)
        named = [part.id for part in ast.walk(target) if isinstance(part, ast.Name)]
        for i, name in enumerate(named):
            self.values[name] = value if len(named) == 1 else value[i]
            self.formulas[name] = node, before
        dtype = getattr(value, "dtype", np.dtype(float))
        digits = max(self.digits, needed(value, self.weight)) if named[0] == self.weights else (
            RESULT)
        shown = figure(value, digits)
        numbers, note, tree = "", "", None
        if one is not None:
            tree, exact = put_in(node, before, value, dtype, digits)
            numbers = written(tree)
            note = "" if exact else f"rounded in {dtype}"
        text = written(node, before.letters)
        if isinstance(node, ast.Constant):
            shown = text
        if numbers in (shown, text) or shown == text:
            numbers, tree = "", None
        self.lines.append(Line(
            target_text(target, scope), text, numbers, value, shown,
            self.equation(owner, named[0]), which_way(conditions, before),
            note or scope.names[INSIDE],
            self.told(target, node, before, tree, value, digits, scope)))

    def equation(self, owner, name):
        if owner is UPDATE and not built_in(self.update.rule):
            return ""
        return equation(owner, name, self.update.hyperparameters)

    def told(self, target, node, before, tree, value, digits, scope):
        """The line in LaTeX, with an alignment mark before each sign."""
        left, right = latex(target, scope), latex(node, before)
        again = any(symbol(name, before) == left for name in names_in(node))
        sign = r"\leftarrow" if again else "="
        parts = [rf"{left} &{sign} {right}"]
        if tree is not None:
            parts.append(f"&= {latex(tree, before)}")
        if not isinstance(node, ast.Constant):
            parts.append(f"&= {figure_latex(value, scope, digits)}")
        return tuple(parts)


def changed(statement):
    """The names that a statement assigns, wholly or in part (step[mask] = 0), each once."""
    found = {}
    for part in ast.walk(statement):
        if isinstance(getattr(part, "ctx", None), ast.Store):
            while isinstance(part, (ast.Subscript, ast.Attribute)):
                part = part.value
            if isinstance(part, ast.Name):
                found[part.id] = True
    return list(found)


def target_text(target, scope):
    text = written(target, scope.letters)
    return text[1:-1] if isinstance(target, ast.Tuple) and text.startswith("(") else text


def needed(new, old):
    """How many significant digits show that a number has changed."""
    if old is None or not np.isfinite(new) or not np.isfinite(old) or new == old or not old:
        return RESULT
    change = abs((float(new) - float(old)) / float(old))
    most = {2: 5, 4: 9}.get(np.dtype(getattr(new, "dtype", float)).itemsize, 17)
    return int(min(most, max(RESULT, 2 - np.floor(np.log10(change))))) if change else RESULT


def which_way(conditions, scope):
    """The conditions inside a line that held: "t == 1", or the options that chose it alone,
    "(convention='torch')"."""
    options = [option(test, scope) for test in conditions]
    if options and all(options):
        return f"({', '.join(dict.fromkeys(options))})"
    return " and ".join(chosen or written(test, scope.letters)
                        for chosen, test in zip(options, conditions))


def option(test, scope):
    """"convention='torch'" if that is what a test asks for: a name that stands for a word, True,
    False or None. Else ""."""
    node = test.operand if isinstance(test, ast.UnaryOp) else test
    node = node.left if isinstance(node, ast.Compare) else node
    if not isinstance(node, ast.Name) or node.id in scope.moving or node.id not in scope.names:
        return ""
    value = scope.names[node.id]
    if value is not None and not isinstance(value, (str, bool)):
        return ""
    return f"{written(node, scope.letters)}={value!r}"


def is_measured(test, scope):
    """Do the numbers of a condition say more than its words? 0 == 0 does not."""
    return isinstance(test, ast.Compare) and not option(test, scope) and not any(
        isinstance(op, (ast.Eq, ast.Is)) for op in test.ops)


def figure_latex(value, scope, digits=RESULT):
    text = figure(value, digits)
    tree = ast.Name(text.lstrip("-"))
    try:
        return latex(ast.UnaryOp(ast.USub(), tree) if text.startswith("-") else
                     ast.parse(text, mode="eval").body, scope)
    except SyntaxError:
        return rf"\text{{{text}}}"


def run(statement, scope):
    """Executes one statement in the scope."""
    module = ast.fix_missing_locations(ast.Module([statement], []))
    with np.errstate(all="ignore"):
        exec(compile(module, "<rule>", "exec"), scope.names)


def built_in(function):
    """The name of a rule of rules.py, "" for any other function."""
    known = getattr(function, "__module__", None) == rules.__name__
    return function.__name__ if known else ""


# --- helpers --------------------------------------------------------------------------------------

def readable(function):
    """The Source of a helper written in Python, or None."""
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return None
    if (function.__module__ or "").partition(".")[0] in ("numpy", "math"):
        return None
    return source(function)


def bound_to(node, function, scope):
    """(names that move, names from the step before) inside a helper, by what it is called with."""
    parameters = inspect.signature(function).parameters
    if any(isinstance(a, ast.Starred) for a in node.args) or any(
            k.arg is None for k in node.keywords):
        return set(parameters), set()
    bound = inspect.signature(function).bind(
        *node.args, **{k.arg: k.value for k in node.keywords}).arguments
    moving = {name for name, argument in bound.items()
              if not isinstance(argument, ast.AST) or not scope.is_fixed(argument)}
    old = {name for name, argument in bound.items()
           if isinstance(argument, ast.Name) and argument.id in scope.old}
    return moving, old


def single(found):
    """The expression of a function that is one return, or None."""
    body = [s for s in found.node.body if not is_docstring(s)]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return None
    own_scopes = (ast.Lambda, ast.comprehension, ast.NamedExpr)
    if any(isinstance(part, own_scopes) for part in ast.walk(body[0])):
        return None
    return body[0].value


def is_docstring(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def straight(body):
    """Are these statements all lines, without loops?"""
    return all(isinstance(part, STRAIGHT) for part in body) and all(
        straight(part.body) and straight(part.orelse) for part in body if isinstance(part, ast.If))


def inlined(expression, scope):
    """An expression with the helpers that are one expression written out: decoupled_decay(w, lr,
    weight_decay) is w * (1 - lr * weight_decay)."""

    class Inline(ast.NodeTransformer):
        def visit_Call(self, node):
            self.generic_visit(node)
            found = readable(called(node, scope))
            body = single(found) if found else None
            if body is None or any(isinstance(a, ast.Starred) for a in node.args):
                return node
            signature = inspect.signature(called(node, scope))
            try:
                bound = signature.bind(*node.args, **{k.arg: k.value for k in node.keywords})
            except TypeError:
                return node
            given = {name: a if isinstance(a, ast.AST) else None
                     for name, a in bound.arguments.items()}
            free = names_in(body) - set(given)
            same = all(name in scope.names and scope.names[name] is found.names.get(name)
                       for name in free)
            if not same or None in given.values():
                return node
            return Replaced(given).visit(copy.deepcopy(body))

    return Inline().visit(copy.deepcopy(expression))


class Replaced(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, given):
        self.given = given

    def visit_Name(self, node):
        return copy.deepcopy(self.given.get(node.id, node))
