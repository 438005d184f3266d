"""Fits a random forest to a table and reports its score."""
import sys

import numpy as np
from sklearn.ensemble import RandomForestClassifier

data = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1)
x, y = data[:, :-1], data[:, -1].astype(int)
cut = len(y) * 4 // 5
model = RandomForestClassifier(n_estimators=24, n_jobs=2, max_depth=14, random_state=1)
model.fit(x[:cut], y[:cut])
print(model.score(x[cut:], y[cut:]))
