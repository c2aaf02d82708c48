"""Recipe for WMT14 English-German, at full size."""
