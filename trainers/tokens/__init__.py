"""Training language models token by token.

* `rows` - what one generation leaves behind: prompt, completion, log-probabilities, advantage.
* `shared_prefix` - log-probabilities of many completions whose prompts begin alike, with gradients, the beginning forwarded once.
* `selected` - log-probabilities of given tokens without the whole table of logits in memory.
* `update` - one step of the optimiser, with the trainer's slots at token level.
* `warm_start` - supervised learning from what a teacher wrote.
"""
