"""Games: text environments behind PettingZoo's AEC API."""
