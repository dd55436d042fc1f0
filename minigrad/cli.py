"""The command line: `python -m minigrad train digits`.

The one trick: `main` is the only place where errors become words and exit codes: 0 done, 1 failed,
2 wrong usage, 130 stopped by Ctrl-C. A command's own modules are imported when it is called.
"""

import argparse
import sys

from minigrad import __version__, cli_grade, cli_lab
from minigrad.cli_values import (
    ACTIVATIONS,
    OPTIMIZERS,
    SCHEDULERS,
    layers,
    listed,
    number,
    one_of,
    whole,
)
from minigrad.data.csvfile import TableError, nearest
from minigrad.io import FileFormatError
from minigrad.terminal import PROGRAM, Refusal, complain, quietly_closed, result

COMMANDS = {
    "train": "train a network on a data set or a CSV file",
    "predict": "use a trained network",
    "graph": "draw what a program of yours computed",
    "report": "write the page of a recorded run",
    **cli_lab.COMMANDS,
    **cli_grade.COMMANDS,
    "doctor": "say what is installed and what is missing",
}

EXAMPLES = {
    None: """
  {0} train digits                    learn handwritten digits
  {0} predict runs/digits/model.npz digits
  {0} train houses.csv --target price
  {0} graph train.py:loss -o graph.svg
  {0} compare digits --optimizers sgd,momentum,adam
  {0} race saddle -o race.html
  {0} doctor""",
    "train": """
  {0} train digits
  {0} train spirals --optimizer momentum --lr 0.05 --epochs 200
  {0} train digits --hidden 64,32 --activation tanh -o runs/small
  {0} train houses.csv --target price --task regression

Settings left out are chosen to suit data and optimizer, and are printed.
The model goes to model.npz and a picture of one small batch on its way through
the network to graph.svg, in the folder runs/NAME. That folder is for reruns:
each replaces what the last one wrote. A folder of your own (-o DIR) keeps its
model, unless --force is given. Ctrl-C ends the training and saves what was
learnt. A fifth of the rows is never trained on: it is the test.""",
    "predict": """
  {0} predict runs/digits/model.npz digits  (the held-out rows)
  {0} predict runs/houses/model.npz new.csv
  {0} predict runs/houses/model.npz new.csv -o prices.csv
  {0} predict runs/houses/model.npz new.csv -o - | head

If the file has the target column too, the predictions are compared with it.""",
    "graph": """
  {0} graph train.py:loss -o graph.svg
  {0} graph train.py:loss  (lists the tensors)
  {0} graph train.py:loss --depth 1 -o -
  {0} graph neuron.py:L --ops nodes -o neuron.png

FILE.py is RUN, all of it, as `python FILE.py` would: draw only files that you
trust. NAME is one of its variables: a tensor, a list of tensors, or a function
without arguments that returns one of these. What the file prints goes to
stderr. Gradients are shown as they are at its end; before backward() they are
"none yet".""",
    "report": """
  {0} report run.npz
  {0} report run.npz -o run.html --force

Inside `with minigrad.trace(model, optimizer) as run:` a run is recorded;
run.save("run.npz") writes the file.""",
    "doctor": """
  {0} doctor
  {0} doctor --json""",
    **cli_lab.EXAMPLES,
    **cli_grade.EXAMPLES,
}


def main(argv=None):
    """Runs a command; returns its exit code. argv: the words after the program's name."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        options = parsed(argv)
        return options.run(options)
    except KeyboardInterrupt:
        complain("stopped", "Ctrl-C; no file is left half written")
        return 130
    except SystemExit as stop:  # argparse has printed its help
        return stop.code or 0
    except BrokenPipeError:
        quietly_closed()
        return 1
    except Exception as error:
        if "--debug" in argv:
            raise
        return explained(error)


def explained(error):
    """Prints an error as one line and one hint; returns the exit code."""
    hint, code = getattr(error, "hint", ""), getattr(error, "code", 1)
    message = str(error)
    if isinstance(error, FileFormatError):
        hint = f"`{PROGRAM} train` writes the models that `predict` reads"
    elif isinstance(error, TableError):
        hint = "nothing was written; correct the file or the command"
    elif isinstance(error, OSError):
        message = error.strerror or message
        hint = "is the disk full, or the place where the output goes?"
        if error.filename:
            message, hint = f"{error.filename}: {message}", "check the path and its permissions"
    elif isinstance(error, MemoryError):
        message = "there is not enough memory for this"
        hint = "try fewer or smaller --hidden layers"
    elif not isinstance(error, Refusal):
        message = f"{type(error).__name__}: {message}"
        hint = "this should not happen; the same command with --debug shows where it did"
    complain("error", message, hint)
    return code


# --- options -------------------------------------------------------------------------------------

class Parser(argparse.ArgumentParser):
    """argparse, but what is wrong is said in one line with one hint, and names are suggested."""

    def error(self, message):
        raise Refusal(message, f"{self.prog} --help lists the options", code=2)


def parsed(argv):
    """The options of the command in argv; `run` is the function to call. Raises Refusal."""
    parser = root()
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        raise Refusal(f"there is no command {argv[0]!r}; there are {', '.join(COMMANDS)}."
                      f"{nearest(argv[0], COMMANDS)}", f"{PROGRAM} --help shows examples", code=2)
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        word = unknown[0].split("=")[0]
        known = options.known if "known" in options else ["--help", "--version"]
        kind = "option" if word.startswith("-") else "argument"
        command = f"{PROGRAM} {options.command}" if options.command else PROGRAM
        raise Refusal(f"unknown {kind} {word!r}.{nearest(word, known)}",
                      f"{command} --help lists the options", code=2)
    if options.command is None:
        options.run = lambda options: result(parser.format_help().rstrip()) or 0
    return options


def style(name):
    """How the parser of a command prints its help: as written, with examples at the end."""
    return {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False,
            "epilog": "examples:" + EXAMPLES[name].format(PROGRAM)}


def root():
    """The parser of everything."""
    parser = Parser(prog=PROGRAM, description="minigrad: train small networks, and see how.",
                    **style(None))
    parser.add_argument("--version", action="version", version=f"minigrad {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    for name, add in (("train", add_train), ("predict", add_predict), ("graph", add_graph),
                      ("report", add_report), *cli_lab.PARSERS.items(), *cli_grade.PARSERS.items(),
                      ("doctor", add_doctor)):
        sub = commands.add_parser(name, help=COMMANDS[name], **style(name),
                                  description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.")
        add(sub)
        sub.add_argument("--json", action="store_true", help="print the results as JSON")
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.set_defaults(command=name, known=list(sub._option_string_actions))
    return parser


def add_train(parser):
    """The options of `train`. Settings left out are chosen to suit the data."""
    parser.set_defaults(run=run_train)
    add = parser.add_argument
    add("data", metavar="NAME|FILE.csv", help="digits, iris, moons, spirals, xor; or a CSV file")
    add("--target", metavar="COLUMN", help="the column of the CSV file to predict")
    add("--task", type=one_of("classification", "regression"), metavar="TASK",
        help="classification or regression (default: told by the target column)")
    network = parser.add_argument_group("network").add_argument
    network("--hidden", type=layers, metavar="64,32", help="sizes of the hidden layers, or none")
    network("--activation", metavar="NAME", type=one_of(*ACTIVATIONS), help=listed(ACTIVATIONS))
    network("--dtype", type=one_of("float32", "float64"), metavar="NAME",
            help="float32 or float64")
    add_training(parser.add_argument_group("training").add_argument)
    output = parser.add_argument_group("output").add_argument
    output("-o", "--output", metavar="DIR",
           help="folder for model.npz and graph.svg (default: runs/NAME)")
    output("--force", action="store_true", help="replace a model in that folder")
    output("--quiet", action="store_true", help="print only results and errors")


def add_training(add):
    """The options of how to train."""
    add("--optimizer", metavar="NAME", type=one_of(*OPTIMIZERS), help=listed(OPTIMIZERS))
    add("--lr", type=number(above=0), metavar="X", help="learning rate")
    add("--momentum", type=number(least=0, below=1), metavar="X",
        help="of sgd, momentum, nesterov and rmsprop")
    add("--weight-decay", type=number(least=0), metavar="X",
        help="decoupled for adamw, an L2 penalty for the others")
    add("--batch-size", type=whole(1), metavar="N", help="rows per step")
    add("--epochs", type=whole(1), metavar="N", help="passes over the rows")
    add("--scheduler", metavar="NAME", type=one_of(*SCHEDULERS), help=listed(SCHEDULERS))
    add("--label-smoothing", type=number(least=0, below=1), metavar="X",
        help="share of each label that is spread over all classes")
    add("--seed", type=whole(0), metavar="N",
        help="start of all random numbers: split, weights, order (default: 0)")
    add("--eager", action="store_true",
        help="run operation by operation, not the compiled step: slower, same result")


def add_predict(parser):
    """The options of `predict`."""
    parser.set_defaults(run=run_predict)
    add = parser.add_argument
    add("model", metavar="MODEL.npz", help="a model written by train")
    add("data", metavar="FILE.csv|NAME",
        help="a CSV file with the same columns, or the data set it learnt")
    add("-o", "--output", metavar="OUT.csv", help="write CSV to a file; - for stdout")
    add("--force", action="store_true", help="replace that file")


def add_graph(parser):
    """The options of `graph`, which are those of draw()."""
    parser.set_defaults(run=run_graph)
    add = parser.add_argument
    add("what", metavar="FILE.py:NAME", help="a program, which is run, and its variable to draw")
    add("-o", "--output", metavar="FILE",
        help="write a picture: .svg, .png, .pdf or .dot; - for stdout (default: print a listing)")
    add("--format", metavar="NAME", type=one_of("svg", "png", "pdf", "dot"),
        help="svg, png, pdf or dot, for -o - (default: svg)")
    add("--force", action="store_true", help="replace that file")
    add("--depth", type=whole(0), metavar="N", help="modules so deep become one card each")
    add("--expand", action="append", metavar="PATH",
        help="leave this module open: 0 of a Sequential, net.0 of one that is self.net")
    add("--no-fold", action="store_true", help="show every operation of every module")
    add("--no-merge", action="store_true", help="show each of the modules alike in a row")
    add("--ops", type=one_of("tags", "nodes"), metavar="NAME", default="tags",
        help="tags: operations in the corner of cards (default); nodes: on their own")
    add("--direction", type=one_of("LR", "TB"), metavar="NAME",
        help="LR, left to right, or TB, top to bottom (default: as it fits)")
    add("--max-nodes", type=whole(1), metavar="N", default=400,
        help="refuse to draw more cards than this (default: 400)")
    add("--title", metavar="TEXT", help="instead of the formula")


def add_report(parser):
    """The options of `report`."""
    parser.set_defaults(run=run_report)
    add = parser.add_argument
    add("trace", metavar="RUN.npz", help="a run saved by run.save()")
    add("-o", "--output", metavar="FILE.html", help="- for stdout (default: beside the run)")
    add("--force", action="store_true", help="replace that file")


def add_doctor(parser):
    """`doctor` has no options of its own."""
    parser.set_defaults(run=run_doctor)


def run_train(options):
    from minigrad import commands
    return commands.train(options)


def run_predict(options):
    from minigrad import commands
    return commands.predict(options)


def run_graph(options):
    from minigrad.inspect import graph_command
    return graph_command.graph(options)


def run_report(options):
    from minigrad import reporting
    return reporting.report(options)


def run_doctor(options):
    from minigrad import doctor
    return doctor.doctor(options)
