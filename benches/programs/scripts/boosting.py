"""Clusters, then a gradient boosted classifier on a table."""
import sys

import pandas as pd
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler

frame = pd.read_csv(sys.argv[1])
x = StandardScaler().fit_transform(frame.drop(columns="label"))
groups = KMeans(n_clusters=12, n_init=1, max_iter=30, random_state=0).fit_predict(x)
model = HistGradientBoostingClassifier(max_iter=15, random_state=0).fit(x, frame["label"])
print(model.score(x, frame["label"]), len(set(groups)))
