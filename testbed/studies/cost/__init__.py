"""What a study will cost, before it is run: in episodes and tokens, and in hours on given GPUs."""
