"""Are the two sides of a pair translations of each other? Told from the binarised corpus alone.

The steps, a file each: `reading` (pieces of pairs), `lexicon` (IBM Model 1, cross-fitted),
`language` (which side is in the wrong language), `nulls` (pairs that are no translations, made from
the corpus), `twogroups` (the share of junk and each pair's posterior), `statistics` (columns for
the Assistant), `build` (all of it, in rounds), `report`. `files` reads what was written.
"""
