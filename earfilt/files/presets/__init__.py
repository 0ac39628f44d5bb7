"""Filters in the words of equalisers and convolvers: one small module a program."""
