"""WMT14 English-German: the recipe at full size."""
