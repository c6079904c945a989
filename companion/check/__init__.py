"""Answers to the exercises, checked: ``check.<exercise>(your_function)``.

Each exercise of the book has a check of the same name here. It calls the
function on random inputs, compares it with an independent way to the result,
and answers in one or two sentences.
"""

from companion.check._attention import attend, beam_step, masked_softmax
from companion.check._backward import (
    cross_entropy_gradient,
    linear_backward,
    normalise_backward,
)
from companion.check._cnn import conv_stack, max_pool_backward, shift_images
from companion.check._consolidation import (
    full_consolidation_error,
    mode_error,
    ridge_student,
)
from companion.check._edges import noise_bound, outlier
from companion.check._engine import Exercise, Mistake, Result
from companion.check._fast import amplification, fft_convolve, tile_products, two_outputs
from companion.check._forgetting import reservoir, sequence_metrics, softmax_fisher
from companion.check._forward import linear_forward, mlp_forward, stable_log_softmax
from companion.check._hopfield import energy_change, projection_weights, recalled_overlap
from companion.check._language import (
    bigram_table,
    bits_and_perplexity,
    tempered_softmax,
)
from companion.check._laws import noise_edges, noise_moment, smoothed_semicircle
from companion.check._low_rank import fold_in, largest_rank, merged_weight
from companion.check._lstm import bias_to_keep, lstm_step, lstm_step_backward
from companion.check._matrix_product import conv_matrix, patch_columns, slide_backward
from companion.check._memories import copies_needed, learning_time
from companion.check._memory_networks import encode_sentence, read_hops, where_facts
from companion.check._optimisation import adamw_step, momentum_step, warmup_cosine
from companion.check._powers import counted_power, link_for_growth, top_eigenvalue
from companion.check._products import arithmetic_bound_batch, csr_matvec, mlp_flops
from companion.check._rnn import rnn_forward, scalar_bptt, truncated_bptt
from companion.check._sequences import last_valid_step, seasonal_naive_mase, time_split
from companion.check._shrinkage import median_cut, spike_errors, three_ranks
from companion.check._spectra import decayed_edge, growth_rate, spread_over, tail_exponent
from companion.check._svd import blocks_as_rows, pca_reconstruct, pinv, truncated_svd
from companion.check._vanishing_gradients import (
    error_preserving_std,
    gradient_ratio,
    orthogonal_from,
)
from companion.check._working_memory import line_capacity, memory_curve, recall

__all__ = [
    "Exercise",
    "Mistake",
    "Result",
    "adamw_step",
    "amplification",
    "arithmetic_bound_batch",
    "attend",
    "beam_step",
    "bias_to_keep",
    "bigram_table",
    "bits_and_perplexity",
    "blocks_as_rows",
    "conv_matrix",
    "conv_stack",
    "copies_needed",
    "counted_power",
    "cross_entropy_gradient",
    "csr_matvec",
    "decayed_edge",
    "encode_sentence",
    "energy_change",
    "error_preserving_std",
    "fft_convolve",
    "fold_in",
    "full_consolidation_error",
    "gradient_ratio",
    "growth_rate",
    "largest_rank",
    "last_valid_step",
    "learning_time",
    "line_capacity",
    "linear_backward",
    "linear_forward",
    "link_for_growth",
    "lstm_step",
    "lstm_step_backward",
    "masked_softmax",
    "max_pool_backward",
    "median_cut",
    "memory_curve",
    "merged_weight",
    "mlp_flops",
    "mlp_forward",
    "mode_error",
    "momentum_step",
    "noise_bound",
    "noise_edges",
    "noise_moment",
    "normalise_backward",
    "orthogonal_from",
    "outlier",
    "patch_columns",
    "pca_reconstruct",
    "pinv",
    "projection_weights",
    "read_hops",
    "recall",
    "recalled_overlap",
    "reservoir",
    "ridge_student",
    "rnn_forward",
    "scalar_bptt",
    "seasonal_naive_mase",
    "sequence_metrics",
    "shift_images",
    "slide_backward",
    "smoothed_semicircle",
    "softmax_fisher",
    "spike_errors",
    "spread_over",
    "stable_log_softmax",
    "tail_exponent",
    "tempered_softmax",
    "three_ranks",
    "tile_products",
    "time_split",
    "top_eigenvalue",
    "truncated_bptt",
    "truncated_svd",
    "two_outputs",
    "warmup_cosine",
    "where_facts",
]
