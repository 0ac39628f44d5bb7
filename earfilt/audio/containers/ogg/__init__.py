"""Ogg files: pages, the streams that they make, and what is particular to Opus in them."""
