"""Recipe for Multi30k English-German: the quick start."""
