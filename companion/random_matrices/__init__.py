"""Random matrices: the spectra that chance alone gives. Chapter 6 teaches it."""

from companion.random_matrices.laws import Law, MarchenkoPastur, Semicircle

__all__ = ["Law", "MarchenkoPastur", "Semicircle"]
