"""Random matrices: the spectra that chance alone gives. Chapter 6 teaches it."""

from companion.random_matrices.edges import (
    EdgeScale,
    EdgeTest,
    TracyWidom,
    beta_hermite,
    beta_laguerre,
    hermite_edge,
    laguerre_edge,
    largest_eigenvalue_test,
)
from companion.random_matrices.ensembles import (
    gaussian_ensemble,
    ginibre,
    ginibre_product,
    heavy_tailed,
    sparse,
    wigner,
    wishart,
)
from companion.random_matrices.free import Atoms, FreeLaw, free_product, free_sum
from companion.random_matrices.laws import (
    CircularLaw,
    FussCatalan,
    Law,
    MarchenkoPastur,
    Semicircle,
    closed_walks,
)
from companion.random_matrices.shrinkage import (
    Denoised,
    denoise,
    noise_level,
    optimal_threshold,
    shrink,
    shrink_covariance,
)
from companion.random_matrices.spikes import (
    Outlier,
    RectangularOutlier,
    covariance_outlier,
    rectangular_outlier,
    rectangular_strength,
    wigner_outlier,
)
from companion.random_matrices.statistics import (
    spacing_ratios,
    spectral_distance,
    wigner_surmise,
)

__all__ = [
    "Atoms",
    "CircularLaw",
    "Denoised",
    "EdgeScale",
    "EdgeTest",
    "FreeLaw",
    "FussCatalan",
    "Law",
    "MarchenkoPastur",
    "Outlier",
    "RectangularOutlier",
    "Semicircle",
    "TracyWidom",
    "beta_hermite",
    "beta_laguerre",
    "closed_walks",
    "covariance_outlier",
    "denoise",
    "free_product",
    "free_sum",
    "gaussian_ensemble",
    "ginibre",
    "ginibre_product",
    "heavy_tailed",
    "hermite_edge",
    "laguerre_edge",
    "largest_eigenvalue_test",
    "noise_level",
    "optimal_threshold",
    "rectangular_outlier",
    "rectangular_strength",
    "shrink",
    "shrink_covariance",
    "spacing_ratios",
    "sparse",
    "spectral_distance",
    "wigner",
    "wigner_outlier",
    "wigner_surmise",
    "wishart",
]
