"""Packaging of the plugin; tool settings are in pyproject.toml, pinned sets in requirements/.

Neither torch nor fairseq is a plain requirement:
- fairseq has two distributions with one import name: `fairseq` (Python <= 3.10) and `fairseq-fixed`
  (Python >= 3.11). Many users run a source checkout, over which pip would install a second copy.
- torch is chosen for a machine (CUDA, ROCm, CPU), and pip would replace that choice.

The extra installs fairseq, built against the torch in use: `pip install torch numpy cython
setuptools wheel`, then `pip install --no-build-isolation '.[fairseq]'`.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

RECIPES = [
    "sacrebleu>=2.0",
    "sacremoses>=0.0.50",
    "sentencepiece>=0.1.97",
    "tabulate>=0.8.9",
]
SVM = ["numba>=0.59"]
IMAGES = ["pillow>=9.1", "torchvision"]
DASK = ["dask", "distributed"]
DOCS = ["furo", "myst-parser", "sphinx>=8.2"]


class Build(build_py):
    """Build the package without modules that are gone, which an earlier build left in build/lib."""

    def run(self) -> None:
        """Empty the folder of this package, then fill it."""
        shutil.rmtree(Path(self.build_lib, "fairseq_autoassist"), ignore_errors=True)
        super().run()


setup(
    name="fairseq-autoassist",
    version="0.1.0",
    description="AutoAssist (Zhang et al., NeurIPS 2019) for fairseq: skip pairs that teach little",
    author="fairseq-autoassist authors",
    license="MIT",
    packages=find_packages(include=["fairseq_autoassist", "fairseq_autoassist.*"]),
    package_data={"fairseq_autoassist": ["py.typed"]},
    cmdclass={"build_py": Build},
    python_requires=">=3.8",
    install_requires=[
        "joblib>=1.4",
        "matplotlib>=3.5",
        "numpy>=1.21",
        "scipy>=1.8",
        "scikit-learn>=1.0",
        "tqdm>=4.60",
    ],
    extras_require={
        "fairseq": [
            "fairseq-fixed>=0.12.3.1; python_version >= '3.11'",
            "fairseq>=0.12.2; python_version < '3.11'",
        ],
        "recipes": RECIPES,
        "svm": SVM,
        "images": IMAGES,
        "dask": DASK,
        "docs": DOCS,
        "dev": [
            *RECIPES,
            *SVM,
            *IMAGES,
            *DASK,
            *DOCS,
            "hypothesis",
            "mypy",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
        ],
    },
    entry_points={
        "console_scripts": [
            "autoassist-tfidf = fairseq_autoassist.cli.tfidf:main",
            "autoassist-agreement = fairseq_autoassist.cli.agreement:main",
        ]
    },
)
