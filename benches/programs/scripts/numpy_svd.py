"""The singular values of a matrix, and what of it the first ones explain."""
import sys

import numpy as np

matrix = np.load(sys.argv[1])
matrix -= matrix.mean(axis=0)
u, s, v = np.linalg.svd(matrix, full_matrices=False)
print((s[:20] ** 2).sum() / (s**2).sum(), np.abs(u[:, 0]).argmax())
