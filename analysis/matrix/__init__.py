"""What a transfer study showed."""
