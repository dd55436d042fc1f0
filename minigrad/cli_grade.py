"""The commands of coursework: their options, for cli.py."""

from minigrad.cli_values import one_of, whole

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "amsgrad")

COMMANDS = {
    "diagnose": "name the mistake in an optimizer, engine, layer or number",
    "grade": "grade a submission, and name its mistakes",
    "release": "strip the solutions from an assignment's source",
}

EXAMPLES = {
    "diagnose": """
  {0} diagnose optim.py:adam
  {0} diagnose optim.py:f --rule momentum --convention ema
  {0} diagnose trace.csv --rule adamw --hint concept
  {0} diagnose trace.csv --set lr=0.1 --set beta2=0.99
  {0} diagnose engine.py:Value --rule autograd
  {0} diagnose layer.py:affine --rule backward --inputs 4x3,3x5,5
  {0} diagnose cs231n/adam \\
      --quantity "next_w error" --number 0.2072
  {0} diagnose checks  (lists the known checks)

FILE.py is RUN: diagnose only files that you trust. A trace has columns step,
parameter, index, value, gradient (.csv), and lr, beta1, ... if it knows them,
or is .json or .npz. A layer affine is
affine_forward and affine_backward, or an object with both methods. The exit
code is 0 if the numbers are right, by this convention or another, else 1; it is
2 if there was nothing to diagnose.""",
    "grade": """
  {0} grade examples/assignments/optimizers mine.py
  {0} grade ASSIGNMENT.toml mine.py -o results.json --hints where
  {0} grade ASSIGNMENT.toml mine.py --nbgrader
  {0} grade ASSIGNMENT.toml submissions/ -o grades
  {0} grade ASSIGNMENT.toml class.zip --seed-per-student

The submission, a .py file or a notebook, runs in a process of its own, with
limits of time and memory; it sees neither the reference nor the points.
results.json is Gradescope's, and is written whatever happens. A class, a folder
or .zip with STUDENT.py or STUDENT/ with a file in it, gives grades.csv, a
histogram of mistakes, reports, and the numbers of what no known mistake
explains, for `diagnose`.""",
    "release": """
  {0} release assignments/optimizers -o release
  {0} release solution.py -o release --name optimizers.py

What stands between ### BEGIN SOLUTION and ### END SOLUTION is taken out, and
so are ### BEGIN HIDDEN TESTS. Of an assignment's folder, only what students
hand in is written, under that name.""",
}


def add_diagnose(parser):
    """The options of `diagnose`."""
    parser.set_defaults(run=run_diagnose)
    add = parser.add_argument
    add("what", metavar="FILE.py:NAME|TRACE|CHECK",
        help="a function or class of a program; a trace; or a known check")
    add("--rule", type=one_of(*RULES, "autograd", "backward"), default="adam", metavar="NAME",
        help=", ".join(RULES) + " (default: adam); or autograd, an engine; or backward, a layer")
    add("--convention", metavar="NAME", default="torch",
        help="whose definition: torch, cs231n, cmu10414, fastai, keras, ..., or its id")
    add("--seed", type=whole(0), metavar="N", default=0, help="another probe for each (default: 0)")
    add("--hint", type=one_of("where", "concept", "formula"), metavar="LEVEL",
        help="print only a hint: where, concept or formula")
    add("--inputs", metavar="4x3,3x5,5", help="of a layer: the shapes of its inputs")
    add("--quantity", metavar="NAME", help="of a check: what it printed")
    add("--number", metavar="X",
        help="of a check: the number it printed, with all its digits (--number=-1e-3)")
    add("--set", action="append", metavar="lr=0.1", dest="settings",
        help="of a trace: a hyperparameter that it does not give (may be repeated)")
    add("--most", type=whole(0), metavar="N",
        help="of a check: how many mistakes to combine at most (default: 2)")


def run_diagnose(options):
    from minigrad.coursework import diagnosecommand
    return diagnosecommand.run(options)


def add_grade(parser):
    """The options of `grade`."""
    parser.set_defaults(run=run_grade)
    add = parser.add_argument
    add("assignment", metavar="ASSIGNMENT.toml", help="the assignment; its folder will do")
    add("submission", metavar="FILE|FOLDER",
        help="a submission (.py, .ipynb), or a class of them (folder, .zip)")
    add("-o", "--output", metavar="FILE|DIR",
        help="results.json (default: where Gradescope looks, or here); of a folder: grades/")
    add("--hints", metavar="LEVEL", type=one_of("none", "where", "concept", "formula"),
        help="what students are told: none, where, concept or formula (default: the assignment's)")
    add("--seed", type=whole(0), metavar="N", help="other numbers in the checks, for each class")
    add("--seed-per-student", action="store_true",
        help="and other numbers for each student, by the name of the file or folder")
    add("--nbgrader", action="store_true", help="print only the points, and nothing on stderr")


def run_grade(options):
    from minigrad.coursework import gradecommand
    return gradecommand.grade(options)


def add_release(parser):
    """The options of `release`."""
    parser.set_defaults(run=run_release)
    add = parser.add_argument
    add("file", metavar="FILE", help="a .py or .ipynb file with solution markers, or an assignment")
    add("-o", "--output", metavar="DIR", required=True, help="the folder for what students get")
    add("--name", metavar="NAME", help="the name of the file there (default: the same)")
    add("--force", action="store_true", help="replace that file")


def run_release(options):
    from minigrad.coursework import gradecommand
    return gradecommand.strip(options)


PARSERS = {"diagnose": add_diagnose, "grade": add_grade, "release": add_release}
