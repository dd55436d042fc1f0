"""A line of an update rule as people read it: in its own words, with numbers put in, as LaTeX.

The one trick: a line is a syntax tree, and putting the numbers in is one more tree. A name becomes
the number it stands for at one place of the parameter, a part without meaning at one place (a sum,
a matrix product) becomes its value. Text and LaTeX are printed from either tree.

Enough digits are shown for the line to be checked by hand: what is printed, computed again, gives
what is printed as the result.
"""

import ast
import re
import types

import numpy as np

from minigrad.optim.notation import symbol

WHOLE = re.compile(r"-?(\d+\.?\d*(e[+-]?\d+)?|inf|nan)")
TWICE = re.compile(r"--(\d+\.?\d*(?:e[+-]?\d+)?|inf)")  # the opposite of a negative number
MORE = (4, 5, 6, 7, 8, 9, 12, 15, 17)   # significant digits that are tried
ENOUGH = {"float16": 5, "float32": 9}   # digits that tell all numbers of a dtype apart
RESULT = 4                              # significant digits of a result
# fmt: off
OPPOSITE = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt,
            ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
            ast.In: ast.NotIn, ast.NotIn: ast.In}
PLAIN = {"abs": abs, "max": max, "min": min, "float": float, "int": int}
# fmt: on


class Scope:
    """What the names in a rule mean at one moment, and the place that is looked at.

    names    {name: value}
    moving   the names that weights, gradient or states have a part in
    shape    the parameter's shape, as the rule sees it
    at       the index of the one number that is explained
    letters  {name: (text, LaTeX)} of the notation asked for
    old      the names that still have the value of the step before
    """

    def __init__(self, names, moving, shape, at, letters=(), old=()):
        self.names, self.moving, self.shape, self.at = names, set(moving), shape, at
        self.letters, self.old = dict(letters), set(old)

    def value(self, node):
        """What an expression is worth."""
        code = compile(ast.fix_missing_locations(ast.Expression(node)), "<rule>", "eval")
        with np.errstate(all="ignore"):
            return eval(code, self.names)

    def is_fixed(self, node):
        return not names_in(node) & self.moving

    def element(self, value):
        """The one number of a value, or None if it has none at this place."""
        if isinstance(value, np.ndarray):
            if value.shape != self.shape and value.size != 1:
                try:
                    value = np.broadcast_to(value, self.shape)
                except ValueError:
                    return None
            return value[self.at] if value.shape == self.shape else value.reshape(-1)[0]
        return value if isinstance(value, (int, float, np.number, np.bool_)) else None

    def local(self, value):
        """A value as it is shown: its number at this place, of a tuple those of its items, or,
        where it has none, the value."""
        if isinstance(value, tuple):
            return tuple(map(self.local, value))
        one = self.element(value)
        return value if one is None else one

    def before(self, name=None):
        """This scope as it is now, also if `name` is then changed in place."""
        names = dict(self.names)
        if isinstance(names.get(name), np.ndarray):
            names[name] = names[name].copy()
        return Scope(names, self.moving, self.shape, self.at, self.letters, self.old)


def names_in(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def written(node, letters=()):
    """An expression as one line in the spacing of formulas: x**2. letters: {name: (text, ...)}"""
    if letters:
        node = Renamed(letters).visit(ast.parse(ast.unparse(node), mode="eval").body)
    return TWICE.sub(r"-(-\1)", ast.unparse(node).replace(" ** ", "**"))


class Renamed(ast.NodeTransformer):
    def __init__(self, letters):
        self.letters = letters

    def visit_Name(self, node):
        return ast.Name(self.letters[node.id][0]) if node.id in self.letters else node


def figure(value, digits=RESULT):
    """A number to so many significant digits; other values in a few words."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.{digits}g}"
    if isinstance(value, np.ndarray):
        return figure(value.reshape(-1)[0], digits) if value.size == 1 else (
            f"array of shape {value.shape}")
    if isinstance(value, (tuple, list)) and len(value) <= 8:
        inner = ", ".join(figure(item, digits) for item in value)
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else text[:37] + "..."


# --- numbers put in -------------------------------------------------------------------------------

def with_numbers(node, scope, digits, known=None):
    """The tree of an expression with numbers for its names.

    What hyperparameters and t alone add up to becomes one number: (1 - beta1) is 0.1. If there is
    nothing else in the expression, its sums stay, and so do sums with a product in them:
    (1 - lr * weight_decay) as 0.99999 would hide both. known: {id of a part: its value}, filled as
    the values are needed.
    """
    fold, known = not scope.is_fixed(node), {} if known is None else known

    def worth(part):
        if id(part) not in known:
            known[id(part)] = scope.value(part)
        return known[id(part)]

    def number(part):
        value = worth(part)
        one = scope.element(value)
        text = figure(value if one is None else one,
                      max(digits, 6) if scope.is_fixed(part) else digits)
        if text.startswith("-"):  # an operator, so that brackets come where they must
            return ast.UnaryOp(ast.USub(), ast.Name(text[1:]))
        return ast.Name(text)

    def put(part):
        if isinstance(part, ast.BinOp) and not isinstance(part.op, ast.MatMult):
            sums = isinstance(part.op, (ast.Add, ast.Sub, ast.Pow))
            folds = fold and sums and scope.is_fixed(part) and not has_product(part)
            if folds or not has_place(part):
                return number(part)
            return ast.BinOp(put(part.left), part.op, put(part.right))
        if isinstance(part, ast.UnaryOp):
            return ast.UnaryOp(part.op, put(part.operand))
        if isinstance(part, ast.Compare):
            return ast.Compare(put(part.left), part.ops, [put(c) for c in part.comparators])
        if isinstance(part, ast.BoolOp):
            return ast.BoolOp(part.op, [put(v) for v in part.values])
        if isinstance(part, ast.Call) and has_place(part):
            if called(part, scope) is np.where and len(part.args) == 3:
                yes = bool(scope.element(worth(part.args[0])))
                return put(part.args[1 if yes else 2])
            if one_by_one(called(part, scope)) and not part.keywords:
                return ast.Call(part.func, [put(a) for a in part.args], [])
        return number(part)

    def has_place(part):
        value = worth(part)
        return np.shape(value) in ((), scope.shape) and scope.element(value) is not None

    return put(node)


def has_product(node):
    return any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult)
               for part in ast.walk(node))


def called(node, scope):
    """The function that a call calls, or None."""
    try:
        return scope.value(node.func)
    except Exception:
        return None


def one_by_one(function):
    """Does a function treat every number by itself?"""
    if isinstance(function, np.ufunc):
        return function.signature is None
    return function is np.clip or function in PLAIN.values()


def put_in(node, scope, value, dtype, result=RESULT):
    """(tree with numbers, whether it leads to `value`): the fewest digits that do so.

    "Leads to" is meant as a reader checks it: the printed line, computed again and rounded, is the
    printed result. Rounding inside float32 can make that impossible.
    """
    goal = figure(value, result)
    most = ENOUGH.get(str(dtype), 17)
    tree, known = None, {}
    for digits in (*(d for d in MORE if d < most), most):
        tree = with_numbers(node, scope, digits, known)
        again = recomputed(written(tree))
        if again is None or figure(again, result) == goal:
            return tree, True
    return tree, False


def recomputed(text):
    """The value of a printed line, computed from what is printed; None if it is not arithmetic."""
    names = {"np": np, "nan": np.nan, "inf": np.inf, "__builtins__": {}, **PLAIN}
    try:
        with np.errstate(all="ignore"):
            return eval(text, names)
    except Exception:
        return None


# --- branches -------------------------------------------------------------------------------------

def branched(node, scope):
    """(expression with only the branches taken, [(condition that held, its test)])"""
    reasons = []

    class Branches(ast.NodeTransformer):
        def visit_IfExp(self, part):
            yes = bool(scope.value(part.test))
            reasons.append(held(part.test, yes))
            return self.visit(part.body if yes else part.orelse)

        def visit_Lambda(self, part):
            return part

        visit_ListComp = visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_Lambda

    return Branches().visit(node), reasons


def held(test, yes):
    """The condition that was true: the test, or its opposite."""
    if yes:
        return test
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return ast.Compare(test.left, [OPPOSITE[type(test.ops[0])]()], test.comparators)
    return ast.UnaryOp(ast.Not(), test)


# --- LaTeX ----------------------------------------------------------------------------------------

# fmt: off
SUM, PRODUCT, SIGN, POWER, ATOM = range(5)
COMPARES = {ast.Eq: "=", ast.NotEq: r"\neq", ast.Lt: "<", ast.LtE: r"\leq", ast.Gt: ">",
            ast.GtE: r"\geq", ast.Is: "=", ast.IsNot: r"\neq", ast.In: r"\in", ast.NotIn: r"\notin"}
FUNCTIONS = {"sqrt": r"\sqrt{%s}", "abs": r"\left|%s\right|", "absolute": r"\left|%s\right|",
             "fabs": r"\left|%s\right|", "square": r"\left(%s\right)^2",
             "maximum": r"\max\left(%s\right)", "max": r"\max\left(%s\right)",
             "minimum": r"\min\left(%s\right)", "min": r"\min\left(%s\right)",
             "exp": r"\exp\left(%s\right)", "log": r"\log\left(%s\right)",
             "tanh": r"\tanh\left(%s\right)"}
# fmt: on


def latex(node, scope):
    """An expression as LaTeX, in the letters of the scope."""
    return Latex(scope).of(node)[0]


class Latex:
    """Each method returns (LaTeX, how tightly it binds)."""

    def __init__(self, scope):
        self.scope = scope

    def of(self, node, least=SUM):
        method = getattr(self, type(node).__name__, None)
        text, binds = method(node) if method else (rf"\texttt{{{escaped(written(node))}}}", ATOM)
        return (rf"\left({text}\right)", ATOM) if binds < least else (text, binds)

    def Name(self, node):
        if WHOLE.fullmatch(node.id):
            return number_latex(node.id), PRODUCT if "e" in node.id else ATOM
        return symbol(node.id, self.scope), ATOM

    def Constant(self, node):
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return number_latex(repr(node.value)), ATOM
        return rf"\text{{{escaped(str(node.value))}}}", ATOM

    def UnaryOp(self, node):
        if isinstance(node.op, ast.Not):
            return rf"\text{{not }} {self.of(node.operand, PRODUCT)[0]}", SUM
        sign = {ast.USub: "-", ast.UAdd: "+"}.get(type(node.op), r"\sim ")
        return sign + self.of(node.operand, PRODUCT)[0], SUM

    def BinOp(self, node):
        op = type(node.op)
        if op is ast.Div:
            return rf"\frac{{{self.of(node.left)[0]}}}{{{self.of(node.right)[0]}}}", PRODUCT
        if op is ast.Pow:
            return self.power(node.left, node.right)
        if op in (ast.Mult, ast.MatMult):
            return self.product(node)
        if op in (ast.Add, ast.Sub):
            sign = "+" if op is ast.Add else "-"
            right = node.right
            least = PRODUCT if op is ast.Sub or isinstance(right, ast.UnaryOp) else SUM
            return f"{self.of(node.left)[0]} {sign} {self.of(right, least)[0]}", SUM
        sign = {ast.FloorDiv: r"\div", ast.Mod: r"\bmod"}.get(op)
        if sign is None:
            return rf"\texttt{{{escaped(written(node))}}}", ATOM
        left, right = self.of(node.left, PRODUCT)[0], self.of(node.right, SIGN)[0]
        return f"{left} {sign} {right}", PRODUCT

    def product(self, node):
        if written(node.left) == written(node.right) and not isinstance(node.op, ast.MatMult):
            return self.power(node.left, ast.Name("2"))
        left, right = self.of(node.left, PRODUCT)[0], self.of(node.right, PRODUCT)[0]
        between = r"\cdot" if re.match(r"\d|\\left\(-", right) else r"\,"
        return f"{left} {between} {right}", PRODUCT

    def power(self, base, exponent):
        if written(exponent) == "0.5":
            return rf"\sqrt{{{self.of(base)[0]}}}", ATOM
        text = self.of(base, ATOM)[0]
        if ("^" in text or " " in text) and not text.startswith(r"\left("):
            text = rf"\left({text}\right)"
        return f"{text}^{{{self.of(exponent)[0]}}}", POWER

    def Call(self, node):
        name = written(node.func).rpartition(".")[2]
        if name == "where" and len(node.args) == 3:
            return self.cases(*node.args)
        arguments = [self.of(a)[0] for a in node.args]
        if isinstance(node.func, ast.Attribute) and not self.in_module(node.func.value):
            arguments.insert(0, self.of(node.func.value)[0])
        arguments += [rf"\mathrm{{{escaped(k.arg or '')}}} = {self.of(k.value)[0]}"
                      for k in node.keywords]
        pattern = FUNCTIONS.get(name) or rf"\mathrm{{{escaped(name)}}}\left(%s\right)"
        return pattern.replace("%s", ", ".join(arguments)), ATOM

    def in_module(self, node):
        root = written(node).partition(".")[0]
        return isinstance(self.scope.names.get(root), types.ModuleType)

    def IfExp(self, node):
        return self.cases(node.test, node.body, node.orelse)

    def cases(self, test, yes, no):
        return (rf"\begin{{cases}} {self.of(yes)[0]} & \text{{if }} {self.of(test)[0]} \\ "
                rf"{self.of(no)[0]} & \text{{else}} \end{{cases}}"), ATOM

    def Compare(self, node):
        text = self.of(node.left)[0]
        for op, right in zip(node.ops, node.comparators):
            text += f" {COMPARES[type(op)]} {self.of(right)[0]}"
        return text, SUM

    def BoolOp(self, node):
        word = r" \text{ and } " if isinstance(node.op, ast.And) else r" \text{ or } "
        return word.join(self.of(v, PRODUCT)[0] for v in node.values), SUM

    def Subscript(self, node):
        return f"{self.of(node.value, ATOM)[0]}[{self.of(node.slice)[0]}]", ATOM

    def Attribute(self, node):
        if node.attr == "T":
            return rf"{{{self.of(node.value, ATOM)[0]}}}^\top", POWER
        return rf"{self.of(node.value, ATOM)[0]}.\mathrm{{{escaped(node.attr)}}}", ATOM

    def Tuple(self, node):
        return rf"\left({', '.join(self.of(e)[0] for e in node.elts)}\right)", ATOM

    List = Tuple


def number_latex(text):
    """1.2e-05 as 1.2 \\cdot 10^{-5}"""
    if text in ("inf", "-inf", "nan"):
        return {"inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{nan}"}[text]
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"


SPECIAL = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
           **{c: "\\" + c for c in "#$%&_{}"}}


def escaped(text):
    """Any text, safe inside \\mathrm{} and \\text{}."""
    return "".join(SPECIAL.get(c, c) for c in text)
