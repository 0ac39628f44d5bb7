"""A curve becomes a FIR or a few sections.

    within/    taps within a tolerance of the published points: bands, projections, order
    biquads/   a chain of second-order sections, and the bands that equalisers take
    remez/     the exchange for a symmetric FIR, and its polynomials

The files beside them serve all three: phase, spectra, passes, deviation, response, provenance.
"""
