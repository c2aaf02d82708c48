"""Compare ways to choose pairs: corpora, a matrix of runs, one record a run."""
