"""Where real weights come from."""
