"""Samples through a FIR, on the CPU and on a device."""
