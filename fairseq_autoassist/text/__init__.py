"""Text in data-bins of fairseq-preprocess: reader, fingerprints, lengths and rarity."""
