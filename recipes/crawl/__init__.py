"""Recipe for raw crawl: AutoAssist's defaults where most pairs are no translations."""
