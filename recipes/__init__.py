"""One folder per corpus: prepare, train, evaluate, report."""
