"""A scalar autograd engine: numbers that remember how they were computed.

Write the parts marked below. `backward` gives every Value the derivative of the output by it, in
`.grad`. Check yourself with small expressions that you can differentiate by hand.
"""

import math


class Value:
    """A number, its gradient, and the Values that it was computed from."""

    def __init__(self, data, parents=()):
        self.data = float(data)
        self.grad = 0.0
        self._parents = parents            # Values
        self._backward = lambda: None      # adds this one's share to the gradients of its parents

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _backward():
            ### BEGIN SOLUTION
            self.grad += out.grad
            other.grad += out.grad
            ### END SOLUTION
        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _backward():
            ### BEGIN SOLUTION
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
            ### END SOLUTION
        out._backward = _backward
        return out

    def __pow__(self, exponent):
        """self to the power of a plain number."""
        out = Value(self.data**exponent, (self,))

        def _backward():
            ### BEGIN SOLUTION
            self.grad += exponent * self.data**(exponent - 1) * out.grad
            ### END SOLUTION
        out._backward = _backward
        return out

    def tanh(self):
        out = Value(math.tanh(self.data), (self,))

        def _backward():
            ### BEGIN SOLUTION
            self.grad += (1 - out.data**2) * out.grad
            ### END SOLUTION
        out._backward = _backward
        return out

    def exp(self):
        out = Value(math.exp(self.data), (self,))

        def _backward():
            ### BEGIN SOLUTION
            self.grad += out.data * out.grad
            ### END SOLUTION
        out._backward = _backward
        return out

    def relu(self):
        """max(self, 0); its derivative at exactly 0 is taken as 0."""
        out = Value(max(self.data, 0.0), (self,))

        def _backward():
            ### BEGIN SOLUTION
            self.grad += (self.data > 0) * out.grad
            ### END SOLUTION
        out._backward = _backward
        return out

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        ### BEGIN SOLUTION
        return self + (-other)
        ### END SOLUTION

    def __rsub__(self, other):
        """other - self, where other is a plain number."""
        ### BEGIN SOLUTION
        return Value(other) + (-self)
        ### END SOLUTION

    def __truediv__(self, other):
        ### BEGIN SOLUTION
        return self * (other**-1)
        ### END SOLUTION

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def backward(self):
        """Adds to .grad of all Values that this one was computed from. Gradients of the Values in
        between are made anew, those of the leaves add up from call to call until they are set to 0.
        """
        ### BEGIN SOLUTION
        order, visited = [], set()
        todo = [(self, False)]
        while todo:
            value, done = todo.pop()
            if done:
                order.append(value)
            elif value not in visited:
                visited.add(value)
                todo.append((value, True))
                todo.extend((parent, False) for parent in reversed(value._parents))
        for value in order:
            if value._parents:
                value.grad = 0.0
        self.grad += 1.0
        for value in reversed(order):
            value._backward()
        ### END SOLUTION
