"""What can happen to a system, by concern. Rules are imperative verbs, because a failure prints as a script.

Every rule is enabled at every moment: with nothing to act on it acts on a name that does not exist, and that must be
refused. So no choice of rules can strand an example.
"""
