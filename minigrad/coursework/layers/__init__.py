"""Diagnosing the backward of a layer: right gradients by differences, wrong ones made of them."""
