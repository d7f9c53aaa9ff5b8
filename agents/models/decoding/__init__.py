"""Writing text with weights in this process."""
