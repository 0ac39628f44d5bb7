"""What was published: ears as values, their curves, tables and the catalogue of names."""
