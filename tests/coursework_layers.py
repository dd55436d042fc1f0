"""Layers as courses have them, written in several styles, each with its right backward."""

import numpy as np

# --- CS231n: forward(x, ...) -> out, cache --------------------------------------------------------

def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    return dx, dw, dout.sum(axis=0)


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)


def affine_relu_forward(x, w, b):
    a, fc = affine_forward(x, w, b)
    out, rc = relu_forward(a)
    return out, (fc, rc)


def affine_relu_backward(dout, cache):
    fc, rc = cache
    return affine_backward(relu_backward(dout, rc), fc)


def batchnorm_forward(x, gamma, beta, bn_param):
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    running = bn_param.get("running_mean", np.zeros(x.shape[1]))
    mu, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    z = (x - mu) / std
    bn_param["running_mean"] = momentum * running + (1 - momentum) * mu
    return gamma * z + beta, (z, gamma, std)


def batchnorm_backward(dout, cache):
    z, gamma, std = cache
    N = len(dout)
    dz = dout * gamma
    dx = (N * dz - dz.sum(0) - z * (dz * z).sum(0)) / (N * std)
    return dx, (dout * z).sum(0), dout.sum(0)


def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mu = x.mean(1, keepdims=True)
    std = np.sqrt(x.var(1, keepdims=True) + eps)
    z = (x - mu) / std
    return gamma * z + beta, (z, gamma, std)


def layernorm_backward(dout, cache):
    z, gamma, std = cache
    dz = dout * gamma
    dx = (dz - dz.mean(1, keepdims=True) - z * (dz * z).mean(1, keepdims=True)) / std
    return dx, (dout * z).sum(0), dout.sum(0)


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask, out = None, x
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    return out.astype(x.dtype, copy=False), (dropout_param, mask)


def dropout_backward(dout, cache):
    param, mask = cache
    return dout * mask if param["mode"] == "train" else dout


def conv_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H2, W2 = 1 + (H + 2 * p - HH) // s, 1 + (W + 2 * p - WW) // s
    out = np.zeros((N, F, H2, W2))
    for i in range(H2):
        for j in range(W2):
            window = xp[:, :, i * s:i * s + HH, j * s:j * s + WW]
            out[:, :, i, j] = np.tensordot(window, w, ((1, 2, 3), (1, 2, 3))) + b
    return out, (x, w, b, conv_param)


def conv_backward(dout, cache, slip=None):
    x, w, b, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    HH, WW = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
    N, F, H2, W2 = dout.shape
    for n in range(N):
        for f in range(F):
            for i in range(H2):
                for j in range(W2):
                    at = (slice(i * s, i * s + HH), slice(j * s, j * s + WW))
                    if slip == "dx":
                        dxp[(n, slice(None), *at)] = w[f] * dout[n, f, i, j]
                    else:
                        dxp[(n, slice(None), *at)] += w[f] * dout[n, f, i, j]
                    if slip == "dw":
                        dw[f] = xp[(n, slice(None), *at)] * dout[n, f, i, j]
                    else:
                        dw[f] += xp[(n, slice(None), *at)] * dout[n, f, i, j]
    db = dout.sum(axis=(0, 2, 3))
    return dxp[:, :, p:-p or None, p:-p or None], dw, db


def max_pool_forward(x, pool_param):
    k = pool_param["k"]
    N, C, H, W = x.shape
    windows = x.reshape(N, C, H // k, k, W // k, k)
    return windows.max(axis=(3, 5)), (x, k)


def max_pool_backward(dout, cache):  # the first of ties
    x, k = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        window = x[n, c, i * k:(i + 1) * k, j * k:(j + 1) * k]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * k + a, j * k + b] = dout[n, c, i, j]
    return dx


def max_pool_backward_ties(dout, cache):  # all of ties
    x, k = cache
    up = np.repeat(np.repeat(dout, k, 2), k, 3)
    top = np.repeat(np.repeat(max_pool_forward(x, {"k": k})[0], k, 2), k, 3)
    return up * (x == top)


def softmax_loss(x, y):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    N = x.shape[0]
    loss = -np.log(p[np.arange(N), y]).sum() / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx / N


def svm_loss(x, y):
    N = x.shape[0]
    margins = np.maximum(0, x - x[np.arange(N), y][:, None] + 1)
    margins[np.arange(N), y] = 0
    dx = (margins > 0).astype(float)
    dx[np.arange(N), y] -= (margins > 0).sum(1)
    return margins.sum() / N, dx / N


def linear_softmax(W, X, y, reg):
    loss, dscores = softmax_loss(X.dot(W), y)
    return loss + reg * np.sum(W * W), X.T.dot(dscores) + 2 * reg * W


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return h, (x, prev_h, Wx, Wh, h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, h = cache
    d = dnext_h * (1 - h * h)
    return d @ Wx.T, d @ Wh.T, x.T @ d, prev_h.T @ d, d.sum(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i, f, o = (sigmoid(a[:, k * H:(k + 1) * H]) for k in range(3))
    g = np.tanh(a[:, 3 * H:])
    c = f * prev_c + i * g
    t = np.tanh(c)
    return o * t, c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, t)


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, t = cache
    dc = dnext_c + dnext_h * o * (1 - t**2)
    da = np.hstack([dc * g * i * (1 - i), dc * prev_c * f * (1 - f), dnext_h * t * o * (1 - o),
                    dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(0)


# --- deeplearning.ai: columns are samples ---------------------------------------------------------

def linear_forward(A, W, b):
    return np.dot(W, A) + b, (A, W, b)


def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    return (np.dot(W.T, dZ), 1 / m * np.dot(dZ, A_prev.T),
            1 / m * np.sum(dZ, axis=1, keepdims=True))


def linear_activation_forward(A_prev, W, b, activation):
    Z, linear_cache = linear_forward(A_prev, W, b)
    A = sigmoid(Z) if activation == "sigmoid" else np.maximum(0, Z)
    return A, (linear_cache, Z)


def linear_activation_backward(dA, cache, activation):
    (A_prev, W, b), Z = cache
    s = sigmoid(Z)
    dZ = dA * s * (1 - s) if activation == "sigmoid" else dA * (Z > 0)
    return {"dA_prev": W.T @ dZ, "dW": dZ @ A_prev.T, "db": dZ.sum(axis=1, keepdims=True)}


def sigmoid_forward(Z):
    return sigmoid(Z), Z


def sigmoid_backward(dA, cache):
    s = sigmoid(cache)
    return dA * s * (1 - s)


# --- CMU 11-785: objects --------------------------------------------------------------------------

class Linear:
    def __init__(self, inputs, outputs):
        self.W = np.zeros((outputs, inputs))
        self.b = np.zeros((outputs, 1))

    def forward(self, A):
        self.A, self.N = A, A.shape[0]
        self.Ones = np.ones((self.N, 1))
        return A @ self.W.T + self.Ones @ self.b.T

    def backward(self, dLdZ):
        self.dLdW = dLdZ.T @ self.A
        self.dLdb = dLdZ.T @ self.Ones
        return dLdZ @ self.W


class OldLinear(Linear):
    def backward(self, dLdZ):
        dLdA = super().backward(dLdZ)
        self.dLdW, self.dLdb = self.dLdW / self.N, self.dLdb / self.N
        return dLdA


class Tanh:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dLdA):
        return dLdA * (1 - self.A**2)


class MSELoss:
    def forward(self, A, Y):
        self.A, self.Y = A, Y
        self.N, self.C = A.shape
        return np.sum((A - Y) ** 2) / (self.N * self.C)

    def backward(self):
        return 2 * (self.A - self.Y) / (self.N * self.C)
