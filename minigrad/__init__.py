"""minigrad: the glass-box counterpart of PyTorch.

Tensors that remember how they were computed, modules, optimizers and data sets, small enough to
read in an evening. `import minigrad as torch` is meant to work for lessons on small networks.
"""

import importlib
import warnings
from math import e, inf, nan, pi

from numpy import finfo, iinfo

from minigrad import autograd, linalg, nn, optim, random
from minigrad.arranging import (
    atleast_1d,
    atleast_2d,
    broadcast_tensors,
    column_stack,
    flip,
    fliplr,
    flipud,
    hstack,
    meshgrid,
    movedim,
    ravel,
    repeat_interleave,
    roll,
    row_stack,
    select,
    swapaxes,
    swapdims,
    tile,
    unbind,
    unflatten,
    vstack,
)
from minigrad.autograd import (
    detect_anomaly,
    enable_grad,
    grad,
    inference_mode,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)
from minigrad.creation import (
    BoolTensor,
    ByteTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
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
    promote_types,
    set_default_dtype,
    short,
    uint8,
)
from minigrad.elementary import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    ceil,
    clamp_max,
    clamp_min,
    cosh,
    exp2,
    fix,
    floor,
    floor_divide,
    fmod,
    frac,
    is_floating_point,
    isclose,
    isneginf,
    isposinf,
    lerp,
    log10,
    log2,
    nan_to_num,
    remainder,
    result_type,
    round,
    rsqrt,
    sgn,
    sinh,
    tan,
    trunc,
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
    cumprod,
    cumsum,
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
from minigrad.indexing import (
    argsort,
    argwhere,
    bincount,
    count_nonzero,
    index_add,
    index_fill,
    index_select,
    masked_select,
    nonzero,
    scatter,
    scatter_add,
    sort,
    take,
    take_along_dim,
    topk,
    unique,
)
from minigrad.linalg import (
    det,
    inv as inverse,
    matrix_power,
    tensor_norm as norm,
)
from minigrad.matrices import (
    addmm,
    bmm,
    diag,
    diag_embed,
    diagonal,
    dot,
    einsum,
    ger,
    inner,
    mm,
    mv,
    outer,
    trace,
    tril,
    triu,
)
from minigrad.nn import MLP
from minigrad.printing import set_printoptions
from minigrad.random import (
    Generator,
    bernoulli,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    seed,
)
from minigrad.shaping import (
    broadcast_to,
    cat,
    chunk,
    expand,
    flatten,
    gather,
    masked_fill,
    moveaxis,
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
from minigrad.words import (
    Size,
    set_default_device,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)

from minigrad.version import __version__

# Like PyTorch's, operations return inf or nan without a word: NumPy's warnings about them, which
# would point into this package, are switched off for this package's own lines only.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad\.(ops|engine|calculus)\b")


# Rooms that not every program enters are imported when first asked for: a third of the import time.
LATER = {"accelerator": "minigrad.accelerator", "backends": "minigrad.backends",
         "cuda": "minigrad.cuda", "data": "minigrad.data", "inspect": "minigrad.inspect",
         "utils": "minigrad.utils",
         "draw": "minigrad.inspect", "load": "minigrad.io", "save": "minigrad.io",
         "from_torch": "minigrad.carry", "to_torch": "minigrad.carry",
         "get_num_threads": "minigrad.threads", "set_num_threads": "minigrad.threads"}


def __getattr__(name):
    if name not in LATER:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    module = importlib.import_module(LATER[name])
    return module if LATER[name] == f"minigrad.{name}" else getattr(module, name)


def __dir__():
    return sorted({*globals(), *LATER})
