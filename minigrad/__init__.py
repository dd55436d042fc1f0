"""minigrad: the glass-box counterpart of PyTorch.

Tensors that remember how they were computed, modules, optimizers and data sets, small enough to read
in an evening. `import minigrad as torch` is meant to work for lessons on small networks.
"""

import importlib
import warnings

from minigrad import autograd, nn, optim, random
from minigrad.autograd import (
    enable_grad,
    grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from minigrad.creation import (
    DoubleTensor,
    FloatTensor,
    IntTensor,
    LongTensor,
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from minigrad.dtypes import (
    bool_ as bool,
    double,
    float16,
    float32,
    float64,
    float_ as float,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    int_ as int,
    long,
    set_default_dtype,
    short,
    uint8,
)
from minigrad.engine import primitive
from minigrad.functions import (
    abs,
    absolute,
    add,
    all,
    allclose,
    amax,
    amin,
    any,
    argmax,
    argmin,
    clamp,
    clip,
    clone,
    cos,
    div,
    divide,
    eq,
    equal,
    erf,
    exp,
    expm1,
    ge,
    gt,
    is_tensor,
    isfinite,
    isinf,
    isnan,
    le,
    log,
    log1p,
    log_softmax,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logsumexp,
    lt,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mul,
    multiply,
    ne,
    neg,
    negative,
    numel,
    pow,
    prod,
    reciprocal,
    relu,
    sigmoid,
    sign,
    sin,
    softmax,
    sqrt,
    square,
    std,
    sub,
    subtract,
    sum,
    tanh,
    true_divide,
    var,
)
from minigrad.gradcheck import gradcheck, gradgradcheck
from minigrad.nn import MLP
from minigrad.printing import set_printoptions
from minigrad.random import (
    Generator,
    manual_seed,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
)
from minigrad.shaping import (
    broadcast_to,
    cat,
    chunk,
    expand,
    flatten,
    gather,
    masked_fill,
    narrow,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unsqueeze,
    where,
)
from minigrad.tensor import Tensor
from minigrad.words import Device as device
from minigrad.words import Size

from minigrad.version import __version__

# Like PyTorch's, operations return inf or nan without a word: NumPy's warnings about them, which would
# point into this package, are switched off for this package's own lines only.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad\.(ops|engine)\b")


# Rooms that not every program enters are imported when first asked for: a third of the import time.
LATER = {"data": "minigrad.data", "inspect": "minigrad.inspect", "utils": "minigrad.utils",
         "draw": "minigrad.inspect", "load": "minigrad.io", "save": "minigrad.io"}


def __getattr__(name):
    if name not in LATER:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    module = importlib.import_module(LATER[name])
    return module if LATER[name] == f"minigrad.{name}" else getattr(module, name)


def __dir__():
    return sorted({*globals(), *LATER})
