"""Recipe for raw crawl, where most pairs are no translations: AutoAssist with its defaults."""
