"""``td_gym/Tau2-v0``: tasks of a tau2-bench checkout of the user's own, played from the service seat.

Nothing of tau2 is part of this package.  ``td_gym.register_tau2`` checks the checkout and registers the environment;
modules here that import tau2 are imported after that only.
"""
