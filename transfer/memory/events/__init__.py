"""All that happens while a memory is learned."""
