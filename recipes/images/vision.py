"""torchvision, importable beside any torch.

PyPI's wheel is built for the CUDA build of torch. Beside another build its compiled operators do
not load, and the import then fails at `nms`. Networks and transforms need no operator, so what the
import asks for is declared without an implementation.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import torch

from preprocess.text import UserError

OPERATORS = ("nms", "qnms")  # whose declarations the import of torchvision needs
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_library = None  # the declarations last as long as this


def declare_operators() -> None:
    """Declare what torchvision's import needs, where its compiled operators do not load.

    Raises:
        UserError: there is no torchvision
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

# by name: a plain import would have to stand above the call
ImageFolder = importlib.import_module("torchvision.datasets").ImageFolder
resnet = importlib.import_module("torchvision.models.resnet")
transforms = importlib.import_module("torchvision.transforms.v2")

__all__ = ["ImageFolder", "resnet", "transforms"]
