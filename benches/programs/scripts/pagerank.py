"""PageRank and components of a graph given as an edge list."""
import sys

import networkx as nx

graph = nx.read_edgelist(sys.argv[1], create_using=nx.DiGraph, nodetype=int)
rank = nx.pagerank(graph, tol=1e-8)
print(sorted(rank, key=rank.get, reverse=True)[:10])
print(nx.number_weakly_connected_components(graph))
