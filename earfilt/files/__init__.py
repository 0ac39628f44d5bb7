"""Small files: curves and FIRs, read and written."""
