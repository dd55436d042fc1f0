"""A network of one hidden layer that learns handwritten digits, with its gradients by hand.

Rows are examples. Every backward function gets the gradient of the loss by its result, and returns
those by its inputs, in the same order and with the same shapes.
"""

import numpy as np


def linear(x, W, b):
    """x (rows, inputs), W (inputs, outputs), b (outputs,): x W + b."""
    ### BEGIN SOLUTION
    return x @ W + b
    ### END SOLUTION


def linear_backward(dout, x, W, b):
    """Returns dx, dW, db."""
    ### BEGIN SOLUTION
    dx = dout @ W.T
    dW = x.T @ dout
    db = dout.sum(axis=0)
    return dx, dW, db
    ### END SOLUTION


def relu(x):
    ### BEGIN SOLUTION
    return np.maximum(x, 0)
    ### END SOLUTION


def relu_backward(dout, x):
    """x is relu's input; at exactly 0 the derivative is taken as 0."""
    ### BEGIN SOLUTION
    return dout * (x > 0)
    ### END SOLUTION


def softmax(z):
    """Each row of z as probabilities; also where its numbers are large."""
    ### BEGIN SOLUTION
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z)
    return p / p.sum(axis=1, keepdims=True)
    ### END SOLUTION


def cross_entropy(z, y):
    """z (rows, classes), y (rows,) the right classes: the mean loss, and its gradient by z."""
    rows = np.arange(len(y))
    p = softmax(z)
    ### BEGIN SOLUTION
    loss = -np.log(p[rows, y]).mean()
    dz = p.copy()
    dz[rows, y] -= 1
    dz /= len(y)
    return loss, dz
    ### END SOLUTION


def gradients(params, x, y):
    """(loss, [dW1, db1, dW2, db2]) of the network linear, relu, linear, cross entropy."""
    W1, b1, W2, b2 = params
    ### BEGIN SOLUTION
    a = linear(x, W1, b1)
    h = relu(a)
    loss, dz = cross_entropy(linear(h, W2, b2), y)
    dh, dW2, db2 = linear_backward(dz, h, W2, b2)
    da = relu_backward(dh, a)
    dx, dW1, db1 = linear_backward(da, x, W1, b1)
    return loss, [dW1, db1, dW2, db2]
    ### END SOLUTION


def train(params, x, y, lr, steps):
    """params after so many steps of gradient descent on all rows, and the loss before each."""
    losses = []
    ### BEGIN SOLUTION
    for step in range(steps):
        loss, grads = gradients(params, x, y)
        params = [p - lr * g for p, g in zip(params, grads)]
        losses.append(loss)
    ### END SOLUTION
    return params, losses
