"""Text as fairseq-preprocess leaves it: data-bins, their fingerprints, lengths and rarity."""
