"""What a population study showed."""
