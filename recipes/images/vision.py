"""Import of torchvision beside any build of torch.

PyPI's wheel is built for the CUDA build of torch. Beside another build its compiled operators do
not load, and the import fails at `nms`. Networks and transforms need no operator. So the operators
that the import asks for are declared without an implementation.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import torch

from preprocess.text import UserError

OPERATORS = ("nms", "qnms")  # operators that the import of torchvision asks for
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_library = None  # keeps the declarations alive


def declare_operators() -> None:
    """Declare the operators that torchvision's import asks for, if its compiled ones do not load.

    Raises:
        UserError: torchvision is not installed
    """
    global _library
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("found no torchvision; expected the version of this torch: run `make venv`")
    if _library is not None:
        return
    try:
        torch.ops.load_library(str(Path(spec.submodule_search_locations[0]) / "_C.so"))
    except OSError:
        _library = torch.library.Library("torchvision", "DEF")
        for name in OPERATORS:
            _library.define(name + SIGNATURE)


declare_operators()

# imported by name, because import statements would have to precede the call
ImageFolder = importlib.import_module("torchvision.datasets").ImageFolder
resnet = importlib.import_module("torchvision.models.resnet")
transforms = importlib.import_module("torchvision.transforms.v2")

__all__ = ["ImageFolder", "resnet", "transforms"]
