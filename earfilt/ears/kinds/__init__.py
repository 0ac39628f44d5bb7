"""The kinds of ears: how numbers, formulas and circuits become a curve."""
