"""Companion package of the course *Matrices and Memory*.

Each chapter has one module (or package) of the same name, and nothing is
imported until it is asked for: ``import companion.network`` does not load the
other chapters, and no module needs PyTorch unless a function says so.
"""

__version__ = "0.1.0"
