"""From records to tables to pages."""
