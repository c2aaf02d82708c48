"""Agreement: how likely the two sides of a pair are translations, by the corpus alone.

Each step has a file:

- `reading`: pieces of pairs
- `lexicon`: IBM Model 1, cross-fitted
- `language`: which side is in the wrong language
- `nulls`: pairs that are no translations, made from the corpus
- `twogroups`: the share of junk, and each pair's posterior
- `statistics`: columns for the Assistant
- `build`: all steps, in rounds
- `report`: numbers, a table, a picture and example pairs

`files` reads what was written.
"""
