"""The method, on numbered items: it imports numpy and scipy, never torch or fairseq.

For translation an item is a sentence pair.
"""
