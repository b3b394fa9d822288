"""Trainers: rollout -> credit -> advantages -> loss -> update, evaluation and the command line.

* `grpo.train` - the loop.
* `advantages.group_advantages` - from rewards to advantages; `slots` - the loop's pure parts.
* `evaluation.evaluate`, `comparison` - agents side by side on held-out streams.
* `demo` - every reward on the same streams.
* `cli` - ``memenvs``.
"""
