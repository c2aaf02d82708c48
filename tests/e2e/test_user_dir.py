"""A user's own --user-dir with a criterion of their own: the example of docs/install.md."""

from __future__ import annotations

import re

from tests.support.documents import read
from tests.support.training import SHRINK, data_bin, train


def test_the_example_of_the_page_trains_with_a_users_own_criterion(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", read("docs/install.md"), re.DOTALL)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text(example, encoding="utf-8")
    words = ["--user-dir", folder, "--task", "translation_autoassist", *SHRINK, "--no-save"]
    words += ["--criterion", "mine_autoassist", "--label-smoothing", "0.1"]
    result = train(data_bin(), tmp_path, *words, "--disable-validation", "--max-update", 50).ok()
    assert float(result.updates[-1]["aa_gamma"]) > 0.0  # it learned from the losses
