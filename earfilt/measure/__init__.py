"""Two recordings become a curve: alignment, spectra, local regression; and exponential sweeps."""
