"""Evaluation: metrics and their judges, the runner, studies, plots and the ``td-gym`` command."""
