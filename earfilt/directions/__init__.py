"""Where sound comes from: directions on the sphere, and the pair of ears between measured ones."""
