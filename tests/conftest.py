"""Settings for every test: how many examples hypothesis tries, and a Matplotlib that opens no
window."""

import os

import matplotlib
from hypothesis import settings

matplotlib.use("Agg")

# The same examples on every machine and in every run: a test that fails today failed yesterday. No
# deadline, because the first example pays for imports.
settings.register_profile("course", derandomize=True, deadline=None, max_examples=25)
# HYPOTHESIS_PROFILE=thorough looks for new trouble: other examples in every run, and many more of
# them.
settings.register_profile(
    "thorough", derandomize=False, deadline=None, max_examples=500, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "course"))
