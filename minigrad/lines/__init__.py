"""Lines: what Python functions do to arrays, written down as straight-line NumPy, and made fast."""
