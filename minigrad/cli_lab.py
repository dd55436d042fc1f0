"""The commands of the laboratory: their options, for cli.py."""

from minigrad.cli_values import (
    ACTIVATIONS,
    OPTIMIZERS,
    SCHEDULERS,
    layers,
    number,
    one_of,
    several,
    whole,
)

COMMANDS = {
    "compare": "compare optimizers on a data set or a CSV file",
    "race": "let optimizers race on a test surface",
    "lab": "run the claims of the slides as experiments",
}

EXAMPLES = {
    "compare": """
  {0} compare digits
  {0} compare digits --optimizers sgd,adam --lrs 0.1,0.01,0.001
  {0} compare spirals --seeds 5 --goal 0.95 -o runs/spirals
  {0} compare houses.csv --target price --by loss

Every optimizer is trained with every learning rate and seed. With one seed all
see the same rows, begin with the same weights and get the same batches. The
learning rate is chosen on rows that are not trained on (validation); results
are those on a third part (test). The folder keeps every training that is done:
after Ctrl-C the same command does the others; with more optimizers, rates or
seeds, only those that are new.""",
    "race": """
  {0} race saddle
  {0} race ravine --optimizers sgd,momentum,adam -o race.html
  {0} race quadratic --set condition=100 --lr sgd=0.01,adam=0.1
  {0} race list  (the surfaces)

Each optimizer starts from the same point with the same noise. The page shows
their paths step by step, with every quantity of every rule.""",
    "lab": """
  {0} lab                            (lists the experiments)
  {0} lab momentum_rates
  {0} lab momentum_rates --set kappa=10 -o rates.png
  {0} lab all

Each claim is run and held against its formula. --set changes a parameter, and
the prediction follows. The exit code is 1 if a claim fails.""",
}


def add_compare(parser):
    """The options of `compare`."""
    parser.set_defaults(run=run_compare)
    add = parser.add_argument
    add("data", metavar="NAME|FILE.csv", help="digits, iris, moons, spirals, xor; or a CSV file")
    add("--target", metavar="COLUMN", help="the column of the CSV file to predict")
    add("--task", type=one_of("classification", "regression"), metavar="TASK",
        help="classification or regression (default: told by the target column)")
    add("--optimizers", metavar="A,B,...", type=several(one_of(*OPTIMIZERS)),
        help=", ".join(OPTIMIZERS) + " (default: all)")
    add("--lrs", metavar="X,Y,...", type=several(number(above=0)),
        help="learning rates to try (default: five around the usual one of each)")
    add("--seeds", type=whole(1), metavar="N", default=3, help="how many seeds (default: 3)")
    add("--seed", type=whole(0), metavar="N", default=0, help="the first of them (default: 0)")
    judged = parser.add_argument_group("judging").add_argument
    judged("--goal", type=number(above=0), metavar="X",
           help="count steps and seconds to this test accuracy, such as 0.95, or R2 of numbers")
    judged("--goal-loss", type=number(above=0), metavar="X", help="or to this training loss")
    judged("--by", metavar="NAME", type=one_of("score", "loss", "steps"), default="score",
           help="choose learning rates by score (accuracy or R2, the default), loss or steps")
    training = parser.add_argument_group("network and training").add_argument
    training("--hidden", type=layers, metavar="64,32", help="sizes of the hidden layers, or none")
    training("--activation", metavar="NAME", type=one_of(*ACTIVATIONS),
             help=", ".join(ACTIVATIONS))
    training("--batch-size", type=whole(1), metavar="N", help="rows per step")
    training("--epochs", type=whole(1), metavar="N",
             help="passes over the rows (default: about 500 steps)")
    training("--weight-decay", type=number(least=0), metavar="X",
             help="decoupled for adamw, an L2 penalty for the others (default: 0.01 for adamw)")
    training("--scheduler", metavar="NAME", type=one_of(*SCHEDULERS),
             help=", ".join(SCHEDULERS) + " (default: none)")
    training("--dtype", type=one_of("float32", "float64"), metavar="NAME",
             help="float32 or float64")
    output = parser.add_argument_group("output").add_argument
    output("-o", "--output", metavar="DIR",
           help="folder of the trainings and the picture (default: runs/compare-NAME)")
    output("--force", action="store_true", help="remove the trainings in it, and begin anew")
    output("--quiet", action="store_true", help="print only results and errors")


def run_compare(options):
    from minigrad.lab import comparing
    return comparing.compare(options)


def add_race(parser):
    """The options of `race`."""
    parser.set_defaults(run=run_race)
    add = parser.add_argument
    add("surface", metavar="SURFACE", help="saddle, rosenbrock, ...; list shows all")
    add("--optimizers", metavar="A,B,C", default="sgd,momentum,adam",
        help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, amsgrad, adadelta, adamax, "
             "nadam, radam, rprop, lion (default: sgd,momentum,adam)")
    add("--lr", metavar="X|A=X,B=Y",
        help="learning rate of all, or of some (default: chosen to suit the surface)")
    add("--steps", type=whole(1), metavar="N", default=200, help="steps of each (default: 200)")
    add("--set", action="append", metavar="NAME=X", help="of the surface, such as condition=100")
    add("--start", metavar="X,Y",
        help="where all begin; --start=-1,2 if it starts with a minus (default: the surface's)")
    add("--noise", type=number(least=0), metavar="X",
        help="standard deviation of what is added to each gradient")
    add("--seed", type=whole(0), metavar="N", default=0, help="of the noise (default: 0)")
    add("-o", "--output", metavar="FILE", help="write a page (.html) or a picture (.png)")
    add("--force", action="store_true", help="replace that file")


def run_race(options):
    from minigrad.lab import racing
    return racing.race(options)


def add_lab(parser):
    """The options of `lab`."""
    parser.set_defaults(run=run_lab)
    add = parser.add_argument
    add("name", metavar="NAME|all", nargs="?", help="an experiment, or all (default: list them)")
    add("--set", metavar="PARAMETER=VALUE", dest="settings", action="append", default=[],
        help="change a parameter, such as kappa=10")
    add("-o", "--output", metavar="FILE",
        help="write the picture: .png, .svg or .pdf; with all, a folder for the pictures")
    add("--force", action="store_true", help="replace that file")


def run_lab(options):
    from minigrad.lab import labcommand
    return labcommand.lab(options)


PARSERS = {"compare": add_compare, "race": add_race, "lab": add_lab}
