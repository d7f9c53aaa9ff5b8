"""Pages of the experiments: each has a headline, a figure, a table, and how it was measured."""
