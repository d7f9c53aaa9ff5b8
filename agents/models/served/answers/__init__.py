"""What OpenAI-compatible servers answer, read without trusting any of it: pure functions over parsed JSON."""
