"""Convolution, pooling and padding as layers (torch.nn), for 1 and 2 spatial dimensions.

The one trick: the layers for 1 and for 2 dimensions are one class that knows its number of
dimensions, `dims`.
"""

import math

import numpy as np

from minigrad.nn import functional as F
from minigrad.nn import init, spatial
from minigrad.nn.checks import for_each
from minigrad.nn.fresh import fresh, positive
from minigrad.nn.module import Module


class Conv(Module):
    """What Conv1d and Conv2d have in common. weight (out_channels, in_channels / groups, *kernel)
    and bias (out_channels,) start uniform on +-1/sqrt(numbers a window sees), as in PyTorch."""

    dims = 0

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1,
                 groups=1, bias=True, padding_mode="zeros", device=None, dtype=None):
        positive(in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, n in (("in_channels", in_channels), ("out_channels", out_channels)):
            if n % groups:
                raise ValueError(f"{name} must be divisible by groups, got {n} and {groups}")
        if padding_mode not in ("zeros", *spatial.PAD_INDEX):
            raise ValueError("padding_mode must be one of 'zeros', 'reflect', 'replicate', "
                             f"'circular', but got padding_mode={padding_mode!r}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be 'same' or 'valid'")
        n = self.dims
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = for_each(kernel_size, n, "kernel_size")
        self.stride = for_each(stride, n, "stride")
        self.dilation = for_each(dilation, n, "dilation")
        if padding == "same" and max(self.stride) > 1:
            raise ValueError("padding='same' is not supported for strided convolutions, stride is "
                             f"{stride}")
        self.padding_mode, self.padding = padding_mode, (
            padding if isinstance(padding, str) else for_each(padding, n, "padding", least=0))
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = fresh(np.empty, shape, dtype, device)
        bias = fresh(np.empty, out_channels, dtype, device) if bias else None
        self.register_parameter("bias", bias)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._sides(), self.padding_mode), 0
        return spatial.conv(self.dims, input, self.weight, self.bias, self.stride, padding,
                            self.dilation, self.groups)

    def _sides(self):
        """The padding as F.pad takes it: last dimension first, before and after."""
        if self.padding == "valid":
            return [0, 0] * self.dims
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            return [side for n in total[::-1] for side in (n // 2, n - n // 2)]
        return [side for p in self.padding[::-1] for side in (p, p)]

    def extra_repr(self):
        text = (f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
                f"stride={self.stride}")
        if self.padding != (0,) * self.dims:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.dims:
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class Conv1d(Conv):
    """Convolution of input (N, C, L) with learned windows. See Conv and functional.conv1d."""

    dims = 1


class Conv2d(Conv):
    """Convolution of images (N, C, H, W) with learned windows. See Conv and functional.conv2d.
    (LeCun et al., 1989)"""

    dims = 2


# --- pooling -------------------------------------------------------------------------------------

class MaxPool(Module):
    """Largest number of each window. See functional.max_pool2d."""

    dims = 0

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
                 ceil_mode=False):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        return spatial.max_pool(self.dims, input, self.kernel_size, self.stride, self.padding,
                                self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self):
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool1d(MaxPool):
    """Largest number of each window of input (N, C, L)."""

    dims = 1


class MaxPool2d(MaxPool):
    """Largest number of each window of images (N, C, H, W)."""

    dims = 2


class AvgPool1d(Module):
    """Mean of each window of input (N, C, L)."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False,
                 count_include_pad=True):
        self.kernel_size = for_each(kernel_size, 1, "kernel_size")
        self.stride = self.kernel_size if stride is None else for_each(stride, 1, "stride")
        self.padding = for_each(padding, 1, "padding", least=0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input):
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                            self.count_include_pad)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """Mean of each window of images (N, C, H, W)."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False,
                 count_include_pad=True, divisor_override=None):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input):
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                            self.count_include_pad, self.divisor_override)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool(Module):
    """Means over output_size parts of each spatial dimension."""

    dims = 0

    def __init__(self, output_size):
        self.output_size = output_size

    def forward(self, input):
        return spatial.adaptive_avg_pool(self.dims, input, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Means over output_size parts of input (N, C, L), as even as can be."""

    dims = 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Means over a grid of output_size parts of images (N, C, H, W), as even as can be."""

    dims = 2


# --- padding -------------------------------------------------------------------------------------

class Pad(Module):
    """More on the sides of the last `dims` dimensions. See functional.pad."""

    dims, mode = 0, "constant"

    def __init__(self, padding):
        whole = isinstance(padding, (int, np.integer))
        self.padding = (padding,) * (2 * self.dims) if whole else tuple(padding)

    def forward(self, input):
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class ConstantPad(Pad):
    """`value` on the sides."""

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPad):
    """`value` on the sides of input (N, C, L).

    padding: one number, or (left, right).
    """

    dims = 1


class ConstantPad2d(ConstantPad):
    """`value` on the sides of input (N, C, H, W).

    padding: one number, or (left, right, top, bottom).
    """

    dims = 2


class ZeroPad1d(Pad):
    """Zeros on the sides of input (N, C, L).

    padding: one number, or (left, right).
    """

    dims = 1


class ZeroPad2d(Pad):
    """Zeros on the sides of input (N, C, H, W).

    padding: one number, or (left, right, top, bottom).
    """

    dims = 2


class ReflectionPad1d(Pad):
    """The input mirrored at its edge numbers, on the sides of input (N, C, L).

    padding: one number, or (left, right).
    """

    dims, mode = 1, "reflect"


class ReflectionPad2d(Pad):
    """The input mirrored at its edge numbers, on the sides of input (N, C, H, W).

    padding: one number, or (left, right, top, bottom).
    """

    dims, mode = 2, "reflect"


class ReplicationPad1d(Pad):
    """The edge numbers again on the sides of input (N, C, L).

    padding: one number, or (left, right).
    """

    dims, mode = 1, "replicate"


class ReplicationPad2d(Pad):
    """The edge numbers again on the sides of input (N, C, H, W).

    padding: one number, or (left, right, top, bottom).
    """

    dims, mode = 2, "replicate"


class CircularPad1d(Pad):
    """The numbers of the other end on the sides of input (N, C, L).

    padding: one number, or (left, right).
    """

    dims, mode = 1, "circular"


class CircularPad2d(Pad):
    """The numbers of the other end on the sides of input (N, C, H, W).

    padding: one number, or (left, right, top, bottom).
    """

    dims, mode = 2, "circular"
