"""How results look: rows, summaries, tables, figures, drawings in a terminal."""
