"""One recording through one filter, and the record of it."""
