"""What other programs write: each dialect of curves and equalisers in a module of its own."""
