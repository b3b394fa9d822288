"""Trainers: rollout -> credit -> advantages -> loss -> update, evaluation and the command line.

* `grpo.train` - the loop.
* `advantages.group_advantages`, `loss.clipped_loss` - its pure parts.
* `evaluation.evaluate`, `comparison` - agents side by side on held-out streams.
* `demo` - every reward on the same streams.
* `cli` - ``memenvs``.
"""
