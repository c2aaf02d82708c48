"""The console commands; the packages that they run hold the work."""
