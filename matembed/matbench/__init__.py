"""Models on the official tasks and folds of Matbench: tasks from files, runs that resume, results, and their page."""

from matembed.matbench.models import ModelFactory, named_models
from matembed.matbench.results import BenchmarkResults
from matembed.matbench.runs import run_benchmark
from matembed.matbench.task_files import read_matbench
from matembed.matbench.tasks import MatbenchTask

__all__ = ["BenchmarkResults", "MatbenchTask", "ModelFactory", "named_models", "read_matbench", "run_benchmark"]
