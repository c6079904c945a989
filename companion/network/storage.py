"""Save and load the parameters of a model as a NumPy ``.npz`` file."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from companion._validation import FloatArray
from companion.network.layers import Layer


def save(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write all parameters and buffers to a file, under their names.

    Parameters
    ----------
    model : Layer
    path : path-like
        Must end in ``.npz``.

    Raises
    ------
    ValueError
        If `path` does not end in ``.npz``.
    """
    target = Path(path)
    if target.suffix != ".npz":
        raise ValueError(f"path must end in .npz, got {str(path)!r}")
    # numpy.savez takes names as keywords, so a parameter could not be called "file".
    with zipfile.ZipFile(target, "w") as archive:
        for name, array in _state(model).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(model: Layer, path: str | os.PathLike[str]) -> None:
    """Read parameters and buffers from a file into a model, in place.

    Nothing is changed unless every array fits.

    Parameters
    ----------
    model : Layer
        Built with the sizes the file was saved with.
    path : path-like

    Raises
    ------
    ValueError
        If an array is missing, unknown, or of another shape or type: all are named.
        If the file is not an ``.npz`` file.
    FileNotFoundError
        If there is no such file.
    """
    with Path(path).open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise ValueError(f"path must be an .npz file, got {str(path)!r}")
    with np.load(path, allow_pickle=False) as archive:
        saved = {name: archive[name] for name in archive.files}
    current = _state(model)
    problems = [f"{name} is missing" for name in current if name not in saved]
    problems += [f"{name} is unknown to the model" for name in saved if name not in current]
    for name in current.keys() & saved.keys():
        wanted, found = current[name], saved[name]
        if wanted.shape != found.shape:
            problems.append(f"{name} must have shape {wanted.shape}, got {found.shape}")
        elif wanted.dtype != found.dtype:
            problems.append(f"{name} must be {wanted.dtype}, got {found.dtype}")
    if problems:
        raise ValueError(f"cannot load {str(path)!r}: " + "; ".join(sorted(problems)))
    for name, array in current.items():
        array[...] = saved[name]


def _state(model: Layer) -> dict[str, FloatArray]:
    return {**model.parameters(), **model.buffers()}
