"""The ears as torch modules."""
