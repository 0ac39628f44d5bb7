"""A curve becomes a few second-order sections."""
