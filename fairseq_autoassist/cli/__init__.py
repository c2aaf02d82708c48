"""Console commands; the packages that they call do the work."""
