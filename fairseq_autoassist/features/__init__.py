"""Features: numbers of each item, known before training and stored by item id."""
