"""A curve becomes taps that stay within a tolerance of it."""
