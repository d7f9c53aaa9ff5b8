"""Where episodes are played: in this process, or by Ray."""
