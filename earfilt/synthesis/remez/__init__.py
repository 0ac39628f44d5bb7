"""Chebyshev approximation by cosine polynomials: the smallest degree inside a band."""
