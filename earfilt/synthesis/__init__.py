"""A curve becomes a FIR: frequency sampling, phase, tolerance, deviation, response."""
