"""What one process can drive: engines, servers over HTTP, many episodes at once, long runs and resuming them."""
