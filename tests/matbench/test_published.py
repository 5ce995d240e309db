"""Published figures stand for all official tasks."""

from matembed.matbench.published import PUBLISHED
from matembed.matbench.tasks import MATBENCH


def test_published_figures_are_of_known_tasks():
    assert set(PUBLISHED) == set(MATBENCH)
    assert all({"random forest", "dummy"} <= set(figures) for figures in PUBLISHED.values())
