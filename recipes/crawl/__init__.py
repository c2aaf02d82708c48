"""Raw crawl: what the default does where most pairs are no translations."""
